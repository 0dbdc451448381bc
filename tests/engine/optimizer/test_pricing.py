from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.fees import estimate_split_fee_micros
from engine.optimizer.levels import SIZE
from engine.optimizer.pricing import (
    CASH,
    COLUMNS,
    FEE,
    LIMIT,
    NO_DEPTH,
    WORST,
    consume,
    notional_cap_e6,
    price_legs,
)
from engine.optimizer.sizing import profit_micros
from engine.records import TOP_LEVELS, Venue
from tests.engine.optimizer.desk import (
    BUY,
    CENTS,
    CONTRACT,
    DOLLAR,
    NO,
    POLITICS,
    SELL,
    YES,
    Desk,
    Ints,
    Levels,
    Opportunity,
    plain_walk,
)
from tests.plain_twin import PlainTwin

YES_ASKS = [(4_600, 100), (4_700, 200)]
NO_ASKS = [(5_000, 150), (5_100, 300)]


def pair(capital_cost_ppm: int = 0) -> Opportunity:
    desk = Desk()
    desk.market(0, venue=Venue.KALSHI, **CENTS)
    desk.market(1, venue=Venue.POLYMARKET, **POLITICS)
    desk.offer(0, YES_ASKS)
    desk.offer(1, NO_ASKS, BUY, NO)
    legs = desk.legs((0, BUY, YES), (1, BUY, NO))
    return desk.opportunity(legs, capital_cost_ppm=capital_cost_ppm)


def price(job: Opportunity, size_e6: int, at_limit: int) -> tuple[int, Ints]:
    priced = np.full((len(job.legs), COLUMNS), -7, np.int64)
    arrays = (job.legs, job.markets, job.levels, job.count)
    return int(price_legs(job.jobs, 0, size_e6, *arrays, at_limit, priced)), priced


def test_each_leg_has_its_walk_its_limit_and_the_worst_of_its_order() -> None:
    job = pair()
    profit, priced = price(job, 200 * CONTRACT, at_limit=1)
    for leg, side in enumerate((YES_ASKS, NO_ASKS)):
        cash, fee, limit, missing = plain_walk(job.markets[leg], BUY, side, 200 * CONTRACT)
        assert missing == 0
        assert priced[leg].tolist()[:3] == [cash, fee, limit]
        split = estimate_split_fee_micros(job.markets[leg], limit, 200 * CONTRACT, TOP_LEVELS)
        assert priced[leg, WORST] == limit * 20_000 + split
    paid = int(priced[:, CASH].sum() + priced[:, FEE].sum())
    assert profit == 200 * DOLLAR - paid


def test_the_worst_of_an_order_is_rounded_up() -> None:
    desk = Desk()
    desk.offer(0, [(3_000, 1_000_000), (3_333, 1)], unit_e6=1)
    desk.market(0, lot_e6=1, min_size_e6=1)
    _, priced = price(desk.opportunity(desk.legs((0, BUY, YES))), CONTRACT + 1, at_limit=1)
    assert priced[0].tolist() == [300_001, 0, 3_333, 333_301]  # 333,300.3333 at the limit


def test_a_plan_that_may_hold_only_its_walk_holds_that() -> None:
    _, priced = price(pair(), 200 * CONTRACT, at_limit=0)
    assert (priced[:, WORST] == priced[:, CASH] + priced[:, FEE]).all()


def test_the_worst_is_never_below_the_walk() -> None:
    """Two levels of one contract pay two fees a cent up; one order at the limit is no dearer here."""
    desk = Desk()
    desk.market(0, **CENTS)
    desk.offer(0, [(4_900, 1), (5_000, 1)])
    job = desk.opportunity(desk.legs((0, BUY, YES)))
    _, priced = price(job, 2 * CONTRACT, at_limit=1)
    assert priced[0, WORST] >= priced[0, CASH] + priced[0, FEE]


def test_capital_costs_what_it_costs_in_the_sizing() -> None:
    job = pair(capital_cost_ppm=9_000)
    profit, _ = price(job, 200 * CONTRACT, at_limit=0)
    free, _ = price(pair(), 200 * CONTRACT, at_limit=0)
    arrays = (job.legs, job.markets, job.levels, job.count)
    assert profit == profit_micros(job.job, 200 * CONTRACT, *arrays)
    assert profit < free


