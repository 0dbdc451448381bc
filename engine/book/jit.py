"""How the kernels of books are compiled: as ``engine.jit`` does, but without numba's reference counting.

Books pass their arrays through many small kernels. Counting references at each of them took more than half of
the time of a level write (60 ns instead of 26 ns on one machine, ``bench/book.py``). Without the counting a
kernel cannot allocate either: one that tries does not compile.

A call between compiled kernels also hands over every word of every array, eight or so each. ``inlined`` is
for kernels small or hot enough to become part of their callers; they are never compiled by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile ``function`` lazily, without the GIL, into the cache of this build; it may not allocate."""
    compiled: F = numba.njit(nogil=True, cache=True, error_model="numpy", _nrt=False)(function)
    return compiled


def inlined(function: F) -> F:
    """Like ``kernel``, as part of each kernel that calls ``function``."""
    compiled: F = numba.njit(nogil=True, error_model="numpy", _nrt=False, inline="always")(function)
    return compiled
