"""The best size of one opportunity, to the lot: a walk over its legs' merged levels, then exact integers.

The walk goes through the segments on which every leg stays on one level. Without roundings the profit rises
along it and its slope falls, so the walk stops where the next segment earns nothing: the peak. Roundings then
move the optimum by a few lots at most: sizes are tried exactly, from the peak downwards, until the bound of
all that remain is no better than what was found. SIZES_TRIED_MAX and LEGS_PRICED_MAX end the search; the
bound then says how much it can have missed.

``levels`` and ``count`` are those of ``engine.optimizer.levels``. Sizes are sets: one contract of each leg.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.execution.terms import common_multiple, order_lot_e6
from engine.fees import estimate_taker_fee_micros
from engine.jit import kernel
from engine.optimizer.levels import NANO_PER_MICRO, PRICE, SIZE, UNIT, Ints, Rows
from engine.records import LEGS_MAX, TOP_LEVELS, Direction
from engine.units import INT64_MAX, PPM, PRICE_ONE_E4, SIZE_ONE_E6, muldiv_ceil, muldiv_floor

SEGMENTS_MAX: Final = LEGS_MAX * TOP_LEVELS
SIZES_TRIED_MAX: Final = 512
LEGS_PRICED_MAX: Final = 4_096  # by the sizes tried of one opportunity: with more than 8 legs, fewer sizes
VALUE_DIVISOR: Final = 10**9  # nano-dollars a contract times 1e-6 contract, to micro-dollars

OPPORTUNITY: Final = np.dtype(
    [
        ("first", "<i8"),  # of its legs, in the leg array and in ``levels``
        ("n_legs", "<i8"),
        ("payoff_micros", "<i8"),  # guaranteed, of one set; negative for sets that are given up
        ("capital_cost_ppm", "<i8"),
        ("smallest_e6", "<i8"),  # fewest sets the venues accept
        ("cap_e6", "<i8"),  # most sets we want
    ]
)

END: Final = 0  # columns of ``segments``: sets at the end, e6
SLOPE: Final = 1  # nano-dollars a set
VALUE: Final = 2  # micro-dollars at the end, an upper bound
LOT: Final = 3  # step of sizes on this segment, e6
SEGMENT_COLUMNS: Final = 4
CURSOR: Final = 0  # rows of ``work``: level on which a leg stands
TAKEN: Final = 1  # how much of that level is used

_BUY: Final = int(Direction.BUY)


@kernel
def slope_nano(job: np.void, legs: Rows, levels: Ints, work: Ints) -> int:
    """Optimistic profit of one more set, in nano-dollars, where each leg stands at its cursor."""
    cost = 0
    locked = 0
    for leg in range(job["first"], job["first"] + job["n_legs"]):
        unit = int(levels[UNIT, leg, work[CURSOR, leg]])
        cost += unit
        if legs[leg]["direction"] == _BUY:
            locked += unit
    capital = muldiv_floor(locked, job["capital_cost_ppm"], PPM)
    return int(job["payoff_micros"]) * NANO_PER_MICRO - cost - capital


@kernel
def advance(job: np.void, levels: Ints, count: Ints, work: Ints) -> int:
    """Move every leg off its exhausted levels; sets until the next is exhausted, 0 where a side has ended."""
    step = INT64_MAX
    for leg in range(job["first"], job["first"] + job["n_legs"]):
        while work[CURSOR, leg] < count[leg] and work[TAKEN, leg] >= levels[SIZE, leg, work[CURSOR, leg]]:
            work[TAKEN, leg] = 0
            work[CURSOR, leg] += 1
        if work[CURSOR, leg] >= count[leg]:
            return 0
        step = min(step, int(levels[SIZE, leg, work[CURSOR, leg]] - work[TAKEN, leg]))
    return step


@kernel
def value_ceil(slope: int, size_e6: int) -> int:
    """Micro-dollars of ``size_e6`` sets at ``slope`` nano-dollars each, rounded up."""
    if slope >= 0:
        return muldiv_ceil(slope, size_e6, VALUE_DIVISOR)
    return -muldiv_floor(-slope, size_e6, VALUE_DIVISOR)


@kernel
def lot_e6(job: np.void, legs: Rows, markets: Rows, levels: Ints, work: Ints) -> int:
    """Step of sizes that every leg's order may have with its limit at its cursor; 0 when there is none."""
    lot = int(np.int64(1))
    for leg in range(job["first"], job["first"] + job["n_legs"]):
        record = legs[leg]
        limit = int(levels[PRICE, leg, work[CURSOR, leg]])
        lot = common_multiple(
            lot, order_lot_e6(markets[record["slot"]], int(np.int64(record["direction"])), limit)
        )
    return lot


