from __future__ import annotations

import numpy as np
import pytest

from engine.execution.visible import covering_price_e4, depth_within_e6, is_within, meeting_levels
from engine.records import BOOK_ROW, NO_PRICE, TOP_LEVELS, Direction, Outcome
from engine.risk.reservations import one_row
from engine.units import LEVEL_SIZE_MAX_E6
from tests.engine.sim.world import ONE

BUY, SELL, YES, NO = Direction.BUY, Direction.SELL, Outcome.YES, Outcome.NO


@pytest.fixture
def row() -> np.void:
    made: np.void = np.zeros(1, BOOK_ROW)[0]
    made["n_bids"], made["n_asks"] = 2, 2
    made["bid_e4"][:3], made["bid_size_e6"][:3] = (4800, 4700, 4600), (3 * ONE, 5 * ONE, 99 * ONE)
    made["ask_e4"][:2], made["ask_size_e6"][:2] = (5000, 5200), (2 * ONE, 4 * ONE)
    return made


def test_levels_are_in_the_terms_of_the_order(row: np.void) -> None:
    assert list(meeting_levels(row, BUY, YES)) == [(5000, 2 * ONE), (5200, 4 * ONE)]
    assert list(meeting_levels(row, SELL, YES)) == [(4800, 3 * ONE), (4700, 5 * ONE)]
    assert list(meeting_levels(row, BUY, NO)) == [(5200, 3 * ONE), (5300, 5 * ONE)]
    assert list(meeting_levels(row, SELL, NO)) == [(5000, 2 * ONE), (4800, 4 * ONE)]


@pytest.mark.parametrize("count", [-1, -15, TOP_LEVELS + 1, 100])
def test_a_number_of_levels_that_is_garbage_shows_none(row: np.void, count: int) -> None:
    row["n_asks"] = count
    assert list(meeting_levels(row, BUY, YES)) == []
    assert list(meeting_levels(row, SELL, YES)) == [(4800, 3 * ONE), (4700, 5 * ONE)]


def test_depth_counts_levels_at_the_limit_or_better(row: np.void) -> None:
    assert [depth_within_e6(row, BUY, YES, limit) for limit in (4999, 5000, 5199, 5200)] == [
        0,
        2 * ONE,
        2 * ONE,
        6 * ONE,
    ]
    assert [depth_within_e6(row, SELL, NO, limit) for limit in (5001, 5000, 4800)] == [0, 2 * ONE, 6 * ONE]


@pytest.mark.parametrize(
    ("size", "bound", "price"),
    [
        (3 * ONE, 4000, 4800),
        (3 * ONE + 1, 4000, 4700),
        (99 * ONE, 4000, 4700),  # as much as is visible
        (3 * ONE + 1, 4750, 4800),  # as much as is good enough
        (ONE, 4801, NO_PRICE),
        (0, 4000, NO_PRICE),
    ],
)
def test_the_covering_price_is_the_last_level_needed_within_the_bound(
    row: np.void, size: int, bound: int, price: int
) -> None:
    assert covering_price_e4(one_row(row), 0, int(SELL), int(YES), size, bound) == price


@pytest.mark.parametrize("size", [-1, -(2**63), LEVEL_SIZE_MAX_E6 + 1, 2**63 - 1])
def test_a_book_ends_before_a_level_that_cannot_be_one(row: np.void, size: int) -> None:
    row["bid_size_e6"][1] = size
    assert covering_price_e4(one_row(row), 0, int(SELL), int(YES), 99 * ONE, 0) == 4800
    row["n_bids"] = TOP_LEVELS + 1
    assert covering_price_e4(one_row(row), 0, int(SELL), int(YES), 99 * ONE, 0) == NO_PRICE


@pytest.mark.parametrize("price", [-1, 10_001, -(2**31), -(2**31) + 9_999, 2**31 - 1])
def test_a_book_ends_before_a_price_that_cannot_be_one(row: np.void, price: int) -> None:
    row["bid_e4"][1] = row["ask_e4"][1] = price
    rows = one_row(row)
    assert covering_price_e4(rows, 0, int(SELL), int(YES), 99 * ONE, 0) == 4800
    assert covering_price_e4(rows, 0, int(SELL), int(NO), 99 * ONE, 0) == 5000
    assert covering_price_e4(rows, 0, int(BUY), int(YES), 99 * ONE, 10_000) == 5000
    assert covering_price_e4(rows, 0, int(BUY), int(NO), 99 * ONE, 10_000) == 5200


def test_the_covering_price_of_no_is_in_its_own_terms(row: np.void) -> None:
    rows = one_row(row)
    assert covering_price_e4(rows, 0, int(SELL), int(NO), 3 * ONE, 0) == 4800
    assert covering_price_e4(rows, 0, int(BUY), int(NO), 3 * ONE + 1, 10_000) == 5300
    assert covering_price_e4(rows, 0, int(BUY), int(NO), 3 * ONE + 1, 5299) == 5200


def test_within_is_inclusive() -> None:
    assert is_within(BUY, 5000, 5000)
    assert not is_within(BUY, 5001, 5000)
    assert is_within(SELL, 5000, 5000)
    assert not is_within(SELL, 4999, 5000)
