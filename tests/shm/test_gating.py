"""Room in a ring, and who is waited for: kernels on a bare ring header."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shm.atomics import address_of
from shm.gating import NOBODY, POSITION_AT, READERS_AT, STATE_AT, admit, fence_silent, gate_position
from shm.layout import HOT_BYTES, RING, ReaderState, SegmentKind, Status
from tests.plain_twin import PlainTwin
from tests.shm.orders import Orders

CAPACITY = 16
STATES = st.sampled_from([ReaderState.DECLARED, ReaderState.JOINED, ReaderState.FENCED])
GATES = st.lists(st.tuples(STATES, st.integers(0, 40), st.integers(0, 100)), min_size=1, max_size=8)

Header = NDArray[np.void]


def header_of(gates: list[tuple[ReaderState, int, int]], head: int = 40, gate: int = 0) -> Header:
    """Header of a refusing ring with readers of (state, position, heartbeat)."""
    header: Header = np.zeros(RING.itemsize // 8, np.int64).view(RING)
    header["kind"] = SegmentKind.REFUSING_RING
    header["capacity"] = CAPACITY
    header["message_cells_max"] = 4
    header["n_gating"] = len(gates)
    header["head"] = head
    header["gate_position"] = gate
    for at, (state, position, heartbeat_ns) in enumerate(gates):
        block = header["readers"][0][at]
        block["state"], block["position"], block["heartbeat_ns"] = state, position, heartbeat_ns
    return header


@given(GATES)
def test_the_oldest_reader_that_is_not_fenced(gates: list[tuple[ReaderState, int, int]]) -> None:
    waited_for = [position for state, position, _ in gates if state != ReaderState.FENCED]
    header = header_of(gates)  # lives as long as its address is used
    assert gate_position(address_of(header)) == min(waited_for, default=NOBODY)


def test_readers_beyond_the_declared_ones_do_not_count() -> None:
    header = header_of([(ReaderState.JOINED, 30, 0), (ReaderState.JOINED, 5, 0)])
    header["n_gating"] = 1
    assert gate_position(address_of(header)) == 30


@given(GATES, st.integers(1, 4), st.integers(0, 40))
def test_admission(gates: list[tuple[ReaderState, int, int]], n_cells: int, gate: int) -> None:
    header = header_of(gates, 40, gate)
    waited_for = [position for state, position, _ in gates if state != ReaderState.FENCED]
    answer = admit(address_of(header), n_cells)
    if 40 + n_cells - CAPACITY <= gate:
        assert answer == 40, "the gate last seen leaves room: nobody is asked"
        assert header["gate_position"][0] == gate
    elif not waited_for:
        assert answer == Status.REFUSED_FENCED
        assert header["gate_position"][0] == gate
    else:
        assert answer == (40 if 40 + n_cells - CAPACITY <= min(waited_for) else Status.REFUSED_FULL)
        assert header["gate_position"][0] == min(waited_for)
    assert header["refused_full"][0] == (answer == Status.REFUSED_FULL)
    assert header["refused_fenced"][0] == (answer == Status.REFUSED_FENCED)
    assert header["refused_size"][0] == 0


@pytest.mark.parametrize(("n_cells", "answer"), [(0, -1), (-1, -1), (1, 40), (4, 40), (5, -1)])
def test_message_bounds(n_cells: int, answer: int) -> None:
    header = header_of([(ReaderState.JOINED, 40, 0)])
    assert admit(address_of(header), n_cells) == answer
    assert header["refused_size"][0] == (answer < 0)


def test_an_overwriting_ring_asks_nobody() -> None:
    header = header_of([], 1000)
    header["kind"] = SegmentKind.OVERWRITING_RING
    assert admit(address_of(header), 4) == 1000
    assert admit(address_of(header), 5) == Status.REFUSED_SIZE


def test_refusals_add_up() -> None:
    header = header_of([(ReaderState.JOINED, 0, 0)])
    for _ in range(3):
        admit(address_of(header), 1)
        admit(address_of(header), 9)
    assert (header["refused_full"][0], header["refused_size"][0]) == (3, 3)


@given(GATES, st.integers(0, 150), st.integers(0, 60))
def test_fencing(gates: list[tuple[ReaderState, int, int]], now_ns: int, silent_ns_max: int) -> None:
    header = header_of(gates, 40, 33)
    silent = [state == ReaderState.JOINED and now_ns - beat > silent_ns_max for state, _, beat in gates]
    assert fence_silent(address_of(header), now_ns, silent_ns_max) == sum(silent)
    after = [ReaderState(int(state)) for state in header["readers"]["state"][0][: len(gates)]]
    assert after == [
        ReaderState.FENCED if gone else state for gone, (state, _, _) in zip(silent, gates, strict=True)
    ]
    assert header["fenced"][0] == sum(silent)
    assert header["gate_position"][0] == (40 - CAPACITY if any(silent) else 33), (
        "the gate is looked at afresh"
    )


@pytest.mark.parametrize("before", [ReaderState.DECLARED, ReaderState.FENCED])
@pytest.mark.parametrize("accesses", range(6))
def test_a_reader_that_joins_meanwhile_is_not_judged_by_its_past(
    plain_twin: PlainTwin, monkeypatch: pytest.MonkeyPatch, before: ReaderState, accesses: int
) -> None:
    """Its heartbeat may be read before it beats, or its state after it joined, but not both."""
    plain = plain_twin("shm.gating")
    header = header_of([(before, 40, 0)])
    left = [accesses]

    def hooked(original: Callable[..., int]) -> Callable[..., int]:
        def access(address: int, *values: int) -> int:
            if left[0] == 0:
                header["readers"]["heartbeat_ns"][0][0] = 1_000
                header["readers"]["state"][0][0] = ReaderState.JOINED
            left[0] -= 1
            return original(address, *values)

        return access

    for name in ("load_relaxed", "load_acquire", "compare_exchange"):
        monkeypatch.setattr(plain, name, hooked(getattr(plain, name)))
    assert plain.fence_silent(address_of(header), 1_000, 100) == 0


def test_fences_add_up() -> None:
    header = header_of([(ReaderState.JOINED, 0, 0), (ReaderState.JOINED, 0, 50)])
    assert [fence_silent(address_of(header), now_ns, 10) for now_ns in (11, 12, 61)] == [1, 0, 1]
    assert header["fenced"][0] == 2


@given(GATES, st.integers(0, 5), st.integers(0, 40), st.integers(0, 150))
def test_plain_and_compiled_leave_the_same_words(
    plain_twin: PlainTwin, gates: list[tuple[ReaderState, int, int]], n_cells: int, gate: int, now_ns: int
) -> None:
    plain = plain_twin("shm.gating")
    one, other = header_of(gates, 40, gate), header_of(gates, 40, gate)
    a, b = address_of(one), address_of(other)
    assert gate_position(a) == plain.gate_position(b)
    assert admit(a, n_cells) == plain.admit(b, n_cells)
    assert fence_silent(a, now_ns, 20) == plain.fence_silent(b, now_ns, 20)
    assert admit(a, n_cells) == plain.admit(b, n_cells)
    assert one.tobytes() == other.tobytes()


def test_readers_are_acquired_and_a_fence_follows_who_is_left_behind(
    plain_twin: PlainTwin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place is read behind its state, a heartbeat too; who is left behind is told before."""
    plain = plain_twin("shm.gating")
    header = header_of([(ReaderState.JOINED, 30, 0), (ReaderState.JOINED, 31, 0)])
    ring = address_of(header)
    blocks = [ring + READERS_AT + reader * HOT_BYTES for reader in range(2)]
    orders = Orders(monkeypatch, plain)
    plain.gate_position(ring)
    asked = [(block + STATE_AT, block + POSITION_AT) for block in blocks]
    assert orders.take_all() == [("load_acquire", address) for pair in asked for address in pair]
    assert plain.fence_silent(ring, 10, 5) == 2
    states = [("load_acquire", block + STATE_AT) for block in blocks]
    assert orders.take_all() == [*states, ("fence_release", 0)]
