"""Signals that compete with nobody: from their records to plans in one compiled call.

Most signals arrive alone, or with others that want other books, and there is cash enough for all. Nothing
has to be dealt out then: each gets the size that is best for it alone, priced, held and proven. That is what
``plan_alone`` does, by the kernels of the long way (``engine.optimizer.allocator``) and in its order, so that
the plans are the same. Whatever is not as plain as that (an objection, a shared market, budgets that might
not suffice, a plan that is too dear or not proven at once) it leaves to the long way, all of it: then nothing
is held and no plan is made.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from engine.catalog.groups import NO_GROUP
from engine.execution.terms import VENUES, side_taken
from engine.jit import kernel
from engine.optimizer.admission import objection_code
from engine.optimizer.adversary import FROM_CONVERSION, worst_loss_micros
from engine.optimizer.batch import most_bought_e6, rounding_micros
from engine.optimizer.booking import (
    AT_LIMIT,
    EVENT_EXPOSURE,
    MARKET_EXPOSURE,
    NOTIONAL,
    ORDER_SIZE,
    POSITION,
    SLOTS,
    WORST_LOSS,
    hold_plan,
    take_plan,
)
from engine.optimizer.fill import JOBS_MAX
from engine.optimizer.holds import (
    BALANCE,
    COST,
    FOR_SALE,
    HELD,
    HELD_HERE,
    N_ORDERS,
    OWNED,
    Held,
    event_exposure_micros,
    release_hold,
)
from engine.optimizer.levels import SIZE, UNIT, Ints, Rows, gather
from engine.optimizer.pricing import CASH, FEE, LIMIT, WORST, price_legs
from engine.optimizer.proof import Stand, is_proven
from engine.optimizer.shadow import Takes, hide_leg, release_takes
from engine.optimizer.sizing import VALUE_DIVISOR, best_size, smallest_size_e6, whole_lots_e6
from engine.reasons import Reason
from engine.records import LEGS_MAX, TOP_LEVELS, Direction, Side, TimeInForce, Venue
from engine.units import muldiv_ceil

NOT_ALONE: Final = 0  # answered in place of a number of plans: the long way decides
APART_LEGS_MAX: Final = 64  # of several signals: more are not looked through for a market they share

# A leg that misses must miss whole: what is left of a partial fill has to be unwound. Sales after a
# conversion take what there is, because what stays unsold can still be held.
TIF_OF_VENUE: Final = {int(Venue.POLYMARKET): TimeInForce.FOK, int(Venue.KALSHI): TimeInForce.FOK}
TIF_AFTER_CONVERSION: Final = TimeInForce.FAK

_TIFS: Final = tuple(int(TIF_OF_VENUE.get(venue, TIF_AFTER_CONVERSION)) for venue in range(VENUES))
_TIF_CONVERTED: Final = int(TIF_AFTER_CONVERSION)
_NONE: Final = int(Reason.NONE)
_BUY: Final = int(Direction.BUY)
_ASK: Final = int(Side.ASK)
SIZE_ALONE, BOUND_ALONE = 0, 2  # columns of ``Sheet.best``


class Sheet(NamedTuple):
    """What a batch is worked out on: the tables it is about, and scratch for others to use between calls."""

    books: Rows  # BOOK_ROW by slot
    markets: Rows  # MARKET_ROW by slot
    limits: Ints  # engine.optimizer.booking.LIMITS
    jobs: Rows  # [JOBS_MAX] OPPORTUNITY
    levels: Ints
    depth: Ints
    work: Ints
    segments: Ints
    best: Ints  # [job, 4] what best_size answers
    most: Ints  # [leg] micro-dollars that a purchase binds at the most
    priced: Ints
    back_levels: Ints
    back_depth: Ints
    ours_e6: Ints  # of the proof
    free_micros: Ints
    walked: Ints


class Plans(NamedTuple):
    """What is made."""

    heads: Rows  # PLAN_HEAD
    legs: Rows  # PLAN_LEG, one plan's after the other's
    next_id: Ints  # [1]


@kernel
def _lay_jobs(n_signals: int, now_ns: int, heads: Rows, legs: Rows, sheet: Sheet) -> int:
    """Jobs of the signals, to none of which there is an objection: their legs; -1 where there is one."""
    first = 0
    for index in range(n_signals):
        head = heads[index]
        n_legs = int(np.int64(head["n_legs"]))
        if not 0 < n_legs <= LEGS_MAX or first + n_legs > len(legs):
            return -1
        own = legs[first : first + n_legs]
        if objection_code(int(head["deadline_ns"]), own, sheet.books, sheet.markets, now_ns) != _NONE:
            return -1
        job = sheet.jobs[index]
        job["first"], job["n_legs"] = first, n_legs
        job["payoff_micros"], job["capital_cost_ppm"] = head["payoff_micros"], head["capital_cost_ppm"]
        first += n_legs
    return first


@kernel
def _is_apart(n_legs: int, legs: Rows) -> bool:
    """Whether no two legs are in one market."""
    if n_legs > APART_LEGS_MAX:
        return False
    for number in range(n_legs):
        for other in range(number):
            if legs[number]["slot"] == legs[other]["slot"]:
                return False
    return True


@kernel
def _cap_e6(number: int, leg: np.void, sheet: Sheet, held: Held) -> int:
    """Most that an order for a leg may be."""
    cap = int(sheet.limits[ORDER_SIZE])
    own, outcome = held.market[leg["slot"]], int(leg["outcome"])
    if leg["direction"] == _BUY:
        bought = most_bought_e6(number, int(sheet.limits[NOTIONAL]), sheet.levels, sheet.depth)
        return min(cap, bought, int(sheet.limits[POSITION] - own[OWNED + outcome]))
    return cap if leg["convert"] != 0 else min(cap, int(own[OWNED + outcome] - own[FOR_SALE + outcome]))


@kernel
def _size(index: int, legs: Rows, sheet: Sheet, held: Held, takes: Takes) -> bool:
    """Find the best size of a job, and what its purchases bind at the most; False where there is none."""
    job, levels, depth = sheet.jobs[index], sheet.levels, sheet.depth
    first, end = int(job["first"]), int(job["first"] + job["n_legs"])
    gather(legs, first, int(job["n_legs"]), sheet.books, sheet.markets, levels, depth)
    job["smallest_e6"] = smallest_size_e6(job, legs, sheet.markets, levels)
    for number in range(first, end):
        leg = legs[number]
        hide_leg(leg, sheet.books[leg["slot"]], number, levels, int(depth[number]), takes)
        cap = max(_cap_e6(number, leg, sheet, held), 0)
        job["cap_e6"] = cap if number == first else min(cap, int(job["cap_e6"]))
    size, profit, bound, peak = best_size(job, legs, sheet.markets, levels, depth, sheet.work, sheet.segments)
    best = sheet.best[index]
    best[0], best[1], best[2], best[3] = size, profit, bound, peak
    for number in range(first, end):
        dearest = 0
        for level in range(depth[number]):
            dearest = max(dearest, int(levels[UNIT, number, level]))
        reserve = 1 + rounding_micros(sheet.markets[legs[number]["slot"]])
        sheet.most[number] = muldiv_ceil(dearest, size, VALUE_DIVISOR) + reserve
    return size > 0


@kernel
def _is_enough(n_legs: int, legs: Rows, sheet: Sheet, held: Held) -> bool:
    """Whether cash and exposure suffice for all purchases at the dearest levels they see."""
    limits, free = sheet.limits, sheet.free_micros
    for venue in range(VENUES):
        free[venue] = held.venue[venue, BALANCE] - held.venue[venue, HELD]
    for number in range(n_legs):
        leg = legs[number]
        if leg["direction"] != _BUY:
            continue
        market, own, most = sheet.markets[leg["slot"]], held.market[leg["slot"]], int(sheet.most[number])
        venue, group = int(market["venue"]), int(np.int64(market["group"]))
        free[venue] -= most
        if free[venue] < 0 or own[HELD_HERE] + own[COST] + most > limits[MARKET_EXPOSURE]:
            return False
        if group == NO_GROUP:
            continue
        in_event, is_first = 0, True
        for other in range(n_legs):
            if sheet.markets[legs[other]["slot"]]["group"] == group and legs[other]["direction"] == _BUY:
                in_event += int(sheet.most[other])
                is_first = is_first and other >= number
            if not is_first:
                break  # looked at there
        if is_first and event_exposure_micros(group, held) + in_event > limits[EVENT_EXPOSURE]:
            return False
    return True


@kernel
def _write(
    first: int,
    number: int,
    at: int,
    now_ns: int,
    signal: np.void,
    legs: Rows,
    size_e6: int,
    sheet: Sheet,
    plans: Plans,
) -> None:
    """Write plan ``number`` of the legs from ``first``, its own from ``at``; without profit and losses."""
    head, cash = plans.heads[number], 0
    for leg_number in range(int(signal["n_legs"])):
        leg, made, priced = legs[first + leg_number], plans.legs[at + leg_number], first + leg_number
        book = sheet.books[leg["slot"]]
        made["slot"], made["generation"], made["venue"] = leg["slot"], leg["generation"], leg["venue"]
        made["direction"], made["outcome"], made["convert"] = leg["direction"], leg["outcome"], leg["convert"]
        made["epoch"], made["update_count"] = book["epoch"], book["update_count"]
        made["size_e6"], made["limit_e4"] = size_e6, sheet.priced[priced, LIMIT]
        made["cash_micros"], made["fee_micros"] = sheet.priced[priced, CASH], sheet.priced[priced, FEE]
        made["tif"] = _TIF_CONVERTED if leg["convert"] == FROM_CONVERSION else _TIFS[leg["venue"]]
        cash += int(sheet.priced[priced, WORST])
    head["recv_ns"], head["book_ns"], head["signal_ns"] = (
        signal["recv_ns"],
        signal["book_ns"],
        signal["signal_ns"],
    )
    head["deadline_ns"], head["signal_id"], head["slot"] = (
        signal["deadline_ns"],
        signal["signal_id"],
        signal["slot"],
    )
    head["relation"], head["kind"], head["n_legs"] = signal["relation"], signal["kind"], signal["n_legs"]
    head["plan_ns"], head["plan_id"] = now_ns, plans.next_id[0]
    head["size_e6"], head["cash_micros"] = size_e6, cash


@kernel
def _note_ours(first: int, n_legs: int, legs: Rows, sheet: Sheet, takes: Takes) -> None:
    """Note for the proof what of the levels that the legs take is wanted by other plans."""
    for number in range(n_legs):
        leg = legs[first + number]
        book = sheet.books[leg["slot"]]
        side = side_taken(int(np.int64(leg["direction"])), int(np.int64(leg["outcome"])))
        depth = min(int(book["n_asks"] if side == _ASK else book["n_bids"]), TOP_LEVELS)
        for level in range(depth):
            shown = int(book["ask_size_e6"][level] if side == _ASK else book["bid_size_e6"][level])
            sheet.ours_e6[number, level] = shown
            sheet.back_levels[SIZE, number, level] = shown
        hide_leg(leg, book, number, sheet.back_levels, depth, takes)
        for level in range(depth):
            sheet.ours_e6[number, level] -= sheet.back_levels[SIZE, number, level]


@kernel
def plan_job(
    index: int,
    number: int,
    at: int,
    now_ns: int,
    signal: np.void,
    legs: Rows,
    sheet: Sheet,
    held: Held,
    takes: Takes,
    plans: Plans,
) -> bool:
    """Make and prove plan ``number``, its legs from ``at``, of a job at the size in ``sheet.best``.

    False, and nothing held, where that does not work out at once.
    """
    jobs, markets, levels, depth, limits = sheet.jobs, sheet.markets, sheet.levels, sheet.depth, sheet.limits
    plan_id, n_legs = int(plans.next_id[0]), int(np.int64(signal["n_legs"]))
    size = whole_lots_e6(jobs[index], int(sheet.best[index, SIZE_ALONE]), legs, markets, levels, depth)
    if size < jobs[index]["smallest_e6"]:
        return False
    profit = price_legs(jobs, index, size, legs, markets, levels, depth, int(limits[AT_LIMIT]), sheet.priced)
    if profit <= 0:
        return False
    for venue in range(VENUES):
        sheet.free_micros[venue] = held.venue[venue, BALANCE] - held.venue[venue, HELD]
    if hold_plan(plan_id, jobs, index, size, legs, markets, sheet.priced, limits, held) != _NONE:
        return False
    worst = worst_loss_micros(
        jobs,
        index,
        size,
        profit,
        legs,
        sheet.books,
        markets,
        sheet.priced,
        sheet.back_levels,
        sheet.back_depth,
    )
    first = int(jobs[index]["first"])
    _write(first, number, at, now_ns, signal, legs, size, sheet, plans)
    head, made = plans.heads[number], plans.legs[at : at + n_legs]
    head["profit_micros"], head["worst_loss_micros"] = profit, worst
    head["bound_micros"] = max(int(sheet.best[index, BOUND_ALONE]), profit)
    _note_ours(first, n_legs, legs, sheet, takes)
    stand = Stand(sheet.books, markets, sheet.ours_e6, sheet.free_micros, sheet.walked)
    capital, loss_max = int(signal["capital_cost_ppm"]), int(limits[WORST_LOSS])
    if worst > loss_max or not is_proven(plans.heads[number : number + 1], made, capital, loss_max, stand):
        release_hold(plan_id, held)
        return False
    take_plan(plan_id, jobs, index, size, legs, sheet.books, levels, depth, takes)
    plans.next_id[0] += 1
    return True


@kernel
def _certify(n_plans: int, sheet: Sheet, plans: Plans) -> None:
    """Lower each plan's bound to what the bound of the whole batch leaves for it."""
    gap = 0
    for number in range(n_plans):
        gap += int(sheet.best[number, BOUND_ALONE]) - int(plans.heads[number]["profit_micros"])
    gap = max(gap, 0)
    for number in range(n_plans):
        head = plans.heads[number]
        head["bound_micros"] = min(int(head["bound_micros"]), int(head["profit_micros"]) + gap)


