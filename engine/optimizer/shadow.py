"""Liquidity that plans in flight are about to take, hidden until they have taken it.

Until a plan's fills are known, the book still shows what it wants. Planning that twice would fill one leg and
miss the other. A level that was planned upon shows its size less ours for as long as its size is the one we
saw; any other size is news that includes what was taken, and ends the shadow. So does the end of the plan.

All of it is in arrays, which kernels read and write: the *takes* of a plan are a chain, and those on one side
of a book another.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from engine.execution.terms import side_taken
from engine.jit import kernel
from engine.optimizer.keyed import NO_ROW, Ints, keyed_rows, remove_row, row_for, row_of
from engine.optimizer.levels import SIZE
from engine.records import TOP_LEVELS, Side

OF_PLAN, ON_SIDE, WHERE, GENERATION, PRICE, SEEN, TAKEN = range(7)  # columns of ``take``; chains plus one
TAKE_COLUMNS: Final = 7
FIRST_TAKE: Final = 1  # column of ``plan``, behind the key: plus one
FREE, USED, N_SHOWN = range(3)  # of ``state``: FREE is the first free take plus one
STATES: Final = 3

_ASK: Final = int(Side.ASK)


class BookSide(NamedTuple):
    """One side of one book, YES terms."""

    slot: int
    generation: int
    side: int


class Takes(NamedTuple):
    """What plans are about to take. An order takes TOP_LEVELS levels at most, so no array is ever full."""

    first: Ints  # [slot, side] take plus one
    take: Ints  # [TOP_LEVELS x orders, TAKE_COLUMNS]; TAKEN 0: the level has changed since
    plan: Ints  # rows by plan
    state: Ints  # [STATES]


def new_takes(markets: int, orders: int) -> Takes:
    """Arrays for so many markets, and so many orders in flight."""
    return Takes(
        first=np.zeros((markets, 2), np.int64),
        take=np.zeros((TOP_LEVELS * orders, TAKE_COLUMNS), np.int64),
        plan=keyed_rows(orders),
        state=np.zeros(STATES, np.int64),
    )


@kernel
def left_e6(slot: int, generation: int, side: int, price_e4: int, size_e6: int, takes: Takes) -> int:
    """What of a level (YES price) that now shows ``size_e6`` no plan wants.

    A changed level leaves the shadow for good.
    """
    left = size_e6
    at = int(takes.first[slot, side]) - 1
    while at >= 0:
        take = takes.take[at]
        if take[TAKEN] > 0 and take[PRICE] == price_e4 and take[GENERATION] == generation:
            if take[SEEN] == size_e6:
                left -= int(take[TAKEN])
            else:
                take[TAKEN] = 0
                takes.state[N_SHOWN] -= 1
        at = int(take[ON_SIDE]) - 1
    return max(left, 0)


@kernel
def hide_leg(leg: np.void, book: np.void, number: int, levels: Ints, depth: int, takes: Takes) -> None:
    """Take what is ours off row ``number`` of level arrays, which a leg has from a BOOK_ROW."""
    slot, generation = int(np.int64(leg["slot"])), int(np.int64(leg["generation"]))
    side = side_taken(int(np.int64(leg["direction"])), int(np.int64(leg["outcome"])))
    if takes.first[slot, side] == 0:
        return
    for level in range(depth):
        price = int(np.int64(book["ask_e4"][level] if side == _ASK else book["bid_e4"][level]))
        shown = int(levels[SIZE, number, level])
        levels[SIZE, number, level] = left_e6(slot, generation, side, price, shown, takes)


@kernel
def take_level(
    plan_id: int,
    slot: int,
    generation: int,
    side: int,
    price_e4: int,
    shown_e6: int,
    taken_e6: int,
    takes: Takes,
) -> None:
    """Note that a plan wants ``taken_e6``, more than none, of a level that shows ``shown_e6``."""
    left_e6(slot, generation, side, price_e4, shown_e6, takes)
    state = takes.state
    at = int(state[FREE]) - 1
    if at < 0:
        at = int(state[USED])
        state[USED] += 1
    else:
        state[FREE] = takes.take[at, OF_PLAN]
    row = row_for(plan_id, takes.plan)
    take = takes.take[at]
    take[OF_PLAN], take[ON_SIDE] = takes.plan[row, FIRST_TAKE], takes.first[slot, side]
    take[WHERE], take[GENERATION], take[PRICE] = 2 * slot + side, generation, price_e4
    take[SEEN], take[TAKEN] = shown_e6, taken_e6
    takes.plan[row, FIRST_TAKE] = takes.first[slot, side] = at + 1
    state[N_SHOWN] += 1


@kernel
def _unlink(at: int, takes: Takes) -> None:
    """Take one out of the chain of its side."""
    slot, side = int(takes.take[at, WHERE]) >> 1, int(takes.take[at, WHERE]) & 1
    other = int(takes.first[slot, side]) - 1
    if other == at:
        takes.first[slot, side] = takes.take[at, ON_SIDE]
        return
    while takes.take[other, ON_SIDE] != at + 1:
        other = int(takes.take[other, ON_SIDE]) - 1
    takes.take[other, ON_SIDE] = takes.take[at, ON_SIDE]


@kernel
def release_takes(plan_id: int, takes: Takes) -> None:
    """The plan is done: what it took is no longer on the books, what it missed is free again."""
    row = row_of(plan_id, takes.plan)
    if row == NO_ROW:
        return
    at = int(takes.plan[row, FIRST_TAKE]) - 1
    while at >= 0:
        _unlink(at, takes)
        if takes.take[at, TAKEN] > 0:
            takes.state[N_SHOWN] -= 1
        after = int(takes.take[at, OF_PLAN]) - 1
        takes.take[at, OF_PLAN] = takes.state[FREE]
        takes.state[FREE] = at + 1
        at = after
    remove_row(row, takes.plan)


class Shadows:
    """Levels planned upon, by book side and YES price, in ``takes``."""

    def __init__(self, markets: int, orders: int) -> None:
        self.takes = new_takes(markets, orders)

    def __len__(self) -> int:
        """What plans want of levels that have not changed since: how many times."""
        return int(self.takes.state[N_SHOWN])

    def covers(self, side: BookSide) -> bool:
        """Whether any level of this side is in shadow."""
        at = int(self.takes.first[side.slot, side.side])
        while at:
            take = self.takes.take[at - 1].tolist()
            if take[TAKEN] and take[GENERATION] == side.generation:
                return True
            at = take[ON_SIDE]
        return False

    def left_e6(self, side: BookSide, price_e4: int, size_e6: int) -> int:
        """What of a level that now shows ``size_e6`` is not spoken for; a changed level leaves the shadow."""
        return left_e6(side.slot, side.generation, side.side, price_e4, size_e6, self.takes)

    def take(self, plan_id: int, side: BookSide, price_e4: int, shown_e6: int, taken_e6: int) -> None:
        """Note that a plan wants ``taken_e6`` of a level that shows ``shown_e6``."""
        take_level(plan_id, side.slot, side.generation, side.side, price_e4, shown_e6, taken_e6, self.takes)

    def release(self, plan_id: int) -> None:
        """The plan is done: what it took is no longer on the books, what it missed is free again."""
        release_takes(plan_id, self.takes)
