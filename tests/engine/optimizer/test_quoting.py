"""Exact prices, holds, trims, and the order in which jobs see the books."""

from __future__ import annotations

import pytest

from engine.optimizer.batch import Problem
from engine.optimizer.holds import Holds
from engine.optimizer.levels import SIZE
from engine.optimizer.pricing import CASH, FEE, LIMIT, WORST
from engine.optimizer.quoting import Quoter
from engine.reasons import Reason
from engine.records import Venue
from engine.units import CASH_ONE_MICROS, SIZE_ONE_E6
from tests.engine.optimizer.worlds import BUY_NO, SELL_YES, Leg, World, limits, reckon, rich

PLAN = 7


def deep_world() -> World:
    world = World()
    yes = world.market(
        asks=[(".40", 60), (".42", 100)], bids=[(".38", 500)], rate_ppm=40_000, venue=Venue.POLYMARKET
    )
    no = world.market(bids=[(".55", 200)], asks=[(".57", 500)], rate_ppm=70_000, precision=100, group=2)
    world.signal([Leg(yes), Leg(no, BUY_NO)])
    return world


def quoter(problem: Problem, holds: Holds, **changed: int) -> Quoter:
    return Quoter(problem, holds, limits(**changed).as_array())


def test_a_quote_prices_every_leg() -> None:
    world, holds = deep_world(), rich()
    prices = quoter(world.problem(holds=holds), holds)
    quote = prices.quote(0, 100 * SIZE_ONE_E6, PLAN)
    assert quote.reason is Reason.NONE
    assert (quote.size_e6, quote.profit_micros) == (100 * SIZE_ONE_E6, reckon(world, 0, 100 * SIZE_ONE_E6))
    yes = prices.priced[0]
    assert (yes[CASH], yes[LIMIT]) == (60 * 400_000 + 40 * 420_000, 4_200)
    assert yes[FEE] == 576_000 + 389_760
    # all hundred at .42, and the roundings of sixteen fills
    assert yes[WORST] == 42_000_000 + 974_400 + 15
    no = prices.priced[1]
    assert (holds.orders, len(holds)) == (2, 1)
    assert [holds.held_cash_micros(venue) for venue in (Venue.POLYMARKET, Venue.KALSHI)] == [
        yes[WORST],
        no[WORST],
    ]
    assert [holds.market_exposure_micros(slot) for slot in range(2)] == [yes[WORST], no[WORST]]
    assert holds.event_exposure_micros(2) == no[WORST]
    assert quote.cash_micros == yes[WORST] + no[WORST]
    assert holds.release(PLAN)
    assert holds.orders == holds.event_exposure_micros(2) == holds.held_cash_micros(Venue.KALSHI) == 0


def test_a_hold_by_the_walk_is_what_it_expects_to_pay() -> None:
    world, holds = deep_world(), rich()
    prices = quoter(world.problem(holds=holds, at_limit=False), holds)
    prices.quote(0, 100 * SIZE_ONE_E6, PLAN)
    assert prices.priced[0, WORST] == prices.priced[0, CASH] + prices.priced[0, FEE]


def test_sales_from_inventory_are_held_and_those_from_conversions_are_not() -> None:
    world, holds = World(), rich()
    slots = [world.market(bids=[(price, 50)]) for price in (".60", ".55")]
    world.signal([Leg(slots[0], SELL_YES), Leg(slots[1], BUY_NO)], 0)
    world.signal([Leg(slots[0], SELL_YES, 2), Leg(slots[1], BUY_NO, 1)], 0)
    holds.set_position(slots[0], -1, 50 * SIZE_ONE_E6, 0, 0)
    prices = quoter(world.problem(holds=holds), holds)
    prices.quote(0, 20 * SIZE_ONE_E6, PLAN)
    assert holds.for_sale_e6(slots[0], 0) == 30 * SIZE_ONE_E6
    prices.quote(1, 20 * SIZE_ONE_E6, PLAN + 1)
    assert holds.for_sale_e6(slots[0], 0) == 30 * SIZE_ONE_E6
    holds.release(PLAN)
    holds.set_position(slots[0], -1, 19 * SIZE_ONE_E6, 0, 0)
    assert prices.quote(0, 30 * SIZE_ONE_E6, PLAN).reason is Reason.NO_INVENTORY
    assert holds.for_sale_e6(slots[0], 0) == 19 * SIZE_ONE_E6


