"""Polymarket order books captured at intervals: several levels of each token (`btc15m_*`, `updown_l5_*`).

One row is one frame. A row with both tokens is an array of their books. Where a recorder also wrote a best
bid and ask of its own, they follow as ``best_bid_ask`` events, so that `pr3dict check` can compare.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from engine.errors import RecordingDamaged
from engine.records import Venue
from engine.units import NS_PER_MS
from procs.importers.markets import MarketNotes, Note
from procs.importers.parquet import parquet_rows
from procs.importers.reading import JsonObject, csv_rows
from procs.importers.source import Importer, Sample
from procs.importers.times import ms_ns, seconds_ns, whole_seconds_ns
from procs.importers.wire import Fields, Level, best_bid_ask, book, decimal_text, encode
from procs.recording_frames import Frame

DEPTH: Final = 5  # levels a side of the *_l5 files
YES_WORDS: Final = frozenset({"up", "yes"})
NO_WORDS: Final = frozenset({"down", "no"})

_LACKS: Final = ("captures_between", "connection", "fee_schedule", "hash", "price_grid", "trades")
_NO_BID: Final = "0"  # the wire's words for an empty side
_NO_ASK: Final = "1"


def outcome_of(word: str) -> str:
    """YES or NO for an outcome's name; empty when it is neither."""
    lower = word.lower()
    return "YES" if lower in YES_WORDS else "NO" if lower in NO_WORDS else ""


def stand_in_token(market: str, side: str) -> str:
    """Name of a token whose id the file never had: its market and side."""
    return f"{market}:{side.upper()}"


def _see(note: Note, *sides: list[Level]) -> None:
    for side in sides:
        note.seen.update(price for price, _ in side)


def _number(value: object) -> str:
    """Decimal text of a number in a row; empty for a missing one."""
    if isinstance(value, float | int) and value == value:  # NaN is not equal to itself
        return decimal_text(value)
    return ""


# --- top 20 levels, one row a token, market id and side instead of a token id


def _matches_lists(sample: Sample) -> bool:
    return sample.columns >= {"market_id", "ts", "side", "bid_px", "bid_sz", "ask_px", "ask_sz"}


def _frames_lists(path: Path, notes: MarketNotes) -> Iterator[Frame]:
    for number, row in enumerate(parquet_rows(path), start=1):
        place = f"{path} row {number}"
        market, side = str(row["market_id"]), str(row["side"])
        bids, asks = (_list_levels(row, name, place) for name in ("bid", "ask"))
        token = stand_in_token(market, side)
        _see(notes.token(token, market, outcome_of(side)), bids, asks)
        recv_ns = ms_ns(str(row["ts"]), place)
        raw = encode(book(token, market, bids, asks, None))
        yield Frame(recv_ns, Venue.POLYMARKET, 0, raw)


def _list_levels(row: JsonObject, name: str, place: str) -> list[Level]:
    prices, sizes = row[f"{name}_px"], row[f"{name}_sz"]
    if not isinstance(prices, list) or not isinstance(sizes, list) or len(prices) != len(sizes):
        raise RecordingDamaged(f"{place}: {name} prices and sizes do not go together")
    return [(decimal_text(price), decimal_text(size)) for price, size in zip(prices, sizes, strict=True)]


# --- five levels of both tokens in one row


def _matches_wide(sample: Sample) -> bool:
    return sample.columns >= {"ts_ms", "condition_id", "token_id_up", "token_id_down", "bid_px_up_1"}


def _frames_wide(path: Path, notes: MarketNotes) -> Iterator[Frame]:
    for number, row in enumerate(parquet_rows(path), start=1):
        place = f"{path} row {number}"
        condition = str(row["condition_id"])
        events: list[Fields] = []
        bests: list[Fields] = []
        for side in ("up", "down"):
            token = str(row[f"token_id_{side}"])
            bids, asks = (_wide_levels(row, name, side) for name in ("bid", "ask"))
            note = notes.token(token, condition, outcome_of(side))
            _see(note, bids, asks)
            note.title = str(row.get("market_slug") or "")
            note.open_ns, note.close_ns = (
                _ms_or_unknown(row.get(f"window_{end}_ms")) for end in ("start", "end")
            )
            events.append(book(token, condition, bids, asks, None))
            bid, ask = (_number(row.get(f"best_{name}_{side}")) for name in ("bid", "ask"))
            bests.append(best_bid_ask(token, condition, bid or _NO_BID, ask or _NO_ASK, None))
        yield Frame(ms_ns(str(row["ts_ms"]), place), Venue.POLYMARKET, 0, encode(events + bests))


