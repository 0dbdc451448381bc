"""Compiled parser of Kalshi's four busy frame types: orderbook_delta, orderbook_snapshot, ticker and trade.

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
from engine.venues.continuity import Action, commit
from engine.venues.counts import Count
from engine.venues.emit import (
    LEVEL_ADD,
    SNAPSHOT_BEGIN,
    SNAPSHOT_END,
    SNAPSHOT_LEVEL,
    TICKER,
    TRADE,
    address,
    finish,
    put,
)
from engine.venues.kalshi import vocabulary as wire
from engine.venues.keys import END, fields, has, is_only_container, keep_span, name_code, span
from engine.venues.scan import (
    BAD,
    CLOSE_LIST,
    CLOSE_OBJECT,
    COMMA,
    CONTAINER,
    OPEN_LIST,
    OPEN_OBJECT,
    TEXT,
    UNSURE,
    after_scalar,
    after_value,
    enter,
    is_ascii,
    load,
    scalar,
    seal,
    skip_space,
    text_start,
)
from engine.venues.symbols import recent_row
from engine.venues.unaligned import byte
from engine.venues.values import (
    best_price_field,
    change_field,
    first_of,
    number_field,
    price_field,
    price_text,
    short_field,
    size_field,
    size_text,
    time_field,
)
from engine.venues.workspace import (
    ACTION,
    BODY_RECORDS_MAX,
    CONNS_MAX,
    COUNTS_AT,
    FIELDS_SEEN,
    FRAME_BYTES_MAX,
    NONE,
    OUT_RECORDS,
    OUT_WORDS,
    RECORDS,
    ROW,
    SEQ,
    SID,
    SKIPPED,
    UNKNOWN_AT,
    UNKNOWN_COUNT,
    YES_SCALE_AT,
    FrameBytes,
    Records,
    Verdict,
    Words,
)

_BID: Final = int(Side.BID)
_ASK: Final = int(Side.ASK)
_KALSHI: Final = int(Venue.KALSHI)
_UNKNOWN_SYMBOL: Final = int(Verdict.UNKNOWN_SYMBOL)
_FRAMES: Final = COUNTS_AT + int(Count.FRAMES)
_FAST: Final = COUNTS_AT + int(Count.FAST)

_SEQUENCED: Final = int(Action.SEQUENCED)
_DELTA: Final = int(Action.DELTA)
_SNAPSHOT: Final = int(Action.SNAPSHOT)


@kernel
def _pair(words: Words, at: int) -> tuple[int, int, int]:
    """Read ``[price, size]``: next cursor or UNSURE, price_e4, size_e6."""
    if byte(words, at) != OPEN_LIST:
        return UNSURE, 0, 0
    at = skip_space(words, at + 1)
    kind, end = scalar(words, at)
    price_e4 = BAD if end < 0 else price_text(words, kind, text_start(kind, at), end)
    if price_e4 == BAD:
        return UNSURE, 0, 0
    at = skip_space(words, after_scalar(kind, end))
    if byte(words, at) != COMMA:
        return UNSURE, 0, 0
    at = skip_space(words, at + 1)
    kind, end = scalar(words, at)
    size_e6 = BAD if end < 0 else size_text(words, kind, text_start(kind, at), end, 0)
    at = skip_space(words, after_scalar(kind, end))
    if size_e6 == BAD or byte(words, at) != CLOSE_LIST:
        return UNSURE, 0, 0
    return at + 1, price_e4, size_e6


@kernel
def _levels(
    words: Words, out: Records, at: int, limit: int, cursor: int, side: int, turned: bool
) -> tuple[int, int]:
    """Read levels into records from ``at`` on: next cursor or UNSURE, and the record behind them."""
    if byte(words, cursor) != OPEN_LIST:
        return UNSURE, at
    cursor, more = enter(words, cursor, CLOSE_LIST)
    while more:
        cursor, price_e4, size_e6 = _pair(words, cursor)
        if cursor < 0 or at >= limit:
            return UNSURE, at
        put(out, at, SNAPSHOT_LEVEL, side, PRICE_ONE_E4 - price_e4 if turned else price_e4, size_e6, 0)
        at += 1
        cursor, more = after_value(words, cursor, CLOSE_LIST)
    return cursor, at


@inlined
def _message(words: Words, out: Records, start: int, cursor: int, yes_scale: bool) -> tuple[int, int]:
    """Read a msg: next cursor or UNSURE, and the record behind its levels (the first is left free)."""
    at = start + 1
    if byte(words, cursor) != OPEN_OBJECT:
        return UNSURE, at
    cursor, more = enter(words, cursor, CLOSE_OBJECT)
    part = 0
    while more:
        cursor, code = fields(words, cursor, wire.MSG_NAMES, part)
        part += 1
        if cursor < 0 or code == END:
            return cursor, at
        no_side = code == wire.NO_LEVELS
        if (not no_side and code != wire.YES_LEVELS) or not keep_span(words, code, CONTAINER, 0, 0):
            return UNSURE, at
        side = _ASK if no_side else _BID
        turned = no_side and not yes_scale
        cursor, at = _levels(words, out, at, start + BODY_RECORDS_MAX - 1, cursor, side, turned)
        if cursor < 0:
            return UNSURE, at
        cursor, more = after_value(words, cursor, CLOSE_OBJECT)
    return cursor, at


@inlined
def _envelope(words: Words, out: Records, start: int, yes_scale: bool) -> tuple[int, int]:
    """Read a whole frame: cursor at its end or UNSURE, and the record behind its levels."""
    at = start + 1
    words[FIELDS_SEEN] = 0
    cursor = skip_space(words, 0)
    if byte(words, cursor) != OPEN_OBJECT:
        return UNSURE, at
    cursor, more = enter(words, cursor, CLOSE_OBJECT)
    part = 0
    while more:
        cursor, code = fields(words, cursor, wire.FRAME_NAMES, part)
        part += 1
        if cursor < 0 or code == END:
            break
        if code != wire.MSG or not keep_span(words, code, CONTAINER, 0, 0):
            return UNSURE, at
        cursor, at = _message(words, out, start, cursor, yes_scale)
        if cursor < 0:
            break
        cursor, more = after_value(words, cursor, CLOSE_OBJECT)
    return cursor, at


@inlined
def _put_delta(words: Words, out: Records, start: int, yes_scale: bool) -> bool:
    """Write the record of a delta; False when it is not sure."""
    price_e4 = price_field(words, wire.PRICE)
    size_e6 = change_field(words, wire.DELTA)
    side = short_field(words, wire.SIDE)
    if price_e4 == BAD or size_e6 == BAD:
        return False
    if side == wire.YES:
        put(out, start, LEVEL_ADD, _BID, price_e4, size_e6, 0)
        return True
    put(out, start, LEVEL_ADD, _ASK, price_e4 if yes_scale else PRICE_ONE_E4 - price_e4, size_e6, 0)
    return side == wire.NO


@kernel
def _put_ticker(words: Words, out: Records, start: int) -> bool:
    """Write the record of a ticker; False when it is not sure."""
    bid_e4 = best_price_field(words, wire.YES_BID)
    ask_e4 = best_price_field(words, wire.YES_ASK)
    if bid_e4 == BAD or ask_e4 == BAD:
        return False
    put(out, start, TICKER, _BID, bid_e4, 0, ask_e4)
    return True


@kernel
def _side_taken(words: Words) -> int:
    """Side of the book a trade took; UNSURE when the frame does not say."""
    if has(words, wire.TAKER_BOOK_SIDE):
        side = short_field(words, wire.TAKER_BOOK_SIDE)
        buys, sells = wire.BID, wire.ASK
    else:
        side = short_field(words, first_of(words, wire.TAKER_OUTCOME_SIDE, wire.TAKER_SIDE))
        buys, sells = wire.YES, wire.NO
    if side == buys:
        return _ASK
    return _BID if side == sells else UNSURE


@kernel
def _put_trade(words: Words, out: Records, start: int) -> bool:
    """Write the record of a trade; False when it is not sure."""
    price_e4 = price_field(words, wire.YES_PRICE)
    size_e6 = size_field(words, wire.COUNT)
    side = _side_taken(words)
    if price_e4 == BAD or size_e6 == BAD or side == UNSURE:
        return False
    put(out, start, TRADE, side, price_e4, size_e6, 0)
    return True


@inlined
def _put_records(words: Words, out: Records, start: int, end: int, code: int, yes_scale: bool) -> int:
    """Write the frame's records; -> their number, UNSURE when it is not sure."""
    if code == wire.TYPE_SNAPSHOT:
        if not is_only_container(words, wire.YES_LEVELS) or not is_only_container(words, wire.NO_LEVELS):
            return UNSURE
        put(out, start, SNAPSHOT_BEGIN, 0, 0, end - start - 1, 0)
        put(out, end, SNAPSHOT_END, 0, 0, 0, 0)
        return end - start + 1
    if has(words, wire.YES_LEVELS) or has(words, wire.NO_LEVELS):
        return UNSURE
    if code == wire.TYPE_DELTA:
        sure = _put_delta(words, out, start, yes_scale)
    elif code == wire.TYPE_TICKER:
        sure = _put_ticker(words, out, start)
    else:
        sure = _put_trade(words, out, start)
    return 1 if sure else UNSURE


