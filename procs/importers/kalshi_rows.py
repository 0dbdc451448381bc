"""Kalshi order-book rows in Parquet, prices in whole cents and sizes in whole contracts (`kxbtcmaxy_*`).

The wire of that day (until early 2026) had the same: ``yes`` and ``no`` levels, ``price`` and ``delta``.
A snapshot is one row a level, all with one ``sid``, ``seq`` and time of receipt. The recorder wrote another
market's ticker, and no market id, on every delta. Where a subscription has snapshots of exactly one market
and its deltas, laid on that market, never take a level below zero, they are given that market's ticker;
otherwise they keep the one they have.

There is no connection either. A number that steps back stays as it is, for the codec to find. A snapshot that
bears the number before it again, with another content, is no duplicate: it begins another connection.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from engine.errors import RecordingDamaged
from engine.records import Venue
from procs.importers.markets import MarketNotes
from procs.importers.parquet import parquet_rows
from procs.importers.reading import JsonObject
from procs.importers.source import Importer, Sample
from procs.importers.times import utc_ns
from procs.importers.wire import fixed_text, kalshi_frame
from procs.recording import CONN_MAX
from procs.recording_frames import Frame

_COLUMNS: Final = frozenset(
    {"type", "sid", "seq", "market_ticker", "side", "price", "qty", "ts", "ingest_ts"}
)


class _Row(NamedTuple):
    is_snapshot: bool
    sid: int
    seq: int
    market_id: str
    ticker: str
    side: str
    price_cents: int
    size: int
    ts: str
    ingest_ts: str
    number: int  # in the file, from 1


def _matches(sample: Sample) -> bool:
    return sample.columns >= _COLUMNS


def _row(row: JsonObject, path: Path, number: int) -> _Row:
    place = f"{path} row {number}"
    kind, side = row["type"], row["side"]
    numbers = (row["sid"], row["seq"], row["price"], row["qty"])
    if kind not in ("snapshot", "delta") or side not in ("yes", "no"):
        raise RecordingDamaged(f"{place}: neither a snapshot nor a delta row")
    if not all(type(number) is int for number in numbers):
        raise RecordingDamaged(f"{place}: sid, seq, price and qty must be integers")
    sid, seq, price, size = (int(str(number)) for number in numbers)
    texts = [str(row[name] or "") for name in ("market_ticker", "ts", "ingest_ts")]
    market_id = str(row.get("market_id") or "")
    is_snapshot = kind == "snapshot"
    return _Row(
        is_snapshot, sid, seq, market_id, texts[0], str(side), price, size, texts[1], texts[2], number
    )


def _rows(path: Path) -> Iterator[_Row]:
    for number, row in enumerate(parquet_rows(path), start=1):
        yield _row(row, path, number)


def _message(row: _Row) -> tuple[object, ...]:
    """Rows with equal keys are one wire message; a delta is one row."""
    return (row.is_snapshot, row.sid, row.seq, row.ingest_ts, row.ticker if row.is_snapshot else "")


def _frames(path: Path, notes: MarketNotes) -> Iterator[Frame]:
    tickers = _true_tickers(path)
    conn = 0
    before: list[_Row] = []
    for _, message in groupby(_rows(path), _message):
        rows = list(message)
        first = rows[0]
        if _begins_connection(before, rows):
            conn = (conn + 1) % (CONN_MAX + 1)
        before = rows
        ticker = first.ticker if first.is_snapshot else tickers.get((first.sid, first.ticker), first.ticker)
        notes.kalshi(ticker).seen.update(fixed_text(f"{row.price_cents}e-2", 4) for row in rows)
        recv_ns = utc_ns(first.ingest_ts, f"{path} seq {first.seq}")
        for raw, number in _encode(rows, ticker):
            yield Frame(recv_ns, Venue.KALSHI, conn, raw, number)


def _begins_connection(before: list[_Row], rows: list[_Row]) -> bool:
    """Whether a snapshot repeats the number of the message before it without repeating that message."""
    first = rows[0]
    repeats = bool(before) and (before[0].sid, before[0].seq) == (first.sid, first.seq)
    return repeats and first.is_snapshot and before[0].ingest_ts != first.ingest_ts


def _encode(rows: list[_Row], ticker: str) -> Iterator[tuple[bytes, int]]:
    """Frames, each with the number of its first row."""
    first = rows[0]
    identity: dict[str, object] = {"market_ticker": ticker}
    if first.market_id:
        identity["market_id"] = first.market_id
    if first.is_snapshot:
        bids = {
            side: levels
            for side in ("yes", "no")
            if (levels := [(row.price_cents, row.size) for row in rows if row.side == side])
        }
        yield kalshi_frame("orderbook_snapshot", first.sid, first.seq, {**identity, **bids}), first.number
        return
    for row in rows:
        change = {"price": row.price_cents, "delta": row.size, "side": row.side, "ts": row.ts}
        yield kalshi_frame("orderbook_delta", row.sid, row.seq, {**identity, **change}), row.number


def _true_tickers(path: Path) -> Mapping[tuple[int, str], str]:
    """(sid, ticker on the deltas) to the market that those deltas belong to, where that could be verified."""
    snapshots: dict[int, set[str]] = defaultdict(set)
    strangers: dict[int, set[str]] = defaultdict(set)
    try:
        for row in _rows(path):
            if row.is_snapshot:
                snapshots[row.sid].add(row.ticker)
            elif not row.market_id:
                strangers[row.sid].add(row.ticker)
    except RecordingDamaged:
        pass  # said when the frames are read
    found: dict[tuple[int, str], str] = {}
    for sid, tickers in strangers.items():
        if len(snapshots[sid]) == 1 and len(tickers) == 1 and not tickers <= snapshots[sid]:
            (home,), (stranger,) = snapshots[sid], tickers
            if _never_negative(path, sid, stranger):
                found[sid, stranger] = home
    return found


def _never_negative(path: Path, sid: int, stranger: str) -> bool:
    """Whether no level falls below 0 when the deltas of ``stranger`` are laid on the snapshots of ``sid``."""
    sizes: dict[tuple[str, int], int] = {}
    last_snapshot: tuple[object, ...] = ()
    try:
        for row in _rows(path):
            if row.sid != sid or not (row.is_snapshot or row.ticker == stranger):
                continue
            level = (row.side, row.price_cents)
            if row.is_snapshot:
                if _message(row) != last_snapshot:
                    sizes.clear()
                    last_snapshot = _message(row)
                sizes[level] = row.size
                continue
            sizes[level] = sizes.get(level, 0) + row.size
            if sizes[level] < 0:
                return False
    except RecordingDamaged:
        pass  # judged by what is whole
    return True


KALSHI_ROWS: Final = Importer(
    "kalshi_rows",
    "kalshi",
    "stream",
    ("connection", "delta_market", "fee_schedule", "price_grid", "trades"),
    _matches,
    _frames,
)
