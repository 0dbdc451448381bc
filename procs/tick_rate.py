"""How long a tick of the processor's counter is: what a kernel needs to tell how long its work took.

A kernel reads the counter where a clock would cost more than what it measures, and adds what passed to the
time it was called at. The rate is looked at again and again over all that has passed, without ever waiting.
"""

from __future__ import annotations

import time
from typing import Final

from engine.jit import inlined
from shm.atomics import read_ticks

NS_PER_TICK_SHIFT: Final = 24  # fraction bits of a rate
# Some months, of a process that was stopped: more is cut off to it.
SPENT_TICKS_MAX: Final = 1 << 56
LOOK_MASK: Final = 63  # whoever calls kernels all the time looks at one call in so many and one
LOOK_FROM_NS: Final = 1_000_000  # a shorter one says nothing
_PER_NS: Final = 1.0 / (1 << NS_PER_TICK_SHIFT)


@inlined
def spent_ns(began: int, rate: int) -> int:
    """Nanoseconds since the counter was at ``began``; 0 where nobody has said how long a tick is (rate 0).

    In floats, because ticks times their rate pass 2**63 after minutes.
    """
    return int(float(min(read_ticks() - began, SPENT_TICKS_MAX)) * float(rate) * _PER_NS)


class TickRate:
    """Counts from when it is made."""

    def __init__(self) -> None:
        self._began_ns, self._began_ticks = time.monotonic_ns(), read_ticks()

    def look(self) -> int:
        """Nanoseconds a tick, with NS_PER_TICK_SHIFT bits of fraction; 0 as long as nothing is known."""
        passed_ns = time.monotonic_ns() - self._began_ns
        ticks = read_ticks() - self._began_ticks
        return (passed_ns << NS_PER_TICK_SHIFT) // ticks if passed_ns >= LOOK_FROM_NS and ticks > 0 else 0
