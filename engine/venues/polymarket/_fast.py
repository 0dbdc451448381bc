"""Compiled parser of Polymarket's market channel: book, price_change, three flat events, and arrays of them.

Reads one sealed frame (engine.venues.scan) in one pass, keys in any order, and writes its records from
``start`` on. Anything it is not sure about is left to the general parser: nothing but scratch has been
changed then.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.jit import inlined, kernel
from engine.records import BOOK_UPDATE, Side, Venue
from engine.units import PRICE_ONE_E4
from engine.venues.continuity import Action, commit_unnumbered
from engine.venues.counts import Count
from engine.venues.emit import (
    DECLARED_TOP,
    LEVEL_SET,
    SNAPSHOT_BEGIN,
    SNAPSHOT_END,
    address,
    finish,
    put,
)
from engine.venues.keys import END, fields, has, is_only_container, keep_span, name_code, span
from engine.venues.polymarket import vocabulary as wire
from engine.venues.polymarket._assets import asset_row, is_turned, put_pair, sibling_flag, side_of, touch
from engine.venues.polymarket._events import put_event
from engine.venues.polymarket._levels import read_levels
from engine.venues.scan import (
    BAD,
    CLOSE_LIST,
    CLOSE_OBJECT,
    CONTAINER,
    OPEN_LIST,
    OPEN_OBJECT,
    TEXT,
    UNSURE,
    after_value,
    enter,
    is_ascii,
    load,
    seal,
    skip_space,
)
from engine.venues.unaligned import byte
from engine.venues.values import best_price_field, price_field, size_field, time_field
from engine.venues.workspace import (
    ACTION,
    BODY_RECORDS_MAX,
    CHECK_HASH,
    CONNS_MAX,
    COUNTS_AT,
    FIELDS_SEEN,
    FRAME_BYTES_MAX,
    FRAME_STAMP,
    NONE,
    OUT_RECORDS,
    OUT_WORDS,
    RECORDS,
    ROW_WORDS,
    ROWS_AT,
    SEQ,
    SKIPPED,
    TOP_ASK,
    TOP_BID,
    TOP_STATE,
    TOUCHED,
    TOUCHED_ROW,
    UNKNOWN_COUNT,
    VENUE_NS,
    FrameBytes,
    Records,
    Verdict,
    Words,
)

_BID: Final = int(Side.BID)
_ASK: Final = int(Side.ASK)
_POLYMARKET: Final = int(Venue.POLYMARKET)
_UNKNOWN_SYMBOL: Final = int(Verdict.UNKNOWN_SYMBOL)
_FRAMES: Final = COUNTS_AT + int(Count.FRAMES)
_FAST: Final = COUNTS_AT + int(Count.FAST)
_SEQUENCED: Final = int(Action.SEQUENCED)

_HASHED_FIELDS: Final = (
    1 << wire.HASH
    | 1 << wire.MIN_ORDER_SIZE
    | 1 << wire.TICK_SIZE
    | 1 << wire.NEG_RISK
    | 1 << wire.LAST_TRADE_PRICE
)
_LISTS: Final = 1 << wire.BIDS | 1 << wire.ASKS | 1 << wire.PRICE_CHANGES
_SIDES: Final = 1 << wire.BIDS | 1 << wire.ASKS


@inlined
def _declare(words: Words, row: int) -> bool:
    """Take the best prices an entry declares: the last entry of an asset counts. False when not sure."""
    at = touch(words, row)
    if not has(words, wire.ENTRY_BEST_BID) or not has(words, wire.ENTRY_BEST_ASK):
        return True
    words[at + TOP_STATE] = 1
    words[at + TOP_BID] = best_price_field(words, wire.ENTRY_BEST_BID)
    words[at + TOP_ASK] = best_price_field(words, wire.ENTRY_BEST_ASK)
    return int(words[at + TOP_BID]) != BAD and int(words[at + TOP_ASK]) != BAD


@inlined
def _entry(words: Words, table: Words, out: Records, at: int) -> int:
    """Write the record of an entry of price_changes; -> the record behind it, UNSURE when it is not sure."""
    row = asset_row(words, table, wire.ENTRY_ASSET_ID)
    if row < 0:
        return at if row == NONE else UNSURE
    price_e4 = price_field(words, wire.ENTRY_PRICE)
    size_e6 = size_field(words, wire.ENTRY_SIZE)
    side = side_of(words, wire.ENTRY_SIDE)
    if price_e4 == BAD or size_e6 == BAD or side == UNSURE or not _declare(words, row):
        return UNSURE
    if is_turned(table, row):
        price_e4 = PRICE_ONE_E4 - price_e4
        side = 1 - side
    put(out, at, LEVEL_SET, side, price_e4, size_e6, 0)
    address(out, at, at + 1, table, row, 0, 0, sibling_flag(table, row))
    return at + 1


@inlined
def _entries(words: Words, table: Words, out: Records, at: int, limit: int, cursor: int) -> tuple[int, int]:
    """Read price_changes into records from ``at`` on: next cursor or UNSURE, and the record behind them."""
    if byte(words, cursor) != OPEN_LIST:
        return UNSURE, at
    cursor, more = enter(words, cursor, CLOSE_LIST)
    while more:
        if byte(words, cursor) != OPEN_OBJECT or at >= limit:
            return UNSURE, at
        words[FIELDS_SEEN] = int(words[FIELDS_SEEN]) & ~wire.ENTRY_FIELDS
        cursor, some = enter(words, cursor, CLOSE_OBJECT)
        if not some:
            return UNSURE, at
        cursor, code = fields(words, cursor, wire.ENTRY_NAMES, 0)
        if code != END or cursor < 0:
            return UNSURE, at
        at = _entry(words, table, out, at)
        if at < 0:
            return UNSURE, at
        cursor, more = after_value(words, cursor, CLOSE_LIST)
    return cursor, at


@inlined
def _lists(words: Words, table: Words, out: Records, start: int, limit: int, cursor: int) -> tuple[int, int]:
    """Read the members of a message: next cursor or UNSURE, and the record behind those of its lists.

    The first record of a book is left free.
    """
    at = start
    words[FIELDS_SEEN] = 0
    cursor, more = enter(words, cursor, CLOSE_OBJECT)
    part = 0
    while more:
        cursor, code = fields(words, cursor, wire.MESSAGE_NAMES, part)
        part += 1
        if cursor < 0 or code == END:
            break
        if int(words[FIELDS_SEEN]) & _SIDES == 0 and (code == wire.BIDS or code == wire.ASKS):
            at += 1
        if (1 << max(code, 0)) & _LISTS == 0 or not keep_span(words, code, CONTAINER, 0, 0):
            return UNSURE, at
        if code == wire.PRICE_CHANGES:
            cursor, at = _entries(words, table, out, at, limit, cursor)
        else:
            side = _BID if code == wire.BIDS else _ASK
            cursor, at = read_levels(words, out, at, limit, cursor, side)
        if cursor < 0:
            break
        cursor, more = after_value(words, cursor, CLOSE_OBJECT)
    return cursor, at


@kernel
def _turn_levels(out: Records, start: int, end: int) -> None:
    """Turn the levels of a NO book into YES terms."""
    for at in range(start, end):
        out[at]["price_e4"] = PRICE_ONE_E4 - int(out[at]["price_e4"])
        out[at]["side"] = 1 - int(out[at]["side"])


@kernel
def _book(words: Words, table: Words, out: Records, start: int, end: int) -> int:
    """Put the marks around the levels of a book; -> the record behind it, UNSURE when it is not sure."""
    seen = int(words[FIELDS_SEEN])
    hashed = int(words[CHECK_HASH]) != 0 and seen & _HASHED_FIELDS == _HASHED_FIELDS
    if seen & _LISTS != _SIDES or hashed:
        return UNSURE
    row = asset_row(words, table, wire.ASSET_ID)
    if row < 0:
        return start if row == NONE else UNSURE
    touch(words, row)
    if is_turned(table, row):
        _turn_levels(out, start + 1, end)
    put(out, start, SNAPSHOT_BEGIN, 0, 0, end - start - 1, 0)
    put(out, end, SNAPSHOT_END, 0, 0, 0, 0)
    address(out, start, end + 1, table, row, 0, 0, sibling_flag(table, row))
    return end + 1


@inlined
def _has_only_lists(words: Words) -> bool:
    """Whether the message's sides and changes, if it has them, are lists."""
    return (
        is_only_container(words, wire.BIDS)
        and is_only_container(words, wire.ASKS)
        and is_only_container(words, wire.PRICE_CHANGES)
    )


