"""Frames in memory to books, on one core: the codec and the book stage's kernels, beside others' books.

Ours in as few compiled calls as there is room for (``feed_many``, then whole frames applied), which is how a
recording is read; and with two calls from Python for each frame, which is the least a live feed can do. The
peers get the same bytes. Every frame changes a book, and what was counted at the end is held against what the
frames hold: nothing rejected, no sequence broken, every book live that had a snapshot.

Those frames are made, in the venues' manner, as many as wanted and all of a kind. Recorded ones have rows of
their own: packaged recordings, and whatever PR3DICT_BENCH_RECORDINGS names, separated by colons, read into
memory whole, and played through the same kernels as ``pr3dict check`` does without its judgement; beside them
orjson and dictionaries. Of recorded frames none may be rejected; books may be in doubt, as they were.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import orjson

from bench import _frames
from bench._plain import PlainBooks
from bench._result import OURS, RATE, Result, claim
from bench._session_peers import Play, players
from bench._timing import Measure, interleave
from bench.replay import named_recordings
from engine.book.store import BookStore
from engine.records import Trust, Venue
from engine.venues.codec import MarketDataCodec
from engine.venues.counts import Count
from procs.importers import open_source
from procs.places import samples_dir
from procs.recording_frames import Frame, FrameBatch, pack
from procs.recording_merge import merge
from procs.replay import Replay
from procs.replay_apply import apply_frames

FRAMES: Final = 20_000
PEER_FRAMES: Final = 4_000
PAGES: Final = 512
TICK_E4: Final = 100
GRID: Final = ((0, 10_000, TICK_E4),)
RECORDED: Final = ("nhl_final_20260607.ndjson.zst",)
PER_S_MIN: Final = {"Kalshi deltas": 2_000_000, "price_change, 2 changes": 1_500_000}


class Books:
    """A codec and the books behind it."""

    def __init__(self, venue: Venue) -> None:
        self.codec: MarketDataCodec = _frames.codec_of(venue)
        self.store = BookStore(_frames.MARKETS, 1, PAGES)
        for market in range(_frames.MARKETS):
            self.store.open_market(market, 1, venue, GRID, mirror=venue is Venue.POLYMARKET)

    def at_once(self, batches: Sequence[FrameBatch]) -> None:
        """Read and apply with as few calls as possible."""
        for batch in batches:
            done = 0
            while done < batch.count:
                places = (
                    batch.offsets[done:],
                    batch.lengths[done:],
                    batch.recv_ns[done:],
                    batch.conns[done:],
                )
                read, records = self.codec.feed_many(batch.buffer, *places, batch.count - done)
                assert read > 0, "a frame needs the general parser"
                apply_frames(self.store.state, self.codec.out, records)
                done += read

    def one_by_one(self, frames: Sequence[bytes]) -> None:
        """Two calls from Python for each frame."""
        feed, apply, out = self.codec.feed, self.store.apply, self.codec.out
        for number, frame in enumerate(frames):
            apply(out, feed(frame, number, 0), number)

    def verify(self, frames: int) -> None:
        """RuntimeError when anything was refused, or a book is not what its frames have made of it."""
        counts = self.codec.counts
        if int(counts[Count.FRAMES]) != frames or int(counts[Count.REJECTED]) or int(counts[Count.SEQ_GAPS]):
            raise RuntimeError(f"{counts[Count.FRAMES]} frames read of {frames}, or some refused")
        trusts = self.store.rows["trust"][: _frames.MARKETS]
        if not (trusts == trusts[0]).all() or trusts[0] not in (Trust.LIVE, Trust.UNSYNCED):
            raise RuntimeError(f"books are {trusts.tolist()}")


def ours(venue: Venue, frames: Sequence[bytes], use: Callable[[Books], None]) -> dict[str, float]:
    """One run of ours."""
    books = Books(venue)
    began_ns = time.perf_counter_ns()
    use(books)
    took_ns = time.perf_counter_ns() - began_ns
    books.verify(len(frames))
    return {RATE: len(frames) * 1e9 / took_ns}


def theirs(play: Play, frames: Sequence[bytes]) -> dict[str, float]:
    """One run of a peer."""
    began_ns = time.perf_counter_ns()
    writes = play(frames)
    took_ns = time.perf_counter_ns() - began_ns
    assert writes >= len(frames) // 2, "every frame writes"
    return {RATE: len(frames) * 1e9 / took_ns}


class Recorded:
    """A recording in memory."""

    def __init__(self, path: Path) -> None:
        source = open_source(path)
        try:
            self._runs = list(merge([source]))
        finally:
            source.close()
        self._markets = source.header.markets
        self.frames = sum(run.stop - run.start for run in self._runs)

    def ours(self) -> dict[str, float]:
        """One run of ours; RuntimeError when a frame was rejected."""
        # both tokens of a market on one book, as the engine has them, where the file has both
        pairs = all(spec.venue is Venue.POLYMARKET and spec.no_token for spec in self._markets)
        books = Replay(self._markets, mirrored=pairs)
        began_ns = time.perf_counter_ns()
        for run in self._runs:
            books.feed(run.batch, run.clock_ns, run.start, run.stop)
        took_ns = time.perf_counter_ns() - began_ns
        if books.rejected:
            raise RuntimeError(f"{books.rejected} frames rejected: {books.last_error}")
        return {RATE: self.frames * 1e9 / took_ns}

    def is_plain(self) -> bool:
        """Whether the plain way knows its words: before 2026 Kalshi had others."""
        try:
            self.theirs()
        except (KeyError, TypeError, ValueError):
            return False
        return True

    def theirs(self) -> dict[str, float]:
        """One run of the plain way."""
        books, began_ns = PlainBooks(), time.perf_counter_ns()
        for run in self._runs:
            for index in range(run.start, run.stop):
                books.apply(orjson.loads(run.batch.raw(index)))
        took_ns = time.perf_counter_ns() - began_ns
        return {RATE: self.frames * 1e9 / took_ns}


def _measure_recorded(result: Result) -> None:
    for path in (*(samples_dir() / name for name in RECORDED), *named_recordings()):
        recorded = Recorded(path)
        what = f"recorded: {path.name.partition('.')[0]}, {recorded.frames:,} frames"
        ways: dict[str, Measure] = {OURS: recorded.ours}
        if recorded.is_plain():
            ways["orjson, dictionaries"] = recorded.theirs
        else:
            result.notes.append(f"{path.name}: its words are older than those that the plain way knows")
        interleave(result, what, ways)


def measure(result: Result) -> None:
    """Both venues, on one core."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        for what, venue, frames in (
            ("Kalshi deltas", Venue.KALSHI, _frames.kalshi_deltas(FRAMES)),
            ("price_change, 2 changes", Venue.POLYMARKET, _frames.price_changes(FRAMES, 2)),
        ):
            batches = list(pack(Frame(number, venue, 0, raw) for number, raw in enumerate(frames)))
            ways = {OURS: partial(ours, venue, frames, partial(Books.at_once, batches=batches))}
            peers = players(result, deltas=venue is Venue.KALSHI)
            ways |= {who: partial(theirs, play, frames[:PEER_FRAMES]) for who, play in peers.items()}
            interleave(result, what, ways)
            calls = partial(ours, venue, frames, partial(Books.one_by_one, frames=frames))
            interleave(result, f"{what}, two calls a frame", {OURS: calls})
            claim(result, what, RATE, PER_S_MIN[what])
        _measure_recorded(result)
    finally:
        os.sched_setaffinity(0, allowed)
