"""The Kalshi codec on the venue's own words: sample frames and recorded sessions."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engine.records import UpdateKind
from engine.venues.counts import Count
from engine.venues.kalshi.codec import KalshiCodec
from engine.venues.symbols import SymbolTable
from engine.venues.workspace import CONNS_MAX
from tests.engine.venues import frames
from tests.engine.venues.recorded import lines

# Sample channels that are market data; every other one is our own orders, communications or reference prices.
MARKET_DATA = {
    "orderbook_delta",
    "ticker",
    "trade",
    "control",
    "market_lifecycle_v2",
    "multivariate_market_lifecycle",
}


def samples(shared_data: Path) -> list[dict[str, Any]]:
    """Server frames of the WebSocket among the samples."""
    text = (shared_data.parent / "reference" / "kalshi_samples.jsonl").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    return [row for row in rows if row["direction"] == "server" and not row["channel"].startswith("rest")]


def test_every_sample_frame_is_handled_or_known(shared_data: Path) -> None:
    records: Counter[str] = Counter()
    for row in samples(shared_data):
        pair = frames.SideBySide(lambda: KalshiCodec(SymbolTable(8)))
        for codec in (pair.fast, pair.general):
            codec.on_unknown = lambda symbol, codec=codec: codec.symbols.add(symbol, 1, 1)
        found, _ = pair.feed(json.dumps(row["message"]).encode())
        counts = pair.fast.counts
        assert counts[Count.UNKNOWN_TYPE] == counts[Count.REJECTED] == 0, pair.fast.last_error
        records[row["channel"]] += len(found)
        if row["channel"] not in MARKET_DATA:
            assert counts[Count.IGNORED] == 1
            assert len(found) == 0
    assert {"orderbook_delta", "ticker", "trade"} <= {channel for channel, count in records.items() if count}


def test_a_captured_demo_session_is_read_without_a_gap(shared_data: Path) -> None:
    pair = frames.SideBySide(lambda: KalshiCodec(SymbolTable(16)))
    for codec in (pair.fast, pair.general):
        codec.on_unknown = lambda symbol, codec=codec: codec.symbols.add(symbol, len(codec.symbols), 1)
    fast = 0
    for line in lines(shared_data / "kalshi_ws" / "demo_session_20260701.jsonl.zst"):
        if line.strip():
            fast += pair.feed(line)[1]
    counts = pair.fast.counts
    assert counts[Count.SNAPSHOTS] == 5
    assert counts[Count.LEVEL_ADDS] == 2_885
    assert fast == 2_890
    assert pair.fast.ignored_types == {"fill": 2}
    for quiet in (
        Count.REJECTED,
        Count.UNKNOWN_TYPE,
        Count.SEQ_GAPS,
        Count.SEQ_RESTARTS,
        Count.DOUBTS,
        Count.DUPLICATES,
    ):
        assert counts[quiet] == 0


def test_recorded_payloads_are_read_alike_by_both_parsers(shared_data: Path) -> None:
    path = shared_data / "kalshi_ws" / "kxbtc15m_20260513T202034Z.ndjson.zst"
    pair = frames.SideBySide(lambda: KalshiCodec(SymbolTable(16)))
    for codec in (pair.fast, pair.general):
        codec.on_unknown = lambda symbol, codec=codec: codec.symbols.add(symbol, len(codec.symbols), 1)
    kinds: Counter[int] = Counter()
    for number, line in enumerate(lines(path)):
        row = json.loads(line)
        if number > 4_000:
            break
        if row["event_type"] not in ("orderbook_snapshot", "orderbook_delta", "ticker"):
            continue
        frame = {"type": row["event_type"], "msg": row["payload_json"]}
        frame |= {} if row["sequence_number"] is None else {"seq": row["sequence_number"]}
        records, fast = pair.feed(frames.compact(frame))
        assert fast
        kinds.update(int(record["kind"]) for record in records)
    counts = pair.fast.counts
    assert counts[Count.SEQ_GAPS] == counts[Count.REJECTED] == counts[Count.UNKNOWN_TYPE] == 0
    assert counts[Count.SIDLESS] == counts[Count.SNAPSHOTS] + counts[Count.LEVEL_ADDS] > 3_000
    assert kinds[UpdateKind.TICKER] > 0


def test_how_the_no_side_is_priced_can_be_said_for_all_and_for_one() -> None:
    codec = KalshiCodec(frames.kalshi_symbols(), use_yes_price=True)
    codec.set_use_yes_price(4, False)
    payload = frames.compact(frames.delta(1, price="0.7000"))
    for conn, price_e4 in ((3, 7_000), (4, 3_000), (0, 7_000)):
        for fast in (True, False):
            codec.fast_enabled = fast
            codec.disconnect(conn, 0)
            assert codec.feed(payload, 1, conn) == 1
            assert codec.out[0]["price_e4"] == price_e4
    with pytest.raises(ValueError, match="connection"):
        codec.set_use_yes_price(CONNS_MAX, True)