@kernel
def merge_levels(
    job: np.void, legs: Rows, markets: Rows, levels: Ints, count: Ints, work: Ints, segments: Ints
) -> tuple[int, int]:
    """Segments of one opportunity: (how many, peak in e6 sets).

    Goes past the peak only to the next whole lot, which may still earn more than the one before the peak.
    """
    reach = 0
    end = 0
    peak = -1
    value = 0
    n_segments = 0
    for leg in range(job["first"], job["first"] + job["n_legs"]):
        work[CURSOR, leg] = 0
        work[TAKEN, leg] = 0
    step = advance(job, levels, count, work)
    while step > 0 and n_segments < SEGMENTS_MAX:
        slope = slope_nano(job, legs, levels, work)
        lot = lot_e6(job, legs, markets, levels, work)
        if slope <= 0 and peak < 0:
            peak = end
            reach = end + max(lot, 1) - 1
        if slope <= 0 and end >= reach:
            break
        end += step
        value += value_ceil(slope, step)
        segments[n_segments, END] = end
        segments[n_segments, SLOPE] = slope
        segments[n_segments, VALUE] = value
        segments[n_segments, LOT] = lot
        n_segments += 1
        for leg in range(job["first"], job["first"] + job["n_legs"]):
            work[TAKEN, leg] += step
        step = advance(job, levels, count, work)
    return n_segments, end if peak < 0 else peak


@kernel
def upper_bound(segments: Ints, index: int, size_e6: int) -> int:
    """Upper bound of the profit of ``size_e6`` sets, which lie on segment ``index``; micro-dollars."""
    before = int(segments[index - 1, END]) if index > 0 else 0
    value = int(segments[index - 1, VALUE]) if index > 0 else 0
    return value + value_ceil(int(segments[index, SLOPE]), size_e6 - before)


@kernel
def leg_cost(
    market: np.void, direction: int, leg: int, size_e6: int, levels: Ints, count: Ints
) -> tuple[int, int, int, int]:
    """Exact walk of one leg: (cash, fee, worst level or -1, size not found) of ``size_e6`` contracts.

    Cash without fee, in micro-dollars: paid rounds up, received rounds down, level by level.
    """
    cash = 0
    fee = 0
    worst = -1
    left = size_e6
    for level in range(count[leg]):
        part = min(left, int(levels[SIZE, leg, level]))
        if part <= 0:
            continue
        own = int(levels[PRICE, leg, level])
        if direction == _BUY:
            cash += muldiv_ceil(part, own, PRICE_ONE_E4)
        else:
            cash += muldiv_floor(part, own, PRICE_ONE_E4)
        fee += estimate_taker_fee_micros(market, own, part)
        worst = level
        left -= part
    return cash, fee, worst, left


@kernel
def profit_micros(job: np.void, size_e6: int, legs: Rows, markets: Rows, levels: Ints, count: Ints) -> int:
    """Exact profit of ``size_e6`` sets: payoff and proceeds rounded down, costs, fees and capital rounded up.

    Assumes that every leg has the depth. Micro-dollars; may be negative.
    """
    locked = 0
    proceeds = 0
    for leg in range(job["first"], job["first"] + job["n_legs"]):
        direction = int(np.int64(legs[leg]["direction"]))
        cash, fee, _, _ = leg_cost(markets[legs[leg]["slot"]], direction, leg, size_e6, levels, count)
        if direction == _BUY:
            locked += cash + fee
        else:
            proceeds += cash - fee
    return (
        payoff_floor(job["payoff_micros"], size_e6)
        + proceeds
        - locked
        - muldiv_ceil(locked, job["capital_cost_ppm"], PPM)
    )


