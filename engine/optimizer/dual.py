"""How much a batch can earn at most: a Lagrangian bound, valid at any prices, and the search for good prices.

Two kinds of scarce things get a price. Cash of a venue: ``price_ppm``. A book side that several opportunities
want has a *floor*: whoever takes it pays at least the floor for each contract, and the levels below it earn
the difference. At any prices

    bound = cash x its price + sizes of levels x (floor - cost)+ + what each opportunity earns alone

is at least the profit of every allocation that respects cash and books; all other limits only lower what can
be reached. The bound is convex in the prices, and what is demanded beyond what there is tells on which side
of the best price we are. Prices that make it small also say which segments are worth their cash, and the fill
uses them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from engine.jit import kernel
from engine.optimizer.fill import VENUE_BUDGETS, Batch
from engine.optimizer.levels import NANO_PER_MICRO, SIZE, UNIT, Ints
from engine.optimizer.sizing import CURSOR, TAKEN, VALUE_DIVISOR, advance
from engine.records import Direction
from engine.units import INT64_MAX, PPM, muldiv_ceil, muldiv_floor

PRICE_BITS: Final = 24  # a price of cash is below 2**24 ppm: 16.8 dollars of profit a dollar of cash
PRICE_STEP_PPM: Final = 8  # how far apart two prices are compared, so that roundings do not decide
FLOOR_BITS: Final = 38  # a floor is below 2**38 nano-dollars: the payoff of a set of LEGS_MAX
SWEEPS_MAX: Final = 3  # over the floors of shared book sides
NANO_ONE: Final = 1_000_000_000

_BUY: Final = int(Direction.BUY)


class Prices(NamedTuple):
    """Prices of what is scarce, what they make wanted, and the best bound seen."""

    price_ppm: Ints  # [VENUE_BUDGETS]
    cash_micros: Ints  # [VENUE_BUDGETS] that there is
    spent_micros: Ints  # [VENUE_BUDGETS] that the opportunities want to spend at these prices
    floor_nano: Ints  # [supply], in the terms of a purchase
    demand_e6: Ints  # [supply] that the opportunities want to take at these prices
    sharers: Ints  # [supply]: legs that take it; a floor is searched where there are two or more
    witness: Ints  # [supply]: a leg that shows its levels
    work: Ints  # [2, leg]
    best: Ints  # [1 + VENUE_BUDGETS]: least bound seen, and the prices of cash that gave it


def new_prices(n_legs: int) -> Prices:
    """Arrays for a batch with ``n_legs`` legs in all."""
    ints = np.int64
    return Prices(
        price_ppm=np.zeros(VENUE_BUDGETS, ints),
        cash_micros=np.zeros(VENUE_BUDGETS, ints),
        spent_micros=np.zeros(VENUE_BUDGETS, ints),
        floor_nano=np.zeros(n_legs, ints),
        demand_e6=np.zeros(n_legs, ints),
        sharers=np.zeros(n_legs, ints),
        witness=np.zeros(n_legs, ints),
        work=np.zeros((2, n_legs), ints),
        best=np.zeros(1 + VENUE_BUDGETS, ints),
    )


@kernel
def _purchase_unit(leg: int, level: int, batch: Batch) -> int:
    """Unit cost of a level in the terms of a purchase: selling YES is buying NO and being paid one dollar."""
    unit = int(batch.levels[UNIT, leg, level])
    return unit if batch.legs[leg]["direction"] == _BUY else unit + NANO_ONE


@kernel
def _slope(job: np.void, batch: Batch, prices: Prices) -> int:
    """Profit of the next set after paying floors and cash, in nano-dollars."""
    cost = 0
    locked = 0
    charge = 0
    for leg in range(job["first"], job["first"] + job["n_legs"]):
        level = int(prices.work[CURSOR, leg])
        unit = int(batch.levels[UNIT, leg, level])
        floor = int(prices.floor_nano[batch.supply[leg]])
        cost += unit + max(floor - _purchase_unit(leg, level, batch), 0)
        if batch.legs[leg]["direction"] == _BUY:
            locked += unit
            charge += muldiv_floor(unit, int(prices.price_ppm[batch.draws[leg, 0]]), PPM)
    capital = muldiv_floor(locked, job["capital_cost_ppm"], PPM)
    return int(job["payoff_micros"]) * NANO_PER_MICRO - cost - capital - charge


@kernel
def _note_step(job: np.void, step: int, batch: Batch, prices: Prices) -> None:
    """Count ``step`` sets as wanted."""
    for leg in range(job["first"], job["first"] + job["n_legs"]):
        if batch.legs[leg]["direction"] == _BUY:
            unit = int(batch.levels[UNIT, leg, prices.work[CURSOR, leg]])
            prices.spent_micros[batch.draws[leg, 0]] += muldiv_ceil(unit, step, VALUE_DIVISOR)
        prices.demand_e6[batch.supply[leg]] += step
        prices.work[TAKEN, leg] += step


@kernel
def _alone(job: np.void, batch: Batch, prices: Prices) -> int:
    """Most one opportunity earns at these prices, alone with its books, rounded up; notes what it wants."""
    for leg in range(job["first"], job["first"] + job["n_legs"]):
        prices.work[CURSOR, leg] = 0
        prices.work[TAKEN, leg] = 0
    total = 0
    left = int(job["cap_e6"])
    step = min(advance(job, batch.levels, batch.depth, prices.work), left)
    while step > 0:
        slope = _slope(job, batch, prices)
        if slope <= 0:
            break
        total += muldiv_ceil(slope, step, VALUE_DIVISOR)
        left -= step
        _note_step(job, step, batch, prices)
        step = min(advance(job, batch.levels, batch.depth, prices.work), left)
    return total


@kernel
def _below_floor(source: int, batch: Batch, prices: Prices) -> tuple[int, int]:
    """What the levels below a floor earn by it (micro-dollars, rounded up), and their size."""
    leg = int(prices.witness[source])
    earned = 0
    size = 0
    for level in range(batch.depth[leg]):
        margin = int(prices.floor_nano[source]) - _purchase_unit(leg, level, batch)
        if margin > 0:
            offered = int(batch.levels[SIZE, leg, level])
            earned += muldiv_ceil(margin, offered, VALUE_DIVISOR)
            size += offered
    return earned, size


@kernel
def bound_micros(n_jobs: int, n_supplies: int, batch: Batch, prices: Prices) -> int:
    """The bound at the current prices; remembers it when it is the least so far."""
    for source in range(n_supplies):
        prices.demand_e6[source] = 0
    total = 0
    for venue in range(VENUE_BUDGETS):
        prices.spent_micros[venue] = 0
        total += muldiv_ceil(int(prices.cash_micros[venue]), int(prices.price_ppm[venue]), PPM)
    for source in range(n_supplies):
        if prices.floor_nano[source] > 0:
            total += _below_floor(source, batch, prices)[0]
    for index in range(n_jobs):
        total += _alone(batch.jobs[index], batch, prices)
    if total < prices.best[0]:
        prices.best[0] = total
        for venue in range(VENUE_BUDGETS):
            prices.best[1 + venue] = prices.price_ppm[venue]
    return total


@kernel
def _search_cash(venue: int, n_jobs: int, n_supplies: int, batch: Batch, prices: Prices) -> int:
    """Least price of a venue's cash at which no more is wanted than there is; the least bound on the way."""
    low = 0
    high = 1 << PRICE_BITS
    prices.price_ppm[venue] = 0
    least = bound_micros(n_jobs, n_supplies, batch, prices)
    if prices.spent_micros[venue] <= prices.cash_micros[venue]:
        return least
    while high - low > 1:
        prices.price_ppm[venue] = (low + high) // 2
        least = min(least, bound_micros(n_jobs, n_supplies, batch, prices))
        if prices.spent_micros[venue] > prices.cash_micros[venue]:
            low = int(prices.price_ppm[venue])
        else:
            high = int(prices.price_ppm[venue])
    prices.price_ppm[venue] = high
    return min(least, bound_micros(n_jobs, n_supplies, batch, prices))


