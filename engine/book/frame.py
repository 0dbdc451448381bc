"""The end of a frame: what was declared is compared, trust follows, a TOP and the row are written.

A declared best bid and ask that disagrees is flagged, and the next declaring frame that still disagrees makes
the book suspect; so does a pair of mirrored tokens that disagrees after a second frame. Declarations of one
venue millisecond count as one: the venue sends its frames in no order, each with the best prices after all of
them. A book whose best bid is at or above its best ask is crossed: a matching engine leaves no such book
behind, locked ones included.
"""

from __future__ import annotations

from typing import Final

from engine.book.doubt import raise_doubt, watch_crossing
from engine.book.grid import price_of
from engine.book.mirror import still_differs
from engine.book.pool import BEST, NO_TICK, UNKNOWN
from engine.book.rows import publish_row
from engine.book.state import BookState, Count, Seen, Source
from engine.book.trust import TrustEvent
from engine.jit import inlined
from engine.reasons import Reason
from engine.records import NO_PRICE, TopFlag, Trust
from engine.units import NS_PER_MS

MISSES_MAX: Final = 2  # frames in a row that may not disagree ...
UNORDERED_MAX: Final = 64  # ... nor as many as this, though they be of one venue millisecond

_LIVE, _UNSYNCED = int(Trust.LIVE), int(Trust.UNSYNCED)
_DOUBT: Final = int(TrustEvent.DOUBT)
_NOBODY: Final = int(Source.NOBODY)
_CONTENT, _DECLARED, _TICKER, _SIBLING, _SNAPSHOT = (
    int(Seen.CONTENT),
    int(Seen.DECLARED),
    int(Seen.TICKER),
    int(Seen.SIBLING_DECLARED),
    int(Seen.SNAPSHOT),
)
_TOP_DISAGREES, _MIRROR_BROKEN, _LAPPED = (
    int(Reason.TOP_DISAGREES),
    int(Reason.MIRROR_BROKEN),
    int(Reason.RING_LAPPED),
)
_BEST_CHANGED, _CROSSED, _FLAG_DECLARED, _AGREES = (
    int(TopFlag.BEST_CHANGED),
    int(TopFlag.CROSSED),
    int(TopFlag.DECLARED),
    int(TopFlag.DECLARED_AGREES),
)
_FLAG_UNKNOWN, _FLAG_SNAPSHOT, _FLAG_TICKER, _DIFFERS = (
    int(TopFlag.SIZE_UNKNOWN),
    int(TopFlag.SNAPSHOT),
    int(TopFlag.TICKER),
    int(TopFlag.MIRROR_DIFFERS),
)
_CROSSED_FRAMES, _TORN = int(Count.CROSSED_FRAMES), int(Count.SNAPSHOTS_TORN)
_ON_LIVE, _ON_UNSYNCED, _ON_DOUBTED, _TICKERS, _BY_SIBLING = (
    int(Count.DECLARED_LIVE),
    int(Count.DECLARED_UNSYNCED),
    int(Count.DECLARED_DOUBTED),
    int(Count.TICKERS),
    int(Count.SIBLING_DECLARED),
)


@inlined
def best_price(state: BookState, slot: int, side: int) -> int:
    """Best price in 1e-4 dollar of a side, NO_PRICE when it is empty."""
    tick = int(state.ladders.sides[2 * slot + side, BEST])
    if tick == NO_TICK:
        return NO_PRICE
    return price_of(state.table, int(state.books[slot]["grid"]), tick)


@inlined
def _count(state: BookState, count: int, agrees: bool) -> None:
    """One more comparison; the count of those that disagree follows each."""
    state.meta[count] += 1
    if not agrees:
        state.meta[count + 1] += 1


@inlined
def _lasts(misses: int, since_ns: int, frame_ns: int) -> bool:
    """Whether disagreement in ``misses`` frames in a row, from venue time ``since_ns`` to now, is a doubt."""
    if misses >= UNORDERED_MAX:
        return True
    same_ms = frame_ns > 0 and frame_ns // NS_PER_MS == since_ns // NS_PER_MS
    return misses >= MISSES_MAX and not same_ms


@inlined
def _judge_declared(state: BookState, slot: int, bid_e4: int, ask_e4: int) -> int:
    """Compare the declared best prices with ours. TopFlag bits."""
    book = state.books[slot]
    seen = int(book["seen"])
    agrees = int(book["declared_bid_e4"]) == bid_e4 and int(book["declared_ask_e4"]) == ask_e4
    flags = _FLAG_DECLARED | (_AGREES if agrees else 0)
    if seen & _DECLARED == 0:
        _count(state, _TICKERS, agrees)
        return flags | _FLAG_TICKER
    trust = int(book["trust"])
    if trust == _LIVE:
        _count(state, _ON_LIVE, agrees)
        misses = 0 if agrees else int(book["top_misses"]) + 1
        book["top_misses"] = misses
        if misses == 1:
            book["top_miss_ns"] = book["frame_ns"]
        if _lasts(misses, int(book["top_miss_ns"]), int(book["frame_ns"])):
            raise_doubt(state, slot, _DOUBT, _TOP_DISAGREES, int(book["recv_ns"]))
    elif trust == _UNSYNCED:
        _count(state, _ON_UNSYNCED, agrees)
    else:
        _count(state, _ON_DOUBTED, agrees)
    return flags


