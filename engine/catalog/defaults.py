"""What stands in where a recording carries no market metadata: grids, lots, and the fee schedule of its date.

Defaults lean against us: the dearest schedule for an unknown category, whole contracts where fractions may
not be allowed. Every field that a default filled is named in ``MarketSpec.defaulted``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from engine import typed_tree
from engine.catalog.market import FeeKind, FeeSpec, MarketSpec
from engine.records import Venue
from engine.typed_tree import bounded
from engine.units import CASH_ONE_MICROS, NS_PER_DAY, NS_PER_S, PPM, SIZE_ONE_E6
from engine.venues.polymarket.fees import FEE_UNIT_MICROS

EVERY_CATEGORY: Final = "*"
Ranges = tuple[tuple[int, int, int], ...]

# A grid finer than the market's own does no harm to a taker: its prices are those of the book. A coarser one
# would put levels of the book off the grid. So the default is a tenth of a cent, wherever that can occur.
CENT_GRID: Final[Ranges] = ((0, 10_000, 100),)
DECI_CENT_GRID: Final[Ranges] = ((0, 10_000, 10),)
KALSHI_SUBPENNY_FROM: Final = "2026-03-09"

_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
# fee at 50 cents of rate 1, in sixteenths: (1/4)^exponent
_PEAK_SIXTEENTHS: Final[Mapping[int, int]] = {0: 16, 500: 8, 1_000: 4, 2_000: 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sizes:
    lot_e6: int
    min_size_e6: int
    min_notional_micros: int


# Kalshi enabled fractions market by market from 2026-03-12; whole contracts are accepted everywhere.
SIZES: Final[Mapping[Venue, _Sizes]] = {
    Venue.POLYMARKET: _Sizes(
        lot_e6=SIZE_ONE_E6 // 100, min_size_e6=5 * SIZE_ONE_E6, min_notional_micros=CASH_ONE_MICROS
    ),
    Venue.KALSHI: _Sizes(lot_e6=SIZE_ONE_E6, min_size_e6=SIZE_ONE_E6, min_notional_micros=0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One row of fees.toml: what a category of markets pays from a day on (UTC, "YYYY-MM-DD")."""

    venue: Venue
    category: str
    valid_from: str
    rate_ppm: int = typed_tree.required(0, PPM)
    exponent_e3: int = bounded(1_000, 0, 2_000)
    maker_rate_ppm: int = bounded(0, 0, PPM)
    unit_micros: int = bounded(FEE_UNIT_MICROS, 1, 10_000)
    direct_precision_micros: int = bounded(0, 0, 10_000)
    customer_precision_micros: int = bounded(0, 0, 10_000)
    source: str

    def __post_init__(self) -> None:
        day_ns(self.valid_from)
        self.spec(direct_member=True)

    def spec(self, direct_member: bool) -> FeeSpec:
        """Fee schedule of a market under this row."""
        is_kalshi = self.venue is Venue.KALSHI
        return FeeSpec(
            kind=FeeKind.KALSHI_QUADRATIC if is_kalshi else FeeKind.POLYMARKET_CURVE,
            rate_ppm=self.rate_ppm,
            exponent_e3=self.exponent_e3,
            maker_rate_ppm=self.maker_rate_ppm,
            unit_micros=self.unit_micros,
            precision_micros=self.direct_precision_micros
            if direct_member
            else self.customer_precision_micros,
            valid_from_ns=day_ns(self.valid_from),
            category=self.category,
            source=self.source,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TakerDelay:
    """One row of fees.toml: how long a marketable order of a category waits from a day on."""

    venue: Venue
    category: str
    valid_from: str
    delay_ns: int = typed_tree.required(0, 60 * NS_PER_S)
    source: str

    def __post_init__(self) -> None:
        day_ns(self.valid_from)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeTable:
    """Schedules and delays by venue, category and date; the content of fees.toml."""

    schedule: tuple[Schedule, ...]
    taker_delay: tuple[TakerDelay, ...] = ()

    @classmethod
    def from_tree(cls, tree: Mapping[str, object], source: str) -> FeeTable:
        """Table of a parsed fees.toml; ConfigError naming file and key."""
        return typed_tree.build(cls, tree, source)

    def in_force(self, venue: Venue, category: str, at_ns: int, direct_member: bool = True) -> FeeSpec | None:
        """Schedule of ``category`` at ``at_ns``; the dearest in force when the category is not in the table.

        None before the first row: the schedule is unknown.
        """
        newest = self._newest(venue, at_ns)
        if self.knows(venue, category):
            row = newest.get(category, newest.get(EVERY_CATEGORY))
        else:
            row = max(newest.values(), key=_dearness, default=None)
        return row.spec(direct_member) if row else None

    def knows(self, venue: Venue, category: str) -> bool:
        """Whether the table has a row of this very category."""
        return any(row.venue is venue and row.category == category for row in self.schedule)

    def delay_ns(self, venue: Venue, category: str, at_ns: int) -> int:
        """Taker delay of ``category`` at ``at_ns``; 0 where the table has none."""
        rows = [row for row in self.taker_delay if row.venue is venue and row.category == category]
        begun = [row for row in rows if day_ns(row.valid_from) <= at_ns]
        return max(begun, key=lambda row: row.valid_from).delay_ns if begun else 0

    def _newest(self, venue: Venue, at_ns: int) -> dict[str, Schedule]:
        newest: dict[str, Schedule] = {}
        for row in sorted(self.schedule, key=lambda row: row.valid_from):
            if row.venue is venue and day_ns(row.valid_from) <= at_ns:
                newest[row.category] = row
        return newest


def _dearness(row: Schedule) -> tuple[int, int, int]:
    return row.rate_ppm * _PEAK_SIXTEENTHS[row.exponent_e3], row.maker_rate_ppm, row.unit_micros


def day_ns(day: str) -> int:
    """Start of an ISO day (UTC) in ns since 1970; ValueError when it is not one."""
    return (date.fromisoformat(day).toordinal() - _EPOCH_ORDINAL) * NS_PER_DAY


def with_fee_of_date(spec: MarketSpec, table: FeeTable, at_ns: int, direct_member: bool = True) -> MarketSpec:
    """``spec`` with the schedule, and the taker delay, of its category at ``at_ns``, named in ``defaulted``.

    A market that carries a schedule of its own is answered as it is: its delay was stated with it.
    """
    if spec.fee is not None:
        return spec
    delay = spec.taker_delay_ns or table.delay_ns(spec.venue, spec.category, at_ns)
    filled = ["fee"] if spec.taker_delay_ns else ["fee", "taker_delay_ns"]
    return replace(
        spec,
        fee=table.in_force(spec.venue, spec.category, at_ns, direct_member),
        taker_delay_ns=delay,
        defaulted=(*spec.defaulted, *filled),
    )


def market_with_defaults(
    table: FeeTable, venue: Venue, symbol: str, at_ns: int, category: str = "", direct_member: bool = True
) -> MarketSpec:
    """Market of which a recording from ``at_ns`` says nothing but its symbol; every default is named.

    What is known beside (tokens, title, group, close time) is added with ``dataclasses.replace``.
    """
    sizes = SIZES[venue]
    spec = MarketSpec(
        venue=venue,
        symbol=symbol,
        price_ranges=default_grid(venue, at_ns),
        lot_e6=sizes.lot_e6,
        min_size_e6=sizes.min_size_e6,
        min_notional_micros=sizes.min_notional_micros,
        mirror=True,
        category=category,
        defaulted=("price_ranges", "lot_e6", "min_size_e6", "min_notional_micros"),
    )
    return with_fee_of_date(spec, table, at_ns, direct_member)


def default_grid(venue: Venue, at_ns: int) -> Ranges:
    """Price grid of a market whose own is not known, at ``at_ns``."""
    if venue is Venue.KALSHI and at_ns < day_ns(KALSHI_SUBPENNY_FROM):
        return CENT_GRID
    return DECI_CENT_GRID
