"""One batch as arrays: shared sides, budgets, caps, and what plans in flight leave of a book."""

from __future__ import annotations

import pytest

from engine.catalog.groups import NO_GROUP
from engine.optimizer.batch import BATCH_LEGS_MAX, Problem, rounding_micros
from engine.optimizer.fill import JOBS_MAX, NO_EVENT_BUDGET, VENUE_BUDGETS
from engine.optimizer.levels import SIZE
from engine.optimizer.shadow import BookSide
from engine.records import Side, Venue
from engine.units import CASH_MAX_MICROS, CASH_ONE_MICROS, SIDE_SIZE_MAX_E6, SIZE_ONE_E6
from tests.engine.optimizer.worlds import (
    BUY_NO,
    SELL_NO,
    SELL_YES,
    WIDE,
    Leg,
    World,
    limits,
    nothing_hidden,
    rich,
)


def two_pairs() -> World:
    """Two jobs; the bids of the first market are bought as NO by one and sold as YES by the other."""
    world = World()
    shared = world.market(bids=[(".60", 50), (".58", 50)], asks=[(".70", 9)], group=4)
    one = world.market(asks=[(".30", 80)], venue=Venue.POLYMARKET, group=4)
    other = world.market(bids=[(".55", 80)])
    world.signal([Leg(shared, BUY_NO), Leg(one)])
    world.signal([Leg(shared, SELL_YES, 2), Leg(other, BUY_NO, 1)], 0)
    return world


def test_legs_on_one_side_of_a_book_share_a_supply() -> None:
    problem = two_pairs().problem()
    assert (problem.n_jobs, problem.n_legs, problem.n_supplies) == (2, 4, 3)
    assert problem.batch.supply[:4].tolist() == [0, 1, 0, 2]
    assert problem.prices.sharers[:3].tolist() == [2, 1, 1]
    assert problem.prices.witness[:3].tolist() == [0, 1, 3]
    assert [list(problem.legs_of(index)) for index in range(2)] == [[0, 1], [2, 3]]
    assert problem.side_of(0) == problem.side_of(2) == BookSide(0, 1, Side.BID)
    assert problem.side_of(1) == BookSide(1, 1, Side.ASK)


def test_both_sides_of_one_book_are_two_supplies() -> None:
    world = two_pairs()
    world.signal([Leg(0), Leg(2, SELL_NO)])
    problem = world.problem()
    assert problem.batch.supply[4] == 3
    assert problem.side_of(4) == BookSide(0, 1, Side.ASK)
    assert problem.side_of(5) == BookSide(2, 1, Side.ASK)


def test_every_leg_draws_on_venue_market_and_event() -> None:
    problem = two_pairs().problem()
    kalshi, polymarket = Venue.KALSHI - 1, Venue.POLYMARKET - 1
    draws = problem.batch.draws[:4].tolist()
    assert [draw[0] for draw in draws] == [kalshi, polymarket, kalshi, kalshi]
    assert draws[0][1:] == draws[2][1:]  # one market, one event
    assert draws[0][2] == draws[1][2] != NO_EVENT_BUDGET
    assert draws[3][2] == NO_EVENT_BUDGET
    assert len({draw[1] for draw in draws}) == 3
    assert problem.fill.n_budgets[0] == VENUE_BUDGETS + 1 + 3 + 1


def test_budgets_open_with_what_is_free_less_what_roundings_may_cost() -> None:
    world = two_pairs()
    holds = rich()
    holds.set_cash(Venue.KALSHI, 70 * CASH_ONE_MICROS)
    holds.set_position(0, 4, 0, 0, 11 * CASH_ONE_MICROS)
    given = limits(
        market_exposure_max_micros=30 * CASH_ONE_MICROS, event_exposure_max_micros=50 * CASH_ONE_MICROS
    )
    problem = world.problem(given.order, holds)
    opening = problem.fill.opening
    pad = rounding_micros(world.markets[0])
    assert pad == 2
    draws = problem.batch.draws
    assert (
        opening[Venue.KALSHI - 1] == 70 * CASH_ONE_MICROS - 2 * pad
    )  # two purchases; the sale binds nothing
    assert opening[draws[0, 1]] == 19 * CASH_ONE_MICROS - pad
    assert opening[draws[1, 1]] == 30 * CASH_ONE_MICROS - pad
    assert opening[draws[0, 2]] == 39 * CASH_ONE_MICROS - 2 * pad
    assert opening[NO_EVENT_BUDGET] == CASH_MAX_MICROS - pad
    assert problem.prices.cash_micros.tolist() == [opening[0], opening[1]]


def test_cash_below_zero_buys_nothing() -> None:
    world = two_pairs()
    holds = rich()
    holds.set_cash(Venue.KALSHI, -5)
    assert world.problem(holds=holds).prices.cash_micros[1] == 0


