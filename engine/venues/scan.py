"""Byte-level reading of JSON text in kernels: strict, allocation-free, and unsure rather than wrong.

A frame lies at the start of an int64 array, little-endian, followed by ``SENTINEL_WORDS`` words of zeros. A
zero byte ends every scan, so no loop needs the length. ``is_ascii`` comes first: the other kernels count on
it, and no word is negative then. They take a cursor (index of a byte) and give the next one; a negative
cursor means *not sure*: the text may be valid JSON, but not of the plain kind read here. Strings have no
escapes, numbers at most 15 digits and no exponent (beyond that a double no longer holds what is written, and
the general reader decides). What is accepted here is always valid JSON.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.jit import inlined, kernel
from engine.venues.unaligned import BLOCK_BYTES, byte, eight, lowest, specials
from engine.venues.workspace import SENTINEL_WORDS, FrameBytes, Words
from engine.wrapping import wrapped_product, wrapped_sum

UNSURE: Final = -1
BAD: Final = -(1 << 62)  # a number that is not sure; no price, size or time comes near

TEXT: Final = 1  # kinds of a scalar
NUMBER: Final = 2
WORD: Final = 3  # true, false, null
CONTAINER: Final = 4  # not a scalar: a list or object that a parser has read

DIGITS_MAX: Final = 15  # of an unquoted number: survives a double
WHOLE_DIGITS_MAX: Final = 11  # of a decimal before the point: with six decimals far below 2**63
DECIMAL_CHARS_MAX: Final = 18  # of a decimal, sign and point included
INTEGER_MAX: Final = 10**DIGITS_MAX

QUOTE: Final = 0x22
COMMA: Final = 0x2C
MINUS: Final = 0x2D
POINT: Final = 0x2E
ZERO: Final = 0x30
COLON: Final = 0x3A
OPEN_LIST: Final = 0x5B
CLOSE_LIST: Final = 0x5D
OPEN_OBJECT: Final = 0x7B
CLOSE_OBJECT: Final = 0x7D

_ONES: Final = 0x0101010101010101
_HIGHS: Final = -0x7F7F7F7F7F7F7F80  # 0x80 in every byte
_POINTS: Final = 0x2E2E2E2E2E2E2E2E
_ZEROS: Final = 0x3030303030303030
_SIXES: Final = 0x0606060606060606
_TO_TOP: Final = 0x7676767676767676  # added to 10 and more it sets the top bit
_HIGH_NIBBLES: Final = -0x0F0F0F0F0F0F0F10  # 0xF0 in every byte
_LOW_NIBBLES: Final = 0x0F0F0F0F0F0F0F0F
_EVEN_BYTES: Final = 0x00FF00FF00FF00FF
_EVEN_PAIRS: Final = 0x0000FFFF0000FFFF

_SPACE_BYTES: Final = 1 << 0x20 | 1 << 0x0A | 1 << 0x0D | 1 << 0x09  # bit n: byte n is white space

_POWERS: Final = np.array([10**exponent for exponent in range(7)], np.int64)

_TRUE: Final = int.from_bytes(b"true", "little")
_FALSE: Final = int.from_bytes(b"false", "little")
_NULL: Final = int.from_bytes(b"null", "little")


@inlined
def word(words: Words, index: int) -> int:
    """Word ``index`` of a codec's memory, not negative.

    Unsigned, so that the compiler need not ask at every load whether the index counts from the end: that
    took a third of the time of a parse.
    """
    return int(words[np.uint64(index)])


@kernel
def seal(words: Words, length: int) -> None:
    """Write the zeros behind a frame of ``length`` bytes."""
    last = length >> 3
    words[last] = int(words[last]) & ((1 << ((length & 7) << 3)) - 1)
    for at in range(last + 1, last + 1 + SENTINEL_WORDS):
        words[at] = 0


@kernel
def load(words: Words, memory: FrameBytes, source: FrameBytes, start: int, length: int) -> None:
    """Copy ``length`` bytes of ``source`` into the frame (``memory`` is its bytes) and seal it."""
    begin = np.uint64(start)  # unsigned: the copy becomes one of many bytes a step
    for at in range(np.uint64(length)):
        memory[at] = source[begin + at]
    seal(words, length)


@kernel
def is_ascii(words: Words, length: int) -> bool:
    """Whether no byte of a sealed frame has its top bit set."""
    found = 0
    for at in range((length >> 3) + 1):
        found |= int(words[at])
    return found & _HIGHS == 0


@inlined
def _lowest(flags: int) -> int:
    """Index of the lowest byte whose top bit is set; only top bits are."""
    return lowest(flags) >> 3


@inlined
def string_end(words: Words, at: int) -> int:
    """Index of the first byte from ``at`` on that cannot stand inside a plain string; a block a step."""
    found = specials(words, at)
    while found == 0:
        at += BLOCK_BYTES
        found = specials(words, at)
    return at + lowest(found)


@inlined
def chunk(words: Words, at: int, length: int) -> int:
    """Up to eight ASCII bytes from ``at`` on as one integer, zeros above ``length``; 0 < length."""
    value = eight(words, at)
    if length < 8:
        value &= (1 << (length << 3)) - 1
    return value


@inlined
def skip_space(words: Words, at: int) -> int:
    """Cursor past white space."""
    found = byte(words, at)
    while found <= 0x20 and (_SPACE_BYTES >> found) & 1:
        at += 1
        found = byte(words, at)
    return at


@inlined
def enter(words: Words, at: int, closer: int) -> tuple[int, bool]:
    """Step into a list or object: cursor at its first element and True, or past it and False."""
    at = skip_space(words, at + 1)
    if byte(words, at) == closer:
        return at + 1, False
    return at, True


@inlined
def after_value(words: Words, at: int, closer: int) -> tuple[int, bool]:
    """Step past a value: cursor at the next one and True, past the closer and False, or UNSURE and False."""
    at = skip_space(words, at)
    found = byte(words, at)
    if found == COMMA:
        return skip_space(words, at + 1), True
    if found == closer:
        return at + 1, False
    return UNSURE, False


@inlined
def key_end(words: Words, at: int) -> int:
    """End of the member name whose quote is at ``at``; UNSURE when there is none."""
    if byte(words, at) != QUOTE:
        return UNSURE
    end = string_end(words, at + 1)
    return end if byte(words, end) == QUOTE else UNSURE


@inlined
def after_key(words: Words, end: int) -> int:
    """Cursor of the value behind the name that ends at ``end``; UNSURE without a colon."""
    at = skip_space(words, end + 1)
    return skip_space(words, at + 1) if byte(words, at) == COLON else UNSURE


@inlined
def _not_digits(text: int) -> int:
    """Top bit of each ASCII byte that is no digit; exact, for no sum passes its byte."""
    text ^= _ZEROS
    return (wrapped_sum(text, _TO_TOP) | text) & _HIGHS


@inlined
def _digits_end(words: Words, at: int) -> int:
    """Cursor past digits; eight a step."""
    others = _not_digits(eight(words, at))
    while others == 0:
        at += 8
        others = _not_digits(eight(words, at))
    return at + _lowest(others)


@inlined
def number_end(words: Words, at: int) -> int:
    """Cursor past an unquoted number in JSON's grammar, without exponent and of at most DIGITS_MAX digits."""
    if byte(words, at) == MINUS:
        at += 1
    end = _digits_end(words, at)
    digits = end - at
    if digits == 0 or (digits > 1 and byte(words, at) == ZERO):
        return UNSURE
    if byte(words, end) == POINT:
        at = end + 1
        end = _digits_end(words, at)
        if end == at:
            return UNSURE
        digits += end - at
    if digits > DIGITS_MAX or byte(words, end) | 0x20 == 0x65:
        return UNSURE
    return end


