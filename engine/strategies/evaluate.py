"""One candidate against the books as they are: its edge, its best size, or what is in the way.

The checks run in the order written here and in ``filters``: what the books allow, what the prices leave, what
capital, inventory and depth permit. The first that fails is the answer. Edges are computed
whenever the books are to be believed and every leg has a price, whatever the reason: they are what the log is
read for.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from engine.execution.terms import own_price, side_taken
from engine.fees import FEE_UNKNOWN
from engine.jit import inlined
from engine.optimizer.levels import NANO_PER_MICRO, Ints, Rows, gather, level_arrays, unit_fee_nano
from engine.optimizer.sizing import (
    OPPORTUNITY,
    SEGMENT_COLUMNS,
    SEGMENTS_MAX,
    best_size,
    smallest_size_e6,
)
from engine.reasons import Reason
from engine.records import LEGS_MAX, SIGNAL_LEG, Direction, Side, SignalKind
from engine.strategies.arbitrage.partition import choose_sales, drop_without_bid
from engine.strategies.filters import State, distrust, emptiness, staleness
from engine.units import CASH_ONE_MICROS, MICROS_PER_PRICE, NS_PER_DAY, PPM, SIDE_SIZE_MAX_E6, muldiv_ceil

YEAR_NS: Final = 365 * NS_PER_DAY

_MIRROR: Final = int(Reason.MIRROR_BOOK)
_ONE_SIDED: Final = int(Reason.ONE_SIDED)
_NO_EDGE: Final = int(Reason.NO_EDGE)
_FEE_UNKNOWN: Final = int(Reason.FEE_SCHEDULE_UNKNOWN)
_FEES: Final = int(Reason.EDGE_EATEN_BY_FEES)
_MINIMUM: Final = int(Reason.EDGE_BELOW_MINIMUM)
_NOT_EXHAUSTIVE: Final = int(Reason.NOT_EXHAUSTIVE)
_LEGS: Final = int(Reason.TOO_MANY_LEGS)
_CLOSE: Final = int(Reason.CLOSE_TIME_UNKNOWN)
_CAPITAL: Final = int(Reason.CAPITAL_COST)
_INVENTORY: Final = int(Reason.NO_INVENTORY)
_DEPTH: Final = int(Reason.DEPTH_TOO_SMALL)
_SMALL: Final = int(Reason.BELOW_MINIMUM_SIZE)
_BUY: Final = int(Direction.BUY)
_ASK: Final = int(Side.ASK)
_BUY_NO: Final = int(SignalKind.PARTITION_BUY_NO)
_CONVERT: Final = int(SignalKind.NEG_RISK_CONVERT)

GROSS: Final = 0  # of ``Desk.numbers``: edge of one set at the best prices, micro-dollars
NET: Final = 1  # after fees
SIZE_E6: Final = 2  # best size
PROFIT: Final = 3  # of the best size, after fees and capital
LOCKED: Final = 4  # cash that one set binds, fees included, micro-dollars
CLOSE_NS: Final = 5
N_LEGS: Final = 6  # of ``Desk.legs``
NUMBERS: Final = 7


class Desk(NamedTuple):
    """Where one candidate is worked out; allocated once."""

    legs: Rows  # [LEGS_MAX + 1] SIGNAL_LEG, the last one scratch
    job: Rows  # [1] OPPORTUNITY
    numbers: Ints  # [NUMBERS]
    levels: Ints
    depth: Ints
    work: Ints
    segments: Ints
    held: Ints  # [slot, outcome] e6: inventory


def new_desk(slots: int) -> Desk:
    """Arrays for candidates of up to LEGS_MAX legs on ``slots`` markets."""
    levels, depth = level_arrays(LEGS_MAX)
    return Desk(
        legs=np.zeros(LEGS_MAX + 1, SIGNAL_LEG),
        job=np.zeros(1, OPPORTUNITY),
        numbers=np.zeros(NUMBERS, np.int64),
        levels=levels,
        depth=depth,
        work=np.zeros((2, LEGS_MAX), np.int64),
        segments=np.zeros((SEGMENTS_MAX, SEGMENT_COLUMNS), np.int64),
        held=np.zeros((slots, 2), np.int64),
    )


@inlined
def _lay(candidate: np.void, source: Rows, state: State, desk: Desk) -> int:
    """Put the candidate's legs on the desk, as they are in the table; how many."""
    n_legs = min(int(candidate["n_legs"]), LEGS_MAX)
    for leg in range(n_legs):
        given = source[candidate["first"] + leg]
        record = desk.legs[leg]
        record["slot"] = given["slot"]
        record["generation"] = given["generation"]
        record["venue"] = given["venue"]
        record["direction"] = given["direction"]
        record["outcome"] = given["outcome"]
        record["convert"] = 0
        book = state.books[given["slot"]]
        record["epoch"] = book["epoch"]
        record["update_count"] = book["update_count"]
    return n_legs