@pytest.mark.parametrize(
    ("dollars", "size", "reason"),
    [(18.0, 45, Reason.NONE), (17.0, 42, Reason.NONE), (12.0, 0, Reason.CASH_EXHAUSTED)],
)
def test_a_few_lots_are_taken_off_to_fit_the_cash(dollars: float, size: int, reason: Reason) -> None:
    world = World()
    slots = [
        world.market(asks=[(price, 100)], venue=venue)
        for price, venue in ((".40", Venue.POLYMARKET), (".50", Venue.KALSHI))
    ]
    world.signal([Leg(slot) for slot in slots])
    holds = rich()
    problem = world.problem(holds=holds)
    holds.set_cash(Venue.POLYMARKET, round(dollars * CASH_ONE_MICROS))
    quote = quoter(problem, holds).quote(0, 49 * SIZE_ONE_E6, PLAN)
    assert (quote.size_e6, quote.reason) == (size * SIZE_ONE_E6, reason)


@pytest.mark.parametrize("name", ["market_exposure_max_micros", "event_exposure_max_micros"])
def test_exposure_is_checked_exactly(name: str) -> None:
    world = deep_world()
    holds = rich()
    prices = quoter(world.problem(holds=holds), holds, **{name: 10_000_000})
    assert prices.quote(0, 60 * SIZE_ONE_E6, PLAN).reason is Reason.EXPOSURE_EXHAUSTED
    assert (len(holds), holds.orders, holds.market_exposure_micros(0)) == (0, 0, 0)


@pytest.mark.parametrize("size", [161, 300])
def test_a_size_the_books_do_not_hold_is_taken_down_a_little(size: int) -> None:
    world = World()
    slots = [world.market(asks=[(".40", 160)]) for _ in range(2)]
    world.signal([Leg(slot) for slot in slots])
    holds = rich()
    quote = quoter(world.problem(holds=holds), holds).quote(0, size * SIZE_ONE_E6, PLAN)
    assert quote.reason is (Reason.NONE if size == 161 else Reason.CROWDED_OUT)
    assert quote.size_e6 == (160 * SIZE_ONE_E6 if size == 161 else 0)


def test_a_size_that_loses_is_crowded_out() -> None:
    world = World()
    slots = [world.market(asks=[(".55", 100)]) for _ in range(2)]
    world.signal([Leg(slot) for slot in slots])
    holds = rich()
    assert quoter(world.problem(holds=holds), holds).quote(0, SIZE_ONE_E6, PLAN).reason is Reason.CROWDED_OUT


def test_less_than_a_smallest_order_is_none() -> None:
    world = World()
    slots = [world.market(asks=[(".40", 100)], smallest=10) for _ in range(2)]
    world.signal([Leg(slot) for slot in slots])
    holds = rich()
    prices = quoter(world.problem(holds=holds), holds)
    assert prices.quote(0, 9 * SIZE_ONE_E6, PLAN).reason is Reason.CROWDED_OUT
    assert prices.quote(0, 10 * SIZE_ONE_E6, PLAN).size_e6 == 10 * SIZE_ONE_E6


def test_the_worst_partial_fill_is_part_of_a_quote() -> None:
    world, holds = deep_world(), rich()
    problem = world.problem(holds=holds)
    whole = quoter(problem, holds).quote(0, 60 * SIZE_ONE_E6, PLAN)
    holds.release(PLAN)
    # NO back at .43: 27 + 1.0395 - (25.8 - 1.0295), with Kalshi's roundings; YES alone costs less
    assert whole.worst_loss_micros == pytest.approx(3_269_000, abs=1_000)
    refused = quoter(problem, holds, worst_loss_max_micros=whole.worst_loss_micros - 1).quote(
        0, 60 * SIZE_ONE_E6, PLAN
    )
    assert refused.reason is Reason.WORST_LOSS_TOO_LARGE
    assert len(holds) == 0
    assert (refused.size_e6, refused.worst_loss_micros) == (60 * SIZE_ONE_E6, whole.worst_loss_micros)
    assert (
        quoter(problem, holds, worst_loss_max_micros=whole.worst_loss_micros)
        .quote(0, 60 * SIZE_ONE_E6, PLAN)
        .reason
        is Reason.NONE
    )


def test_what_one_job_takes_the_next_does_not_see() -> None:
    world = deep_world()
    world.signal([Leg(0), Leg(1, BUY_NO)])
    holds = rich()
    problem = world.problem(holds=holds)
    prices = quoter(problem, holds)
    prices.consume(0, 70 * SIZE_ONE_E6)
    assert problem.batch.levels[SIZE, 2, :2].tolist() == [0, 90 * SIZE_ONE_E6]
    assert problem.batch.levels[SIZE, 3, 0] == 130 * SIZE_ONE_E6
    quote = prices.quote(1, 30 * SIZE_ONE_E6, PLAN)
    assert prices.priced[2, CASH] == 30 * 420_000
    assert quote.profit_micros < (reckon(world, 1, 30 * SIZE_ONE_E6) or 0)
