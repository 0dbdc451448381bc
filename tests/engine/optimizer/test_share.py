"""What is dealt out where not all can have what they want: by the prices, in lots, and to whom not."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.optimizer import share as share_module
from engine.optimizer.batch import Problem
from engine.optimizer.exchange import LEGS_TRIED_MAX
from engine.optimizer.fill import JOBS_MAX, NO_ACCOUNT, SIZE_E6, fill_batch
from engine.optimizer.holds import Holds
from engine.optimizer.share import ALL_FIT, DROPS_MAX
from engine.optimizer.solve import solve
from engine.reasons import Reason
from engine.records import Venue
from engine.units import CASH_ONE_MICROS, SIZE_ONE_E6
from tests.engine.optimizer.worlds import WIDE, Leg, World, empty, limits, nothing_hidden, reckon
from tests.plain_twin import PlainTwin, kernels_are_plain

SLOTS = 1_000


def cash(kalshi: float, polymarket: float = 0) -> Holds:
    holds = empty()
    holds.set_cash(Venue.KALSHI, round(kalshi * CASH_ONE_MICROS))
    holds.set_cash(Venue.POLYMARKET, round(polymarket * CASH_ONE_MICROS))
    return holds


def pairs(n: int, size: float = 100, smallest: float = 0) -> World:
    """``n`` pairs on books of their own; each earns a little less than the one before."""
    world = World()
    for number in range(n):
        prices = (f"0.{3_000 + 37 * number:04d}", "0.5000")
        slots = [world.market(asks=[(price, size)], smallest=smallest) for price in prices]
        world.signal([Leg(slot) for slot in slots])
    return world


def wished(problem: Problem) -> Problem:
    """With the wishes of all jobs in its deal."""
    for index, (size, _, bound, peak) in enumerate(problem.size_alone()):
        problem.deal.want_e6[index], problem.deal.peak_e6[index] = size, peak
        problem.deal.bound_micros[index] = bound
    return problem


def test_all_that_fit_get_what_they_want() -> None:
    problem = wished(pairs(3).problem())
    assert problem.share() == ALL_FIT
    assert problem.deal.size_e6[:3].tolist() == [100 * SIZE_ONE_E6] * 3


def test_budgets_that_suffice_for_everything_are_not_counted() -> None:
    """80, 83.7 and 87.4 dollars of 200 at Kalshi; of no market more than 60."""
    world = pairs(3)
    problem = wished(world.problem(holds=cash(200)))
    problem.share()
    account = problem.batch.account[:6]
    assert (account[:, 0] != NO_ACCOUNT).all()
    assert (account[:, 1:] == NO_ACCOUNT).all()
    tight = wished(world.problem(limits(market_exposure_max_micros=40 * CASH_ONE_MICROS).order))
    tight.share()
    account = tight.batch.account[:6]
    assert (account[:, 0] == NO_ACCOUNT).all()
    assert account[:, 1].tolist() == [NO_ACCOUNT, 4, NO_ACCOUNT, 10, NO_ACCOUNT, 16]  # those at .50


def test_who_could_not_have_its_smallest_order_alone_is_told_why() -> None:
    world = pairs(3, smallest=60)
    holds = cash(47)  # 60 sets of the first cost 48 dollars, of the others more
    assert solve(world.problem(holds=holds), SLOTS).reasons == [Reason.CASH_EXHAUSTED] * 3
    order = limits(market_exposure_max_micros=20 * CASH_ONE_MICROS).order
    assert solve(world.problem(order, holds), SLOTS).reasons == [Reason.EXPOSURE_EXHAUSTED] * 3
    assert solve(world.problem(holds=cash(48.1)), SLOTS).reasons == [
        Reason.NONE,
        Reason.CASH_EXHAUSTED,
        Reason.CASH_EXHAUSTED,
    ]


@pytest.mark.parametrize("n", [2, DROPS_MAX + 8])
def test_cash_for_one_smallest_order_goes_to_one(n: int) -> None:
    """Each could have its smallest order alone; shared out in lots, the cash would be nobody's."""
    world = pairs(n, smallest=90)
    solution = solve(world.problem(holds=cash(170)), SLOTS)
    assert [bool(size) for size in solution.sizes] == [True] + [False] * (n - 1) or sum(
        size // SIZE_ONE_E6 for size in solution.sizes
    ) >= 180
    assert all(size == 0 or size >= 90 * SIZE_ONE_E6 for size in solution.sizes)
    assert solution.sizes[0] >= 90 * SIZE_ONE_E6, "the best of them"
    assert {solution.reasons[index] for index, size in enumerate(solution.sizes) if not size} <= {
        Reason.CROWDED_OUT
    }


def test_what_roundings_set_free_goes_to_whoever_can_make_a_lot_of_it() -> None:
    """A lot of the first is 40 contracts: what is left of the cash buys whole contracts of the second."""
    world = World()
    for price, lot in (("0.30", 40), ("0.40", 1)):
        world.signal(
            [Leg(world.market(asks=[(price, 100)], lot=lot)), Leg(world.market(asks=[(".50", 100)]))]
        )
    solution = solve(world.problem(holds=cash(80)), SLOTS)
    assert [size // SIZE_ONE_E6 for size in solution.sizes] == [80, 17]  # 64 dollars, and 15.3 of 16


def test_orders_of_a_few_are_all_tried() -> None:
    order = np.arange(4)
    seen = [tuple(order.tolist())]
    while share_module._permute(4, order):
        seen.append(tuple(order.tolist()))
    assert seen == list(permutations(range(4)))


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 9)), min_size=1, max_size=12))
def test_the_greatest_goes_first_and_ties_stay(values: list[tuple[int, int]]) -> None:
    order = np.arange(len(values))
    over, under = (np.array([value[column] for value in values]) for column in range(2))
    share_module._sort(len(values), order, over, under)
    assert order.tolist() == sorted(range(len(values)), key=lambda index: -Fraction(*values[index]))