@kernel
def plan_alone(
    n_signals: int,
    now_ns: int,
    heads: Rows,
    legs: Rows,
    sheet: Sheet,
    held: Held,
    takes: Takes,
    plans: Plans,
) -> int:
    """Make a plan of each of ``heads[:n_signals]``, whose legs lie one after the other: all, or NOT_ALONE."""
    if not 0 < n_signals <= JOBS_MAX:
        return NOT_ALONE
    n_legs = _lay_jobs(n_signals, now_ns, heads, legs, sheet)
    if n_legs < 0 or held.state[N_ORDERS] + n_legs > sheet.limits[SLOTS]:
        return NOT_ALONE
    if n_signals > 1 and not _is_apart(n_legs, legs):
        return NOT_ALONE
    for index in range(n_signals):
        if not _size(index, legs, sheet, held, takes):
            return NOT_ALONE
    if not _is_enough(n_legs, legs, sheet, held):
        return NOT_ALONE
    at, before = 0, int(plans.next_id[0])
    for index in range(n_signals):
        if not plan_job(index, index, at, now_ns, heads[index], legs, sheet, held, takes, plans):
            for plan_id in range(before, int(plans.next_id[0])):
                release_hold(plan_id, held)
                release_takes(plan_id, takes)
            plans.next_id[0] = before
            return NOT_ALONE
        at += int(heads[index]["n_legs"])
    _certify(n_signals, sheet, plans)
    return n_signals
