"""Cells byte by byte, a writer stopped at every store, laps at the edges; orders: test_cells_ordering."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shm import cells
from shm import ring as rings
from shm.atomics import address_of
from shm.layout import CELL, HOT_BYTES, ORDINAL_MASK, PAYLOAD_BYTES, READER, RING, Status
from shm.ring import OverwritingRing, RefusingRing
from tests.plain_twin import PlainTwin

Words = NDArray[np.int64]

WIDTH = PAYLOAD_BYTES[0]
N_WORDS = WIDTH // 8
CAPACITY = 8


def cell_at(ring: OverwritingRing, at: int) -> tuple[np.void, list[int]]:
    """Header and payload words of a cell, read as bytes."""
    raw = ring.segment.bytes_at(RING.itemsize + at * (16 + ring.payload_bytes), 16 + ring.payload_bytes)
    return raw[:16].view(CELL)[0], raw[16:].view(np.int64).tolist()


def publish(ring: OverwritingRing | RefusingRing, *numbers: int, flags: int = 0) -> int:
    """Publish one message with a cell for each number."""
    words = np.repeat(np.array(numbers, np.int64), N_WORDS)
    return cells.publish(ring.address, address_of(words), len(numbers), flags)


def test_a_message_as_it_lies_in_memory() -> None:
    ring = OverwritingRing.create(CAPACITY, WIDTH)
    publish(ring, 50)
    words = np.arange(2 * N_WORDS, dtype=np.int64)
    assert cells.publish(ring.address, address_of(words), 2, 0x1FF) == 2
    for index in range(2):
        header, payload = cell_at(ring, 1 + index)
        assert header["sequence"] == 2 * (1 + index) + 2
        assert (header["n_cells"], header["index"], header["flags"]) == (2, index, 0xFF)
        assert bytes(header["ordinal"]) == b"\x01\x00\x00"
        assert payload == words[index * N_WORDS :][:N_WORDS].tolist()
    assert cell_at(ring, 3)[0]["sequence"] == 0
    assert (ring.published_cells, ring.published_messages) == (3, 2)


def test_wide_cells() -> None:
    ring = OverwritingRing.create(CAPACITY, PAYLOAD_BYTES[1])
    words = np.arange(28, dtype=np.int64)
    assert cells.publish_parts(ring.address, address_of(words), 1, address_of(words) + 14 * 8, 1, 0) == 2
    assert cell_at(ring, 0)[1] == list(range(14))
    assert cell_at(ring, 1)[1] == list(range(14, 28))


def test_each_record_a_message() -> None:
    ring = OverwritingRing.create(CAPACITY, WIDTH)
    words = np.repeat(np.arange(3, dtype=np.int64), N_WORDS)
    assert cells.publish_each(ring.address, address_of(words), 3, 5) == 3
    assert [cell_at(ring, at)[1] for at in range(3)] == [[at] * N_WORDS for at in range(3)]
    assert [int(cell_at(ring, at)[0]["n_cells"]) for at in range(3)] == [1, 1, 1]
    assert ring.published_messages == 3


@given(st.lists(st.integers(0, 7), max_size=14))
def test_copy_words(values: list[int]) -> None:
    source = np.array([*values, -1], np.int64)
    into = np.full(len(values) + 1, -2, np.int64)
    cells.copy_words(address_of(into), address_of(source), len(values))
    assert into.tolist() == [*values, -2]


class Stopped(Exception):
    """The writer is no more."""


class DyingWriter:
    """Counts the stores that plain kernels make, and stops before the ``last``-th."""

    def __init__(self, plain: ModuleType, last: int) -> None:
        self.left = last
        self.plain = plain
        self.originals = {name: getattr(plain, name) for name in ("store_relaxed", "store_release")}

    def _store(self, name: str) -> Callable[[int, int], None]:
        def store(address: int, value: int) -> None:
            if self.left == 0:
                raise Stopped
            self.left -= 1
            self.originals[name](address, value)

        return store

    def publish(self, ring: int, source: int, n_cells: int) -> bool:
        """Publish one message; False when it died on the way."""
        try:
            for name in self.originals:
                setattr(self.plain, name, self._store(name))
            self.plain.publish(ring, source, n_cells, 0)
        except Stopped:
            return False
        finally:
            for name, original in self.originals.items():
                setattr(self.plain, name, original)
        return True


@pytest.mark.parametrize("before", [0, 3, 7, 8, 13])
def test_a_writer_that_stops_at_any_store_shows_all_or_nothing(plain_twin: PlainTwin, before: int) -> None:
    plain = plain_twin("shm.cells")
    words = np.repeat(np.array([900, 901], np.int64), N_WORDS)
    seen: list[bool] = []
    for stores in range(100):
        ring = OverwritingRing.create(CAPACITY, WIDTH)
        reader = ring.reader()
        behind = ring.reader()
        for number in range(before):
            publish(ring, number)
            reader.poll()
        whole = DyingWriter(plain, stores).publish(ring.address, address_of(words), 2)
        n_cells = reader.poll()
        assert n_cells in (0, 2)
        if n_cells:
            assert reader.words[: 2 * N_WORDS].tolist() == words.tolist()
        seen.append(n_cells == 2)
        n_behind = behind.poll()
        got = behind.words[: max(n_behind, 0) * N_WORDS].reshape(-1, N_WORDS)
        assert (got == got[:, :1]).all(), "torn"
        assert got[:, 0].tolist() in (
            [],
            *([*range(at, before)] + [900, 901] * (n_cells // 2) for at in range(before + 1)),
        )
        if whole:
            break
    assert seen == sorted(seen), "visible, and then no more"
    assert seen[-1]
    assert not seen[0]
    assert len(seen) > 2 * N_WORDS


def test_a_mark_without_its_head_is_waited_for(plain_twin: PlainTwin) -> None:
    """The writer has begun to overwrite the reader's cell, nothing newer is whole: no lap is counted yet."""
    plain = plain_twin("shm.cells")
    ring = OverwritingRing.create(CAPACITY, WIDTH)
    reader = ring.reader()
    for number in range(CAPACITY):
        publish(ring, number)
    words = np.zeros(N_WORDS, np.int64)
    ring.header["head"] = 6  # as a reader sees it that has the mark of cell 0 before the head
    DyingWriter(plain, 1).publish(ring.address, address_of(words), 1)
    ring.segment.bytes_at(RING.itemsize, 8).view(np.int64)[0] = 2 * CAPACITY + 1
    assert reader.poll() == 0
    assert (reader.laps, reader.lost_messages) == (0, 0)
    ring.header["head"] = 9
    assert reader.poll() > 0
    assert reader.laps == 1


