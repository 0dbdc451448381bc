"""Compiled reading of a ``book`` message's sides: lists of ``{"price": "0.48", "size": "30"}``.

A deep book is mostly this one shape, so it is tried first, eight bytes at a time; any other spelling of the
same object takes the general walk over its members.
"""

from __future__ import annotations

from typing import Final

from engine.jit import kernel
from engine.venues.emit import SNAPSHOT_LEVEL, put
from engine.venues.keys import END, fields, name_word
from engine.venues.polymarket import vocabulary as wire
from engine.venues.scan import (
    BAD,
    CLOSE_LIST,
    CLOSE_OBJECT,
    OPEN_LIST,
    OPEN_OBJECT,
    TEXT,
    UNSURE,
    after_value,
    chunk,
    enter,
    string_end,
)
from engine.venues.unaligned import byte
from engine.venues.values import price_field, price_text, size_field, size_text
from engine.venues.workspace import FIELDS_SEEN, Records, Words

_OPENING: Final = name_word(b'{"price"')
_COLON_QUOTE: Final = name_word(b':"')
_BETWEEN: Final = name_word(b'","size"')
_CLOSING: Final = name_word(b'"}')


@kernel
def _usual(words: Words, at: int) -> tuple[int, int, int]:
    """Read a level in the usual spelling: next cursor (UNSURE: spelled otherwise), price_e4, size_e6."""
    if chunk(words, at, 8) != _OPENING or chunk(words, at + 8, 2) != _COLON_QUOTE:
        return UNSURE, 0, 0
    end = string_end(words, at + 10)
    price_e4 = price_text(words, TEXT, at + 10, end)
    if chunk(words, end, 8) != _BETWEEN or chunk(words, end + 8, 2) != _COLON_QUOTE:
        return UNSURE, 0, 0
    start = end + 10
    end = string_end(words, start)
    size_e6 = size_text(words, TEXT, start, end, 0)
    if price_e4 == BAD or size_e6 == BAD or chunk(words, end, 2) != _CLOSING:
        return UNSURE, 0, 0
    return end + 2, price_e4, size_e6


@kernel
def _unusual(words: Words, at: int) -> tuple[int, int, int]:
    """Read a level however it is spelled: next cursor or UNSURE, price_e4, size_e6."""
    if byte(words, at) != OPEN_OBJECT:
        return UNSURE, 0, 0
    words[FIELDS_SEEN] = int(words[FIELDS_SEEN]) & ~wire.LEVEL_FIELDS
    at, some = enter(words, at, CLOSE_OBJECT)
    if not some:
        return UNSURE, 0, 0
    at, code = fields(words, at, wire.LEVEL_NAMES, 0)
    price_e4 = price_field(words, wire.LEVEL_PRICE)
    size_e6 = size_field(words, wire.LEVEL_SIZE)
    if code != END or price_e4 == BAD or size_e6 == BAD:
        return UNSURE, 0, 0
    return at, price_e4, size_e6


@kernel
def read_levels(words: Words, out: Records, at: int, limit: int, cursor: int, side: int) -> tuple[int, int]:
    """Read levels into records from ``at`` on: next cursor or UNSURE, and the record behind them."""
    if byte(words, cursor) != OPEN_LIST:
        return UNSURE, at
    cursor, more = enter(words, cursor, CLOSE_LIST)
    while more:
        after, price_e4, size_e6 = _usual(words, cursor)
        if after < 0:
            after, price_e4, size_e6 = _unusual(words, cursor)
        if after < 0 or at >= limit:
            return UNSURE, at
        put(out, at, SNAPSHOT_LEVEL, side, price_e4, size_e6, 0)
        at += 1
        cursor, more = after_value(words, after, CLOSE_LIST)
    return cursor, at