@kernel
def _search_both(n_jobs: int, n_supplies: int, batch: Batch, prices: Prices) -> None:
    """Prices of both venues' cash. The first is found by comparing bounds: at the second, demands may tie."""
    low = 0
    high = 1 << PRICE_BITS
    prices.price_ppm[0] = 0
    _search_cash(1, n_jobs, n_supplies, batch, prices)
    if prices.spent_micros[0] <= prices.cash_micros[0]:
        return
    while high - low > PRICE_STEP_PPM:
        middle = (low + high) // 2
        prices.price_ppm[0] = middle
        here = _search_cash(1, n_jobs, n_supplies, batch, prices)
        prices.price_ppm[0] = middle + PRICE_STEP_PPM
        beyond = _search_cash(1, n_jobs, n_supplies, batch, prices)
        if here <= beyond:
            high = middle
        else:
            low = middle


@kernel
def _search_floor(source: int, n_jobs: int, n_supplies: int, batch: Batch, prices: Prices) -> None:
    """Least floor of a shared book side at which no more is wanted of it than there is below the floor."""
    low = -1
    high = 1 << FLOOR_BITS
    while high - low > 1:
        prices.floor_nano[source] = (low + high) // 2
        bound_micros(n_jobs, n_supplies, batch, prices)
        _, offered = _below_floor(source, batch, prices)
        if prices.demand_e6[source] > offered:
            low = int(prices.floor_nano[source])
        else:
            high = int(prices.floor_nano[source])
    prices.floor_nano[source] = high


@kernel
def search_prices(n_jobs: int, n_supplies: int, batch: Batch, prices: Prices) -> int:
    """Find prices that make the bound small; the least bound, whose prices of cash stay in place."""
    prices.best[0] = INT64_MAX
    for source in range(n_supplies):
        prices.floor_nano[source] = 0
    least = INT64_MAX
    for _ in range(SWEEPS_MAX):
        _search_both(n_jobs, n_supplies, batch, prices)
        for source in range(n_supplies):
            if prices.sharers[source] > 1:
                for venue in range(VENUE_BUDGETS):
                    prices.price_ppm[venue] = prices.best[1 + venue]
                _search_floor(source, n_jobs, n_supplies, batch, prices)
        if prices.best[0] >= least:
            break
        least = int(prices.best[0])
    for venue in range(VENUE_BUDGETS):
        prices.price_ppm[venue] = prices.best[1 + venue]
    return int(prices.best[0])
