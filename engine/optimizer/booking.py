"""A priced plan entered into what is held, and what it takes into what is hidden."""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.catalog.groups import NO_GROUP
from engine.execution.terms import side_taken
from engine.jit import kernel
from engine.optimizer.adversary import FROM_CONVERSION
from engine.optimizer.holds import (
    BALANCE,
    CASH,
    COST,
    EVENT,
    FOR_SALE,
    HELD,
    HELD_HERE,
    MARKET,
    ORDERS,
    OWNED,
    SELLING,
    Held,
    event_exposure_micros,
    hold_part,
    release_hold,
)
from engine.optimizer.keyed import Ints
from engine.optimizer.levels import SIZE, Rows
from engine.optimizer.pricing import WORST
from engine.optimizer.shadow import Takes, take_level
from engine.reasons import Reason
from engine.records import Direction, Side

# Of the array of limits, which are those of AllocatorLimits
ORDER_SIZE, NOTIONAL, POSITION, MARKET_EXPOSURE, EVENT_EXPOSURE, WORST_LOSS, SLOTS, AT_LIMIT = range(8)
LIMITS: Final = 8

_BUY: Final = int(Direction.BUY)
_ASK: Final = int(Side.ASK)
_NONE: Final = int(Reason.NONE)
_NO_CASH, _EXPOSED = int(Reason.CASH_EXHAUSTED), int(Reason.EXPOSURE_EXHAUSTED)
_NO_INVENTORY: Final = int(Reason.NO_INVENTORY)


@kernel
def _hold_leg(plan_id: int, leg: np.void, market: np.void, size_e6: int, worst: int, held: Held) -> None:
    slot = int(np.int64(leg["slot"]))
    if leg["direction"] == _BUY:
        hold_part(plan_id, CASH, int(np.int64(market["venue"])), worst, held)
        hold_part(plan_id, MARKET, slot, worst, held)
        if market["group"] != NO_GROUP:
            hold_part(plan_id, EVENT, int(np.int64(market["group"])), worst, held)
    elif leg["convert"] != FROM_CONVERSION:
        hold_part(plan_id, SELLING, 2 * slot + int(np.int64(leg["outcome"])), size_e6, held)


@kernel
def _over_budget(job: np.void, legs: Rows, markets: Rows, limits: Ints, held: Held) -> int:
    """Reason why what is held with this job among it is too much; cash first, then exposure, inventory."""
    reason = _NONE
    for number in range(job["first"], job["first"] + job["n_legs"]):
        leg = legs[number]
        slot, outcome = int(leg["slot"]), int(leg["outcome"])
        market, own = markets[slot], held.market[slot]
        if leg["direction"] == _BUY:
            venue = int(market["venue"])
            if held.venue[venue, HELD] > held.venue[venue, BALANCE]:
                return _NO_CASH
            group = int(np.int64(market["group"]))
            in_event = event_exposure_micros(group, held) if group != NO_GROUP else 0
            here = int(own[HELD_HERE] + own[COST])
            if here > limits[MARKET_EXPOSURE] or in_event > limits[EVENT_EXPOSURE]:
                reason = _EXPOSED
        elif leg["convert"] != FROM_CONVERSION and own[FOR_SALE + outcome] > own[OWNED + outcome]:
            reason = _NO_INVENTORY if reason == _NONE else reason
    return reason


@kernel
def hold_plan(
    plan_id: int,
    jobs: Rows,
    index: int,
    size_e6: int,
    legs: Rows,
    markets: Rows,
    priced: Ints,
    limits: Ints,
    held: Held,
) -> int:
    """Hold what a plan of this size binds until it is done; or a Reason, and nothing, where it is too much.

    ``legs`` are SIGNAL_LEG records, those of ``jobs[index]`` priced in ``priced``.
    """
    job = jobs[index]
    hold_part(plan_id, ORDERS, int(np.int64(0)), int(job["n_legs"]), held)
    for leg in range(job["first"], job["first"] + job["n_legs"]):
        _hold_leg(plan_id, legs[leg], markets[legs[leg]["slot"]], size_e6, int(priced[leg, WORST]), held)
    reason = _over_budget(job, legs, markets, limits, held)
    if reason != _NONE:
        release_hold(plan_id, held)
    return reason


@kernel
def take_plan(
    plan_id: int,
    jobs: Rows,
    index: int,
    size_e6: int,
    legs: Rows,
    books: Rows,
    levels: Ints,
    count: Ints,
    takes: Takes,
) -> None:
    """Hide what a plan of this size takes off the books."""
    job = jobs[index]
    for number in range(job["first"], job["first"] + job["n_legs"]):
        leg, left = legs[number], size_e6
        slot, generation = int(np.int64(leg["slot"])), int(np.int64(leg["generation"]))
        book = books[leg["slot"]]
        side = side_taken(int(np.int64(leg["direction"])), int(np.int64(leg["outcome"])))
        for level in range(count[number]):
            taken = min(left, int(levels[SIZE, number, level]))
            if taken <= 0:
                continue
            price = int(np.int64(book["ask_e4"][level] if side == _ASK else book["bid_e4"][level]))
            shown = int(book["ask_size_e6"][level] if side == _ASK else book["bid_size_e6"][level])
            take_level(plan_id, slot, generation, side, price, shown, taken, takes)
            left -= taken
