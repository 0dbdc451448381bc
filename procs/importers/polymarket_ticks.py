"""Polymarket price changes, one row an entry of a ``price_changes`` array (`nhl_final_*`).

There are no snapshots, no market ids and no frame boundaries. Each change is on both tokens of its market: a
row followed by its mirror (same time and size, other token, other side, price 1 - p) is one frame of two
entries; any other row is a frame of its own. Two tokens are taken for one market only where every row of
both is mirrored by the other; the first and the last row of the file may have lost theirs to the cut.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from engine.errors import RecordingDamaged
from engine.records import Venue
from engine.units import NS_PER_MS
from procs.importers.markets import MarketNotes
from procs.importers.parquet import parquet_rows
from procs.importers.reading import JsonObject
from procs.importers.source import Importer, Sample
from procs.importers.wire import decimal_text, encode, last_trade
from procs.recording_frames import Frame

_SIDES: Final = {"BID": "BUY", "ASK": "SELL"}
_COLUMNS: Final = frozenset(
    {"timestamp", "price", "size", "best_bid", "best_ask", "side", "event_type", "asset_id"}
)
_PRICE_DECIMALS: Final = 6


class _Row(NamedTuple):
    time_ms: int
    token: str
    side: str
    price: float
    size: float
    best_bid: float
    best_ask: float
    is_trade: bool


def _matches(sample: Sample) -> bool:
    return sample.columns >= _COLUMNS


def _rows(path: Path) -> Iterator[_Row]:
    for number, row in enumerate(parquet_rows(path), start=1):
        yield _row(row, f"{path} row {number}")


def _row(row: JsonObject, place: str) -> _Row:
    time_ns, side, kind = row["timestamp"], row["side"], row["event_type"]
    if side not in _SIDES or kind not in ("PRICE_CHANGE", "LAST_TRADE") or not isinstance(time_ns, int):
        raise RecordingDamaged(f"{place}: not a price change or a trade")
    numbers = [row[name] for name in ("price", "size", "best_bid", "best_ask")]
    price, size, bid, ask = (value if isinstance(value, float) else float("nan") for value in numbers)
    return _Row(
        time_ns // NS_PER_MS,
        str(row["asset_id"]),
        _SIDES[str(side)],
        price,
        size,
        bid,
        ask,
        kind == "LAST_TRADE",
    )


def _mirrors(first: _Row, second: _Row) -> bool:
    return (
        not first.is_trade
        and not second.is_trade
        and first.time_ms == second.time_ms
        and first.size == second.size
        and first.side != second.side
        and first.token != second.token
        and round(first.price + second.price, _PRICE_DECIMALS) == 1
    )


def _messages(rows: Iterator[_Row]) -> Iterator[tuple[_Row, ...]]:
    """Rows that travelled together, as far as that can be told."""
    held: _Row | None = None
    for row in rows:
        if held is None:
            held = row
        elif _mirrors(held, row):
            yield (held, row)
            held = None
        else:
            yield (held,)
            held = row
    if held is not None:
        yield (held,)


class _Pairing:
    """Which tokens mirror each other, learned message by message."""

    def __init__(self) -> None:
        self._order: dict[str, int] = {}
        self._partners: dict[str, Counter[str]] = defaultdict(Counter)
        self._alone: list[tuple[int, str]] = []
        self._count = 0

    def see(self, message: tuple[_Row, ...]) -> None:
        """Take in one message."""
        for row in message:
            self._order.setdefault(row.token, len(self._order))
        if len(message) == 2:
            first, second = message
            self._partners[first.token][second.token] += 1
            self._partners[second.token][first.token] += 1
        elif not message[0].is_trade:
            self._alone.append((self._count, message[0].token))
        self._count += 1

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Tokens of one market, in the order of their first rows."""
        cut = (0, self._count - 1)  # the file's first and last message may have lost their mirrors
        unmirrored = {token for at, token in self._alone if at not in cut}
        for token, met in self._partners.items():
            partner = next(iter(met))
            sound = len(met) == 1 and len(self._partners[partner]) == 1 and not unmirrored & {token, partner}
            if sound and self._order[token] < self._order[partner]:
                yield token, partner


def _frames(path: Path, notes: MarketNotes) -> Iterator[Frame]:
    pairing = _Pairing()
    try:
        for message in _messages(_rows(path)):
            pairing.see(message)
            for row in message:
                notes.token(row.token).seen.add(decimal_text(row.price))
            yield Frame(message[0].time_ms * NS_PER_MS, Venue.POLYMARKET, 0, _encode(message))
    finally:
        for first, second in pairing.pairs():
            notes.pair(first, second)


def _encode(message: tuple[_Row, ...]) -> bytes:
    first = message[0]
    if first.is_trade:
        price, size = decimal_text(first.price), decimal_text(first.size)
        return encode(last_trade(first.token, "", price, size, first.side, first.time_ms))
    changes = [
        {
            "asset_id": row.token,
            "price": decimal_text(row.price),
            "size": decimal_text(row.size),
            "side": row.side,
            "best_bid": decimal_text(row.best_bid),
            "best_ask": decimal_text(row.best_ask),
        }
        for row in message
    ]
    return encode({"price_changes": changes, "timestamp": str(first.time_ms), "event_type": "price_change"})


POLYMARKET_TICKS: Final = Importer(
    "polymarket_ticks",
    "polymarket",
    "stream",
    (
        "condition_id",
        "connection",
        "fee_schedule",
        "frame_boundaries",
        "hash",
        "opening_snapshot",
        "outcome",
        "price_grid",
        "recv_time",
    ),
    _matches,
    _frames,
)
