from __future__ import annotations

from dataclasses import replace

import pytest

from engine.catalog.defaults import day_ns
from engine.catalog.proposition import WEATHER_SUBJECT, Proposition, read_proposition
from engine.records import Venue
from tests.engine.catalog.specs import market

AUSTIN = tuple(
    f"KXHIGHAUS-26AUG08-{strike}" for strike in ("T95", "B95.5", "B97.5", "B99.5", "B101.5", "T102")
)

WUNDERGROUND = (
    "This market will resolve to the temperature range that contains the highest temperature recorded at the"
    " LaGuardia Airport Station in degrees Fahrenheit on 21 Jun '26. The resolution source for this market"
    " will be information from Wunderground."
)


def titled(title: str, venue: Venue = Venue.POLYMARKET, rules: str = "", close: str = "") -> Proposition:
    spec = replace(market("0x1", venue, rules, title), close_ns=day_ns(close) if close else 0)
    return read_proposition(spec)


@pytest.mark.parametrize(
    ("title_bin", "bounds", "unit"),
    [
        ("between 98-99°F", "98..99", "f"),
        ("87°F or below", "..87", "f"),
        ("106°F or higher", "106..", "f"),
        ("32°C", "32..32", "c"),
        ("between -3--1°C", "-3..-1", "c"),
        ("mild", "", ""),
    ],
)
def test_temperature_bins_in_words(title_bin: str, bounds: str, unit: str) -> None:
    read = titled(f"Will the highest temperature in Austin be {title_bin} on August 8?", close="2026-08-08")
    assert (read.subject, read.place, read.day) == (WEATHER_SUBJECT, "austin", "2026-08-08")
    assert (read.bounds, read.unit) == (bounds, unit)


@pytest.mark.parametrize(
    ("symbol", "bounds"),
    [
        ("KXHIGHAUS-26AUG08-T95", "..94"),
        ("KXHIGHAUS-26AUG08-B95.5", "95..96"),
        ("KXHIGHAUS-26AUG08-B101.5", "101..102"),
        ("KXHIGHAUS-26AUG08-T102", "103.."),
    ],
)
def test_temperature_bins_in_tickers(symbol: str, bounds: str) -> None:
    read = read_proposition(market(symbol), AUSTIN)
    assert (read.place, read.day, read.unit) == ("austin", "2026-08-08", "f")
    assert (read.bounds, read.source) == (bounds, "national weather service")


def test_a_tail_without_its_event_has_no_side() -> None:
    assert read_proposition(market("KXHIGHAUS-26AUG08-T95")).bounds == ""
    assert read_proposition(market("KXHIGHAUS-26AUG08-T98"), AUSTIN).bounds == ""  # between the bins


def test_source_and_station_come_from_the_rules() -> None:
    title = "Will the highest temperature in New York City be between 82-83°F on June 21?"
    read = titled(title, rules=WUNDERGROUND, close="2026-06-21")
    assert (read.source, read.station, read.place) == ("wunderground", "laguardia airport", "new york city")


def test_two_sources_are_both_named() -> None:
    assert titled("x", rules="Binance, or Coinbase if unavailable").source == "binance+coinbase"


def test_a_polymarket_symbol_is_not_read_as_a_ticker() -> None:
    assert read_proposition(market(AUSTIN[1], Venue.POLYMARKET)).subject != WEATHER_SUBJECT


@pytest.mark.parametrize(
    ("title", "bounds"),
    [
        ("Bitcoin above $110,000 on August 8?", "> 110000"),
        ("Bitcoin at least $110,000 on August 8?", ">= 110000"),
        ("Bitcoin 110,000 or above on August 8?", ">= 110000"),
        ("Unemployment below 4.5% in July?", "< 4.5"),
        ("Fewer than 3 rate cuts?", "< 3"),
        ("At most 3 rate cuts?", "<= 3"),
        ("Will it rain on August 8?", ""),
    ],
)
def test_a_threshold_keeps_its_operator(title: str, bounds: str) -> None:
    assert titled(title).bounds == bounds


@pytest.mark.parametrize(
    ("title", "close", "day"),
    [
        ("Rain on August 8?", "", "?-08-08"),
        ("Rain on August 8?", "2026-08-08", "2026-08-08"),
        ("Rain on Aug 8, 2025?", "2026-08-08", "2025-08-08"),
        ("Rain at all?", "2026-08-08", ""),
    ],
)
def test_days_in_words(title: str, close: str, day: str) -> None:
    assert titled(title, close=close).day == day


def test_a_year_lasts_until_its_last_nanosecond() -> None:
    spec = market("0x1", Venue.POLYMARKET, "", "Rain on December 31?")
    for close_ns, year in ((day_ns("2027-01-01") - 1, 2026), (day_ns("2027-01-01"), 2027)):
        assert read_proposition(replace(spec, close_ns=close_ns)).day == f"{year}-12-31"


@pytest.mark.parametrize(
    ("symbol", "day"),
    [
        ("KXFEDDECISION-26OCT-H26", "2026-10"),
        ("KXRAIN-26AUG08-X", "2026-08-08"),
        ("KXRAIN-26XYZ", ""),
        ("KXRAIN", ""),
    ],
)
def test_days_in_tickers(symbol: str, day: str) -> None:
    assert read_proposition(market(symbol)).day == day


def test_words_leave_out_what_every_title_has() -> None:
    assert titled("Will the Fed cut rates on September 17?").words == {"fed", "cut", "rates"}
