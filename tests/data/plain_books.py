"""Order books in plain dictionaries, straight from the wire: what the compiled ones are held against."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from functools import lru_cache
from typing import cast

import orjson

from engine.records import Venue
from procs.recording_frames import Frame

ONE_E4 = 10_000
CENT_E4 = 100
UNKNOWN_SIZE = 0  # a level whose size the recording does not know
NOTHING = -1  # price of an empty side
Side = dict[int, int]  # price in 1e-4 dollar: size in 1e-6 contract
Json = dict[str, object]


@lru_cache(maxsize=100_000)
def e4(text: object) -> int:
    """Price text in 1e-4 dollar."""
    return int(Decimal(str(text)).scaleb(4))


@lru_cache(maxsize=100_000)
def e6(text: object) -> int:
    """Size text in 1e-6 contract."""
    return UNKNOWN_SIZE if text is None else int(Decimal(str(text)).scaleb(6))


class PlainBook:
    """Bids and asks by price. A Kalshi book is in YES terms; a token's in its own."""

    def __init__(self) -> None:
        self.sides: tuple[Side, Side] = ({}, {})

    def top(self) -> tuple[int, int, int, int]:
        """Best bid and ask, and their sizes."""
        bids, asks = self.sides
        bid, ask = max(bids, default=NOTHING), min(asks, default=NOTHING)
        return bid, ask, bids.get(bid, 0), asks.get(ask, 0)

    def levels(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Both sides, best first."""
        bids, asks = self.sides
        return sorted(bids.items(), reverse=True), sorted(asks.items())


class PlainBooks:
    """Books by ``kalshi:TICKER`` and ``polymarket:TOKEN``.

    ``touched``: names that the last frame wrote; ``written``: each level it wrote, as (name, side, price),
    side 0 for bids and 1 for asks; ``writes``: levels written so far.
    """

    def __init__(self) -> None:
        self.books: defaultdict[str, PlainBook] = defaultdict(PlainBook)
        self.touched: dict[str, None] = {}
        self.written: list[tuple[str, int, int]] = []
        self.writes = 0

    def apply(self, frame: Frame) -> None:
        """Take in one frame."""
        self.touched = {}
        self.written = []
        tree = orjson.loads(frame.raw)
        if frame.venue is Venue.KALSHI:
            self._kalshi(tree)
        else:
            for event in tree if isinstance(tree, list) else [tree]:
                self._polymarket(event)
        self.writes += len(self.written)

    def _replace(self, name: str, bids: Side, asks: Side) -> None:
        self.touched[name] = None
        self.books[name].sides = (bids, asks)
        self.written += [(name, side, price) for side, levels in enumerate((bids, asks)) for price in levels]

    def _write(self, name: str, side: int, price: int, size: int) -> None:
        self.touched[name] = None
        self.written.append((name, side, price))
        levels = self.books[name].sides[side]
        if size:
            levels[price] = size
        else:
            levels.pop(price, None)

    def _kalshi(self, frame: Json) -> None:
        kind = frame["type"]
        if kind not in ("orderbook_snapshot", "orderbook_delta"):
            return
        msg = cast("Json", frame["msg"])
        name = f"kalshi:{msg['market_ticker']}"
        if kind == "orderbook_snapshot":
            asks = {ONE_E4 - price: size for price, size in _kalshi_side(msg, "no").items()}
            self._replace(name, _kalshi_side(msg, "yes"), asks)
            return
        price = e4(msg["price_dollars"]) if "price_dollars" in msg else CENT_E4 * int(str(msg["price"]))
        side, at = (0, price) if msg["side"] == "yes" else (1, ONE_E4 - price)
        held = self.books[name].sides[side].get(at, 0)
        self._write(name, side, at, held + e6(msg.get("delta_fp", msg.get("delta"))))

    def _polymarket(self, event: Json) -> None:
        kind = event["event_type"]
        if kind == "book":
            bids, asks = (_polymarket_side(event[side]) for side in ("bids", "asks"))
            self._replace(f"polymarket:{event['asset_id']}", bids, asks)
        elif kind == "price_change":
            default = event.get("asset_id")
            for change in cast("list[Json]", event.get("price_changes") or event["changes"]):
                side = 0 if change["side"] == "BUY" else 1
                name = f"polymarket:{change.get('asset_id', default)}"
                self._write(name, side, e4(change["price"]), e6(change["size"]))


def _kalshi_side(msg: Json, side: str) -> Side:
    cents = cast("list[list[int]]", msg.get(side) or [])
    levels = cast("list[list[str | None]]", msg.get(f"{side}_dollars_fp") or [])
    in_cents = {CENT_E4 * price: e6(size) for price, size in cents}
    return in_cents | {e4(price): e6(size) for price, size in levels}


def _polymarket_side(levels: object) -> Side:
    rows = cast("list[dict[str, str | None]]", levels)
    return {e4(row["price"]): e6(row["size"]) for row in rows}
