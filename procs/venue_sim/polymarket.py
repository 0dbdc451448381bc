"""Polymarket's side of one market-channel connection, without a socket.

A connection begins with its subscription; what else comes first, a keep-alive included, ends it with 1008.
Later ``operation`` messages add and remove tokens. A token that is subscribed already is refused as a
duplicate and gets no second snapshot. Beyond SNAPSHOT_TOKENS_MAX tokens a connection gets none any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import orjson

from procs.venue_sim.answer import POLICY_VIOLATION, Answer, Closing
from procs.venue_sim.polymarket_wire import MarketFrame, Message, Snapshots

PATH: Final = "/ws/market"
SNAPSHOT_TOKENS_MAX: Final = 500
TOKENS_MAX: Final = 10_000  # ours: a venue without a bound stalls silently
_PING: Final = b"PING"
_PONG: Final = b"PONG"
_NOT_FIRST: Final = Answer(closing=Closing(POLICY_VIOLATION, "subscription expected"), refused=True)
_NOT_READABLE: Final = Answer(refused=True)  # the venue does not answer what it does not know


class MarketSession:
    """State of one connection. ``lacking`` counts snapshots that the recording could not give."""

    def __init__(self, snapshots: Snapshots) -> None:
        self.tokens: set[str] = set()
        self.subscribed = False
        self.lacking = 0
        self._snapshots = snapshots
        self._featured = False

    @property
    def follows_markets(self) -> bool:
        """Whether there is any subscription: the channel has no other."""
        return self.subscribed

    def symbols(self) -> Iterable[str]:
        """Tokens that are subscribed."""
        return self.tokens

    def on_text(self, text: bytes) -> Answer:
        """Answer a message of the client."""
        if not self.subscribed:
            return self._first(text)
        if text == _PING:
            return Answer((_PONG,))
        tree = _object(text)
        act = _OPERATIONS.get(str(tree.get("operation", "")))
        tokens = _tokens(tree)
        if act is None or tokens is None:
            return _NOT_READABLE
        return act(self, tree, tokens)

    def _first(self, text: bytes) -> Answer:
        tree = _object(text)
        tokens = _tokens(tree)
        if tokens is None or str(tree.get("type", "")).lower() != "market":
            return _NOT_FIRST
        self.subscribed = True
        return self._subscribe(tree, tokens)

    def _subscribe(self, tree: Mapping[str, object], tokens: list[str]) -> Answer:
        feature = tree.get("custom_feature_enabled")
        if isinstance(feature, bool):  # takes effect even when the tokens are refused as duplicates
            self._featured = feature
        new = [token for token in dict.fromkeys(tokens) if token not in self.tokens]
        if len(self.tokens) + len(new) > TOKENS_MAX or (tokens and not new):
            return Answer(refused=True)
        self.tokens.update(new)
        if tree.get("initial_dump") is False or len(self.tokens) > SNAPSHOT_TOKENS_MAX:
            return Answer()
        books = [book for token in new if (book := self._snapshots.book(token)) is not None]
        self.lacking += len(new) - len(books)
        return Answer(snapshots=(orjson.dumps(books),) if books else ())

    def _unsubscribe(self, tree: Mapping[str, object], tokens: list[str]) -> Answer:
        del tree
        self.tokens.difference_update(tokens)
        return Answer()

    def offer(self, frame: MarketFrame) -> tuple[bytes, ...]:
        """What this connection gets of a frame: all of it as recorded, some of its messages, or nothing."""
        wanted = [message for message in frame.messages if self._wants(message)]
        if not wanted:
            return ()
        if len(wanted) == len(frame.messages):
            return (frame.raw,)
        return (orjson.dumps([message.tree for message in wanted]),)

    def skip(self, numbers: int) -> None:
        """Nothing: this venue has no sequence numbers."""

    def _wants(self, message: Message) -> bool:
        if message.featured and not self._featured:
            return False
        return message.for_everybody or not self.tokens.isdisjoint(message.tokens)


_OPERATIONS: Final = {
    "subscribe": MarketSession._subscribe,  # noqa: SLF001 - a table of its own methods
    "unsubscribe": MarketSession._unsubscribe,  # noqa: SLF001
}


def _object(text: bytes) -> Mapping[str, object]:
    try:
        tree = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return tree if isinstance(tree, dict) else {}


def _tokens(tree: Mapping[str, object]) -> list[str] | None:
    found = tree.get("assets_ids")
    if not isinstance(found, list) or not all(isinstance(token, str) for token in found):
        return None
    return found