def lapped(messages: int) -> tuple[OverwritingRing, rings.Reader]:
    """Ring whose message count starts at ``messages``, with a reader that was just lapped by single cells."""
    ring = OverwritingRing.create(16, WIDTH)
    ring.header["messages"] = messages
    reader = ring.reader()
    reader.block["ordinal"] = reader.block["joined_ordinal"] = messages
    for number in range(20):
        publish(ring, number)
    return ring, reader


@pytest.mark.parametrize(
    "messages", [0, ORDINAL_MASK - 25, ORDINAL_MASK - 10, ORDINAL_MASK, ORDINAL_MASK + 1, 10**15]
)
def test_losses_are_counted_past_the_bits_of_the_ordinal(messages: int) -> None:
    _, reader = lapped(messages)
    assert reader.poll() == 12
    assert (reader.lost_messages, reader.lost_cells) == (8, 8)
    assert int(reader.block["ordinal"]) == messages + 20


def test_a_lap_lands_on_a_message_start() -> None:
    ring = OverwritingRing.create(16, WIDTH)
    reader = ring.reader()
    for message in range(8):
        publish(ring, *[message] * 3)
    assert reader.poll() == 12
    assert reader.words[:: 3 * N_WORDS][:4].tolist() == [4, 5, 6, 7]
    assert (reader.lost_messages, reader.lost_cells) == (4, 12)
    for message in range(8, 14):
        publish(ring, *[message] * 3)
    publish(ring, 14)  # 43 cells: the place to go back to, 31, is inside message 10
    assert reader.poll() == 10
    assert reader.words[::N_WORDS][:10].tolist() == [11, 11, 11, 12, 12, 12, 13, 13, 13, 14]
    assert (reader.lost_messages, reader.lost_cells) == (7, 21)