@inlined
def _judge_mirror(state: BookState, slot: int, bid_e4: int, ask_e4: int) -> int:
    """Follow whether the pair agrees after this frame. TopFlag bits."""
    book = state.books[slot]
    seen = int(book["seen"])
    levels_differ = still_differs(state, slot)
    differs = levels_differ
    if seen & _SIBLING != 0:
        agrees = int(book["sibling_bid_e4"]) == bid_e4 and int(book["sibling_ask_e4"]) == ask_e4
        _count(state, _BY_SIBLING, agrees)
        differs = differs or not agrees
    if seen & (_CONTENT | _SIBLING) != 0:
        misses = int(book["mirror_misses"]) + 1 if differs else 0
        book["mirror_misses"] = misses if misses < UNORDERED_MAX else UNORDERED_MAX
        if misses == 1:
            book["mirror_miss_ns"] = book["frame_ns"]
        lasts = _lasts(misses, int(book["mirror_miss_ns"]), int(book["frame_ns"]))
        # Levels do not wait for the millisecond: a frame brings a level of both tokens.
        lasts = lasts or (levels_differ and misses >= MISSES_MAX)
        if lasts and int(book["trust"]) == _LIVE:
            raise_doubt(state, slot, _DOUBT, _MIRROR_BROKEN, int(book["recv_ns"]))
    return _DIFFERS if differs else 0


@inlined
def _write_top(
    state: BookState, slot: int, place: int, now_ns: int, flags: int, bid_e4: int, ask_e4: int
) -> None:
    top = state.tops[place]
    book = state.books[slot]
    row = state.rows[slot]
    top["recv_ns"] = book["recv_ns"]
    top["venue_ns"] = book["venue_ns"]
    top["book_ns"] = now_ns
    top["epoch"] = book["epoch"]
    top["update_count"] = book["update_count"]
    top["bid_size_e6"] = row["bid_size_e6"][0]
    top["ask_size_e6"] = row["ask_size_e6"][0]
    top["slot"] = slot
    top["generation"] = book["generation"]
    top["bid_e4"] = bid_e4
    top["ask_e4"] = ask_e4
    top["prev_bid_e4"] = book["bid_e4"]
    top["prev_ask_e4"] = book["ask_e4"]
    is_declared = flags & _FLAG_DECLARED != 0
    top["declared_bid_e4"] = int(book["declared_bid_e4"]) if is_declared else NO_PRICE
    top["declared_ask_e4"] = int(book["declared_ask_e4"]) if is_declared else NO_PRICE
    top["doubt"] = book["doubt"]
    top["trust"] = book["trust"]
    top["prev_trust"] = book["top_trust"]
    top["venue"] = book["venue"]
    top["flags"] = flags
    book["bid_e4"] = bid_e4
    book["ask_e4"] = ask_e4
    book["top_trust"] = book["trust"]


@inlined
def announce(state: BookState, slot: int, place: int, now_ns: int, flags: int) -> int:
    """Write the TOP of a book into ``tops[place]``, and its row.

    ``flags`` is what the frame brought; what the book shows is added. The TopFlag bits written.
    """
    bid_e4 = best_price(state, slot, 0)
    ask_e4 = best_price(state, slot, 1)
    book = state.books[slot]
    if bid_e4 != int(book["bid_e4"]) or ask_e4 != int(book["ask_e4"]):
        flags |= _BEST_CHANGED
    unknown = int(state.ladders.sides[2 * slot, UNKNOWN]) + int(state.ladders.sides[2 * slot + 1, UNKNOWN])
    if unknown > 0:
        flags |= _FLAG_UNKNOWN
    is_crossed = bid_e4 != NO_PRICE and ask_e4 != NO_PRICE and bid_e4 >= ask_e4
    if is_crossed:
        flags |= _CROSSED
    watch_crossing(state, slot, is_crossed, now_ns)
    publish_row(state, slot, flags)
    _write_top(state, slot, place, now_ns, flags, bid_e4, ask_e4)
    return flags


@inlined
def end_frame(state: BookState, slot: int, place: int, now_ns: int) -> None:
    """Judge what this frame brought for a market and announce it in ``tops[place]``."""
    book = state.books[slot]
    if int(book["snapshot_of"]) != _NOBODY:
        state.meta[_TORN] += 1
        book["snapshot_of"] = _NOBODY
        raise_doubt(state, slot, _DOUBT, _LAPPED, int(book["recv_ns"]))
    bid_e4 = best_price(state, slot, 0)
    ask_e4 = best_price(state, slot, 1)
    seen = int(book["seen"])
    flags = _FLAG_SNAPSHOT if seen & _SNAPSHOT != 0 else 0
    if seen & (_DECLARED | _TICKER) != 0:
        flags |= _judge_declared(state, slot, bid_e4, ask_e4)
    if int(book["mirror"]) != 0:
        flags |= _judge_mirror(state, slot, bid_e4, ask_e4)
    book["seen"] = 0
    if announce(state, slot, place, now_ns, flags) & _CROSSED != 0:
        state.meta[_CROSSED_FRAMES] += 1
