"""Both rings against a plain-list model under random schedules: laps, refusals, fences, large messages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule
from numpy.typing import NDArray

from shm import cells
from shm import ring as module
from shm.errors import LayoutMismatch, RingRefused, ShmError
from shm.layout import CAPACITY_CELLS_MAX, PAYLOAD_BYTES, RING, ReaderState, Status
from shm.ring import OverwritingRing, Reader, RefusingRing
from tests.plain_twin import kernels_are_plain
from tests.shm.ring_model import Message, ModelReader, ModelRing

SMALL = np.dtype([("number", "<i8"), ("words", "<i8", (5,))])
WIDE = np.dtype([("number", "<i8"), ("words", "<i8", (13,))])
SILENT_NS_MAX = 100
ROOM = 40


def records_of(dtype: np.dtype[np.void], numbers: tuple[int, ...]) -> NDArray[np.void]:
    records = np.zeros(len(numbers), dtype)
    records["number"] = numbers
    records["words"] = np.array(numbers, np.int64)[:, None] * 3 + 1
    return records


def messages_in(records: NDArray[np.void], tags: NDArray[np.int64]) -> list[Message]:
    """Cut what a poll brought into messages, and hold payloads against their numbers."""
    assert (records["words"] == records["number"][:, None] * 3 + 1).all(), "torn"
    found: list[Message] = []
    at = 0
    while at < len(records):
        n_cells = module.message_cells(tags[at])
        assert [module.cell_index(tag) for tag in tags[at : at + n_cells]] == list(range(n_cells))
        rows = tuple(records["number"][at : at + n_cells].tolist())
        found.append(Message(rows, module.message_flags(tags[at])))
        at += n_cells
    assert at == len(records), "part of a message was handed out"
    return found


class RingSchedules(RuleBasedStateMachine):
    """Random calls on a ring and its model, which must agree on everything that can be seen."""

    readers: Bundle[tuple[Reader, ModelReader]] = Bundle("readers")
    ring: OverwritingRing | RefusingRing
    model: ModelRing

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0
        self.now_ns = 0
        self.dtype = SMALL

    @initialize(
        capacity=st.sampled_from([8, 16, 32]),
        wide=st.booleans(),
        bound=st.one_of(st.none(), st.just(1), st.just(2)),
        gates=st.integers(0, 3),
    )
    def create(self, capacity: int, wide: bool, bound: int | None, gates: int) -> None:
        self.dtype = WIDE if wide else SMALL
        width = self.dtype.itemsize
        self.model = ModelRing(capacity, bound or capacity // 4)
        if gates:
            names = [f"gate{gate}" for gate in range(gates)]
            self.ring = RefusingRing.create(capacity, width, names, message_cells_max=bound)
            self.model.gates = [ModelReader(0, 0, gating=True, joined=False) for _ in names]
        else:
            self.ring = OverwritingRing.create(capacity, width, message_cells_max=bound)

    def next_numbers(self, n: int) -> tuple[int, ...]:
        self.numbers += n
        return tuple(range(self.numbers - n, self.numbers))

    @rule(n=st.integers(0, 9), flags=st.integers(0, 255))
    def publish(self, n: int, flags: int) -> None:
        numbers = self.next_numbers(n)
        answer = self.ring.publish(records_of(self.dtype, numbers), flags=flags)
        assert answer == self.model.publish(numbers, flags)

    @rule(n_head=st.integers(0, 3), n_tail=st.integers(0, 6))
    def publish_head_and_tail(self, n_head: int, n_tail: int) -> None:
        head, tail = self.next_numbers(n_head), self.next_numbers(n_tail)
        answer = self.ring.publish(records_of(self.dtype, head), records_of(self.dtype, tail))
        assert answer == self.model.publish(head + tail, 0)

    @rule(n=st.integers(0, 40), flags=st.integers(0, 255))
    def publish_each(self, n: int, flags: int) -> None:
        numbers = self.next_numbers(n)
        expected = 0
        for number in numbers:
            if not self.model.publish((number,), flags):
                break
            expected += 1
        assert self.ring.publish_each(records_of(self.dtype, numbers), flags=flags) == expected

    @rule(target=readers, from_oldest=st.booleans(), batch=st.sampled_from([1, ROOM]))
    def observe(self, from_oldest: bool, batch: int) -> tuple[Reader, ModelReader]:
        return self.observer(from_oldest, batch)

    def observer(self, from_oldest: bool, batch: int) -> tuple[Reader, ModelReader]:
        reader = self.ring.observer(from_oldest=from_oldest, batch_cells=batch)
        return reader, self.model.join(from_oldest=from_oldest)

    @rule(target=readers, gate=st.integers(0, 2))
    def join(self, gate: int) -> tuple[Reader, ModelReader]:
        if gate >= len(self.model.gates) or self.model.gates[gate].joined:
            return self.observer(True, ROOM)
        assert isinstance(self.ring, RefusingRing)
        model = self.model.gates[gate]
        reader = self.ring.reader(f"gate{gate}", self.now_ns, batch_cells=ROOM)
        model.joined = True
        model.heartbeat_ns = self.now_ns
        return reader, model

    @rule(pair=readers, messages_max=st.sampled_from([0, 1, 2, 1 << 62]))
    def poll(self, pair: tuple[Reader, ModelReader], messages_max: int) -> None:
        reader, model = pair
        expected = self.model.poll(model, reader.room_cells, messages_max)
        n_cells = reader.poll(messages_max)
        if expected is None:
            assert n_cells == Status.READER_FENCED
        else:
            got = reader.records(self.dtype)[: max(n_cells, 0)]
            assert messages_in(got, reader.tags) == expected

    @rule(pair=readers, room=st.integers(0, 9))
    def read_into(self, pair: tuple[Reader, ModelReader], room: int) -> None:
        reader, model = pair
        out = np.zeros(room, self.dtype)
        expected = self.model.poll(model, min(room, reader.room_cells), 1 << 62)
        if expected is None and not model.fenced:
            with pytest.raises(ValueError, match=f"more than the {room} records"):
                reader.read(out)
            return
        n_cells = reader.read(out)
        if expected is None:
            assert n_cells == Status.READER_FENCED
        else:
            assert messages_in(out[:n_cells], reader.tags) == expected

    @rule(step_ns=st.integers(0, 80))
    def time_passes(self, step_ns: int) -> None:
        self.now_ns += step_ns

    @rule(pair=readers)
    def beat(self, pair: tuple[Reader, ModelReader]) -> None:
        pair[0].beat(self.now_ns)
        pair[1].heartbeat_ns = self.now_ns

    @precondition(lambda self: isinstance(self.ring, RefusingRing))
    @rule()
    def fence(self) -> None:
        assert isinstance(self.ring, RefusingRing)
        expected = self.model.fence_silent(self.now_ns, SILENT_NS_MAX)
        assert self.ring.fence_silent(self.now_ns, SILENT_NS_MAX) == expected

    @rule(pair=readers)
    def rejoin(self, pair: tuple[Reader, ModelReader]) -> None:
        reader, model = pair
        assert reader.rejoin(self.now_ns) == self.model.rejoin(model, self.now_ns)
        self.see(pair)

    @rule(pair=readers)
    def see(self, pair: tuple[Reader, ModelReader]) -> None:
        reader, model = pair
        starts = self.model.starts
        assert (reader.lost_messages, reader.lost_cells) == (model.lost_messages, model.lost_cells)
        assert reader.laps == model.laps
        assert reader.lag_cells == self.model.head - starts[model.next]
        assert reader.received_messages == model.next - model.first - model.lost_messages
        assert reader.received_cells == starts[model.next] - starts[model.first] - model.lost_cells
        if model.gating:
            assert reader.state == (ReaderState.FENCED if model.fenced else ReaderState.JOINED)
        else:
            assert reader.state == ReaderState.OBSERVING

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "ring"):
            assert self.ring.published_cells == self.model.head
            assert self.ring.published_messages == len(self.model.log)
            assert self.ring.refusals == {
                "size": self.model.refused_size,
                "full": self.model.refused_full,
                "fenced": self.model.refused_fenced,
            }


RingSchedules.TestCase.settings = settings(
    max_examples=40 if kernels_are_plain() else 120, stateful_step_count=50
)
TestRingSchedules = RingSchedules.TestCase


def test_one_message_of_head_and_legs() -> None:
    ring = OverwritingRing.create(32, WIDE.itemsize)
    reader = ring.reader()
    head, legs = np.zeros(1, WIDE), np.zeros(5, np.dtype([("leg", "<i8"), ("words", "<i8", (13,))]))
    head["number"], legs["leg"] = 7, [10, 11, 12, 13, 14]
    assert ring.publish(head, legs[1:4], flags=3)
    assert reader.poll() == 4
    assert [module.cell_index(tag) for tag in reader.tags[:4]] == [0, 1, 2, 3]
    assert {module.message_cells(tag) for tag in reader.tags[:4]} == {4}
    assert {module.message_flags(tag) for tag in reader.tags[:4]} == {3}
    assert reader.records(WIDE)[0]["number"] == 7
    assert reader.records(legs.dtype)[1:4]["leg"].tolist() == [11, 12, 13]


def test_a_lapped_reader_keeps_three_quarters() -> None:
    ring = OverwritingRing.create(16, SMALL.itemsize)
    reader = ring.reader()
    for number in range(20):
        assert ring.publish(records_of(SMALL, (number,)))
    assert reader.poll() == 12
    assert reader.records(SMALL)["number"][:12].tolist() == list(range(8, 20))
    assert (reader.laps, reader.lost_messages, reader.lost_cells, reader.received_messages) == (1, 8, 8, 12)


def test_a_full_ring_behind_is_not_lapped() -> None:
    ring = OverwritingRing.create(16, SMALL.itemsize)
    reader = ring.reader()
    assert ring.publish_each(records_of(SMALL, tuple(range(16)))) == 16
    assert reader.poll() == 16
    assert (reader.laps, reader.lost_messages) == (0, 0)


def test_a_poll_without_a_bound_takes_256_cells() -> None:
    ring = OverwritingRing.create(512, SMALL.itemsize)  # whose largest message has fewer
    reader = ring.reader()
    assert ring.publish_each(records_of(SMALL, tuple(range(300)))) == 300
    assert [reader.poll(), reader.poll()] == [256, 44]


def test_the_buffer_holds_the_largest_message() -> None:
    ring = OverwritingRing.create(1024, SMALL.itemsize)
    reader = ring.reader(batch_cells=1)
    assert ring.publish(records_of(SMALL, tuple(range(256))))
    assert reader.poll() == 256
    assert not ring.publish(records_of(SMALL, tuple(range(257))))
    assert ring.refusals == {"size": 1, "full": 0, "fenced": 0}


def test_the_slowest_gating_reader_decides() -> None:
    ring = RefusingRing.create(8, SMALL.itemsize, ("executor", "ledger"))
    executor, ledger = ring.reader("executor", 0), ring.reader("ledger", 0)
    assert ring.publish_each(records_of(SMALL, tuple(range(9)))) == 8
    assert executor.poll() == 8
    assert not ring.publish(records_of(SMALL, (8,)))
    assert ledger.poll(3) == 3
    assert ring.publish_each(records_of(SMALL, tuple(range(8, 20)))) == 3
    assert ring.refusals["full"] == 3
    assert executor.lost_messages == ledger.lost_messages == 0


def test_nothing_is_lost_before_a_reader_joins() -> None:
    ring = RefusingRing.create(8, SMALL.itemsize, ("executor",))
    assert ring.publish_each(records_of(SMALL, tuple(range(20)))) == 8
    reader = ring.reader("executor", 5)
    assert reader.poll() == 8
    assert reader.records(SMALL)["number"][:8].tolist() == list(range(8))
    assert int(reader.block["heartbeat_ns"]) == 5


def test_an_observer_stops_nothing() -> None:
    ring = RefusingRing.create(8, SMALL.itemsize, ("executor",))
    observer, executor = ring.observer(), ring.reader("executor", 0)
    for number in range(30):
        assert ring.publish(records_of(SMALL, (number,)))
        assert executor.poll() == 1
    assert observer.poll() == 6
    assert (observer.lost_messages, observer.laps, executor.lost_messages) == (24, 1, 0)


def test_a_silent_reader_is_fenced_and_told() -> None:
    ring = RefusingRing.create(8, SMALL.itemsize, ("executor", "ledger"))
    executor, ledger = ring.reader("executor", 1000), ring.reader("ledger", 1000)
    ring.publish_each(records_of(SMALL, tuple(range(8))))
    ledger.poll()
    ledger.beat(1200)
    assert ring.fence_silent(1100, 100) == 0
    assert ring.fence_silent(1101, 100) == 1
    assert ring.fence_silent(1101, 100) == 0
    assert (executor.state, ledger.state, ring.fenced) == (ReaderState.FENCED, ReaderState.JOINED, 1)
    assert executor.poll() == Status.READER_FENCED
    assert ring.publish(records_of(SMALL, (8,))), "the fenced reader gates no more"
    assert executor.rejoin(1300)
    assert (executor.lost_messages, executor.state) == (9, ReaderState.JOINED)
    assert ring.publish(records_of(SMALL, (9,)))
    assert executor.poll() == 1
    assert executor.records(SMALL)["number"][0] == 9
    assert not executor.rejoin(1300)


def test_a_fenced_reader_with_nothing_new_is_told_as_well() -> None:
    ring = RefusingRing.create(8, SMALL.itemsize, ("executor", "ledger"))
    executor, ledger = ring.reader("executor", 0), ring.reader("ledger", 1000)
    for message in range(11):
        assert ring.publish(records_of(SMALL, (message,)))
        assert (executor.poll(), executor.poll()) == (1, 0)
        assert ledger.poll() == 1
    assert ring.fence_silent(500, 100) == 1
    assert executor.poll() == Status.READER_FENCED
    assert executor.rejoin(600)
    assert (executor.poll(), executor.lost_messages) == (0, 0)
    assert ring.publish(records_of(SMALL, (11,)))
    assert (executor.poll(), ledger.poll()) == (1, 1)


def test_a_ring_without_gating_readers_refuses() -> None:
    ring = RefusingRing.create(8, SMALL.itemsize, ("executor",))
    reader = ring.reader("executor", 0)
    assert ring.publish(records_of(SMALL, (0,)))
    assert ring.fence_silent(10, 5) == 1
    assert not ring.publish(records_of(SMALL, (1,)))
    assert ring.refusals == {"size": 0, "full": 0, "fenced": 1}
    again = ring.reader("executor", 20)
    assert again.state == ReaderState.FENCED
    assert again.rejoin(20)
    assert ring.publish(records_of(SMALL, (2,)))
    assert again.poll() == reader.block["position"] - 1 == 1


def test_a_gating_reader_joins_once() -> None:
    ring = RefusingRing.create(8, SMALL.itemsize, ("executor",))
    ring.reader("executor", 0)
    with pytest.raises(RingRefused, match="has joined already"):
        ring.reader("executor", 150)
    assert ring.fence_silent(200, 100) == 1, "who is refused does not beat for the one that has joined"
    with pytest.raises(RingRefused, match="'ledger' is not a gating reader of this ring; declared: executor"):
        ring.reader("ledger", 0)


def test_of_two_that_join_at_once_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = RefusingRing.create(8, SMALL.itemsize, ("executor",))
    original = module.change_state

    def second(cursor: int, expected: int, desired: int) -> int:
        assert original(cursor, expected, desired) == 1, "the first"
        return original(cursor, expected, desired)

    monkeypatch.setattr(module, "change_state", second)
    with pytest.raises(RingRefused, match="has joined already"):
        ring.reader("executor", 0)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ((), "1 to 8 readers"),
        (tuple("abcdefghi"), "1 to 8 readers"),
        (("a", "a"), "each named once"),
        (("",), "1 to 32 ASCII"),
        (("x" * 33,), "1 to 32 ASCII"),
        (("\u00e9",), "1 to 32 ASCII"),
    ],
)
def test_refused_gating_readers(names: tuple[str, ...], why: str) -> None:
    with pytest.raises(RingRefused, match=why):
        RefusingRing.create(8, SMALL.itemsize, names)


def test_eight_gating_readers_of_32_characters() -> None:
    names = [f"{number}" * 32 for number in range(8)]
    ring = RefusingRing.create(8, SMALL.itemsize, names)
    readers = [ring.reader(name, 0) for name in names]
    ring.publish_each(records_of(SMALL, tuple(range(8))))
    assert [reader.poll() for reader in readers[:7]] == [8] * 7
    assert not ring.publish(records_of(SMALL, (8,)))
    assert readers[7].poll() == 8
    assert ring.publish(records_of(SMALL, (8,)))


@pytest.mark.parametrize(
    ("capacity", "width", "bound", "why"),
    [
        (12, 48, None, "not a power of two"),
        (4, 48, None, "not a power of two from 8"),
        (CAPACITY_CELLS_MAX * 2, 48, None, "not a power of two from 8"),
        (8, 64, None, "not 64"),
        (8, 48, 0, "carries 1 to 2"),
        (8, 48, 3, "carries 1 to 2"),
        (CAPACITY_CELLS_MAX, 48, 65536, "carries 1 to 65535"),
    ],
)
def test_refused_declarations(capacity: int, width: int, bound: int | None, why: str) -> None:
    with pytest.raises(RingRefused, match=why):
        OverwritingRing.create(capacity, width, message_cells_max=bound)


def test_records_of_another_width() -> None:
    ring = OverwritingRing.create(8, SMALL.itemsize)
    reader = ring.reader()
    narrow, wide = records_of(SMALL, (1,)), records_of(WIDE, (1,))
    calls = (
        lambda: ring.publish(wide),
        lambda: ring.publish(narrow, wide),
        lambda: ring.publish_each(wide),
        lambda: reader.read(wide),
        lambda: reader.records(WIDE),
    )
    for call in calls:
        with pytest.raises(ValueError, match="records are 112 bytes wide, cells of this ring carry 48"):
            call()
    assert ring.published_messages == 0


def test_strided_records_are_refused() -> None:
    ring = OverwritingRing.create(8, SMALL.itemsize)
    with pytest.raises(ValueError, match="C-contiguous"):
        ring.publish(records_of(SMALL, (1, 2, 3, 4))[::2])


def test_other_processes_attach_by_name(tmp_path: Path) -> None:
    mine = RefusingRing.create(8, SMALL.itemsize, ("ledger",), name="events", directory=tmp_path, epoch=3)
    other = RefusingRing.attach("events", SMALL.itemsize, tmp_path, epoch=3)
    reader = other.reader("ledger", 0)
    assert mine.publish_each(records_of(SMALL, tuple(range(12)))) == 8
    assert reader.poll() == 8
    assert mine.publish(records_of(SMALL, (8,))), "the reader's place lies in the segment"
    assert (other.capacity, other.published_messages) == (8, 9)
    with pytest.raises(LayoutMismatch, match="layout_hash"):
        RefusingRing.attach("events", WIDE.itemsize, tmp_path)
    with pytest.raises(LayoutMismatch, match="kind is 2, expected 1"):
        OverwritingRing.attach("events", SMALL.itemsize, tmp_path)
    with pytest.raises(LayoutMismatch, match="epoch is 3, expected 4"):
        RefusingRing.attach("events", SMALL.itemsize, tmp_path, epoch=4)


def test_a_reader_that_cannot_catch_the_producer(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = OverwritingRing.create(8, SMALL.itemsize)
    monkeypatch.setattr(cells, "join", lambda *_: 0)
    with pytest.raises(ShmError, match="overtook a reader"):
        ring.observer()


def test_the_hash_knows_the_width() -> None:
    hashes = {module.ring_layout_hash(width) for width in PAYLOAD_BYTES}
    assert len(hashes) == 2


def test_cells_start_on_a_hot_boundary() -> None:
    ring = OverwritingRing.create(8, SMALL.itemsize)
    assert (ring.address + RING.itemsize) % 128 == 0


def test_every_reader_has_its_own_hot_line() -> None:
    ring = RefusingRing.create(8, SMALL.itemsize, ("executor", "ledger"))
    readers = [ring.observer(), ring.observer(), ring.reader("executor", 0), ring.reader("ledger", 0)]
    places = {reader.address for reader in readers}
    assert len(places) == 4
    assert all(place % 128 == 0 for place in places)
