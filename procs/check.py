"""What `pr3dict check` finds in one file, and its books at the end.

Everything is read through the codecs and books that trade; nothing here parses a frame of its own. Each token
has its own book; where a Polymarket market has both tokens, a second replay lays them on one book, as the
engine does, and counts where they disagree.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from engine.book import state as book_state
from engine.book.state import BookState
from engine.catalog.market import MarketSpec
from engine.errors import RecordingDamaged, RecordingFormat
from engine.reasons import label
from engine.records import Trust, Venue
from engine.units import units_to_decimal
from engine.venues.codec import MarketDataCodec
from engine.venues.counts import Count, level_updates
from engine.venues.workspace import Records
from procs.check_frames import check_frames
from procs.check_tally import (
    B_REASON,
    B_RECV,
    B_SEQ,
    B_SLOT,
    N_BREAKS,
    N_DIGEST,
    RULES,
    S_TOUCHED,
    Found,
    Tally,
    finish,
    make_tally,
)
from procs.importers import Source, open_source
from procs.importers.parquet import parquet_columns
from procs.read_ahead import ReadAhead
from procs.recording import RecordingHeader
from procs.recording_frames import FrameBatch
from procs.recording_lines import Longs
from procs.recording_merge import FrameSource, merge
from procs.recording_reader import RecordingReader
from procs.replay import SPARE_SLOTS, Book, Replay

# Which trust a market has whose two tokens differ: the worse one.
TRUST_ORDER: Final = (Trust.DEAD, Trust.SUSPECT, Trust.RESYNC, Trust.UNSYNCED, Trust.LIVE)
PRICE_DECIMALS: Final = 4
SIZE_DECIMALS: Final = 6

OnProgress = Callable[[int], None]  # frames so far
BookDump = dict[str, str | list[list[str | None]]]


@dataclass(frozen=True, slots=True)
class SequenceBreak:
    """Where a subscription's numbers do not follow each other."""

    frame: int  # its number in the file, from 1; 0 when it could not be told
    line: int  # of the file (``CheckReport.unit``), where the frame begins; 0 when it could not be told
    recv_ns: int
    market: str
    seq: int
    reason: str


@dataclass(slots=True)
class CheckReport:
    """Findings in one file; the columns of `pr3dict check`."""

    path: str
    kind: str
    unit: str = "line"  # what places in the file are counted in; "row" of Parquet
    frames: int = 0
    rejected: int = 0
    rejected_line: int = 0  # of the last one rejected; 0 when there is none, or it is not known
    updates: int = 0
    markets: int = 0
    seq_gaps: int = 0
    seq_restarts: int = 0
    resyncs: int = 0
    crossed: int = 0
    locked: int = 0
    tob_checked: int = 0
    tob_agree: int = 0
    tob_mismatch: int = 0
    tob_explained: dict[str, int] = field(default_factory=dict)
    tob_unsynced: int = 0
    tob_unsynced_agree: int = 0
    tob_doubted: int = 0
    ticker_agree: int = 0
    ticker_late: int = 0
    ticker_never: int = 0
    ticker_unsynced: int = 0
    trust: dict[str, int] = field(default_factory=dict)
    mirror_levels: int = 0
    mirror_broken: int = 0
    hash_agrees: int = 0
    hash_differs: int = 0
    duplicates: int = 0
    ignored: int = 0
    unknown: int = 0
    clock_steps_back: int = 0
    updates_digest: str = ""
    lacks: list[str] = field(default_factory=list)
    breaks: list[SequenceBreak] = field(default_factory=list)
    damage: str | None = None
    last_error: str | None = None

    @property
    def failed(self) -> bool:
        """Whether the file is broken, or says something that could not be explained."""
        return self.damage is not None or self.rejected > 0 or self.tob_mismatch > 0


