"""Death between any two stores: of a producer in its message, of who repairs, of a reader in its poll."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from shm import adoption, cells, gating
from shm.atomics import address_of
from shm.layout import EPOCHS_KEPT, ORDINAL_MASK, PAYLOAD_BYTES, RING, offset_of
from shm.ring import OverwritingRing, Reader, RefusingRing, cell_index, message_cells
from tests.plain_twin import PlainTwin
from tests.shm.dying import dying
from tests.shm.orders import Orders

CAPACITY = 16
LARGEST = CAPACITY // 4
WORDS = PAYLOAD_BYTES[0] // 8
RECORD = np.dtype([("number", "<i8"), ("rest", "<i8", (WORDS - 1,))])
BEFORE = [0, 1, 3, 14, 15, 40]  # cells published when the fatal message begins: at every kind of place
STORES_MAX = 200

Ring = OverwritingRing | RefusingRing
Plain = tuple[ModuleType, ...]


@pytest.fixture(scope="module")
def plain(plain_twin: PlainTwin) -> Plain:
    """Plain copies: cells, gating, adoption."""
    return plain_twin("shm.cells"), plain_twin("shm.gating"), plain_twin("shm.adoption")


def message(first: int, size: int) -> NDArray[np.void]:
    """Records that say which cell of the ring they were published in."""
    records = np.zeros(size, RECORD)
    records["number"] = first + np.arange(size)
    records["rest"] = records["number"][:, None] * 7 + np.arange(WORDS - 1)
    return records


def publish(ring: Ring, size: int) -> None:
    assert ring.publish(message(ring.published_cells, size))


def fill(ring: Ring, reader: Reader, n_cells: int) -> None:
    """Publish messages of 1 cell, all of them read."""
    for _ in range(n_cells):
        publish(ring, 1)
        assert reader.poll() == 1


def take(reader: Reader) -> list[list[int]]:
    """Numbers of every waiting message, each whole and untorn."""
    found: list[list[int]] = []
    while (n_cells := reader.poll()) > 0:
        records = reader.records(RECORD)[:n_cells]
        assert (records["rest"] == records["number"][:, None] * 7 + np.arange(WORDS - 1)).all(), "torn"
        for record, tag in zip(records["number"].tolist(), reader.tags[:n_cells].tolist(), strict=True):
            if cell_index(tag) == 0:
                found.append([])
            found[-1].append(record)
            assert len(found[-1]) == cell_index(tag) + 1 <= message_cells(tag)
    assert n_cells == 0
    return found


def make(kind: type[Ring]) -> tuple[Ring, Reader]:
    if kind is RefusingRing:
        ring = RefusingRing.create(CAPACITY, PAYLOAD_BYTES[0], ("reader",))
        return ring, ring.reader("reader", 0)
    other = OverwritingRing.create(CAPACITY, PAYLOAD_BYTES[0])
    return other, other.reader()


def die_in_publish(plain: Plain, ring: Ring, size: int, stores: int) -> bool:
    """Begin a message and die at store number ``stores``; whether it died."""
    records = message(ring.published_cells, size)
    finished = []
    with dying(plain, stores):
        plain[0].publish(ring.address, address_of(records), size, 0)
        finished.append(True)
    return not finished


def is_whole(ring: Ring, position: int) -> bool:
    """Whether the first cell at ``position`` says that its message was published."""
    object_words = ring.segment.words()
    return bool(object_words[(RING.itemsize + position % CAPACITY * 64) >> 3] == 2 * position + 2)


def unwritten(ring: Ring, head: int) -> bool:
    """Whether the cells behind ``head`` are each being written, or as the lap before left them."""
    for position in range(head, head + LARGEST):
        sequence = int(ring.segment.words()[(RING.itemsize + position % CAPACITY * 64) >> 3])
        if sequence != 2 * position + 1 and sequence > max(2 * (position - CAPACITY) + 2, 0):
            return False
    return True


@pytest.mark.parametrize("kind", [OverwritingRing, RefusingRing])
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("size", [1, 2, LARGEST])
def test_a_producer_that_dies_anywhere(plain: Plain, kind: type[Ring], before: int, size: int) -> None:
    """What was published stays, what was not is never seen, and the next, shorter message is not mistaken."""
    rolled_over = 0
    for stores in range(STORES_MAX):
        ring, reader = make(kind)
        fill(ring, reader, before)
        if not die_in_publish(plain, ring, size, stores):
            break
        was_published = is_whole(ring, before)
        early = take(reader) if stores % 2 else []
        assert early in ([], [list(range(before, before + size))])
        head_was = ring.published_cells
        assert adoption.repair(ring.address) == (size if was_published and head_was == before else 0)
        assert adoption.begin_epoch(ring.address) == 0
        rolled_over += was_published and head_was == before
        begins = before + size * was_published
        assert ring.published_cells == begins
        assert ring.published_messages == before + was_published
        assert unwritten(ring, begins)
        for _ in range(3):
            publish(ring, 1)
        expected = [list(range(before, begins))] if was_published else []
        assert early + take(reader) == [*expected, [begins], [begins + 1], [begins + 2]]
        assert reader.received_messages == ring.published_messages
        assert (reader.lost_messages, reader.laps, reader.lag_cells) == (0, 0, 0)
    else:
        pytest.fail("the message was never finished")
    assert rolled_over > 0, "no death between the last cell and the head"


def test_who_repairs_may_die_too(plain: Plain) -> None:
    for stores_of_first in range(STORES_MAX):
        for stores in range(STORES_MAX):
            ring, reader = make(OverwritingRing)
            fill(ring, reader, 14)
            if not die_in_publish(plain, ring, 3, stores_of_first):
                return
            was_published = is_whole(ring, 14)
            finished = []
            with dying(plain, stores):
                plain[2].repair(ring.address)
                plain[2].begin_epoch(ring.address)
                finished.append(True)
            adoption.repair(ring.address)
            adoption.begin_epoch(ring.address)
            publish(ring, 1)
            begins = 14 + 3 * was_published
            assert take(reader)[-1] == [begins]
            assert reader.received_messages == ring.published_messages == 15 + was_published
            if finished:
                break
    pytest.fail("the message was never finished")


def test_a_lapped_reader_finds_its_place_after_a_death(plain: Plain) -> None:
    """The dead one had marked cells that a slow reader was about to read."""
    for stores in range(STORES_MAX):
        ring, reader = make(OverwritingRing)
        for _ in range(CAPACITY):
            publish(ring, 1)
        if not die_in_publish(plain, ring, LARGEST, stores):
            return
        adoption.repair(ring.address)
        adoption.begin_epoch(ring.address)
        publish(ring, 1)
        got = take(reader)
        assert [number for numbers in got for number in numbers][-1] == ring.published_cells - 1
        assert len(got) + reader.lost_messages == ring.published_messages
        assert sum(map(len, got)) + reader.lost_cells == ring.published_cells
    pytest.fail("the message was never finished")


def test_the_count_of_messages_survives_its_own_bits() -> None:
    """Messages are counted beyond what a cell's header holds; the repair may not fall back by 2**23."""
    ring, reader = make(OverwritingRing)
    fill(ring, reader, 3)
    far = 5 * (ORDINAL_MASK + 1) + 3
    ring.header["messages"] = far
    for ahead in (0, 1):
        ring.header["messages"] = far + ahead
        adoption.repair(ring.address)
        assert ring.published_messages == far


