"""BOOK_UPDATE records in, books, TOP records and rows out: one compiled call for any number of frames.

========================  ==========================================  =====================================
update                    own (or on a market without a sibling)      of the sibling token (SIBLING)
========================  ==========================================  =====================================
SNAPSHOT_*                replaces the book                           compared; replaces a book that is not
                                                                      LIVE, unless the mirror itself broke
LEVEL_SET                 written                                     compared
LEVEL_ADD                 written                                     refused: a change cannot be compared
DECLARED_TOP              compared at the end of the frame            compared; a miss is the mirror's
TICKER                    compared, never a doubt                     the same
GRID_CHANGE               the book is dropped onto the new grid       the same, if the grid is another
DOUBT, MARKET_STATE       change the trust                            the same
TRADE, BOOK_HASH          announced                                   the same
CONNECTED                 nothing                                     nothing
========================  ==========================================  =====================================

A snapshot of the sibling may open or heal a book because the mirror is a property of the market; its changes
are never applied, so a market whose own token stays silent soon disagrees with its mirror, and then waits for
a snapshot of its own.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from engine.book.doubt import begin_snapshot, change_grid, close_book, end_snapshot, raise_doubt
from engine.book.frame import end_frame
from engine.book.grid import OFF_GRID, GridTable, tick_of, uniform_grid
from engine.book.ladder import Status, Write, write_level
from engine.book.mirror import compare_siblings, forget_diffs
from engine.book.pool import Ladders
from engine.book.state import TOUCHED_LIST, BookState, Count, Records, Seen, Source
from engine.book.trust import TrustEvent
from engine.jit import inlined, kernel
from engine.reasons import Reason
from engine.records import MarketState, Trust, UpdateFlag, UpdateKind

_REFUSED: Final = -1

_BEGIN, _LEVEL, _END, _ADD = (
    int(UpdateKind.SNAPSHOT_BEGIN),
    int(UpdateKind.SNAPSHOT_LEVEL),
    int(UpdateKind.SNAPSHOT_END),
    int(UpdateKind.LEVEL_ADD),  # the last of those that write levels
)
_TOP, _TICKER, _TRADE, _GRID, _DOUBT = (
    int(UpdateKind.DECLARED_TOP),
    int(UpdateKind.TICKER),
    int(UpdateKind.TRADE),
    int(UpdateKind.GRID_CHANGE),
    int(UpdateKind.DOUBT),
)
_STATE, _HASH, _CONNECTED = (
    int(UpdateKind.MARKET_STATE),
    int(UpdateKind.BOOK_HASH),
    int(UpdateKind.CONNECTED),
)
_LAST, _SIBLING, _UNKNOWN_SIZE = (
    int(UpdateFlag.LAST_OF_FRAME),
    int(UpdateFlag.SIBLING),
    int(UpdateFlag.SIZE_UNKNOWN),
)
_TOUCHED, _CONTENT, _DECLARED, _SEEN_TICKER, _SIBLING_DECLARED, _SNAPSHOT = (
    int(Seen.TOUCHED),
    int(Seen.CONTENT),
    int(Seen.DECLARED),
    int(Seen.TICKER),
    int(Seen.SIBLING_DECLARED),
    int(Seen.SNAPSHOT),
)
_NOBODY, _OWN, _OTHER = int(Source.NOBODY), int(Source.OWN), int(Source.SIBLING)
_WRITE_SET, _WRITE_ADD, _WRITE_UNKNOWN = int(Write.SET), int(Write.ADD), int(Write.UNKNOWN)
_OK, _NEGATIVE, _OFF_GRID = int(Status.OK), int(Status.NEGATIVE_LEVEL), int(Status.OFF_GRID)
_LIVE, _DEAD = int(Trust.LIVE), int(Trust.DEAD)
_EVENT_DOUBT, _EVENT_DISCONNECTED = int(TrustEvent.DOUBT), int(TrustEvent.DISCONNECTED)
_NEGATIVE_REASON, _GRID_REASON, _BOUND_REASON, _DISCONNECTED, _MIRROR_BROKEN, _LAPPED = (
    int(Reason.NEGATIVE_LEVEL),
    int(Reason.OFF_GRID),
    int(Reason.LEVEL_BOUND),
    int(Reason.DISCONNECTED),
    int(Reason.MIRROR_BROKEN),
    int(Reason.RING_LAPPED),
)
_CLOSED: Final = int(MarketState.CLOSED)
_N_UPDATES, _N_FRAMES, _N_UNTERMINATED, _N_WRITES = (
    int(Count.UPDATES),
    int(Count.FRAMES),
    int(Count.UNTERMINATED),
    int(Count.LEVEL_WRITES),
)
_N_SLOT, _N_GENERATION, _N_KIND, _N_SIBLING = (
    int(Count.UNKNOWN_SLOT),
    int(Count.STALE_GENERATION),
    int(Count.UNKNOWN_KIND),
    int(Count.SIBLING_REFUSED),
)
_N_OFF_GRID, _N_NEGATIVE, _N_CLAMPED, _N_BOUND, _N_TORN = (
    int(Count.OFF_GRID),
    int(Count.NEGATIVE_LEVEL),
    int(Count.CLAMPED),
    int(Count.LEVEL_BOUND),
    int(Count.SNAPSHOTS_TORN),
)
_N_HASH_AGREES, _N_HASH_DIFFERS = int(Count.HASH_AGREES), int(Count.HASH_DIFFERS)


@inlined
def _slot_of(state: BookState, update: np.void) -> int:
    """Slot of an update that is for an open market of this generation, of a kind that says something."""
    slot = int(update["slot"])
    kind = int(update["kind"])
    if kind == _CONNECTED:
        return _REFUSED
    if kind < _BEGIN or kind > _CONNECTED:
        state.meta[_N_KIND] += 1
        return _REFUSED
    if slot < 0 or slot >= len(state.books) or int(state.books[slot]["is_open"]) == 0:
        state.meta[_N_SLOT] += 1
        return _REFUSED
    if int(update["generation"]) != int(state.books[slot]["generation"]):
        state.meta[_N_GENERATION] += 1
        return _REFUSED
    if int(update["flags"]) & _SIBLING != 0 and (kind == _ADD or int(state.books[slot]["mirror"]) == 0):
        state.meta[_N_SIBLING] += 1
        return _REFUSED
    return slot


@kernel
def _fault(state: BookState, slot: int, status: int, at_ns: int) -> None:
    """A level could not be written as said: count it, and doubt the book or the snapshot it is part of."""
    book = state.books[slot]
    if status == _NEGATIVE:
        if int(book["trust"]) != _LIVE and int(book["snapshot_of"]) == _NOBODY:
            state.meta[_N_CLAMPED] += 1
            return
        count, reason = _N_NEGATIVE, _NEGATIVE_REASON
    elif status == _OFF_GRID:
        count, reason = _N_OFF_GRID, _GRID_REASON
    else:
        count, reason = _N_BOUND, _BOUND_REASON
    state.meta[count] += 1
    if int(book["snapshot_of"]) != _NOBODY:
        book["flaw"] = reason
    else:
        raise_doubt(state, slot, _EVENT_DOUBT, reason, at_ns)


@inlined
def _write(state: BookState, slot: int, update: np.void, how: int) -> None:
    """Write one level as the update says: ``how`` (Write), or as one of unknown size."""
    book = state.books[slot]
    book["update_count"] += 1
    state.meta[_N_WRITES] += 1
    tick = tick_of(state.table, int(book["grid"]), int(update["price_e4"]))
    ladder = 2 * slot + (int(update["side"]) & 1)
    status = _OFF_GRID
    if tick != OFF_GRID:
        how = _WRITE_UNKNOWN if int(update["flags"]) & _UNKNOWN_SIZE != 0 else how
        status = write_level(state.ladders, ladder, tick, int(update["size_e6"]), how)
    if status != _OK:
        _fault(state, slot, status, int(update["recv_ns"]))


@kernel
def _may_replace(state: BookState, slot: int) -> bool:
    """Whether a snapshot of the sibling may stand in for one of the book's own."""
    trust = int(state.books[slot]["trust"])
    return trust not in (_LIVE, _DEAD) and int(state.books[slot]["doubt"]) != _MIRROR_BROKEN


