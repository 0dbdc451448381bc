"""Tiny files of our own making in the shape of each source that an importer knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

Row = Mapping[str, object]


def write_text(path: Path, text: bytes) -> Path:
    """A zstd file of ``text``."""
    path.write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(text))
    return path


def write_json_lines(path: Path, rows: Sequence[object], between: bytes = b"\n") -> Path:
    """One JSON value a line."""
    return write_text(path, b"".join(orjson.dumps(row) + between for row in rows))


def write_csv(path: Path, rows: Sequence[Row], end: str = "\n") -> Path:
    """CSV with the keys of the first row as names; every text cell quoted, so that it may hold a comma."""
    quoted = [
        [
            f'"{str(cell).replace(chr(34), chr(34) * 2)}"' if isinstance(cell, str) else str(cell)
            for cell in row.values()
        ]
        for row in rows
    ]
    lines = [",".join(rows[0]), *(",".join(cells) for cells in quoted)]
    return write_text(path, "".join(line + end for line in lines).encode())


def write_parquet(path: Path, rows: Sequence[Row]) -> Path:
    """Parquet with the types that pyarrow infers."""
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path)
    return path


def capture_event(kind: str, recv_ns: int, payload: object, seq: int | None = None) -> Row:
    """Envelope of the recorder of `kxbtc15m_*`, keys sorted as there."""
    return {
        "connection_id": "c-1",
        "event_type": kind,
        "local_recv_ns": recv_ns,
        "market_ticker": "KXT-A",
        "payload_json": payload,
        "sequence_number": seq,
        "trust_state": "synced",
    }


def kalshi_capture(path: Path) -> Path:
    """A session with a reconnect: markers, acknowledgements, a snapshot, deltas, a ticker."""

    def opening(at: int, sid: int) -> list[Row]:
        acks = [
            {"id": 1, "msg": {"channel": "ticker", "sid": 1}, "type": "subscribed"},
            {"id": 1, "msg": {"channel": "orderbook_delta", "sid": sid}, "type": "subscribed"},
        ]
        book = {
            "market_id": "u",
            "market_ticker": "KXT-A",
            "yes_dollars_fp": [["0.0010", "5.00"], ["0.5000", "7.50"]],
        }
        return [
            capture_event("ws_connected", at, {"market_ticker": "KXT-A"}),
            *(capture_event("ws_subscribed", at + 1, ack) for ack in acks),
            capture_event("orderbook_snapshot", at + 2, book, 1),
        ]

    change = {
        "delta_fp": "-2.50",
        "market_id": "u",
        "market_ticker": "KXT-A",
        "price_cents": 50,
        "price_dollars": "0.5000",
        "side": "yes",
        "ts": "2026-05-13T20:20:36.6Z",
        "ts_ms": 9,
    }
    quote = {"market_ticker": "KXT-A", "no_ask": 50, "ts": 1, "yes_ask": 100, "yes_bid_dollars": "0.5000"}
    quote |= {"price_dollars": "0.5000", "yes_ask_dollars": "1.0000"}
    watch = {
        "close_time": "2026-05-13T20:30:00Z",
        "market_ticker": "KXT-A",
        "status": "active",
        "strike": 1.5,
    }
    return write_json_lines(
        path,
        [
            capture_event("watch_market", 1, watch),
            *opening(2, 2),
            capture_event("orderbook_delta", 10, change, 2),
            capture_event("ticker", 11, quote),
            *opening(20, 4),
            capture_event("market_rotated", 30, {"active_market_ticker": "KXT-B"}),
            capture_event("something_new", 31, {"x": 1}),
        ],
    )


def kalshi_wire(path: Path) -> Path:
    """Raw text with blank lines between; the first frames have no time."""
    book = {"market_ticker": "KXT-A", "market_id": "u", "no_dollars_fp": [["0.3000", "1.00"]]}
    later = {
        "market_ticker": "KXT-A",
        "price_dollars": "0.4100",
        "delta_fp": "1.00",
        "side": "no",
        "ts_ms": 2_000,
    }
    earlier = {**later, "ts_ms": 1_500}
    return write_json_lines(
        path,
        [
            {"type": "subscribed", "id": 2, "msg": {"channel": "orderbook_delta", "sid": 1}},
            {"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": book},
            {"type": "orderbook_delta", "sid": 1, "seq": 2, "msg": later},
            {"type": "orderbook_delta", "sid": 1, "seq": 3, "msg": earlier},
        ],
        between=b"\n\n",
    )


def kalshi_row(kind: str, seq: int, side: str, price: int, size: int, second: int, **changes: object) -> Row:
    """Row of `kxbtcmaxy_*`: deltas under another market's ticker."""
    stamp = f"2025-11-04T01:00:{second:02d}.500000+00:00"
    is_delta = kind == "delta"
    row = {
        "type": kind,
        "sid": 1,
        "seq": seq,
        "market_id": "" if is_delta else "u",
        "market_ticker": "STRANGER" if is_delta else "KXT-A",
        "side": side,
        "price": price,
        "qty": size,
        "ts": stamp,
        "ingest_ts": stamp,
    }
    return {**row, **changes}


