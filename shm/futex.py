"""The kernel's own waiting room for a word of shared memory, callable from kernels and from ordinary code.

A sleeper names the value it has seen; the kernel puts it to sleep only while the word still has it, so that a
wake between the look and the sleep is not lost. Words are the low halves of our int64 words: 32 bits, which
is why this module refuses a big-endian machine. The futexes are shared ones (no PRIVATE flag): sleeper and
waker are different processes.

Compiled, the calls go through libc's ``syscall``; with ``NUMBA_DISABLE_JIT=1`` the same function is called by
ctypes.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Callable
from typing import Final

import numba
import numpy as np
from numba.core import types
from numpy.typing import NDArray

from shm.atomics import address_of
from shm.jit import kernel

NUMBERS: Final = {"x86_64": (202, 24), "aarch64": (98, 124)}  # futex, sched_yield
FUTEX_WAIT: Final = 0
FUTEX_WAKE: Final = 1
LOW_HALF: Final = 0xFFFFFFFF
UNUSED: Final = 0  # an argument that the call does not look at
NS_PER_S: Final = 1_000_000_000
WAIT_NS_MAX: Final = 1_000_000_000  # whoever sleeps longer sees neither heartbeats nor a stop

if platform.machine() not in NUMBERS or sys.byteorder != "little":
    raise ImportError(f"no futex numbers for {platform.machine()} ({sys.byteorder}-endian)")

_SYS_FUTEX, _SYS_YIELD = NUMBERS[platform.machine()]


def _plain_syscall() -> Callable[..., int]:
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    call.argtypes = [ctypes.c_long] * 7
    return call


_call: Final[Callable[..., int]] = (
    _plain_syscall()
    if numba.config.DISABLE_JIT
    else types.ExternalFunction("syscall", types.int64(*[types.int64] * 7))
)


@kernel
def futex_wait(address: int, seen: int, timespec: int) -> int:
    """Sleep while the low half of the word is ``seen``'s: 0 woken, -1 another value, timeout or signal."""
    return _call(_SYS_FUTEX, address, FUTEX_WAIT, seen & LOW_HALF, timespec, UNUSED, UNUSED)


@kernel
def futex_wake(address: int, sleepers_max: int) -> int:
    """Wake up to ``sleepers_max`` sleepers; how many there were."""
    return _call(_SYS_FUTEX, address, FUTEX_WAKE, sleepers_max, UNUSED, UNUSED, UNUSED)


@kernel
def yield_core() -> int:
    """Let another runnable thread have this core; 0."""
    return _call(_SYS_YIELD, UNUSED, UNUSED, UNUSED, UNUSED, UNUSED, UNUSED)


def timespec_of(timeout_ns: int) -> NDArray[np.int64]:
    """Two words that ``futex_wait`` takes by address; ValueError beyond WAIT_NS_MAX."""
    if not 0 < timeout_ns <= WAIT_NS_MAX:
        raise ValueError(f"a wait takes 1 to {WAIT_NS_MAX} ns, not {timeout_ns}")
    return np.array(divmod(timeout_ns, NS_PER_S), np.int64)


def warm() -> None:
    """Compile the kernels of this module."""
    word, timeout = np.zeros(1, np.int64), timespec_of(1)
    futex_wait(address_of(word), 1, address_of(timeout))
    futex_wake(address_of(word), 1)
    yield_core()