@kernel
def _frame_snapshot(state: BookState, slot: int, update: np.void, kind: int, is_sibling: bool) -> None:
    """Begin or end a snapshot that is our own, or that stands in for one."""
    book = state.books[slot]
    source = _OTHER if is_sibling else _OWN
    if kind == _BEGIN:
        if not is_sibling or _may_replace(state, slot):
            begin_snapshot(state, slot, source, int(update["size_e6"]))
            book["seen"] |= _SNAPSHOT
    elif int(book["snapshot_of"]) == source:
        if end_snapshot(state, slot, int(update["recv_ns"])):
            forget_diffs(state, slot)
    elif not is_sibling:
        _lost_beginning(state, slot, update)


@kernel
def _lost_beginning(state: BookState, slot: int, update: np.void) -> None:
    """A snapshot goes on that never began."""
    state.meta[_N_TORN] += 1
    raise_doubt(state, slot, _EVENT_DOUBT, _LAPPED, int(update["recv_ns"]))


@inlined
def _accept_level(state: BookState, slot: int, update: np.void, is_sibling: bool) -> bool:
    """Whether a level of a snapshot is written: not if it is the sibling's and only to be compared."""
    book = state.books[slot]
    if int(book["snapshot_of"]) == (_OTHER if is_sibling else _OWN):
        book["snapshot_left"] -= 1
        return True
    if not is_sibling:
        _lost_beginning(state, slot, update)
    return not is_sibling


