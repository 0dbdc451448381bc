from __future__ import annotations

import json
from dataclasses import replace

import pytest

from engine.catalog.market import FeeKind, FeeSpec, GroupKind, MarketSpec
from engine.errors import ConfigError
from engine.records import Venue
from tests.engine.catalog.specs import KALSHI_FEE, PLAIN

FULL = MarketSpec(
    venue=Venue.POLYMARKET,
    symbol="0xabc",
    yes_token="111",
    no_token="222",
    title="Will it rain?",
    category="weather",
    group="0xgroup",
    group_kind=GroupKind.EXACTLY_ONE,
    group_size=11,
    neg_risk=True,
    neg_risk_augmented=True,
    price_ranges=((0, 1_000, 10), (1_000, 9_000, 100), (9_000, 10_000, 10)),
    lot_e6=10_000,
    min_size_e6=5_000_000,
    min_notional_micros=1_000_000,
    fee=FeeSpec(kind=FeeKind.POLYMARKET_CURVE, rate_ppm=50_000, unit_micros=10, source="gamma"),
    open_ns=1,
    close_ns=2**62,
    mirror=False,
    taker_delay_ns=3,
    rules_text="Line one.\nLine two.",
    defaulted=("lot_e6",),
)


@pytest.mark.parametrize("spec", [FULL, PLAIN, replace(PLAIN, fee=None)])
def test_a_market_survives_json(spec: MarketSpec) -> None:
    assert MarketSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_enums_travel_as_words() -> None:
    tree = FULL.to_dict()
    assert (tree["venue"], tree["group_kind"]) == ("polymarket", "exactly_one")
    assert tree["price_ranges"] == [[0, 1_000, 10], [1_000, 9_000, 100], [9_000, 10_000, 10]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grupp": ""}, r"header: grupp: unknown key \(did you mean group\?\)"),
        ({"lot_e6": "10000"}, "header: lot_e6: expected an integer, got '10000'"),
        ({"lot_e6": True}, "header: lot_e6: expected an integer, got True"),
        ({"lot_e6": 0}, "header: lot_e6: 0 is out of range"),
        ({"mirror": 1}, "header: mirror: expected true or false, got 1"),
        ({"venue": "predictit"}, "header: venue: expected one of polymarket, kalshi, got 'predictit'"),
        ({"price_ranges": [[0, 1]]}, r"header: price_ranges\[0\]: expected 3 items, got 2"),
        ({"price_ranges": []}, "0xabc: 0 price ranges"),
        ({"fee": {"kind": "polymarket_curve", "rate": 1}}, "header: fee.rate: unknown key"),
        ({"symbol": ""}, "a market needs a symbol"),
        ({"group": ""}, "group and group_kind go together"),
        ({"no_token": "111"}, "both outcomes have the token 111"),
        ({"min_size_e6": 5_000_001}, "not whole lots"),
    ],
)
def test_mistakes_name_the_key(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MarketSpec.from_dict(FULL.to_dict() | change, "header")


@pytest.mark.parametrize("key", ["venue", "symbol", "price_ranges", "lot_e6", "min_size_e6", "mirror"])
def test_what_has_no_default_is_missed(key: str) -> None:
    tree = FULL.to_dict()
    del tree[key]
    with pytest.raises(ConfigError, match=f"{key}: missing"):
        MarketSpec.from_dict(tree)


@pytest.mark.parametrize(
    "ranges",
    [
        ((0, 10_000, 0),),
        ((0, 10_001, 1),),
        ((-100, 10_000, 100),),
        ((5_000, 5_000, 100),),
        ((0, 1_000, 300),),  # the end is not a step
        ((0, 5_000, 100), (4_000, 10_000, 100)),
        ((0, 10, 1),) * 17,
    ],
)
def test_price_ranges_that_are_no_grid(ranges: tuple[tuple[int, int, int], ...]) -> None:
    with pytest.raises(ValueError, match="price range"):
        replace(PLAIN, price_ranges=ranges)


@pytest.mark.parametrize("price_e4", [10, 1_000, 1_100, 9_000, 9_010, 9_990])
def test_prices_on_the_grid(price_e4: int) -> None:
    assert FULL.on_grid(price_e4)


@pytest.mark.parametrize("price_e4", [-10, 0, 15, 1_010, 10_000])
def test_prices_off_the_grid_or_not_inside_zero_and_one(price_e4: int) -> None:
    assert not FULL.on_grid(price_e4)


def test_a_gap_between_ranges_holds_no_price() -> None:
    assert not replace(PLAIN, price_ranges=((0, 1_000, 100), (9_000, 10_000, 100))).on_grid(5_000)


def test_effective_rates_include_the_multiplier() -> None:
    index = replace(KALSHI_FEE, multiplier_ppm=500_000)
    assert (index.taker_rate_ppb, index.maker_rate_ppb) == (35_000_000, 8_750_000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exponent_e3": 1_500}, "exponent 1500/1000"),
        ({"precision_micros": 0}, "needs a balance precision"),
        ({"exponent_e3": 2_000}, "needs a balance precision and exponent 1"),
        ({"rate_ppm": 600_000, "multiplier_ppm": 2_000_000}, "not exact within 0..1"),
        ({"multiplier_ppm": 1}, "not exact within 0..1"),
        ({"rate_ppm": -1_000}, "not exact within 0..1"),
        ({"maker_rate_ppm": -1_000}, "not exact within 0..1"),
    ],
)
def test_schedules_beyond_exact_arithmetic_are_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(KALSHI_FEE, **change)  # type: ignore[arg-type]


def test_the_squared_curve_has_four_decimals_of_rate() -> None:
    with pytest.raises(ValueError, match="at most four decimals"):
        FeeSpec(kind=FeeKind.POLYMARKET_CURVE, rate_ppm=250_001, exponent_e3=2_000)
