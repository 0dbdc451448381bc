"""Both rings against a plain-list model under random schedules: laps, refusals, fences, large messages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule
from numpy.typing import NDArray

from shm import ring as module
from shm.errors import LayoutMismatch, RingRefused, ShmError
from shm.layout import CAPACITY_CELLS_MAX, PAYLOAD_BYTES, RING, ReaderState, Status
from shm.ring import OverwritingRing, Reader, RefusingRing
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
        reader = self.ring.observer(from_oldest=from_oldest, batch_cells=batch)
        return reader, self.model.join(from_oldest=from_oldest)

    @rule(target=readers, gate=st.integers(0, 2))
    def join(self, gate: int) -> tuple[Reader, ModelReader]:
        if gate >= len(self.model.gates) or self.model.gates[gate].joined:
            return self.observe(True, ROOM)
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


RingSchedules.TestCase.settings = settings(max_examples=120, stateful_step_count=50)
TestRingSchedules = RingSchedules.TestCase
