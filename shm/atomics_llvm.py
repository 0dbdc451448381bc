"""The atomics as numba intrinsics: each becomes one or two instructions inside the calling kernel.

LLVM instructions and intrinsics only. Inline assembly would kill the process on a cache miss unless an
assembler had been initialised first, so there is none here. Emitted on x86-64: load acquire and store release
are plain moves, a sequentially consistent store is ``xchg``, fetch-add ``lock xadd``, compare-exchange ``lock
cmpxchg``; acquire and release fences only hold the compiler back.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

WORD_BITS: Final = 64
WORD_BYTES: Final = 8
X86_NAMES: Final = ("x86_64", "AMD64", "i686")

_WORD: Final = ir.IntType(WORD_BITS)

Builder = Any  # llvmlite publishes no types
Value = Any
Emitter = Callable[[Builder, list[Value]], Value]


def _pointer(builder: Builder, address: Value) -> Value:
    return builder.inttoptr(address, _WORD.as_pointer())


def emit_load(ordering: str) -> Emitter:
    """Emitter of an atomic load of one word; arguments: address."""

    def emit(builder: Builder, args: list[Value]) -> Value:
        return builder.load_atomic(_pointer(builder, args[0]), ordering, WORD_BYTES)

    return emit


def emit_store(ordering: str) -> Emitter:
    """Emitter of an atomic store of one word; arguments: address, value."""

    def emit(builder: Builder, args: list[Value]) -> Value:
        builder.store_atomic(args[1], _pointer(builder, args[0]), ordering, WORD_BYTES)
        return None

    return emit


def emit_fetch_add(builder: Builder, args: list[Value]) -> Value:
    """Emit a sequentially consistent add; arguments: address, increment; answers the word before."""
    return builder.atomic_rmw("add", _pointer(builder, args[0]), args[1], "seq_cst")


def emit_compare_exchange(builder: Builder, args: list[Value]) -> Value:
    """Emit a compare-exchange; arguments: address, expected, desired; answers 1 when written."""
    pair = builder.cmpxchg(_pointer(builder, args[0]), args[1], args[2], "acq_rel", "acquire")
    return builder.zext(builder.extract_value(pair, 1), _WORD)


def emit_fence(ordering: str) -> Emitter:
    """Emitter of a fence; no arguments."""

    def emit(builder: Builder, args: list[Value]) -> Value:
        del args
        builder.fence(ordering)

    return emit


def emit_pause(builder: Builder, args: list[Value]) -> Value:
    """Emit the processor's spin-wait hint, or nothing where it has none we know."""
    del args
    if platform.machine() in X86_NAMES:
        builder.call(_declare(builder, "llvm.x86.sse2.pause", ir.VoidType()), [])


def emit_read_tsc(builder: Builder, args: list[Value]) -> Value:
    """Emit a read of the cycle counter."""
    del args
    return builder.call(_declare(builder, "llvm.readcyclecounter", _WORD), [])


def emit_bit_length(builder: Builder, args: list[Value]) -> Value:
    """Emit the number of bits a non-negative word needs; arguments: value."""
    leading = builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))
    return builder.sub(ir.Constant(_WORD, WORD_BITS), leading)


def emit_product(builder: Builder, args: list[Value]) -> Value:
    """Emit a product modulo 2**64; arguments: both factors."""
    return builder.mul(args[0], args[1])


def _declare(builder: Builder, name: str, result: Value) -> Value:
    return builder.module.globals.get(name) or ir.Function(builder.module, ir.FunctionType(result, []), name)


def _intrinsic(emit: Emitter, n_args: int, *, answers: bool) -> Any:  # noqa: ANN401
    """Make ``emit`` callable from kernels: ``n_args`` words in, one word out or nothing."""
    result = types.int64 if answers else types.void

    def generate(context: Any, builder: Builder, signature: Any, args: list[Value]) -> Value:  # noqa: ANN401
        del signature
        value = emit(builder, args)
        return value if answers else context.get_dummy_value()

    typed = result(*[types.int64] * n_args), generate
    by_arity = (  # numba asks the signature of the function itself, so a variadic one will not do
        lambda _context: typed,
        lambda _context, _a: typed,
        lambda _context, _a, _b: typed,
        lambda _context, _a, _b, _c: typed,
    )
    return intrinsic(by_arity[n_args])


load_acquire: Final = _intrinsic(emit_load("acquire"), 1, answers=True)
load_relaxed: Final = _intrinsic(emit_load("monotonic"), 1, answers=True)
store_release: Final = _intrinsic(emit_store("release"), 2, answers=False)
store_relaxed: Final = _intrinsic(emit_store("monotonic"), 2, answers=False)
store_seq_cst: Final = _intrinsic(emit_store("seq_cst"), 2, answers=False)
fetch_add: Final = _intrinsic(emit_fetch_add, 2, answers=True)
compare_exchange: Final = _intrinsic(emit_compare_exchange, 3, answers=True)
fence_acquire: Final = _intrinsic(emit_fence("acquire"), 0, answers=False)
fence_release: Final = _intrinsic(emit_fence("release"), 0, answers=False)
fence_seq_cst: Final = _intrinsic(emit_fence("seq_cst"), 0, answers=False)
pause: Final = _intrinsic(emit_pause, 0, answers=False)
read_tsc: Final = _intrinsic(emit_read_tsc, 0, answers=True)
bit_length: Final = _intrinsic(emit_bit_length, 1, answers=True)
wrapped_product: Final = _intrinsic(emit_product, 2, answers=True)
