"""Dispatch by schedule row, and the promise of estimates: never less than what the venue charges."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import fees
from engine.catalog.catalog import Catalog, MarketRows
from engine.catalog.market import FeeKind, FeeSpec, MarketSpec
from engine.records import Direction, Venue
from engine.units import PRICE_ONE_E4
from tests.plain_twin import PlainTwin

BUY, SELL = int(Direction.BUY), int(Direction.SELL)
CONTRACT = 1_000_000

CRYPTO = FeeSpec(kind=FeeKind.POLYMARKET_CURVE, rate_ppm=70_000, unit_micros=10)
OLD_CRYPTO = FeeSpec(kind=FeeKind.POLYMARKET_CURVE, rate_ppm=250_000, exponent_e3=2_000, unit_micros=10)
FREE = FeeSpec(kind=FeeKind.POLYMARKET_CURVE, rate_ppm=0, unit_micros=10)
DIRECT = FeeSpec(
    kind=FeeKind.KALSHI_QUADRATIC, rate_ppm=70_000, maker_rate_ppm=17_500, unit_micros=1, precision_micros=100
)
CUSTOMER = replace(DIRECT, unit_micros=100, precision_micros=10_000)
INDEX = replace(DIRECT, maker_rate_ppm=0, multiplier_ppm=500_000)
SPECS = (CRYPTO, OLD_CRYPTO, FREE, DIRECT, CUSTOMER, INDEX)


def rows_of(spec: FeeSpec | None) -> MarketRows:
    catalog = Catalog(1)
    catalog.add_market(
        MarketSpec(
            venue=Venue.KALSHI,
            symbol="M",
            price_ranges=((0, 10_000, 100),),
            lot_e6=10_000,
            min_size_e6=10_000,
            min_notional_micros=0,
            mirror=True,
            fee=spec,
        )
    )
    return catalog.rows


@pytest.fixture(scope="session", params=["compiled", "plain"])
def either(request: pytest.FixtureRequest, plain_twin: PlainTwin) -> ModuleType:
    return fees if request.param == "compiled" else plain_twin("engine.fees")


prices = st.integers(1, PRICE_ONE_E4 - 1)
lots = st.integers(1, 10**5).map(lambda lots: lots * 10_000)
fills = st.lists(st.tuples(prices, lots), min_size=1, max_size=10)
specs = st.sampled_from(SPECS)
directions = st.sampled_from([BUY, SELL])


def charged(
    either: ModuleType, rows: MarketRows, direction: int, order: list[tuple[int, int]], is_maker: int = 0
) -> int:
    total, account = 0, 0
    for price_e4, size_e6 in order:
        fee, account = either.realised_fee_micros(rows[0], direction, is_maker, price_e4, size_e6, account)
        total += fee
    return total


@pytest.mark.parametrize(
    ("spec", "price_e4", "size_e6", "fee_micros"),
    [
        (CRYPTO, 5_000, 100 * CONTRACT, 1_750_000),
        (OLD_CRYPTO, 5_000, 100 * CONTRACT, 1_562_500),
        (FREE, 5_000, 100 * CONTRACT, 0),
        (DIRECT, 5_200, CONTRACT, 17_500),
        (CUSTOMER, 5_600, 10 * CONTRACT, 180_000),
        (INDEX, 5_000, 100 * CONTRACT, 875_000),
    ],
)
def test_a_row_finds_its_venues_rule(
    either: ModuleType, spec: FeeSpec, price_e4: int, size_e6: int, fee_micros: int
) -> None:
    rows = rows_of(spec)
    assert either.estimate_taker_fee_micros(rows[0], price_e4, size_e6) == fee_micros
    assert charged(either, rows, BUY, [(price_e4, size_e6)]) == fee_micros


def test_makers_pay_kalshis_coefficient_and_nothing_at_polymarket(either: ModuleType) -> None:
    order = [(5_000, 100 * CONTRACT)]
    assert charged(either, rows_of(DIRECT), BUY, order, is_maker=1) == 437_500
    assert charged(either, rows_of(INDEX), BUY, order, is_maker=1) == 0
    assert charged(either, rows_of(CRYPTO), BUY, order, is_maker=1) == 0


def test_without_a_schedule_every_answer_is_unknown(either: ModuleType) -> None:
    row = rows_of(None)[0]
    assert either.estimate_taker_fee_micros(row, 5_000, CONTRACT) == fees.FEE_UNKNOWN
    assert either.estimate_split_fee_micros(row, 5_000, CONTRACT, 5) == fees.FEE_UNKNOWN
    assert either.realised_fee_micros(row, BUY, 0, 5_000, CONTRACT, 17) == (fees.FEE_UNKNOWN, 17)


def test_an_empty_slot_has_no_schedule_either(either: ModuleType) -> None:
    assert either.estimate_taker_fee_micros(Catalog(1).rows[0], 5_000, CONTRACT) == fees.FEE_UNKNOWN


@given(specs, fills, directions)
def test_estimates_of_the_fills_cover_the_order(
    either: ModuleType, spec: FeeSpec, order: list[tuple[int, int]], direction: int
) -> None:
    """One estimate a fill adds up to at least what the order pays, whatever the venue's account does."""
    rows = rows_of(spec)
    estimated = sum(either.estimate_taker_fee_micros(rows[0], price, size) for price, size in order)
    assert estimated >= charged(either, rows, direction, order)


@given(specs, prices, st.lists(lots, min_size=1, max_size=20), directions)
def test_the_split_estimate_covers_any_split_of_a_level(
    either: ModuleType, spec: FeeSpec, price_e4: int, parts: list[int], direction: int
) -> None:
    rows = rows_of(spec)
    estimated = either.estimate_split_fee_micros(rows[0], price_e4, sum(parts), len(parts))
    assert estimated >= charged(either, rows, direction, [(price_e4, part) for part in parts])
    assert estimated >= either.estimate_taker_fee_micros(rows[0], price_e4, sum(parts))


def test_a_split_costs_one_rounding_a_fill_and_one_unit_of_the_balance(either: ModuleType) -> None:
    one = either.estimate_taker_fee_micros(rows_of(DIRECT)[0], 5_000, 100 * CONTRACT)
    assert either.estimate_split_fee_micros(rows_of(DIRECT)[0], 5_000, 100 * CONTRACT, 3) == one + 2 + 100
    assert either.estimate_split_fee_micros(rows_of(DIRECT)[0], 5_000, 100 * CONTRACT, 1) == one
    assert either.estimate_split_fee_micros(rows_of(CRYPTO)[0], 5_000, 100 * CONTRACT, 3) == 1_750_020
    assert either.estimate_split_fee_micros(rows_of(FREE)[0], 5_000, 100 * CONTRACT, 3) == 0


@given(specs, prices, lots, st.integers(0, 99))
def test_the_estimate_is_within_one_unit_of_what_is_charged(
    either: ModuleType, spec: FeeSpec, price_e4: int, size_e6: int, account: int
) -> None:
    """Against us, but not by more than the venue's own rounding can take back."""
    row = rows_of(spec)[0]
    estimate = either.estimate_taker_fee_micros(row, price_e4, size_e6)
    for direction in (BUY, SELL):
        fee, _ = either.realised_fee_micros(row, direction, 0, price_e4, size_e6, account)
        assert 0 <= estimate - fee <= 2 * max(spec.precision_micros, 1)
