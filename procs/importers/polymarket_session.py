"""Polymarket events over WebSocket as two recorders kept them: v1 price changes, and books with numbers.

`price_change_v1_*` holds the messages of before September 2025, ``changes`` and one ``hash`` a message; they
keep that shape. `nba_*` holds ``book`` events with prices and sizes as numbers, which the wire has as text.
That recorder's lines of other types are passed over: of a price change or a trade it kept neither size nor
side, and the events of a game are no messages of the venue.
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
from procs.importers.reading import JsonObject, csv_rows, json_lines
from procs.importers.source import Importer, Sample
from procs.importers.times import utc_ns
from procs.importers.wire import Level, book, decimal_text, encode
from procs.recording_frames import Frame


def _matches_v1(sample: Sample) -> bool:
    return {"asset_id", "market", "timestamp", "hash", "changes"} <= sample.csv_names()


def _frames_v1(path: Path, notes: MarketNotes) -> Iterator[Frame]:
    for number, row in enumerate(csv_rows(path), start=2):
        place = f"{path} line {number}"
        try:
            changes = orjson.loads(row["changes"])
            prices = {str(change["price"]) for change in changes}
        except (orjson.JSONDecodeError, TypeError, KeyError) as error:
            raise RecordingDamaged(f"{place}: not a list of changes") from error
        notes.token(row["asset_id"], row["market"]).seen.update(prices)
        recv_ns = utc_ns(row["timestamp"], place)
        frame = {
            "asset_id": row["asset_id"],
            "changes": changes,
            "event_type": "price_change",
            "market": row["market"],
            "timestamp": str(recv_ns // NS_PER_MS),
            "hash": row["hash"],
        }
        yield Frame(recv_ns, Venue.POLYMARKET, 0, encode(frame))


def _matches_session(sample: Sample) -> bool:
    first = sample.first_object()
    event = first.get("data")
    return first.keys() >= {"timestamp", "type"} and isinstance(event, dict) and "asset_id" in event


def _frames_session(path: Path, notes: MarketNotes) -> Iterator[Frame]:
    for number, line in json_lines(path):
        place = f"{path} line {number}"
        event, time_ms = line.get("data"), line.get("timestamp")
        if line.get("type") != "book":
            continue
        if not isinstance(event, dict) or type(time_ms) is not int:
            raise RecordingDamaged(f"{place}: not a book event")
        sides = [_levels(event, side, place) for side in ("bids", "asks")]
        token, market = str(event.get("asset_id")), str(event.get("market") or "")
        condition = market if market.startswith("0x") else ""  # the first rows carry an id of Gamma's here
        notes.token(token, condition).seen.update(price for side in sides for price, _ in side)
        frame = dict(book(token, market, sides[0], sides[1], time_ms))
        if "hash" in event:
            frame["hash"] = event["hash"]
        yield Frame(time_ms * NS_PER_MS, Venue.POLYMARKET, 0, encode(frame))


def _levels(event: JsonObject, side: str, place: str) -> list[Level]:
    rows = event.get(side)
    try:
        if not isinstance(rows, list):
            raise TypeError(side)
        return [(decimal_text(price), decimal_text(size)) for price, size in rows]
    except (TypeError, ValueError) as error:
        raise RecordingDamaged(f"{place}: {side} are not pairs of price and size") from error


POLYMARKET_V1: Final = Importer(
    "polymarket_v1",
    "polymarket",
    "v1",
    ("connection", "fee_schedule", "opening_snapshot", "outcome", "price_grid", "recv_time"),
    _matches_v1,
    _frames_v1,
)

POLYMARKET_SESSION: Final = Importer(
    "polymarket_session",
    "polymarket",
    "snapshots",
    ("captures_between", "connection", "fee_schedule", "outcome", "price_grid", "recv_time", "trades"),
    _matches_session,
    _frames_session,
)
