"""What is known of one market: identity, price grid, sizes, fee schedule, group, life.

A MarketSpec is venue metadata as we understood it, immutable, and travels as JSON in recording headers.
Where metadata was absent a default stands in and ``defaulted`` names the fields, for a summary to say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple, cast

from engine import typed_tree
from engine.records import Venue
from engine.units import CASH_MAX_MICROS, PPM, PRICE_ONE_E4, SIDE_SIZE_MAX_E6

RANGES_MAX: Final = 16
EXPONENTS_E3: Final = (0, 500, 1_000, 2_000)  # those whose fee can be computed in int64 steps
_SQUARED_RATE_STEP_PPM: Final = 100  # rate x (p(1-p))^2 fits 63 bits only with four decimals of rate


class FeeKind(IntEnum):
    """Shape of a venue's fee."""

    UNKNOWN = 0
    POLYMARKET_CURVE = 1  # shares x rate x (p(1-p))^exponent, takers only
    KALSHI_QUADRATIC = 2  # contracts x coefficient x multiplier x p(1-p), then the per-order rounding account


class GroupKind(IntEnum):
    """What is certain about the markets of one group."""

    NONE = 0
    AT_MOST_ONE = 1  # mutually exclusive; all may settle NO
    EXACTLY_ONE = 2


class MarketRef(NamedTuple):
    """Reference to a market: a slot may be recycled, the pair never is."""

    slot: int
    generation: int


@dataclass(frozen=True, slots=True)
class FeeSpec:
    """Fee schedule of one market. Rates in ppm of a dollar a contract; ``source`` says where it was read.

    ``unit_micros``: the trade fee is rounded up to multiples of it. ``precision_micros``: Kalshi's alignment
    of the member's balance (100 direct, 10,000 customers of a broker); 0 where the venue has none.
    Raises ValueError for a schedule that the integer arithmetic cannot reproduce exactly.
    """

    kind: FeeKind
    rate_ppm: int = typed_tree.bounded(0, 0, PPM)
    exponent_e3: int = typed_tree.bounded(1_000, 0, 2_000)
    maker_rate_ppm: int = typed_tree.bounded(0, 0, PPM)
    multiplier_ppm: int = typed_tree.bounded(PPM, 0, 100 * PPM)
    unit_micros: int = typed_tree.bounded(1, 1, 10_000)
    precision_micros: int = typed_tree.bounded(0, 0, 10_000)
    valid_from_ns: int = typed_tree.bounded(0, 0, 2**63 - 1)
    category: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if self.exponent_e3 not in EXPONENTS_E3:
            raise ValueError(f"fee exponent {self.exponent_e3}/1000 is not one of {EXPONENTS_E3}")
        if self.exponent_e3 == 2_000 and self.rate_ppm % _SQUARED_RATE_STEP_PPM:
            raise ValueError(f"fee rate {self.rate_ppm} ppm with exponent 2 needs at most four decimals")
        is_kalshi = self.kind is FeeKind.KALSHI_QUADRATIC
        if is_kalshi and (self.precision_micros == 0 or self.exponent_e3 != 1_000):
            raise ValueError("a Kalshi fee needs a balance precision and exponent 1")
        for rate in (self.rate_ppm, self.maker_rate_ppm):
            effective = rate * self.multiplier_ppm
            if effective % 1_000 or not 0 <= effective <= PPM * PPM:
                raise ValueError(f"fee rate {rate} ppm x {self.multiplier_ppm} ppm is not exact within 0..1")

    @property
    def taker_rate_ppb(self) -> int:
        """Effective taker rate, multiplier included, in 1e-9."""
        return self.rate_ppm * self.multiplier_ppm // 1_000

    @property
    def maker_rate_ppb(self) -> int:
        """Effective maker rate, multiplier included, in 1e-9."""
        return self.maker_rate_ppm * self.multiplier_ppm // 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSpec:
    """One market. Prices in 1e-4 dollar, sizes in 1e-6 contract, cash in micro-dollars, ns (0 unknown).

    ``symbol``: Kalshi ticker; Polymarket condition id, or the token id when the sibling is unknown.
    ``price_ranges``: (start, end, step), ends included, rising and not overlapping; the venue's law.
    ``group_size``: markets the venue lists in the group; 0 unknown. A recording may hold only some of a
    group, and some of an exhaustive set is not exhaustive.
    ``fee`` None: no schedule is known, and nothing here is traded (FEE_SCHEDULE_UNKNOWN).
    ``mirror``: the book of NO is the book of YES turned over (both venues, unless shown otherwise).
    Raises ValueError when the fields contradict each other.
    """

    venue: Venue
    symbol: str
    price_ranges: tuple[tuple[int, int, int], ...]
    lot_e6: int = typed_tree.required(1, SIDE_SIZE_MAX_E6)
    min_size_e6: int = typed_tree.required(1, SIDE_SIZE_MAX_E6)
    min_notional_micros: int = typed_tree.required(0, CASH_MAX_MICROS)
    mirror: bool
    fee: FeeSpec | None = None
    yes_token: str = ""
    no_token: str = ""
    title: str = ""
    category: str = ""
    group: str = ""
    group_kind: GroupKind = GroupKind.NONE
    group_size: int = typed_tree.bounded(0, 0, 2**31 - 1)
    neg_risk: bool = False
    neg_risk_augmented: bool = False
    open_ns: int = typed_tree.bounded(0, 0, 2**63 - 1)
    close_ns: int = typed_tree.bounded(0, 0, 2**63 - 1)
    taker_delay_ns: int = typed_tree.bounded(0, 0, 2**63 - 1)
    rules_text: str = ""
    defaulted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.symbol:
            raise ValueError("a market needs a symbol")
        if (self.group_kind is GroupKind.NONE) != (self.group == ""):
            raise ValueError(f"{self.symbol}: group and group_kind go together")
        if self.yes_token and self.yes_token == self.no_token:
            raise ValueError(f"{self.symbol}: both outcomes have the token {self.yes_token}")
        if self.min_size_e6 % self.lot_e6:
            raise ValueError(f"{self.symbol}: minimum size {self.min_size_e6} is not whole lots")
        _check_ranges(self.symbol, self.price_ranges)

    def on_grid(self, price_e4: int) -> bool:
        """Whether an order may carry this YES price: on a step of a range, and strictly inside (0, 1)."""
        if not 0 < price_e4 < PRICE_ONE_E4:
            return False
        return any(
            start <= price_e4 <= end and (price_e4 - start) % step == 0
            for start, end, step in self.price_ranges
        )

    def to_dict(self) -> dict[str, object]:
        """JSON object of all fields; enums as lower-case names."""
        return cast("dict[str, object]", typed_tree.dump(self))

    @classmethod
    def from_dict(cls, tree: Mapping[str, object], source: str = "market") -> MarketSpec:
        """Inverse of ``to_dict``; a missing optional field takes its default. ConfigError names the key."""
        return typed_tree.build(cls, tree, source)


def _check_ranges(symbol: str, ranges: tuple[tuple[int, int, int], ...]) -> None:
    if not 0 < len(ranges) <= RANGES_MAX:
        raise ValueError(f"{symbol}: {len(ranges)} price ranges, expected 1..{RANGES_MAX}")
    reached = 0
    for start, end, step in ranges:
        if not (reached <= start < end <= PRICE_ONE_E4 and step > 0 and (end - start) % step == 0):
            raise ValueError(f"{symbol}: price range ({start}, {end}, {step}) is not a grid above {reached}")
        reached = end
