"""The other token of a mirrored market: its entries are laid beside the book at the end of each frame.

What differs is kept on a list until it agrees again, so that a pair whose two halves come in two frames is
seen to agree after the second, and a pair that still disagrees after one more frame is seen too.
A snapshot of the sibling is laid into two spare ladders and compared level by level, both ways.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.book.doubt import raise_doubt
from engine.book.grid import OFF_GRID, tick_of
from engine.book.ladder import Status, clear, has_level, level_size, next_worse, set_level, set_unknown
from engine.book.pool import BEST, NO_TICK
from engine.book.state import (
    DIFF_COLUMNS,
    DIFF_SIDE,
    DIFF_SIZE,
    DIFF_SLOT,
    DIFF_TICK,
    DIFFS_LISTED,
    MIRROR_DIFFS_MAX,
    BookState,
    Count,
    Records,
)
from engine.book.trust import TrustEvent
from engine.jit import inlined, kernel
from engine.reasons import Reason
from engine.records import UpdateFlag, UpdateKind

SIZE_UNKNOWN_E6: Final = -1  # on the list of differences; 0 there: the sibling has no such level
_NOT_FOUND: Final = -1
_NO_SLOT: Final = -1

_SIBLING, _UNKNOWN = int(UpdateFlag.SIBLING), int(UpdateFlag.SIZE_UNKNOWN)
_BEGIN, _LEVEL, _END, _SET = (
    int(UpdateKind.SNAPSHOT_BEGIN),
    int(UpdateKind.SNAPSHOT_LEVEL),
    int(UpdateKind.SNAPSHOT_END),
    int(UpdateKind.LEVEL_SET),
)
_OK: Final = int(Status.OK)
_DOUBT: Final = int(TrustEvent.DOUBT)
_NONE, _OFF_GRID_REASON, _BOUND_REASON = int(Reason.NONE), int(Reason.OFF_GRID), int(Reason.LEVEL_BOUND)
_COMPARED, _DIFFERED, _LOST, _UNVERIFIED, _OFF_GRID_COUNT = (
    int(Count.MIRROR_LEVELS),
    int(Count.MIRROR_LEVELS_DIFFER),
    int(Count.MIRROR_DIFFS_LOST),
    int(Count.MIRROR_UNVERIFIED),
    int(Count.OFF_GRID),
)


@inlined
def _agrees(state: BookState, slot: int, side: int, tick: int, size_e6: int) -> bool:
    """Whether our level is the sibling's: both gone, both there and equal where both sizes are known."""
    ladder = 2 * slot + side
    if not has_level(state.ladders, ladder, tick):
        return size_e6 == 0
    ours = level_size(state.ladders, ladder, tick)
    if ours == 0 or size_e6 == SIZE_UNKNOWN_E6:
        return size_e6 != 0
    return size_e6 == ours


@kernel
def _find(state: BookState, slot: int, side: int, tick: int) -> int:
    for place in range(int(state.meta[DIFFS_LISTED])):
        if (
            int(state.diffs[place, DIFF_SLOT]) == slot
            and int(state.diffs[place, DIFF_TICK]) == tick
            and int(state.diffs[place, DIFF_SIDE]) == side
        ):
            return place
    return _NOT_FOUND


@inlined
def _strike(state: BookState, place: int) -> None:
    """Take one difference off the list; the last takes its place."""
    state.books[int(state.diffs[place, DIFF_SLOT])]["diffs"] -= 1
    last = int(state.meta[DIFFS_LISTED]) - 1
    for column in range(DIFF_COLUMNS):
        state.diffs[place, column] = int(state.diffs[last, column])
    state.meta[DIFFS_LISTED] = last


@kernel
def _note(state: BookState, slot: int, side: int, tick: int, size_e6: int) -> None:
    """Put a difference on the list, or renew it; beyond MIRROR_DIFFS_MAX the pair differs all the same."""
    place = _find(state, slot, side, tick) if int(state.books[slot]["diffs"]) > 0 else _NOT_FOUND
    if place == _NOT_FOUND:
        place = int(state.meta[DIFFS_LISTED])
        if place == MIRROR_DIFFS_MAX:
            state.meta[_LOST] += 1
            state.books[slot]["diffs_lost"] = 1
            return
        state.meta[DIFFS_LISTED] = place + 1
        state.books[slot]["diffs"] += 1
    state.diffs[place, DIFF_SLOT] = slot
    state.diffs[place, DIFF_SIDE] = side
    state.diffs[place, DIFF_TICK] = tick
    state.diffs[place, DIFF_SIZE] = size_e6


@inlined
def _compare(state: BookState, slot: int, side: int, tick: int, size_e6: int) -> None:
    """Lay one level of the sibling beside ours."""
    state.meta[_COMPARED] += 1
    if not _agrees(state, slot, side, tick, size_e6):
        state.meta[_DIFFERED] += 1
        _note(state, slot, side, tick, size_e6)
    elif int(state.books[slot]["diffs"]) > 0:
        place = _find(state, slot, side, tick)
        if place != _NOT_FOUND:
            _strike(state, place)


