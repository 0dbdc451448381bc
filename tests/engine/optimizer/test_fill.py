"""Fills of the live books: what they take, at which prices, and what budgets let them take."""

from __future__ import annotations

import numpy as np
import pytest

from engine.optimizer import fill
from engine.optimizer.batch import Problem
from engine.optimizer.fill import (
    DRAWS,
    NO_ACCOUNT,
    PRICE_SCALES,
    SIZE_E6,
    WORTH,
    fill_batch,
    mark_ties,
)
from engine.optimizer.holds import Holds
from engine.optimizer.levels import SIZE, UNIT
from engine.records import Venue
from engine.units import CASH_ONE_MICROS, SIZE_ONE_E6
from tests.engine.optimizer.worlds import BUY_NO, SELL_YES, Leg, World, empty
from tests.plain_twin import PlainTwin


def filled(problem: Problem) -> list[float]:
    """Contracts that a fill takes for each job."""
    fill_batch(problem.n_jobs, problem.n_legs, problem.batch, problem.fill)
    return [float(size) / SIZE_ONE_E6 for size in problem.fill.state[SIZE_E6, : problem.n_jobs]]


def purse(dollars: float, venue: Venue = Venue.KALSHI) -> Holds:
    holds = empty()
    holds.set_cash(venue, round(dollars * CASH_ONE_MICROS))
    return holds


def pair(*books: list[tuple[str, float]]) -> World:
    world = World()
    world.signal([Leg(world.market(asks=levels)) for levels in books])
    return world


def test_a_fill_takes_what_earns_and_leaves_the_rest() -> None:
    world = pair([(".46", 100), (".47", 200), (".49", 500)], [(".50", 150), (".51", 300)])
    problem = world.problem()
    assert filled(problem) == [300]
    assert problem.fill.state[WORTH, 0] == 8_500_000
    assert problem.fill.used[0, :3].tolist() == [100 * SIZE_ONE_E6, 200 * SIZE_ONE_E6, 0]
    assert problem.fill.used[1, :2].tolist() == [150 * SIZE_ONE_E6, 150 * SIZE_ONE_E6]


