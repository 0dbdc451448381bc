"""Sums and products of kernels that may pass 2**63, and then wrap around.

numba tells LLVM that no sum and no product of signed integers overflows (it writes ``nsw``). LLVM concludes
from that, for example that a product of two positive numbers has no sign, and drops a mask that would have
taken it away. Whether it does depends on the code around it. So what may overflow must not be written with
``+`` or ``*``; xor, shifts and masks are safe.

Twin of ``shm.atomics.wrapped_product``: floors do not import each other.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Final

import numba
from numba.core import types
from numba.extending import intrinsic

Operation = Callable[[int, int], int]


def _plain_sum(one: int, other: int) -> int:
    return ctypes.c_int64(int(one) + int(other)).value


def _plain_product(one: int, other: int) -> int:
    return ctypes.c_int64(int(one) * int(other)).value


@intrinsic  # type: ignore[untyped-decorator]
def _compiled_sum(_context: Any, _one: Any, _other: Any) -> Any:  # noqa: ANN401 - numba's own
    return types.int64(types.int64, types.int64), lambda _context, builder, _signature, args: builder.add(
        *args
    )


@intrinsic  # type: ignore[untyped-decorator]
def _compiled_product(_context: Any, _one: Any, _other: Any) -> Any:  # noqa: ANN401
    return types.int64(types.int64, types.int64), lambda _context, builder, _signature, args: builder.mul(
        *args
    )


wrapped_sum: Final[Operation] = _plain_sum if numba.config.DISABLE_JIT else _compiled_sum
wrapped_product: Final[Operation] = _plain_product if numba.config.DISABLE_JIT else _compiled_product
