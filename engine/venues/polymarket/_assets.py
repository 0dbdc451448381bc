"""Whom a message is about: its asset as a row of the symbol table, and what that means for records."""

from __future__ import annotations

from typing import Final

from engine.jit import inlined
from engine.records import NO_PRICE, Side
from engine.units import PRICE_ONE_E4
from engine.venues.emit import SIBLING, put
from engine.venues.keys import span
from engine.venues.polymarket import vocabulary as wire
from engine.venues.scan import TEXT, UNSURE
from engine.venues.symbols import TRAIT_NO, TRAITS, TRAITS_SIBLING, recent_row
from engine.venues.values import short_field
from engine.venues.workspace import (
    FRAME_STAMP,
    NONE,
    ROW_WORDS,
    ROWS_AT,
    SKIPPED,
    TOP_STAMP,
    TOP_STATE,
    TOUCHED,
    TOUCHED_ROW,
    UNKNOWN_AT,
    UNKNOWN_COUNT,
    UNKNOWN_MAX,
    Records,
    Words,
)

NOT_A_SYMBOL: Final = -2  # as a row: the message names no asset

_BID: Final = int(Side.BID)
_ASK: Final = int(Side.ASK)


@inlined
def asset_row(words: Words, table: Words, field: int) -> int:
    """Symbol row of a field; NONE, noted, for a symbol nobody registered; NOT_A_SYMBOL without one."""
    kind, start, end = span(words, field)
    if kind != TEXT:
        return NOT_A_SYMBOL
    row = recent_row(table, words, start, end - start)
    if row == NONE:
        words[SKIPPED] += 1
        count = int(words[UNKNOWN_COUNT])
        if count < UNKNOWN_MAX:
            words[UNKNOWN_AT + 2 * count] = start
            words[UNKNOWN_AT + 2 * count + 1] = end
            words[UNKNOWN_COUNT] = count + 1
    return row


@inlined
def touch(words: Words, row: int) -> int:
    """Note that the frame changes the book of a symbol row; -> offset of what is kept about the row."""
    at = ROWS_AT + ROW_WORDS * row
    if int(words[at + TOP_STAMP]) != int(words[FRAME_STAMP]):
        words[at + TOP_STAMP] = words[FRAME_STAMP]
        words[ROWS_AT + ROW_WORDS * int(words[TOUCHED]) + TOUCHED_ROW] = row
        words[TOUCHED] += 1
    words[at + TOP_STATE] = 0
    return at


@inlined
def sibling_flag(table: Words, row: int) -> int:
    """Flags of a symbol's records."""
    return SIBLING if int(table[row, TRAITS]) == TRAITS_SIBLING else 0


@inlined
def is_turned(table: Words, row: int) -> bool:
    """Whether the symbol's prices are those of NO."""
    return int(table[row, TRAITS]) & TRAIT_NO != 0


@inlined
def side_of(words: Words, field: int) -> int:
    """BID for a BUY, ASK for a SELL; UNSURE for anything else."""
    side = short_field(words, field)
    if side == wire.BUY:
        return _BID
    return _ASK if side == wire.SELL else UNSURE


@inlined
def put_pair(out: Records, at: int, kind: int, bid_e4: int, ask_e4: int, turned: bool) -> None:
    """Write best prices, turned when they are those of NO."""
    if turned:
        bid_e4, ask_e4 = (
            NO_PRICE if ask_e4 == NO_PRICE else PRICE_ONE_E4 - ask_e4,
            NO_PRICE if bid_e4 == NO_PRICE else PRICE_ONE_E4 - bid_e4,
        )
    put(out, at, kind, _BID, bid_e4, 0, ask_e4)