def test_a_ring_that_nobody_reads_any_more_says_so_after_a_death() -> None:
    ring = RefusingRing.create(CAPACITY, PAYLOAD_BYTES[0], ("reader",))
    ring.reader("reader", 0)
    publish(ring, 1)
    ring.header["readers"]["state"][0] = gating.FENCED  # and it died before it looked at the gate again
    adoption.repair(ring.address)
    assert not ring.publish(message(1, 1))
    assert ring.refusals["fenced"] == 1


@pytest.mark.parametrize("takeovers", [1, 2, EPOCHS_KEPT, EPOCHS_KEPT + 3])
def test_a_poll_never_spans_two_epochs(takeovers: int) -> None:
    ring, reader = make(OverwritingRing)
    publish(ring, 1)
    for _ in range(takeovers):
        adoption.repair(ring.address)
        adoption.begin_epoch(ring.address)
        publish(ring, 1)
    batches = []
    while (n_cells := reader.poll()) > 0:
        batches.append((n_cells, reader.entered_epoch()))
    forgotten = max(takeovers - EPOCHS_KEPT, 0)
    assert [n_cells for n_cells, _ in batches] == [1 + forgotten] + [1] * min(takeovers, EPOCHS_KEPT)
    assert [entered for _, entered in batches] == [forgotten > 0] + [True] * min(takeovers, EPOCHS_KEPT)
    assert not reader.entered_epoch()


