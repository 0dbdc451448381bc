"""Untouched Kalshi wire text, one frame a line with blank lines between (`demo_session_*`).

There is no time of receipt: the venue's own time, never stepping back, stands for it. Frames before the first
that carries a time get that time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson

from engine.errors import RecordingDamaged
from engine.records import Venue
from engine.units import NS_PER_MS
from procs.importers.markets import MarketNotes
from procs.importers.reading import JsonObject, text_lines
from procs.importers.source import Importer, Sample
from procs.recording_frames import Frame

UNTIMED_MAX: Final = 10_000  # frames that may wait for the first time

_TYPES: Final = frozenset({"subscribed", "ok", "orderbook_snapshot", "orderbook_delta", "ticker", "error"})


def _matches(sample: Sample) -> bool:
    first = sample.first_object()
    return first.get("type") in _TYPES and bool({"sid", "id", "msg"} & set(first))


def _frames(path: Path, notes: MarketNotes) -> Iterator[Frame]:
    now_ns = 0
    waiting: list[tuple[bytes, int]] = []
    for number, line in enumerate(text_lines(path), start=1):
        text = line.strip()
        if not text:
            continue
        now_ns = max(now_ns, _time_ns(text, f"{path} line {number}", notes))
        waiting.append((text, number))
        if now_ns == 0 and len(waiting) < UNTIMED_MAX:
            continue
        for raw, at in waiting:
            yield Frame(now_ns, Venue.KALSHI, 0, raw, at)
        waiting.clear()
    for raw, at in waiting:
        yield Frame(now_ns, Venue.KALSHI, 0, raw, at)


def _time_ns(text: bytes, place: str, notes: MarketNotes) -> int:
    """Venue time in the frame, 0 without one; notes the prices on the way."""
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RecordingDamaged(f"{place}: not JSON ({error})") from error
    msg = frame.get("msg") if isinstance(frame, dict) else None
    if not isinstance(msg, dict):
        return 0
    _see(notes, frame, msg)
    time_ms = msg.get("ts_ms")
    return time_ms * NS_PER_MS if type(time_ms) is int else 0


def _see(notes: MarketNotes, frame: JsonObject, msg: JsonObject) -> None:
    ticker = msg.get("market_ticker")
    if not isinstance(ticker, str) or not str(frame.get("type")).startswith("orderbook"):
        return
    note = notes.kalshi(ticker)
    if "price_dollars" in msg:
        note.seen.add(str(msg["price_dollars"]))
    for side in ("yes_dollars_fp", "no_dollars_fp"):
        levels = msg.get(side)
        if isinstance(levels, list):
            note.seen.update(str(level[0]) for level in levels)


KALSHI_WIRE: Final = Importer(
    "kalshi_wire",
    "kalshi",
    "stream",
    ("connection", "fee_schedule", "price_grid", "recv_time", "trades"),
    _matches,
    _frames,
)
