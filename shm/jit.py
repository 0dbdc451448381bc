"""The one place where the transport's kernels meet the compiler.

Twin of ``engine.jit``: floors do not import each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile ``function`` lazily, without the GIL, into the cache of this build; it may not allocate."""
    compiled: F = numba.njit(nogil=True, cache=True, error_model="numpy", _nrt=False, no_cfunc_wrapper=True)(
        function
    )
    return compiled
