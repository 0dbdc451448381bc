"""Arrays over memory whose address is known, made inside a kernel.

Handing an array to a kernel costs some 30 ns from Python, one of records over 100 ns, and a kernel that does
a microsecond of work may need a dozen. One that takes addresses makes its arrays itself, for nothing.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from math import prod
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from shm.atomics import PLAIN

Shape = tuple[int, ...]

# Where the text of a ``bytes`` begins behind its id, which is its address: CPython's layout, looked at below.
# Whoever gives such an address to a kernel keeps the object; it never moves.
BYTES_AT: Final = bytes.__basicsize__ - 1
_PROBE: Final = b"text of a bytes object"
if ctypes.string_at(id(_PROBE) + BYTES_AT, len(_PROBE)) != _PROBE:
    raise ImportError("this Python keeps the text of bytes elsewhere: the engine runs on CPython 3.11")


def _plain(address: int, shape: Shape, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    wanted = np.dtype(dtype)
    memory: Any = (ctypes.c_uint8 * (prod(int(n) for n in shape) * wanted.itemsize)).from_address(
        int(address)
    )
    return np.frombuffer(memory, wanted).reshape([int(n) for n in shape])


@intrinsic  # type: ignore[untyped-decorator]
def _compiled(typing_context: Any, address: Any, shape: Any, dtype: Any) -> Any:  # noqa: ANN401 - numba's own
    """C-contiguous array of ``shape`` at ``address``; nobody owns it, so nothing is counted."""
    del typing_context
    array = types.Array(dtype.dtype, len(shape), "C")

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401
        del signature
        made = context.make_array(array)(context, builder)
        item = context.get_data_type(array.dtype)
        item_bytes = context.get_constant(types.intp, context.get_abi_sizeof(item))
        lengths = cgutils.unpack_tuple(builder, args[1])
        strides: list[Any] = []
        stride = item_bytes
        for length in reversed(lengths):
            strides.insert(0, stride)
            stride = builder.mul(stride, length)
        populate_array(
            made,
            data=builder.inttoptr(args[0], item.as_pointer()),
            shape=lengths,
            strides=strides,
            itemsize=item_bytes,
            meminfo=None,
        )
        return made._getvalue()  # noqa: SLF001 - what numba's own array functions return

    return array(address, shape, dtype), emit


# (address, shape, dtype): ``dtype`` is a module's constant. Whoever gives an address keeps the memory.
array_at: Final[Callable[[int, Shape, npt.DTypeLike], npt.NDArray[Any]]] = _plain if PLAIN else _compiled