@inlined
def _identify(words: Words, table: Words, code: int) -> bool:
    """Fill in what the frame is to its subscription; False when it is not sure."""
    sid = number_field(words, wire.SID)
    seq = number_field(words, wire.SEQ)
    kind, start, end = span(words, wire.TICKER)
    if sid == BAD or seq == BAD or kind != TEXT:
        return False
    row = recent_row(table, words, start, end - start)
    action = _DELTA if code == wire.TYPE_DELTA else _SEQUENCED
    if code == wire.TYPE_SNAPSHOT:
        action = _SNAPSHOT
    words[ACTION] = action if row != NONE else _SEQUENCED
    words[SID] = sid
    words[SEQ] = seq if seq > 0 else NONE
    words[ROW] = row
    words[RECORDS] = 0
    words[SKIPPED] = 1 if row == NONE else 0
    words[UNKNOWN_COUNT] = words[SKIPPED]
    words[UNKNOWN_AT] = start
    words[UNKNOWN_AT + 1] = end
    return True


@inlined
def _parse(
    words: Words, table: Words, out: Records, start: int, length: int, yes_scale: bool, skip: bool
) -> int:
    """Parse one frame into records and the description that ``commit`` takes; -> a Verdict, or 0."""
    cursor, end = _envelope(words, out, start, yes_scale)
    if cursor < 0 or skip_space(words, cursor) != length:
        return UNSURE
    kind, first, last = span(words, wire.TYPE)
    code = name_code(words, wire.TYPE_NAMES, first, last) if kind == TEXT else 0
    venue_ns = time_field(words, first_of(words, wire.TS_MS, wire.SENDING_TS_MS))
    if code == 0 or not has(words, wire.MSG) or venue_ns == BAD:
        return UNSURE
    if not _identify(words, table, code):
        return UNSURE
    row = int(words[ROW])
    if row == NONE:
        return 0 if skip else _UNKNOWN_SYMBOL
    count = _put_records(words, out, start, end, code, yes_scale)
    if count == UNSURE:
        return UNSURE
    words[RECORDS] = count
    address(out, start, start + count, table, row, venue_ns, max(int(words[SEQ]), 0), 0)
    return 0


@kernel
def _read(
    words: Words, table: Words, out: Records, start: int, length: int, recv_ns: int, conn: int, skip: bool
) -> int:
    """Read the sealed frame; -> records at ``start``, or a Verdict, and then nothing has happened."""
    if not 0 <= conn < CONNS_MAX or not is_ascii(words, length):
        return UNSURE
    yes_scale = int(words[YES_SCALE_AT + conn]) != 0
    found = _parse(words, table, out, start, length, yes_scale, skip)
    if found != 0:
        return found
    words[_FRAMES] += 1
    words[_FAST] += 1
    count = commit(words, table, out, start, conn)
    return finish(words, out, start, count, recv_ns, _KALSHI)


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
