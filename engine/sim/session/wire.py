"""Wire frames of both venues from books we keep ourselves: what a venue would have sent, as text.

``Quotes`` is a plain dictionary book; it is deliberately not the engine's ladder, so that a session checks
the engine against something that shares no code with it. Kalshi frames carry sid and seq as the venue
counts them: one subscription, every sequenced frame takes the next number. Polymarket frames name both
tokens of a mirrored market and declare the best bid and ask after the change, as the venue does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import orjson

from engine.catalog.market import MarketSpec
from engine.records import Side, Venue
from engine.units import NS_PER_MS, PRICE_ONE_E4, units_to_decimal

CONN_OF_VENUE: Final = {Venue.POLYMARKET: 0, Venue.KALSHI: 1}
KALSHI_SID: Final = 1


class Frame(NamedTuple):
    """One received frame: receive time, venue, connection, text."""

    recv_ns: int
    venue: Venue
    conn: int
    raw: str


class LevelSet(NamedTuple):
    """New absolute size of one level, in YES terms of the market's own book."""

    side: Side
    price_e4: int
    size_e6: int


@dataclass(slots=True)
class Quotes:
    """One book: price to size per side (index: ``Side``)."""

    levels: tuple[dict[int, int], dict[int, int]] = field(default_factory=lambda: ({}, {}))

    def set(self, level: LevelSet) -> int:
        """Apply one level; answers the signed change of its size."""
        side = self.levels[level.side]
        change = level.size_e6 - side.get(level.price_e4, 0)
        if level.size_e6:
            side[level.price_e4] = level.size_e6
        else:
            side.pop(level.price_e4, None)
        return change

    def best(self, side: Side) -> int | None:
        """Best price of a side, None when it is empty."""
        prices = self.levels[side]
        if not prices:
            return None
        return max(prices) if side is Side.BID else min(prices)


def price_text(price_e4: int) -> str:
    """Kalshi's four decimals."""
    return f"{price_e4 // PRICE_ONE_E4}.{price_e4 % PRICE_ONE_E4:04d}"


def count_text(size_e6: int) -> str:
    """Kalshi's two decimals; sizes of sessions are whole hundredths."""
    sign = "-" if size_e6 < 0 else ""
    hundredths = abs(size_e6) // 10_000
    return f"{sign}{hundredths // 100}.{hundredths % 100:02d}"


class KalshiWire:
    """Frames of one Kalshi connection with one orderbook subscription."""

    def __init__(self) -> None:
        self._seq = 0
        self._lifecycle_seq = 0

    def subscribed(self, recv_ns: int) -> Frame:
        """Answer to the subscription."""
        return _frame(
            recv_ns,
            Venue.KALSHI,
            {"type": "subscribed", "id": 1, "msg": {"channel": "orderbook_delta", "sid": KALSHI_SID}},
        )

    def snapshot(self, recv_ns: int, spec: MarketSpec, quotes: Quotes) -> Frame:
        """Opening snapshot; an empty side is absent, as the venue leaves it out."""
        message: dict[str, object] = {"market_ticker": spec.symbol, "market_id": market_id(spec.symbol)}
        bids, asks = quotes.levels
        if bids:
            message["yes_dollars_fp"] = [[price_text(p), count_text(bids[p])] for p in sorted(bids)]
        if asks:
            no_bids = sorted((PRICE_ONE_E4 - price, size) for price, size in asks.items())
            message["no_dollars_fp"] = [[price_text(price), count_text(size)] for price, size in no_bids]
        return self._sequenced(recv_ns, "orderbook_snapshot", message)

    def delta(self, recv_ns: int, spec: MarketSpec, quotes: Quotes, level: LevelSet) -> Frame:
        """Apply ``level`` to ``quotes`` and say the change."""
        change = quotes.set(level)
        bid = level.side is Side.BID
        message: dict[str, object] = {
            "market_ticker": spec.symbol,
            "market_id": market_id(spec.symbol),
            "price_dollars": price_text(level.price_e4 if bid else PRICE_ONE_E4 - level.price_e4),
            "delta_fp": count_text(change),
            "side": "yes" if bid else "no",
            "ts_ms": recv_ns // NS_PER_MS,
        }
        return self._sequenced(recv_ns, "orderbook_delta", message)

    def skip(self, frames: int = 1) -> None:
        """Lose numbers, as a dropped frame does: the next frame shows a gap."""
        self._seq += frames

    def determined(self, recv_ns: int, spec: MarketSpec, yes_value_e4: int) -> Frame:
        """Lifecycle frame of a market whose result is known; nothing is paid yet."""
        message: dict[str, object] = {
            "event_type": "determined",
            "market_ticker": spec.symbol,
            "result": {0: "no", PRICE_ONE_E4: "yes"}.get(yes_value_e4, "scalar"),
            "settlement_value": price_text(yes_value_e4),
            "determination_ts": recv_ns // (1_000 * NS_PER_MS),
        }
        return self._lifecycle(recv_ns, message)

    def settled(self, recv_ns: int, spec: MarketSpec) -> Frame:
        """Lifecycle frame of a market that pays; it does not repeat the result."""
        message: dict[str, object] = {
            "event_type": "settled",
            "market_ticker": spec.symbol,
            "settled_ts": recv_ns // (1_000 * NS_PER_MS),
        }
        return self._lifecycle(recv_ns, message)

    def _lifecycle(self, recv_ns: int, message: dict[str, object]) -> Frame:
        self._lifecycle_seq += 1
        frame = {
            "type": "market_lifecycle_v2",
            "sid": KALSHI_SID + 1,
            "seq": self._lifecycle_seq,
            "msg": message,
        }
        return _frame(recv_ns, Venue.KALSHI, frame)

    def _sequenced(self, recv_ns: int, kind: str, message: dict[str, object]) -> Frame:
        self._seq += 1
        return _frame(
            recv_ns, Venue.KALSHI, {"type": kind, "sid": KALSHI_SID, "seq": self._seq, "msg": message}
        )