@kernel
def word_end(words: Words, at: int) -> int:
    """Cursor past true, false or null; UNSURE for anything else."""
    five = chunk(words, at, 5)
    four = five & 0xFFFFFFFF
    if four in (_TRUE, _NULL):
        return at + 4
    return at + 5 if five == _FALSE else UNSURE


@inlined
def scalar(words: Words, at: int) -> tuple[int, int]:
    """Kind of the string, number or literal at ``at``, and the end of its text (no quotes) or UNSURE."""
    found = byte(words, at)
    if found == QUOTE:
        end = string_end(words, at + 1)
        return TEXT, end if byte(words, end) == QUOTE else UNSURE
    if found == MINUS or 0 <= found - ZERO <= 9:
        return NUMBER, number_end(words, at)
    return WORD, word_end(words, at)


@inlined
def text_start(kind: int, at: int) -> int:
    """Where the text of a scalar of this kind at ``at`` begins."""
    return at + 1 if kind == TEXT else at


@inlined
def after_scalar(kind: int, end: int) -> int:
    """Cursor past a scalar of this kind whose text ends at ``end``."""
    return end + 1 if kind == TEXT else end


@inlined
def _eight_digits(text: int, count: int) -> int:
    """Value of 1 to 8 ASCII digits, the first in the lowest byte and zeros above; BAD for anything else.

    The digits are moved to the top and zeros put before them; then pairs, fours and all eight are joined by
    one multiplication each.
    """
    text = (text << ((8 - count) << 3)) | ((_ZEROS >> 8) >> ((count - 1) << 3))
    if text & _HIGH_NIBBLES != _ZEROS or (text + _SIXES) & _HIGH_NIBBLES != _ZEROS:
        return BAD
    text = wrapped_product(text & _LOW_NIBBLES, 2561) >> 8
    text = wrapped_product(text & _EVEN_BYTES, 6553601) >> 16
    return (wrapped_product(text & _EVEN_PAIRS, 42949672960001) >> 32) & 0xFFFFFFFF


