"""A kernel that calls another by the address of its code, which it is told when it runs.

Calling a kernel by its name makes the other's code a part of one's own: it is read, optimised and emitted
again with every kernel that does so. Stages that hand over to each other need none of that, and which stage
comes next is known only when a process is put together. So the next one's code is an address among the
places that a turn works on (``procs.frame_kernels``), as the memory is that it works on. A call costs some
nanoseconds.

The other takes integers and answers one. It raises nothing, as every kernel: nobody looks whether it has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

NOBODY: Final = 0  # instead of an address
ARGUMENTS: Final = 3

_WORD: Final = ir.IntType(64)

Kernel = Callable[[int, int, int], int]


class Turn(NamedTuple):
    """A stage's compiled turn: the address of what it works on, and of its code or NOBODY."""

    places: int
    code: int


def code_of(kernel: Kernel) -> int:
    """Address of the code of ``kernel`` for integers, compiled or loaded now; NOBODY in plain Python.

    It is good for as long as the process.
    """
    if numba.config.DISABLE_JIT:
        return NOBODY
    compiled: Any = kernel
    signature = (types.int64,) * ARGUMENTS
    compiled.compile(signature)
    version = compiled.overloads[signature]
    return int(version.library.get_pointer_to_function(version.fndesc.llvm_func_name))


def _plain(code: int, first: int, second: int, third: int) -> int:
    raise AssertionError(f"plain Python has no code at {code} to call with {first}, {second}, {third}")


@intrinsic  # type: ignore[untyped-decorator]
def _compiled(typing_context: Any, code: Any, first: Any, second: Any, third: Any) -> Any:  # noqa: ANN401
    """Call what ``code_of`` has answered, as numba's kernels call each other (``CPUCallConv``)."""
    del typing_context
    signature = types.int64(code, first, second, third)

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401
        given = (types.int64,) * ARGUMENTS
        kind = context.call_conv.get_function_type(types.int64, given)
        answer = cgutils.alloca_once(builder, _WORD)
        raised = cgutils.alloca_once(builder, kind.args[1].pointee)
        code, *rest = args
        words = [
            context.cast(builder, arg, of, types.int64)
            for arg, of in zip(rest, signature.args[1:], strict=True)
        ]
        builder.call(builder.inttoptr(code, kind.as_pointer()), [answer, raised, *words])
        return builder.load(answer)

    return signature, emit


# (code, first, second, third): what the kernel there answers.
call: Final[Callable[[int, int, int, int], int]] = _plain if numba.config.DISABLE_JIT else _compiled
