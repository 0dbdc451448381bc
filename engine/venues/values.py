"""Values of the fields that ``keys.fields`` remembered, as exact integers: what the fast parsers read with.

The twin of ``engine.venues.numbers`` for kernels: where that one refuses, these are not sure (BAD), and so
they are wherever the text is not plain.
"""

from __future__ import annotations

from engine.jit import inlined, kernel
from engine.records import NO_PRICE
from engine.units import LEVEL_SIZE_MAX_E6, NS_PER_MS, PRICE_ONE_E4
from engine.venues.keys import has, span
from engine.venues.numbers import PRICE_DECIMALS, SIZE_DECIMALS, TIME_MAX_MS
from engine.venues.scan import BAD, TEXT, WORD, chunk, decimal, integer
from engine.venues.workspace import NONE, Words


@inlined
def price_text(words: Words, kind: int, start: int, end: int) -> int:
    """price_e4 of a string or number; BAD off 0..1."""
    price_e4 = BAD if kind == WORD else decimal(words, start, end, PRICE_DECIMALS)
    return price_e4 if 0 <= price_e4 <= PRICE_ONE_E4 else BAD


@inlined
def size_text(words: Words, kind: int, start: int, end: int, lowest_e6: int) -> int:
    """size_e6 of a string or number; BAD below ``lowest_e6`` and beyond the bound of a level."""
    size_e6 = BAD if kind == WORD else decimal(words, start, end, SIZE_DECIMALS)
    return size_e6 if lowest_e6 <= size_e6 <= LEVEL_SIZE_MAX_E6 else BAD


@inlined
def price_field(words: Words, field: int) -> int:
    """price_e4 of a field; BAD when there is none."""
    kind, start, end = span(words, field)
    return price_text(words, kind, start, end)


@inlined
def size_field(words: Words, field: int) -> int:
    """size_e6 of a field with an absolute size."""
    kind, start, end = span(words, field)
    return size_text(words, kind, start, end, 0)


@inlined
def change_field(words: Words, field: int) -> int:
    """size_e6 of a field with a signed change."""
    kind, start, end = span(words, field)
    return size_text(words, kind, start, end, -LEVEL_SIZE_MAX_E6)


@inlined
def best_price_field(words: Words, field: int) -> int:
    """Declared best price of a field; NO_PRICE for 0, 1 and the empty string: the side is empty."""
    kind, start, end = span(words, field)
    if kind == TEXT and start == end:
        return NO_PRICE
    price_e4 = price_text(words, kind, start, end)
    return NO_PRICE if price_e4 == 0 or price_e4 == PRICE_ONE_E4 else price_e4


@kernel
def number_field(words: Words, field: int) -> int:
    """Whole number of a field; NONE when the object does not have it."""
    kind, start, end = span(words, field)
    if kind == 0:
        return NONE
    return BAD if kind == WORD else integer(words, start, end)


@kernel
def time_field(words: Words, field: int) -> int:
    """Nanoseconds of a field with milliseconds; 0 when the object does not have it."""
    time_ms = number_field(words, field)
    if time_ms > TIME_MAX_MS or time_ms == BAD:
        return BAD
    return 0 if time_ms == NONE else time_ms * NS_PER_MS


@inlined
def short_field(words: Words, field: int) -> int:
    """String of one to eight characters as ``name_word`` has it; 0 for anything else."""
    kind, start, end = span(words, field)
    if kind != TEXT or end == start or end - start > 8:
        return 0
    return chunk(words, start, end - start)


@inlined
def first_of(words: Words, field: int, other: int) -> int:
    """``field`` when the object has it, else ``other``."""
    return field if has(words, field) else other