@st.composite
def scarce_worlds(draw: st.DrawFn) -> tuple[World, Holds]:
    """Five to nine pairs on books that some share, at both venues, and cash for a part of them."""
    world = World()
    for _ in range(8):
        start = draw(st.integers(30, 52))
        sizes = draw(st.lists(st.integers(1, 60), min_size=1, max_size=3))
        levels = [(f".{start + 2 * place}", size) for place, size in enumerate(sizes)]
        world.market(asks=levels, venue=draw(st.sampled_from(list(Venue))), lot=1)
    every = [(one, other) for one in range(8) for other in range(one)]
    for one, other in draw(st.lists(st.sampled_from(every), min_size=5, max_size=9, unique=True)):
        world.signal([Leg(one), Leg(other)])
    return world, cash(draw(st.integers(1, 60)), draw(st.integers(1, 60)))


@pytest.mark.long_plain
@given(scarce_worlds())
@settings(max_examples=10 if kernels_are_plain() else 60)
def test_never_worse_than_whole_opportunities_one_after_the_other(case: tuple[World, Holds]) -> None:
    world, holds = case
    solution = solve(world.problem(holds=holds, at_limit=False), SLOTS)
    n = len(world.signal_legs)
    found = _earned(world, solution.sizes)
    assert found is not None
    assert found <= solution.bound_micros
    problem = world.problem(holds=holds, at_limit=False)
    wanted = problem.size_alone()
    best = 0
    for column in (1, 2):  # by profit, by bound
        order = sorted(range(n), key=lambda index: -wanted[index][column])
        problem.batch.jobs["cap_e6"][:n] = [row[0] for row in wanted]
        problem.fill.order[:n] = order
        fill_batch(n, problem.n_legs, problem.batch, problem.fill)
        lots = [int(size) // SIZE_ONE_E6 * SIZE_ONE_E6 for size in problem.fill.state[SIZE_E6, :n]]
        best = max(best, _earned(world, lots) or 0)
    # lots of one contract: what a whole one less of each of the jobs at the edge may cost
    assert found >= best - 2 * 400_000


def _earned(world: World, sizes: list[int]) -> int | None:
    """What sizes earn together, each from what those before it left of the books."""
    total = 0
    copy = World()
    copy.markets, copy.books = world.markets, world.books.copy()
    copy.heads, copy.signal_legs = world.heads, world.signal_legs
    for number, size in enumerate(sizes):
        profit = reckon(copy, number, size) if size else 0
        if profit is None:
            return None
        total += profit
        for leg in world.signal_legs[number]:
            left = size
            for level in range(int(copy.books[leg.slot]["n_asks"])):
                taken = min(left, int(copy.books[leg.slot]["ask_size_e6"][level]))
                copy.books[leg.slot]["ask_size_e6"][level] -= taken
                left -= taken
    return total


def test_the_same_batch_is_dealt_the_same_again() -> None:
    world = pairs(9)
    problem = world.problem(holds=cash(300, 300))
    once = solve(problem, SLOTS)
    assert 0 <= problem.deal.left[0] <= LEGS_TRIED_MAX
    again = solve(world.problem(holds=cash(300, 300)), SLOTS)
    assert (once.sizes, once.bound_micros) == (again.sizes, again.bound_micros)


def test_more_cash_never_earns_less_than_a_lot_less() -> None:
    world = pairs(6)
    earned = [
        _earned(world, solve(world.problem(holds=cash(dollars)), SLOTS).sizes) or 0
        for dollars in range(10, 520, 15)
    ]
    assert all(after >= before - 200_000 for before, after in pairwise(earned))
    assert earned[-1] > earned[0] > 0


@pytest.mark.compiled_only
def test_compiled_equals_plain(plain_twin: PlainTwin) -> None:
    world = pairs(6)
    for slot in (4, 8):  # two more on a book that the first takes
        world.signal([Leg(0), Leg(slot)])
    twins = plain_twin("engine.optimizer.batch"), plain_twin("engine.optimizer.solve")
    answers = []
    for problem_type, solve_it in ((Problem, solve), (twins[0].Problem, twins[1].solve)):
        problem = problem_type(world.books, world.markets, WIDE, True)
        for first in range(0, world.n_legs, 2):
            problem.add(CASH_ONE_MICROS, 0, world.legs[first : first + 2])
        problem.load(nothing_hidden(), cash(130, 0))
        solution = solve_it(problem, SLOTS)
        answers.append((solution.sizes, [int(reason) for reason in solution.reasons], solution.bound_micros))
    assert answers[0] == answers[1]
    assert sum(answers[0][0]) > 0


def test_a_deal_has_room_for_every_job() -> None:
    deal = share_module.new_deal()
    assert deal.size_e6.shape == (JOBS_MAX,)
    assert deal.rank.shape == (share_module.RANKS, JOBS_MAX)
