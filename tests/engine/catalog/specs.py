"""Market specs for the tests of the catalog."""

from __future__ import annotations

from dataclasses import replace

from engine.catalog.market import FeeKind, FeeSpec, GroupKind, MarketSpec
from engine.records import Venue

KALSHI_FEE = FeeSpec(
    kind=FeeKind.KALSHI_QUADRATIC, rate_ppm=70_000, maker_rate_ppm=17_500, unit_micros=1, precision_micros=100
)

PLAIN = MarketSpec(
    venue=Venue.KALSHI,
    symbol="M",
    price_ranges=((0, 10_000, 100),),
    lot_e6=10_000,
    min_size_e6=10_000,
    min_notional_micros=0,
    mirror=True,
    fee=KALSHI_FEE,
)


def market(symbol: str, venue: Venue = Venue.KALSHI, rules_text: str = "", title: str = "") -> MarketSpec:
    """A market of its own."""
    return replace(PLAIN, symbol=symbol, venue=venue, rules_text=rules_text, title=title)


def member(
    symbol: str,
    group: str = "event",
    kind: GroupKind = GroupKind.EXACTLY_ONE,
    size: int = 0,
    augmented: bool = False,
    venue: Venue = Venue.POLYMARKET,
) -> MarketSpec:
    """A market of a group."""
    return replace(
        PLAIN,
        symbol=symbol,
        venue=venue,
        group=group,
        group_kind=kind,
        group_size=size,
        neg_risk=True,
        neg_risk_augmented=augmented,
    )
