"""Grids: every kind of price range a venue uses, both ways, and what is not on them."""

from __future__ import annotations

import pytest

from engine.book.grid import (
    FINEST_GRID,
    GRIDS_MAX,
    OFF_GRID,
    RANGES_MAX,
    TICKS_MAX,
    UNIFORM_GRIDS,
    UNIFORM_STEPS_E4,
    Grids,
    grid_prices,
    price_of,
    tick_of,
    uniform_grid,
)
from tests.engine.book.streams import GRIDS, Ranges, prices_of

EDGE_DECI = ((0, 100, 1), (100, 9_900, 10), (9_900, 10_000, 1))
GAPPED = ((100, 300, 50), (5_000, 6_000, 500))
KINDS = {**GRIDS, "edge_deci": EDGE_DECI, "gapped": GAPPED, "one_cent_inside": ((100, 9_900, 100),)}


@pytest.fixture(scope="module")
def grids() -> Grids:
    return Grids()


@pytest.mark.parametrize("name", KINDS)
def test_prices_and_ticks_are_inverse(grids: Grids, name: str) -> None:
    ranges = KINDS[name]
    prices = prices_of(ranges)
    assert grid_prices(ranges) == list(prices)
    number = grids.number(ranges)
    assert grids.ticks(number) == len(prices)
    ticks = {price: tick for tick, price in enumerate(prices)}
    for price in range(10_001):
        assert tick_of(grids.table, number, price) == ticks.get(price, OFF_GRID)
    assert [price_of(grids.table, number, tick) for tick in range(len(prices))] == list(prices)


@pytest.mark.parametrize("price", [-1, -10_000, 10_001, 2**31 - 1])
def test_prices_beyond_a_dollar_are_off_every_grid(grids: Grids, price: int) -> None:
    assert tick_of(grids.table, FINEST_GRID, price) == OFF_GRID


def test_a_shared_end_is_one_tick() -> None:
    prices = grid_prices(GRIDS["tapered_deci_cent"])
    assert len(prices) == len(set(prices)) == 100 + 80 + 100 + 1
    assert prices[99:102] == [990, 1_000, 1_100]


def test_the_finest_grid_has_every_price(grids: Grids) -> None:
    assert grids.ticks(FINEST_GRID) == TICKS_MAX == 10_001


@pytest.mark.parametrize("step", UNIFORM_STEPS_E4)
def test_a_tick_size_names_its_grid(grids: Grids, step: int) -> None:
    number = uniform_grid(grids.table, step)
    assert number == grids.number(((0, 10_000, step),)) == UNIFORM_STEPS_E4.index(step)


@pytest.mark.parametrize("step", [0, -1, 3, 7, 10_001])
def test_a_tick_size_without_a_grid_falls_back_on_every_price(grids: Grids, step: int) -> None:
    assert uniform_grid(grids.table, step) == FINEST_GRID


def test_the_same_prices_are_the_same_grid() -> None:
    grids = Grids()
    split = ((0, 4_000, 100), (4_000, 10_000, 100))
    assert grids.number(split) == grids.number(((0, 10_000, 100),)) < UNIFORM_GRIDS
    assert grids.number(EDGE_DECI) == UNIFORM_GRIDS
    assert grids.number(EDGE_DECI) == UNIFORM_GRIDS


def test_distinct_grids_are_bounded() -> None:
    grids = Grids()
    odd = [((0, price, price),) for price in range(3, 3 + GRIDS_MAX)]
    for count, ranges in enumerate(odd[: GRIDS_MAX - UNIFORM_GRIDS]):
        assert grids.number(ranges) == UNIFORM_GRIDS + count
    with pytest.raises(ValueError, match=f"more than {GRIDS_MAX} distinct"):
        grids.number(odd[-1])
    assert grids.number(odd[0]) == UNIFORM_GRIDS


@pytest.mark.parametrize(
    "ranges",
    [
        (),
        ((0, 100, 0),),
        ((0, 100, -10),),
        ((0, 100, 30),),
        ((100, 100, 1),),
        ((200, 100, 10),),
        ((0, 10_001, 1),),
        ((-10, 100, 10),),
        ((0, 200, 10), (100, 300, 10)),
        tuple((start, start + 1, 1) for start in range(RANGES_MAX + 1)),
    ],
)
def test_what_is_no_grid_is_refused(ranges: Ranges) -> None:
    with pytest.raises(ValueError, match="price range"):
        grid_prices(ranges)


def test_as_many_ranges_as_allowed() -> None:
    ranges = tuple((start, start + 1, 1) for start in range(RANGES_MAX))
    assert grid_prices(ranges) == list(range(RANGES_MAX + 1))
