"""Bounds and prices: valid at any prices, tight where linear programming says so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.optimizer import dual
from engine.optimizer.batch import Problem
from engine.optimizer.dual import CASH, STEP, search_prices
from engine.optimizer.fill import fill_batch
from engine.optimizer.holds import Holds
from engine.records import Venue
from engine.units import CASH_ONE_MICROS, INT64_MAX, SIZE_ONE_E6
from tests.engine.optimizer.worlds import BUY_NO, SELL_YES, Leg, World, empty
from tests.plain_twin import PlainTwin, kernels_are_plain


def shared_world() -> World:
    """O11: X in two pairs, Z in two pairs; 5, 3 and 4 cents."""
    world = World()
    x, z = world.market(asks=[(".50", 100)]), world.market(asks=[(".45", 100)])
    world.signal([Leg(x), Leg(z)])
    world.signal([Leg(x), Leg(world.market(asks=[(".47", 100)]))])
    world.signal([Leg(z), Leg(world.market(asks=[(".51", 100)]))])
    return world


def cash(kalshi: float, polymarket: float = 0) -> Holds:
    holds = empty()
    holds.set_cash(Venue.KALSHI, round(kalshi * CASH_ONE_MICROS))
    holds.set_cash(Venue.POLYMARKET, round(polymarket * CASH_ONE_MICROS))
    return holds


def bound(problem: Problem) -> int:
    """At the prices and floors that are set; the optimizer itself only goes on from where it is."""
    prices, batch = problem.prices, problem.batch
    floors = prices.floor_nano[: problem.n_supplies].tolist()
    prices.best[0], prices.floor_nano[:] = INT64_MAX, 0
    dual._lay(problem.n_jobs, problem.n_legs, batch, prices)
    for source, floor in enumerate(floors):
        dual._set_floor(source, floor, batch, prices)
    return int(dual._bound_here(problem.n_jobs, problem.n_supplies, batch, prices))


def least(problem: Problem) -> int:
    return int(
        search_prices(problem.n_jobs, problem.n_legs, problem.n_supplies, problem.batch, problem.prices)
    )


def test_without_prices_the_bound_is_what_each_earns_alone() -> None:
    problem = shared_world().problem()
    assert bound(problem) == 5_000_000 + 3_000_000 + 4_000_000
    assert problem.prices.best.tolist() == [12_000_000, 0, 0]
    assert problem.prices.segments[STEP, :3].tolist() == [100 * SIZE_ONE_E6] * 3
    assert problem.prices.segments[CASH, :3].tolist() == [0, 0, 0]  # of Polymarket, the first venue
    assert problem.prices.segments[CASH + 1, :3].tolist() == [950_000_000, 970_000_000, 960_000_000]


def test_a_bound_is_rounded_up() -> None:
    world = World()
    first, second = (world.market(asks=[(price, 100.000001)]) for price in (".50", ".45"))
    world.signal([Leg(first), Leg(second)])
    assert bound(world.problem()) == 5_000_001  # 5,000,000.05


def test_floors_of_shared_books_close_the_gap() -> None:  # O11
    problem = shared_world().problem()
    assert least(problem) == 7_000_000
    assert problem.prices.price_ppm.tolist() == [0, 0]


def test_a_price_of_cash_earns_on_the_cash_there_is() -> None:
    world = World()
    world.signal([Leg(world.market(asks=[(".40", 100)])), Leg(world.market(asks=[(".50", 100)]))])
    problem = world.problem(holds=cash(45))
    opening = int(problem.prices.cash_micros[1])
    problem.prices.price_ppm[1] = 100_000
    assert bound(problem) == 1_000_000 + -(-opening // 10)  # 100 x (.10 - .09), and a tenth of the cash


def test_one_scarce_cash_has_the_price_of_the_segment_it_ends_on() -> None:
    world = World()
    for price in (".30", ".40", ".45"):
        world.signal([Leg(world.market(asks=[(price, 100)])), Leg(world.market(asks=[(".50", 100)]))])
    problem = world.problem(holds=cash(125))  # 80 for the first, 45 of 90 for the second
    assert least(problem) == pytest.approx(20_000_000 + 5_000_000, abs=100)
    assert problem.prices.price_ppm[1] == pytest.approx(111_111, abs=2)  # 10 cents on 90


def test_both_cashes_scarce() -> None:
    world = World()
    for kalshi, polymarket in ((".10", ".85"), (".60", ".35")):
        legs = [
            Leg(world.market(asks=[(kalshi, 100)], venue=Venue.KALSHI)),
            Leg(world.market(asks=[(polymarket, 100)], venue=Venue.POLYMARKET)),
        ]
        world.signal(legs)
    problem = world.problem(holds=cash(35, 60))
    assert least(problem) == pytest.approx(5_000_000, abs=1_000)  # 50 of each
    # .10 k + .85 p = .05 and .60 k + .35 p = .05
    assert problem.prices.price_ppm.tolist() == pytest.approx([51_724, 52_972 + 0], abs=8_000)


def test_no_cash_at_all_earns_nothing() -> None:
    problem = shared_world().problem(holds=cash(0))
    assert least(problem) == pytest.approx(0, abs=50)


def test_a_sale_and_a_purchase_of_one_bid_share_a_floor() -> None:
    """Selling YES is buying NO for a dollar more, so one floor serves both."""
    world = World()
    shared = world.market(bids=[(".60", 10)])
    rich, poor = world.market(asks=[(".45", 10)]), world.market(bids=[(".50", 10)])
    world.signal([Leg(shared, BUY_NO), Leg(rich)])  # 15 cents
    world.signal([Leg(shared, SELL_YES, 2), Leg(poor, BUY_NO, 1)], 0)  # 10 cents
    problem = world.problem()
    assert problem.n_supplies == 3
    assert least(problem) == pytest.approx(1_500_000, abs=2)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    world = World()
    for _ in range(3):
        steps = draw(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 30)), min_size=1, max_size=3))
        start, levels = draw(st.integers(20, 48)), []
        for step, size in steps:
            start += step
            levels.append((f".{start}", size))
        world.market(
            asks=levels, venue=draw(st.sampled_from(list(Venue))), rate_ppm=draw(st.sampled_from((0, 40_000)))
        )
    for one, other in draw(
        st.lists(st.sampled_from([(0, 1), (0, 2), (1, 2)]), min_size=1, max_size=3, unique=True)
    ):
        world.signal([Leg(one), Leg(other)], capital_cost_ppm=draw(st.sampled_from((0, 10_000))))
    return world.problem(holds=cash(draw(st.integers(0, 30)), draw(st.integers(0, 30))), at_limit=False)


@pytest.mark.long_plain
@given(problems(), st.integers(0, 300_000), st.integers(0, 300_000), st.integers(0, 900_000_000))
@settings(max_examples=15 if kernels_are_plain() else 80)
def test_no_fill_is_worth_more_than_a_bound_at_any_prices(
    problem: Problem, one: int, other: int, floor: int
) -> None:
    worth = int(fill_batch(problem.n_jobs, problem.n_legs, problem.batch, problem.fill))
    problem.prices.price_ppm[:] = (one, other)
    problem.prices.floor_nano[: problem.n_supplies] = floor
    assert bound(problem) >= worth
    problem.prices.price_ppm[:] = 0
    found = least(problem)
    problem.prices.price_ppm[:] = 0
    problem.prices.floor_nano[:] = 0
    assert worth <= found <= bound(problem)


def test_compiled_equals_plain(plain_twin: PlainTwin) -> None:
    plain = plain_twin("engine.optimizer.dual")
    twin_fill = plain_twin("engine.optimizer.fill")
    answers = []
    for module, batch_type in ((dual, None), (plain, twin_fill.Batch)):
        problem = shared_world().problem(holds=cash(100))
        batch = problem.batch if batch_type is None else batch_type(*problem.batch)
        prices = module.Prices(*problem.prices)
        found = int(module.search_prices(problem.n_jobs, problem.n_legs, problem.n_supplies, batch, prices))
        answers.append((found, prices.price_ppm.tolist(), prices.floor_nano[:4].tolist()))
    assert answers[0] == answers[1]
    assert answers[0][1][1] > 0


def test_new_prices_are_zero() -> None:
    prices = dual.new_prices(2, 5)
    assert prices.work.shape == (2, 5)
    assert not any(np.any(array) for array in prices)
