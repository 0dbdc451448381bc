"""The Polymarket codec on the venue's own words: sample frames."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.records import UpdateKind
from engine.venues.counts import Count
from engine.venues.polymarket.codec import PolymarketCodec
from engine.venues.symbols import SymbolTable
from tests.engine.venues import frames

# Market-channel samples that give no records: keep-alive, and markets that begin or that nobody watches.
QUIET = {"PONG", "new_market", "market_resolved"}


def test_every_sample_frame_is_handled_or_known(shared_data: Path) -> None:
    text = (shared_data.parent / "reference" / "polymarket_samples.jsonl").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    served = [row for row in rows if row["direction"] == "server" and row["channel"] == "market.ws"]
    assert len(served) == 14
    kinds: set[int] = set()
    for row in served:
        pair = frames.SideBySide(lambda: PolymarketCodec(SymbolTable(8)))
        for codec in (pair.fast, pair.general):
            codec.on_unknown = lambda symbol, codec=codec: codec.symbols.add(symbol, len(codec.symbols), 1)
        message = row["message"]
        records, _ = pair.feed(message.encode() if isinstance(message, str) else frames.compact(message))
        counts = pair.fast.counts
        assert counts[Count.UNKNOWN_TYPE] == counts[Count.REJECTED] == 0, pair.fast.last_error
        name = message if isinstance(message, str) else message["event_type"]
        assert (len(records) == 0) == (name in QUIET)
        kinds.update(int(record["kind"]) for record in records)
    assert kinds == {
        *(
            UpdateKind.SNAPSHOT_BEGIN,
            UpdateKind.SNAPSHOT_LEVEL,
            UpdateKind.SNAPSHOT_END,
            UpdateKind.BOOK_HASH,
        ),
        *(
            UpdateKind.LEVEL_SET,
            UpdateKind.DECLARED_TOP,
            UpdateKind.TRADE,
            UpdateKind.GRID_CHANGE,
            UpdateKind.TICKER,
        ),
    }


def test_user_channel_frames_are_no_market_data(shared_data: Path) -> None:
    text = (shared_data.parent / "reference" / "polymarket_samples.jsonl").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    codec = PolymarketCodec(SymbolTable(2))
    served = [row for row in rows if row["direction"] == "server" and row["channel"] == "user.ws"]
    for row in served:
        assert codec.feed(frames.compact(row["message"]), 1, 0) == 0
    assert codec.counts[Count.IGNORED] + codec.counts[Count.UNKNOWN_TYPE] == len(served)
    assert codec.counts[Count.REJECTED] == 0


def test_hashes_are_counted() -> None:
    codec = PolymarketCodec(frames.polymarket_symbols())
    full: dict[str, Any] = {
        "hash": "0",
        "min_order_size": "5",
        "tick_size": "0.01",
        "neg_risk": False,
        "last_trade_price": "0.5",
    }
    codec.feed(frames.compact(frames.book(**full)), 1, 0)
    assert codec.counts[Count.HASH_DIFFERS] == 1
    assert codec.counts[Count.BOOK_HASHES] == 1
