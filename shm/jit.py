"""The one place where the transport's kernels meet the compiler.

Twin of ``engine.jit``: floors do not import each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numba

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile ``function`` lazily, without the GIL, into the cache of this build; it may not allocate."""
    compiled: F = numba.njit(nogil=True, cache=True, error_model="numpy", _nrt=False, no_cfunc_wrapper=True)(
        function
    )
    if not numba.config.DISABLE_JIT:
        compiled.get_call_template = _widened(compiled.get_call_template)  # type: ignore[attr-defined]
    return compiled


def direct(kernel: F, *like: object) -> F:
    """The version of ``kernel`` for arguments of the types of ``like``, compiled or loaded now.

    A call of it does not look at the types of its arguments, which is a third to half of what a call of a
    short kernel costs: only for callers that own what they pass. In plain Python it is the kernel itself.
    """
    compile_for = getattr(kernel, "compile", None)
    if compile_for is None:
        return kernel
    version: F = compile_for(tuple(numba.typeof(one) for one in like))
    return version


def _widened(resolve: Callable[..., object]) -> Callable[..., object]:
    """Let a call with a constant use the version for its type: numba would make one for each value."""

    def wide(args: Sequence[object], kws: Mapping[str, object]) -> object:
        named = {name: numba.types.unliteral(one) for name, one in kws.items()}
        return resolve([numba.types.unliteral(one) for one in args], named)

    return wide
