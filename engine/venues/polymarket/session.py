"""Polymarket's market channel, as one connection uses it.

The first message subscribes; later ones add and remove tokens. Nothing is confirmed but by the books that
come, and there are no sequence numbers. A second subscription to a token is refused and brings no snapshot:
to get one, a token is unsubscribed first. The keep-alive is the bare text PING, answered with PONG; one that
is sent before the subscription costs the connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from engine.venues.session import Seen, compact
from engine.venues.shards import SocketPlan

PING: Final = b"PING"
PONG: Final = b"PONG"
EMPTY: Final = b"[]"
_SHORT_BYTES: Final = 32  # nothing about a market is as short
_DATA: Final = Seen.DATA  # looked up once, not for every message


def subscribe_first(tokens: Sequence[str]) -> bytes:
    """The message that opens the channel, with best prices and the life of markets (custom features)."""
    return compact({"type": "market", "assets_ids": list(tokens), "custom_feature_enabled": True})


def subscribe(tokens: Sequence[str]) -> bytes:
    """Add tokens: each sends its book first."""
    return compact({"operation": "subscribe", "assets_ids": list(tokens), "custom_feature_enabled": True})


def unsubscribe(tokens: Sequence[str]) -> bytes:
    """Remove tokens."""
    return compact({"operation": "unsubscribe", "assets_ids": list(tokens)})


class PolymarketSession:
    """One connection to the market channel (interface: ``engine.venues.session.Session``)."""

    def __init__(self, plan: SocketPlan) -> None:
        self.is_ready = False
        self.is_broken = False
        self.refusals = 0
        self.last_error = ""
        self._tokens = tuple(token for tokens in plan.subscriptions for token in tokens)
        self._known = frozenset(self._tokens)

    def opening(self) -> list[bytes]:
        """One message with all tokens."""
        return [subscribe_first(self._tokens)]

    def observe(self, payload: bytes) -> Seen:
        """Ready with the first message that is about a market."""
        if len(payload) <= _SHORT_BYTES:
            if payload.strip() == PONG:
                return Seen.KEEP_ALIVE
            if payload == EMPTY:  # an answer to a subscription that has no books yet
                return Seen.CONTROL
        self.is_ready = True
        return _DATA

    def replies(self) -> list[bytes]:
        """Nothing calls for an answer."""
        return []

    def snapshot_requests(self, symbols: Sequence[str]) -> list[bytes]:
        """Remove the tokens and add them again."""
        tokens = [symbol for symbol in symbols if symbol in self._known]
        return [unsubscribe(tokens), subscribe(tokens)] if tokens else []

    def asked_again(self) -> list[bytes]:
        """Nothing."""
        return []

    def keep_alive(self) -> bytes | None:
        """The venue's own text."""
        return PING
