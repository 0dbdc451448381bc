"""Checksums of messages: what they see, the same compiled and plain, and readers that meet garbage."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shm import sums
from shm.atomics import address_of
from shm.layout import CELL_HEADER_BYTES, PAYLOAD_BYTES, RING, Status
from shm.ring import Reader, RefusingRing, message_cells
from tests.plain_twin import PlainTwin, kernels_are_plain

Words = NDArray[np.int64]

SEED = 20_261_129
WIDTH = PAYLOAD_BYTES[1]
N_WORDS = WIDTH // 8
CELL_BYTES = WIDTH + CELL_HEADER_BYTES
RECORD = np.dtype((np.void, WIDTH))
CAPACITY = 64
GARBLED = int(Status.GARBLED)
WORD = st.integers(-(2**63), 2**63 - 1)


def summed(words: list[int], start: int = 7) -> int:
    """Sum of words that are copied, and copied they are."""
    source, into = np.array(words, np.int64), np.zeros(len(words), np.int64)
    lanes = sums.copy_summed(address_of(into), address_of(source), len(words), start, start)
    assert into.tolist() == words
    return sums.sum_of(*lanes)


@given(st.lists(WORD, min_size=14, max_size=14), st.integers(0, 13), st.integers(0, 63))
def test_no_flipped_bit_is_missed(words: list[int], at: int, bit: int) -> None:
    flipped = np.array(words, np.int64).view(np.uint64)
    flipped[at] ^= np.uint64(1 << bit)
    assert summed(flipped.view(np.int64).tolist()) != summed(words)


@given(st.lists(WORD, min_size=4, max_size=4, unique=True))
def test_order_and_place_count(words: list[int]) -> None:
    assert summed([words[2], words[1], words[0], words[3]]) != summed(words)
    assert summed([words[1], words[0], words[2], words[3]]) != summed(words)
    assert summed(words, 8) != summed(words, 7)


@pytest.mark.compiled_only
def test_compiled_equals_plain(plain_twin: PlainTwin) -> None:
    plain = plain_twin("shm.sums")
    draw = np.random.default_rng(SEED)
    for _ in range(200):
        words = draw.integers(-(2**63), 2**63 - 1, N_WORDS, np.int64)
        into = np.zeros(N_WORDS, np.int64)
        given_ = (address_of(into), address_of(words), N_WORDS, 5, -9)
        assert sums.copy_summed(*given_) == plain.copy_summed(*given_)
        assert sums.sum_of(*sums.copy_summed(*given_)) == plain.sum_of(*plain.copy_summed(*given_))


def records(draw: random.Random, n: int) -> NDArray[np.void]:
    """Records of random bytes."""
    return np.frombuffer(draw.randbytes(n * WIDTH), RECORD).copy()


def spoil(ring: RefusingRing, position: int, at: int, with_: bytes) -> bool:
    """Write over bytes of the cell at a position, from byte ``at``; whether that changed anything."""
    start = RING.itemsize + (position & (ring.capacity - 1)) * CELL_BYTES + at
    place = ring.segment.bytes_at(start, len(with_))
    before = place.tobytes()
    place[:] = np.frombuffer(with_, np.uint8)
    return before != with_


def messages(reader: Reader) -> Iterator[bytes]:
    """All messages up to now; GARBLED ones are empty."""
    brought = reader.records(RECORD)
    while (n_cells := reader.poll()) != 0:
        if n_cells == GARBLED:
            yield b""
            continue
        first = 0
        while first < n_cells:
            after = first + message_cells(reader.tags[first])
            yield brought[first:after].tobytes()
            first = after


def test_what_is_whole_is_handed_out_over_many_laps() -> None:
    draw = random.Random(SEED)
    ring = RefusingRing.create(CAPACITY, WIDTH, ("it",), checked=True)
    reader = ring.reader("it", 0)
    for number in range(300):
        sent = records(draw, draw.randrange(1, 5))
        assert ring.publish(sent[:1], sent[1:]) if number % 2 else ring.publish(sent)
        assert list(messages(reader)) == [sent.tobytes()]
    assert (reader.garbled, reader.lost_messages) == (0, 0)
    assert ring.publish_each(records(draw, 5)) == 5
    assert reader.poll() == 5


@pytest.mark.parametrize("part", ["payload", "tag", "sequence", "cell", "sum"])
def test_a_garbled_message_is_passed_over_counted_and_the_rest_comes(part: str) -> None:
    """Whatever of a message is garbage, in whichever of its cells, whether more comes behind it or not."""
    draw = random.Random(SEED)
    spans = {"payload": (16, 128), "tag": (8, 16), "sequence": (0, 8), "cell": (0, 128)}
    for number in range(30 if kernels_are_plain() else 300):
        ring = RefusingRing.create(CAPACITY, WIDTH, ("it",), checked=True)
        reader = ring.reader("it", 0)
        for _ in range(draw.randrange(3)):  # begin anywhere
            ring.publish(records(draw, 16))
            assert len(list(messages(reader))) == 1
        begins, sent = [], []
        for size in [draw.randrange(1, 4) for _ in range(draw.randrange(1, 6))]:
            begins.append(ring.published_cells)
            sent.append(records(draw, size))
            assert ring.publish(sent[-1])
        broken = draw.randrange(len(sent))
        position = begins[broken]
        if part == "sum":
            start = RING.itemsize + CAPACITY * CELL_BYTES + 8 * (position & (CAPACITY - 1))
            ring.segment.bytes_at(start, 8)[:] ^= draw.randrange(1, 256)
        else:
            # the sequence of a cell behind the first vouches for nothing
            offset = draw.randrange(len(sent[broken])) if part in ("payload", "tag") else 0
            low, high = spans[part]
            assert spoil(ring, position + offset, low, draw.randbytes(high - low))
        expected = [b"" if at == broken else message.tobytes() for at, message in enumerate(sent)]
        assert list(messages(reader)) == expected, f"seed {SEED}, ring {number}"
        assert (reader.garbled, reader.lost_messages, reader.lag_cells) == (1, 1, 0)
        more = records(draw, 2)
        assert ring.publish(more)
        assert list(messages(reader)) == [more.tobytes()], f"seed {SEED}, ring {number}"


def test_a_garbled_head_is_no_way_to_walk() -> None:
    """What was published lies within one ring-full; a head of 2**40 would take a poll minutes to reach."""
    ring = RefusingRing.create(CAPACITY, WIDTH, ("it",), checked=True)
    reader = ring.reader("it", 0)
    ring.publish(records(random.Random(SEED), 2))
    spoil(ring, 0, 16, b"\xff" * 8)
    ring.header["head"] = 1 << 40
    assert reader.poll() == GARBLED
    assert reader.garbled == 1
    assert int(ring.header["readers"]["position"][0]) <= CAPACITY


def test_the_place_in_the_segment_counts_it_for_everybody() -> None:
    ring = RefusingRing.create(CAPACITY, WIDTH, ("one", "two"), checked=True)
    one = ring.reader("one", 0)
    ring.publish(records(random.Random(SEED), 1))
    spoil(ring, 0, 16, b"\xff" * 8)
    assert [one.poll(), one.poll()] == [GARBLED, 0]
    assert ring.header["readers"]["garbled"][:2].tolist() == [1, 0]


def test_an_observer_of_a_checked_ring_is_lapped_as_ever_and_passes_garbage_over() -> None:
    draw = random.Random(SEED)
    ring = RefusingRing.create(CAPACITY, WIDTH, ("it",), checked=True)
    reader, observer = ring.reader("it", 0), ring.observer()
    sent = [records(draw, 1) for _ in range(100)]
    for message in sent:
        assert ring.publish(message)
        assert reader.poll() == 1
    spoil(ring, 90, 40, b"\x5a" * 8)
    got = list(messages(observer))
    lost = observer.lost_messages - 1
    assert lost > 0
    assert got == [b"" if at == 90 else sent[at].tobytes() for at in range(lost, 100)]
    assert (observer.garbled, observer.laps) == (1, 1)


def test_a_fenced_reader_of_a_checked_ring_is_told_so() -> None:
    ring = RefusingRing.create(CAPACITY, WIDTH, ("it", "other"), checked=True)
    it, other = ring.reader("it", 0), ring.reader("other", 0)
    draw = random.Random(SEED)
    assert ring.publish_each(records(draw, CAPACITY)) == CAPACITY
    assert other.poll() == CAPACITY
    other.beat(100)
    assert ring.fence_silent(100, 50) == 1
    assert ring.publish_each(records(draw, 8)) == 8
    assert it.poll() == Status.READER_FENCED
    assert it.garbled == 0


def test_an_unchecked_ring_has_no_sums_and_believes_what_it_finds() -> None:
    ring = RefusingRing.create(CAPACITY, WIDTH, ("it",))
    assert (
        ring.segment.size_bytes
        < RefusingRing.create(CAPACITY, WIDTH, ("it",), checked=True).segment.size_bytes
    )
    reader = ring.reader("it", 0)
    ring.publish(records(random.Random(SEED), 1))
    spoil(ring, 0, 16, b"\xff" * 8)
    assert reader.poll() == 1