def _wide_levels(row: JsonObject, name: str, side: str) -> list[Level]:
    levels: list[Level] = []
    for depth in range(1, DEPTH + 1):
        price = _number(row.get(f"{name}_px_{side}_{depth}"))
        size = _number(row.get(f"{name}_sz_{side}_{depth}"))
        if price:
            levels.append((price, size or None))
    return levels


def _ms_or_unknown(value: object) -> int:
    return value * NS_PER_MS if isinstance(value, int) else 0


# --- five levels of one token a row


def _matches_token_rows(sample: Sample) -> bool:
    return {"timestamp_ms", "condition_id", "token_id", "outcome", "bid_1_price"} <= sample.csv_names()


def _frames_token_rows(path: Path, notes: MarketNotes) -> Iterator[Frame]:
    for number, row in enumerate(csv_rows(path), start=2):
        condition, token = row["condition_id"], row["token_id"]
        bids, asks = (
            [level for depth in range(1, DEPTH + 1) if (level := _cell(row, side, depth))]
            for side in ("bid", "ask")
        )
        note = notes.token(token, condition, outcome_of(row["outcome"]))
        _see(note, bids, asks)
        note.title = row["market_slug"]
        events = [
            book(token, condition, bids, asks, None),
            best_bid_ask(token, condition, row["best_bid"] or _NO_BID, row["best_ask"] or _NO_ASK, None),
        ]
        recv_ns = ms_ns(row["timestamp_ms"], f"{path} line {number}")
        yield Frame(recv_ns, Venue.POLYMARKET, 0, encode(events))


def _cell(row: Mapping[str, str], side: str, depth: int) -> Level | None:
    price, size = row[f"{side}_{depth}_price"], row[f"{side}_{depth}_size"]
    return (price, size or None) if price else None


# --- best bid and ask of both tokens, with sizes, a row at each change of either


def _matches_best(sample: Sample) -> bool:
    return {
        "recorded_at_ts",
        "up_token_id",
        "down_token_id",
        "up_book_ts",
        "up_bid_size",
    } <= sample.csv_names()


def _frames_best(path: Path, notes: MarketNotes) -> Iterator[Frame]:
    """A token's columns are repeated until its next book: only a changed book is a frame."""
    last: dict[str, tuple[str, ...]] = {}
    for number, row in enumerate(csv_rows(path), start=2):
        place = f"{path} line {number}"
        events: list[Fields] = []
        for side in ("up", "down"):
            token = row[f"{side}_token_id"]
            cells = tuple(row[f"{side}_{name}"] for name in ("book_ts", "bid", "bid_size", "ask", "ask_size"))
            if last.get(token) == cells or not cells[0]:
                continue
            last[token] = cells
            events.append(_best_book(row, token, side, cells, notes, place))
        if events:
            yield Frame(seconds_ns(row["recorded_at_ts"], place), Venue.POLYMARKET, 0, encode(events))


def _best_book(
    row: Mapping[str, str], token: str, side: str, cells: tuple[str, ...], notes: MarketNotes, place: str
) -> Fields:
    bids, asks = (_best_level(price, size) for price, size in (cells[1:3], cells[3:5]))
    note = notes.token(token, row["market_slug"], outcome_of(side))
    _see(note, bids, asks)
    note.title, note.close_ns = row["question"], whole_seconds_ns(row["market_end_ts"])
    return book(token, "", bids, asks, ms_ns(cells[0], place) // NS_PER_MS)


def _best_level(price: str, size: str) -> list[Level]:
    """One level; none where the recorder wrote nothing, or a size of zero, for an empty side."""
    is_empty = not price or (size != "" and not size.strip("0."))
    return [] if is_empty else [(price, size or None)]


POLYMARKET_LISTS: Final = Importer(
    "polymarket_lists",
    "polymarket",
    "snapshots",
    (*_LACKS, "book_depth", "token_id", "venue_time"),
    _matches_lists,
    _frames_lists,
)
POLYMARKET_WIDE: Final = Importer(
    "polymarket_wide",
    "polymarket",
    "snapshots",
    (*_LACKS, "book_depth", "venue_time"),
    _matches_wide,
    _frames_wide,
)
POLYMARKET_TOKEN_ROWS: Final = Importer(
    "polymarket_token_rows",
    "polymarket",
    "snapshots",
    (*_LACKS, "book_depth", "venue_time"),
    _matches_token_rows,
    _frames_token_rows,
)
POLYMARKET_BEST: Final = Importer(
    "polymarket_best",
    "polymarket",
    "snapshots",
    (*_LACKS, "book_depth", "condition_id"),
    _matches_best,
    _frames_best,
)
