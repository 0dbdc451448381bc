"""What one paper run found: plain numbers, in the order a trader asks for them. Rendering is elsewhere.

Money in micro-dollars, sizes in 1e-6 contract, times in ns since 1970.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final

from engine.units import INT64_MAX, SIZE_ONE_E6
from procs.decision_log import Funnel


@dataclass(frozen=True, slots=True)
class DataSeen:
    """What went in."""

    files: tuple[str, ...]
    frames: int
    level_writes: int
    markets: int
    first_ns: int
    last_ns: int
    rejected_frames: int
    ignored_frames: int
    seq_gaps: int
    lacks: tuple[str, ...] = ()  # what the recordings never had
    defaulted: tuple[str, ...] = ()  # metadata that a default stood in for, with its count
    aligned: bool = False  # --align start moved the files in time


# Classes of size, contracts a leg: name, and the size that is too large for it.
SIZE_CLASSES: Final[tuple[tuple[str, int], ...]] = (
    ("under_10", 10 * SIZE_ONE_E6),
    ("under_100", 100 * SIZE_ONE_E6),
    ("under_1000", 1_000 * SIZE_ONE_E6),
    ("from_1000", INT64_MAX),
)


@dataclass(slots=True)
class KindCount:
    """Opportunities of one SignalKind; sizes are contracts a leg."""

    candidates: int = 0  # evaluated on a LIVE book whose best prices had changed
    signals: int = 0
    plans: int = 0
    complete: int = 0
    unwound: int = 0
    size_e6: int = 0
    profit_micros: int = 0  # guaranteed by the plans, before unwinding
    edge_gross: int = 0  # candidates with something left at the best prices, before fees
    edge_net: int = 0  # and after them
    signals_by_size: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys((name for name, _ in SIZE_CLASSES), 0)
    )

    def add(self, other: KindCount) -> None:
        """Add the counts of another kind."""
        for one in fields(self):
            if one.name != "signals_by_size":
                setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))
        for name, times in other.signals_by_size.items():
            self.signals_by_size[name] += times


def size_class(size_e6: int) -> str:
    """Name of the class of SIZE_CLASSES that a size is in."""
    return next(name for name, limit_e6 in SIZE_CLASSES if size_e6 < limit_e6)


@dataclass(frozen=True, slots=True)
class VenueAccount:
    """Cash at one venue: what the ledger has, and what the venue itself says."""

    opening_micros: int
    closing_micros: int
    venue_says_micros: int
    fees_micros: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Profit and loss of one run at one latency."""

    latency_scale: int
    orders: int
    fills: int
    fees_micros: int
    realised_micros: int
    marked_micros: int  # executable value of what is still held
    cost_held_micros: int  # what it cost: the capital that is locked
    accounts: Mapping[str, VenueAccount] = field(default_factory=dict)
    plantings_wrong: tuple[str, ...] = ()  # names of those that did not come out as they had to
    late_legs: int = 0  # orders that came when what was planted had gone
    drawdown_ppm: int = 0  # deepest fall of equity from its highest value
    drawdown_warns: bool = False  # as deep as the configuration warns of
    stopped_by: str = ""  # the loss limit that stopped everything that opens exposure
    differences: tuple[str, ...] = ()  # what a simulated venue has otherwise than the journal, but for cash

    @property
    def unrealised_micros(self) -> int:
        """Marked value less cost of what is held."""
        return self.marked_micros - self.cost_held_micros


@dataclass(frozen=True, slots=True)
class PlantedOutcome:
    """A planting of a synthetic session, what was expected of it, and what came."""

    name: str
    kinds: tuple[str, ...]
    expected_size_e6: int  # 0: a near miss
    traded_size_e6: int
    expected_profit_micros: int
    profit_micros: int
    expected_fees_micros: int
    fees_micros: int
    expected_reasons: tuple[str, ...]
    reasons: tuple[str, ...]  # said of its markets while it was planted
    as_expected: bool
    late_legs: int = 0  # orders that came when it had gone; what the others bought is then sold again


@dataclass(slots=True)
class PaperResult:
    """One input of ``pr3dict paper``."""

    name: str
    synthetic: bool
    data: DataSeen
    books_by_trust: dict[str, int]
    kinds: dict[str, KindCount]
    funnel: Funnel
    relations_refused: dict[str, int]  # reason -> relations that never reached a strategy
    order_statuses: dict[str, int]
    outcomes: tuple[Outcome, ...]  # at each latency, 1x first
    planted: tuple[PlantedOutcome, ...]
    decisions: int
    wall_s: float
    peak_rss_bytes: int
    damage: str | None = None  # of a recording: what of it is whole is in here
    books_digest: str = ""  # over every level of every book at the end
    is_live: bool = False  # heard from the venues themselves, whose garbage a run survives

    @property
    def frames_per_s(self) -> float:
        """Frames through all stages a second of real time, the 1x run alone."""
        return self.data.frames / self.wall_s if self.wall_s else 0.0

    @property
    def as_expected(self) -> bool:
        """Whether every planting came out as it had to at every latency, and ledger and venues agree."""
        books = all(
            account.closing_micros == account.venue_says_micros
            for outcome in self.outcomes
            for account in outcome.accounts.values()
        )
        plantings = not any(outcome.plantings_wrong for outcome in self.outcomes)
        return books and plantings and all(planted.as_expected for planted in self.planted)
