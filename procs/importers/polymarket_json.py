"""Polymarket books and trades as JSON: a collector's arrays, and raw batched REST `/books` responses.

The arrays (`updown_*/*.json`) name neither market nor token: the file's name stands for both. A REST batch is
one frame, its books in the spelling of the response, marked as ``book`` events.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engine.errors import RecordingDamaged
from engine.records import Venue
from engine.units import NS_PER_MS, decimal_to_units
from procs.importers.markets import MarketNotes
from procs.importers.polymarket_books import outcome_of, stand_in_token
from procs.importers.reading import JsonObject, json_array, json_lines
from procs.importers.source import Importer, Sample
from procs.importers.times import ms_ns, utc_ns
from procs.importers.wire import Level, book, encode, last_trade
from procs.recording_frames import Frame

_NAME: Final = re.compile(r"(.+?)_(?:orderbooks|trades)_(.+?)_?(up|down|yes|no)$", re.IGNORECASE)
_SIDES: Final = {"buy": "BUY", "sell": "SELL"}


def _array_keys(sample: Sample) -> frozenset[str]:
    """Keys in the first object of a JSON array, as far as the sample shows them."""
    if not sample.text.lstrip().startswith(b"["):
        return frozenset()
    return frozenset(key.decode() for key in re.findall(rb'"(\w+)"\s*:', sample.text))


def _identity(path: Path) -> tuple[str, str]:
    """Market and side from the file's name; the whole name and no side when it is spelled otherwise."""
    stem = path.name.split(".", 1)[0]
    found = _NAME.match(stem)
    return (f"{found[1]}_{found[2]}", found[3]) if found else (stem, "")


def _matches_books(sample: Sample) -> bool:
    return _array_keys(sample) >= {"bids", "asks", "local_timestamp"}


def _frames_books(path: Path, notes: MarketNotes) -> Iterator[Frame]:
    market, side = _identity(path)
    token = stand_in_token(market, side) if side else market
    for number, row in enumerate(json_array(path), start=1):
        place = f"{path} object {number}"
        bids, asks = (_levels(row, name, place) for name in ("bids", "asks"))
        note = notes.token(token, "", outcome_of(side))
        note.seen.update(price for levels in (bids, asks) for price, _ in levels)
        raw = encode(book(token, "", bids, asks, ms_ns(str(row["timestamp"]), place) // NS_PER_MS))
        yield Frame(ms_ns(str(row["local_timestamp"]), place), Venue.POLYMARKET, 0, raw)


def _levels(row: JsonObject, name: str, place: str) -> list[Level]:
    levels = row.get(name)
    try:
        if not isinstance(levels, list):
            raise TypeError(name)
        return [(str(level["price"]), str(level["size"])) for level in levels]
    except (TypeError, KeyError) as error:
        raise RecordingDamaged(f"{place}: {name} are not levels") from error


def _matches_trades(sample: Sample) -> bool:
    keys = _array_keys(sample)
    return keys >= {"price", "size", "side", "local_timestamp"} and "bids" not in keys


def _frames_trades(path: Path, notes: MarketNotes) -> Iterator[Frame]:
    market, side = _identity(path)
    token = stand_in_token(market, side) if side else market
    for number, row in enumerate(json_array(path), start=1):
        place = f"{path} object {number}"
        if row.get("side") not in _SIDES:
            raise RecordingDamaged(f"{place}: a trade is a buy or a sell")
        price, size = str(row["price"]), str(row["size"])
        notes.token(token, "", outcome_of(side)).seen.add(price)
        time_ms = ms_ns(str(row["timestamp"]), place) // NS_PER_MS
        raw = encode(last_trade(token, "", price, size, _SIDES[str(row["side"])], time_ms))
        yield Frame(ms_ns(str(row["local_timestamp"]), place), Venue.POLYMARKET, 0, raw)


def _matches_rest(sample: Sample) -> bool:
    return {"collector_ts", "requested_token_ids", "books"} <= sample.keys()


def _frames_rest(path: Path, notes: MarketNotes) -> Iterator[Frame]:
    for number, line in json_lines(path):
        place = f"{path} line {number}"
        books = line.get("books")
        if not isinstance(books, list) or not all(isinstance(item, dict) for item in books):
            raise RecordingDamaged(f"{place}: no books in the response")
        outcomes = _outcomes(line)
        for item in books:
            _describe(notes, item, outcomes)
        raw = encode([{"event_type": "book", **item} for item in books])
        yield Frame(utc_ns(str(line["collector_ts"]), place), Venue.POLYMARKET, 0, raw)


def _outcomes(line: JsonObject) -> dict[str, str]:
    """Token to outcome word, from what the collector asked for."""
    asked = line.get("requested_tokens")
    if not isinstance(asked, list):
        return {}
    return {str(row.get("token_id")): str(row.get("outcome")) for row in asked if isinstance(row, dict)}


def _describe(notes: MarketNotes, item: JsonObject, outcomes: dict[str, str]) -> None:
    token = str(item.get("asset_id"))
    note = notes.token(token, str(item.get("market") or ""), outcome_of(outcomes.get(token, "")))
    for name in ("bids", "asks"):
        levels = item.get(name)
        if isinstance(levels, list):
            note.seen.update(str(level["price"]) for level in levels)
    try:
        note.step_e4 = decimal_to_units(str(item.get("tick_size", "")), 4)
        note.min_size_e6 = decimal_to_units(str(item.get("min_order_size", "")), 6)
    except ValueError:
        note.step_e4 = note.min_size_e6 = 0
    note.neg_risk = item.get("neg_risk") is True


POLYMARKET_ARRAY_BOOKS: Final = Importer(
    "polymarket_array_books",
    "polymarket",
    "snapshots",
    (
        "captures_between",
        "condition_id",
        "connection",
        "fee_schedule",
        "hash",
        "price_grid",
        "token_id",
        "trades",
    ),
    _matches_books,
    _frames_books,
)
POLYMARKET_ARRAY_TRADES: Final = Importer(
    "polymarket_array_trades",
    "polymarket",
    "trades",
    ("condition_id", "connection", "fee_schedule", "opening_snapshot", "price_grid", "token_id"),
    _matches_trades,
    _frames_trades,
)
POLYMARKET_REST: Final = Importer(
    "polymarket_rest",
    "polymarket",
    "rest",
    ("captures_between", "fee_schedule", "trades"),
    _matches_rest,
    _frames_rest,
)
