"""Small worlds for tests: markets and books from decimal strings, signals on them, and a plain reckoning.

The reckoning (``reckon``, ``brute_force``) is written from the rules of docs/optimizer.md in fractions, and
shares nothing with the kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

import numpy as np

from engine.catalog.catalog import MARKET_ROW, MarketFlag
from engine.catalog.groups import NO_GROUP
from engine.catalog.market import FeeKind
from engine.optimizer.allocator import Allocator, AllocatorLimits
from engine.optimizer.batch import OrderLimits, Problem
from engine.optimizer.holds import Holds
from engine.optimizer.levels import Rows
from engine.optimizer.shadow import Shadows
from engine.records import BOOK_ROW, SIGNAL_HEAD, SIGNAL_LEG, Direction, Outcome, SignalKind, Trust, Venue
from engine.units import (
    CASH_MAX_MICROS,
    CASH_ONE_MICROS,
    SIDE_SIZE_MAX_E6,
    SIZE_ONE_E6,
    decimal_to_units,
    units_to_decimal,
)

SLOTS = 64
ORDERS = 1_000  # in flight, at most
BUY_YES, BUY_NO = (Direction.BUY, Outcome.YES), (Direction.BUY, Outcome.NO)
SELL_YES, SELL_NO = (Direction.SELL, Outcome.YES), (Direction.SELL, Outcome.NO)
Level = tuple[str, float]  # price in YES terms, contracts
WIDE = OrderLimits(
    order_size_max_e6=SIDE_SIZE_MAX_E6,
    order_notional_max_micros=CASH_MAX_MICROS,
    position_max_e6=SIDE_SIZE_MAX_E6,
    market_exposure_max_micros=CASH_MAX_MICROS,
    event_exposure_max_micros=CASH_MAX_MICROS,
)


def limits(**changed: int) -> AllocatorLimits:
    """Limits that nothing reaches, but for those named; ``hold_at_limit`` too."""
    own = {name: changed.pop(name) for name in list(changed) if name in OrderLimits.__dataclass_fields__}
    order = OrderLimits(**{**{name: getattr(WIDE, name) for name in OrderLimits.__dataclass_fields__}, **own})
    given = {"slots": 1_000, "worst_loss_max_micros": CASH_MAX_MICROS, **changed}
    at_limit = bool(given.pop("hold_at_limit", 1))
    return AllocatorLimits(order=order, hold_at_limit=at_limit, **given)


@dataclass(frozen=True, slots=True)
class Leg:
    """What a signal trades in one market."""

    slot: int
    what: tuple[Direction, Outcome] = BUY_YES
    convert: int = 0


class World:
    """Markets, books and signals in the arrays that the optimizer reads."""

    def __init__(self) -> None:
        self.markets: Rows = np.zeros(SLOTS, MARKET_ROW)
        self.books: Rows = np.zeros(SLOTS, BOOK_ROW)
        self.heads: Rows = np.zeros(SLOTS, SIGNAL_HEAD)
        self.legs: Rows = np.zeros(4 * SLOTS, SIGNAL_LEG)
        self.signal_legs: list[list[Leg]] = []
        self.n_legs = 0
        self._n_markets = 0

    def market(
        self,
        bids: Sequence[Level] = (),
        asks: Sequence[Level] = (),
        *,
        venue: Venue = Venue.KALSHI,
        rate_ppm: int = 0,
        exponent_e3: int = 1_000,
        precision: int = 0,
        lot: float = 1,
        smallest: float = 0,
        notional_micros: int = 0,
        group: int = NO_GROUP,
        flags: int = 0,
    ) -> int:
        """Add a market with its book; its slot. Without a rate nothing is charged."""
        slot = self._n_markets
        self._n_markets += 1
        row = self.markets[slot]
        row["generation"] = 1
        row["group"], row["venue"] = group, venue
        row["flags"] = MarketFlag.IN_USE | MarketFlag.OPEN | MarketFlag.MIRROR | flags
        row["fee_kind"] = FeeKind.KALSHI_QUADRATIC if precision else FeeKind.POLYMARKET_CURVE
        row["taker_rate_ppb"], row["exponent_e3"] = rate_ppm * 1_000, exponent_e3
        row["unit_micros"], row["precision_micros"] = 1, precision
        row["lot_e6"] = round(lot * SIZE_ONE_E6)
        row["min_size_e6"] = round((smallest or lot) * SIZE_ONE_E6)
        row["min_notional_micros"] = notional_micros
        row["n_ranges"], row["range_end_e4"][0], row["range_step_e4"][0] = 1, 10_000, 1
        book = self.books[slot]
        book["slot"], book["generation"], book["venue"] = slot, 1, venue
        book["trust"], book["epoch"], book["update_count"] = Trust.LIVE, 1, 1
        self.set_side(slot, "bid", bids)
        self.set_side(slot, "ask", asks)
        return slot

    def set_side(self, slot: int, side: str, levels: Sequence[Level]) -> None:
        """Write one side of a book, best first."""
        book = self.books[slot]
        book[f"n_{side}s"] = len(levels)
        for index, (price, size) in enumerate(levels):
            book[f"{side}_e4"][index] = decimal_to_units(price, 4)
            book[f"{side}_size_e6"][index] = round(size * SIZE_ONE_E6)

    def signal(
        self,
        legs: Sequence[Leg],
        payoff: int = 1,
        kind: SignalKind = SignalKind.CROSS_VENUE,
        *,
        relation: int = 0,
        capital_cost_ppm: int = 0,
        deadline_ns: int = 1_000,
    ) -> int:
        """Add a signal; its number."""
        number = len(self.signal_legs)
        head = self.heads[number]
        head["signal_id"], head["kind"], head["relation"] = 100 + number, kind, relation
        head["payoff_micros"], head["capital_cost_ppm"] = payoff * CASH_ONE_MICROS, capital_cost_ppm
        head["n_legs"], head["slot"], head["deadline_ns"] = len(legs), legs[0].slot, deadline_ns
        for leg in legs:
            record = self.legs[self.n_legs]
            record["slot"], record["generation"] = leg.slot, 1
            record["venue"] = self.markets[leg.slot]["venue"]
            record["direction"], record["outcome"] = leg.what
            record["convert"] = leg.convert
            record["epoch"], record["update_count"] = 1, 1
            self.n_legs += 1
        self.signal_legs.append(list(legs))
        return number

    def problem(
        self, order: OrderLimits = WIDE, holds: Holds | None = None, *, at_limit: bool = True
    ) -> Problem:
        """All signals loaded as one problem; cash without end unless ``holds`` says otherwise."""
        problem = Problem(self.books, self.markets, order, at_limit)
        first = 0
        for number, legs in enumerate(self.signal_legs):
            head = self.heads[number]
            own = self.legs[first : first + len(legs)]
            problem.add(int(head["payoff_micros"]), int(head["capital_cost_ppm"]), own)
            first += len(legs)
        problem.load(nothing_hidden(), rich() if holds is None else holds)
        return problem

    def allocator(self, given: AllocatorLimits | None = None, **cash: int) -> Allocator:
        """Allocator over this world; cash per venue in dollars, a million where not named."""
        allocator = Allocator(self.markets, self.books, given or limits())
        for venue in Venue:
            allocator.set_cash(venue, cash.get(venue.name.lower(), 10**6) * CASH_ONE_MICROS)
        return allocator

    def allocate(self, allocator: Allocator, now_ns: int = 0) -> tuple[int, int]:
        """Put all signals to an allocator."""
        return allocator.allocate(self.heads, self.legs, len(self.signal_legs), now_ns)


def less(price: str) -> str:
    """Price of the other outcome."""
    return units_to_decimal(10_000 - decimal_to_units(price, 4), 4)


def empty() -> Holds:
    """Holds of nothing, with no cash."""
    return Holds(SLOTS, ORDERS)


def nothing_hidden() -> Shadows:
    """Shadows on no level."""
    return Shadows(SLOTS, ORDERS)


def rich() -> Holds:
    """Holds with as much cash as there can be."""
    holds = empty()
    for venue in Venue:
        holds.set_cash(venue, CASH_MAX_MICROS)
    return holds


def pair(world: World, yes: str, no: str, size: float = 100, **fees: int) -> int:
    """Signal that buys YES at ``yes`` in one market and NO at ``no`` in another."""
    one = world.market(asks=[(yes, size)], **fees)  # type: ignore[arg-type]
    other = world.market(bids=[(less(no), size)], **fees)  # type: ignore[arg-type]
    return world.signal([Leg(one), Leg(other, BUY_NO)])


def walk(world: World, leg: Leg, size_e6: int) -> list[tuple[int, int]] | None:
    """(own price_e4, size_e6) that a leg takes; None beyond the depth."""
    direction, outcome = leg.what
    side = "ask" if (direction == Direction.BUY) == (outcome == Outcome.YES) else "bid"
    book = world.books[leg.slot]
    taken = []
    for level in range(int(book[f"n_{side}s"])):
        price, size = int(book[f"{side}_e4"][level]), int(book[f"{side}_size_e6"][level])
        part = min(size, size_e6)
        if part:
            taken.append((price if outcome == Outcome.YES else 10_000 - price, part))
        size_e6 -= part
    return None if size_e6 else taken


def level_fee(market: np.void, price_e4: int, size_e6: int) -> int:
    """Fee estimate of one fill: each fill as if it opened an order, the dearer of buying and selling."""
    chance = Fraction(price_e4, 10_000)
    curve = (chance * (1 - chance)) ** (int(market["exponent_e3"]) // 1_000)
    model = Fraction(int(market["taker_rate_ppb"]), 10**9) * curve * size_e6
    if market["fee_kind"] == FeeKind.POLYMARKET_CURVE:
        return ceil(model / 10) * 10
    trade, precision = ceil(model), int(market["precision_micros"])
    paid = -ceil(chance * size_e6)
    received = floor(chance * size_e6)
    return max(trade + (revenue - trade) % precision for revenue in (paid, received))


def reckon(world: World, number: int, size_e6: int) -> int | None:
    """Profit of a size in micro-dollars; None where an order could not have it."""
    head = world.heads[number]
    profit, locked = Fraction(int(head["payoff_micros"]) * size_e6, SIZE_ONE_E6), 0
    for leg in world.signal_legs[number]:
        market = world.markets[leg.slot]
        taken = walk(world, leg, size_e6)
        buys = leg.what[0] == Direction.BUY
        if taken is None or size_e6 % int(market["lot_e6"]):
            return None
        if buys and market["venue"] == Venue.POLYMARKET and size_e6 * taken[-1][0] % 10**8:
            return None
        fee = sum(level_fee(market, price, size) for price, size in taken)
        if buys:
            locked += sum(ceil(Fraction(price * size, 10_000)) for price, size in taken) + fee
        else:
            profit += sum(floor(Fraction(price * size, 10_000)) for price, size in taken) - fee
    return floor(profit - locked - ceil(Fraction(locked * int(head["capital_cost_ppm"]), 10**6)))


def brute_force(world: World, number: int, step_e6: int) -> tuple[int, int]:
    """(best profit, largest size that has it) over all sizes an order could have; (0, 0) when none earns."""
    best, at = 0, 0
    size = step_e6
    while any(walk(world, leg, size) is None for leg in world.signal_legs[number]) is False:
        profit = reckon(world, number, size)
        if profit is not None and profit > 0 and profit >= best:
            best, at = profit, size
        size += step_e6
    return best, at