def kalshi_rows(path: Path, *, negative: bool = False) -> Path:
    """Two snapshots with deltas between; with ``negative`` the deltas cannot belong to that market."""
    return write_parquet(
        path,
        [
            kalshi_row("snapshot", 2, "yes", 1, 867550, 1),
            kalshi_row("snapshot", 2, "no", 60, 30, 1),
            kalshi_row("delta", 3, "yes", 1, -900000 if negative else -50, 2),
            kalshi_row("delta", 4, "no", 61, 12, 3),
            kalshi_row("snapshot", 2, "no", 60, 5, 9),
        ],
    )


def kalshi_rest(path: Path) -> Path:
    """Two order books, one of them empty, and an exchange about something else."""
    body = {"orderbook_fp": {"no_dollars": [["0.7300", "55.20"]], "yes_dollars": [["0.0100", "14.86"]]}}
    root = "https://demo.example/trade-api/v2"
    exchange = {"method": "GET", "request_body": "", "status": 200}
    return write_json_lines(
        path,
        [
            {
                **exchange,
                "url": f"{root}/markets/KXT-A/orderbook",
                "response_body": orjson.dumps(body).decode(),
            },
            {
                **exchange,
                "url": f"{root}/markets/KXT-B/orderbook?depth=5",
                "response_body": '{"orderbook_fp":{}}',
            },
            {**exchange, "url": f"{root}/portfolio/positions", "response_body": "{}"},
            {**exchange, "url": f"{root}/markets/KXT-C/orderbook", "status": 500, "response_body": ""},
        ],
    )


def tick(ms: int, token: str, side: str, price: float, size: float, kind: str = "PRICE_CHANGE") -> Row:
    """Row of the NHL file."""
    trade = kind == "LAST_TRADE"
    return {
        "timestamp": datetime.fromtimestamp(1_780_000_000 + ms / 1000, UTC),
        "price": price,
        "size": size,
        "best_bid": 0.0 if trade else 0.35,
        "best_ask": 0.0 if trade else 1.0,
        "side": side,
        "event_type": kind,
        "asset_id": token,
    }


def polymarket_ticks(path: Path, extra: Sequence[Row] = ()) -> Path:
    """Two mirrored pairs of tokens, a trade, and a last row whose mirror was cut off."""
    return write_parquet(
        path,
        [
            tick(1, "71", "BID", 0.31, 198.0),
            tick(1, "72", "ASK", 0.69, 198.0),
            tick(1, "82", "BID", 0.455, 0.0),
            tick(1, "81", "ASK", 0.545, 0.0),
            tick(2, "71", "BID", 0.48, 2.083332, "LAST_TRADE"),
            *extra,
            tick(3, "72", "BID", 0.07, 5.0),
            tick(3, "71", "ASK", 0.93, 5.0),
            tick(4, "81", "BID", 0.5, 1.0),
        ],
    )


def polymarket_v1(path: Path) -> Path:
    """One message of before September 2025."""
    changes = [{"side": "SELL", "size": "300", "price": "0.23"}, {"side": "BUY", "size": "0", "price": ".2"}]
    row = {
        "id": "1",
        "asset_id": "71",
        "market": "0xm",
        "timestamp": "2025-01-25 18:15:47.925 +0100",
        "hash": "af03",
        "changes": orjson.dumps(changes).decode(),
    }
    return write_csv(path, [row])


def polymarket_session(path: Path) -> Path:
    """Books with numbers; the first row knows only an id of Gamma's."""

    def event(at: int, market: str, **more: object) -> Row:
        book = {
            "type": "book",
            "timestamp": at,
            "asset_id": "71",
            "market": market,
            "bids": [[0.01, 50]],
            "asks": [],
        }
        return {"timestamp": at, "type": "book", "data": {**book, **more}}

    return write_json_lines(
        path, [event(1768858436755, "161587"), event(1768858436756, "0xm", hash="30e7", asks=[[0.99, 80.5]])]
    )