class Check:
    """One file on its way through the books; ``run`` it, then read ``report`` and ``dump``."""

    def __init__(self, path: Path) -> None:
        """Open ``path``. Raises as ``procs.importers.open_source``."""
        self._source: Source = open_source(path)
        header: RecordingHeader = self._source.header
        unit = "row" if parquet_columns(path) else "line"
        self.report = CheckReport(str(path), header.kind, unit, lacks=list(header.lacks))
        pairs = [spec for spec in header.markets if spec.venue is Venue.POLYMARKET and spec.no_token]
        is_truncated = "book_depth" in header.lacks
        self._replay, self._tally = _judged(header.markets, is_truncated, mirrored=False)
        self._mirror = _judged(pairs, is_truncated, mirrored=True) if pairs else None
        self._lost = 0  # frames that stand in the place of lost ones

    def run(self, on_progress: OnProgress | None = None) -> CheckReport:
        """Read the whole file; damage is reported after what is whole."""
        source: FrameSource = self._source
        if isinstance(source, RecordingReader):
            source = ReadAhead(source)
        try:
            for run in merge([source]):
                self._feed(run.batch, run.clock_ns, run.start, run.stop)
                if not run.batch.lost:
                    self.report.frames += run.stop - run.start
                if on_progress is not None:
                    on_progress(self.report.frames)
        except (RecordingDamaged, RecordingFormat) as error:
            self.report.damage = str(error)
        finally:
            self._source.close()
        self._conclude()
        return self.report

    def _feed(self, batch: FrameBatch, clock_ns: Longs, start: int, stop: int) -> None:
        self.report.clock_steps_back += int((clock_ns[start:stop] != batch.recv_ns[start:stop]).sum())
        self._replay.feed(batch, clock_ns, start, stop)
        if self._mirror is not None:
            self._mirror[0].feed(batch, clock_ns, start, stop)
        self._lost += batch.count if batch.lost else 0
        self._collect_breaks(batch, clock_ns)

    def _collect_breaks(self, batch: FrameBatch, clock_ns: Longs) -> None:
        """Find the places of the breaks that this batch, which is whole, brought."""
        known = len(self.report.breaks)
        for row in self._tally.breaks[known : int(self._tally.numbers[N_BREAKS])]:
            recv_ns, seq = int(row[B_RECV]), int(row[B_SEQ])
            index = _index_of(batch, clock_ns, recv_ns, seq)
            self.report.breaks.append(
                SequenceBreak(
                    0 if index is None else self.report.frames + index + 1,
                    0 if index is None else batch.line(index),
                    recv_ns,
                    self._replay.books[int(row[B_SLOT])].name,
                    seq,
                    label(int(row[B_REASON])),
                )
            )

    def _conclude(self) -> None:
        """Everything that is known only at the end."""
        self._replay.finish()
        finish(self._tally)
        self._take_found({found.name.lower(): int(self._tally.counts[found]) for found in Found})
        for codec in self._replay.codecs.values():
            self._take_codec(codec)
        self.report.rejected -= self._lost
        self.report.rejected_line = self._replay.rejected_line
        self.report.last_error = self._replay.last_error or None
        self._count_markets()
        if self._mirror is not None:
            mirror, tally = self._mirror
            mirror.finish()
            self.report.mirror_levels = mirror.store.count(book_state.Count.MIRROR_LEVELS)
            self.report.mirror_broken = int(tally.counts[Found.MIRROR_BROKEN])

    def _take_found(self, found: dict[str, int]) -> None:
        report = self.report
        report.resyncs, report.crossed, report.locked = found["resyncs"], found["crossed"], found["locked"]
        report.tob_checked, report.tob_agree = found["tob_checked"], found["tob_agree"]
        report.tob_mismatch, report.tob_doubted = found["tob_mismatch"], found["tob_doubted"]
        report.tob_unsynced, report.tob_unsynced_agree = found["tob_unsynced"], found["tob_unsynced_agree"]
        report.tob_explained = {name: found[name] for rule in RULES if found[name := rule.name.lower()]}
        report.ticker_agree, report.ticker_late = found["ticker_agree"], found["ticker_late"]
        report.ticker_never, report.ticker_unsynced = found["ticker_never"], found["ticker_unsynced"]
        report.updates_digest = f"{int(self._tally.numbers[N_DIGEST]):08x}"

    def _take_codec(self, codec: MarketDataCodec) -> None:
        report, counts = self.report, codec.counts
        report.updates += level_updates(counts)
        report.rejected += int(counts[Count.REJECTED])
        report.seq_gaps += int(counts[Count.SEQ_GAPS])
        report.seq_restarts += int(counts[Count.SEQ_RESTARTS])
        report.hash_agrees += int(counts[Count.HASH_AGREES])
        report.hash_differs += int(counts[Count.HASH_DIFFERS])
        report.duplicates += int(counts[Count.DUPLICATES])
        report.ignored += int(counts[Count.IGNORED])
        report.unknown += int(counts[Count.UNKNOWN_TYPE])

    def _count_markets(self) -> None:
        """Markets that a frame spoke of, by the trust of the worse of their books."""
        worst: dict[int, Trust] = {}
        for slot, book in self._seen():
            trust = self._replay.trust(slot)
            worst[book.market] = min(trust, worst.get(book.market, trust), key=TRUST_ORDER.index)
        self.report.markets = len(self._replay.specs) if self.report.kind == "metadata" else len(worst)
        tallied = Counter(worst.values())
        self.report.trust = {trust.name.lower(): tallied[trust] for trust in Trust}

    def _seen(self) -> Iterator[tuple[int, Book]]:
        """Books that a frame spoke of."""
        for slot, book in enumerate(self._replay.books):
            if self._tally.slots[slot, S_TOUCHED]:
                yield slot, book

    def dump(self) -> dict[str, BookDump]:
        """Last known levels of every market seen, by name; a size that is not known is None."""
        return {book.name: self._dump_book(slot) for slot, book in self._seen()}

    def _dump_book(self, slot: int) -> BookDump:
        bids, asks = self._replay.levels(slot)
        return {
            "trust": self._replay.trust(slot).name.lower(),
            "bids": [_dump_level(*level) for level in bids],
            "asks": [_dump_level(*level) for level in asks],
        }


def _judged(specs: Sequence[MarketSpec], is_truncated: bool, *, mirrored: bool) -> tuple[Replay, Tally]:
    """A replay whose every frame is judged into a tally."""
    tally = make_tally(2 * len(specs) + SPARE_SLOTS, is_truncated=is_truncated)

    def judge(books: BookState, records: Records, count: int, conn: int) -> None:
        check_frames(books, records, count, conn, tally)

    return Replay(specs, mirrored=mirrored, on_records=judge), tally


def _dump_level(price_e4: int, size_e6: int) -> list[str | None]:
    price = units_to_decimal(price_e4, PRICE_DECIMALS)
    return [price, units_to_decimal(size_e6, SIZE_DECIMALS) if size_e6 else None]


def _index_of(batch: FrameBatch, clock_ns: Longs, recv_ns: int, seq: int) -> int | None:
    """The frame received at ``recv_ns`` that carries ``seq``; None when none of the batch does."""
    pattern = re.compile(rb'"seq"\s*:\s*%d\b' % seq)
    for index in np.flatnonzero(clock_ns == recv_ns):
        if pattern.search(batch.raw(int(index))):
            return int(index)
    return None
