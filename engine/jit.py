"""The one place where the engine's kernels meet the compiler.

A kernel is a plain function over arrays and integers: it allocates nothing, raises nothing and answers with
status codes. That it allocates nothing is enforced: numba's reference counting is off (``_nrt``), and what
would allocate does not compile. Kernels pass their arrays through many small kernels, and counting references
at each of them took more than half of the time of a level write (60 ns instead of 26 ns on one machine,
``bench/book.py``). Nobody calls a kernel from C, so no wrapper for that is compiled.

With ``NUMBA_DISABLE_JIT=1`` the same function runs as ordinary Python, which is how branch coverage and
mutation runs see inside it.

A call between compiled kernels hands over every word of every array, eight or so each. ``inlined`` is for
kernels small or hot enough to become part of their callers. LLVM does that, with code that has been compiled
once: numba's own inlining read each of them anew at every call of every caller, and that took a third of the
time of compiling them all (ADR 9).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numba

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile ``function`` lazily, without the GIL, into the cache of this build; it may not allocate.

    ``error_model="numpy"`` removes the zero-division branch; every kernel guards its own divisors.
    """
    return _compiled(function, is_inlined=False)


def inlined(function: F) -> F:
    """Like ``kernel``, as part of each kernel that calls ``function``, however large that makes it."""
    return _compiled(function, is_inlined=True)


def brief(function: F) -> F:
    """Like ``kernel``, for what Python calls for each message or read of a socket: it keeps the GIL.

    To give it up and take it again is a fifth of what such a call costs, most of it locked instructions. Only
    for processes in which no other Python thread has anything to do meanwhile.
    """
    return _compiled(function, is_inlined=False, nogil=False)


def _compiled(function: F, *, is_inlined: bool, nogil: bool = True) -> F:
    compiled: F = numba.njit(
        nogil=nogil,
        cache=True,
        error_model="numpy",
        _nrt=False,
        no_cfunc_wrapper=True,
        forceinline=is_inlined,
    )(function)
    if not numba.config.DISABLE_JIT:
        compiled.get_call_template = _widened(compiled.get_call_template)  # type: ignore[attr-defined]
    return compiled


def _widened(resolve: Callable[..., object]) -> Callable[..., object]:
    """Let a call with a constant use the version for its type: numba would make one for each value.

    A quarter of all versions were such. Constants reach a callee all the same where LLVM inlines it.
    """

    def wide(args: Sequence[object], kws: Mapping[str, object]) -> object:
        named = {name: numba.types.unliteral(one) for name, one in kws.items()}
        return resolve([numba.types.unliteral(one) for one in args], named)

    return wide
