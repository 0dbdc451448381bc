"""Polymarket's curve: the venue's worked examples, and exact fractions for everything else."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt
from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.units import PRICE_ONE_E4, SIDE_SIZE_MAX_E6
from engine.venues.polymarket import fees
from tests.plain_twin import PlainTwin

CRYPTO, SPORTS, POLITICS, WEATHER = 70_000_000, 50_000_000, 40_000_000, 50_000_000
SHARE = 1_000_000


@pytest.fixture(scope="session", params=["compiled", "plain"])
def either(request: pytest.FixtureRequest, plain_twin: PlainTwin) -> ModuleType:
    return fees if request.param == "compiled" else plain_twin("engine.venues.polymarket.fees")


def exact_fee(rate_ppb: int, exponent_e3: int, price_e4: int, size_e6: int) -> int:
    """The same fee through fractions; the root of exponent 1/2 rounded up at 1e-9, as documented."""
    price = Fraction(price_e4, PRICE_ONE_E4)
    spread = price * (1 - price)
    if exponent_e3 == 500:
        squared = spread * 10**18
        root = isqrt(int(squared))
        curve = Fraction(root + (root * root < squared), 10**9)
    else:
        curve = spread ** (exponent_e3 // 1_000)
    if not 0 < price < 1:
        return 0
    dollars = Fraction(size_e6, SHARE) * Fraction(rate_ppb, 10**9) * curve
    return -(-dollars * 10**5 // 1) * 10  # up to five decimals


@pytest.mark.parametrize(
    ("shares_e6", "rate_ppb", "price_e4", "fee_micros"),
    [
        (100 * SHARE, CRYPTO, 5_000, 1_750_000),
        (100 * SHARE, SPORTS, 5_000, 1_250_000),
        (100 * SHARE, POLITICS, 3_000, 840_000),
        (100 * SHARE, CRYPTO, 9_500, 332_500),
        (SHARE, POLITICS, 10, 40),  # 0.00003996 becomes 0.00004
        (100 * SHARE, POLITICS, 250, 97_500),
        (100 * SHARE, POLITICS, 9_760, 93_700),  # 0.093696 up to five decimals
        (2 * SHARE, CRYPTO, 5_000, 35_000),  # YES and NO at 0.50 cost 0.035 a pair
        (SHARE, 0, 5_000, 0),  # geopolitics
        (1, CRYPTO, 1, 10),  # never below one unit
    ],
)
def test_worked_examples(
    either: ModuleType, shares_e6: int, rate_ppb: int, price_e4: int, fee_micros: int
) -> None:
    assert either.taker_fee_micros(rate_ppb, 1_000, price_e4, shares_e6) == fee_micros


@pytest.mark.parametrize(
    ("price_e4", "fee_micros"), [(5_000, 1_562_500), (100, 2_460), (9_900, 2_460), (2_000, 640_000)]
)
def test_first_crypto_curve_of_2026(either: ModuleType, price_e4: int, fee_micros: int) -> None:
    """Rate 0.25, exponent 2: 1.56 cents a share at 50 cents."""
    assert either.taker_fee_micros(250_000_000, 2_000, price_e4, 100 * SHARE) == fee_micros


@pytest.mark.parametrize(
    ("gross_price_e4", "kalshi_and_polymarket_cents"), [(500, 19), (1_000, 36), (3_000, 84), (5_000, 100)]
)
def test_polymarkets_part_of_the_cross_venue_break_even(
    either: ModuleType, gross_price_e4: int, kalshi_and_polymarket_cents: int
) -> None:
    """Rate 0.04 on 100 shares: 0.04 x p(1-p), the second term of the two-venue break-even."""
    fee = either.taker_fee_micros(POLITICS, 1_000, gross_price_e4, 100 * SHARE)
    assert fee == 4 * gross_price_e4 * (PRICE_ONE_E4 - gross_price_e4) // 100
    assert fee // 10_000 == kalshi_and_polymarket_cents


@given(
    st.integers(0, 10_000).map(lambda e4: e4 * 100_000),
    st.sampled_from([0, 500, 1_000, 2_000]),
    st.integers(0, PRICE_ONE_E4),
    st.one_of(st.integers(0, 10**9), st.integers(0, SIDE_SIZE_MAX_E6)),
)
@example(10**9, 1_000, 5_000, SIDE_SIZE_MAX_E6)
@example(10**9, 2_000, 5_000, SIDE_SIZE_MAX_E6)
@example(10**9, 500, 5_000, SIDE_SIZE_MAX_E6)
@example(10**9, 0, 1, SIDE_SIZE_MAX_E6)
@example(70_000_000, 1_000, 0, SHARE)
@example(70_000_000, 1_000, PRICE_ONE_E4, SHARE)
def test_every_exponent_is_exact(
    either: ModuleType, rate_ppb: int, exponent_e3: int, price_e4: int, size_e6: int
) -> None:
    expected = exact_fee(rate_ppb, exponent_e3, price_e4, size_e6)
    assert either.taker_fee_micros(rate_ppb, exponent_e3, price_e4, size_e6) == expected


@given(st.integers(0, 10**9), st.integers(0, PRICE_ONE_E4), st.integers(0, SIDE_SIZE_MAX_E6))
def test_the_public_schedule_is_exact_for_any_rate(
    either: ModuleType, rate_ppb: int, price_e4: int, size_e6: int
) -> None:
    assert either.taker_fee_micros(rate_ppb, 1_000, price_e4, size_e6) == exact_fee(
        rate_ppb, 1_000, price_e4, size_e6
    )


@given(st.integers(1, PRICE_ONE_E4 - 1), st.integers(1, SIDE_SIZE_MAX_E6))
def test_no_costs_what_yes_costs(either: ModuleType, price_e4: int, size_e6: int) -> None:
    yes = either.taker_fee_micros(WEATHER, 1_000, price_e4, size_e6)
    assert yes == either.taker_fee_micros(WEATHER, 1_000, PRICE_ONE_E4 - price_e4, size_e6)
    assert yes % fees.FEE_UNIT_MICROS == 0
