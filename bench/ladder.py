"""What the ladder itself costs: its calls one by one, and a frame's way to rows and tops with and without it.

Calls are as stages in processes of their own make them, from Python, with the clock read in each. The way of
a frame is the one compiled call of a live engine (``procs.fused_feed``), on the wire text of a made Kalshi
session, in interleaved pairs; frames in memory, no socket.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from procs import kernels

kernels.set_cache_dir()  # before numba is imported

from bench._kalshi_stream import write_session  # noqa: E402
from bench._result import OURS, Claim, Result, Row  # noqa: E402
from bench._timing import interleave  # noqa: E402
from engine.book.store import BookStore  # noqa: E402
from engine.catalog.catalog import Catalog  # noqa: E402
from engine.config import Role  # noqa: E402
from engine.records import (  # noqa: E402
    BOOK_ROW,
    ORDER_REQUEST,
    PLAN_HEAD,
    SIGNAL_HEAD,
    SMALL_BYTES,
    TOP,
    VENUE_REPORT,
    WIDE_BYTES,
    RequestKind,
    Venue,
)
from engine.venues.kalshi.codec import KalshiCodec  # noqa: E402
from engine.venues.symbols import SymbolTable  # noqa: E402
from procs.book import BookAgent  # noqa: E402
from procs.book_notes import NOTE_CELLS  # noqa: E402
from procs.config_files import load_config, load_fee_table  # noqa: E402
from procs.feed import FeedAgent  # noqa: E402
from procs.fused_feed import FusedFeed  # noqa: E402
from procs.ladder import (  # noqa: E402
    LADDER_ROW,
    RECENT,
    BookRung,
    EngineTime,
    ExecutorRung,
    OptimizerRung,
    StrategyRung,
    rungs_of,
)
from procs.recording_reader import RecordingReader  # noqa: E402
from procs.registry import Registry  # noqa: E402
from shm.histogram import Histograms  # noqa: E402
from shm.ring import OverwritingRing  # noqa: E402
from shm.table import Table  # noqa: E402

CALLS: Final = 20  # short rounds: some are not interrupted on a busy machine either
ROUNDS: Final = 1_000
PAIRS: Final = 31
DELTAS: Final = 500
MARKETS: Final = 2
RING_CELLS: Final = 1 << 12
STAGE: Final = "a frame to rows and tops, one call"
WITHOUT: Final = "without the ladder"
RATIO_MAX: Final = 1.25  # the claim: with and without


def nanoseconds(act: Callable[[], object]) -> float:
    """Of one call: the fastest of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        began_ns = time.perf_counter_ns()
        for _ in range(CALLS):
            act()
        best = min(best, (time.perf_counter_ns() - began_ns) / CALLS)
    return best


def calls(histograms: Histograms) -> dict[str, float]:
    """Nanoseconds of what each stage does for the ladder."""
    now = time.monotonic_ns
    book, strategy, optimizer = (
        BookRung(histograms, now),
        StrategyRung(histograms, now),
        OptimizerRung(histograms, now),
    )
    executor = ExecutorRung(histograms, now, Table.create(RECENT, LADDER_ROW))
    tops, signal, plan = np.zeros(1, TOP), np.zeros(1, SIGNAL_HEAD), np.zeros(1, PLAN_HEAD)
    request, report = np.zeros(1, ORDER_REQUEST), np.zeros(1, VENUE_REPORT)
    request["kind"] = RequestKind.NEW

    def order() -> None:
        executor.flushed(executor.flushing())
        executor.sent(request, plan[0])
        executor.heard(report[0])

    return {
        "a frame's tops": nanoseconds(lambda: book.published(tops, 1)),
        "a top, decided": nanoseconds(lambda: strategy.decided(tops[0])),
        "a signal": nanoseconds(lambda: strategy.signal(signal)),
        "a plan": nanoseconds(lambda: optimizer.plan(plan)),
        "a plan's order, sent and answered": nanoseconds(order),
    }


class Books:
    """Feed and books of a made session as one, in private memory."""

    def __init__(self, recording: Path, rung: BookRung | None) -> None:
        config = load_config()
        symbols, store = SymbolTable(2 * MARKETS), BookStore(MARKETS, 1, 64, config.book.crossed_max_ns)
        updates = OverwritingRing.create(RING_CELLS, SMALL_BYTES)
        tops, table = OverwritingRing.create(RING_CELLS, WIDE_BYTES), Table.create(MARKETS, BOOK_ROW)
        notes = OverwritingRing.create(NOTE_CELLS, SMALL_BYTES)
        codec = KalshiCodec(symbols)
        feed = FeedAgent(Venue.KALSHI, codec, updates)
        book = BookAgent(Venue.KALSHI, store, None, notes, tops, table, rung=rung)
        self._feed = FusedFeed(
            feed, codec, book, store, updates, tops, table, EngineTime(time.monotonic_ns, 0), rung
        )
        with RecordingReader(recording) as reader:
            markets, self.frames = reader.header.markets, list(reader.frames())
        fees, at_ns = load_fee_table(config), self.frames[0].recv_ns
        venue = Venue.KALSHI
        registry = Registry(Catalog(MARKETS), {venue: symbols}, {venue: [store]}, fees, at_ns, {venue: True})
        registry.add_all(markets)

    def play(self) -> float:
        """Nanoseconds of a frame: the median, whatever interrupted some of them."""
        spent_ns = []
        for frame in self.frames:
            began_ns = time.perf_counter_ns()
            self._feed.on_frame(frame.raw, frame.recv_ns, frame.conn)
            spent_ns.append(time.perf_counter_ns() - began_ns)
        return statistics.median(spent_ns)


def measure(result: Result) -> None:
    """The calls one by one, then a frame with and without, in interleaved pairs."""
    histograms = Histograms.create(rungs_of(tuple(Role)))
    for what, cost_ns in calls(histograms).items():
        result.rows.append(Row(what, OURS, [{"ns": cost_ns}], [0]))
    with tempfile.TemporaryDirectory() as folder:
        recording = write_session(Path(folder) / "kalshi.ndjson.zst", load_config(), DELTAS)
        rung = BookRung(histograms, time.monotonic_ns)
        ways = {
            WITHOUT: lambda: {"ns": Books(recording, None).play()},
            OURS: lambda: {"ns": Books(recording, rung).play()},
        }
        interleave(result, STAGE, ways, PAIRS, warm=False)
    (_, _, _, inverse) = next(found for found in result.ratios() if found[0] == STAGE)
    result.claims.append(Claim(f"{STAGE}, times without the ladder", 1 / inverse, RATIO_MAX, at_least=False))
