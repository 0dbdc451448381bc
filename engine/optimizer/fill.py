"""Several opportunities on the same books and the same cash: fills of the live books, pass by pass.

Opportunities take levels one after the other, each from what those before it left, until the next set no
longer pays for the cash it binds, a budget is empty, or a book is. Cash has a price per venue (dollars of
profit a dollar of cash must earn, in ppm); passes with a falling price give scarce cash to the *segments*
that earn most with it, not to whole opportunities. A search then moves size between pairs, which is where
passes in one order go wrong.

Sizes are in e6 and not yet whole lots: the allocator prices what comes out of here again, exactly.
A budget is a venue's cash, a market's or an event's exposure; each leg draws on one of each.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from engine.jit import kernel
from engine.optimizer.levels import NANO_PER_MICRO, SIZE, UNIT, Ints, Rows
from engine.optimizer.sizing import VALUE_DIVISOR
from engine.records import TOP_LEVELS, Direction
from engine.units import INT64_MAX, PPM, muldiv_ceil, muldiv_floor

JOBS_MAX: Final = 32
VENUE_BUDGETS: Final = 2  # the first budgets are the cash of the venues
DRAWS: Final = 3  # budgets a leg draws on: venue, market, event
PRICE_SCALES: Final = (1_026, 1_022, 896, 640, 256, 0)  # of the price of cash, in 1/SCALE_ONE, pass by pass
SCALE_ONE: Final = 1_024
FILLS_MAX: Final = 1_000  # of one search between pairs
CUT_STEP_E6: Final = 10_000  # how finely sizes are moved

SIZE_E6: Final = 0  # rows of ``Filling.state``, by job: sets taken
CAP_E6: Final = 1  # most sets in this fill
WORTH: Final = 2  # profit of what was taken, micro-dollars

_BUY: Final = int(Direction.BUY)


class Batch(NamedTuple):
    """Opportunities and the books they share; a fill only reads it."""

    jobs: Rows  # OPPORTUNITY
    legs: Rows  # SIGNAL_LEG, those of job k from jobs[k].first
    levels: Ints  # [3, leg, level], as engine.optimizer.levels
    depth: Ints  # [leg]: levels in use
    supply: Ints  # [leg]: number of the book side it takes; legs on one side have one number
    draws: Ints  # [leg, DRAWS]: budgets
    at_limit: Ints  # [1]: 1 when an order binds its whole size at its worst price, 0: what its levels cost


class Filling(NamedTuple):
    """One fill in progress."""

    order: Ints  # [job]: who goes first
    price_ppm: Ints  # [VENUE_BUDGETS]
    n_budgets: Ints  # [1]: how many of the arrays below are in use
    opening: Ints  # [budget] micro-dollars at the start
    budget: Ints  # [budget] left
    need: Ints  # [budget] scratch: zero between calls
    used: Ints  # [supply, level] e6
    cursor: Ints  # [leg] level
    held: Ints  # [job, budget] bound
    state: Ints  # [3, job]


def new_filling(n_legs: int, n_budgets: int) -> Filling:
    """Arrays of a fill of up to JOBS_MAX jobs with ``n_legs`` legs and ``n_budgets`` budgets in all."""
    ints = np.int64
    return Filling(
        order=np.arange(JOBS_MAX, dtype=ints),
        price_ppm=np.zeros(VENUE_BUDGETS, ints),
        n_budgets=np.zeros(1, ints),
        opening=np.zeros(n_budgets, ints),
        budget=np.zeros(n_budgets, ints),
        need=np.zeros(n_budgets, ints),
        used=np.zeros((n_legs, TOP_LEVELS), ints),
        cursor=np.zeros(n_legs, ints),
        held=np.zeros((JOBS_MAX, n_budgets), ints),
        state=np.zeros((3, JOBS_MAX), ints),
    )


@kernel
def _stand(job: np.void, batch: Batch, fill: Filling) -> int:
    """Put each leg on its first level that is not used up; sets until one is, 0 at the end of a side."""
    step = INT64_MAX
    for leg in range(job["first"], job["first"] + job["n_legs"]):
        source = batch.supply[leg]
        level = int(fill.cursor[leg])
        while level < batch.depth[leg] and fill.used[source, level] >= batch.levels[SIZE, leg, level]:
            level += 1
        fill.cursor[leg] = level
        if level >= batch.depth[leg]:
            return 0
        step = min(step, int(batch.levels[SIZE, leg, level] - fill.used[source, level]))
    return step


@kernel
def _slope(job: np.void, batch: Batch, fill: Filling) -> int:
    """Profit of the next set in nano-dollars; sums what its purchases bind into ``need``."""
    cost = 0
    locked = 0
    for leg in range(job["first"], job["first"] + job["n_legs"]):
        unit = int(batch.levels[UNIT, leg, fill.cursor[leg]])
        cost += unit
        if batch.legs[leg]["direction"] != _BUY:
            continue
        locked += unit
        for draw in range(DRAWS):
            fill.need[batch.draws[leg, draw]] += unit
    capital = muldiv_floor(locked, job["capital_cost_ppm"], PPM)
    return int(job["payoff_micros"]) * NANO_PER_MICRO - cost - capital


@kernel
def _cash_charge(fill: Filling, scale: int) -> int:
    """What the cash bound by one set must earn at ``scale`` of the price of cash, in nano-dollars."""
    charge = 0
    for venue in range(VENUE_BUDGETS):
        charge += muldiv_ceil(int(fill.need[venue]), int(fill.price_ppm[venue]) * scale // SCALE_ONE, PPM)
    return charge


@kernel
def _affordable(job: np.void, index: int, step: int, batch: Batch, fill: Filling) -> int:
    """Sets out of ``step`` that every budget drawn on still pays for."""
    base = int(fill.state[SIZE_E6, index]) if batch.at_limit[0] else 0
    for leg in range(job["first"], job["first"] + job["n_legs"]):
        for draw in range(DRAWS):
            source = batch.draws[leg, draw]
            need = int(fill.need[source])
            if need <= 0:
                continue
            free = int(fill.budget[source])
            if batch.at_limit[0]:
                free += int(fill.held[index, source])
            if muldiv_ceil(need, base + step, VALUE_DIVISOR) > free:
                step = max(muldiv_floor(max(free, 0), VALUE_DIVISOR, need) - base, 0)
    return step


@kernel
def _bind(job: np.void, index: int, step: int, batch: Batch, fill: Filling) -> None:
    """Take ``step`` sets out of the budgets, and clear ``need``."""
    for leg in range(job["first"], job["first"] + job["n_legs"]):
        for draw in range(DRAWS):
            source = batch.draws[leg, draw]
            need = int(fill.need[source])
            fill.need[source] = 0
            if need <= 0 or step <= 0:
                continue
            before = int(fill.held[index, source])
            if batch.at_limit[0]:
                now = muldiv_ceil(need, int(fill.state[SIZE_E6, index]) + step, VALUE_DIVISOR)
            else:
                now = before + muldiv_ceil(need, step, VALUE_DIVISOR)
            fill.budget[source] -= now - before
            fill.held[index, source] = now


@kernel
def _fill_job(index: int, scale: int, batch: Batch, fill: Filling) -> None:
    """Grow one job while a set earns more than its cash costs at ``scale`` of the price."""
    job = batch.jobs[index]
    cap = min(int(job["cap_e6"]), int(fill.state[CAP_E6, index]))
    step = _stand(job, batch, fill)
    while step > 0:
        slope = _slope(job, batch, fill)
        step = min(step, cap - int(fill.state[SIZE_E6, index]))
        taken = 0
        if step > 0 and slope - _cash_charge(fill, scale) > 0:
            taken = _affordable(job, index, step, batch, fill)
        _bind(job, index, taken, batch, fill)
        for leg in range(job["first"], job["first"] + job["n_legs"]):
            fill.used[batch.supply[leg], fill.cursor[leg]] += taken
        fill.state[SIZE_E6, index] += taken
        fill.state[WORTH, index] += muldiv_floor(max(slope, 0), taken, VALUE_DIVISOR)
        step = _stand(job, batch, fill) if taken > 0 and taken == step else 0


@kernel
def _restart(n_jobs: int, n_legs: int, batch: Batch, fill: Filling) -> None:
    for leg in range(n_legs):
        fill.cursor[leg] = 0
        for level in range(TOP_LEVELS):
            fill.used[batch.supply[leg], level] = 0
    for source in range(fill.n_budgets[0]):
        fill.budget[source] = fill.opening[source]
        for index in range(n_jobs):
            fill.held[index, source] = 0
    for index in range(n_jobs):
        fill.state[SIZE_E6, index] = 0
        fill.state[WORTH, index] = 0


@kernel
def _worth(n_jobs: int, fill: Filling) -> int:
    total = 0
    for index in range(n_jobs):
        total += int(fill.state[WORTH, index])
    return total


@kernel
def fill_batch(n_jobs: int, n_legs: int, batch: Batch, fill: Filling) -> int:
    """Fill all jobs in ``fill.order``, pass by pass; profit in micro-dollars, before roundings."""
    _restart(n_jobs, n_legs, batch, fill)
    for index in range(n_jobs):
        fill.state[CAP_E6, index] = INT64_MAX
    for scale in PRICE_SCALES:
        for place in range(n_jobs):
            _fill_job(fill.order[place], scale, batch, fill)
    return _worth(n_jobs, fill)


@kernel
def _fill_with(
    moved: int, size_e6: int, first: int, sizes: Ints, n_jobs: int, n_legs: int, batch: Batch, fill: Filling
) -> int:
    """Profit when all keep ``sizes`` but ``moved``, which gets ``size_e6``; ``first`` is served first."""
    _restart(n_jobs, n_legs, batch, fill)
    for index in range(n_jobs):
        fill.state[CAP_E6, index] = size_e6 if index == moved else sizes[index]
        if index != first:
            _fill_job(index, 0, batch, fill)
    fill.state[CAP_E6, first] = INT64_MAX
    _fill_job(first, 0, batch, fill)
    for index in range(n_jobs):
        fill.state[CAP_E6, index] = INT64_MAX  # the job's own cap still holds
    for place in range(n_jobs):
        _fill_job(fill.order[place], 0, batch, fill)
    return _worth(n_jobs, fill)


@kernel
def _best_cut(
    moved: int, first: int, known: int, sizes: Ints, n_jobs: int, n_legs: int, batch: Batch, fill: Filling
) -> tuple[int, int, int]:
    """Best size of ``moved`` when ``first`` is served next: (size, worth of the batch, fills)."""
    low = 0
    high = int(sizes[moved])
    size, best = high, known
    fills = 0
    while high - low > CUT_STEP_E6:
        third = max((high - low) // 3, 1)
        lower = _fill_with(moved, low + third, first, sizes, n_jobs, n_legs, batch, fill)
        upper = _fill_with(moved, high - third, first, sizes, n_jobs, n_legs, batch, fill)
        fills += 2
        if lower > best:
            size, best = low + third, lower
        if upper > best:
            size, best = high - third, upper
        if lower >= upper:
            high -= third
        else:
            low += third
    worth = _fill_with(moved, 0, first, sizes, n_jobs, n_legs, batch, fill)
    if worth > best:
        size, best = 0, worth
    return size, best, fills + 1


@kernel
def mark_ties(n_jobs: int, n_legs: int, batch: Batch, fill: Filling, chosen: Ints) -> int:
    """Mark the jobs whose next set earns about what its cash costs; how many.

    Only their sizes are not decided by the prices: the split of the last cash between them is.
    """
    _restart(n_jobs, n_legs, batch, fill)
    for index in range(n_jobs):
        fill.state[CAP_E6, index] = INT64_MAX
        _fill_job(index, PRICE_SCALES[0], batch, fill)
    ties = 0
    for index in range(n_jobs):
        job = batch.jobs[index]
        chosen[index] = 0
        if _stand(job, batch, fill) > 0 and fill.state[SIZE_E6, index] < job["cap_e6"]:
            slope = _slope(job, batch, fill)
            chosen[index] = 1 if slope - _cash_charge(fill, PRICE_SCALES[1]) > 0 else 0
            _bind(job, index, 0, batch, fill)  # clears what the slope has summed
        ties += int(chosen[index])
    return ties


@kernel
def exchange(
    n_jobs: int,
    n_legs: int,
    known: int,
    enough: int,
    chosen: Ints,
    sizes: Ints,
    batch: Batch,
    fill: Filling,
) -> int:
    """Move size between pairs of ``chosen`` jobs, the best move first, until nothing is won.

    ``sizes`` (e6, by job) is worth ``known`` micro-dollars and is improved in place; answers its new worth.
    Ends when ``enough`` is reached, too, or FILLS_MAX fills are spent.
    """
    fills = 0
    while known < enough and fills < FILLS_MAX:
        best = known
        best_moved, best_first, best_size = -1, -1, 0
        for moved in range(n_jobs):
            for first in range(n_jobs):
                if moved == first or not chosen[moved] or not chosen[first] or sizes[moved] <= 0:
                    continue
                if fills >= FILLS_MAX:
                    break
                size, worth, spent = _best_cut(moved, first, known, sizes, n_jobs, n_legs, batch, fill)
                fills += spent
                if worth > best:
                    best, best_moved, best_first, best_size = worth, moved, first, size
        if best_moved < 0:
            break
        known = _fill_with(best_moved, best_size, best_first, sizes, n_jobs, n_legs, batch, fill)
        for index in range(n_jobs):
            sizes[index] = fill.state[SIZE_E6, index]
    return known