@kernel
def _short_decimal(text: int, length: int, decimals: int) -> int:
    """As ``decimal`` for up to eight characters without a sign, in one word."""
    digits = length
    places = 0
    found = ((text ^ _POINTS) - _ONES) & _HIGHS
    if found:
        whole = _lowest(found)
        shift = whole << 3
        text = (text & ((1 << shift) - 1)) | (((text >> shift) >> 8) << shift)
        digits -= 1
        places = digits - whole
    value = BAD if digits == 0 else _eight_digits(text, digits)
    while places > decimals and value != BAD:
        value = BAD if value % 10 else value // 10
        places -= 1
    return value if value == BAD else value * int(_POWERS[decimals - places])


@kernel
def _long_decimal(words: Words, start: int, length: int, decimals: int) -> int:
    """As ``decimal`` for up to DECIMAL_CHARS_MAX characters without a sign."""
    value = 0
    whole = 0  # digits before the point
    places = -1  # digits behind it, as far as they count; -1: no point yet
    for at in range(start, start + length):
        digit = byte(words, at) - ZERO
        if digit == POINT - ZERO and places < 0:
            places = 0
        elif digit < 0 or digit > 9 or (places == decimals and digit):
            return BAD
        elif places < decimals:
            value = value * 10 + digit
            whole += places < 0
            places += places >= 0
    places = max(places, 0)
    return BAD if whole > WHOLE_DIGITS_MAX else value * int(_POWERS[decimals - places])


@inlined
def decimal(words: Words, start: int, end: int, decimals: int) -> int:
    """Decimal text as an integer of 10**-decimals, exact; BAD when it is not plain or has more precision."""
    negative = byte(words, start) == MINUS
    start += negative
    length = end - start
    if length <= 0 or length > DECIMAL_CHARS_MAX:
        return BAD
    if length <= 8:
        value = _short_decimal(chunk(words, start, length), length, decimals)
    else:
        value = _long_decimal(words, start, length, decimals)
    return -value if negative and value != BAD else value


@kernel
def integer(words: Words, start: int, end: int) -> int:
    """Non-negative integer text below INTEGER_MAX; BAD for anything else."""
    length = end - start
    if length <= 0 or length > DIGITS_MAX:
        return BAD
    if length <= 8:
        return _eight_digits(chunk(words, start, length), length)
    high = _eight_digits(chunk(words, start, length - 8), length - 8)
    low = _eight_digits(chunk(words, end - 8, 8), 8)
    return BAD if high == BAD or low == BAD else high * 100_000_000 + low