def test_a_sale_binds_nothing() -> None:
    desk = Desk()
    desk.offer(0, [(4_800, 60), (4_700, 40)], SELL, YES)
    desk.offer(1, [(5_400, 100)], SELL, NO)
    job = desk.opportunity(desk.legs((0, SELL, YES), (1, SELL, NO)), -DOLLAR)
    profit, priced = price(job, 100 * CONTRACT, at_limit=1)
    assert profit == 1_600_000
    assert priced.tolist() == [[47_600_000, 0, 4_700, 0], [54_000_000, 0, 5_400, 0]]


@pytest.mark.parametrize("size", [301 * CONTRACT, 300 * CONTRACT + 1, 10**15])
def test_a_size_that_a_book_does_not_hold_has_no_price(size: int) -> None:
    assert price(pair(), size, at_limit=1)[0] == NO_DEPTH
    assert price(pair(), 300 * CONTRACT, at_limit=1)[0] != NO_DEPTH


def test_no_size_has_no_price() -> None:
    assert price(pair(), 0, at_limit=1)[0] == NO_DEPTH


def test_what_is_consumed_is_gone_for_every_leg_on_that_side() -> None:
    desk = Desk()
    desk.offer(0, YES_ASKS)
    desk.offer(1, NO_ASKS, BUY, NO)
    legs = desk.legs((0, BUY, YES), (1, BUY, NO), (0, BUY, YES), (1, SELL, NO))
    job = desk.opportunity(legs)
    job.job["n_legs"] = 2  # the others belong to another job
    supply = np.array([0, 1, 0, 2], np.int64)
    consume(job.jobs, 0, 120 * CONTRACT, 4, supply, job.levels, job.count)
    left = (job.levels[SIZE, :, :2] // CONTRACT).tolist()
    assert left == [[0, 180], [30, 300], [0, 180], [0, 0]]
    consume(job.jobs, 0, 60 * CONTRACT, 4, supply, job.levels, job.count)
    assert (job.levels[SIZE, :3, :2] // CONTRACT).tolist() == [[0, 120], [0, 270], [0, 120]]


def caps(side: Levels, notional_micros: int) -> int:
    desk = Desk()
    desk.offer(0, side)
    job = desk.opportunity(desk.legs((0, BUY, YES)))
    return int(notional_cap_e6(0, notional_micros, job.levels, job.count))


def test_an_orders_notional_is_its_size_at_its_limit() -> None:
    assert caps(YES_ASKS, 46 * DOLLAR) == 100 * CONTRACT
    assert caps(YES_ASKS, 45 * DOLLAR) == 45 * DOLLAR * 10_000 // 4_600
    assert caps(YES_ASKS, 94 * DOLLAR) == 200 * CONTRACT
    assert caps(YES_ASKS, 10**12) == 300 * CONTRACT
    assert caps([], 10**12) == 0
    assert caps([(0, 5), (5_000, 5)], DOLLAR) == 5 * CONTRACT  # what costs nothing has no notional


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 40), st.integers(0, 12 * DOLLAR))
def test_the_cap_is_the_largest_size_within_the_notional(sizes: list[int], best: int, notional: int) -> None:
    side = [(best * 200 + 200 * level, size) for level, size in enumerate(sizes)]

    def within(size: int) -> bool:
        *_, limit, missing = plain_walk(Desk().markets[0], BUY, side, size)
        return missing == 0 and size * limit <= notional * 10_000

    cap = caps(side, notional)
    assert cap == 0 or within(cap)
    assert not within(cap + 1)
    step = CONTRACT // 4
    assert not any(within(size) for size in range(cap - cap % step + step, 13 * CONTRACT, step))


def test_compiled_and_plain_agree(plain_twin: PlainTwin) -> None:
    plain = plain_twin("engine.optimizer.pricing")
    job = pair(capital_cost_ppm=123)
    for size in (CONTRACT, 170 * CONTRACT, 400 * CONTRACT):
        profit, priced = price(job, size, at_limit=1)
        again = np.full_like(priced, -7)
        arrays = (job.legs, job.markets, job.levels, job.count)
        assert int(plain.price_legs(job.jobs, 0, size, *arrays, 1, again)) == profit
        assert (again == priced).all()
        assert (priced[:, LIMIT] != -7).all() or profit == NO_DEPTH
