"""Scarce cash and shared books dealt out to a batch of opportunities, in one compiled call.

First go those that could not have their smallest order if they were alone. Then prices are found
(``engine.optimizer.dual``), and the live books are filled in several orders, with the prices and without, so
that the result is never worse than serving whole opportunities one after the other. Sizes become whole lots,
and what roundings set free goes to whoever can make a lot of it. Who ends below its smallest order stands in
the way of others: the least of these is taken out and all is done again. At the end size is moved between
pairs, where that is still worth something. Each part is bounded, by the number of jobs or by
``engine.optimizer.exchange.LEGS_TRIED_MAX``; what has not been tried is in the gap between profit and bound.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from engine.jit import kernel
from engine.optimizer.dual import Prices, search_prices
from engine.optimizer.exchange import exchange
from engine.optimizer.fill import (
    CAP_E6,
    DRAWS,
    IS_CLOSED,
    JOBS_MAX,
    NO_ACCOUNT,
    SIZE_E6,
    STATES,
    VENUE_BUDGETS,
    Batch,
    Filling,
    fill_batch,
    fill_job,
    mark_ties,
    restart,
    worth_of,
)
from engine.optimizer.levels import NANO_PER_MICRO, UNIT, Ints, Rows
from engine.optimizer.sizing import VALUE_DIVISOR, whole_lots_e6
from engine.reasons import Reason
from engine.records import TOP_LEVELS
from engine.units import CASH_MAX_MICROS, INT64_MAX, PPM, muldiv_ceil

ENOUGH_PPM: Final = 50  # of the bound: with no more than this missing, the search stops
ORDERS_ALL_MAX: Final = 4  # so few jobs are tried in every order
DROPS_MAX: Final = 16  # jobs taken out one by one; beyond, all that are too small at once
DROP_LEGS_MAX: Final = 4_000  # legs filled until then: likewise
ALL_FIT: Final = -1  # answered in place of a bound

RANKS: Final = 3  # rows of ``rank``: by what cash earns, by profit a set, by profit
_NONE: Final = int(Reason.NONE)
_CROWDED_OUT: Final = int(Reason.CROWDED_OUT)
_CASH_EXHAUSTED: Final = int(Reason.CASH_EXHAUSTED)
_EXPOSURE_EXHAUSTED: Final = int(Reason.EXPOSURE_EXHAUSTED)


class Deal(NamedTuple):
    """What is dealt out, and scratch."""

    want_e6: Ints  # [job] best size alone; 0 takes no part
    peak_e6: Ints  # [job] where the next set would lose; a wish beyond it completes a lot
    bound_micros: Ints  # [job] of its profit alone
    size_e6: Ints  # [job] dealt, in whole lots
    reason: Ints  # [job] why it got nothing
    rank: Ints  # [RANKS, job]: orders to fill in
    order: Ints  # [job] of the best fill of this round
    filled_e6: Ints  # [job] its sizes
    lots_e6: Ints  # [job] the same in whole lots
    chosen: Ints  # [job] 1: takes part in an exchange
    left: Ints  # [1] legs that exchanges may still look at: LEGS_TRIED_MAX before a batch


def new_deal() -> Deal:
    """Arrays for a batch of up to JOBS_MAX jobs."""
    arrays = {name: np.zeros(JOBS_MAX, np.int64) for name in Deal._fields}
    return Deal(**arrays | {"rank": np.zeros((RANKS, JOBS_MAX), np.int64)})


@kernel
def _close_accounts(n_jobs: int, batch: Batch, fill: Filling, deal: Deal) -> None:
    """Forget budgets that suffice whatever is dealt: most do, and counting them is most of a fill's work."""
    for source in range(fill.n_budgets[0]):
        fill.budget[source] = 0
    for index in range(n_jobs):
        first = int(batch.jobs[index]["first"])
        for leg in range(first, first + int(batch.jobs[index]["n_legs"])):
            dearest = 0
            for level in range(batch.depth[leg]):
                dearest = max(dearest, int(batch.levels[UNIT, leg, level]))
            for draw in range(DRAWS):
                if batch.account[leg, draw] != NO_ACCOUNT:
                    most = muldiv_ceil(dearest, int(deal.want_e6[index]), VALUE_DIVISOR) + 1
                    fill.budget[batch.draws[leg, draw]] += most
    for index in range(n_jobs):
        first = int(batch.jobs[index]["first"])
        for leg in range(first, first + int(batch.jobs[index]["n_legs"])):
            for draw in range(DRAWS):
                source = batch.draws[leg, draw]
                if fill.budget[source] <= fill.opening[source]:
                    batch.account[leg, draw] = NO_ACCOUNT