class PolymarketWire:
    """Frames of one Polymarket market connection."""

    def __init__(self) -> None:
        self._orders = 0

    def books(self, recv_ns: int, spec: MarketSpec, quotes: Quotes) -> Frame:
        """Opening ``book`` of every known token of the market, as one array frame."""
        messages = [self._book(recv_ns, spec, token, quotes, turned=turned) for token, turned in tokens(spec)]
        return _frame(recv_ns, Venue.POLYMARKET, messages)

    def changes(self, recv_ns: int, spec: MarketSpec, quotes: Quotes, levels: Sequence[LevelSet]) -> Frame:
        """Apply ``levels`` and say them for every token, with the best prices after all of them."""
        for level in levels:
            quotes.set(level)
        entries = [
            self._entry(token, quotes, level, turned=turned)
            for level in levels
            for token, turned in tokens(spec)
        ]
        return _frame(
            recv_ns,
            Venue.POLYMARKET,
            {
                "market": spec.symbol,
                "price_changes": entries,
                "timestamp": str(recv_ns // NS_PER_MS),
                "event_type": "price_change",
            },
        )

    def resolved(self, recv_ns: int, spec: MarketSpec, *, yes_wins: bool) -> Frame:
        """The market has a winner; the other token of one that stands alone has the number after it."""
        yes = spec.yes_token or spec.symbol
        held = [yes, spec.no_token or str(int(yes) + 1)]
        return _frame(
            recv_ns,
            Venue.POLYMARKET,
            {
                "event_type": "market_resolved",
                "market": spec.symbol,
                "assets_ids": held,
                "winning_asset_id": held[0] if yes_wins else held[1],
                "winning_outcome": "Yes" if yes_wins else "No",
                "timestamp": str(recv_ns // NS_PER_MS),
            },
        )

    def _book(
        self, recv_ns: int, spec: MarketSpec, token: str, quotes: Quotes, *, turned: bool
    ) -> dict[str, object]:
        bids, asks = _view(quotes, turned=turned)
        return {
            "event_type": "book",
            "asset_id": token,
            "market": spec.symbol,
            "bids": [_level(price, size) for price, size in sorted(bids)],
            "asks": [_level(price, size) for price, size in sorted(asks, reverse=True)],
            "timestamp": str(recv_ns // NS_PER_MS),
            "hash": self._order_hash(),
        }

    def _entry(self, token: str, quotes: Quotes, level: LevelSet, *, turned: bool) -> dict[str, object]:
        price = PRICE_ONE_E4 - level.price_e4 if turned else level.price_e4
        buys = (level.side is Side.BID) != turned
        bids, asks = _view(quotes, turned=turned)
        return {
            "asset_id": token,
            "price": units_to_decimal(price, 4),
            "size": units_to_decimal(level.size_e6, 6),
            "side": "BUY" if buys else "SELL",
            "hash": self._order_hash(),
            "best_bid": units_to_decimal(max((price for price, _ in bids), default=0), 4),
            "best_ask": units_to_decimal(min((price for price, _ in asks), default=PRICE_ONE_E4), 4),
        }

    def _order_hash(self) -> str:
        self._orders += 1
        return hashlib.sha1(str(self._orders).encode(), usedforsecurity=False).hexdigest()


def tokens(spec: MarketSpec) -> list[tuple[str, bool]]:
    """(token, whether its book is the YES book turned over) of the tokens a market streams."""
    if not spec.yes_token:
        return [(spec.symbol, False)]
    if not (spec.mirror and spec.no_token):
        return [(spec.yes_token, False)]
    return [(spec.yes_token, False), (spec.no_token, True)]


def market_id(symbol: str) -> str:
    """A UUID-shaped id that depends on the ticker alone."""
    digest = hashlib.md5(symbol.encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def _view(quotes: Quotes, *, turned: bool) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    bids, asks = (list(side.items()) for side in quotes.levels)
    if not turned:
        return bids, asks
    return _turn(asks), _turn(bids)


def _turn(levels: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(PRICE_ONE_E4 - price, size) for price, size in levels]


def _level(price_e4: int, size_e6: int) -> dict[str, str]:
    return {"price": units_to_decimal(price_e4, 4), "size": units_to_decimal(size_e6, 6)}


def _frame(recv_ns: int, venue: Venue, message: object) -> Frame:
    return Frame(recv_ns, venue, CONN_OF_VENUE[venue], orjson.dumps(message).decode())
