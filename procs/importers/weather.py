"""Best bid and ask of every temperature bin, from polls of both venues (`weather_*`, `weather_books/*`).

Sizes are not in these files (only a depth in dollars and the price of buying 100 dollars' worth, which no
frame can carry): every level has the size null. A row in which the poller got no book at all is no frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import orjson

from engine.errors import RecordingDamaged
from engine.records import Venue
from engine.units import NS_PER_MS
from procs.importers.markets import MarketNotes
from procs.importers.polymarket_books import stand_in_token
from procs.importers.reading import csv_rows
from procs.importers.source import Importer, Sample
from procs.importers.times import ms_ns, utc_ns
from procs.importers.weather_groups import Groups, question_bin, ticker_event
from procs.importers.wire import Fields, Level, book, encode, fixed_text, kalshi_frame, kalshi_levels
from procs.recording_frames import Frame

CATEGORY: Final = "weather"
_PRICES: Final = ("yes_best_bid", "yes_best_ask", "no_best_bid", "no_best_ask")
_LACKS: Final = (
    "book_depth",
    "captures_between",
    "connection",
    "fee_schedule",
    "price_grid",
    "sizes",
    "trades",
)


def _level(price: str) -> list[Level]:
    return [(price, None)] if price else []


def _matches_polymarket(sample: Sample) -> bool:
    return {"fetched_at_utc", "condition_id", "clob_token_ids_json", *_PRICES} <= sample.csv_names()


def _frames_polymarket(path: Path, notes: MarketNotes) -> Iterator[Frame]:
    groups = Groups()
    try:
        for number, row in enumerate(csv_rows(path), start=2):
            place = f"{path} line {number}"
            if row["book_ts"] or any(row[name] for name in _PRICES):
                raw = encode(_books(row, place, notes, groups))
                yield Frame(utc_ns(row["fetched_at_utc"], place), Venue.POLYMARKET, 0, raw)
    finally:
        groups.close()


def _books(row: Mapping[str, str], place: str, notes: MarketNotes, groups: Groups) -> list[Fields]:
    """Books of the YES and the NO token, one row."""
    time_ms = ms_ns(row["book_ts"], place) // NS_PER_MS if row["book_ts"] else None
    condition = row["condition_id"]
    binned = question_bin(row["question"])
    events: list[Fields] = []
    for token, outcome in zip(_tokens(row, place), ("YES", "NO"), strict=True):
        bids, asks = (_level(row[f"{outcome.lower()}_best_{side}"]) for side in ("bid", "ask"))
        note = notes.token(token, condition, outcome)
        note.seen.update(price for price, _ in bids + asks)
        note.title = note.rules_text = row["question"]
        note.category = CATEGORY
        if binned is not None:
            year = row["end_date_iso"][:4]
            groups.add(f"{binned[0]}, {year}", condition, note, binned[1])
        events.append(book(token, condition, bids, asks, time_ms))
    return events


def _tokens(row: Mapping[str, str], place: str) -> tuple[str, str]:
    """Token ids of YES and NO; market and side where the poll had none."""
    try:
        tokens = orjson.loads(row["clob_token_ids_json"] or "[]")
    except orjson.JSONDecodeError as error:
        raise RecordingDamaged(f"{place}: token ids are not JSON") from error
    if isinstance(tokens, list) and len(tokens) == 2:
        return str(tokens[0]), str(tokens[1])
    return stand_in_token(row["condition_id"], "YES"), stand_in_token(row["condition_id"], "NO")


def _matches_kalshi(sample: Sample) -> bool:
    return {"fetched_at_utc", "ticker", *_PRICES} <= sample.csv_names()


def _frames_kalshi(path: Path, notes: MarketNotes) -> Iterator[Frame]:
    groups = Groups()
    try:
        for number, row in enumerate(csv_rows(path), start=2):
            recv_ns = utc_ns(row["fetched_at_utc"], f"{path} line {number}")
            bids = {side: _kalshi_level(row[f"{side}_best_bid"]) for side in ("yes", "no")}
            ticker = row["ticker"]
            note = notes.kalshi(ticker)
            note.seen.update(price for side in bids.values() for price, _ in side)
            note.category = CATEGORY
            event = ticker_event(ticker)
            if event is not None:
                groups.add(event, ticker, note)
            msg = {"market_ticker": ticker, **kalshi_levels(bids)}
            yield Frame(recv_ns, Venue.KALSHI, 0, kalshi_frame("orderbook_snapshot", None, None, msg))
    finally:
        groups.close()


def _kalshi_level(price: str) -> list[Level]:
    return [(fixed_text(price, 4), None)] if price else []


WEATHER_POLYMARKET: Final = Importer(
    "weather_polymarket",
    "polymarket",
    "snapshots",
    (*_LACKS, "hash"),
    _matches_polymarket,
    _frames_polymarket,
)
WEATHER_KALSHI: Final = Importer(
    "weather_kalshi",
    "kalshi",
    "snapshots",
    (*_LACKS, "market_id", "seq", "sid", "venue_time"),
    _matches_kalshi,
    _frames_kalshi,
)
