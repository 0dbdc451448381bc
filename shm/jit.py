"""The one place where the transport's kernels meet the compiler.

Twin of ``engine.jit``: floors do not import each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile ``function`` lazily, without the GIL, into the cache directory of this build."""
    compiled: F = numba.njit(nogil=True, cache=True, error_model="numpy")(function)
    return compiled
