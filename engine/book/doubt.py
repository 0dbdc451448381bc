"""What changes the trust of a book: doubts, snapshots, a new grid, the end of the market, a long crossing."""

from __future__ import annotations

from typing import Final

from engine.book.ladder import clear
from engine.book.pool import NO_TICK
from engine.book.state import (
    BOOT_EPOCH,
    BURST_NS,
    CROSSED_LIST,
    CROSSED_LISTED,
    EPOCH_COUNTER,
    NOT_LISTED,
    BookState,
    Count,
    Source,
)
from engine.book.trust import NO_EPOCH, TrustEvent, epoch_of, step
from engine.jit import inlined, kernel
from engine.reasons import Reason
from engine.records import Trust

_LIVE, _DEAD = int(Trust.LIVE), int(Trust.DEAD)
_NEWER, _OLDER, _DOUBT = (
    int(TrustEvent.SNAPSHOT_NEWER),
    int(TrustEvent.SNAPSHOT_OLDER),
    int(TrustEvent.DOUBT),
)
_GRID_CHANGED, _CLOSED = int(TrustEvent.GRID_CHANGED), int(TrustEvent.MARKET_CLOSED)
_NOBODY, _SIBLING = int(Source.NOBODY), int(Source.SIBLING)
_NONE, _LAPPED, _LONG = int(Reason.NONE), int(Reason.RING_LAPPED), int(Reason.CROSSED_TOO_LONG)
_GRID_REASON, _CLOSED_REASON = int(Reason.GRID_CHANGED), int(Reason.MARKET_CLOSED)
_DOUBTS, _EPOCHS, _SNAPSHOTS, _TORN, _BY_SIBLING, _GRIDS = (
    int(Count.DOUBTS),
    int(Count.EPOCHS),
    int(Count.SNAPSHOTS),
    int(Count.SNAPSHOTS_TORN),
    int(Count.SIBLING_SNAPSHOTS_APPLIED),
    int(Count.GRID_CHANGES),
)
FOREVER: Final = 2**63 - 1


@inlined
def open_epoch(state: BookState, slot: int) -> bool:
    """Begin a new life of the book; False when this boot has no epoch left, and the old one stays."""
    state.meta[EPOCH_COUNTER] += 1
    epoch = epoch_of(int(state.meta[BOOT_EPOCH]), int(state.meta[EPOCH_COUNTER]))
    if epoch == NO_EPOCH:
        return False
    state.meta[_EPOCHS] += 1
    state.books[slot]["epoch"] = epoch
    return True


@inlined
def raise_doubt(state: BookState, slot: int, event: int, reason: int, at_ns: int) -> None:
    """Let ``event`` (DOUBT, DISCONNECTED, ...) happen to a book for ``reason``, known at ``at_ns``."""
    book = state.books[slot]
    if int(book["trust"]) == _DEAD:
        return
    state.meta[_DOUBTS] += 1
    book["trust"] = step(int(book["trust"]), event)
    book["doubt"] = reason
    if at_ns > int(book["doubt_ns"]):
        book["doubt_ns"] = at_ns


@kernel
def drop_levels(state: BookState, slot: int) -> None:
    """Empty both sides."""
    clear(state.ladders, 2 * slot)
    clear(state.ladders, 2 * slot + 1)


@kernel
def change_grid(state: BookState, slot: int, grid: int, at_ns: int) -> None:
    """Drop the book onto another grid, in a new epoch; it waits for a snapshot."""
    book = state.books[slot]
    state.meta[_GRIDS] += 1
    drop_levels(state, slot)
    book["grid"] = grid
    book["reach"][0] = NO_TICK
    book["reach"][1] = NO_TICK
    book["snapshot_of"] = _NOBODY
    open_epoch(state, slot)
    raise_doubt(state, slot, _GRID_CHANGED, _GRID_REASON, at_ns)


