"""A small market for tests of the optimizer: books, markets and signals from plain numbers.

Prices are in 1e-4 dollar and in the terms of the outcome a leg names; sizes in whole contracts.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor

import numpy as np
import numpy.typing as npt

from engine.catalog.catalog import MARKET_ROW, MarketFlag
from engine.catalog.groups import NO_GROUP
from engine.catalog.market import FeeKind
from engine.optimizer.batch import OrderLimits
from engine.optimizer.levels import gather, level_arrays
from engine.optimizer.sizing import OPPORTUNITY, SEGMENT_COLUMNS, SEGMENTS_MAX
from engine.records import (
    BOOK_ROW,
    SIGNAL_HEAD,
    SIGNAL_LEG,
    Direction,
    Outcome,
    SignalKind,
    Trust,
    Venue,
)

CONTRACT = 1_000_000
DOLLAR = 1_000_000
NOW = 1_000_000_000
PLENTY = 10**14
BUY, SELL = Direction.BUY, Direction.SELL
YES, NO = Outcome.YES, Outcome.NO
Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.void]
Levels = Sequence[tuple[int, int]]

FREE = {"fee_kind": FeeKind.POLYMARKET_CURVE, "taker_rate_ppb": 0, "precision_micros": 0}
POLITICS = {"fee_kind": FeeKind.POLYMARKET_CURVE, "taker_rate_ppb": 40_000_000, "precision_micros": 0}
CENTS = {"fee_kind": FeeKind.KALSHI_QUADRATIC, "taker_rate_ppb": 70_000_000, "precision_micros": 10_000}


def order_limits(**changes: int) -> OrderLimits:
    values = {
        "order_size_max_e6": PLENTY,
        "order_notional_max_micros": PLENTY,
        "position_max_e6": PLENTY,
        "market_exposure_max_micros": PLENTY,
        "event_exposure_max_micros": PLENTY,
    }
    return OrderLimits(**(values | changes))


class Desk:
    """Markets without fees, on Kalshi unless told otherwise, whose orders are whole contracts."""

    def __init__(self, slots: int = 8) -> None:
        self.books: Rows = np.zeros(slots, BOOK_ROW)
        self.markets: Rows = np.zeros(slots, MARKET_ROW)
        for slot in range(slots):
            self.market(slot)
            book = self.books[slot]
            book["slot"], book["generation"], book["trust"] = slot, 1, Trust.LIVE
            book["epoch"], book["update_count"] = 7, 100 + slot

    def market(self, slot: int, **changes: int) -> None:
        values: dict[str, int] = {
            "generation": 1,
            "group": NO_GROUP,
            "flags": MarketFlag.IN_USE | MarketFlag.OPEN,
            "venue": Venue.KALSHI,
            "lot_e6": CONTRACT,
            "min_size_e6": CONTRACT,
            "min_notional_micros": 0,
            "exponent_e3": 1_000,
            "unit_micros": 1,
            "n_ranges": 1,
        }
        row = self.markets[slot]
        for name, value in (values | FREE | changes).items():
            row[name] = value
        row["range_start_e4"][0], row["range_end_e4"][0], row["range_step_e4"][0] = 0, 10_000, 100

    def offer(
        self,
        slot: int,
        levels: Levels,
        direction: Direction = BUY,
        outcome: Outcome = YES,
        unit_e6: int = CONTRACT,
    ) -> None:
        """What a leg of this direction and outcome finds, best first."""
        asks = (direction == BUY) == (outcome == YES)
        side, book = "ask" if asks else "bid", self.books[slot]
        book[f"n_{side}s"] = len(levels)
        for level, (price, size) in enumerate(levels):
            book[f"{side}_e4"][level] = price if outcome == YES else 10_000 - price
            book[f"{side}_size_e6"][level] = size * unit_e6

    def leg(self, slot: int, direction: Direction = BUY, outcome: Outcome = YES, convert: int = 0) -> np.void:
        leg: np.void = np.zeros(1, SIGNAL_LEG)[0]
        leg["slot"], leg["generation"], leg["venue"] = slot, 1, self.markets[slot]["venue"]
        leg["epoch"], leg["update_count"] = self.books[slot]["epoch"], self.books[slot]["update_count"]
        leg["direction"], leg["outcome"], leg["convert"] = direction, outcome, convert
        return leg

    def legs(self, *shapes: tuple[int, Direction, Outcome] | tuple[int, Direction, Outcome, int]) -> Rows:
        legs = np.zeros(len(shapes), SIGNAL_LEG)
        for index, shape in enumerate(shapes):
            legs[index] = self.leg(*shape)
        return legs

    def opportunity(self, legs: Rows, payoff_micros: int = DOLLAR, **changes: int) -> Opportunity:
        return Opportunity(self, legs, payoff_micros, **changes)


class Opportunity:
    """One job alone with its books: the arrays that the sizing functions take."""

    def __init__(self, desk: Desk, legs: Rows, payoff_micros: int, **changes: int) -> None:
        self.jobs: Rows = np.zeros(1, OPPORTUNITY)
        self.job: np.void = self.jobs[0]
        values = {
            "n_legs": len(legs),
            "payoff_micros": payoff_micros,
            "smallest_e6": 1,
            "cap_e6": PLENTY,
        }
        for name, value in (values | changes).items():
            self.job[name] = value
        self.legs, self.markets, self.books = legs, desk.markets, desk.books
        self.levels, self.count = level_arrays(len(legs))
        self.work: Ints = np.zeros((2, len(legs)), np.int64)
        self.segments: Ints = np.zeros((SEGMENTS_MAX, SEGMENT_COLUMNS), np.int64)
        gather(legs, 0, len(legs), desk.books, desk.markets, self.levels, self.count)


def signal(signal_id: int, n_legs: int, payoff_micros: int = DOLLAR, **changes: int) -> np.void:
    """A head whose legs are a set by the word of a person."""
    head: np.void = np.zeros(1, SIGNAL_HEAD)[0]
    values: dict[str, int] = {
        "signal_id": signal_id,
        "n_legs": n_legs,
        "payoff_micros": payoff_micros,
        "deadline_ns": 2 * NOW,
        "recv_ns": NOW - 3,
        "book_ns": NOW - 2,
        "signal_ns": NOW - 1,
        "kind": SignalKind.CROSS_VENUE,
        "edge_gross_micros": 11,
        "edge_net_micros": 9,
    }
    for name, value in (values | changes).items():
        head[name] = value
    return head


def plain_fee(market: np.void, price_e4: int, size_e6: int) -> int:
    """Fee of one fill that the estimates promise not to fall short of, from the venues' documents."""
    chance = Fraction(price_e4, 10_000)
    model = Fraction(int(market["taker_rate_ppb"]), 10**9) * chance * (1 - chance) * size_e6
    kalshi = market["fee_kind"] == FeeKind.KALSHI_QUADRATIC
    unit = int(market["unit_micros"]) if kalshi else 10
    fee = ceil(model / unit) * unit
    if not kalshi:
        return fee
    notional, precision = Fraction(size_e6 * price_e4, 10_000), int(market["precision_micros"])
    return fee + max((-ceil(notional) - fee) % precision, (floor(notional) - fee) % precision)


def plain_walk(
    market: np.void, direction: int, levels: Levels, size_e6: int, unit_e6: int = CONTRACT
) -> tuple[int, int, int, int]:
    """(cash, fee, limit, missing) of a walk over levels given as to ``Desk.offer``."""
    cash = fee = 0
    limit = -1
    for price, size in levels:
        part = min(size * unit_e6, size_e6)
        if part == 0:
            continue
        notional = Fraction(part * price, 10_000)
        cash += ceil(notional) if direction == BUY else floor(notional)
        fee += plain_fee(market, price, part)
        limit = price
        size_e6 -= part
    return cash, fee, limit, size_e6
