"""Kalshi's fee: the documented and recorded vectors, then the rounding account against exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.records import Direction
from engine.units import PRICE_ONE_E4, SIDE_SIZE_MAX_E6
from engine.venues.kalshi import fees
from tests.plain_twin import PlainTwin

BUY, SELL = int(Direction.BUY), int(Direction.SELL)
TAKER, MAKER, COMBO_MAKER, INDEX = 70_000_000, 17_500_000, 35_000_000, 35_000_000
DIRECT, CUSTOMER = 100, 10_000
FINE, COARSE = 1, 100
CONTRACT = 1_000_000


@pytest.fixture(scope="session", params=["compiled", "plain"])
def either(request: pytest.FixtureRequest, plain_twin: PlainTwin) -> ModuleType:
    return fees if request.param == "compiled" else plain_twin("engine.venues.kalshi.fees")


def one_fill(
    either: ModuleType,
    size_e6: int,
    price_e4: int,
    rate_ppb: int = TAKER,
    precision: int = DIRECT,
    unit: int = FINE,
    direction: int = BUY,
    accumulator: int = 0,
) -> tuple[int, int, int]:
    """Fee, change of cash and rounding account of one fill."""
    revenue = either.revenue_micros(direction, price_e4, size_e6)
    trade_fee = either.trade_fee_micros(rate_ppb, unit, price_e4, size_e6)
    fee, account = either.fill_fee_micros(trade_fee, precision, revenue, accumulator)
    return fee, revenue - fee, account


@pytest.mark.parametrize(
    ("size_e6", "price_e4", "rate_ppb", "precision", "fee_micros", "cash_micros"),
    [
        (1 * CONTRACT, 5_000, TAKER, DIRECT, 17_500, -517_500),
        (1 * CONTRACT, 5_200, TAKER, DIRECT, 17_500, -537_500),  # recorded on the demo exchange: 0.017500
        (10 * CONTRACT, 5_600, TAKER, DIRECT, 172_500, -5_772_500),
        (100 * CONTRACT, 5_000, TAKER, DIRECT, 1_750_000, -51_750_000),
        (100 * CONTRACT, 500, TAKER, DIRECT, 332_500, -5_332_500),
        (250 * CONTRACT, 9_700, TAKER, DIRECT, 509_300, -243_009_300),
        (100 * CONTRACT, 5_000, MAKER, DIRECT, 437_500, -50_437_500),
        (100 * CONTRACT, 5_000, COMBO_MAKER, DIRECT, 875_000, -50_875_000),
        (100 * CONTRACT, 5_000, INDEX, DIRECT, 875_000, -50_875_000),
        (10 * CONTRACT, 5_600, TAKER, CUSTOMER, 180_000, -5_780_000),
        (1 * CONTRACT, 550, TAKER, CUSTOMER, 5_000, -60_000),
    ],
)
def test_vectors_of_the_fee_rounding_page(
    either: ModuleType,
    size_e6: int,
    price_e4: int,
    rate_ppb: int,
    precision: int,
    fee_micros: int,
    cash_micros: int,
) -> None:
    fee, cash, _ = one_fill(either, size_e6, price_e4, rate_ppb, precision)
    assert (fee, cash) == (fee_micros, cash_micros)


def test_documented_customer_example_step_by_step(either: ModuleType) -> None:
    trade_fee = either.trade_fee_micros(TAKER, FINE, 550, CONTRACT)
    assert trade_fee == 3_639  # 0.00363825 up to 1e-6
    fee, account = either.fill_fee_micros(trade_fee, CUSTOMER, -55_000, 0)
    assert fee - trade_fee == 1_361 == account


def test_four_equal_fills_pay_what_one_fill_would(either: ModuleType) -> None:
    account, paid = 0, []
    for _ in range(4):
        fee, _, account = one_fill(either, 3_370_000, 3_310, accumulator=account)
        paid.append(fee)
    assert paid == [52_330, 52_230, 52_230, 52_230]
    whole, _, _ = one_fill(either, 4 * 3_370_000, 3_310)
    assert sum(paid) == 209_020 == whole


@pytest.mark.parametrize(
    ("contracts", "price_e4", "fee_cents"),
    [
        (1, 5_000, 2),
        (100, 5_000, 175),
        (100, 4_000, 168),
        (100, 5_500, 174),
        (1, 4_000, 2),
        (37, 6_300, 61),
        (1_000, 500, 333),
        (1, 9_900, 1),
    ],
)
def test_classic_total_rounded_up_to_the_cent(
    either: ModuleType, contracts: int, price_e4: int, fee_cents: int
) -> None:
    """Whole contracts at whole cents before 2026: precision of a cent, trade fee up to 1e-4."""
    fee, _, _ = one_fill(either, contracts * CONTRACT, price_e4, precision=CUSTOMER, unit=COARSE)
    assert fee == fee_cents * 10_000


@pytest.mark.parametrize(
    ("price_e4", "fee_micros"), [(5_000, 17_500), (1_000, 6_300), (9_000, 6_300), (500, 3_325), (200, 1_372)]
)
def test_break_even_of_one_taker_side(either: ModuleType, price_e4: int, fee_micros: int) -> None:
    assert either.trade_fee_micros(TAKER, FINE, price_e4, CONTRACT) == fee_micros


def test_until_late_august_the_trade_fee_went_up_to_a_hundredth_of_a_cent(either: ModuleType) -> None:
    assert either.trade_fee_micros(TAKER, COARSE, 3_310, 3_370_000) == 52_300
    assert either.trade_fee_micros(TAKER, FINE, 3_310, 3_370_000) == 52_238


sizes = st.one_of(st.integers(1, 10**9), st.integers(1, SIDE_SIZE_MAX_E6))
lots = st.integers(1, 10**6).map(lambda lots: lots * 10_000)
prices = st.integers(1, PRICE_ONE_E4 - 1)


@given(st.integers(0, 10**9), st.sampled_from([FINE, COARSE]), prices, sizes)
@example(10**9, COARSE, 5_000, SIDE_SIZE_MAX_E6)
@example(10**9, FINE, 5_000, SIDE_SIZE_MAX_E6)
def test_trade_fee_is_the_model_rounded_up(
    either: ModuleType, rate_ppb: int, unit: int, price_e4: int, size_e6: int
) -> None:
    price = Fraction(price_e4, PRICE_ONE_E4)
    model = Fraction(rate_ppb, 10**9) * size_e6 * price * (1 - price)  # in micro-dollars
    assert either.trade_fee_micros(rate_ppb, unit, price_e4, size_e6) == -(-model // unit) * unit


@given(prices, sizes)
def test_revenue_leans_against_us(either: ModuleType, price_e4: int, size_e6: int) -> None:
    notional = Fraction(size_e6 * price_e4, PRICE_ONE_E4)
    assert either.revenue_micros(BUY, price_e4, size_e6) == -math.ceil(notional)
    assert either.revenue_micros(SELL, price_e4, size_e6) == math.floor(notional)


@given(
    st.lists(st.tuples(prices, lots), min_size=1, max_size=12),
    st.sampled_from([TAKER, MAKER, INDEX, 0]),
    st.sampled_from([DIRECT, CUSTOMER]),
    st.sampled_from([FINE, COARSE]),
    st.sampled_from([BUY, SELL]),
)
def test_the_account_of_an_order(
    either: ModuleType,
    fills: list[tuple[int, int]],
    rate_ppb: int,
    precision: int,
    unit: int,
    direction: int,
) -> None:
    """An order pays its trade fees and what is left in the account; no fee is negative, no full unit kept."""
    account, charged, trade_fees = 0, 0, 0
    for price_e4, size_e6 in fills:
        before = account
        fee, _, account = one_fill(
            either, size_e6, price_e4, rate_ppb, precision, unit, direction, accumulator=before
        )
        trade_fee = either.trade_fee_micros(rate_ppb, unit, price_e4, size_e6)
        assert fee == trade_fee + account - before
        assert fee >= 0
        assert 0 <= account < precision
        charged += fee
        trade_fees += trade_fee
    assert charged == trade_fees + account


@given(prices, lots, st.sampled_from([DIRECT, CUSTOMER]), st.sampled_from([BUY, SELL]))
def test_a_first_fill_leaves_the_balance_aligned(
    either: ModuleType, price_e4: int, size_e6: int, precision: int, direction: int
) -> None:
    _, cash, _ = one_fill(either, size_e6, price_e4, precision=precision, direction=direction)
    assert cash % precision == 0
