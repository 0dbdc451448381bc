"""What a plan of a given size costs exactly, leg by leg, and what its orders can cost at most.

A limit order binds its whole size at its limit, not what the walk expects to pay: the better levels may be
gone when it arrives. So a leg has the cash of the walk, and a worst case at the limit.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.fees import estimate_split_fee_micros
from engine.jit import kernel
from engine.optimizer.levels import PRICE, SIZE, Ints, Rows
from engine.optimizer.sizing import leg_cost, payoff_floor
from engine.records import TOP_LEVELS, Direction
from engine.units import PPM, PRICE_ONE_E4, muldiv_ceil, muldiv_floor

CASH: Final = 0  # columns of a priced leg: cash of the walk without fee, micro-dollars
FEE: Final = 1
LIMIT: Final = 2  # worst price of the walk, price_e4 in the terms of the leg
WORST: Final = 3  # most that a purchase can cost, fee included; 0 for a sale
COLUMNS: Final = 4

NO_DEPTH: Final = -(2**62)  # answered for a size that the levels do not hold

_BUY: Final = int(Direction.BUY)


@kernel
def price_legs(
    jobs: Rows,
    index: int,
    size_e6: int,
    legs: Rows,
    markets: Rows,
    levels: Ints,
    count: Ints,
    at_limit: int,
    priced: Ints,
) -> int:
    """Price every leg of a job into ``priced`` [leg, COLUMNS]; the profit in micro-dollars, or NO_DEPTH."""
    job = jobs[index]
    locked = 0
    proceeds = 0
    for leg in range(job["first"], job["first"] + job["n_legs"]):
        market = markets[legs[leg]["slot"]]
        direction = int(np.int64(legs[leg]["direction"]))
        cash, fee, worst_level, left = leg_cost(market, direction, leg, size_e6, levels, count)
        if left > 0 or worst_level < 0:
            return NO_DEPTH
        limit = int(levels[PRICE, leg, worst_level])
        worst = 0
        if direction == _BUY:
            locked += cash + fee
            worst = cash + fee
            if at_limit:
                at_worst = estimate_split_fee_micros(market, limit, size_e6, TOP_LEVELS)
                worst = max(worst, muldiv_ceil(size_e6, limit, PRICE_ONE_E4) + at_worst)
        else:
            proceeds += cash - fee
        priced[leg, CASH] = cash
        priced[leg, FEE] = fee
        priced[leg, LIMIT] = limit
        priced[leg, WORST] = worst
    capital = muldiv_ceil(locked, job["capital_cost_ppm"], PPM)
    return payoff_floor(job["payoff_micros"], size_e6) + proceeds - locked - capital


@kernel
def consume(
    jobs: Rows, index: int, size_e6: int, n_legs: int, supply: Ints, levels: Ints, count: Ints
) -> None:
    """Take a plan's sizes off the levels of all ``n_legs`` legs that stand on the same book sides."""
    job = jobs[index]
    for leg in range(job["first"], job["first"] + job["n_legs"]):
        left = size_e6
        for level in range(count[leg]):
            part = min(left, int(levels[SIZE, leg, level]))
            if part <= 0:
                continue
            left -= part
            for other in range(n_legs):
                if supply[other] == supply[leg]:
                    levels[SIZE, other, level] -= part


@kernel
def notional_cap_e6(leg: int, notional_max_micros: int, levels: Ints, count: Ints) -> int:
    """Largest size whose order, priced at the worst level it needs, stays within a notional."""
    cap = 0
    depth = 0
    for level in range(count[leg]):
        price = int(levels[PRICE, leg, level])
        most = muldiv_floor(notional_max_micros, PRICE_ONE_E4, price) if price > 0 else 2**62
        if most <= depth:
            break
        depth += int(levels[SIZE, leg, level])
        cap = min(depth, most)
    return cap
