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

from engine.jit import kernel
from engine.venues.workspace import SENTINEL_WORDS, FrameBytes, Words

UNSURE: Final = -1
BAD: Final = -(1 << 62)  # a number that is not sure; no price, size or time comes near

TEXT: Final = 1  # kinds of a scalar
NUMBER: Final = 2
WORD: Final = 3  # true, false, null

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
_QUOTES: Final = 0x2222222222222222
_BACKSLASHES: Final = 0x5C5C5C5C5C5C5C5C
_SPACES: Final = 0x2020202020202020

_SPACE_BYTES: Final = 1 << 0x20 | 1 << 0x0A | 1 << 0x0D | 1 << 0x09  # bit n: byte n is white space

_TRUE: Final = int.from_bytes(b"true", "little")
_FALSE: Final = int.from_bytes(b"false", "little")
_NULL: Final = int.from_bytes(b"null", "little")


@kernel
def byte(words: Words, at: int) -> int:
    """Byte ``at`` of the frame."""
    return (int(words[at >> 3]) >> ((at & 7) << 3)) & 0xFF


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
    memory[:length] = source[start : start + length]
    seal(words, length)


@kernel
def is_ascii(words: Words, length: int) -> bool:
    """Whether no byte of a sealed frame has its top bit set."""
    found = 0
    for at in range((length >> 3) + 1):
        found |= int(words[at])
    return found & _HIGHS == 0


@kernel
def _special(word: int) -> int:
    """Top bit of each byte that is a quote, a backslash or a control character.

    Exact for the lowest such byte (a borrow can flag bytes above it), which is the only one that is used.
    """
    quotes = word ^ _QUOTES
    slashes = word ^ _BACKSLASHES
    return ((quotes - _ONES) | (slashes - _ONES) | (word - _SPACES)) & _HIGHS


@kernel
def string_end(words: Words, at: int) -> int:
    """Index of the first byte from ``at`` on that cannot stand inside a plain string; eight bytes a step."""
    index = at >> 3
    flags = _special(int(words[index])) & (-1 << ((at & 7) << 3))
    while flags == 0:
        index += 1
        flags = _special(int(words[index]))
    end = index << 3
    if flags & 0xFFFFFFFF == 0:
        flags >>= 32
        end += 4
    if flags & 0xFFFF == 0:
        flags >>= 16
        end += 2
    if flags & 0xFF == 0:
        end += 1
    return end


@kernel
def chunk(words: Words, at: int, length: int) -> int:
    """Up to eight ASCII bytes from ``at`` on as one integer, zeros above ``length``; 0 < length."""
    shift = (at & 7) << 3
    value = int(words[at >> 3])
    if shift:
        above = int(words[(at >> 3) + 1]) & ((1 << shift) - 1)
        value = (value >> shift) | (above << (64 - shift))
    if length < 8:
        value &= (1 << (length << 3)) - 1
    return value


@kernel
def skip_space(words: Words, at: int) -> int:
    """Cursor past white space."""
    found = byte(words, at)
    while found <= 0x20 and (_SPACE_BYTES >> found) & 1:
        at += 1
        found = byte(words, at)
    return at


@kernel
def enter(words: Words, at: int, closer: int) -> tuple[int, bool]:
    """Step into a list or object: cursor at its first element and True, or past it and False."""
    at = skip_space(words, at + 1)
    if byte(words, at) == closer:
        return at + 1, False
    return at, True


@kernel
def after_value(words: Words, at: int, closer: int) -> tuple[int, bool]:
    """Step past a value: cursor at the next one and True, past the closer and False, or UNSURE and False."""
    at = skip_space(words, at)
    found = byte(words, at)
    if found == COMMA:
        return skip_space(words, at + 1), True
    if found == closer:
        return at + 1, False
    return UNSURE, False


@kernel
def key_end(words: Words, at: int) -> int:
    """End of the member name whose quote is at ``at``; UNSURE when there is none."""
    if byte(words, at) != QUOTE:
        return UNSURE
    end = string_end(words, at + 1)
    return end if byte(words, end) == QUOTE else UNSURE


@kernel
def after_key(words: Words, end: int) -> int:
    """Cursor of the value behind the name that ends at ``end``; UNSURE without a colon."""
    at = skip_space(words, end + 1)
    return skip_space(words, at + 1) if byte(words, at) == COLON else UNSURE


@kernel
def _digits_end(words: Words, at: int) -> int:
    """Cursor past digits."""
    while 0 <= byte(words, at) - ZERO <= 9:
        at += 1
    return at


@kernel
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
def _word_end(words: Words, at: int) -> int:
    """Cursor past true, false or null; UNSURE for anything else."""
    five = chunk(words, at, 5)
    four = five & 0xFFFFFFFF
    if four in (_TRUE, _NULL):
        return at + 4
    return at + 5 if five == _FALSE else UNSURE


@kernel
def scalar(words: Words, at: int) -> tuple[int, int]:
    """Kind of the string, number or literal at ``at``, and the end of its text (no quotes) or UNSURE."""
    found = byte(words, at)
    if found == QUOTE:
        end = string_end(words, at + 1)
        return TEXT, end if byte(words, end) == QUOTE else UNSURE
    if found == MINUS or 0 <= found - ZERO <= 9:
        return NUMBER, number_end(words, at)
    return WORD, _word_end(words, at)


@kernel
def text_start(kind: int, at: int) -> int:
    """Where the text of a scalar of this kind at ``at`` begins."""
    return at + 1 if kind == TEXT else at


@kernel
def after_scalar(kind: int, end: int) -> int:
    """Cursor past a scalar of this kind whose text ends at ``end``."""
    return end + 1 if kind == TEXT else end


@kernel
def decimal(words: Words, start: int, end: int, decimals: int) -> int:
    """Decimal text as an integer of 10**-decimals, exact; BAD when it is not plain or has more precision."""
    length = end - start
    if length <= 0 or length > DECIMAL_CHARS_MAX:
        return BAD
    value = 0
    digits = 0
    places = -1  # digits behind the point; -1: no point yet
    rest = 0
    for index in range(length):
        if index & 7 == 0:
            rest = chunk(words, start + index, length - index)
        digit = (rest & 0xFF) - ZERO
        rest >>= 8
        if 0 <= digit <= 9:
            digits += 1
            if places >= decimals:
                if digit:
                    return BAD
                continue
            value = value * 10 + digit
            if places >= 0:
                places += 1
        elif digit == POINT - ZERO and places < 0:
            places = 0
        elif digit != MINUS - ZERO or index:
            return BAD
    if digits == 0 or digits - max(places, 0) > WHOLE_DIGITS_MAX:
        return BAD
    for _ in range(max(places, 0), decimals):
        value *= 10
    return -value if byte(words, start) == MINUS else value


@kernel
def integer(words: Words, start: int, end: int) -> int:
    """Non-negative integer text below INTEGER_MAX; BAD for anything else."""
    length = end - start
    if length <= 0 or length > DIGITS_MAX:
        return BAD
    value = 0
    rest = 0
    for index in range(length):
        if index & 7 == 0:
            rest = chunk(words, start + index, length - index)
        digit = (rest & 0xFF) - ZERO
        rest >>= 8
        if digit < 0 or digit > 9:
            return BAD
        value = value * 10 + digit
    return value
