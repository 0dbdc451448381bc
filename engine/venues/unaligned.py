"""Text read where it lies: any byte of a frame is the beginning of a load, whatever word it is in.

A frame lies in an array of words. Eight bytes from any place of it are two words, shifted and joined: ten
instructions, and a parser does hardly anything else. The processors that we run on load them from there at
once, and compare 32 bytes as fast as eight. numba has no way to say that, so that these are its intrinsics;
plain Python puts the same answers together from the words.

All ask for bytes inside the array: who has a sealed frame has SENTINEL_WORDS of zeros behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numba
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from engine.venues.workspace import Words

BLOCK_BYTES: Final = 32
_QUOTE: Final = 0x22
_BACKSLASH: Final = 0x5C
_SPACE: Final = 0x20
_I8: Final = ir.IntType(8)
_I32: Final = ir.IntType(32)
_I64: Final = ir.IntType(64)
_BLOCK: Final = ir.VectorType(_I8, BLOCK_BYTES)

Load = Callable[[Words, int], int]


def _plain_byte(words: Words, at: int) -> int:
    return (int(words[at >> 3]) >> ((at & 7) << 3)) & 0xFF


def _plain_eight(words: Words, at: int) -> int:
    return int.from_bytes(bytes(_plain_byte(words, at + place) for place in range(8)), "little", signed=True)


def _plain_specials(words: Words, at: int) -> int:
    found = 0
    for place in range(BLOCK_BYTES):
        byte = _plain_byte(words, at + place)
        found |= (byte in (_QUOTE, _BACKSLASH) or byte < _SPACE) << place
    return found


def _plain_differing(words: Words, at: int, others: Words, index: int) -> int:
    other, begin = others.reshape(-1), index << 3
    return sum(
        (_plain_byte(words, at + place) != _plain_byte(other, begin + place)) << place
        for place in range(BLOCK_BYTES)
    )


def _load(context: Any, builder: Any, words: Any, given: Any, at: Any, kind: ir.Type) -> Any:  # noqa: ANN401
    """The ``kind`` at byte ``at`` of the array ``given``, whose type is ``words``."""
    array = context.make_array(words)(context, builder, given)
    first = builder.bitcast(array.data, _I8.as_pointer())
    return builder.load(builder.bitcast(builder.gep(first, [at]), kind.as_pointer()), align=1)


@intrinsic  # type: ignore[untyped-decorator]
def _compiled_byte(_context: Any, words: Any, _at: Any) -> Any:  # noqa: ANN401 - numba's own
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401
        given, at = args
        return builder.zext(_load(context, builder, signature.args[0], given, at, _I8), _I64)

    return types.int64(words, types.int64), emit


@intrinsic  # type: ignore[untyped-decorator]
def _compiled_eight(_context: Any, words: Any, _at: Any) -> Any:  # noqa: ANN401
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401
        given, at = args
        return _load(context, builder, signature.args[0], given, at, _I64)

    return types.int64(words, types.int64), emit


@intrinsic  # type: ignore[untyped-decorator]
def _compiled_specials(_context: Any, words: Any, _at: Any) -> Any:  # noqa: ANN401
    def each(byte: int) -> ir.Constant:
        return ir.Constant(_BLOCK, [byte] * BLOCK_BYTES)

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401
        given, at = args
        text = _load(context, builder, signature.args[0], given, at, _BLOCK)
        quoted = builder.icmp_unsigned("==", text, each(_QUOTE))
        escaped = builder.icmp_unsigned("==", text, each(_BACKSLASH))
        control = builder.icmp_unsigned("<", text, each(_SPACE))
        found = builder.or_(builder.or_(quoted, escaped), control)
        return builder.zext(builder.bitcast(found, _I32), _I64)

    return types.int64(words, types.int64), emit


@intrinsic  # type: ignore[untyped-decorator]
def _compiled_differing(_context: Any, words: Any, _at: Any, others: Any, _index: Any) -> Any:  # noqa: ANN401
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401
        words, _, others, _ = signature.args
        given, at, other, index = args
        one = _load(context, builder, words, given, at, _BLOCK)
        two = _load(context, builder, others, other, builder.shl(index, ir.Constant(_I64, 3)), _BLOCK)
        return builder.zext(builder.bitcast(builder.icmp_unsigned("!=", one, two), _I32), _I64)

    return types.int64(words, types.int64, others, types.int64), emit


@intrinsic  # type: ignore[untyped-decorator]
def _compiled_lowest(_context: Any, _bits: Any) -> Any:  # noqa: ANN401
    def emit(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:  # noqa: ANN401
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), emit


def _plain_lowest(bits: int) -> int:
    return (int(bits) & -int(bits)).bit_length() - 1


_IS_PLAIN: Final = bool(numba.config.DISABLE_JIT)
# (words, at): the byte there; eight of them as one integer, the first the lowest; of BLOCK_BYTES those that
# cannot stand inside a plain string, a bit each.
byte: Final[Load] = _plain_byte if _IS_PLAIN else _compiled_byte
eight: Final[Load] = _plain_eight if _IS_PLAIN else _compiled_eight
specials: Final[Load] = _plain_specials if _IS_PLAIN else _compiled_specials
# (words, at, others, index): of BLOCK_BYTES from byte ``at`` on those that differ from what is at word
# ``index`` of ``others``, whose rows lie behind each other.
differing: Final[Callable[[Words, int, Words, int], int]] = (
    _plain_differing if _IS_PLAIN else _compiled_differing
)
# Place of the lowest bit that is set; at least one is.
lowest: Final[Callable[[int], int]] = _plain_lowest if _IS_PLAIN else _compiled_lowest
