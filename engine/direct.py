"""Calling a kernel from Python without the search for its version.

An ordinary call looks at the type of each argument to find the version of the kernel that was compiled for
them; for a kernel with eight arguments that took longer than reading a short frame. Where the types never
change, the version is looked up once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

F = TypeVar("F", bound=Callable[..., object])


def direct(kernel: F, *like: object) -> F:
    """The version of ``kernel`` for arguments of the types of ``like``, compiled or loaded now.

    It takes positional arguments of these very types and nothing looks at them again: only for callers that
    own what they pass. A ``bytes`` argument arrives as an array of its bytes, without a copy. In plain Python
    it is the kernel itself.
    """
    compile_for = getattr(kernel, "compile", None)
    if compile_for is None:
        return kernel
    version: F = compile_for(tuple(numba.typeof(one) for one in like))
    return version
