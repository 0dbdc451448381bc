"""Kalshi REST exchanges, one a line: method, url, status, response_body (`demo_rest_*`).

An answer to GET /markets/TICKER/orderbook becomes a snapshot without ``sid`` and ``seq``; REST has neither.
Other exchanges are not market data and are passed over. There is no time at all: every frame has time 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson

from engine.errors import RecordingDamaged
from engine.records import Venue
from procs.importers.markets import MarketNotes
from procs.importers.reading import JsonObject, json_lines
from procs.importers.source import Importer, Sample
from procs.importers.wire import Level, kalshi_frame, kalshi_levels
from procs.recording_frames import Frame

_ORDERBOOK: Final = re.compile(r"/markets/([^/?]+)/orderbook(?:\?|$)")
_OK: Final = 200


def _matches(sample: Sample) -> bool:
    return {"method", "url", "status", "response_body"} <= sample.keys()


def _frames(path: Path, notes: MarketNotes) -> Iterator[Frame]:
    for number, exchange in json_lines(path):
        found = _ORDERBOOK.search(str(exchange.get("url")))
        if found is None or exchange.get("method") != "GET" or exchange.get("status") != _OK:
            continue
        bids = _bids(exchange, f"{path} line {number}")
        notes.kalshi(found[1]).seen.update(price for side in bids.values() for price, _ in side)
        msg = {"market_ticker": found[1], **kalshi_levels(bids)}
        yield Frame(0, Venue.KALSHI, 0, kalshi_frame("orderbook_snapshot", None, None, msg))


def _bids(exchange: JsonObject, place: str) -> dict[str, list[Level]]:
    try:
        book = orjson.loads(str(exchange["response_body"]))["orderbook_fp"]
        return {
            side: [(str(p), str(q)) for p, q in book.get(f"{side}_dollars") or ()] for side in ("yes", "no")
        }
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise RecordingDamaged(f"{place}: no order book in the response") from error


KALSHI_REST: Final = Importer(
    "kalshi_rest",
    "kalshi",
    "rest",
    ("captures_between", "fee_schedule", "market_id", "price_grid", "recv_time", "seq", "sid", "venue_time"),
    _matches,
    _frames,
)
