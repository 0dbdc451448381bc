"""A frame's text to records: the codecs as a feed calls them, beside decoders and what is needed behind them.

Frames lie in memory, each is read once a run, and no two are equal. Times are of one frame, called from
Python; ``in one call`` is the same codec over all frames of a chunk at once, as replay uses it. Before
anything is measured every parser reads the first frames, and has to find the same levels.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np

from bench import _frames
from bench._parsers import Parse, parsers
from bench._result import OURS, Result, claim_ratio
from bench._timing import interleave
from engine.records import UpdateKind, Venue
from engine.venues.codec import MarketDataCodec
from engine.venues.counts import Count
from procs.recording_frames import Frame, pack

FRAMES: Final = 2_400
CHUNK: Final = 200
CHECKED: Final = 100
LEVELS: Final = (UpdateKind.LEVEL_SET, UpdateKind.LEVEL_ADD, UpdateKind.SNAPSHOT_LEVEL)
# Times orjson with extraction, as claimed; msgspec is to be met everywhere.
TIMES_MIN: Final = {
    "price_change, 1 change": 2.0,
    "price_change, 2 changes": 2.5,
    "price_change, 8 changes": 4.0,
    "book, 40 levels": 6.0,
    "book, 160 levels": 7.0,
    "Kalshi snapshot, 80 levels": 2.0,
    "Kalshi delta": 2.0,
}


def cases() -> dict[str, tuple[Venue, str, list[bytes]]]:
    """Venue, kind and frames by name; long frames are fewer."""
    return {
        "price_change, 1 change": (Venue.POLYMARKET, "price_change", _frames.price_changes(FRAMES, 1)),
        "price_change, 2 changes": (Venue.POLYMARKET, "price_change", _frames.price_changes(FRAMES, 2)),
        "price_change, 8 changes": (Venue.POLYMARKET, "price_change", _frames.price_changes(FRAMES, 8)),
        "book, 40 levels": (Venue.POLYMARKET, "book", _frames.books(FRAMES // 2, 40)),
        "book, 160 levels": (Venue.POLYMARKET, "book", _frames.books(FRAMES // 4, 160)),
        "Kalshi snapshot, 80 levels": (Venue.KALSHI, "snapshot", _frames.kalshi_snapshots(FRAMES // 4, 80)),
        "Kalshi delta": (Venue.KALSHI, "delta", _frames.kalshi_deltas(FRAMES)[_frames.MARKETS :]),
    }


def primed(venue: Venue, kind: str) -> MarketDataCodec:
    """A codec that has had what comes before such frames."""
    codec = _frames.codec_of(venue)
    for frame in _frames.kalshi_deltas(0) if kind == "delta" else ():
        codec.feed(frame, 1, 0)
    return codec


def chunked(frames: list[bytes], read_all: Callable[[list[bytes]], None]) -> dict[str, float]:
    """Nanoseconds of one frame: the median of the chunks, and the fastest."""
    took = []
    for begin in range(0, len(frames), CHUNK):
        chunk = frames[begin : begin + CHUNK]
        began_ns = time.perf_counter_ns()
        read_all(chunk)
        took.append((time.perf_counter_ns() - began_ns) / len(chunk))
    return {"ns": statistics.median(took), "fastest_chunk_ns": min(took)}


def theirs(parse: Parse, frames: list[bytes]) -> dict[str, float]:
    """A peer, one call a frame."""

    def read_all(chunk: list[bytes]) -> None:
        for frame in chunk:
            parse(frame)

    return chunked(frames, read_all)


def ours(venue: Venue, kind: str, frames: list[bytes]) -> dict[str, float]:
    """The codec, one call from Python a frame."""
    codec = primed(venue, kind)
    feed = codec.feed

    def read_all(chunk: list[bytes]) -> None:
        for frame in chunk:
            feed(frame, 1, 0)

    run = chunked(frames, read_all)
    assert int(codec.counts[Count.FAST]) == int(codec.counts[Count.FRAMES]), "all by the compiled parser"
    return run


def at_once(venue: Venue, kind: str, frames: list[bytes]) -> dict[str, float]:
    """The codec over a batch in as few calls as its records have room for."""
    codec = primed(venue, kind)
    took = []
    for batch in pack(Frame(1, venue, 0, raw) for raw in frames):
        done = 0
        while done < batch.count:
            places = (batch.offsets[done:], batch.lengths[done:], batch.recv_ns[done:], batch.conns[done:])
            began_ns = time.perf_counter_ns()
            read, _ = codec.feed_many(batch.buffer, *places, min(CHUNK, batch.count - done))
            took.append((time.perf_counter_ns() - began_ns) / max(read, 1))
            assert read > 0, "a frame needs the general parser"
            done += read
    return {"ns": statistics.median(took), "fastest_chunk_ns": min(took)}


def check(venue: Venue, kind: str, frames: list[bytes], parse: Parse) -> None:
    """Both find as many levels with the same sizes in the same frame; RuntimeError otherwise."""
    codec = primed(venue, kind)
    for number, frame in enumerate(frames[:CHECKED]):
        records = codec.out[: codec.feed(frame, 1, 0)]
        levels = records[np.isin(records["kind"], LEVELS)]
        theirs = [(market, round(size * 1e6)) for market, _, _, size in parse(frame)]
        if sorted(theirs) != sorted(zip(levels["slot"].tolist(), levels["size_e6"].tolist(), strict=True)):
            raise RuntimeError(f"{kind}, frame {number}: parsers find different levels")


def measure(result: Result) -> None:
    """Every kind of frame."""
    for what, (venue, kind, frames) in cases().items():
        peers = parsers(result, kind)
        for parse in peers.values():
            check(venue, kind, frames, parse)
        ways = {OURS: partial(ours, venue, kind, frames)}
        ways |= {who: partial(theirs, parse, frames) for who, parse in peers.items()}
        interleave(result, what, ways)
        interleave(result, f"{what}, in one call", {OURS: partial(at_once, venue, kind, frames)})
        claim_ratio(result, what, "orjson", TIMES_MIN[what])
        claim_ratio(result, what, "msgspec", 1.0)