@inlined
def close_book(state: BookState, slot: int) -> None:
    """The market ended."""
    book = state.books[slot]
    book["trust"] = step(int(book["trust"]), _CLOSED)
    book["doubt"] = _CLOSED_REASON


@kernel
def begin_snapshot(state: BookState, slot: int, source: int, levels: int) -> None:
    """Replace the book: ``levels`` levels follow."""
    book = state.books[slot]
    if int(book["snapshot_of"]) != _NOBODY:
        state.meta[_TORN] += 1
    drop_levels(state, slot)
    book["snapshot_of"] = source
    book["snapshot_left"] = levels
    book["flaw"] = _NONE


@kernel
def end_snapshot(state: BookState, slot: int, at_ns: int) -> bool:
    """The snapshot is over: trust it, if it is whole and newer than the last doubt.

    Replacing a book that is not LIVE opens a new epoch. Whether the book returned to LIVE.
    """
    book = state.books[slot]
    source = int(book["snapshot_of"])
    book["snapshot_of"] = _NOBODY
    if source == _NOBODY or int(book["snapshot_left"]) != 0:
        state.meta[_TORN] += 1
        book["flaw"] = _LAPPED
    before = int(book["trust"])
    if before != _LIVE and not open_epoch(state, slot):
        return False
    if int(book["flaw"]) != _NONE:
        raise_doubt(state, slot, _DOUBT, int(book["flaw"]), at_ns)
        return False
    state.meta[_SNAPSHOTS] += 1
    if source == _SIBLING:
        state.meta[_BY_SIBLING] += 1
    newer = at_ns >= int(book["doubt_ns"])
    book["trust"] = step(before, _NEWER if newer else _OLDER)
    if before == _LIVE or int(book["trust"]) != _LIVE:
        return False
    book["doubt"] = _NONE
    book["top_misses"] = 0
    book["mirror_misses"] = 0
    return True


@inlined
def _list_crossed(state: BookState, slot: int, now_ns: int) -> None:
    count = int(state.meta[CROSSED_LISTED])
    state.lists[CROSSED_LIST, count] = slot
    state.meta[CROSSED_LISTED] = count + 1
    state.books[slot]["crossed_at"] = count
    state.books[slot]["crossed_ns"] = now_ns


@kernel
def unlist_crossed(state: BookState, slot: int) -> None:
    """Stop watching the crossing of a book, if it is watched; the last of the list takes its place."""
    place = int(state.books[slot]["crossed_at"])
    if place == NOT_LISTED:
        return
    last = int(state.meta[CROSSED_LISTED]) - 1
    mover = int(state.lists[CROSSED_LIST, last])
    state.lists[CROSSED_LIST, place] = mover
    state.books[mover]["crossed_at"] = place
    state.books[slot]["crossed_at"] = NOT_LISTED
    state.meta[CROSSED_LISTED] = last


@inlined
def watch_crossing(state: BookState, slot: int, is_crossed: bool, now_ns: int) -> None:
    """Note whether a book is crossed at ``now_ns``; a LIVE one crossed for a whole burst becomes suspect."""
    book = state.books[slot]
    if is_crossed and int(book["trust"]) == _LIVE:
        if int(book["crossed_at"]) == NOT_LISTED:
            _list_crossed(state, slot, now_ns)
        if now_ns - int(book["crossed_ns"]) >= int(state.meta[BURST_NS]):
            raise_doubt(state, slot, _DOUBT, _LONG, now_ns)
    if not is_crossed or int(book["trust"]) != _LIVE:
        unlist_crossed(state, slot)


@kernel
def crossing_due_ns(state: BookState) -> int:
    """When the first of the crossed books becomes suspect, FOREVER without one."""
    due = FOREVER
    for place in range(int(state.meta[CROSSED_LISTED])):
        slot = int(state.lists[CROSSED_LIST, place])
        at = int(state.books[slot]["crossed_ns"]) + int(state.meta[BURST_NS])
        if at < due:
            due = at
    return due
