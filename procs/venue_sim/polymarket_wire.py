"""Polymarket's market channel: recorded frames taken apart by token, and ``book`` snapshots of our own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import orjson

from engine.catalog.market import MarketSpec
from engine.records import Venue
from engine.units import units_to_decimal
from engine.venues.polymarket.book_hash import check_book
from procs.replay import Levels
from procs.venue_sim.books import VenueBooks

# Sent only to connections that asked for custom features; the second to all of those, whatever they watch.
FEATURED: Final = frozenset({"best_bid_ask", "new_market", "market_resolved"})
FOR_EVERYBODY: Final = "new_market"
_OF_BOOKS: Final = frozenset({"book", "price_change", "last_trade_price", "tick_size_change", "best_bid_ask"})
_KEEP_ALIVE: Final = frozenset({b"PING", b"PONG"})  # of the recorder's own connection
_OF_THE_USER: Final = frozenset({"order", "trade"})  # another channel, another account: not replayed


class Message(NamedTuple):
    """One message of a frame: the tokens it is about, and what a connection needs to get it."""

    tokens: frozenset[str]
    featured: bool
    for_everybody: bool
    tree: Mapping[str, object]


class MarketFrame(NamedTuple):
    """A recorded frame; ``raw`` is its text as recorded, of all ``messages`` together."""

    raw: bytes
    messages: tuple[Message, ...]


def read_frame(raw: bytes) -> MarketFrame | None:
    """Take a frame apart; None when it cannot be read as what it says it is."""
    if raw in _KEEP_ALIVE:
        return MarketFrame(raw, ())
    try:
        tree = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    trees = tree if isinstance(tree, list) else [tree]
    if not all(isinstance(one, dict) for one in trees):
        return None
    messages = tuple(_message(one) for one in trees if _kind(one) not in _OF_THE_USER)
    if any(_kind(one.tree) in _OF_BOOKS and not one.tokens for one in messages):
        return None
    return MarketFrame(raw, messages)


def _kind(tree: Mapping[str, object]) -> str:
    return str(tree.get("event_type"))


def _message(tree: Mapping[str, object]) -> Message:
    kind = _kind(tree)
    return Message(frozenset(_tokens(tree)), kind in FEATURED, kind == FOR_EVERYBODY, tree)


def _tokens(tree: Mapping[str, object]) -> Iterable[str]:
    token = tree.get("asset_id")
    if isinstance(token, str):
        yield token
    several = tree.get("assets_ids")
    if isinstance(several, list):
        yield from (one for one in several if isinstance(one, str))
    changes = tree.get("price_changes")
    if isinstance(changes, list):
        found = (change.get("asset_id") for change in changes if isinstance(change, dict))
        yield from (one for one in found if isinstance(one, str))


class Snapshots:
    """``book`` messages of tokens as of the position; what the recording does not know is left out."""

    def __init__(self, books: VenueBooks) -> None:
        self._books = books
        self._conditions: dict[str, str] = {}  # token: market
        self._last_prices: dict[str, str] = {}

    def note(self, frame: MarketFrame) -> None:
        """Learn from a frame that goes by what a snapshot says besides levels."""
        for message in frame.messages:
            condition = message.tree.get("market")
            if isinstance(condition, str):
                for token in message.tokens:
                    self._conditions[token] = condition
            if message.tree.get("event_type") == "last_trade_price":
                price = message.tree.get("price")
                if isinstance(price, str):
                    self._last_prices.update(dict.fromkeys(message.tokens, price))

    def book(self, token: str) -> dict[str, object] | None:
        """The opening ``book`` of a token; None while the recording does not tell it."""
        found = self._books.whole(Venue.POLYMARKET, token)
        if found is None:
            return None
        spec = self._books.spec(Venue.POLYMARKET, token)
        message: dict[str, object] = {"event_type": "book", "asset_id": token}
        condition = self._conditions.get(token, spec.symbol if spec and spec.yes_token else "")
        if condition:
            message["market"] = condition
        message["bids"] = _levels(found.bids)
        message["asks"] = _levels(found.asks)
        if found.venue_ms:
            message["timestamp"] = str(found.venue_ms)
        if spec is not None:
            message.update(_metadata(spec))
        if token in self._last_prices:
            message["last_trade_price"] = self._last_prices[token]
        return _hashed(message)


def _levels(side: Levels) -> list[dict[str, str | None]]:
    """Worst level first, as the venue writes both sides; an unknown size is null."""
    return [
        {"price": units_to_decimal(price, 4), "size": units_to_decimal(size, 6) if size else None}
        for price, size in reversed(side)
    ]


def _metadata(spec: MarketSpec) -> dict[str, object]:
    """Fields of the first snapshot after a subscription, but for those that a default stands in for."""
    found: dict[str, object] = {}
    if "min_size_e6" not in spec.defaulted:
        found["min_order_size"] = units_to_decimal(spec.min_size_e6, 6)
    steps = {step for _, _, step in spec.price_ranges}
    if len(steps) == 1 and "price_ranges" not in spec.defaulted:
        found["tick_size"] = units_to_decimal(steps.pop(), 4)
    if spec.neg_risk or not spec.defaulted:
        found["neg_risk"] = spec.neg_risk
    return found


def _hashed(message: dict[str, object]) -> dict[str, object]:
    """With the venue's hash when every field that goes into it is known."""
    hashed = {**message, "hash": ""}
    if check_book(hashed) is None:
        return message
    keys = ("market", "asset_id", "timestamp", "hash", "bids", "asks")
    extra = ("min_order_size", "tick_size", "neg_risk", "last_trade_price")
    text = orjson.dumps({key: hashed[key] for key in keys + extra})
    return {**message, "hash": hashlib.sha1(text, usedforsecurity=False).hexdigest()}
