"""The atomics as ordinary Python over the same addresses, for runs without the compiler.

Each function reads or writes the very bytes the compiled twin would. Python runs one byte code at a time and
x86 keeps 8-byte accesses whole, so loads and stores need nothing more; read-modify-write holds a lock, which
covers the threads of one process and no second process. Weak memory orders are simulated in
``tests/shm/weak_memory.py``.
"""

from __future__ import annotations

import ctypes
import threading
import time

_READ_MODIFY_WRITE = threading.Lock()


def load_acquire(address: int) -> int:
    """Word at ``address``."""
    return ctypes.c_int64.from_address(int(address)).value


def store_release(address: int, value: int) -> None:
    """Write ``value``, wrapped to 64 bits, at ``address``."""
    ctypes.c_int64.from_address(int(address)).value = int(value)


def fetch_add(address: int, increment: int) -> int:
    """Add to the word and return what it was before."""
    with _READ_MODIFY_WRITE:
        before = load_acquire(address)
        store_release(address, before + int(increment))
    return before


def compare_exchange(address: int, expected: int, desired: int) -> int:
    """Write ``desired`` if the word equals ``expected``: 1 if written, 0 if not."""
    with _READ_MODIFY_WRITE:
        if load_acquire(address) != int(expected):
            return 0
        store_release(address, desired)
    return 1


def no_fence() -> None:
    """Stand for every fence: one interpreter has nothing to order."""


def read_tsc() -> int:
    """Nanoseconds of the performance counter, in place of processor ticks."""
    return time.perf_counter_ns()


def wrapped_product(one: int, other: int) -> int:
    """Product modulo 2**64, as a signed word."""
    return ctypes.c_int64(int(one) * int(other)).value


def bit_length(value: int) -> int:
    """Bits a non-negative word needs."""
    return int(value).bit_length()
