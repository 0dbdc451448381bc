from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from engine.catalog.defaults import (
    CENT_GRID,
    DECI_CENT_GRID,
    FeeTable,
    day_ns,
    default_grid,
    market_with_defaults,
    with_fee_of_date,
)
from engine.catalog.market import FeeKind, FeeSpec
from engine.errors import ConfigError
from engine.records import Venue
from engine.units import NS_PER_DAY
from tests.engine.catalog.specs import PLAIN

NOW = day_ns("2026-09-28")
FEES_TOML = Path(__file__).resolve().parents[3] / "config" / "fees.toml"


@pytest.fixture(scope="module")
def table() -> FeeTable:
    return FeeTable.from_tree(tomllib.loads(FEES_TOML.read_text()), "fees.toml")


@pytest.mark.parametrize(
    ("category", "day", "rate_ppm", "exponent_e3"),
    [
        ("crypto", "2025-12-11", 0, 1_000),  # before any fee
        ("crypto", "2026-01-04", 0, 1_000),
        ("crypto", "2026-01-05", 250_000, 2_000),
        ("crypto", "2026-03-29", 250_000, 2_000),
        ("crypto", "2026-03-30", 72_000, 1_000),
        ("crypto", "2026-07-10", 70_000, 1_000),
        ("sports", "2026-02-17", 0, 1_000),
        ("sports", "2026-02-18", 17_500, 1_000),
        ("sports", "2026-06-07", 30_000, 1_000),
        ("sports", "2026-07-10", 50_000, 1_000),
        ("weather", "2026-03-17", 0, 1_000),
        ("weather", "2026-08-03", 50_000, 1_000),
        ("economics", "2026-08-03", 50_000, 1_000),
        ("culture", "2026-08-03", 50_000, 1_000),
        ("other", "2026-08-03", 50_000, 1_000),
        ("finance", "2026-08-03", 40_000, 1_000),
        ("politics", "2026-08-03", 40_000, 1_000),
        ("tech", "2026-08-03", 40_000, 1_000),
        ("mentions", "2026-08-03", 40_000, 1_000),
        ("geopolitics", "2026-08-03", 0, 1_000),
    ],
)
def test_polymarkets_schedule_of_a_date(
    table: FeeTable, category: str, day: str, rate_ppm: int, exponent_e3: int
) -> None:
    spec = table.in_force(Venue.POLYMARKET, category, day_ns(day))
    assert spec is not None
    assert (spec.kind, spec.rate_ppm, spec.exponent_e3) == (FeeKind.POLYMARKET_CURVE, rate_ppm, exponent_e3)
    assert (spec.maker_rate_ppm, spec.unit_micros, spec.precision_micros) == (0, 10, 0)
    assert spec.valid_from_ns <= day_ns(day)
    assert spec.source


@pytest.mark.parametrize(
    ("day", "direct", "unit_micros", "precision_micros"),
    [
        ("2025-11-04", True, 100, 10_000),
        ("2025-11-04", False, 100, 10_000),
        ("2026-05-13", True, 100, 100),
        ("2026-05-13", False, 100, 10_000),
        ("2026-08-29", True, 100, 100),
        ("2026-08-30", True, 1, 100),
        ("2026-08-30", False, 1, 10_000),
    ],
)
def test_kalshis_rounding_of_a_date(
    table: FeeTable, day: str, direct: bool, unit_micros: int, precision_micros: int
) -> None:
    spec = table.in_force(Venue.KALSHI, "quadratic", day_ns(day), direct_member=direct)
    assert spec is not None
    assert (spec.rate_ppm, spec.maker_rate_ppm) == (70_000, 0)
    assert (spec.unit_micros, spec.precision_micros) == (unit_micros, precision_micros)


@pytest.mark.parametrize(
    ("fee_type", "maker_rate_ppm"),
    [("quadratic", 0), ("quadratic_with_maker_fees", 17_500), ("quadratic_with_combo_maker_fees", 35_000)],
)
def test_kalshis_maker_coefficients(table: FeeTable, fee_type: str, maker_rate_ppm: int) -> None:
    spec = table.in_force(Venue.KALSHI, fee_type, day_ns("2026-09-01"))
    assert spec is not None
    assert (spec.rate_ppm, spec.maker_rate_ppm) == (70_000, maker_rate_ppm)


@pytest.mark.parametrize(
    ("venue", "day", "category"),
    [
        (Venue.POLYMARKET, "2025-12-11", "*"),
        (Venue.POLYMARKET, "2026-02-21", "crypto"),
        (Venue.POLYMARKET, "2026-06-01", "crypto"),
        (Venue.KALSHI, "2026-09-01", "quadratic_with_combo_maker_fees"),
    ],
)
def test_an_unknown_category_pays_the_dearest(table: FeeTable, venue: Venue, day: str, category: str) -> None:
    for unknown in ("", "knitting"):
        spec = table.in_force(venue, unknown, day_ns(day))
        assert spec is not None
        assert spec.category == category


def test_before_the_first_row_nothing_is_known(table: FeeTable) -> None:
    assert table.in_force(Venue.POLYMARKET, "crypto", day_ns("2019-01-01")) is None
    assert table.in_force(Venue.POLYMARKET, "", day_ns("2019-01-01")) is None
    assert market_with_defaults(table, Venue.KALSHI, "X", day_ns("2019-01-01")).fee is None