def test_worth_is_rounded_down_once_a_segment() -> None:
    """A third of a contract earns 13,333.33 micro-dollars, and then 6,666.66."""
    third = 1 / 3
    problem = pair([(".46", third), (".48", third)], [(".50", 100)]).problem()
    filled(problem)
    assert problem.fill.used[0, :2].tolist() == [333_333, 333_333]
    assert problem.fill.state[WORTH, 0] == sum(cents * 10_000 * 333_333 // SIZE_ONE_E6 for cents in (4, 2))


def test_a_fill_begins_anew() -> None:
    problem = pair([(".46", 100)], [(".50", 150)]).problem()
    assert filled(problem) == filled(problem) == [100]
    assert problem.fill.state[WORTH, 0] == 4_000_000


def test_cheap_cash_goes_to_the_later_passes() -> None:
    """A job that comes first in the order must not eat the cash of a better segment of another."""
    world = World()
    for dear, cheap in ((".47", ".52"), (".30", ".60")):  # 1 cent on 99, and 10 on 90
        world.signal([Leg(world.market(asks=[(dear, 100)])), Leg(world.market(asks=[(cheap, 100)]))])
    problem = world.problem(holds=purse(100))
    problem.fill.price_ppm[0:2] = 50_000
    first, second = filled(problem)
    assert second == 100
    assert first == pytest.approx(10 / 0.99, abs=0.001)


@pytest.mark.parametrize("scale", [1_026, 1_022, 896, 640, 256, 0])
def test_each_pass_takes_what_earns_more_than_its_share_of_the_price_of_cash(scale: int) -> None:
    """A micro-dollar above the price of a pass decides who gets the last cash, though it comes second."""
    assert scale in PRICE_SCALES
    world = World()
    for above in (0, 1):
        number = world.signal([Leg(world.market(asks=[(price, 100)])) for price in (".20", ".30")])
        world.heads[number]["payoff_micros"] = 500_000 + 50 * scale + above
    problem = world.problem(holds=purse(50))
    problem.fill.price_ppm[0:2] = 102_400  # 100 ppm a scale: 50 micro-dollars on 50 cents
    assert filled(problem) == [0, pytest.approx(100, abs=0.001)]


@pytest.mark.parametrize(("at_limit", "contracts"), [(False, 60 + 3.5 / 0.7), (True, 60)])
def test_an_order_binds_its_size_at_its_worst_price(at_limit: bool, contracts: float) -> None:
    world = pair([(".10", 60), (".30", 100)], [(".40", 200)])
    problem = world.problem(holds=purse(33.5), at_limit=at_limit)
    assert filled(problem)[0] == pytest.approx(contracts, abs=0.001)
    assert problem.fill.budget[1] >= 0


def test_sales_bind_no_cash() -> None:
    world = World()
    no, yes = world.market(bids=[(".40", 10)]), world.market(bids=[(".70", 10)])
    world.signal([Leg(no, BUY_NO, 1), Leg(yes, SELL_YES, 2)], 0)
    problem = world.problem(holds=purse(3))
    assert filled(problem)[0] == pytest.approx(5, abs=0.001)


def test_jobs_on_one_side_take_turns() -> None:
    world = World()
    shared = world.market(asks=[(".40", 100)])
    for price in (".50", ".45"):
        world.signal([Leg(shared), Leg(world.market(asks=[(price, 70)]))])
    problem = world.problem()
    assert filled(problem) == [70, 30]
    problem.fill.order[:2] = (1, 0)
    assert filled(problem) == [30, 70]


def test_a_cap_ends_a_job() -> None:
    problem = pair([(".40", 100)], [(".50", 100)]).problem()
    problem.batch.jobs[0]["cap_e6"] = 7 * SIZE_ONE_E6
    assert filled(problem) == [7]


def tie_world() -> Problem:
    """Two jobs of equal worth for the cash of both venues together, in different proportions."""
    world = World()
    for kalshi, polymarket in ((".10", ".85"), (".60", ".35")):
        legs = [
            Leg(world.market(asks=[(kalshi, 100)], venue=Venue.KALSHI)),
            Leg(world.market(asks=[(polymarket, 100)], venue=Venue.POLYMARKET)),
        ]
        world.signal(legs)
    holds = purse(35, Venue.KALSHI)
    holds.set_cash(Venue.POLYMARKET, 60 * CASH_ONE_MICROS)
    problem = world.problem(holds=holds)
    problem.fill.price_ppm[:] = 50_000  # about 5 cents on 95
    return problem


def test_ties_are_the_jobs_that_prices_do_not_decide() -> None:
    problem = tie_world()
    problem.fill.price_ppm[:] = 52_600
    chosen = np.full(2, 9, np.int64)
    assert mark_ties(2, 4, problem.batch, problem.fill, chosen) == 2
    assert chosen.tolist() == [1, 1]
    assert (problem.fill.need == 0).all()
    problem.fill.price_ppm[:] = 60_000
    assert mark_ties(2, 4, problem.batch, problem.fill, chosen) == 0
    problem.fill.price_ppm[:] = 1_000
    problem.fill.opening[:2] = 10**12
    assert mark_ties(2, 4, problem.batch, problem.fill, chosen) == 0  # both are taken whole
    problem.fill.price_ppm[:] = 52_600
    problem.batch.levels[SIZE, :4, 0] = 1
    assert mark_ties(2, 4, problem.batch, problem.fill, chosen) == 2, "the least there can be is something"


def test_compiled_equals_plain(plain_twin: PlainTwin) -> None:
    plain = plain_twin("engine.optimizer.fill")
    answers = []
    for module in (fill, plain):
        problem = tie_world()
        batch, filling = module.Batch(*problem.batch), module.Filling(*problem.fill)
        filling.floor_nano[:4] = 500_000_000
        worth = int(module.fill_batch(2, 4, batch, filling))
        chosen = np.ones(2, np.int64)
        sizes = filling.state[SIZE_E6, :2].tolist()
        ties = int(module.mark_ties(2, 4, batch, filling, chosen))
        answers.append((worth, sizes, ties, chosen.tolist(), filling.budget[:8].tolist()))
    assert answers[0] == answers[1]


def test_a_job_has_one_account_for_each_budget_it_draws_on() -> None:
    world = World()
    one, other, sold = (world.market(asks=[(".30", 9)], bids=[(".20", 9)], group=4) for _ in range(3))
    world.signal([Leg(one), Leg(other), Leg(sold, SELL_YES, 2)])
    world.signal([Leg(one), Leg(world.market(asks=[(".30", 9)]))])
    account = world.problem().batch.account[:5].tolist()
    assert account[0] == [0, 1, 2]
    assert account[1] == [0, DRAWS + 1, 2]  # venue and event are those of the leg before
    assert account[2] == [NO_ACCOUNT] * DRAWS  # a sale binds nothing
    assert account[3] == [3 * DRAWS, 3 * DRAWS + 1, 3 * DRAWS + 2]  # of another job
    assert account[4] == [3 * DRAWS, 4 * DRAWS + 1, NO_ACCOUNT]  # in no event


def test_a_floor_is_what_a_level_below_it_has_to_earn() -> None:
    """Both want the 100 at .40; the floor at .46 leaves them to the one that earns more than 6 cents."""
    world = World()
    shared = world.market(asks=[(".40", 100)])
    for price in (".55", ".50"):
        world.signal([Leg(shared), Leg(world.market(asks=[(price, 70)]))])
    problem = world.problem()
    assert filled(problem) == [70, 30]
    problem.fill.floor_nano[0] = 460_000_000
    assert filled(problem) == [30, 70]


SETS = 5  # micro-contracts, as fine as sizes are


def scarce(free_micros: int, need_nano: int, at_limit: int, levels: int = 1) -> tuple[Problem, int]:
    """One job that takes SETS of each level, at one cost a contract, with so much left of one budget."""
    world = World()
    world.signal([Leg(world.market(asks=[(f".{20 + level}", 9) for level in range(levels)]))])
    problem = world.problem()
    source = int(problem.batch.draws[0, 0])
    problem.batch.levels[SIZE, 0, :levels] = SETS
    problem.batch.levels[UNIT, 0, :levels] = need_nano
    problem.batch.at_limit[0] = at_limit
    problem.fill.opening[source] = free_micros
    fill_batch(1, 1, problem.batch, problem.fill)
    return problem, source


@pytest.mark.parametrize(
    ("free_micros", "need_nano", "sets"),
    [
        (0, 1_000_000, 0),  # a thousandth of a micro-dollar a set, and nothing left
        (1, 400_000_000, 2),  # 0.4 of one a set: two of them bind one, three would bind two
        (2, 400_000_000, 5),
        (1, 300_000_000, 3),
        (5, 400_000_000, 5),
    ],
)
@pytest.mark.parametrize("at_limit", [0, 1])
def test_no_more_is_bound_than_there_is(free_micros: int, need_nano: int, sets: int, at_limit: int) -> None:
    problem, source = scarce(free_micros, need_nano, at_limit)
    assert problem.fill.state[SIZE_E6, 0] == sets
    bound = -(-need_nano * sets // 10**9)
    assert problem.fill.budget[source] == free_micros - bound
    assert problem.fill.held[problem.batch.account[0, 0]] == bound
    assert (problem.fill.need == 0).all()


@pytest.mark.parametrize(("at_limit", "bound"), [(1, 5), (0, 6)])
def test_an_order_at_its_limit_binds_its_whole_size_once(at_limit: int, bound: int) -> None:
    """Two steps of 2.5 micro-dollars: the whole size rounded up, or each of its levels."""
    problem, source = scarce(10, 500_000_000, at_limit, levels=2)
    assert problem.fill.state[SIZE_E6, 0] == 2 * SETS
    assert problem.fill.budget[source] == 10 - bound


def test_the_next_set_of_a_fill_pays_capital_rounded_down() -> None:
    world = World()
    legs = [Leg(world.market(asks=[(price, 10_000)])) for price in (".50", ".25")]
    world.signal(legs, capital_cost_ppm=1)
    problem = world.problem()
    problem.batch.levels[UNIT, 0, 0] += 1
    assert filled(problem) == [10_000]
    assert problem.fill.state[WORTH, 0] == (250_000_000 - 1 - 750) * 10