@kernel
def _message(
    words: Words, table: Words, out: Records, start: int, limit: int, cursor: int
) -> tuple[int, int]:
    """Read the message at ``cursor``: next cursor or UNSURE, and the record behind its records."""
    if byte(words, cursor) != OPEN_OBJECT or start >= limit:
        return UNSURE, start
    cursor, at = _lists(words, table, out, start, limit, cursor)
    kind, first, last = span(words, wire.EVENT_TYPE)
    venue_ns = time_field(words, wire.TIMESTAMP)
    if cursor < 0 or kind != TEXT or venue_ns == BAD or not _has_only_lists(words):
        return UNSURE, start
    code = name_code(words, wire.TYPE_NAMES, first, last)
    lists = int(words[FIELDS_SEEN]) & _LISTS
    if code == wire.TYPE_BOOK:
        at = _book(words, table, out, start, at)
    elif code == wire.TYPE_PRICE_CHANGE:
        at = at if lists == 1 << wire.PRICE_CHANGES else UNSURE
    else:
        at = UNSURE if code == 0 or lists else put_event(words, table, out, start, code)
    if at < 0:
        return UNSURE, start
    words[VENUE_NS] = venue_ns
    for index in range(start, at):
        out[index]["venue_ns"] = venue_ns
    return cursor, at


