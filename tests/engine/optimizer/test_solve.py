"""Several opportunities at once: shared books, cash by venue, slots; against the published optima."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from engine.optimizer.batch import OrderLimits
from engine.optimizer.holds import Holds
from engine.optimizer.solve import solve
from engine.reasons import Reason
from engine.records import Venue
from engine.units import CASH_ONE_MICROS, MICROS_PER_PRICE, SIZE_ONE_E6
from tests.engine.optimizer.worlds import BUY_NO, WIDE, Leg, World, empty, limits, reckon
from tests.plain_twin import kernels_are_plain

SLOTS = 1_000

# all-in unit cost at Kalshi and at Polymarket, contracts (optimization.md, S3)
S3 = (
    (".52", ".43", 1500),
    (".30", ".66", 2500),
    (".61", ".345", 3000),
    (".88", ".05", 1000),
    (".10", ".87", 4000),
    (".45", ".525", 6000),
    (".70", ".28", 2000),
    (".20", ".775", 5000),
    (".55", ".40", 800),
    (".33", ".655", 3500),
)


def s3_world() -> World:
    world = World()
    for kalshi, polymarket, size in S3:
        one = world.market(asks=[(kalshi, size)], venue=Venue.KALSHI)
        other = world.market(asks=[(polymarket, size)], venue=Venue.POLYMARKET)
        world.signal([Leg(one), Leg(other)])
    return world


def cash(kalshi: int, polymarket: int) -> Holds:
    holds = empty()
    holds.set_cash(Venue.KALSHI, kalshi * CASH_ONE_MICROS)
    holds.set_cash(Venue.POLYMARKET, polymarket * CASH_ONE_MICROS)
    return holds


def profit_of(world: World, sizes: list[int]) -> int:
    return sum(reckon(world, number, size) or 0 for number, size in enumerate(sizes) if size)


@pytest.mark.long_plain
@pytest.mark.parametrize(
    ("kalshi", "polymarket", "published_micros", "bound_micros"),
    [(5_000, 5_000, 467_825_000, 467_846_600), (2_500, 7_500, 360_975_000, 361_010_800)],
)
def test_cash_of_two_venues(
    kalshi: int, polymarket: int, published_micros: int, bound_micros: int
) -> None:  # O13
    world = s3_world()
    problem = world.problem(holds=cash(kalshi, polymarket))
    solution = solve(problem, SLOTS)
    profit = profit_of(world, solution.sizes)
    # whole cents come in lots of several contracts, which the published optimum does not know; in the first
    # case (1231, 436) earn half a cent more than the published (1230, 437)
    assert published_micros - 60_000 <= profit <= published_micros + 5_000
    assert bound_micros - 100 <= solution.bound_micros <= bound_micros + 2_000
    for venue, column, have in ((Venue.KALSHI, 0, kalshi), (Venue.POLYMARKET, 1, polymarket)):
        spent = (
            sum(size * float(row[column]) for size, row in zip(solution.sizes, S3, strict=True)) / SIZE_ONE_E6
        )
        assert spent <= have, venue


def pooled_world() -> World:
    world = World()
    for kalshi, polymarket, size in S3:
        slots = [world.market(asks=[(price, size)]) for price in (kalshi, polymarket)]
        world.signal([Leg(slot) for slot in slots])
    return world


def test_one_pool_of_cash_goes_to_the_segments_that_earn_most_with_it() -> None:  # O13
    world = pooled_world()
    solution = solve(world.problem(holds=cash(10_000, 0)), SLOTS)
    contracts = [size // SIZE_ONE_E6 for size in solution.sizes]
    assert contracts == [1500, 2500, 3000, 1000, 1670, 0, 0, 0, 800, 0]
    assert profit_of(world, solution.sizes) == 470_100_000
    assert 470_100_000 <= solution.bound_micros <= 470_104_000
    assert [solution.reasons[index] for index in (5, 6, 7, 9)] == [Reason.CROWDED_OUT] * 4


def test_shared_books_go_to_the_pair_that_earns_most_together() -> None:  # O11
    world = World()
    x, z = (world.market(asks=[(".50", 100)]) for _ in range(2))
    other, another = world.market(asks=[(".47", 100)]), world.market(asks=[(".46", 100)])
    world.set_side(z, "ask", [(".45", 100)])
    world.signal([Leg(x), Leg(z)])  # 5 cents
    world.signal([Leg(x), Leg(other)])  # 3 cents
    world.signal([Leg(z), Leg(another)])  # 9 cents here; in O11 4
    world.set_side(another, "ask", [(".51", 100)])
    solution = solve(world.problem(), SLOTS)
    assert [size // SIZE_ONE_E6 for size in solution.sizes] == [0, 100, 100]
    assert profit_of(world, solution.sizes) == 7_000_000
    assert solution.bound_micros == 7_000_000
    assert solution.reasons[0] is Reason.CROWDED_OUT


def lots_world() -> World:
    world = World()
    yes = world.market(asks=[(".45", 37), (".46", 100)])
    no = world.market(asks=[(".52", 60), (".53", 100)])
    world.signal([Leg(yes), Leg(no)])
    return world


def test_budget_and_lots_when_orders_cost_what_they_fill_at() -> None:  # O12
    world = lots_world()
    solution = solve(world.problem(holds=cash(80, 0), at_limit=False), SLOTS)
    assert solution.sizes == [81 * SIZE_ONE_E6]
    assert profit_of(world, solution.sizes) == 1_780_000
    assert 1_787_800 <= solution.bound_micros <= 1_787_900


def test_orders_that_are_held_at_their_limit_need_more_cash() -> None:
    world = lots_world()
    solution = solve(world.problem(holds=cash(80, 0)), SLOTS)
    assert solution.sizes == [80 * SIZE_ONE_E6]  # 80 x (.46 + .53) = 79.20


def test_jobs_that_fit_beside_each_other_get_their_own_best() -> None:
    world = s3_world()
    solution = solve(world.problem(), SLOTS)
    assert [size // SIZE_ONE_E6 for size in solution.sizes] == [row[2] for row in S3]
    assert solution.bound_micros == profit_of(world, solution.sizes) == 907_500_000


def test_slots_go_to_the_signals_that_earn_most_with_each() -> None:
    world = World()
    three = [world.market(asks=[(".30", 100)]) for _ in range(3)]  # 10 cents with three orders
    two = [world.market(asks=[(".46", 100)]) for _ in range(2)]  # 8 cents with two
    world.signal([Leg(slot) for slot in three])
    world.signal([Leg(slot) for slot in two])
    solution = solve(world.problem(), 4)
    assert solution.reasons == [Reason.SLOTS_EXHAUSTED, Reason.NONE]
    assert solution.sizes == [0, 100 * SIZE_ONE_E6]
    assert solution.bound_micros == 8_000_000
    assert solve(world.problem(), 5).reasons == [Reason.NONE, Reason.NONE]


def test_slots_are_compared_to_the_last_part_of_a_micro_dollar() -> None:
    """4 millionths with three orders are less than 3 with two."""
    world = World()
    three = [world.market(asks=[(".30", 4e-5)], lot=1e-6) for _ in range(3)]  # 40 e-6: 4 micro-dollars
    two = [world.market(asks=[(price, 4e-5)], lot=1e-6) for price in (".45", ".475")]
    world.signal([Leg(slot) for slot in three])
    world.signal([Leg(slot) for slot in two])
    alone = [row[1] for row in world.problem().size_alone()]
    assert alone == [4, 3]
    assert solve(world.problem(), 4).reasons == [Reason.SLOTS_EXHAUSTED, Reason.NONE]


def test_cash_for_less_than_a_smallest_order() -> None:
    world = World()
    slots = [world.market(asks=[(".45", 100)], smallest=20) for _ in range(2)]
    world.signal([Leg(slot) for slot in slots])
    solution = solve(world.problem(holds=cash(17, 0)), SLOTS)
    assert (solution.sizes, solution.reasons) == ([0], [Reason.CASH_EXHAUSTED])
    assert solve(world.problem(holds=cash(19, 0)), SLOTS).sizes == [21 * SIZE_ONE_E6]


@pytest.mark.parametrize(
    ("changed", "contracts"),
    [
        ({"market_exposure_max_micros": 20_000_000}, 44),
        ({"event_exposure_max_micros": 20_000_000}, 22),
        ({"market_exposure_max_micros": 400_000}, 0),
        ({"order_size_max_e6": 30_000_000}, 30),
        ({"order_notional_max_micros": 20_000_000}, 44),
        ({"position_max_e6": 12_000_000}, 12),
    ],
)
def test_limits_of_the_gate_bind_here(changed: dict[str, int], contracts: int) -> None:
    world = World()
    slots = [world.market(asks=[(".45", 100)], group=7) for _ in range(2)]
    world.signal([Leg(slot) for slot in slots])
    solution = solve(world.problem(limits(**changed).order), SLOTS)
    assert solution.sizes == [contracts * SIZE_ONE_E6]
    assert solution.reasons == [Reason.NONE if contracts else Reason.EXPOSURE_EXHAUSTED]


def test_a_job_left_with_crumbs_makes_room_for_the_others() -> None:
    world = World()
    shared = world.market(asks=[(".40", 100)])
    best = world.market(asks=[(".50", 95)])
    crumbs = world.market(asks=[(".55", 100)], smallest=10)
    world.signal([Leg(shared), Leg(best)])
    world.signal([Leg(shared), Leg(crumbs)])
    solution = solve(world.problem(), SLOTS)
    assert solution.sizes == [95 * SIZE_ONE_E6, 0]
    assert solution.reasons == [Reason.NONE, Reason.CROWDED_OUT]


@st.composite
def crowded_worlds(draw: st.DrawFn) -> tuple[World, Holds]:
    """Two or three pairs on three books of a few contracts, with little cash."""
    world = World()
    for _ in range(3):
        start = draw(st.integers(35, 50))
        sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=2))
        levels = [(f".{start + 2 * place}", size) for place, size in enumerate(sizes)]
        world.market(asks=levels, venue=draw(st.sampled_from(list(Venue))), lot=1)
    pairs = draw(st.lists(st.sampled_from([(0, 1), (0, 2), (1, 2)]), min_size=2, max_size=3, unique=True))
    for one, other in pairs:
        world.signal([Leg(one), Leg(other)])
    return world, cash(draw(st.integers(0, 6)), draw(st.integers(0, 6)))


def worth(world: World, holds: Holds, sizes: tuple[int, ...]) -> int | None:
    """What whole contracts of every signal earn together in micro-dollars; None beyond books or cash.

    Orders cost what they fill at.
    """
    wanted: Counter[int] = Counter()
    for size, legs in zip(sizes, world.signal_legs, strict=True):
        for leg in legs:
            wanted[leg.slot] += size
    spent: Counter[Venue] = Counter()
    for slot, size in wanted.items():
        book = world.books[slot]
        left = size
        for level in range(int(book["n_asks"])):
            part = min(left, int(book["ask_size_e6"][level]) // SIZE_ONE_E6)
            spent[Venue(world.markets[slot]["venue"])] += part * int(book["ask_e4"][level]) * MICROS_PER_PRICE
            left -= part
        if left:
            return None
    if any(cash > holds.free_cash_micros(venue) for venue, cash in spent.items()):
        return None
    return sum(sizes) * CASH_ONE_MICROS - spent.total()


@pytest.mark.long_plain
@given(crowded_worlds())
@settings(max_examples=15 if kernels_are_plain() else 60)
def test_bound_is_above_every_allocation_and_the_fill_near_it(case: tuple[World, Holds]) -> None:
    world, holds = case
    solution = solve(world.problem(holds=holds, at_limit=False), SLOTS)
    every = (worth(world, holds, sizes) for sizes in product(range(9), repeat=len(world.signal_legs)))
    most = max(value for value in every if value is not None)
    found = worth(world, holds, tuple(size // SIZE_ONE_E6 for size in solution.sizes))
    assert solution.bound_micros >= most
    assert found is not None
    # whole contracts of books this small: what cannot be split is worth up to a set of each signal
    target = most - len(solution.sizes) * 300_000
    event(f"missing {(most - found) // 50_000 * 5} cents")
    assert found >= target


def test_exposure_is_counted_over_jobs_on_one_market() -> None:
    world = World()
    shared = world.market(asks=[(".40", 1000)])
    others = [world.market(asks=[(".50", 100)]), world.market(bids=[(".50", 100)])]
    world.signal([Leg(shared), Leg(others[0])])
    world.signal([Leg(shared), Leg(others[1], BUY_NO)])
    order = OrderLimits(
        **{
            **{name: getattr(WIDE, name) for name in OrderLimits.__dataclass_fields__},
            "market_exposure_max_micros": 60_000_000,
        }
    )
    solution = solve(world.problem(order), SLOTS)
    assert sum(solution.sizes) == 149 * SIZE_ONE_E6  # 60 dollars less roundings, at 40 cents a set