@pytest.mark.parametrize(
    ("category", "day", "delay_ms"),
    [
        ("crypto", "2026-02-21", 500),
        ("crypto", "2026-03-10", 250),
        ("crypto", "2026-09-28", 150),
        ("sports", "2026-06-07", 3_000),
        ("weather", "2026-06-07", 0),
        ("crypto", "2024-06-07", 0),
    ],
)
def test_taker_delay_of_a_date(table: FeeTable, category: str, day: str, delay_ms: int) -> None:
    assert table.delay_ns(Venue.POLYMARKET, category, day_ns(day)) == delay_ms * 1_000_000


def test_days_begin_at_midnight_utc() -> None:
    assert day_ns("1970-01-02") == NS_PER_DAY
    assert day_ns("2026-09-28") == 1_790_553_600 * 10**9


def test_a_market_of_defaults_says_so(table: FeeTable) -> None:
    spec = market_with_defaults(table, Venue.POLYMARKET, "0x1", day_ns("2026-06-07"), category="sports")
    assert spec.defaulted == (
        "price_ranges",
        "lot_e6",
        "min_size_e6",
        "min_notional_micros",
        "fee",
        "taker_delay_ns",
    )
    assert (spec.lot_e6, spec.min_size_e6, spec.min_notional_micros) == (10_000, 5_000_000, 1_000_000)
    assert spec.fee is not None
    assert (spec.fee.rate_ppm, spec.taker_delay_ns) == (30_000, 3_000_000_000)
    assert (spec.mirror, spec.category) == (True, "sports")


def test_kalshi_trades_whole_contracts_by_default(table: FeeTable) -> None:
    spec = market_with_defaults(table, Venue.KALSHI, "T", day_ns("2026-05-13"))
    assert (spec.lot_e6, spec.min_size_e6, spec.min_notional_micros) == (1_000_000, 1_000_000, 0)


def test_a_market_with_a_schedule_keeps_it(table: FeeTable) -> None:
    fee = FeeSpec(kind=FeeKind.POLYMARKET_CURVE, rate_ppm=1)
    known = replace(market_with_defaults(table, Venue.POLYMARKET, "0x1", NOW), fee=fee, defaulted=())
    assert with_fee_of_date(known, table, NOW) is known


def test_a_market_without_a_schedule_gets_that_of_its_date(table: FeeTable) -> None:
    known = replace(PLAIN, venue=Venue.POLYMARKET, category="crypto", fee=None, defaulted=("lot_e6",))
    filled = with_fee_of_date(known, table, day_ns("2026-02-21"))
    assert filled.fee == table.in_force(Venue.POLYMARKET, "crypto", day_ns("2026-02-21"))
    assert filled.taker_delay_ns == 500_000_000
    assert filled.defaulted == ("lot_e6", "fee", "taker_delay_ns")
    assert replace(filled, fee=None, taker_delay_ns=0, defaulted=("lot_e6",)) == known


def test_a_stated_delay_stays_when_the_schedule_is_filled_in(table: FeeTable) -> None:
    known = replace(PLAIN, venue=Venue.POLYMARKET, category="crypto", fee=None, taker_delay_ns=7)
    filled = with_fee_of_date(known, table, NOW)
    assert (filled.taker_delay_ns, filled.defaulted) == (7, ("fee",))


def test_the_account_type_decides_kalshis_precision(table: FeeTable) -> None:
    for direct, precision in ((True, 100), (False, 10_000)):
        spec = market_with_defaults(table, Venue.KALSHI, "T", NOW, "quadratic", direct)
        assert spec.fee is not None
        assert spec.fee.precision_micros == precision


@pytest.mark.parametrize(
    ("venue", "day", "grid"),
    [
        (Venue.KALSHI, "2025-11-04", CENT_GRID),
        (Venue.KALSHI, "2026-03-08", CENT_GRID),
        (Venue.KALSHI, "2026-03-09", DECI_CENT_GRID),
        (Venue.POLYMARKET, "2025-01-25", DECI_CENT_GRID),
    ],
)
def test_default_grids(venue: Venue, day: str, grid: object) -> None:
    assert default_grid(venue, day_ns(day)) == grid


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"valid_from": "soon"}, r"fees.toml: schedule\[0\]: Invalid isoformat"),
        ({"rate_ppm": 2_000_000}, r"fees.toml: schedule\[0\].rate_ppm: 2000000 is out of range"),
        (
            {"direct_precision_micros": 10_001},
            r"schedule\[0\].direct_precision_micros: 10001 is out of range",
        ),
        ({"customer_precision_micros": 10_001}, r"customer_precision_micros: 10001 is out of range"),
        ({"unit_micros": 0}, r"unit_micros: 0 is out of range"),
        ({"exponent_e3": 700}, r"fee exponent 700/1000"),
        ({"venue": "kalshi"}, r"a Kalshi fee needs a balance precision"),
        ({"source": 1}, r"schedule\[0\].source: expected a text"),
    ],
)
def test_mistakes_in_the_table_name_their_place(change: dict[str, object], message: str) -> None:
    row = {
        "venue": "polymarket",
        "category": "c",
        "valid_from": "2026-01-01",
        "rate_ppm": 1_000,
        "source": "s",
    }
    with pytest.raises(ConfigError, match=message):
        FeeTable.from_tree({"schedule": [row | change]}, "fees.toml")
