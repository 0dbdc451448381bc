"""Results of paper runs, built by hand: a real recording without trades and a synthetic session with some."""

from __future__ import annotations

from dataclasses import replace

from engine.reasons import Reason
from engine.records import DecisionStage, SignalKind
from engine.units import NS_PER_S
from procs.decision_log import Funnel
from procs.paper_result import (
    SIZE_CLASSES,
    DataSeen,
    KindCount,
    Outcome,
    PaperResult,
    PlantedOutcome,
    VenueAccount,
)

START_NS = 1_777_377_600 * NS_PER_S  # 2026-04-28 12:00 UTC
DOLLAR = 1_000_000
CONTRACT = 1_000_000


def funnel_of(*rows: tuple[DecisionStage, SignalKind, Reason, int]) -> Funnel:
    """Funnel with these counts."""
    funnel = Funnel()
    for stage, kind, reason, times in rows:
        funnel.add(stage, kind, reason, times)
    return funnel


def accounts(kalshi_off_micros: int = 0) -> dict[str, VenueAccount]:
    """Both venues; at Kalshi the ledger has ``kalshi_off_micros`` more than the venue."""
    return {
        "polymarket": VenueAccount(10_000 * DOLLAR, 9_950 * DOLLAR, 9_950 * DOLLAR, 536_000),
        "kalshi": VenueAccount(10_000 * DOLLAR, 10_071_234_500 + kalshi_off_micros, 10_071_234_500, 0),
    }


def by_size(*times: int) -> dict[str, int]:
    """Signals in each class of SIZE_CLASSES."""
    return {name: number for (name, _), number in zip(SIZE_CLASSES, times, strict=True)}


def quiet_outcome(scale: int) -> Outcome:
    """Nothing traded."""
    return Outcome(scale, 0, 0, 0, 0, 0, 0, {})


RECORDED = PaperResult(
    name="packaged sample",
    synthetic=False,
    data=DataSeen(
        files=("samples/kalshi-2026-04-28.ndjson.zst", "samples/polymarket-2026-04-28.ndjson.zst"),
        frames=1_234_567,
        level_writes=3_456_789,
        markets=312,
        first_ns=START_NS,
        last_ns=START_NS + 4_321 * NS_PER_S,
        rejected_frames=0,
        ignored_frames=12_345,
        seq_gaps=3,
        lacks=("opening_snapshot", "seq"),
        defaulted=("fee x12", "close_ns x3"),
        aligned=True,
    ),
    books_by_trust={"live": 300, "unsynced": 9, "suspect": 3},
    kinds={
        "cross_venue": KindCount(candidates=90_000, edge_gross=10_000),
        "partition_buy_no": KindCount(
            candidates=10_000, signals=2, edge_gross=90, edge_net=7, signals_by_size=by_size(1, 0, 0, 1)
        ),
    },
    funnel=funnel_of(
        (DecisionStage.STRATEGY, SignalKind.CROSS_VENUE, Reason.NO_EDGE, 80_000),
        (DecisionStage.STRATEGY, SignalKind.CROSS_VENUE, Reason.EDGE_EATEN_BY_FEES, 10_000),
        (DecisionStage.STRATEGY, SignalKind.PARTITION_BUY_NO, Reason.BOOK_NOT_LIVE, 9_900),
        (DecisionStage.STRATEGY, SignalKind.PARTITION_BUY_NO, Reason.NOT_EXHAUSTIVE, 88),
        (DecisionStage.STRATEGY, SignalKind.PARTITION_BUY_NO, Reason.ONE_SIDED, 10),
        (DecisionStage.STRATEGY, SignalKind.PARTITION_BUY_NO, Reason.NONE, 2),
        (DecisionStage.OPTIMIZER, SignalKind.PARTITION_BUY_NO, Reason.BOOK_MOVED, 2),
    ),
    relations_refused={"relation_unapproved": 4},
    order_statuses={},
    outcomes=tuple(map(quiet_outcome, (1, 2, 5))),
    planted=(),
    decisions=100_002,
    wall_s=12.5,
    peak_rss_bytes=412 * 1024 * 1024,
)

TRADED = PlantedOutcome(
    name="cross-venue-polymarket-small",
    kinds=("cross_venue",),
    expected_size_e6=20 * CONTRACT,
    traded_size_e6=20 * CONTRACT,
    expected_profit_micros=1_464_000,
    profit_micros=1_464_000,
    expected_fees_micros=536_000,
    fees_micros=536_000,
    expected_reasons=(),
    reasons=("already_signalled",),
    as_expected=True,
)
LEFT_ALONE = PlantedOutcome(
    "miss-stale",
    ("cross_venue",),
    0,
    0,
    0,
    0,
    0,
    0,
    ("book_stale", "legs_too_far_apart"),
    ("book_stale",),
    True,
)
MISSED = replace(
    TRADED,
    name="partition-buy-yes-polymarket-medium",
    traded_size_e6=0,
    profit_micros=0,
    fees_micros=0,
    reasons=("book_moved", "no_edge"),
    as_expected=False,
)

SESSION = PaperResult(
    name="seeded session 7",
    synthetic=True,
    data=DataSeen((), 15_600, 40_000, 71, START_NS, START_NS + 1_800 * NS_PER_S, 0, 0, 1),
    books_by_trust={"live": 71},
    kinds={
        "cross_venue": KindCount(1_234, 2, 2, 1, 1, 20 * CONTRACT, 1_464_000, 9, 5, by_size(0, 2, 0, 0)),
        "implication": KindCount(17, 1, 1, 1, 0, 300 * CONTRACT, 16_047_900, 2, 1, by_size(0, 0, 1, 0)),
    },
    funnel=funnel_of(
        (DecisionStage.STRATEGY, SignalKind.CROSS_VENUE, Reason.NO_EDGE, 1_232),
        (DecisionStage.STRATEGY, SignalKind.CROSS_VENUE, Reason.NONE, 2),
        (DecisionStage.STRATEGY, SignalKind.IMPLICATION, Reason.NO_EDGE, 16),
        (DecisionStage.STRATEGY, SignalKind.IMPLICATION, Reason.NONE, 1),
        (DecisionStage.OPTIMIZER, SignalKind.CROSS_VENUE, Reason.NONE, 2),
        (DecisionStage.OPTIMIZER, SignalKind.IMPLICATION, Reason.NONE, 1),
        (DecisionStage.GATE, SignalKind.CROSS_VENUE, Reason.NONE, 4),
        (DecisionStage.GATE, SignalKind.IMPLICATION, Reason.NONE, 2),
        (DecisionStage.EXECUTION, SignalKind.CROSS_VENUE, Reason.NONE, 1),
        (DecisionStage.EXECUTION, SignalKind.CROSS_VENUE, Reason.UNWOUND, 1),
        (DecisionStage.EXECUTION, SignalKind.IMPLICATION, Reason.NONE, 1),
    ),
    relations_refused={},
    order_statuses={"filled": 5, "cancelled": 1},
    outcomes=(
        Outcome(1, 6, 5, 536_000, 17_511_900, 20_123_400, 19_800_000, accounts(), drawdown_ppm=19_400),
        Outcome(2, 6, 4, 400_000, -1_250_000, 0, 0, accounts(), drawdown_ppm=210_000, drawdown_warns=True),
        Outcome(5, 5, 0, 0, 0, 0, 0, accounts()),
    ),
    planted=(TRADED, LEFT_ALONE),
    decisions=1_263,
    wall_s=0.5,
    peak_rss_bytes=1,
)
