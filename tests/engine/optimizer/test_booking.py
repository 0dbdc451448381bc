"""What a priced plan binds and hides, and which budget it would pass."""

from __future__ import annotations

import numpy as np
import pytest

from engine.optimizer.booking import LIMITS, WORST_LOSS, hold_plan, take_plan
from engine.optimizer.holds import Holds
from engine.optimizer.pricing import COLUMNS, WORST
from engine.optimizer.shadow import BookSide
from engine.reasons import Reason
from engine.records import Side, Venue
from engine.units import CASH_ONE_MICROS, SIZE_ONE_E6
from tests.engine.optimizer.worlds import BUY_NO, SELL_YES, Leg, World, empty, limits, nothing_hidden

PLAN = 3
DOLLARS = (30, 20)  # that the purchases bind
KALSHI, POLYMARKET = int(Venue.KALSHI), int(Venue.POLYMARKET)


def world_of(*legs: tuple[Leg, int]) -> World:
    """One signal over markets in these groups."""
    world = World()
    for leg, group in legs:
        venue = Venue.KALSHI if leg.slot else Venue.POLYMARKET
        slot = world.market(asks=[(".40", 50), (".41", 50)], bids=[(".60", 70)], group=group, venue=venue)
        assert slot == leg.slot
    world.signal([leg for leg, _ in legs])
    return world


def hold(world: World, holds: Holds, **changed: int) -> Reason:
    problem = world.problem()
    priced = np.zeros((len(world.signal_legs[0]), COLUMNS), np.int64)
    priced[:, WORST] = [
        micros * CASH_ONE_MICROS if leg.what[0] == 0 else 0
        for leg, micros in zip(world.signal_legs[0], DOLLARS, strict=True)
    ]
    batch, given = problem.batch, limits(**changed).as_array()
    size = 10 * SIZE_ONE_E6
    return Reason(hold_plan(PLAN, batch.jobs, 0, size, batch.legs, world.markets, priced, given, holds.held))


def purses(polymarket: int = 100, kalshi: int = 100) -> Holds:
    holds = empty()
    holds.set_cash(POLYMARKET, polymarket * CASH_ONE_MICROS)
    holds.set_cash(KALSHI, kalshi * CASH_ONE_MICROS)
    return holds


def test_limits_are_numbered_as_they_are_written() -> None:
    given = limits(worst_loss_max_micros=77).as_array()
    assert (len(given), given[WORST_LOSS]) == (LIMITS, 77)


@pytest.mark.parametrize(
    ("cash", "given", "reason"),
    [
        ((30, 20), {}, Reason.NONE),
        ((29, 20), {}, Reason.CASH_EXHAUSTED),
        ((30, 19), {}, Reason.CASH_EXHAUSTED),
        ((30, 20), {"market_exposure_max_micros": 30 * CASH_ONE_MICROS}, Reason.NONE),
        ((30, 20), {"market_exposure_max_micros": 30 * CASH_ONE_MICROS - 1}, Reason.EXPOSURE_EXHAUSTED),
        ((30, 20), {"event_exposure_max_micros": 50 * CASH_ONE_MICROS}, Reason.NONE),
        ((30, 20), {"event_exposure_max_micros": 50 * CASH_ONE_MICROS - 1}, Reason.EXPOSURE_EXHAUSTED),
        ((29, 20), {"event_exposure_max_micros": 1}, Reason.CASH_EXHAUSTED),
    ],
)
def test_each_budget_is_looked_at_to_the_micro_dollar(
    cash: tuple[int, int], given: dict[str, int], reason: Reason
) -> None:
    world, holds = world_of((Leg(0), 9), (Leg(1, BUY_NO), 9)), purses(*cash)
    assert hold(world, holds, **given) is reason
    is_held = reason is Reason.NONE
    assert (len(holds), holds.orders) == ((1, 2) if is_held else (0, 0))
    assert holds.event_exposure_micros(9) == (50 * CASH_ONE_MICROS if is_held else 0)
    assert holds.held_cash_micros(POLYMARKET) == (30 * CASH_ONE_MICROS if is_held else 0)


@pytest.mark.parametrize(("owned", "reason"), [(10, Reason.NONE), (9, Reason.NO_INVENTORY)])
def test_what_is_sold_is_owned(owned: int, reason: Reason) -> None:
    world, holds = world_of((Leg(0), 1), (Leg(1, SELL_YES), 1)), purses()
    holds.set_position(1, 1, owned * SIZE_ONE_E6, 0, 0)
    assert hold(world, holds) is reason
    assert holds.for_sale_e6(1, 0) == (0 if reason is Reason.NONE else owned * SIZE_ONE_E6)
    assert holds.market_exposure_micros(1) == 0


def test_exposure_is_said_before_inventory() -> None:
    world, holds = world_of((Leg(0), 1), (Leg(1, SELL_YES), 1)), purses()
    assert hold(world, holds, market_exposure_max_micros=1) is Reason.EXPOSURE_EXHAUSTED


def test_a_plan_hides_what_it_walks_through() -> None:
    world, shadows = world_of((Leg(0), 1), (Leg(1, BUY_NO), 1)), nothing_hidden()
    batch = world.problem().batch
    size = 60 * SIZE_ONE_E6
    take_plan(PLAN, batch.jobs, 0, size, batch.legs, world.books, batch.levels, batch.depth, shadows.takes)
    asks, bids = BookSide(0, 1, Side.ASK), BookSide(1, 1, Side.BID)
    assert shadows.left_e6(asks, 4_000, 50 * SIZE_ONE_E6) == 0
    assert shadows.left_e6(asks, 4_100, 50 * SIZE_ONE_E6) == 40 * SIZE_ONE_E6
    assert shadows.left_e6(bids, 6_000, 70 * SIZE_ONE_E6) == 10 * SIZE_ONE_E6
    assert not shadows.covers(BookSide(0, 1, Side.BID))
    shadows.release(PLAN)
    assert len(shadows) == 0
