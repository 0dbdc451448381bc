"""Wire frames of both venues, built from what a file holds; a field that the file never had is left out.

Prices and sizes go in as the decimal texts of the wire. A size of None is written as ``null``: the price is
known and the size is not, which the codecs mark SIZE_UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import orjson

Level = tuple[str, str | None]  # price, size
Fields = Mapping[str, object]

# Field order of `msg` on the wire, by frame type. What a recorder added of its own is not on the list.
KALSHI_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "orderbook_snapshot": (
        "market_ticker",
        "market_id",
        "clock",
        "yes_dollars_fp",
        "no_dollars_fp",
        "yes",
        "no",
    ),
    "orderbook_delta": (
        "market_ticker",
        "market_id",
        "clock",
        "price_dollars",
        "delta_fp",
        "price",
        "delta",
        "side",
        "client_order_id",
        "ts",
        "ts_ms",
        "subaccount",
    ),
    "ticker": (
        "market_id",
        "market_ticker",
        "price_dollars",
        "yes_bid_dollars",
        "yes_ask_dollars",
        "volume_fp",
        "open_interest_fp",
        "dollar_volume",
        "dollar_open_interest",
        "yes_bid_size_fp",
        "yes_ask_size_fp",
        "last_trade_size_fp",
        "ts",
        "ts_ms",
        "time",
    ),
    "trade": (
        "trade_id",
        "market_ticker",
        "yes_price_dollars",
        "no_price_dollars",
        "count_fp",
        "taker_side",
        "taker_outcome_side",
        "taker_book_side",
        "is_block_trade",
        "ts",
        "ts_ms",
    ),
}


def decimal_text(value: float) -> str:
    """Shortest decimal text of a number, never in exponent notation: 0.31, 2.083332, 5681.5, 50."""
    text = repr(value)
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.removesuffix(".0")


def fixed_text(value: Decimal | str, decimals: int) -> str:
    """Decimal text with at least ``decimals`` decimals, as Kalshi writes prices (4) and counts (2)."""
    whole, _, fraction = format(Decimal(value), "f").partition(".")
    return f"{whole}.{fraction.ljust(decimals, '0')}"


def encode(tree: object) -> bytes:
    """Compact JSON text of a frame."""
    return orjson.dumps(tree)


def kalshi_frame(kind: str, sid: int | None, seq: int | None, msg: Fields) -> bytes:
    """A Kalshi data frame: ``msg`` in wire order, fields that are not of the wire dropped."""
    frame: dict[str, object] = {"type": kind}
    if sid is not None:
        frame["sid"] = sid
    if seq is not None:
        frame["seq"] = seq
    frame["msg"] = {name: msg[name] for name in KALSHI_FIELDS[kind] if name in msg}
    return encode(frame)


def kalshi_levels(bids: Mapping[str, Sequence[Level]]) -> dict[str, object]:
    """Bids of "yes" and "no" as the fields of a snapshot; an empty side is absent, as on the wire."""
    return {f"{side}_dollars_fp": levels for side, levels in bids.items() if levels}


def levels(side: Sequence[Level]) -> list[dict[str, str | None]]:
    """Levels as Polymarket writes them."""
    return [{"price": price, "size": size} for price, size in side]


def book(
    asset_id: str, market: str, bids: Sequence[Level], asks: Sequence[Level], time_ms: int | None
) -> Fields:
    """A ``book`` event; ``market`` empty and ``time_ms`` None leave the field out."""
    return {
        "event_type": "book",
        **({"market": market} if market else {}),
        "asset_id": asset_id,
        "bids": levels(bids),
        "asks": levels(asks),
        **_timestamp(time_ms),
    }


def best_bid_ask(asset_id: str, market: str, best_bid: str, best_ask: str, time_ms: int | None) -> Fields:
    """A ``best_bid_ask`` event; the wire says "0" and "1" for an empty side."""
    return {
        "event_type": "best_bid_ask",
        **({"market": market} if market else {}),
        "asset_id": asset_id,
        "best_bid": best_bid,
        "best_ask": best_ask,
        **_timestamp(time_ms),
    }


def last_trade(asset_id: str, market: str, price: str, size: str, side: str, time_ms: int | None) -> Fields:
    """A ``last_trade_price`` event; ``side`` is BUY or SELL."""
    return {
        "event_type": "last_trade_price",
        **({"market": market} if market else {}),
        "asset_id": asset_id,
        "price": price,
        "size": size,
        "side": side,
        **_timestamp(time_ms),
    }


def _timestamp(time_ms: int | None) -> dict[str, str]:
    return {} if time_ms is None else {"timestamp": str(time_ms)}
