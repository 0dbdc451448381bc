"""Kalshi sessions of a recorder that wraps each wire message in an envelope (`kxbtc15m_*`).

The envelope's ``payload_json`` is the wire's ``msg``; ``sequence_number`` its ``seq``. The subscription id
is not on each row: that of the acknowledgement of the same connection and channel stands for it. Of
acknowledgements, errors and messages that the recorder did not know, the payload is the whole frame. A new
connection begins at each ``ws_connected``. Other markers carry no wire message; ``ok`` was not recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from engine.errors import RecordingDamaged
from engine.records import Venue
from engine.units import NS_PER_S
from procs.importers.markets import MarketNotes, Note
from procs.importers.reading import JsonObject, json_lines
from procs.importers.source import Importer, Sample
from procs.importers.wire import KALSHI_FIELDS, encode, kalshi_frame
from procs.recording import CONN_MAX
from procs.recording_frames import Frame

# The channel that each frame type comes over.
CHANNEL_OF: Final = {
    "orderbook_snapshot": "orderbook_delta",
    "orderbook_delta": "orderbook_delta",
    "ticker": "ticker",
    "trade": "trade",
}

# Events whose payload is a whole frame, and the order of its fields on the wire.
WHOLE: Final = frozenset({"ws_subscribed", "ws_error", "ws_unhandled"})
_FRAME_FIELDS: Final = ("type", "id", "sid", "seq", "msg")


def _matches(sample: Sample) -> bool:
    return {"event_type", "payload_json", "local_recv_ns", "sequence_number"} <= sample.keys()


def _frames(path: Path, notes: MarketNotes) -> Iterator[Frame]:
    conn = -1
    sids: dict[str, int] = {}
    for number, line in json_lines(path):
        kind, recv_ns, payload = line.get("event_type"), line.get("local_recv_ns"), line.get("payload_json")
        if not isinstance(kind, str) or type(recv_ns) is not int or not isinstance(payload, dict):
            raise RecordingDamaged(f"{path} line {number}: not an event of this recorder")
        if kind == "ws_connected":
            conn = (conn + 1) % (CONN_MAX + 1)
            sids = {}
        elif kind == "watch_market":
            _describe(notes, payload)
        elif kind in WHOLE:
            _remember_sid(sids, payload)
            yield Frame(recv_ns, Venue.KALSHI, max(conn, 0), encode(_in_wire_order(payload)), number)
        elif kind in KALSHI_FIELDS:
            _see(notes, kind, payload)
            sequence = line.get("sequence_number")
            seq = sequence if type(sequence) is int else None
            raw = kalshi_frame(kind, sids.get(CHANNEL_OF[kind]), seq, payload)
            yield Frame(recv_ns, Venue.KALSHI, max(conn, 0), raw, number)


def _in_wire_order(frame: JsonObject) -> JsonObject:
    first: JsonObject = {name: frame[name] for name in _FRAME_FIELDS if name in frame}
    return {**first, **frame}


def _remember_sid(sids: dict[str, int], payload: JsonObject) -> None:
    """An acknowledgement names the subscription of a channel; anything else passes."""
    msg = payload.get("msg")
    if payload.get("type") != "subscribed" or not isinstance(msg, dict):
        return
    if isinstance(msg.get("channel"), str) and type(msg.get("sid")) is int:
        sids[msg["channel"]] = msg["sid"]


def _describe(notes: MarketNotes, payload: JsonObject) -> None:
    """A ``watch_market`` marker tells when the market closes."""
    ticker, close_time = payload.get("market_ticker"), payload.get("close_time")
    if isinstance(ticker, str) and isinstance(close_time, str):
        notes.kalshi(ticker).close_ns = int(datetime.fromisoformat(close_time).timestamp()) * NS_PER_S


def _see(notes: MarketNotes, kind: str, payload: JsonObject) -> None:
    ticker = payload.get("market_ticker")
    if not isinstance(ticker, str):
        return
    note = notes.kalshi(ticker)
    if kind == "orderbook_delta":
        note.seen.add(str(payload.get("price_dollars")))
    elif kind == "orderbook_snapshot":
        _see_levels(note, payload)


def _see_levels(note: Note, payload: JsonObject) -> None:
    for side in ("yes_dollars_fp", "no_dollars_fp"):
        levels = payload.get(side)
        if isinstance(levels, list):
            note.seen.update(str(level[0]) for level in levels)


KALSHI_CAPTURE: Final = Importer(
    "kalshi_capture",
    "kalshi",
    "stream",
    ("fee_schedule", "price_grid", "sid_of_frame", "trades"),
    _matches,
    _frames,
)