def test_a_poll_never_spans_a_loss(plain_twin: PlainTwin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lapped in the middle of a batch, a reader hands out what came before and jumps at the next poll."""
    plain = plain_twin("shm.cells")
    ring = OverwritingRing.create(CAPACITY, WIDTH)
    reader = ring.reader()
    for number in range(6):
        publish(ring, number)
    original = plain._copy_message

    def copy_then_lap(*args: int) -> int:
        copied: int = original(*args)
        if args[4] == 2:
            for number in range(6, 20):
                publish(ring, number)
        return copied

    monkeypatch.setattr(plain, "_copy_message", copy_then_lap)
    out, tags = np.zeros(CAPACITY * N_WORDS, np.int64), np.zeros(CAPACITY, np.int64)

    def poll() -> list[int]:
        n_cells = plain.poll(ring.address, reader.address, address_of(out), address_of(tags), CAPACITY, 99)
        numbers: list[int] = out[::N_WORDS][:n_cells].tolist()
        return numbers

    assert poll() == [0, 1, 2]
    assert (reader.laps, reader.lost_messages, reader.received_messages) == (0, 0, 3)
    assert poll() == [14, 15, 16, 17, 18, 19]
    assert (reader.laps, reader.lost_messages, reader.received_messages) == (1, 11, 9)


def test_a_reader_lapped_again_and_again_comes_back_empty_handed(
    plain_twin: PlainTwin, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = plain_twin("shm.cells")
    ring = OverwritingRing.create(CAPACITY, WIDTH)
    reader = ring.reader()
    publish(ring, 1)  # something is there to be read
    monkeypatch.setattr(plain, "_copy_message", lambda *_: cells.LAPPED)
    original = plain._jump

    def lap_then_jump(*args: int) -> int:
        for number in range(2 * CAPACITY):
            publish(ring, number)
        jumped: int = original(*args)
        return jumped

    monkeypatch.setattr(plain, "_jump", lap_then_jump)
    assert plain.poll(ring.address, reader.address, reader.address, reader.address, 1, 1) == 0
    assert reader.laps == cells.JUMPS_MAX
    assert reader.lost_cells == int(reader.block["position"])


def test_a_message_too_large_for_the_reader_stays() -> None:
    ring = OverwritingRing.create(CAPACITY, WIDTH)
    reader = ring.reader()
    publish(ring, 1)
    publish(ring, 2, 3)
    out, tags = np.zeros(2 * N_WORDS, np.int64), np.zeros(2, np.int64)
    place = ring.address, reader.address, address_of(out), address_of(tags)
    assert cells.poll(*place, 2, 99) == 1, "the second does not fit behind the first"
    assert cells.poll(*place, 1, 99) == Status.OUT_TOO_SMALL
    assert cells.poll(*place, 2, 99) == 2
    assert out[::N_WORDS].tolist() == [2, 3]


def test_resolve_finds_the_message_around_a_cell() -> None:
    ring = OverwritingRing.create(16, WIDTH)
    for size in (1, 3, 2):
        publish(ring, *[0] * size)
    starts = {position: cells.resolve(ring.address, position) for position in range(6)}
    assert starts == {0: (0, 0), 1: (1, 1), 2: (4, 2), 3: (4, 2), 4: (4, 2), 5: (6, 3)}


def test_resolve_refuses_a_cell_that_was_overwritten(
    plain_twin: PlainTwin, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = plain_twin("shm.cells")
    ring = OverwritingRing.create(CAPACITY, WIDTH)
    for number in range(CAPACITY + 1):
        publish(ring, number)
    assert cells.resolve(ring.address, 0) == (cells.UNRESOLVED, 0)
    assert cells.resolve(ring.address, 1) == (1, 1)
    monkeypatch.setattr(plain, "fence_acquire", lambda: publish(ring, 99))  # just before the second look
    assert plain.resolve(ring.address, 1) == (cells.UNRESOLVED, 0)


@pytest.mark.parametrize(
    ("messages", "oldest", "place"),
    [(0, 1, 0), (0, 0, 0), (1, 0, 1), (6, 1, 0), (6, 0, 6), (7, 1, 1), (20, 1, 14), (20, 0, 20)],
)
def test_joining(messages: int, oldest: int, place: int) -> None:
    ring = OverwritingRing.create(CAPACITY, WIDTH)
    for number in range(messages):
        publish(ring, number)
    cursor = np.zeros(HOT_BYTES // 8, np.int64)
    assert cells.join(ring.address, address_of(cursor), oldest) == 1
    block = cursor.view(READER)[0]
    assert {int(block[name]) for name in ("position", "ordinal", "joined_position", "joined_ordinal")} == {
        place
    }


def test_joining_gives_up_on_a_producer_that_is_always_faster(
    plain_twin: PlainTwin, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = plain_twin("shm.cells")
    tries: list[int] = []

    def overtaken(ring: int, position: int) -> tuple[int, int]:
        tries.append(position)
        return plain.UNRESOLVED, 0

    ring = OverwritingRing.create(CAPACITY, WIDTH)
    publish(ring, 1)
    cursor = np.zeros(HOT_BYTES // 8, np.int64)
    monkeypatch.setattr(plain, "resolve", overtaken)
    assert plain.join(ring.address, address_of(cursor), 0) == 0
    assert len(tries) == cells.JOIN_TRIES_MAX
    assert not cursor.any()
    gate = RefusingRing.create(CAPACITY, WIDTH, ("gate",))
    publish(gate, 1)
    reader = gate.reader("gate", 0)
    gate.fence_silent(10, 1)
    assert plain.rejoin(gate.address, reader.address) == 0
    assert len(tries) == 2 * cells.JOIN_TRIES_MAX


def test_a_reader_fenced_while_it_reads_is_told(
    plain_twin: PlainTwin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fenced after its poll began, and overwritten: the reader must not take the lap for one of its own."""
    plain = plain_twin("shm.cells")
    ring = RefusingRing.create(CAPACITY, WIDTH, ("gate", "other"))
    reader, other = ring.reader("gate", 0), ring.reader("other", 0)
    for number in range(CAPACITY):
        publish(ring, number)
    original = plain._copy_message

    def fence_first(*args: int) -> int:
        monkeypatch.setattr(plain, "_copy_message", original)
        other.poll()
        other.beat(100)
        ring.fence_silent(100, 50)
        publish(ring, 99)
        copied: int = original(*args)
        return copied

    monkeypatch.setattr(plain, "_copy_message", fence_first)
    out, tags = np.zeros(N_WORDS, np.int64), np.zeros(1, np.int64)
    place = ring.address, reader.address, address_of(out), address_of(tags)
    assert plain.poll(*place, 1, 1) == Status.READER_FENCED
    assert (reader.laps, int(reader.block["position"])) == (0, 0)


SCRIPT = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 5), st.integers(0, 300)),
        st.tuples(st.just("parts"), st.integers(1, 2), st.integers(0, 2)),
        st.tuples(st.just("each"), st.integers(0, 20), st.just(0)),
        st.tuples(st.just("poll"), st.integers(0, 4), st.integers(0, 3)),
        st.tuples(st.just("join"), st.integers(0, 1), st.just(0)),
    ),
    max_size=25,
)