@pytest.mark.parametrize(
    ("rate_ppm", "precision", "pad"), [(0, 0, 2), (40_000, 0, 178), (70_000, 100, 1_778)]
)
def test_roundings_of_a_leg(rate_ppm: int, precision: int, pad: int) -> None:
    world = World()
    slot = world.market(rate_ppm=rate_ppm, precision=precision)
    assert rounding_micros(world.markets[slot]) == pad


@pytest.mark.parametrize(
    ("changed", "cap"),
    [
        ({}, SIDE_SIZE_MAX_E6 - 7 * SIZE_ONE_E6),
        ({"order_size_max_e6": 30 * SIZE_ONE_E6}, 30 * SIZE_ONE_E6),
        ({"order_notional_max_micros": 10 * CASH_ONE_MICROS}, 25 * SIZE_ONE_E6),  # at .40
        ({"order_notional_max_micros": 24 * CASH_ONE_MICROS}, 57_142_857),  # at .42
        ({"order_notional_max_micros": 50 * CASH_ONE_MICROS}, SIDE_SIZE_MAX_E6 - 7 * SIZE_ONE_E6),  # of 41
        ({"position_max_e6": 40 * SIZE_ONE_E6}, 33 * SIZE_ONE_E6),  # seven are held
    ],
)
def test_caps_of_a_purchase(changed: dict[str, int], cap: int) -> None:
    world = World()
    slot = world.market(bids=[(".60", 50), (".58", 50)])
    world.signal([Leg(slot, BUY_NO)])
    holds = rich()
    holds.set_position(slot, NO_GROUP, 0, 7 * SIZE_ONE_E6, 0)
    assert world.problem(limits(**changed).order, holds).batch.jobs[0]["cap_e6"] == cap


def test_a_sale_from_inventory_is_capped_by_it_and_one_from_a_conversion_is_not() -> None:
    world = World()
    slot = world.market(bids=[(".60", 50)], asks=[(".65", 50)])
    for what, convert in ((SELL_YES, 0), (SELL_NO, 0), (SELL_YES, 2)):
        world.signal([Leg(slot, what, convert)])
    holds = rich()
    holds.set_position(slot, NO_GROUP, 12 * SIZE_ONE_E6, 3 * SIZE_ONE_E6, 0)
    caps = world.problem(holds=holds).batch.jobs["cap_e6"][:3].tolist()
    assert caps == [12 * SIZE_ONE_E6, 3 * SIZE_ONE_E6, SIDE_SIZE_MAX_E6]


def test_what_plans_in_flight_want_is_hidden() -> None:
    world = two_pairs()
    problem = Problem(world.books, world.markets, WIDE, at_limit=True)
    problem.add(CASH_ONE_MICROS, 0, world.legs[:2])
    shadows = nothing_hidden()
    shadows.take(1, BookSide(0, 1, Side.BID), 6_000, 50 * SIZE_ONE_E6, 20 * SIZE_ONE_E6)
    problem.load(shadows, rich())
    assert problem.batch.levels[SIZE, 0, :2].tolist() == [30 * SIZE_ONE_E6, 50 * SIZE_ONE_E6]
    assert problem.batch.levels[SIZE, 1, 0] == 80 * SIZE_ONE_E6


def test_a_problem_is_used_again() -> None:
    world = two_pairs()
    problem = world.problem()
    problem.clear()
    assert problem.add(CASH_ONE_MICROS, 5, world.legs[2:4]) == 0
    problem.load(nothing_hidden(), rich())
    assert (problem.n_jobs, problem.n_legs, problem.n_supplies) == (1, 2, 2)
    assert problem.batch.jobs[0]["capital_cost_ppm"] == 5
    assert problem.prices.sharers[:2].tolist() == [1, 1]


def test_room_is_bounded_by_jobs_and_legs() -> None:
    world = two_pairs()
    problem = Problem(world.books, world.markets, WIDE, at_limit=True)
    assert problem.has_room(BATCH_LEGS_MAX)
    assert not problem.has_room(BATCH_LEGS_MAX + 1)
    for _ in range(JOBS_MAX):
        assert problem.has_room(2)
        problem.add(CASH_ONE_MICROS, 0, world.legs[:2])
    assert not problem.has_room(2)


def test_sizes_in_lots_that_all_orders_may_have() -> None:
    world = World()
    polymarket = world.market(asks=[(".50", 3), ("0.4125", 100)], venue=Venue.POLYMARKET, lot=0.01)
    other = world.market(asks=[(".30", 100)], lot=0.03)
    world.signal([Leg(polymarket), Leg(other)])
    problem = world.problem()
    # from the second level on: whole cents at .4125 are steps of 0.8, with lots of 0.03 steps of 2.4
    assert problem.whole_lots(0, 50 * SIZE_ONE_E6) == 48 * SIZE_ONE_E6
    assert problem.whole_lots(0, 4_799_999) == 3 * SIZE_ONE_E6  # the first level has steps of 0.06
    assert problem.whole_lots(0, 2_999_999) == 2_940_000
    assert problem.whole_lots(0, 59_999) == 0
