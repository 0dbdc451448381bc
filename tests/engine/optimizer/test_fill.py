"""Fills of the live books: what they take, what budgets let them take, and the exchange between pairs."""

from __future__ import annotations

import numpy as np
import pytest

from engine.optimizer import fill
from engine.optimizer.batch import Problem
from engine.optimizer.fill import PRICE_SCALES, SIZE_E6, WORTH, exchange, fill_batch, mark_ties
from engine.optimizer.holds import Holds
from engine.optimizer.levels import SIZE, UNIT
from engine.records import Venue
from engine.units import CASH_ONE_MICROS, SIZE_ONE_E6
from tests.engine.optimizer.worlds import BUY_NO, SELL_YES, Leg, World
from tests.plain_twin import PlainTwin


def filled(problem: Problem) -> list[float]:
    """Contracts that a fill takes for each job."""
    fill_batch(problem.n_jobs, problem.n_legs, problem.batch, problem.fill)
    return [float(size) / SIZE_ONE_E6 for size in problem.fill.state[SIZE_E6, : problem.n_jobs]]


def purse(dollars: float, venue: Venue = Venue.KALSHI) -> Holds:
    holds = Holds()
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


def test_exchange_finds_the_split_that_uses_both_cashes() -> None:
    problem = tie_world()
    worth = int(fill_batch(2, 4, problem.batch, problem.fill))
    sizes = problem.fill.state[SIZE_E6, :2].copy()
    chosen = np.ones(2, np.int64)
    found = int(exchange(2, 4, worth, 10**12, chosen, sizes, problem.batch, problem.fill))
    # .10 a + .60 b = 35 and .85 a + .35 b = 60: a = 50, b = 50
    assert [size / SIZE_ONE_E6 for size in sizes] == pytest.approx([50, 50], abs=0.2)
    assert found == pytest.approx(5_000_000, abs=2_000)
    assert found > worth


@pytest.mark.parametrize(("enough", "chosen"), [(0, (1, 1)), (10**12, (1, 0)), (10**12, (0, 0))])
def test_exchange_leaves_what_is_good_enough_or_not_chosen(enough: int, chosen: tuple[int, int]) -> None:
    problem = tie_world()
    worth = int(fill_batch(2, 4, problem.batch, problem.fill))
    sizes = problem.fill.state[SIZE_E6, :2].copy()
    before = sizes.copy()
    marks = np.array(chosen, np.int64)
    assert exchange(2, 4, worth, enough, marks, sizes, problem.batch, problem.fill) == worth
    assert (sizes == before).all()


def test_compiled_equals_plain(plain_twin: PlainTwin) -> None:
    plain = plain_twin("engine.optimizer.fill")
    answers = []
    for module in (fill, plain):
        problem = tie_world()
        batch, filling = module.Batch(*problem.batch), module.Filling(*problem.fill)
        worth = int(module.fill_batch(2, 4, batch, filling))
        sizes, chosen = filling.state[SIZE_E6, :2].copy(), np.ones(2, np.int64)
        found = int(module.exchange(2, 4, worth, 10**12, chosen, sizes, batch, filling))
        ties = int(module.mark_ties(2, 4, batch, filling, chosen))
        answers.append((worth, found, sizes.tolist(), ties, filling.budget[:8].tolist()))
    assert answers[0] == answers[1]


def draw(free_micros: int, need_nano: int) -> tuple[Problem, np.void, int]:
    """A job of two legs whose first budget has so much left, and needs so much for a contract."""
    problem = pair([(".50", 100)], [(".25", 100)]).problem()
    source = int(problem.batch.draws[0, 0])
    problem.fill.budget[:] = 10**12
    problem.fill.budget[source] = free_micros
    problem.fill.held[:] = 0
    problem.fill.state[:] = 0
    problem.fill.need[:] = 0
    problem.fill.need[source] = need_nano
    return problem, problem.batch.jobs[0], source


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
    problem, job, source = draw(free_micros, need_nano)
    problem.batch.at_limit[0] = at_limit
    assert fill._affordable(job, 0, 5, problem.batch, problem.fill) == sets
    fill._bind(job, 0, sets, problem.batch, problem.fill)
    bound = -(-need_nano * sets // 10**9)
    assert problem.fill.budget[source] == free_micros - bound
    assert problem.fill.held[0, source] == bound
    assert problem.fill.need[source] == 0


@pytest.mark.parametrize(("at_limit", "bound"), [(1, [1, 1, 2]), (0, [1, 2, 3])])
def test_an_order_at_its_limit_binds_its_whole_size_once(at_limit: int, bound: list[int]) -> None:
    """Three steps of 0.5 micro-dollars: the whole size rounded up, or each of its levels."""
    problem, job, source = draw(10, 0)
    problem.batch.at_limit[0] = at_limit
    seen = []
    for _ in range(3):
        problem.fill.need[source] = 250_000_000
        fill._bind(job, 0, 2, problem.batch, problem.fill)
        problem.fill.state[SIZE_E6, 0] += 2
        seen.append(int(problem.fill.held[0, source]))
    assert seen == bound
    assert problem.fill.budget[source] == 10 - bound[-1]


def test_the_next_set_of_a_fill_pays_capital_rounded_down() -> None:
    world = World()
    legs = [Leg(world.market(asks=[(price, 100)])) for price in (".50", ".25")]
    world.signal(legs, capital_cost_ppm=1)
    problem = world.problem()
    problem.batch.levels[UNIT, 0, 0] += 1
    assert fill._slope(problem.batch.jobs[0], problem.batch, problem.fill) == 250_000_000 - 1 - 750