def polymarket_lists(path: Path) -> Path:
    """Up and Down of one market, levels as lists."""
    up = {"bid_px": [0.49, 0.48], "bid_sz": [514.99, 445.0], "ask_px": [0.5], "ask_sz": [205.0]}
    down = {"bid_px": [0.5], "bid_sz": [205.0], "ask_px": [0.51, 0.52], "ask_sz": [514.99, 445.0]}
    return write_parquet(
        path,
        [
            {"market_id": "0xm", "ts": 1790585112649, "side": "DOWN", **down},
            {"market_id": "0xm", "ts": 1790585112649, "side": "UP", **up},
        ],
    )


def metadata(path: Path) -> Path:
    """Metadata of the market in ``polymarket_lists``."""
    return write_parquet(
        path,
        [
            {
                "market_id": "0xm",
                "slug": "btc",
                "question": "Bitcoin Up or Down",
                "category": "crypto",
                "start_ts": 1790586000000,
                "end_ts": 1790586900000,
                "outcome_up": "Up",
                "outcome_down": "Down",
            }
        ],
    )


def polymarket_wide(path: Path) -> Path:
    """One row with two levels of both tokens and the recorder's own best prices."""
    row: dict[str, object] = {
        "ts_ms": 1771633806261,
        "market_slug": "btc-updown-15m",
        "condition_id": "0xm",
        "token_id_up": "71",
        "token_id_down": "72",
        "window_start_ms": 1771633800000,
        "window_end_ms": 1771634700000,
        "best_bid_up": 0.5,
        "best_ask_up": 0.51,
        "best_bid_down": None,
        "best_ask_down": 0.5,
    }
    levels = {
        "up": {"bid": [(0.5, 3.0), (0.49, 4.5)], "ask": [(0.51, 2.0)]},
        "down": {"bid": [], "ask": [(0.5, 3.0)]},
    }
    for side, books in levels.items():
        for name, book in books.items():
            for depth in range(1, 6):
                price, size = book[depth - 1] if depth <= len(book) else (None, None)
                row[f"{name}_px_{side}_{depth}"] = price
                row[f"{name}_sz_{side}_{depth}"] = size
    return write_parquet(path, [row])


def polymarket_token_rows(path: Path) -> Path:
    """One token a row, lines ended as on Windows."""
    row: dict[str, object] = {
        "timestamp_ms": 1773170726526,
        "condition_id": "0xm",
        "token_id": "71",
        "outcome": "Up",
    }
    row |= {"best_bid": 0.53, "best_ask": ""}
    for side, book in {"bid": [(0.53, 29.53), (0.52, "")], "ask": []}.items():
        for depth in range(1, 6):
            price, size = book[depth - 1] if depth <= len(book) else ("", "")
            row[f"{side}_{depth}_price"], row[f"{side}_{depth}_size"] = price, size
    return write_csv(path, [{**row, "market_slug": "btc-updown-15m"}], end="\r\n")


def polymarket_best(path: Path) -> Path:
    """Four rows: both books, only Up changed, nothing changed, Up has lost its bids."""

    def row(at: str, up_at: str, up_bid: str, up_bid_size: str = "1824.21") -> Row:
        return {
            "recorded_at_ts": at,
            "market_slug": "btc-updown-15m-1",
            "question": "Bitcoin Up or Down, April 1",
            "up_token_id": "71",
            "down_token_id": "72",
            "market_end_ts": "1775028600",
            "up_book_ts": up_at,
            "down_book_ts": "1775028136240",
            "up_bid": up_bid,
            "up_bid_size": up_bid_size,
            "up_ask": "0.03",
            "up_ask_size": "",
            "down_bid": "",
            "down_bid_size": "",
            "down_ask": "0.98",
            "down_ask_size": "1.5",
        }

    return write_csv(
        path,
        [
            row("1775028136.217", "1775028136240", "0.02"),
            row("1775028138.599", "1775028138642", "0.01"),
            row("1775028139.000", "1775028138642", "0.01"),
            row("1775028139.500", "1775028139500", "0.0", "0.0"),
        ],
    )


