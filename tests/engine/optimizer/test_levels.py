from __future__ import annotations

import numpy as np
import pytest

from engine.catalog.catalog import MARKET_ROW
from engine.catalog.market import FeeKind
from engine.fees import FEE_UNKNOWN
from engine.optimizer.levels import (
    PRICE,
    SIZE,
    UNIT,
    gather,
    level_arrays,
    unit_fee_floor_nano,
    unit_fee_nano,
)
from engine.records import TOP_LEVELS, Venue
from engine.units import LEVEL_SIZE_MAX_E6
from tests.engine.optimizer.desk import BUY, CENTS, CONTRACT, NO, POLITICS, SELL, YES, Desk
from tests.plain_twin import PlainTwin


def test_a_leg_that_buys_no_sees_the_bids_turned_over() -> None:
    desk = Desk()
    desk.offer(2, [(6_000, 100), (5_900, 7)], SELL, YES)
    desk.offer(2, [(6_100, 3)], BUY, YES)
    job = desk.opportunity(desk.legs((2, BUY, NO), (2, BUY, YES)))
    assert job.count.tolist() == [2, 1]
    assert job.levels[PRICE, 0, :2].tolist() == [4_000, 4_100]
    assert job.levels[SIZE, 0, :2].tolist() == [100 * CONTRACT, 7 * CONTRACT]
    assert job.levels[UNIT, 0, :2].tolist() == [400_000_000, 410_000_000]  # no fee
    assert job.levels[PRICE, 1, 0] == 6_100


def test_the_unit_of_a_sale_is_what_it_brings_less_the_fee() -> None:
    desk = Desk()
    desk.market(0, venue=Venue.POLYMARKET, **POLITICS)
    desk.offer(0, [(4_800, 10)], SELL, YES)
    desk.offer(0, [(5_000, 10)], BUY, YES)
    job = desk.opportunity(desk.legs((0, SELL, YES), (0, BUY, YES)))
    assert job.levels[UNIT, 0, 0] == -480_000_000 + 9_984_000 - 1  # .04 x .48 x .52 = .009984
    assert job.levels[UNIT, 1, 0] == 500_000_000 + 10_000_000 - 1


def test_only_the_legs_asked_for_are_gathered() -> None:
    desk = Desk()
    desk.offer(0, [(4_800, 10)])
    job = desk.opportunity(desk.legs((0, BUY, YES)))
    levels, count = level_arrays(3)
    assert levels.shape == (3, 3, TOP_LEVELS)
    levels[:] = -5
    legs = np.repeat(job.legs, 3)
    gather(legs, 1, 1, desk.books, desk.markets, levels, count)
    assert count.tolist() == [0, 1, 0]
    assert (levels[:, 0] == -5).all()
    assert (levels[:, 2] == -5).all()
    assert levels[PRICE, 1, 0] == 4_800


@pytest.mark.parametrize(
    ("name", "level", "value", "kept"),
    [
        ("ask_size_e6", 1, 2**63 - 1, 1),
        ("ask_size_e6", 0, -1, 0),
        ("ask_size_e6", 2, LEVEL_SIZE_MAX_E6 + 1, 2),
        ("ask_e4", 1, 10_001, 1),
        ("ask_e4", 0, -1, 0),
        ("n_asks", None, 32_767, TOP_LEVELS),
        ("n_asks", None, -1, 0),
    ],
)
def test_a_book_ends_before_a_level_that_cannot_be_one(
    name: str, level: int | None, value: int, kept: int
) -> None:
    """Rows of shared memory have no checksum."""
    desk = Desk()
    desk.offer(0, [(4_800, 10), (4_900, 10), (5_000, 10)])
    row = desk.books[0]
    if level is None:
        row["ask_e4"][3:] = 5_100
        row[name] = value
    else:
        row[name][level] = value
    levels, count = level_arrays(2)
    levels[:] = -5
    gather(desk.legs((0, BUY, YES)), 0, 1, desk.books, desk.markets, levels, count)
    assert count.tolist() == [kept, 0]
    assert (levels[:, 1] == -5).all()
    assert (levels[SIZE, 0, :kept] >= 0).all()


@pytest.mark.parametrize("exponent", [0, 500, 1_000, 2_000])
@pytest.mark.parametrize("price", [100, 2_500, 5_000, 9_900])
def test_the_fee_of_a_unit_is_above_and_its_floor_below_the_model(exponent: int, price: int) -> None:
    desk = Desk()
    desk.market(0, exponent_e3=exponent, **POLITICS)
    market = desk.markets[0]
    model = 0.04 * (price / 1e4 * (1 - price / 1e4)) ** (exponent / 1_000) * 1e9
    above, below = unit_fee_nano(market, price), unit_fee_floor_nano(market, price)
    assert model - 0.01 <= above <= model + 2
    assert model - 3 <= below <= model + 0.01


def test_a_market_without_a_schedule_has_no_fee_and_a_floor_of_nothing() -> None:
    desk = Desk()
    desk.market(0, fee_kind=FeeKind.UNKNOWN, exponent_e3=1_000)
    assert unit_fee_nano(desk.markets[0], 5_000) == FEE_UNKNOWN
    assert unit_fee_floor_nano(desk.markets[0], 5_000) == 0


def test_levels_compiled_and_plain_agree(plain_twin: PlainTwin) -> None:
    plain = plain_twin("engine.optimizer.levels")
    desk = Desk()
    desk.market(0, venue=Venue.POLYMARKET, **POLITICS)
    desk.market(1, **CENTS)
    desk.offer(0, [(4_800, 10), (4_900, 3)])
    desk.offer(1, [(5_100, 4)], SELL, NO)
    job = desk.opportunity(desk.legs((0, BUY, YES), (1, SELL, NO)))
    levels, count = plain.level_arrays(2)
    plain.gather(job.legs, 0, 2, desk.books, desk.markets, levels, count)
    assert (levels == job.levels).all()
    assert (count == job.count).all()


@pytest.mark.parametrize(("price_e4", "nano"), [(1, 100), (2, 200), (5_000, 250_000), (5_001, 250_000)])
def test_the_fee_of_one_contract_is_rounded_up_to_a_nano_dollar(price_e4: int, nano: int) -> None:
    """A tenth of a cent by p(1-p): 99.99, 199.96, 250,000 and 249,999.99 nano-dollars."""
    market = np.zeros(1, MARKET_ROW)[0]
    market["fee_kind"], market["taker_rate_ppb"], market["exponent_e3"] = 1, 1_000_000, 1_000
    assert unit_fee_nano(market, price_e4) == nano