@inlined
def _choose(kind: int, payoff_micros: int, n_legs: int, state: State, desk: Desk) -> tuple[int, int]:
    """Legs and payoff where they depend on the books: (legs, payoff of one set); no legs: one-sided."""
    if kind != _BUY_NO and kind != _CONVERT:
        return n_legs, payoff_micros
    kept = drop_without_bid(desk.legs, n_legs, state.books)
    if kept < 2:
        return 0, 0
    bought = choose_sales(desk.legs, kept, state.books, desk.depth) if kind == _CONVERT else kept
    return kept, (bought - 1) * CASH_ONE_MICROS


@inlined
def _price(n_legs: int, payoff_micros: int, state: State, desk: Desk) -> int:
    """Edges of one set at the best prices into ``numbers``; FEE_UNKNOWN when a leg has no fee schedule."""
    gross = payoff_micros
    fees_nano = 0
    locked_nano = 0
    known = True
    for leg in range(n_legs):
        record = desk.legs[leg]
        book = state.books[record["slot"]]
        outcome = int(np.int64(record["outcome"]))
        asks = side_taken(int(np.int64(record["direction"])), outcome) == _ASK
        best = own_price(outcome, int(np.int64(book["ask_e4"][0] if asks else book["bid_e4"][0])))
        record["best_e4"] = best
        record["best_size_e6"] = book["ask_size_e6"][0] if asks else book["bid_size_e6"][0]
        fee = unit_fee_nano(state.markets[record["slot"]], best)
        known = known and fee != FEE_UNKNOWN
        fees_nano += fee
        if record["direction"] == _BUY:
            gross -= best * MICROS_PER_PRICE
            locked_nano += best * MICROS_PER_PRICE * NANO_PER_MICRO + fee
        else:
            gross += best * MICROS_PER_PRICE
    desk.numbers[GROSS] = gross
    desk.numbers[NET] = gross + -fees_nano // NANO_PER_MICRO if known else gross
    desk.numbers[LOCKED] = -(-locked_nano // NANO_PER_MICRO)
    return 0 if known else FEE_UNKNOWN


@inlined
def _capital_ppm(n_legs: int, state: State, desk: Desk, now_ns: int) -> int:
    """Cost of locking a dollar until the last leg closes, rounded up; -1 when a close is unknown."""
    latest = 0
    for leg in range(n_legs):
        close = int(state.markets[desk.legs[leg]["slot"]]["close_ns"])
        if close == 0:
            return -1
        latest = max(latest, close)
    desk.numbers[CLOSE_NS] = latest
    return muldiv_ceil(max(latest - now_ns, 0), int(state.terms[0]["capital_rate_ppm"]), YEAR_NS)


@inlined
def _inventory_e6(n_legs: int, desk: Desk) -> int:
    """Whole sets held of the legs that are sold from inventory."""
    sets = SIDE_SIZE_MAX_E6
    for leg in range(n_legs):
        record = desk.legs[leg]
        if record["direction"] != _BUY and record["convert"] == 0:
            sets = min(sets, int(desk.held[record["slot"], record["outcome"]]))
    return sets


@inlined
def _size(n_legs: int, payoff_micros: int, capital_ppm: int, state: State, desk: Desk) -> int:
    """Best size into ``numbers``; the reason when there is none."""
    least = int(state.terms[0]["min_size_e6"])
    job = desk.job[0]
    job["first"] = 0
    job["n_legs"] = n_legs
    job["payoff_micros"] = payoff_micros
    job["capital_cost_ppm"] = capital_ppm
    job["cap_e6"] = _inventory_e6(n_legs, desk)
    gather(desk.legs, 0, n_legs, state.books, state.markets, desk.levels, desk.depth)
    job["smallest_e6"] = smallest_size_e6(job, desk.legs, state.markets, desk.levels)
    if job["cap_e6"] < max(least, job["smallest_e6"]):
        return _INVENTORY
    size, profit, _, peak = best_size(
        job, desk.legs, state.markets, desk.levels, desk.depth, desk.work, desk.segments
    )
    desk.numbers[SIZE_E6] = size
    desk.numbers[PROFIT] = profit
    if max(size, peak) < least:
        return _DEPTH
    if size == 0:
        return _SMALL if peak < job["smallest_e6"] else _FEES
    return _DEPTH if size < least else 0


@inlined
def _edge_objection(candidate: np.void, n_legs: int, known: bool, state: State, desk: Desk) -> int:
    """What is wrong with the edge itself, or with what it stands on."""
    if desk.numbers[GROSS] <= 0:
        return _NO_EDGE
    if not known:
        return _FEE_UNKNOWN
    if desk.numbers[NET] <= 0:
        return _FEES
    if desk.numbers[NET] < state.terms[0]["min_edge_micros"][candidate["kind"]]:
        return _MINIMUM
    if candidate["certain"] == 0:
        return _NOT_EXHAUSTIVE
    if candidate["n_legs"] > LEGS_MAX or n_legs > state.terms[0]["max_legs"]:
        return _LEGS
    return 0


@inlined
def evaluate(candidate: np.void, source: Rows, state: State, desk: Desk, now_ns: int) -> tuple[int, int, int]:
    """Work out one candidate: (reason or 0, payoff of one set, capital cost in ppm); the rest is on the desk.

    ``source``: CANDIDATE_LEG records of the table.
    """
    for number in range(NUMBERS):
        desk.numbers[number] = 0
    n_legs = _lay(candidate, source, state, desk)
    desk.numbers[N_LEGS] = n_legs
    reason = distrust(desk.legs, n_legs, state)
    if reason != 0:
        return reason, 0, 0
    stale = staleness(desk.legs, n_legs, state, now_ns)
    n_legs, payoff = _choose(candidate["kind"], candidate["payoff_micros"], n_legs, state, desk)
    empty = emptiness(desk.legs, n_legs, state) if n_legs > 0 else _ONE_SIDED
    known = True
    if empty != _ONE_SIDED:
        desk.numbers[N_LEGS] = n_legs
        known = _price(n_legs, payoff, state, desk) != FEE_UNKNOWN
    if candidate["is_mirror"] != 0:
        return _MIRROR, 0, 0
    reason = stale if stale != 0 else empty
    if reason == 0:
        reason = _edge_objection(candidate, n_legs, known, state, desk)
    if reason != 0:
        return reason, payoff, 0
    capital = 0
    if candidate["locks"] != 0:
        capital = _capital_ppm(n_legs, state, desk, now_ns)
        if capital < 0:
            return _CLOSE, payoff, 0
        cost = muldiv_ceil(int(desk.numbers[LOCKED]), capital, PPM)
        if desk.numbers[NET] - cost < state.terms[0]["min_edge_micros"][candidate["kind"]]:
            return _CAPITAL, payoff, capital
    return _size(n_legs, payoff, capital, state, desk), payoff, capital
