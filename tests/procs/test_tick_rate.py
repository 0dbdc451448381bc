"""Time that passed by the processor's counter."""

from __future__ import annotations

from engine.jit import kernel
from procs.tick_rate import NS_PER_TICK_SHIFT, SPENT_TICKS_MAX, spent_ns
from shm.atomics import read_ticks

ONE_NS = 1 << NS_PER_TICK_SHIFT


@kernel
def spent(ticks_ago: int, rate: int) -> int:
    return spent_ns(read_ticks() - ticks_ago, rate)


def test_what_passed_counts_at_its_rate_and_nothing_without_one() -> None:
    assert spent(1 << 30, ONE_NS) >= 1 << 30
    assert spent(1 << 30, 2 * ONE_NS) >= 1 << 31
    assert spent(1 << 30, 0) == 0


def test_a_process_that_was_stopped_is_late_and_never_early() -> None:
    """Ten minutes of ticks times their rate pass 2**63; a time before now would make every book fresh."""
    for rate in (ONE_NS, 8 * ONE_NS, 40 * ONE_NS):
        assert (1 << 41) <= spent(1 << 41, rate) * ONE_NS // rate < (1 << 42)
    for ticks_ago in (SPENT_TICKS_MAX, 1 << 61):
        assert spent(ticks_ago, 8 * ONE_NS) == 8 * SPENT_TICKS_MAX
