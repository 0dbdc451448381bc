"""Several opportunities on the same books and the same cash: fills of the live books, pass by pass.

Opportunities take levels one after the other, each from what those before it left, until the next set no
longer pays for the cash it binds, a budget is empty, or a book is. Cash has a price per venue (dollars of
profit a dollar of cash must earn, in ppm), a book side that several want has a floor
(``engine.optimizer.dual``); passes with falling prices give what is scarce to the *segments* that earn most
with it, not to whole opportunities.

Sizes are in e6 and not yet whole lots: the allocator prices what comes out of here again, exactly.
A budget is a venue's cash, a market's or an event's exposure; each purchase draws on one of each. What a job
binds of a budget is kept once for all its legs that draw on it: in the *account* of the first of them.

A kernel that is called with a constant is compiled for that constant alone: where one is handed over here and
in the modules beside it, ``int(np.int64(0))`` makes it an integer like any other.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from engine.jit import inlined, kernel
from engine.optimizer.levels import NANO_PER_MICRO, SIZE, UNIT, Ints, Rows
from engine.optimizer.sizing import VALUE_DIVISOR
from engine.records import TOP_LEVELS, Direction
from engine.units import INT64_MAX, PPM, muldiv_ceil, muldiv_floor

JOBS_MAX: Final = 128
VENUE_BUDGETS: Final = 2  # the first budgets are the cash of the venues
NO_EVENT_BUDGET: Final = VENUE_BUDGETS  # legs of markets outside any group draw on this one, without end
DRAWS: Final = 3  # budgets a leg draws on: venue, market, event
NO_ACCOUNT: Final = -1  # of a sale, and of the budget without end
PRICE_SCALES: Final = (1_026, 1_022, 896, 640, 256, 0)  # of all prices, in 1/SCALE_ONE, pass by pass
SCALE_ONE: Final = 1_024
NANO_ONE: Final = 1_000_000_000

SIZE_E6: Final = 0  # rows of ``Filling.state``, by job: sets taken
CAP_E6: Final = 1  # most sets in this fill
WORTH: Final = 2  # profit of what was taken, micro-dollars
IS_CLOSED: Final = 3  # 1: takes no more at any price: a book or a budget is empty, or it would lose
STATES: Final = 4

_BUY: Final = int(Direction.BUY)


class Batch(NamedTuple):
    """Opportunities and the books they share; a fill only reads it."""

    jobs: Rows  # OPPORTUNITY
    legs: Rows  # SIGNAL_LEG, those of job k from jobs[k].first
    levels: Ints  # [3, leg, level], as engine.optimizer.levels
    depth: Ints  # [leg]: levels in use
    supply: Ints  # [leg]: number of the book side it takes; legs on one side have one number
    draws: Ints  # [leg, DRAWS]: budgets
    account: (
        Ints  # [leg, DRAWS]: where its job counts what it binds of each, leg x DRAWS + draw; or NO_ACCOUNT
    )
    at_limit: Ints  # [1]: 1 when an order binds its whole size at its worst price, 0: what its levels cost


class Filling(NamedTuple):
    """One fill in progress."""

    order: Ints  # [job]: who goes first
    price_ppm: Ints  # [VENUE_BUDGETS]
    floor_nano: Ints  # [supply], in the terms of a purchase
    n_budgets: Ints  # [1]: how many of the arrays below are in use
    opening: Ints  # [budget] micro-dollars at the start
    budget: Ints  # [budget] left
    need: Ints  # [account] of the next set in nano-dollars; zero between calls
    held: Ints  # [account] bound
    used: Ints  # [supply, level] e6
    cursor: Ints  # [leg] level
    state: Ints  # [STATES, job]


def new_filling(n_legs: int, n_budgets: int) -> Filling:
    """Arrays of a fill of up to JOBS_MAX jobs with ``n_legs`` legs and ``n_budgets`` budgets in all."""
    ints = np.int64
    return Filling(
        order=np.arange(JOBS_MAX, dtype=ints),
        price_ppm=np.zeros(VENUE_BUDGETS, ints),
        floor_nano=np.zeros(n_legs, ints),
        n_budgets=np.zeros(1, ints),
        opening=np.zeros(n_budgets, ints),
        budget=np.zeros(n_budgets, ints),
        need=np.zeros(n_legs * DRAWS, ints),
        held=np.zeros(n_legs * DRAWS, ints),
        used=np.zeros((n_legs, TOP_LEVELS), ints),
        cursor=np.zeros(n_legs, ints),
        state=np.zeros((STATES, JOBS_MAX), ints),
    )


@kernel
def open_accounts(n_jobs: int, batch: Batch) -> None:
    """Give each budget that a job draws on one account: that of its first leg that does."""
    for index in range(n_jobs):
        job = batch.jobs[index]
        for leg in range(job["first"], job["first"] + job["n_legs"]):
            for draw in range(DRAWS):
                batch.account[leg, draw] = _account(job["first"], leg, draw, batch)


@inlined
def _account(first: int, leg: int, draw: int, batch: Batch) -> int:
    source = batch.draws[leg, draw]
    if batch.legs[leg]["direction"] != _BUY or source == NO_EVENT_BUDGET:
        return NO_ACCOUNT
    for other in range(first, leg):
        if batch.draws[other, draw] == source and batch.account[other, draw] != NO_ACCOUNT:
            return int(batch.account[other, draw])
    return leg * DRAWS + draw


@kernel
def purchase_unit(leg: int, level: int, batch: Batch) -> int:
    """Unit cost of a level in the terms of a purchase: selling YES is buying NO and being paid one dollar."""
    unit = int(batch.levels[UNIT, leg, level])
    return unit if batch.legs[leg]["direction"] == _BUY else unit + NANO_ONE


@inlined
def _stand(first: int, end: int, batch: Batch, fill: Filling) -> int:
    """Put each leg on its first level that is not used up; sets until one is, 0 at the end of a side."""
    step = INT64_MAX
    for leg in range(first, end):
        source = batch.supply[leg]
        level = int(fill.cursor[leg])
        while level < batch.depth[leg] and fill.used[source, level] >= batch.levels[SIZE, leg, level]:
            level += 1
        fill.cursor[leg] = level
        if level >= batch.depth[leg]:
            step = 0
            break
        step = min(step, int(batch.levels[SIZE, leg, level] - fill.used[source, level]))
    return step


@inlined
def _slope(index: int, first: int, end: int, batch: Batch, fill: Filling) -> int:
    """Profit of the next set in nano-dollars."""
    cost = 0
    locked = 0
    for leg in range(first, end):
        unit = int(batch.levels[UNIT, leg, fill.cursor[leg]])
        cost += unit
        if batch.legs[leg]["direction"] == _BUY:
            locked += unit
    capital = muldiv_floor(locked, batch.jobs[index]["capital_cost_ppm"], PPM)
    return int(batch.jobs[index]["payoff_micros"]) * NANO_PER_MICRO - cost - capital


@inlined
def _rent(first: int, end: int, scale: int, batch: Batch, fill: Filling) -> int:
    """What the next set must earn at ``scale`` of the prices for cash and levels that are scarce."""
    rent = 0
    for leg in range(first, end):
        floor = int(fill.floor_nano[batch.supply[leg]])
        if floor > 0:
            rent += max(floor - purchase_unit(leg, fill.cursor[leg], batch), 0)
    rent = -(-rent * scale // SCALE_ONE)
    for venue in range(VENUE_BUDGETS):
        price = int(fill.price_ppm[venue]) * scale // SCALE_ONE
        if price == 0:
            continue
        cash = 0
        for leg in range(first, end):
            if batch.draws[leg, 0] == venue and batch.legs[leg]["direction"] == _BUY:
                cash += int(batch.levels[UNIT, leg, fill.cursor[leg]])
        rent += muldiv_ceil(cash, price, PPM)
    return rent


@inlined
def _affordable(index: int, first: int, end: int, step: int, batch: Batch, fill: Filling) -> int:
    """Sets out of ``step`` that every budget drawn on still pays for; sums what one needs into ``need``."""
    for leg in range(first, end):
        for draw in range(DRAWS):
            account = batch.account[leg, draw]
            if account != NO_ACCOUNT:
                fill.need[account] += batch.levels[UNIT, leg, fill.cursor[leg]]
    base = int(fill.state[SIZE_E6, index]) if batch.at_limit[0] else 0
    for account in range(first * DRAWS, end * DRAWS):
        need = int(fill.need[account])
        if need <= 0:
            continue
        free = int(fill.budget[batch.draws[account // DRAWS, account % DRAWS]])
        if batch.at_limit[0]:
            free += int(fill.held[account])
        if muldiv_ceil(need, base + step, VALUE_DIVISOR) > free:
            step = max(muldiv_floor(max(free, 0), VALUE_DIVISOR, need) - base, 0)
    return step


@inlined
def _bind(index: int, first: int, end: int, step: int, batch: Batch, fill: Filling) -> None:
    """Take ``step`` sets out of budgets and books; ``need`` is zero again."""
    for account in range(first * DRAWS, end * DRAWS):
        need = int(fill.need[account])
        fill.need[account] = 0
        if need <= 0 or step <= 0:
            continue
        before = int(fill.held[account])
        if batch.at_limit[0]:
            now = muldiv_ceil(need, int(fill.state[SIZE_E6, index]) + step, VALUE_DIVISOR)
        else:
            now = before + muldiv_ceil(need, step, VALUE_DIVISOR)
        fill.budget[batch.draws[account // DRAWS, account % DRAWS]] -= now - before
        fill.held[account] = now
    for leg in range(first, end):
        fill.used[batch.supply[leg], fill.cursor[leg]] += step
    fill.state[SIZE_E6, index] += step


@inlined
def _grow(index: int, scale: int, batch: Batch, fill: Filling) -> None:
    """Grow one job while a set earns more than is scarce costs at ``scale`` of the prices."""
    first = int(batch.jobs[index]["first"])
    end = first + int(batch.jobs[index]["n_legs"])
    cap = min(int(batch.jobs[index]["cap_e6"]), int(fill.state[CAP_E6, index]))
    while fill.state[IS_CLOSED, index] == 0 and fill.state[SIZE_E6, index] < cap:
        step = _stand(first, end, batch, fill)
        slope = _slope(index, first, end, batch, fill) if step > 0 else 0
        if slope <= 0:
            fill.state[IS_CLOSED, index] = 1
            break
        if scale > 0 and slope <= _rent(first, end, scale, batch, fill):
            break
        wanted = min(step, cap - int(fill.state[SIZE_E6, index]))
        taken = _affordable(index, first, end, wanted, batch, fill)
        _bind(index, first, end, taken, batch, fill)
        fill.state[WORTH, index] += muldiv_floor(slope, taken, VALUE_DIVISOR)
        if taken < wanted:
            fill.state[IS_CLOSED, index] = 1


@kernel
def fill_job(index: int, scale: int, batch: Batch, fill: Filling) -> None:
    """Grow one job at ``scale`` of the prices."""
    _grow(index, scale, batch, fill)


@kernel
def fill_all(n_jobs: int, scale: int, batch: Batch, fill: Filling) -> None:
    """Grow all jobs in ``fill.order`` at ``scale`` of the prices."""
    for place in range(n_jobs):
        _grow(fill.order[place], scale, batch, fill)


@kernel
def restart(n_jobs: int, n_legs: int, fill: Filling) -> None:
    """Begin a fill: nothing is taken, no job has a cap but its own."""
    for leg in range(n_legs):
        fill.cursor[leg] = 0
        for level in range(TOP_LEVELS):
            fill.used[leg, level] = 0  # there are no more sides than legs
    for account in range(n_legs * DRAWS):
        fill.held[account] = 0
    for source in range(fill.n_budgets[0]):
        fill.budget[source] = fill.opening[source]
    for index in range(n_jobs):
        fill.state[SIZE_E6, index] = 0
        fill.state[WORTH, index] = 0
        fill.state[IS_CLOSED, index] = 0
        fill.state[CAP_E6, index] = INT64_MAX


@kernel
def worth_of(n_jobs: int, fill: Filling) -> int:
    """Profit of what has been taken, in micro-dollars, before roundings."""
    total = 0
    for index in range(n_jobs):
        total += int(fill.state[WORTH, index])
    return total


@kernel
def fill_batch(n_jobs: int, n_legs: int, batch: Batch, fill: Filling) -> int:
    """Fill all jobs in ``fill.order``, pass by pass; profit in micro-dollars, before roundings."""
    restart(n_jobs, n_legs, fill)
    for scale in PRICE_SCALES:
        fill_all(n_jobs, scale, batch, fill)
    return worth_of(n_jobs, fill)


@kernel
def mark_ties(n_jobs: int, n_legs: int, batch: Batch, fill: Filling, chosen: Ints) -> int:
    """Mark the jobs whose next set earns about what it costs at the prices; how many.

    Only their sizes are not decided by the prices: the split of the last cash between them is.
    """
    restart(n_jobs, n_legs, fill)
    for index in range(n_jobs):
        fill_job(index, int(np.int64(PRICE_SCALES[0])), batch, fill)
    ties = 0
    for index in range(n_jobs):
        first = int(batch.jobs[index]["first"])
        end = first + int(batch.jobs[index]["n_legs"])
        chosen[index] = 0
        if fill.state[SIZE_E6, index] >= batch.jobs[index]["cap_e6"] or _stand(first, end, batch, fill) <= 0:
            continue
        slope = _slope(index, first, end, batch, fill)
        if slope > 0 and slope > _rent(first, end, PRICE_SCALES[1], batch, fill):
            chosen[index] = 1
            ties += 1
    return ties