@kernel
def _copy_job(index: int, batch: Batch, source: Filling, target: Filling) -> None:
    """Make what one job has taken, and what there is for it, the same in ``target`` as in ``source``."""
    first = int(batch.jobs[index]["first"])
    for leg in range(first, first + int(batch.jobs[index]["n_legs"])):
        target.cursor[leg] = source.cursor[leg]
        side = batch.supply[leg]
        for level in range(TOP_LEVELS):
            target.used[side, level] = source.used[side, level]
        for draw in range(DRAWS):
            target.held[leg * DRAWS + draw] = source.held[leg * DRAWS + draw]
            target.budget[batch.draws[leg, draw]] = source.budget[batch.draws[leg, draw]]
    for row in range(STATES):
        target.state[row, index] = source.state[row, index]


@kernel
def _alone(index: int, batch: Batch, fill: Filling, kept: Filling) -> int:
    """Most sets that a fill gives one job when nobody has taken anything; leaves all as it was."""
    _copy_job(index, batch, fill, kept)
    fill_job(index, int(np.int64(0)), batch, fill)
    size = int(fill.state[SIZE_E6, index])
    _copy_job(index, batch, kept, fill)
    return size


@kernel
def _drop_hopeless(n_jobs: int, n_legs: int, batch: Batch, fill: Filling, kept: Filling, deal: Deal) -> None:
    """Take out who cannot have its smallest order though it were alone: for want of cash, or of exposure."""
    restart(n_jobs, n_legs, fill)
    for index in range(n_jobs):
        smallest = batch.jobs[index]["smallest_e6"]
        if deal.want_e6[index] > 0 and _alone(index, batch, fill, kept) < smallest:
            deal.reason[index] = _CASH_EXHAUSTED
    for venue in range(VENUE_BUDGETS):
        fill.budget[venue] = CASH_MAX_MICROS
    for index in range(n_jobs):
        if deal.reason[index] == _CASH_EXHAUSTED:
            if _alone(index, batch, fill, kept) < batch.jobs[index]["smallest_e6"]:
                deal.reason[index] = _EXPOSURE_EXHAUSTED
            batch.jobs[index]["cap_e6"] = 0


