"""Small recordings of our own making, and the raw texts that go into them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import orjson
import zstandard

from engine.catalog.market import MarketSpec
from engine.records import Venue
from procs.recording import Provenance, RecordingHeader, RecordingWriter
from procs.recording_frames import Frame

TICKER = "KXTEST-26-A"
YES_TOKEN = "111"
NO_TOKEN = "222"
START_NS = 1_700_000_000_000_000_000


def header(venue: str = "kalshi", **changes: object) -> RecordingHeader:
    """Header of a synthetic stream with one market for each venue named."""
    markets = {"kalshi": (kalshi_spec(),), "polymarket": (polymarket_spec(),)}
    fields: dict[str, object] = {
        "venue": venue,
        "kind": "stream",
        "start_ns": START_NS,
        "markets": markets.get(venue, (kalshi_spec(), polymarket_spec())),
        "provenance": Provenance("tests", "MIT", "2026-01-01"),
        "synthetic": True,
    }
    return RecordingHeader(**{**fields, **changes})  # type: ignore[arg-type]


def kalshi_spec(ticker: str = TICKER) -> MarketSpec:
    """A Kalshi market on whole cents."""
    return MarketSpec(
        venue=Venue.KALSHI,
        symbol=ticker,
        price_ranges=((0, 10_000, 100),),
        lot_e6=10_000,
        min_size_e6=10_000,
        min_notional_micros=0,
        mirror=True,
    )


def polymarket_spec(yes: str = YES_TOKEN, no: str = NO_TOKEN, symbol: str = "0xabc") -> MarketSpec:
    """A mirrored Polymarket market with both tokens."""
    return MarketSpec(
        venue=Venue.POLYMARKET,
        symbol=symbol,
        price_ranges=((0, 10_000, 100),),
        lot_e6=10_000,
        min_size_e6=5_000_000,
        min_notional_micros=1_000_000,
        mirror=True,
        yes_token=yes,
        no_token=no,
    )


def write(path: Path, head: RecordingHeader, frames: Iterable[Frame]) -> Path:
    """A recording at ``path``."""
    with path.open("wb") as file, RecordingWriter(file, head) as writer:
        for frame in frames:
            writer.write(frame.recv_ns, frame.venue, frame.conn, frame.raw.decode())
    return path


def write_lines(path: Path, lines: Iterable[bytes]) -> Path:
    """A zstd file of these lines, whatever they are."""
    path.write_bytes(zstandard.ZstdCompressor().compress(b"".join(line + b"\n" for line in lines)))
    return path


def line(frame: Frame) -> bytes:
    """A frame as a line of a recording, without its end."""
    venue = frame.venue.name.lower()
    return orjson.dumps(
        {"recv_ns": frame.recv_ns, "venue": venue, "conn": frame.conn, "raw": frame.raw.decode()}
    )


def write_blocks(path: Path, blocks: Iterable[Iterable[bytes]], damaged: int) -> Path:
    """A file of compressed blocks of lines, a bit of block number ``damaged`` flipped."""
    compress = zstandard.ZstdCompressor(write_checksum=True).compress
    written = [bytearray(compress(b"".join(line + b"\n" for line in lines))) for lines in blocks]
    written[damaged][-1] ^= 1
    path.write_bytes(b"".join(written))
    return path


def kalshi(raw: object, at: int = 0, conn: int = 0) -> Frame:
    """A Kalshi frame ``at`` milliseconds after the start."""
    text = raw if isinstance(raw, bytes) else orjson.dumps(raw)
    return Frame(START_NS + at * 1_000_000, Venue.KALSHI, conn, text)


def polymarket(raw: object, at: int = 0, conn: int = 0) -> Frame:
    """A Polymarket frame ``at`` milliseconds after the start."""
    text = raw if isinstance(raw, bytes) else orjson.dumps(raw)
    return Frame(START_NS + at * 1_000_000, Venue.POLYMARKET, conn, text)


def snapshot(
    seq: int, yes: list[list[str]], no: list[list[str]], ticker: str = TICKER, sid: int = 1
) -> object:
    """A Kalshi snapshot message; an empty side is left out."""
    sides = {"yes_dollars_fp": yes, "no_dollars_fp": no}
    levels = {name: side for name, side in sides.items() if side}
    msg = {"market_ticker": ticker, "market_id": "m", **levels}
    return {"type": "orderbook_snapshot", "sid": sid, "seq": seq, "msg": msg}


def delta(seq: int, side: str, price: str, change: str, ticker: str = TICKER, sid: int = 1) -> object:
    """A Kalshi delta message."""
    msg = {
        "market_ticker": ticker,
        "market_id": "m",
        "price_dollars": price,
        "delta_fp": change,
        "side": side,
    }
    times = {"ts": "2026-01-01T00:00:00Z", "ts_ms": 1_767_225_600_000}
    return {"type": "orderbook_delta", "sid": sid, "seq": seq, "msg": {**msg, **times}}


def ticker(bid: str, ask: str, market: str = TICKER) -> object:
    """A Kalshi ticker message."""
    msg = {"market_id": "m", "market_ticker": market, "yes_bid_dollars": bid, "yes_ask_dollars": ask}
    return {"type": "ticker", "sid": 2, "msg": {**msg, "price_dollars": bid, "ts_ms": 1_767_225_600_000}}