def test_a_takeover_during_a_poll_ends_it(plain: Plain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever load of the poll it comes before: no batch holds messages of both producers."""
    for loads in range(STORES_MAX):
        ring, reader = make(OverwritingRing)
        publish(ring, 1)
        publish(ring, 1)
        happened = take_over_at_load(plain[0], monkeypatch, ring, loads)
        tags, out = np.zeros(CAPACITY, np.int64), np.zeros(CAPACITY * WORDS, np.int64)
        place = ring.address, reader.address, address_of(out), address_of(tags), CAPACITY, CAPACITY
        batches = [plain[0].poll(*place), plain[0].poll(*place), plain[0].poll(*place)]
        monkeypatch.undo()
        assert sum(batches) == ring.published_cells
        assert batches[0] <= 2
        if not happened:
            return
    pytest.fail("the poll never ended")


def take_over_at_load(
    plain_cells: ModuleType, monkeypatch: pytest.MonkeyPatch, ring: Ring, loads: int
) -> list[int]:
    """Let another producer take over and publish just before load number ``loads``; what it did."""
    left = [loads]
    happened: list[int] = []
    for name in ("load_relaxed", "load_acquire"):
        original = getattr(plain_cells, name)

        def load(address: int, original: object = original) -> int:
            left[0] -= 1
            if left[0] == -1:
                happened.append(adoption.begin_epoch(ring.address))
                publish(ring, 1)
            return original(address)  # type: ignore[operator, no-any-return]

        monkeypatch.setattr(plain_cells, name, load)
    return happened


@pytest.mark.parametrize("waiting", [0, 1, 5, CAPACITY])
def test_a_reader_that_dies_anywhere(plain: Plain, waiting: int) -> None:
    """Its position tells what it was handed; the count follows it, and the rest comes once."""
    for stores in range(STORES_MAX):
        ring, reader = make(RefusingRing)
        fill(ring, reader, 3)
        for _ in range(waiting):
            publish(ring, 1)
        finished = []
        with dying(plain, stores):
            tags, out = np.zeros(CAPACITY, np.int64), np.zeros(CAPACITY * WORDS, np.int64)
            plain[0].poll(ring.address, reader.address, address_of(out), address_of(tags), CAPACITY, 2)
            finished.append(True)
        position = int(reader.block["position"])
        assert position in (3, min(5, 3 + waiting))
        assert adoption.take_up(ring.address, reader.address) == 1
        assert int(reader.block["ordinal"]) == position
        assert take(reader) == [[number] for number in range(position, 3 + waiting)]
        assert reader.received_messages == ring.published_messages
        if finished:
            return
    pytest.fail("the poll never ended")


def test_a_place_behind_a_long_message_is_counted() -> None:
    ring, reader = make(RefusingRing)
    for size in (4, 3, 4):
        publish(ring, size)
    assert reader.poll(2) == 7
    for uncounted in (0, 2, 9):
        reader.block["ordinal"] = uncounted
        assert adoption.take_up(ring.address, reader.address) == 1
        assert int(reader.block["ordinal"]) == 2
    assert reader.poll() == 4
    assert adoption.take_up(ring.address, reader.address) == 1
    assert int(reader.block["ordinal"]) == 3


def test_a_place_that_was_overwritten_cannot_be_counted() -> None:
    ring, reader = make(OverwritingRing)
    for _ in range(CAPACITY + 4):
        publish(ring, 1)
    assert adoption.take_up(ring.address, reader.address) == 1, "nothing is before position 0"
    reader.poll(1)
    for _ in range(2 * CAPACITY):
        publish(ring, 1)
    reader.block["ordinal"] = 77
    assert adoption.take_up(ring.address, reader.address) == 0
    assert int(reader.block["ordinal"]) == 77


def test_plain_and_compiled_leave_the_same_words(plain: Plain) -> None:
    for stores in range(STORES_MAX):
        made = [make(RefusingRing) for _ in range(2)]
        died = [die_in_publish(plain, ring, 3, stores) for ring, _ in made]
        for kernels, (ring, reader) in zip((adoption, plain[2]), made, strict=True):
            kernels.repair(ring.address)
            kernels.begin_epoch(ring.address)
            kernels.take_up(ring.address, reader.address)
        (one, _), (other, _) = made
        assert np.array_equal(one.segment.words(), other.segment.words())
        positions = range(6)
        assert [cells.epoch_number(one.address, at) for at in positions] == [
            plain[0].epoch_number(one.address, at) for at in positions
        ]
        if not any(died):
            return
    pytest.fail("the message was never finished")


def test_readers_learn_of_a_repair_in_order(plain: Plain, monkeypatch: pytest.MonkeyPatch) -> None:
    """The head after the count, and a takeover after the place where it begins."""
    ring, _ = make(OverwritingRing)
    publish(ring, 1)
    orders = Orders(monkeypatch, plain[2])
    plain[2].repair(ring.address)
    assert orders.take_all() == [("store_release", ring.address + offset_of(RING, "head"))]
    plain[2].begin_epoch(ring.address)
    assert orders.take_all() == [("store_release", ring.address + offset_of(RING, "adoptions"))]
