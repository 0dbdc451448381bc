from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.execution.config import ExecutionConfig
from engine.execution.plan import Leg, Plan
from engine.execution.tracked import Role, TrackedOrder, Trade
from engine.execution.unwind import Rows, exit_price_e4, loss_bound_e4, tradable_surplus_e6, unwind_wish
from engine.records import (
    BOOK_ROW,
    NO_PRICE,
    ORDER_REQUEST,
    PLAN_HEAD,
    PLAN_LEG,
    Direction,
    OrderStatus,
    Outcome,
    TimeInForce,
    Venue,
)
from tests.engine.sim.world import KALSHI, ONE, POLY, catalog_of

BUY, SELL, YES, NO = Direction.BUY, Direction.SELL, Outcome.YES, Outcome.NO
CONFIG = ExecutionConfig(unwind_loss_max_e4=200)
CATALOG = catalog_of(POLY, KALSHI)


def bought(
    size: int, *, slot: int = 0, direction: Direction = BUY, outcome: Outcome = YES
) -> tuple[Plan, Leg]:
    """A plan of two legs of which only the first was filled, at 0.50."""
    record: np.void = np.zeros(1, PLAN_LEG)[0]
    record["slot"], record["generation"], record["direction"], record["outcome"] = slot, 1, direction, outcome
    record["venue"] = CATALOG.rows[slot]["venue"]
    leg, missed = Leg(record, 0, 5000, size), Leg(record, 1, 5000, size)
    order = TrackedOrder(
        np.zeros(1, ORDER_REQUEST)[0], Role.LEG, 0, confirms=False, status=OrderStatus.FILLED
    )
    order.trades[1] = Trade(leg.token, direction == BUY, size, size // 2, 0)
    leg.orders.append(order)
    return Plan(np.zeros(1, PLAN_HEAD)[0], [leg, missed], orders=[order]), leg


def book(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> Rows:
    """The same for every slot."""
    rows: Rows = np.zeros(CATALOG.capacity, BOOK_ROW)
    row = rows[0]
    row["epoch"], row["n_bids"], row["n_asks"] = 77, len(bids), len(asks)
    for name, levels in (("bid", bids), ("ask", asks)):
        for index, (price, size) in enumerate(levels):
            row[f"{name}_e4"][index], row[f"{name}_size_e6"][index] = price, size
    rows[:] = row
    return rows


@pytest.mark.parametrize(
    ("direction", "exit_e4", "bound_e4"),
    [(BUY, 4_500, 4_500), (BUY, 4_900, 4_800), (SELL, 5_500, 5_500), (SELL, 5_100, 5_200)],
)
def test_what_the_book_of_the_plan_needed_is_always_allowed(
    direction: Direction, exit_e4: int, bound_e4: int
) -> None:
    _, leg = bought(10 * ONE, direction=direction)
    leg.exit_e4 = exit_e4
    assert loss_bound_e4(leg, 200) == bound_e4


@pytest.mark.parametrize(
    ("direction", "outcome", "exit_e4"),
    [(BUY, YES, 4_700), (BUY, NO, 4_400), (SELL, YES, 5_600), (SELL, NO, 5_300)],
)
def test_the_way_back_ends_at_the_last_level_it_needs(
    direction: Direction, outcome: Outcome, exit_e4: int
) -> None:
    _, leg = bought(10 * ONE, direction=direction, outcome=outcome)
    row = book([(4_900, 4 * ONE), (4_700, 6 * ONE), (4_600, ONE)], [(5_500, 9 * ONE), (5_600, 5 * ONE)])
    assert exit_price_e4(row, leg) == exit_e4
    assert exit_price_e4(book([], []), leg) == NO_PRICE


def test_a_purchase_is_sold_into_the_levels_within_the_bound() -> None:
    plan, leg = bought(10 * ONE)
    assert loss_bound_e4(leg, 200) == 4800
    row = book([(4900, 4 * ONE), (4800, 3 * ONE), (4700, 90 * ONE)], [])
    wish = unwind_wish(CATALOG, row, plan, leg, CONFIG)
    assert wish is not None
    assert (wish.direction, wish.outcome, wish.price_e4, wish.size_e6) == (SELL, YES, 4800, 10 * ONE)
    assert (wish.tif, wish.role, wish.epoch, wish.slot) == (TimeInForce.FAK, Role.UNWIND, 77, 0)


def test_nothing_within_the_bound_is_no_order() -> None:
    plan, leg = bought(10 * ONE)
    assert unwind_wish(CATALOG, book([(4700, 90 * ONE)], []), plan, leg, CONFIG) is None
    assert unwind_wish(CATALOG, book([], []), plan, leg, CONFIG) is None


def test_a_no_holding_meets_the_asks() -> None:
    plan, leg = bought(10 * ONE, outcome=NO)
    wish = unwind_wish(CATALOG, book([], [(5100, 90 * ONE)]), plan, leg, CONFIG)
    assert wish is not None
    assert (wish.direction, wish.outcome, wish.price_e4) == (SELL, NO, 4900)


def test_a_sale_is_bought_back_in_whole_cents() -> None:
    plan, leg = bought(10 * ONE + 10_000, direction=SELL)
    assert loss_bound_e4(leg, 200) == 5200
    wish = unwind_wish(CATALOG, book([], [(5100, 90 * ONE)]), plan, leg, CONFIG)
    assert wish is not None
    assert (wish.direction, wish.price_e4, wish.size_e6) == (BUY, 5100, 10 * ONE)


def test_a_netted_holding_is_bought_out_by_the_other_outcome() -> None:
    plan, leg = bought(10 * ONE, slot=1)
    leg.buys_other = True
    wish = unwind_wish(CATALOG, book([(4900, 90 * ONE)], []), plan, leg, CONFIG)
    assert wish is not None
    assert (wish.venue, wish.direction, wish.outcome, wish.price_e4) == (Venue.KALSHI, BUY, NO, 5100)
    assert unwind_wish(CATALOG, book([(4700, 90 * ONE)], []), plan, leg, CONFIG) is None


@pytest.mark.parametrize(
    ("slot", "size", "left"), [(0, 4_990_000, 0), (0, 5_005_000, 5 * ONE), (1, 10_000, 10_000)]
)
def test_what_the_venue_does_not_trade_is_dust(slot: int, size: int, left: int) -> None:
    plan, leg = bought(size, slot=slot)
    assert tradable_surplus_e6(CATALOG, plan, leg, CONFIG) == left


def test_whole_sets_are_not_touched() -> None:
    plan, leg = bought(10 * ONE)
    plan.legs[1].orders.extend(leg.orders)
    assert tradable_surplus_e6(CATALOG, plan, leg, CONFIG) == 0


def test_the_bound_stays_a_price() -> None:
    _, leg = bought(10 * ONE)
    assert loss_bound_e4(leg, 9_000) == 1
    _, leg = bought(10 * ONE, direction=SELL)
    assert loss_bound_e4(leg, 9_000) == 9_999


def test_yes_of_a_conversion_is_sold_from_its_planned_price() -> None:
    _, leg = bought(10 * ONE, direction=SELL)
    leg.record["convert"] = 2
    leg = replace(leg)
    assert loss_bound_e4(leg, 200) == 4800
