"""How long a tick of the processor's counter is: what a kernel needs to tell how long its work took.

A kernel reads the counter where a clock would cost more than what it measures, and adds what passed to the
time it was called at. The rate is looked at again and again over all that has passed, without ever waiting.
"""

from __future__ import annotations

import time
from typing import Final

from procs.frame_kernels import NS_PER_TICK_SHIFT
from shm.atomics import read_ticks

LOOK_MASK: Final = 63  # whoever calls kernels all the time looks at one call in so many and one
LOOK_FROM_NS: Final = 1_000_000  # a shorter one says nothing


class TickRate:
    """Counts from when it is made."""

    def __init__(self) -> None:
        self._began_ns, self._began_ticks = time.monotonic_ns(), read_ticks()

    def look(self) -> int:
        """Nanoseconds a tick, with NS_PER_TICK_SHIFT bits of fraction; 0 as long as nothing is known."""
        spent_ns = time.monotonic_ns() - self._began_ns
        ticks = read_ticks() - self._began_ticks
        return (spent_ns << NS_PER_TICK_SHIFT) // ticks if spent_ns >= LOOK_FROM_NS and ticks > 0 else 0
