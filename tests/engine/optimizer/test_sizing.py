"""Sizes of one opportunity: hand vectors, and every size of small random books against fractions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.catalog.market import FeeKind
from engine.optimizer import sizing
from engine.optimizer.levels import PRICE, SIZE, UNIT, level_arrays
from engine.records import Direction, SignalKind, Venue
from engine.units import SIZE_ONE_E6
from tests.engine.optimizer.worlds import (
    BUY_NO,
    BUY_YES,
    SELL_YES,
    Leg,
    World,
    brute_force,
    less,
    pair,
    reckon,
)
from tests.plain_twin import PlainTwin

POLITICS = {"rate_ppm": 40_000, "venue": Venue.POLYMARKET}
KALSHI = {"rate_ppm": 70_000, "precision": 100}


def pair_at(first: str, second: str, capital_cost_ppm: int) -> World:
    world = World()
    legs = [Leg(world.market(asks=[(price, 100)])) for price in (first, second)]
    world.signal(legs, capital_cost_ppm=capital_cost_ppm)
    return world


def best(world: World, number: int = 0) -> tuple[int, ...]:
    return tuple(world.problem().size_alone()[number])


def test_ordinary_asks_are_no_opportunity() -> None:  # O1
    world = World()
    pair(world, ".48", ".54")
    assert best(world)[:2] == (0, 0)


def split_sale(yes: str, no: str, **fees: object) -> World:
    """Both tokens sold for more than the dollar that they cost together."""
    world = World()
    slots = [world.market(bids=[(price, 100)], **fees) for price in (yes, no)]  # type: ignore[arg-type]
    world.signal([Leg(slot, SELL_YES) for slot in slots], -1, SignalKind.COMPLEMENT_SELL)
    return world


@pytest.mark.parametrize(
    ("rate_ppm", "profit_micros"), [(0, 2_000_000), (30_000, 506_000), (40_000, 8_000), (50_000, None)]
)
def test_selling_both_bids_over_a_dollar(rate_ppm: int, profit_micros: int | None) -> None:  # O2
    world = split_sale(".48", ".54", rate_ppm=rate_ppm, venue=Venue.POLYMARKET)
    size, profit, bound, _ = best_without_inventory_cap(world)
    assert (profit if size else None) == profit_micros
    assert bound >= profit


def best_without_inventory_cap(world: World) -> tuple[int, ...]:
    problem = world.problem()
    problem.batch.jobs[0]["cap_e6"] = 10**12  # the sale is of a split here, not of inventory
    return tuple(problem.size_alone()[0])


def test_kalshi_fees_eat_the_sale() -> None:  # O2
    world = split_sale(".48", ".54", **KALSHI)
    assert best_without_inventory_cap(world)[0] == 0
    assert reckon(world, 0, 100 * SIZE_ONE_E6) == 2_000_000 - 1_747_200 - 1_738_800


@pytest.mark.parametrize(
    ("polymarket_ppm", "profit_micros"),
    [(40_000, 2_330_000), (0, 3_320_000), (30_000, 2_577_500), (50_000, 2_082_500), (70_000, 1_587_500)],
)
def test_cross_venue_pair(
    polymarket_ppm: int, profit_micros: int
) -> None:  # O3, Kalshi NO and Polymarket YES
    world = World()
    yes = world.market(asks=[("0.55", 100)], rate_ppm=polymarket_ppm, venue=Venue.POLYMARKET)
    no = world.market(bids=[("0.60", 100)], **KALSHI)  # type: ignore[arg-type]
    world.signal([Leg(yes), Leg(no, BUY_NO)])
    assert best(world)[:2] == (100 * SIZE_ONE_E6, profit_micros)


def test_cross_venue_pair_the_other_way() -> None:  # O3: classic cents rounding gives 2.30
    world = World()
    yes = world.market(asks=[("0.55", 100)], **KALSHI)  # type: ignore[arg-type]
    no = world.market(bids=[("0.60", 100)], **POLITICS)  # type: ignore[arg-type]
    world.signal([Leg(yes), Leg(no, BUY_NO)])
    assert best(world)[:2] == (100 * SIZE_ONE_E6, 5_000_000 - 1_732_500 - 960_000)


def depth_world() -> World:
    world = World()
    yes = world.market(asks=[(".46", 100), (".47", 200), (".49", 500)])
    no = world.market(asks=[(".50", 150), (".51", 300)])
    world.signal([Leg(yes), Leg(no)], kind=SignalKind.COMPLEMENT_BUY)
    return world


def test_walk_stops_where_the_next_set_earns_nothing() -> None:  # O4
    assert best(depth_world()) == (300 * SIZE_ONE_E6, 8_500_000, 8_500_000, 300 * SIZE_ONE_E6)


@pytest.mark.parametrize(
    ("legs", "payoff", "profit_micros"),
    [
        ((".30", ".33", ".34"), 1, 3_000_000),  # O5: all YES
        ((".68", ".66", ".64"), 2, 2_000_000),  # O6: all NO, as asks
        ((".35", ".60"), 1, 5_000_000),  # O8: YES of B, NO of A
        ((".50", ".70", ".72"), 2, 8_000_000),  # O9: two exclusive subsets
    ],
)
def test_sets_of_one_level(legs: tuple[str, ...], payoff: int, profit_micros: int) -> None:
    world = World()
    slots = [world.market(asks=[(price, 100)]) for price in legs]
    world.signal([Leg(slot) for slot in slots], payoff)
    assert best(world)[:2] == (100 * SIZE_ONE_E6, profit_micros)


def test_conversion_sells_what_it_makes() -> None:  # O7
    world = World()
    no = [world.market(bids=[(less(price), 100)]) for price in ("0.6", "0.625")]
    yes = world.market(bids=[(".25", 100)])
    legs = [Leg(slot, BUY_NO, convert=1) for slot in no] + [Leg(yes, SELL_YES, convert=2)]
    world.signal(legs, 1, SignalKind.NEG_RISK_CONVERT)
    assert best(world)[:2] == (100 * SIZE_ONE_E6, 2_500_000)


def test_ladder_is_limited_by_its_shallow_leg() -> None:  # O10
    world = World()
    lower, upper = world.market(asks=[(".30", 200)]), world.market(asks=[(".58", 150)])
    world.signal([Leg(lower), Leg(upper)], kind=SignalKind.IMPLICATION)
    assert best(world)[:2] == (150 * SIZE_ONE_E6, 18_000_000)


@pytest.mark.parametrize(
    ("rate_ppm", "profit_micros"), [(0, 30_000), (40_000, 3_770)]
)  # 1 - sum(ask + fee) = .00378, each fee to 1e-5
def test_fees_of_a_partition(rate_ppm: int, profit_micros: int) -> None:
    world = World()
    slots = [world.market(asks=[(price, 1)], rate_ppm=rate_ppm) for price in (".30", ".33", ".34")]
    world.signal([Leg(slot) for slot in slots])
    assert best(world)[1] == profit_micros


def test_capital_cost_takes_its_part_of_every_set() -> None:
    world = World()
    yes = world.market(asks=[(".50", 100), (".54", 100)])
    no = world.market(bids=[(".60", 200)])
    world.signal([Leg(yes), Leg(no, BUY_NO)], capital_cost_ppm=80_000)  # 8 % of .90 is .072, of .94 .0752
    size, profit, _, peak = best(world)
    assert (size, peak, profit) == (100 * SIZE_ONE_E6, 100 * SIZE_ONE_E6, 10_000_000 - 7_200_000)


def test_largest_lot_of_all_legs_counts() -> None:
    world = World()
    yes = world.market(asks=[(".40", 100)], lot=6)
    no = world.market(bids=[(".50", 100)], lot=4)
    world.signal([Leg(yes), Leg(no, BUY_NO)])
    assert best(world)[0] == 96 * SIZE_ONE_E6


def test_lots_without_a_common_size_make_no_order() -> None:
    world = World()
    yes = world.market(asks=[(".40", 100)], lot=999_999_937)
    no = world.market(bids=[(".50", 100)], lot=999_999_893)
    world.signal([Leg(yes), Leg(no, BUY_NO)])
    assert best(world)[0] == 0


def test_purchases_that_must_cost_whole_cents() -> None:
    world = World()
    yes = world.market(asks=[("0.4125", 100)], lot=0.01, venue=Venue.POLYMARKET)
    no = world.market(bids=[(".50", 100)], lot=0.01)
    world.signal([Leg(yes), Leg(no, BUY_NO)])
    size = best(world)[0]
    assert size == 100 * SIZE_ONE_E6
    world.set_side(0, "ask", [("0.4125", 99.99)])
    assert best(world)[0] == int(99.2 * SIZE_ONE_E6)  # steps of 0.8: 0.8 x 0.4125 is 33 cents


def test_next_lot_past_the_peak_is_tried() -> None:
    world = World()
    yes = world.market(asks=[(".40", 15), ("0.5005", 100)], lot=10)
    no = world.market(bids=[(".50", 100)], lot=10)
    world.signal([Leg(yes), Leg(no, BUY_NO)])
    # 10 sets earn 1.00; 20 earn 1.50 less 5 x .0005
    assert best(world) == (20 * SIZE_ONE_E6, 1_497_500, 1_497_500, 15 * SIZE_ONE_E6)


@pytest.mark.parametrize(("smallest", "size"), [(20, 20), (21, 0)])
def test_minimum_size_is_not_reached_with_sets_that_lose(smallest: int, size: int) -> None:
    world = World()
    yes = world.market(asks=[(".40", 20), (".55", 100)], smallest=smallest)
    no = world.market(bids=[(".50", 100)])
    world.signal([Leg(yes), Leg(no, BUY_NO)])
    assert best(world)[0] == size * SIZE_ONE_E6


@pytest.mark.parametrize(("contracts", "size"), [(2, 0), (3, 3)])
def test_minimum_notional_binds_purchases(contracts: int, size: int) -> None:
    world = World()
    yes = world.market(asks=[(".40", contracts)], notional_micros=1_000_000)
    no = world.market(bids=[(".55", 100)])
    world.signal([Leg(yes), Leg(no, BUY_NO)])
    assert best(world)[0] == size * SIZE_ONE_E6


@pytest.mark.parametrize(
    ("slope_nano", "size_e6", "micros"),
    [
        (1, 1, 1),
        (-1, 1, 0),
        (1_000, SIZE_ONE_E6, 1),
        (-1_000, SIZE_ONE_E6, -1),
        (-1_001, SIZE_ONE_E6, -1),
        (0, 5, 0),
    ],
)
def test_what_sets_are_worth_is_never_understated(slope_nano: int, size_e6: int, micros: int) -> None:
    assert sizing.value_ceil(slope_nano, size_e6) == micros


@pytest.mark.parametrize(
    ("payoff_micros", "size_e6", "floor"),
    [(1, 1, 0), (-1, 1, -1), (3, 500_000, 1), (-3, 500_000, -2), (-4, 500_000, -2)],
)
def test_a_payoff_is_rounded_against_us(payoff_micros: int, size_e6: int, floor: int) -> None:
    assert sizing.payoff_floor(payoff_micros, size_e6) == floor


def test_the_next_set_is_worth_at_most_what_capital_rounded_down_leaves() -> None:
    """.50 and .25 paid at a cost of capital of 1 and 3 millionths: 500 and 1,500 nano-dollars, and a part."""
    for cost_ppm, capital_nano in ((1, 750), (3, 2_250)):
        problem = pair_at(".50", ".25", cost_ppm).problem()
        job, legs, levels = problem.batch.jobs[0], problem.batch.legs, problem.batch.levels
        work = np.zeros((2, 2), np.int64)
        assert sizing.slope_nano(job, legs, levels, work) == 250_000_000 - capital_nano
        levels[UNIT, 0, 0] += 1  # 0.000001 or 0.000003 of a nano-dollar more capital
        assert sizing.slope_nano(job, legs, levels, work) == 250_000_000 - 1 - capital_nano


def test_every_level_rounds_its_cash_against_us() -> None:
    levels, count = level_arrays(1)
    levels[PRICE, 0, :2], levels[SIZE, 0, :2], count[0] = (3_333, 3_334), 3, 2
    market = World().markets[0]
    market["fee_kind"] = FeeKind.POLYMARKET_CURVE
    for size, paid, received in ((1, 1, 0), (3, 1, 0), (6, 3, 1), (7, 3, 1)):
        left = max(size - 6, 0)
        worst = 0 if size <= 3 else 1
        assert sizing.leg_cost(market, Direction.BUY, 0, size, levels, count) == (paid, 0, worst, left)
        assert sizing.leg_cost(market, Direction.SELL, 0, size, levels, count) == (received, 0, worst, left)


@pytest.mark.parametrize(("contracts", "size_e6"), [(3.333333, 0), (3.333334, 3_333_334)])
def test_minimum_notional_is_met_to_the_last_millionth(contracts: float, size_e6: int) -> None:
    world = World()
    yes = world.market(asks=[(".30", contracts)], notional_micros=1_000_000, lot=1e-6)
    no = world.market(bids=[(".55", 100)], lot=1e-6)
    world.signal([Leg(yes), Leg(no, BUY_NO)])
    assert best(world)[0] == size_e6


def test_huge_sizes_do_not_overflow() -> None:
    world = World()
    slots = [world.market(asks=[(".30", 10**8)], rate_ppm=40_000) for _ in range(3)]
    world.signal([Leg(slot) for slot in slots])
    size, profit, bound, _ = best(world)
    assert size == 10**14
    assert profit == reckon(world, 0, size)
    assert 0 <= bound - profit <= 10**6  # a cent on 7.5 million dollars


prices = st.integers(1, 97)
contracts = st.lists(st.integers(1, 9), min_size=1, max_size=3)


@st.composite
def small_worlds(draw: st.DrawFn) -> World:
    """One signal of two or three legs on books of a few lots, with any fee, lot, venue and capital cost."""
    world = World()
    n_legs = draw(st.integers(2, 3))
    legs = []
    budget = 100
    for index in range(n_legs):
        start = draw(st.integers(1, max(budget // (n_legs - index), 2)))
        budget -= start
        sizes = draw(contracts)
        steps = [draw(st.integers(1, 4)) for _ in sizes]
        ladder = [
            min(start + sum(steps[: level + 1]) - 1, 99 - len(sizes) + level) for level in range(len(sizes))
        ]
        polymarket = draw(st.booleans())
        fees = POLITICS | {"exponent_e3": draw(st.sampled_from((0, 1_000, 2_000)))} if polymarket else KALSHI
        if draw(st.booleans()):
            fees = fees | {"rate_ppm": 0}
        buys_no = draw(st.booleans())
        own = [100 - price if buys_no else price for price in ladder]
        levels = [(f".{price:02}", size * 0.25) for price, size in zip(own, sizes, strict=True)]
        side = {"bids": levels} if buys_no else {"asks": levels}
        slot = world.market(lot=draw(st.sampled_from((0.01, 0.25))), **side, **fees)  # type: ignore[arg-type]
        legs.append(Leg(slot, BUY_NO if buys_no else BUY_YES))
    world.signal(legs, capital_cost_ppm=draw(st.sampled_from((0, 20_000))))
    return world


@pytest.mark.long_plain
@given(small_worlds())
@settings(max_examples=150)
def test_no_size_of_a_small_book_is_better(world: World) -> None:
    size, profit, bound, _ = best(world)
    most, _ = brute_force(world, 0, 10_000)
    assert profit == most
    assert profit == (reckon(world, 0, size) if size else 0)
    assert bound >= most


def test_compiled_equals_plain(plain_twin: PlainTwin) -> None:
    plain = plain_twin("engine.optimizer.sizing")
    world = depth_world()
    world.markets["taker_rate_ppb"] = 40_000_000
    world.markets["fee_kind"] = FeeKind.POLYMARKET_CURVE
    batch = world.problem().batch
    answers = []
    for module in (sizing, plain):
        work, segments = np.zeros((2, 8), np.int64), np.zeros((sizing.SEGMENTS_MAX, 4), np.int64)
        given_ = (batch.jobs[0], batch.legs, world.markets, batch.levels, batch.depth, work, segments)
        answers.append((tuple(map(int, module.best_size(*given_))), segments[:8].tolist()))
    assert answers[0] == answers[1]
    assert answers[0][0][0] > 0


def test_a_common_lot_is_the_least_that_all_lots_divide() -> None:
    world = pair_at(".50", ".25", 0)
    problem = world.problem()
    job, legs, levels, count = (
        problem.batch.jobs[0],
        problem.batch.legs,
        problem.batch.levels,
        problem.batch.depth,
    )
    markets, work = world.markets.copy(), np.zeros((2, 2), np.int64)
    markets["lot_e6"][:2] = 3, 5
    assert sizing.lot_e6(job, legs, markets, levels, work) == 15
    assert sizing.whole_lots_e6(job, 100, legs, markets, levels, count) == 90
    markets["min_size_e6"][:2] = markets["min_notional_micros"][:2] = 0
    assert sizing.smallest_size_e6(job, legs, markets, levels) == 1
