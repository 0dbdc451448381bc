"""Atomic loads, stores and fences over plain addresses: the menu every kernel here orders from.

Addresses and words are int64 (an address of this process is always below 2**63), 8-byte aligned. Compiled,
each name is an intrinsic (``shm.atomics_llvm``); with ``NUMBA_DISABLE_JIT=1`` it is the plain twin
(``shm.atomics_plain``), so that every kernel also runs as ordinary Python. Compiled intrinsics can be called
from kernels only; ordinary code uses ``read_word`` and ``write_word``.

=================== =================================================================================
load_acquire        nothing after it may move before it; sees all that the matching release published
store_release       nothing before it may move after it
load/store_relaxed  one whole word, no ordering: for payload between an acquire and a release
store_seq_cst       release, and no later load may overtake it (the waiter's flag)
fetch_add           sequentially consistent, answers the word before
compare_exchange    1 when the word was ``expected`` and is now ``desired``, else 0
fences              order the relaxed accesses around them
pause, read_tsc     spin-wait hint; processor ticks (plain: nanoseconds)
bit_length          not atomic, but an instruction numba does not offer
=================== =================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from shm import atomics_llvm as compiled
from shm import atomics_plain as plain
from shm.jit import kernel

__all__ = [
    "add_word",
    "address_of",
    "bit_length",
    "compare_exchange",
    "fence_acquire",
    "fence_release",
    "fence_seq_cst",
    "fetch_add",
    "load_acquire",
    "load_relaxed",
    "pause",
    "read_ticks",
    "read_tsc",
    "read_word",
    "store_relaxed",
    "store_release",
    "store_seq_cst",
    "warm",
    "wrapped_product",
    "write_word",
]

Load = Callable[[int], int]
Store = Callable[[int, int], None]
Fence = Callable[[], None]

PLAIN: Final = bool(numba.config.DISABLE_JIT)
WORD_BYTES: Final = 8

load_acquire: Final[Load] = plain.load_acquire if PLAIN else compiled.load_acquire
load_relaxed: Final[Load] = plain.load_acquire if PLAIN else compiled.load_relaxed
store_release: Final[Store] = plain.store_release if PLAIN else compiled.store_release
store_relaxed: Final[Store] = plain.store_release if PLAIN else compiled.store_relaxed
store_seq_cst: Final[Store] = plain.store_release if PLAIN else compiled.store_seq_cst
fetch_add: Final[Callable[[int, int], int]] = plain.fetch_add if PLAIN else compiled.fetch_add
compare_exchange: Final[Callable[[int, int, int], int]] = (
    plain.compare_exchange if PLAIN else compiled.compare_exchange
)
fence_acquire: Final[Fence] = plain.no_fence if PLAIN else compiled.fence_acquire
fence_release: Final[Fence] = plain.no_fence if PLAIN else compiled.fence_release
fence_seq_cst: Final[Fence] = plain.no_fence if PLAIN else compiled.fence_seq_cst
pause: Final[Fence] = plain.no_fence if PLAIN else compiled.pause
read_tsc: Final[Callable[[], int]] = plain.read_tsc if PLAIN else compiled.read_tsc
bit_length: Final[Load] = plain.bit_length if PLAIN else compiled.bit_length
# numba tells LLVM that no product of signed integers overflows. What LLVM makes of that depends on the
# code around it: where one may overflow, it has to be this one.
wrapped_product: Final[Callable[[int, int], int]] = (
    plain.wrapped_product if PLAIN else compiled.wrapped_product
)


@kernel
def read_word(address: int) -> int:
    """Load-acquire one word, callable from ordinary code."""
    return load_acquire(address)


@kernel
def write_word(address: int, value: int) -> None:
    """Store-release one word, callable from ordinary code."""
    store_release(address, value)


@kernel
def add_word(address: int, increment: int) -> int:
    """Fetch-add one word that has several writers, callable from ordinary code."""
    return fetch_add(address, increment)


@kernel
def read_ticks() -> int:
    """Read the cycle counter (plain: nanoseconds), callable from ordinary code."""
    return read_tsc()


def address_of(array: NDArray[np.generic]) -> int:
    """Address of the first byte of a C-contiguous array, 8-byte aligned.

    The caller keeps the array alive for as long as a kernel may use the address. Raises ValueError otherwise.
    """
    address = int(array.ctypes.data)
    if not array.flags.c_contiguous or address % WORD_BYTES:
        raise ValueError("only a C-contiguous array aligned to 8 bytes has an address kernels can use")
    return address


def warm() -> None:
    """Compile the kernels of this module."""
    word = np.zeros(1, np.int64)
    write_word(address_of(word), 1)
    read_word(address_of(word))
    add_word(address_of(word), 1)
    read_ticks()