@kernel
def forget_diffs(state: BookState, slot: int) -> None:
    """Nothing is known to differ."""
    state.books[slot]["diffs_lost"] = 0
    for place in range(int(state.meta[DIFFS_LISTED]) - 1, -1, -1):
        if int(state.books[slot]["diffs"]) == 0:
            return
        if int(state.diffs[place, DIFF_SLOT]) == slot:
            _strike(state, place)


@inlined
def still_differs(state: BookState, slot: int) -> bool:
    """Whether anything on the list for ``slot`` differs from the book as it is now; what agrees is struck."""
    for place in range(int(state.meta[DIFFS_LISTED]) - 1, -1, -1):
        if int(state.books[slot]["diffs"]) == 0:
            break
        if int(state.diffs[place, DIFF_SLOT]) == slot and _agrees(
            state,
            slot,
            int(state.diffs[place, DIFF_SIDE]),
            int(state.diffs[place, DIFF_TICK]),
            int(state.diffs[place, DIFF_SIZE]),
        ):
            _strike(state, place)
    return int(state.books[slot]["diffs"]) > 0 or int(state.books[slot]["diffs_lost"]) != 0


@inlined
def _spare(state: BookState) -> int:
    """Bid ladder of the two that belong to no market."""
    return 2 * len(state.books)


@inlined
def _lay_aside(state: BookState, tick: int, side: int, size_e6: int) -> bool:
    """Put a level of the sibling's snapshot into the spare ladders."""
    ladder = _spare(state) + side
    if size_e6 == SIZE_UNKNOWN_E6:
        return set_unknown(state.ladders, ladder, tick) == _OK
    return set_level(state.ladders, ladder, tick, size_e6) == _OK


@kernel
def _compare_books(state: BookState, slot: int) -> None:
    """Lay the sibling's whole snapshot beside the book: each of its levels, and each of ours it has not."""
    for side in range(2):
        ours, theirs = 2 * slot + side, _spare(state) + side
        tick = int(state.ladders.sides[theirs, BEST])
        while tick != NO_TICK:
            size = level_size(state.ladders, theirs, tick)
            _compare(state, slot, side, tick, size if size > 0 else SIZE_UNKNOWN_E6)
            tick = next_worse(state.ladders, theirs, tick)
        tick = int(state.ladders.sides[ours, BEST])
        while tick != NO_TICK:
            if not has_level(state.ladders, theirs, tick):
                _compare(state, slot, side, tick, level_size(state.ladders, theirs, tick))
            tick = next_worse(state.ladders, ours, tick)


@inlined
def _mirrored_slot(state: BookState, update: np.void) -> int:
    """Slot of a sibling's entry that ``apply_updates`` accepted, _NO_SLOT for any other update."""
    slot = int(update["slot"])
    if int(update["flags"]) & _SIBLING == 0 or slot < 0 or slot >= len(state.books):
        return _NO_SLOT
    book = state.books[slot]
    if int(book["mirror"]) == 0 or int(update["generation"]) != int(book["generation"]):
        return _NO_SLOT
    return slot


@inlined
def compare_siblings(state: BookState, updates: Records, begin: int, end: int) -> None:
    """Lay the sibling entries of one frame, ``updates[begin:end]``, beside the books as they are after it.

    Of several entries for one level the last counts.
    """
    aside = _NO_SLOT  # market whose sibling snapshot is being laid aside
    flaw = _NONE  # why that snapshot cannot be compared
    is_laid = False  # some was: the spare ladders are empty otherwise
    for index in range(begin, end):
        update = updates[index]
        slot = _mirrored_slot(state, update)
        if slot == _NO_SLOT:
            continue
        kind = int(update["kind"])
        if kind == _BEGIN:
            forget_diffs(state, slot)
            clear(state.ladders, _spare(state))
            clear(state.ladders, _spare(state) + 1)
            aside, flaw, is_laid = slot, _NONE, True
        elif kind in (_LEVEL, _SET):
            tick = tick_of(state.table, int(state.books[slot]["grid"]), int(update["price_e4"]))
            side = int(update["side"]) & 1
            size = SIZE_UNKNOWN_E6 if int(update["flags"]) & _UNKNOWN != 0 else int(update["size_e6"])
            if kind == _SET and tick == OFF_GRID:
                state.meta[_OFF_GRID_COUNT] += 1
                raise_doubt(state, slot, _DOUBT, _OFF_GRID_REASON, int(update["recv_ns"]))
            elif kind == _SET:
                _compare(state, slot, side, tick, size)
            elif slot == aside and tick == OFF_GRID:
                flaw = _OFF_GRID_REASON
            elif slot == aside and not _lay_aside(state, tick, side, size):
                flaw = _BOUND_REASON
        elif kind == _END and slot == aside:
            if flaw == _NONE:
                _compare_books(state, slot)
            else:
                state.meta[_UNVERIFIED] += 1
                raise_doubt(state, slot, _DOUBT, flaw, int(update["recv_ns"]))
            aside = _NO_SLOT
    if is_laid:
        clear(state.ladders, _spare(state))
        clear(state.ladders, _spare(state) + 1)
