"""Opportunities that arrive together: books, markets and signals as the optimizer reads them.

A third are pairs at one venue, a third pairs across the venues, a third sets of three to ten outcomes.
Every book has LEVELS levels, sizes of very different lots, the fees of its venue. With ``shared``, three of
ten pairs take a book that an earlier one takes as well. Seeded: the same seed is the same batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.catalog.catalog import MARKET_ROW, MarketFlag
from engine.catalog.groups import NO_GROUP
from engine.catalog.market import FeeKind
from engine.optimizer.allocator import Allocator, AllocatorLimits
from engine.optimizer.batch import OrderLimits
from engine.records import BOOK_ROW, SIGNAL_HEAD, SIGNAL_LEG, Direction, Outcome, SignalKind, Trust, Venue
from engine.units import CASH_MAX_MICROS, CASH_ONE_MICROS, PRICE_ONE_E4, SIDE_SIZE_MAX_E6, SIZE_ONE_E6

LEVELS: Final = 5
LEGS_OF_A_SET_MAX: Final = 10
SHARED: Final = 0.3
TICK_E4: Final = 100
FEE_PPB: Final = {Venue.KALSHI: 70_000_000, Venue.POLYMARKET: 40_000_000}
LIMITS: Final = AllocatorLimits(
    order=OrderLimits(
        order_size_max_e6=SIDE_SIZE_MAX_E6,
        order_notional_max_micros=CASH_MAX_MICROS,
        position_max_e6=SIDE_SIZE_MAX_E6,
        market_exposure_max_micros=CASH_MAX_MICROS,
        event_exposure_max_micros=CASH_MAX_MICROS,
    ),
    slots=100_000,
    worst_loss_max_micros=CASH_MAX_MICROS,
    hold_at_limit=False,  # an order binds what its levels cost: what peers can be asked as well
)

Rows = npt.NDArray[np.void]


class Opportunities:
    """``n`` signals in arrays: ``heads``, ``legs`` one after the other, ``markets`` and ``books`` by slot."""

    def __init__(self, n: int, seed: int, *, shared: bool) -> None:
        slots = n * LEGS_OF_A_SET_MAX
        self.n = n
        self.markets: Rows = np.zeros(slots, MARKET_ROW)
        self.books: Rows = np.zeros(slots, BOOK_ROW)
        self.heads: Rows = np.zeros(n, SIGNAL_HEAD)
        self.legs: Rows = np.zeros(slots, SIGNAL_LEG)
        self.n_legs = 0
        self._n_slots = 0
        self._draw = np.random.default_rng(seed)
        self._pairs: dict[Venue, list[int]] = {venue: [] for venue in Venue}  # slots that a pair takes
        for number in range(n):
            self._signal(number, shared)

    def allocator(self, cash_micros: Mapping[Venue, int], limits: AllocatorLimits = LIMITS) -> Allocator:
        """An allocator over these books with so much cash."""
        allocator = Allocator(self.markets, self.books, limits)
        for venue, micros in cash_micros.items():
            allocator.set_cash(venue, micros)
        return allocator

    def allocate(self, allocator: Allocator) -> tuple[int, int]:
        """Put all signals to an allocator: (plans, decisions)."""
        return allocator.allocate(self.heads, self.legs, self.n, 0)

    def cash_for_all(self) -> dict[Venue, int]:
        """Cash that the best plan of every signal takes together."""
        allocator = self.allocator(dict.fromkeys(Venue, CASH_MAX_MICROS))
        self.allocate(allocator)
        return {venue: allocator.holds.held_cash_micros(venue) for venue in Venue}

    def _signal(self, number: int, shared: bool) -> None:
        kind = int(self._draw.integers(3))
        edge_e4 = 20 + int(self._draw.exponential(150))
        if kind == 2:
            count = int(self._draw.integers(3, LEGS_OF_A_SET_MAX + 1))
            venue = list(Venue)[int(self._draw.integers(2))]
            parts = self._draw.dirichlet(np.full(count, 2.0)) * (PRICE_ONE_E4 - 300 - edge_e4)
            prices = [max(int(part), TICK_E4) // TICK_E4 * TICK_E4 for part in parts]
            slots = [self._market(venue, price) for price in prices]
        else:
            one = list(Venue)[int(self._draw.integers(2))]
            other = one if kind == 0 else next(venue for venue in Venue if venue != one)
            slots = self._pair(one, other, edge_e4, shared)
        head = self.heads[number]
        head["signal_id"], head["kind"] = number + 1, SignalKind.PARTITION_BUY_YES
        head["payoff_micros"], head["n_legs"] = CASH_ONE_MICROS, len(slots)
        head["slot"], head["deadline_ns"] = slots[0], 1
        for slot in slots:
            leg = self.legs[self.n_legs]
            leg["slot"], leg["venue"] = slot, self.markets[slot]["venue"]
            leg["direction"], leg["outcome"] = Direction.BUY, Outcome.YES
            self.n_legs += 1

    def _pair(self, one: Venue, other: Venue, edge_e4: int, shared: bool) -> list[int]:
        """Two markets whose best asks cost a dollar less fees and edge; the first may be an earlier one."""
        if shared and self._pairs[one] and self._draw.random() < SHARED:
            first = self._pairs[one][int(self._draw.integers(len(self._pairs[one])))]
        else:
            price = int(self._draw.uniform(800, 9_200)) // TICK_E4 * TICK_E4
            first = self._market(one, price)
        price = int(self.books[first]["ask_e4"][0])
        fees = sum(_fee_e4(venue, price) for venue in (one, other))
        rest = (PRICE_ONE_E4 - price - fees - edge_e4) // TICK_E4 * TICK_E4
        self._pairs[one].append(first)
        return [first, self._market(other, min(max(rest, TICK_E4), 9_900))]

    def _market(self, venue: Venue, price_e4: int) -> int:
        """A market with a book that asks from ``price_e4`` on; its slot."""
        slot = self._n_slots
        self._n_slots += 1
        row, book = self.markets[slot], self.books[slot]
        row["group"], row["venue"] = NO_GROUP, venue
        row["flags"] = MarketFlag.IN_USE | MarketFlag.OPEN | MarketFlag.MIRROR
        is_kalshi = venue == Venue.KALSHI
        row["fee_kind"] = FeeKind.KALSHI_QUADRATIC if is_kalshi else FeeKind.POLYMARKET_CURVE
        row["taker_rate_ppb"], row["exponent_e3"] = FEE_PPB[venue], 1_000
        row["unit_micros"], row["precision_micros"] = (100, 100) if is_kalshi else (1, 0)
        row["lot_e6"] = row["min_size_e6"] = SIZE_ONE_E6 if is_kalshi else SIZE_ONE_E6 // 100
        row["n_ranges"], row["range_end_e4"][0], row["range_step_e4"][0] = 1, PRICE_ONE_E4, TICK_E4
        book["slot"], book["venue"], book["trust"] = slot, venue, Trust.LIVE
        gaps = self._draw.integers(1, 4, LEVELS) * TICK_E4
        prices = [price for price in (price_e4 + np.cumsum(gaps) - gaps[0]).tolist() if price < PRICE_ONE_E4]
        book["n_asks"], book["n_bids"] = len(prices), 1
        book["ask_e4"][: len(prices)] = prices
        sizes = np.maximum(self._draw.lognormal(np.log(200), 1.2, len(prices)), 5).astype(np.int64)
        book["ask_size_e6"][: len(prices)] = sizes * SIZE_ONE_E6
        book["bid_e4"][0], book["bid_size_e6"][0] = max(price_e4 - TICK_E4, TICK_E4), 100 * SIZE_ONE_E6
        return slot


def _fee_e4(venue: Venue, price_e4: int) -> int:
    """Fee of a contract in price units, for a rest of about the same price."""
    return -(-FEE_PPB[venue] * price_e4 * (PRICE_ONE_E4 - price_e4) // (10**9 * PRICE_ONE_E4))
