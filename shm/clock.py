"""The monotonic clock, asked from within a kernel.

A kernel that Python calls for each message needs the time, and asking for it in Python took as many
instructions as handing over six numbers. It is the C library's own call, which reads a page that the
operating system shares with every process: no system call where the clock source is the processor's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from shm.atomics import PLAIN

CLOCK_CALL: Final = "clock_gettime"  # by its name, so that a kernel that is kept finds it again
_NS_PER_S: Final = 1_000_000_000
_WORD: Final = ir.IntType(64)
_HALF: Final = ir.IntType(32)
_TIMESPEC: Final = ir.LiteralStructType([_WORD, _WORD])  # seconds, nanoseconds


def _plain() -> int:
    return time.monotonic_ns()


@intrinsic  # type: ignore[untyped-decorator]
def _compiled(typing_context: Any) -> Any:  # noqa: ANN401 - numba's own
    del typing_context

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401
        del context, signature, args
        kind = ir.FunctionType(_HALF, [_HALF, _TIMESPEC.as_pointer()])
        ask = cgutils.get_or_insert_function(builder.module, kind, CLOCK_CALL)
        found = cgutils.alloca_once(builder, _TIMESPEC)
        builder.call(ask, [ir.Constant(_HALF, time.CLOCK_MONOTONIC), found])
        seconds, ns = (builder.load(cgutils.gep_inbounds(builder, found, 0, part)) for part in (0, 1))
        return builder.add(builder.mul(seconds, ir.Constant(_WORD, _NS_PER_S)), ns)

    return types.int64(), emit


# Nanoseconds of the monotonic clock, as ``time.monotonic_ns`` counts them.
monotonic_ns: Final[Callable[[], int]] = _plain if PLAIN else _compiled