def play(
    kernels: ModuleType, script: list[tuple[str, int, int]], ring: OverwritingRing | RefusingRing
) -> list[int]:
    """Answers of a script of kernel calls, and every word it left behind."""
    source = np.arange(20 * N_WORDS, dtype=np.int64)
    out, tags = np.zeros(4 * N_WORDS, np.int64), np.zeros(4, np.int64)
    cursor = np.zeros(HOT_BYTES // 8, np.int64)
    reader = ring.reader("gate", 0).address if isinstance(ring, RefusingRing) else address_of(cursor)
    left: list[int] = []
    for what, a, b in script:
        if what == "publish":
            left.append(kernels.publish(ring.address, address_of(source), a, b))
        elif what == "parts":
            left.append(
                kernels.publish_parts(ring.address, address_of(source), a, address_of(source) + 96, b, 0)
            )
        elif what == "each":
            left.append(kernels.publish_each(ring.address, address_of(source), a, 0))
        elif what == "join":
            left.append(kernels.join(ring.address, address_of(cursor), a))
        else:
            left.append(kernels.poll(ring.address, reader, address_of(out), address_of(tags), a, b))
    return [*left, *ring.segment.words().tolist(), *out.tolist(), *tags.tolist(), *cursor.tolist()]


@given(SCRIPT, st.booleans())
def test_plain_and_compiled_leave_the_same_words(
    plain_twin: PlainTwin, script: list[tuple[str, int, int]], refusing: bool
) -> None:
    def make() -> OverwritingRing | RefusingRing:
        if refusing:
            return RefusingRing.create(16, WIDTH, ("gate",))
        return OverwritingRing.create(16, WIDTH)

    assert play(cells, script, make()) == play(plain_twin("shm.cells"), script, make())


def test_a_poll_writes_what_it_brings_and_no_more() -> None:
    ring = OverwritingRing.create(CAPACITY, WIDTH)
    reader = ring.reader()
    publish(ring, 5, 6)
    out, tags = np.full(4 * N_WORDS, -7, np.int64), np.full(4, -7, np.int64)
    assert cells.poll(ring.address, reader.address, address_of(out), address_of(tags), 2, 1) == 2
    assert out.tolist() == [5] * N_WORDS + [6] * N_WORDS + [-7] * 2 * N_WORDS
    assert tags[2:].tolist() == [-7, -7]
    assert rings.cell_index(int(tags[1])) == 1