@kernel
def payoff_floor(payoff_micros: int, size_e6: int) -> int:
    """Payoff of ``size_e6`` sets, rounded down; a negative one is what giving the sets up costs."""
    if payoff_micros >= 0:
        return muldiv_floor(payoff_micros, size_e6, SIZE_ONE_E6)
    return -muldiv_ceil(-payoff_micros, size_e6, SIZE_ONE_E6)


@kernel
def whole_lots_e6(job: np.void, size_e6: int, legs: Rows, markets: Rows, levels: Ints, count: Ints) -> int:
    """Largest size up to ``size_e6`` that all orders may have, each with the limit that size needs."""
    for _ in range(SEGMENTS_MAX):
        lot = int(np.int64(1))
        edge = 0  # down to here every leg stands on the same level, so the lot is the same
        for leg in range(job["first"], job["first"] + job["n_legs"]):
            record = legs[leg]
            level, before = _level_of(leg, size_e6, levels, count)
            edge = max(edge, before)
            limit = int(levels[PRICE, leg, level])
            lot = common_multiple(
                lot, order_lot_e6(markets[record["slot"]], int(np.int64(record["direction"])), limit)
            )
        whole = size_e6 - size_e6 % lot if lot > 0 else 0
        if whole > edge or edge == 0:
            return whole
        size_e6 = edge
    return 0


@kernel
def _level_of(leg: int, size_e6: int, levels: Ints, count: Ints) -> tuple[int, int]:
    """Level that the last contract of ``size_e6`` takes, and the depth before it.

    The last level when there are not so many.
    """
    depth = 0
    for level in range(count[leg]):
        offered = int(levels[SIZE, leg, level])
        if depth + offered >= size_e6 or level == count[leg] - 1:
            return level, depth
        depth += offered
    return 0, 0


@kernel
def smallest_size_e6(job: np.void, legs: Rows, markets: Rows, levels: Ints) -> int:
    """Fewest sets that meet every leg's minimum size and, for purchases, minimum notional; not in whole lots.

    The notional is taken at the best price, so an order that walks deeper meets the minimum all the more.
    """
    smallest = 1
    for leg in range(job["first"], job["first"] + job["n_legs"]):
        market = markets[legs[leg]["slot"]]
        smallest = max(smallest, int(market["min_size_e6"]))
        best = int(levels[PRICE, leg, 0])
        if legs[leg]["direction"] == _BUY and best > 0:
            smallest = max(smallest, muldiv_ceil(int(market["min_notional_micros"]), PRICE_ONE_E4, best))
    return smallest


@kernel
def _first_trial(job: np.void, segments: Ints, index: int, peak: int) -> tuple[int, int]:
    """First size to try on a segment and the least one, both whole lots; (0, 1) when none fits."""
    lot = int(segments[index, LOT])
    if lot <= 0:
        return 0, 1
    before = int(segments[index - 1, END]) if index > 0 else 0
    least = -(-max(before + 1, int(job["smallest_e6"])) // lot) * lot
    most = min(int(segments[index, END]), int(job["cap_e6"])) // lot * lot
    if segments[index, SLOPE] <= 0:
        most = min(most, -(-peak // lot) * lot)  # past the peak more is only worse
    return most, least


@kernel
def best_size(
    job: np.void, legs: Rows, markets: Rows, levels: Ints, count: Ints, work: Ints, segments: Ints
) -> tuple[int, int, int, int]:
    """Best lot of one opportunity: (size_e6, profit, upper bound of any size's profit, peak_e6).

    Size 0: no size the venues accept earns anything. ``work`` is [2, legs], ``segments`` [SEGMENTS_MAX, 4].
    """
    n_segments, peak = merge_levels(job, legs, markets, levels, count, work, segments)
    size = 0
    best = 0
    bound = 0
    tried = 0
    tries = min(SIZES_TRIED_MAX, LEGS_PRICED_MAX // max(int(job["n_legs"]), 1))
    for index in range(n_segments - 1, -1, -1):
        trial, least = _first_trial(job, segments, index, peak)
        while trial >= least and tried < tries:
            upper = upper_bound(segments, index, trial)
            bound = max(bound, upper)
            if upper <= best:
                if trial <= peak:
                    return size, best, bound, peak  # the bound only falls from here on
                break
            tried += 1
            profit = profit_micros(job, trial, legs, markets, levels, count)
            if profit > best:
                size, best = trial, profit
            trial -= int(segments[index, LOT])
    return size, best, bound, peak
