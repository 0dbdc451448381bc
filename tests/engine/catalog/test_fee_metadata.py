from __future__ import annotations

import tomllib

import pytest

from engine.catalog.defaults import FeeTable, day_ns
from engine.catalog.fee_metadata import kalshi_schedule, polymarket_schedule
from engine.catalog.market import FeeKind
from tests.engine.catalog.test_defaults import FEES_TOML

NOW = day_ns("2026-09-01")


@pytest.fixture(scope="module")
def table() -> FeeTable:
    return FeeTable.from_tree(tomllib.loads(FEES_TOML.read_text()), "fees.toml")


@pytest.mark.parametrize(
    ("rate", "exponent", "rate_ppm", "exponent_e3"),
    [
        ("0.05", "1", 50_000, 1_000),
        ("0.25", "2", 250_000, 2_000),
        ("0", "1", 0, 1_000),
        ("0.03", "0.5", 30_000, 500),
    ],
)
def test_gammas_fee_schedule(rate: str, exponent: str, rate_ppm: int, exponent_e3: int) -> None:
    spec = polymarket_schedule(rate, exponent, "weather", "gamma")
    assert spec is not None
    assert (spec.kind, spec.rate_ppm, spec.exponent_e3) == (FeeKind.POLYMARKET_CURVE, rate_ppm, exponent_e3)
    assert (spec.unit_micros, spec.category, spec.source) == (10, "weather", "gamma")


@pytest.mark.parametrize(
    ("rate", "exponent"),
    [
        ("", "1"),
        ("five", "1"),
        ("0.05", "1.5"),
        ("0.05", "3"),
        ("-0.05", "1"),
        ("1.5", "1"),
        ("0.0000001", "1"),
        ("0.05001", "2"),
    ],
)
def test_a_schedule_that_is_not_understood_is_unknown_not_free(rate: str, exponent: str) -> None:
    assert polymarket_schedule(rate, exponent) is None


def test_kalshis_series(table: FeeTable) -> None:
    spec = kalshi_schedule(table, "quadratic", "0.5", NOW)
    assert spec is not None
    assert (spec.taker_rate_ppb, spec.maker_rate_ppb) == (35_000_000, 0)
    assert spec.precision_micros == 100
    customer = kalshi_schedule(table, "quadratic_with_maker_fees", "1", NOW, direct_member=False)
    assert customer is not None
    assert (customer.maker_rate_ppb, customer.precision_micros) == (17_500_000, 10_000)


@pytest.mark.parametrize(
    ("fee_type", "multiplier", "at_ns"),
    [
        ("flat", "1", NOW),
        ("margin_market_maker_program_fees", "1", NOW),
        ("quadratic", "half", NOW),
        ("quadratic", "0.0000001", NOW),
        ("quadratic", "20", NOW),  # above one dollar a contract
        ("quadratic", "1", day_ns("2020-01-01")),
    ],
)
def test_a_series_without_a_known_formula(
    table: FeeTable, fee_type: str, multiplier: str, at_ns: int
) -> None:
    assert kalshi_schedule(table, fee_type, multiplier, at_ns) is None
