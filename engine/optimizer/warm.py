"""Compile the optimizer's kernels: one small batch through every one of them."""

from __future__ import annotations

import numpy as np

from engine.catalog.catalog import MARKET_ROW, MarketFlag
from engine.catalog.groups import NO_GROUP
from engine.catalog.market import FeeKind
from engine.optimizer.allocator import Allocator, AllocatorLimits
from engine.optimizer.batch import OrderLimits, Problem
from engine.optimizer.booking import take_plan
from engine.optimizer.holds import Holds
from engine.optimizer.levels import Rows
from engine.optimizer.shadow import BookSide, Shadows
from engine.optimizer.verify import PlanCheck
from engine.records import (
    BOOK_ROW,
    ORDER_EVENT,
    PLAN_HEAD,
    PLAN_LEG,
    POSITION_ROW,
    SIGNAL_HEAD,
    SIGNAL_LEG,
    Side,
    SignalKind,
    Trust,
    Venue,
)
from engine.units import CASH_MAX_MICROS, CASH_ONE_MICROS, PRICE_ONE_E4, SIDE_SIZE_MAX_E6, SIZE_ONE_E6

_MARKETS = 3  # two jobs, one book shared
_CASH_MICROS = 20 * CASH_ONE_MICROS
_ORDER_LIMITS = OrderLimits(
    order_size_max_e6=SIDE_SIZE_MAX_E6,
    order_notional_max_micros=CASH_MAX_MICROS,
    position_max_e6=SIDE_SIZE_MAX_E6,
    market_exposure_max_micros=CASH_MAX_MICROS,
    event_exposure_max_micros=CASH_MAX_MICROS,
)


def warm() -> None:
    """Call every kernel of the optimizer once, with the types it has in production."""
    markets, books = _world()
    heads, legs = _signals()
    for worst_loss_max_micros in (CASH_MAX_MICROS, 0):  # the second time no plan is made at once
        allocator = warm_allocator(books, markets, worst_loss_max_micros)
        for venue in Venue:
            allocator.set_cash(venue, _CASH_MICROS)
        position: Rows = np.zeros(1, POSITION_ROW)
        position["slot"] = _MARKETS - 1  # the one with a group
        allocator.on_position(position[0])
        allocator.allocate(heads, legs, len(heads), 0)
        end: Rows = np.zeros(1, ORDER_EVENT)
        end["plan_id"], end["plan_done"] = allocator.plan_heads[0]["plan_id"], 1
        allocator.on_order_event(end[0])
    _what_python_calls(markets, books, legs[:2])


def _what_python_calls(markets: Rows, books: Rows, legs: Rows) -> None:
    """Call from Python what others have called for us: a call of our own needs its own way in."""
    shadows, holds = Shadows(_MARKETS, 1), Holds(_MARKETS, 1)
    problem = Problem(books, markets, _ORDER_LIMITS, at_limit=True)
    problem.add(CASH_ONE_MICROS, 0, legs)
    side = BookSide(0, 0, int(Side.ASK))
    shadows.take(1, side, int(books["ask_e4"][0, 0]), int(books["ask_size_e6"][0, 0]), SIZE_ONE_E6)
    problem.load(shadows, holds)
    batch = problem.batch
    take_plan(2, batch.jobs, 0, SIZE_ONE_E6, batch.legs, books, batch.levels, batch.depth, shadows.takes)
    head: Rows = np.zeros(1, PLAN_HEAD)
    PlanCheck(books, markets, 0).proves(head, np.zeros(1, PLAN_LEG), 0, {}, shadows)


def warm_allocator(
    books: Rows, markets: Rows | None = None, worst_loss_max_micros: int = CASH_MAX_MICROS
) -> Allocator:
    """Make an allocator for no other purpose: with no limit but that of losses, over these rows."""
    limits = AllocatorLimits(order=_ORDER_LIMITS, slots=8, worst_loss_max_micros=worst_loss_max_micros)
    return Allocator(np.zeros(len(books), MARKET_ROW) if markets is None else markets, books, limits)


def _world() -> tuple[Rows, Rows]:
    """MARKET_ROW and BOOK_ROW of a few markets that offer YES at 40 cents."""
    markets: Rows = np.zeros(_MARKETS, MARKET_ROW)
    markets["group"] = NO_GROUP
    markets["group"][-1] = 0
    markets["flags"] = MarketFlag.IN_USE | MarketFlag.OPEN
    markets["venue"] = Venue.POLYMARKET
    markets["fee_kind"] = FeeKind.POLYMARKET_CURVE
    markets["lot_e6"] = markets["min_size_e6"] = SIZE_ONE_E6
    markets["n_ranges"] = 1
    markets["range_end_e4"][:, 0] = PRICE_ONE_E4
    markets["range_step_e4"][:, 0] = 1
    books: Rows = np.zeros(_MARKETS, BOOK_ROW)
    books["trust"] = Trust.LIVE
    books["n_asks"] = books["n_bids"] = 1
    books["ask_e4"][:, 0], books["bid_e4"][:, 0] = 4_000, 3_000
    books["ask_size_e6"][:, 0] = books["bid_size_e6"][:, 0] = 100 * SIZE_ONE_E6
    return markets, books


def _signals() -> tuple[Rows, Rows]:
    """Two pairs of YES that share the market between them."""
    heads: Rows = np.zeros(2, SIGNAL_HEAD)
    legs: Rows = np.zeros(4, SIGNAL_LEG)
    heads["payoff_micros"] = CASH_ONE_MICROS
    heads["n_legs"] = 2
    heads["kind"] = SignalKind.COMPLEMENT_BUY
    legs["slot"] = (0, 1, 1, 2)
    legs["venue"] = Venue.POLYMARKET
    return heads, legs
