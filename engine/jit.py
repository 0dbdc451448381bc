"""The one place where the engine's kernels meet the compiler.

A kernel is a plain function over arrays and integers: it allocates nothing, raises nothing and answers with
status codes. With ``NUMBA_DISABLE_JIT=1`` the same function runs as ordinary Python, which is how branch
coverage and mutation runs see inside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile ``function`` lazily, without the GIL, into the cache directory of this build.

    ``error_model="numpy"`` removes the zero-division branch; every kernel guards its own divisors.
    """
    compiled: F = numba.njit(nogil=True, cache=True, error_model="numpy")(function)
    return compiled