def array_books(path: Path) -> Path:
    """Indented JSON array of books."""
    level = {"price": "0.52", "size": "150"}
    rows = [
        {
            "bids": [level],
            "asks": [],
            "local_timestamp": "1765450848312",
            "timestamp": "1765450842371",
            "asset_price": 1.5,
        },
        {
            "bids": [],
            "asks": [level],
            "local_timestamp": "1765450848999",
            "timestamp": "1765450842399",
            "asset_price": 1.5,
        },
    ]
    return write_text(path, orjson.dumps(rows, option=orjson.OPT_INDENT_2))


def array_trades(path: Path) -> Path:
    """Indented JSON array of one trade."""
    row = {"price": "0.57", "size": "1.929823", "side": "buy", "local_timestamp": "1765450851133"}
    return write_text(path, orjson.dumps([{**row, "timestamp": "1765450842445"}], option=orjson.OPT_INDENT_2))


def polymarket_rest(path: Path) -> Path:
    """A batched response with both tokens of one market."""

    def book(token: str, bid: str) -> Row:
        return {
            "market": "0xm",
            "asset_id": token,
            "timestamp": "1773265307083",
            "hash": "7576",
            "bids": [{"price": bid, "size": "21"}],
            "asks": [],
            "min_order_size": "15",
            "tick_size": "0.001",
            "neg_risk": True,
            "last_trade_price": "0.510",
        }

    asked = [{"token_id": "72", "outcome": "Yes"}, {"token_id": "71", "outcome": "No"}]
    line = {"collector_ts": "2026-03-11T21:41:49.524648+00:00", "requested_token_ids": ["72", "71"]}
    return write_json_lines(
        path, [{**line, "requested_tokens": asked, "books": [book("71", "0.52"), book("72", "0.48")]}]
    )


def weather_polymarket(path: Path) -> Path:
    """Three bins that leave no gap, one poll without a book, one without token ids."""

    def row(condition: str, phrase: str, tokens: str, prices: Sequence[str], book_ts: str) -> Row:
        names = ("yes_best_bid", "no_best_bid", "yes_best_ask", "no_best_ask")
        question = f"Will the highest temperature in Austin be {phrase} on August 4?"
        start = {
            "fetched_at_utc": "2026-08-04T12:22:50.994458+00:00",
            "city": "Austin",
            "condition_id": condition,
        }
        end = {"end_date_iso": "2026-08-04", "book_ts": book_ts, "clob_token_ids_json": tokens}
        return {**start, "question": question, **end, **dict(zip(names, prices, strict=True))}

    return write_csv(
        path,
        [
            row("0xa", "89°F or below", "[]", ("", "", "", ""), ""),
            row("0xa", "89°F or below", '["71", "72"]', ("0.08", "0.9", "0.1", "0.92"), "1785846272519"),
            row("0xb", "between 90-91°F", '["81", "82"]', ("", "0.999", "0.001", ""), "1785846272520"),
            row("0xc", "92°F or higher", "[]", ("0.5", "", "", ""), ""),
        ],
    )


def weather_kalshi(path: Path) -> Path:
    """Three bins that leave no gap; the last was polled and empty."""

    def row(ticker: str, yes_bid: str, no_bid: str) -> Row:
        prices = {"yes_best_bid": yes_bid, "yes_best_ask": "", "no_best_bid": no_bid, "no_best_ask": ""}
        return {
            "fetched_at_utc": "2026-08-03T20:47:29.428490+00:00",
            "city": "Austin",
            "ticker": ticker,
            **prices,
        }

    return write_csv(
        path,
        [
            row("KXHIGHAUS-26AUG04-T97", "0.02", "0.97"),
            row("KXHIGHAUS-26AUG04-B97.5", "", "0.98"),
            row("KXHIGHAUS-26AUG04-T98", "", ""),
        ],
    )


# Each shape under the name of the importer that must know it.
BUILDERS: Mapping[str, Callable[[Path], Path]] = {
    "kalshi_capture": kalshi_capture,
    "kalshi_wire": kalshi_wire,
    "kalshi_rows": kalshi_rows,
    "kalshi_rest": kalshi_rest,
    "polymarket_ticks": polymarket_ticks,
    "polymarket_v1": polymarket_v1,
    "polymarket_session": polymarket_session,
    "polymarket_lists": polymarket_lists,
    "polymarket_wide": polymarket_wide,
    "polymarket_token_rows": polymarket_token_rows,
    "polymarket_best": polymarket_best,
    "polymarket_array_books": array_books,
    "polymarket_array_trades": array_trades,
    "polymarket_rest": polymarket_rest,
    "weather_polymarket": weather_polymarket,
    "weather_kalshi": weather_kalshi,
    "metadata": metadata,
}