@kernel
def _rank(n_jobs: int, batch: Batch, deal: Deal) -> None:
    """Orders worth a fill: by what cash earns, by profit a set, by profit."""
    for row in range(RANKS):
        for place in range(n_jobs):
            deal.rank[row, place] = place
    for place in range(n_jobs):
        job = batch.jobs[place]
        cash = 0
        for leg in range(job["first"], job["first"] + job["n_legs"]):
            cash += max(int(batch.levels[UNIT, leg, 0]), 0)
        deal.lots_e6[place] = max(cash // NANO_PER_MICRO, 1)
        deal.filled_e6[place] = int(job["payoff_micros"]) - cash // NANO_PER_MICRO
    _sort(n_jobs, deal.rank[0], deal.filled_e6, deal.lots_e6)
    for place in range(n_jobs):
        deal.lots_e6[place] = 1
    _sort(n_jobs, deal.rank[1], deal.filled_e6, deal.lots_e6)
    _sort(n_jobs, deal.rank[2], deal.bound_micros, deal.lots_e6)


@kernel
def _sort(n_jobs: int, order: Ints, over: Ints, under: Ints) -> None:
    """Put jobs with the greatest ``over / under`` first; ties stay as they are."""
    for place in range(1, n_jobs):
        index = order[place]
        before = place - 1
        while before >= 0 and over[index] * under[order[before]] > over[order[before]] * under[index]:
            order[before + 1] = order[before]
            before -= 1
        order[before + 1] = index


@kernel
def _permute(n: int, order: Ints) -> bool:
    """Next order of the first ``n`` in the order of words; False after the last."""
    at = n - 2
    while at >= 0 and order[at] > order[at + 1]:
        at -= 1
    if at < 0:
        return False
    other = n - 1
    while order[other] < order[at]:
        other -= 1
    order[at], order[other] = order[other], order[at]
    low, high = at + 1, n - 1
    while low < high:
        order[low], order[high] = order[high], order[low]
        low += 1
        high -= 1
    return True


@kernel
def _try(n_jobs: int, n_legs: int, best: int, batch: Batch, fill: Filling, deal: Deal) -> int:
    """One fill; its sizes are kept when it is worth more than ``best``. The better worth."""
    worth = fill_batch(n_jobs, n_legs, batch, fill)
    if worth > best:
        for index in range(n_jobs):
            deal.filled_e6[index] = fill.state[SIZE_E6, index]
            deal.order[index] = fill.order[index]
    return max(worth, best)


@kernel
def _best_fill(
    rows: int,
    n_jobs: int,
    n_legs: int,
    n_supplies: int,
    batch: Batch,
    fill: Filling,
    prices: Prices,
    deal: Deal,
) -> int:
    """Sizes of the best fill in any of the first ``rows`` orders, which becomes the first; its worth."""
    best = int(np.int64(-1))
    _set_prices(n_supplies, int(np.int64(1)), fill, prices)
    if n_jobs <= ORDERS_ALL_MAX:
        for place in range(n_jobs):
            fill.order[place] = place
        best = _try(n_jobs, n_legs, best, batch, fill, deal)
        while _permute(n_jobs, fill.order):
            best = _try(n_jobs, n_legs, best, batch, fill, deal)
        return best
    for priced in range(1, -1, -1):
        _set_prices(n_supplies, priced, fill, prices)
        for row in range(rows):
            for place in range(n_jobs):
                fill.order[place] = deal.rank[row, place]
            best = _try(n_jobs, n_legs, best, batch, fill, deal)
    for place in range(n_jobs):
        deal.rank[0, place] = deal.order[place]
    return best


@kernel
def _set_prices(n_supplies: int, is_priced: int, fill: Filling, prices: Prices) -> None:
    """Fill at the prices that were found, or (``is_priced`` 0) at none."""
    for venue in range(VENUE_BUDGETS):
        fill.price_ppm[venue] = prices.price_ppm[venue] * is_priced
    for source in range(n_supplies):
        fill.floor_nano[source] = prices.floor_nano[source] * is_priced


@kernel
def _lots(index: int, size_e6: int, batch: Batch, markets: Rows) -> int:
    return whole_lots_e6(batch.jobs[index], size_e6, batch.legs, markets, batch.levels, batch.depth)


@kernel
def _in_lots(
    n_jobs: int, n_legs: int, batch: Batch, markets: Rows, fill: Filling, kept: Filling, deal: Deal
) -> int:
    """Whole lots, and what roundings set free to whoever can make a lot of it, in order; their worth."""
    restart(n_jobs, n_legs, fill)
    for index in range(n_jobs):
        deal.lots_e6[index] = 0
        if deal.filled_e6[index] > 0:
            deal.lots_e6[index] = _lots(index, int(deal.filled_e6[index]), batch, markets)
            fill.state[CAP_E6, index] = deal.lots_e6[index]
            fill_job(index, int(np.int64(0)), batch, fill)
            # in this order, which is that of the plans, the levels or the cash may not be there
            if fill.state[SIZE_E6, index] < deal.lots_e6[index]:
                deal.lots_e6[index] = _lots(index, int(fill.state[SIZE_E6, index]), batch, markets)
    for index in range(n_jobs):
        if batch.jobs[index]["cap_e6"] <= deal.lots_e6[index]:
            continue
        _copy_job(index, batch, fill, kept)
        fill.state[CAP_E6, index] = INT64_MAX
        fill_job(index, int(np.int64(0)), batch, fill)
        size = int(fill.state[SIZE_E6, index])
        whole = _lots(index, size, batch, markets) if size > deal.lots_e6[index] else 0
        if whole < size:
            _copy_job(index, batch, kept, fill)
            deal.lots_e6[index] = max(int(deal.lots_e6[index]), whole)
            fill.state[CAP_E6, index] = deal.lots_e6[index]
            fill.state[IS_CLOSED, index] = 0
            fill_job(index, int(np.int64(0)), batch, fill)
        else:
            deal.lots_e6[index] = whole
    return worth_of(n_jobs, fill)


@kernel
def _drop_small(n_jobs: int, at_once: bool, batch: Batch, deal: Deal) -> int:
    """Take out the least of those that take something but no smallest order; how many there are."""
    small = 0
    least = -1
    for index in range(n_jobs):
        takes = deal.filled_e6[index] > 0 or deal.lots_e6[index] > 0
        if takes and deal.lots_e6[index] < batch.jobs[index]["smallest_e6"]:
            small += 1
            if at_once:
                batch.jobs[index]["cap_e6"] = 0
            if least < 0 or deal.bound_micros[index] < deal.bound_micros[least]:
                least = index
    if least >= 0:
        batch.jobs[least]["cap_e6"] = 0
    return small


@kernel
def _exchange(
    n_jobs: int,
    n_legs: int,
    worth: int,
    enough: int,
    batch: Batch,
    fill: Filling,
    kept: Filling,
    deal: Deal,
) -> int:
    """Move size between the jobs that prices do not decide, then between all; the new worth."""
    if mark_ties(n_jobs, n_legs, batch, fill, deal.chosen) > 1:
        worth = exchange(
            n_jobs, n_legs, worth, enough, deal.chosen, deal.filled_e6, deal.left, batch, fill, kept
        )
    for index in range(n_jobs):
        deal.chosen[index] = 1 if batch.jobs[index]["cap_e6"] > 0 else 0
    return exchange(n_jobs, n_legs, worth, enough, deal.chosen, deal.filled_e6, deal.left, batch, fill, kept)


@kernel
def _fits(
    n_jobs: int, n_legs: int, n_supplies: int, batch: Batch, fill: Filling, prices: Prices, deal: Deal
) -> bool:
    """Whether all can have their best size: no book side shared, no budget passed."""
    for source in range(n_supplies):
        prices.sharers[source] = 0
    for index in range(n_jobs):
        job = batch.jobs[index]
        for leg in range(job["first"], job["first"] + job["n_legs"]):
            if deal.want_e6[index] > 0:
                prices.sharers[batch.supply[leg]] += 1
    for source in range(n_supplies):
        if prices.sharers[source] > 1:
            return False
    restart(n_jobs, n_legs, fill)
    for index in range(n_jobs):
        fill_job(index, int(np.int64(0)), batch, fill)
        if fill.state[SIZE_E6, index] != min(deal.want_e6[index], deal.peak_e6[index]):
            return False
    return True


@kernel
def share(
    n_jobs: int,
    n_legs: int,
    n_supplies: int,
    batch: Batch,
    markets: Rows,
    fill: Filling,
    kept: Filling,
    prices: Prices,
    deal: Deal,
) -> int:
    """Deal out: ``size_e6`` and ``reason`` of every job; a bound of all profits, or ALL_FIT.

    Needs ``want_e6``, ``peak_e6``, ``bound_micros`` and ``left``. No job gets more than it wants.
    """
    _close_accounts(n_jobs, batch, fill, deal)
    for index in range(n_jobs):
        batch.jobs[index]["cap_e6"] = deal.want_e6[index]
        deal.size_e6[index] = deal.want_e6[index]
        deal.reason[index] = _NONE
    if _fits(n_jobs, n_legs, n_supplies, batch, fill, prices, deal):
        return ALL_FIT
    for index in range(n_jobs):
        deal.size_e6[index] = 0
    _drop_hopeless(n_jobs, n_legs, batch, fill, kept, deal)
    bound = search_prices(n_jobs, n_legs, n_supplies, batch, prices)
    _rank(n_jobs, batch, deal)
    _rounds(n_jobs, n_legs, n_supplies, bound, batch, markets, fill, kept, prices, deal)
    for index in range(n_jobs):
        if deal.want_e6[index] > 0 and deal.size_e6[index] == 0 and deal.reason[index] == _NONE:
            deal.reason[index] = _CROWDED_OUT
    return bound


@kernel
def _rounds(
    n_jobs: int,
    n_legs: int,
    n_supplies: int,
    bound: int,
    batch: Batch,
    markets: Rows,
    fill: Filling,
    kept: Filling,
    prices: Prices,
    deal: Deal,
) -> None:
    """Fill, round to lots and take out who is too small until nobody is, then exchange; the best is dealt."""
    enough = bound - bound * ENOUGH_PPM // PPM
    best = int(np.int64(-1))
    is_exchanged = False
    rows = int(np.int64(RANKS))
    for round_ in range(n_jobs + 3):  # each takes out one at least
        worth = _best_fill(rows, n_jobs, n_legs, n_supplies, batch, fill, prices, deal)
        earned = _in_lots(n_jobs, n_legs, batch, markets, fill, kept, deal)
        rows = 1  # who is taken out rarely makes another order the best
        at_once = round_ >= DROPS_MAX or round_ * n_legs >= DROP_LEGS_MAX
        if _drop_small(n_jobs, at_once, batch, deal) > 0:
            continue
        best = _deal_best(n_jobs, best, earned, deal)
        if is_exchanged or worth >= enough or deal.left[0] <= 0:
            break
        is_exchanged = True
        _set_prices(n_supplies, int(np.int64(1)), fill, prices)
        for place in range(n_jobs):
            fill.order[place] = deal.order[place]
        _exchange(n_jobs, n_legs, worth, enough, batch, fill, kept, deal)
        earned = _in_lots(n_jobs, n_legs, batch, markets, fill, kept, deal)
        if _drop_small(n_jobs, at_once, batch, deal) == 0:
            _deal_best(n_jobs, best, earned, deal)
            break


@kernel
def _deal_best(n_jobs: int, best: int, earned: int, deal: Deal) -> int:
    """Deal the lots of this round if they earn more than ``best``; what is dealt now earns."""
    if earned > best:
        for index in range(n_jobs):
            deal.size_e6[index] = deal.lots_e6[index]
    return max(best, earned)
