from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.catalog.market import MarketSpec
from engine.execution.semantics import (
    RULES,
    effective_expiry_ns,
    is_whole_cents,
    lot_at_e6,
    on_grid,
    round_price_e4,
    round_size_e6,
    stated_expiry_ns,
    takes_bids,
    yes_price_e4,
)
from engine.facts import market_facts
from engine.records import NO_PRICE, Direction, Outcome, TimeInForce, Venue
from tests.engine.sim.world import KALSHI, ONE, POLY, S, catalog_of

BUY, SELL, YES, NO = Direction.BUY, Direction.SELL, Outcome.YES, Outcome.NO
FAK, FOK, GTC = TimeInForce.FAK, TimeInForce.FOK, TimeInForce.GTC
TAPERED = replace(KALSHI, price_ranges=((0, 1_000, 10), (1_000, 9_000, 100), (9_000, 10_000, 10)))


def row(spec: MarketSpec) -> np.void:
    made: np.void = catalog_of(spec).rows[0]
    return made


@pytest.mark.parametrize(
    ("direction", "outcome", "price", "rounded"),
    [
        (BUY, YES, 5050, 5000),  # never pays more
        (SELL, YES, 5050, 5100),  # never receives less
        (BUY, NO, 5050, 5000),
        (SELL, NO, 5050, 5100),
        (BUY, YES, 5000, 5000),
        (SELL, NO, 5000, 5000),
        (BUY, YES, 10_000, 9900),
        (SELL, YES, 0, 100),
        (BUY, YES, 99, NO_PRICE),
        (SELL, YES, 9901, NO_PRICE),
        (BUY, NO, 99, NO_PRICE),
        (SELL, NO, 0, 100),
        (BUY, NO, 10_000, 9900),
    ],
)
def test_a_limit_is_rounded_onto_the_grid_against_us(
    direction: int, outcome: int, price: int, rounded: int
) -> None:
    assert round_price_e4(row(POLY), direction, outcome, price) == rounded


@pytest.mark.parametrize(
    ("price", "down", "up"),
    [(995, 990, 1_000), (1_050, 1_000, 1_100), (9_005, 9_000, 9_010), (9_000, 9_000, 9_000)],
)
def test_piecewise_grids(price: int, down: int, up: int) -> None:
    assert round_price_e4(row(TAPERED), BUY, YES, price) == down
    assert round_price_e4(row(TAPERED), SELL, YES, price) == up


@given(st.integers(0, 10_000), st.sampled_from(Direction), st.sampled_from(Outcome))
def test_rounding_is_the_nearest_allowed_price_that_is_no_worse(
    price: int, direction: int, outcome: int
) -> None:
    prices = [yes_price_e4(p, outcome) for p in range(10_001) if TAPERED.on_grid(p)]
    if direction == BUY:
        expected = max((p for p in prices if p <= price), default=NO_PRICE)
    else:
        expected = min((p for p in prices if p >= price), default=NO_PRICE)
    assert round_price_e4(row(TAPERED), direction, outcome, price) == expected


@given(st.integers(-5, 10_005))
def test_on_grid_is_the_specs_grid(price: int) -> None:
    assert on_grid(row(TAPERED), price) == TAPERED.on_grid(price)


@pytest.mark.parametrize(
    ("price", "lot"),
    [(5000, 20_000), (5300, ONE), (4810, 10 * ONE), (4805, 20 * ONE), (2500, 40_000), (100, ONE)],
)
def test_whole_cents_make_lots_of_their_own(price: int, lot: int) -> None:
    fine = row(replace(POLY, price_ranges=((0, 10_000, 5),)))
    for tif in (FAK, FOK):
        assert lot_at_e6(market_facts(fine), BUY, tif, price) == lot
    assert (
        lot_at_e6(market_facts(fine), SELL, FAK, price)
        == lot_at_e6(market_facts(fine), BUY, GTC, price)
        == 10_000
    )
    assert lot_at_e6(market_facts(row(KALSHI)), BUY, FAK, price) == 10_000
    assert is_whole_cents(lot, price)
    smaller = [n * 10_000 for n in range(1, lot // 10_000)]
    assert not any(is_whole_cents(size, price) for size in smaller)


@pytest.mark.parametrize(
    ("spec", "direction", "tif", "price", "size", "rounded"),
    [
        (POLY, BUY, FAK, 5300, 7_990_000, 7 * ONE),
        (POLY, BUY, GTC, 5300, 7_995_000, 7_990_000),
        (POLY, BUY, FAK, 5300, 4_990_000, 0),  # five shares at least
        (POLY, SELL, FAK, 5300, 4_990_000, 0),
        (POLY, BUY, FAK, 1000, 9 * ONE, 0),  # 90 cents
        (POLY, BUY, FAK, 1000, 10 * ONE, 10 * ONE),
        (POLY, SELL, FAK, 1000, 9 * ONE, 9 * ONE),
        (KALSHI, BUY, FAK, 5300, 19_999, 10_000),
        (KALSHI, BUY, FAK, 5300, 9_999, 0),
    ],
)
def test_sizes_are_rounded_down_or_nothing(
    spec: MarketSpec, direction: int, tif: int, price: int, size: int, rounded: int
) -> None:
    assert round_size_e6(row(spec), direction, tif, price, size) == rounded


def test_which_side_of_the_yes_book_an_order_meets() -> None:
    assert takes_bids(SELL, YES)
    assert takes_bids(BUY, NO)
    assert not takes_bids(BUY, YES)
    assert not takes_bids(SELL, NO)
    assert (yes_price_e4(4800, YES), yes_price_e4(4800, NO)) == (4800, 5200)


def test_the_table_of_venues() -> None:
    poly, kalshi = RULES[Venue.POLYMARKET], RULES[Venue.KALSHI]
    assert set(RULES) == set(Venue)
    assert (poly.confirms, poly.nets_pairs, poly.converts) == (True, False, True)
    assert (kalshi.confirms, kalshi.nets_pairs, kalshi.converts) == (False, True, False)
    assert poly.whole_cent_buys == {FOK, FAK}
    assert not kalshi.whole_cent_buys


def test_an_expiry_is_stated_so_that_the_order_lives_long_enough() -> None:
    poly, kalshi = RULES[Venue.POLYMARKET], RULES[Venue.KALSHI]
    now = 1_000 * S
    assert effective_expiry_ns(kalshi, 0) == 0
    assert effective_expiry_ns(kalshi, now + 1) == now
    assert effective_expiry_ns(poly, now) == now - 60 * S
    for rules in (poly, kalshi):
        for until in (now + 1, now + S, now + 500 * S + 3):
            stated = stated_expiry_ns(rules, until, now)
            assert stated % S == 0
            assert effective_expiry_ns(rules, stated) >= until
            assert stated >= now + rules.expiry_min_ns
    assert stated_expiry_ns(kalshi, now + 500 * S, now) == now + 500 * S