@kernel
def _declared(state: BookState, slot: int, update: np.void, kind: int, is_sibling: bool) -> None:
    """Remember declared best prices for the end of the frame: own before the sibling's before a ticker's."""
    book = state.books[slot]
    bid_e4, ask_e4 = int(update["price_e4"]), int(update["aux"])
    if kind == _TOP and is_sibling:
        book["sibling_bid_e4"] = bid_e4
        book["sibling_ask_e4"] = ask_e4
        book["seen"] |= _SIBLING_DECLARED
    elif kind == _TOP or int(book["seen"]) & _DECLARED == 0:
        book["declared_bid_e4"] = bid_e4
        book["declared_ask_e4"] = ask_e4
        book["seen"] |= _DECLARED if kind == _TOP else _SEEN_TICKER


@kernel
def _market_word(state: BookState, slot: int, update: np.void, kind: int, is_sibling: bool) -> None:
    """What is said of the market rather than of a level."""
    book = state.books[slot]
    aux = int(update["aux"])
    if kind == _DOUBT:
        event = _EVENT_DISCONNECTED if aux == _DISCONNECTED else _EVENT_DOUBT
        raise_doubt(state, slot, event, aux, int(update["recv_ns"]))
    elif kind == _STATE:
        book["market_state"] = aux
        if aux >= _CLOSED:
            close_book(state, slot)
    elif kind == _GRID:
        grid = uniform_grid(state.table, int(update["price_e4"]))
        if not is_sibling or grid != int(book["grid"]):
            forget_diffs(state, slot)
            change_grid(state, slot, grid, int(update["recv_ns"]))
    elif kind == _HASH:
        state.meta[_N_HASH_AGREES if aux == 1 else _N_HASH_DIFFERS] += 1


@inlined
def _apply_one(state: BookState, slot: int, update: np.void) -> None:
    kind = int(update["kind"])
    is_sibling = int(update["flags"]) & _SIBLING != 0
    book = state.books[slot]
    book["recv_ns"] = update["recv_ns"]
    book["frame_ns"] = update["venue_ns"]
    if int(update["venue_ns"]) > 0:
        book["venue_ns"] = update["venue_ns"]
    if kind <= _ADD:
        book["seen"] |= _CONTENT
        if kind in (_BEGIN, _END):
            _frame_snapshot(state, slot, update, kind, is_sibling)
        elif _accept_level(state, slot, update, is_sibling) if kind == _LEVEL else not is_sibling:
            _write(state, slot, update, _WRITE_ADD if kind == _ADD else _WRITE_SET)
    elif kind in (_TOP, _TICKER):
        _declared(state, slot, update, kind, is_sibling)
    elif kind != _TRADE:
        _market_word(state, slot, update, kind, is_sibling)


@kernel
def apply_updates(state: BookState, updates: npt.NDArray[np.void], n: int, now_ns: int) -> int:
    """Apply ``updates[:n]`` (BOOK_UPDATE) and end every frame in it: how many ``state.tops`` were written.

    ``n`` is at most APPLY_UPDATES_MAX. LAST_OF_FRAME ends a frame; what follows the last one is a frame too.
    """
    written = 0
    touched = 0
    length = 0
    has_siblings = False
    for index in range(n):
        length += 1
        update = updates[index]
        slot = _slot_of(state, update)
        if slot != _REFUSED:
            if int(state.books[slot]["seen"]) == 0:
                state.books[slot]["seen"] = _TOUCHED
                state.lists[TOUCHED_LIST, touched] = slot
                touched += 1
            has_siblings = has_siblings or int(update["flags"]) & _SIBLING != 0
            _apply_one(state, slot, update)
        is_last = int(update["flags"]) & _LAST != 0
        if is_last or index == n - 1:
            if has_siblings:
                compare_siblings(state, updates, index + 1 - length, index + 1)
            for place in range(touched):
                end_frame(state, int(state.lists[TOUCHED_LIST, place]), written + place, now_ns)
            written += touched
            state.meta[_N_FRAMES] += 1
            state.meta[_N_UNTERMINATED] += 0 if is_last else 1
            touched, length, has_siblings = 0, 0, False
    state.meta[_N_UPDATES] += n
    return written


@kernel
def apply_flat(
    updates: npt.NDArray[np.void],
    n: int,
    now_ns: int,
    books: Records,
    rows: Records,
    tops: Records,
    lists: npt.NDArray[np.int64],
    diffs: npt.NDArray[np.int64],
    meta: npt.NDArray[np.int64],
    table: GridTable,
    sides: npt.NDArray[np.int64],
    dirs: npt.NDArray[np.int32],
    cells: npt.NDArray[np.int64],
    pool: npt.NDArray[np.int64],
) -> int:
    """``apply_updates`` for callers outside compiled code: arrays one by one cross faster than a tuple."""
    ladders = Ladders(sides, dirs, cells, pool)
    return apply_updates(BookState(books, rows, tops, lists, diffs, meta, table, ladders), updates, n, now_ns)