@inlined
def _messages(words: Words, table: Words, out: Records, start: int, limit: int) -> tuple[int, int]:
    """Read one message or an array of them: cursor at the end or UNSURE, and the record behind."""
    cursor = skip_space(words, 0)
    if byte(words, cursor) != OPEN_LIST:
        return _message(words, table, out, start, limit, cursor)
    at = start
    cursor, more = enter(words, cursor, CLOSE_LIST)
    while more:
        cursor, at = _message(words, table, out, at, limit, cursor)
        if cursor < 0:
            return UNSURE, at
        cursor, more = after_value(words, cursor, CLOSE_LIST)
    return cursor, at


@inlined
def _declare_tops(words: Words, table: Words, out: Records, at: int) -> int:
    """Write the best prices the frame declares, once for each asset; -> the record behind them."""
    for index in range(int(words[TOUCHED])):
        row = int(words[ROWS_AT + ROW_WORDS * index + TOUCHED_ROW])
        top = ROWS_AT + ROW_WORDS * row
        if int(words[top + TOP_STATE]) == 0:
            continue
        put_pair(
            out, at, DECLARED_TOP, int(words[top + TOP_BID]), int(words[top + TOP_ASK]), is_turned(table, row)
        )
        address(out, at, at + 1, table, row, int(words[VENUE_NS]), 0, sibling_flag(table, row))
        at += 1
    return at


@kernel
def _read(
    words: Words, table: Words, out: Records, start: int, length: int, recv_ns: int, conn: int, skip: bool
) -> int:
    """Read the sealed frame; -> records at ``start``, or a Verdict, and then nothing has happened."""
    if not 0 <= conn < CONNS_MAX or not is_ascii(words, length):
        return UNSURE
    words[FRAME_STAMP] += 1
    words[TOUCHED] = 0
    words[SKIPPED] = 0
    words[UNKNOWN_COUNT] = 0
    words[VENUE_NS] = 0
    limit = start + BODY_RECORDS_MAX - 1  # the end mark of a book may lie at the limit
    cursor, at = _messages(words, table, out, start, limit)
    if cursor < 0 or skip_space(words, cursor) != length:
        return UNSURE
    if int(words[UNKNOWN_COUNT]) and not skip:
        return _UNKNOWN_SYMBOL
    if at + 2 * int(words[TOUCHED]) > limit:
        return UNSURE
    words[ACTION] = _SEQUENCED
    words[SEQ] = NONE
    words[RECORDS] = _declare_tops(words, table, out, at) - start
    words[_FRAMES] += 1
    words[_FAST] += 1
    count = commit_unnumbered(words, table, out, start, conn)
    return finish(words, out, start, count, recv_ns, _POLYMARKET)


@kernel
def read_one(
    words: Words, table: Words, out_words: Words, start: int, length: int, recv_ns: int, conn: int, skip: bool
) -> int:
    """Read the frame that lies in ``words``; -> records from ``start`` on, or a Verdict.

    ``start`` is an argument because a literal would make the compiler build all parsers a second time.
    """
    seal(words, length)
    return _read(words, table, out_words.view(BOOK_UPDATE), start, length, recv_ns, conn, skip)


@kernel
def read_bytes(memory: Words, table: Words, payload: FrameBytes, recv_ns: int, conn: int, skip: bool) -> int:
    """Copy a frame into ``memory``, and read it as ``read_one`` does from the first record on.

    ``memory``: ``words``, and the records behind them. A frame that is too long is one to be unsure of.
    """
    length = len(payload)
    if length > FRAME_BYTES_MAX:
        return UNSURE
    words, out_words = memory[: len(memory) - OUT_WORDS], memory[len(memory) - OUT_WORDS :]
    load(words, words.view(np.uint8), payload, 0, length)
    return _read(words, table, out_words.view(BOOK_UPDATE), 0, length, recv_ns, conn, skip)


@kernel
def read_many(
    words: Words,
    table: Words,
    out_words: Words,
    start: int,
    source: FrameBytes,
    offsets: Words,
    lengths: Words,
    recv_ns: Words,
    conns: Words,
    count: int,
    skip: bool,
) -> tuple[int, int]:
    """Read frames of ``source`` until one needs Python or the records are half full; -> frames, records.

    ``start`` is an argument for the reason that ``read_one`` gives.
    """
    out = out_words.view(BOOK_UPDATE)
    memory = words.view(np.uint8)
    at = start
    for index in range(count):
        length = int(lengths[index])
        if at > OUT_RECORDS // 2 or length > FRAME_BYTES_MAX:
            return index, at
        load(words, memory, source, int(offsets[index]), length)
        found = _read(words, table, out, at, length, int(recv_ns[index]), int(conns[index]), skip)
        if found < 0:
            return index, at
        at += found
    return count, at
