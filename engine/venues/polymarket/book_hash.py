"""The hash a Polymarket book carries: an advisory check, never alone a reason to distrust a book.

SHA-1 of the book as compact JSON with a fixed order of keys and an empty ``hash``; strings and the order of
levels as they were received. Only a book with all its metadata can be checked, and the venue has been seen to
hash a last_trade_price that reached the client later.
"""

from __future__ import annotations

import hashlib
from typing import Final

import orjson

_KEYS: Final = (
    "market",
    "asset_id",
    "timestamp",
    "hash",
    "bids",
    "asks",
    "min_order_size",
    "tick_size",
    "neg_risk",
    "last_trade_price",
)
_STRINGS: Final = frozenset(_KEYS) - {"bids", "asks", "neg_risk"}


def _hashable_side(value: object) -> list[dict[str, str]] | None:
    """Levels of a side with price and size in that order; None when they are not strings."""
    if not isinstance(value, list):
        return None
    levels = []
    for level in value:
        if not isinstance(level, dict):
            return None
        price, size = level.get("price"), level.get("size")
        if not isinstance(price, str) or not isinstance(size, str):
            return None
        levels.append({"price": price, "size": size})
    return levels


def check_book(message: dict[str, object]) -> bool | None:
    """Whether a decoded book agrees with its hash; None when it lacks a field or spells one otherwise."""
    bids, asks = _hashable_side(message.get("bids")), _hashable_side(message.get("asks"))
    if bids is None or asks is None or not isinstance(message.get("neg_risk"), bool):
        return None
    if not all(isinstance(message.get(name), str) for name in _STRINGS):
        return None
    replaced = {"hash": "", "bids": bids, "asks": asks}
    text = orjson.dumps({name: replaced.get(name, message[name]) for name in _KEYS})
    return hashlib.sha1(text, usedforsecurity=False).hexdigest() == message["hash"]
