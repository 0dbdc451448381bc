"""Time for hot loops: the processor's counter where it is steady, and the monotonic clock where it is not.

Both are the same on all cores, so that a stamp in a message of one process means something to another.
Kernels are handed a ``Clock`` taken apart: ``ticks(counter, scratch)`` is a stamp, and ``nanoseconds`` turns
a difference of stamps into time. The counter is calibrated against the monotonic clock between two close
looks at both, of which the one with the least time in between is taken.
"""

from __future__ import annotations

import ctypes
import time
from typing import Final, NamedTuple

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from procs.doctor import STEADY_TSC
from procs.host_facts import Host
from shm.atomics import address_of, load_relaxed, read_ticks, read_tsc
from shm.jit import kernel

CALIBRATION_S: Final = 0.2
LOOKS: Final = 16
CLOCK_MONOTONIC: Final = int(time.CLOCK_MONOTONIC)
NS_PER_S: Final = 1_000_000_000
PLAIN: Final = bool(numba.config.DISABLE_JIT)
SHIFT: Final = 20  # of the fixed-point nanoseconds in a tick


def _plain_clock_gettime(clock: int, timespec: int) -> int:
    (ctypes.c_int64 * 2).from_address(timespec)[:] = [*divmod(time.clock_gettime_ns(clock), NS_PER_S)]
    return 0


_clock_gettime = (
    _plain_clock_gettime
    if PLAIN
    else types.ExternalFunction("clock_gettime", types.int32(types.int32, types.int64))
)


class Clock(NamedTuple):
    """How to read time here: ``counter`` 1 for the processor's; ``scratch``: address of two words."""

    counter: int
    scratch: int
    ns_of_tick: int  # fixed point, SHIFT bits
    words: NDArray[np.int64]  # what ``scratch`` points to

    @property
    def name(self) -> str:
        """As a result says it."""
        return f"counter, {1000 * (1 << SHIFT) // self.ns_of_tick} ticks/us" if self.counter else "monotonic"


@kernel
def ticks(counter: int, scratch: int) -> int:
    """A stamp: ticks of the processor's counter, or nanoseconds of the monotonic clock."""
    if counter:
        return read_tsc()
    _clock_gettime(CLOCK_MONOTONIC, scratch)
    return load_relaxed(scratch) * NS_PER_S + load_relaxed(scratch + 8)


@kernel
def nanoseconds(elapsed: int, ns_of_tick: int) -> int:
    """Time of a difference of two stamps; exact to 2**-20 of it up to an hour."""
    return (elapsed * ns_of_tick) >> SHIFT


def is_steady(host: Host) -> bool:
    """Whether the processor's counter runs at one rate on all cores, and the kernel relies on it as well."""
    clock = host.read("devices", "system", "clocksource", "clocksource0", "available_clocksource")
    return host.cpu_flags() >= STEADY_TSC and ("tsc" in clock.split() or "kvm-clock" in clock.split())


def _look() -> tuple[int, int]:
    """The counter and the monotonic clock at the same moment, or nearly."""
    best = (1 << 62, 0, 0)
    for _ in range(LOOKS):
        before = read_ticks()
        now_ns = time.monotonic_ns()
        after = read_ticks()
        best = min(best, (after - before, (before + after) // 2, now_ns))
    return best[1], best[2]


def calibrated(host: Host | None = None, calibration_s: float | None = None) -> Clock:
    """The clock of this machine; takes CALIBRATION_S where the counter is steady."""
    words = np.zeros(2, np.int64)
    if not is_steady(Host() if host is None else host):
        return Clock(0, address_of(words), 1 << SHIFT, words)
    began_ticks, began_ns = _look()
    time.sleep(CALIBRATION_S if calibration_s is None else calibration_s)
    ended_ticks, ended_ns = _look()
    passed = max(ended_ticks - began_ticks, 1)
    return Clock(1, address_of(words), ((ended_ns - began_ns) << SHIFT) // passed, words)
