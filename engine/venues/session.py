"""What one connection says to its venue and learns from it, without a socket: text in, text out.

A session lives as long as a connection. The shell sends what ``opening`` gives, shows it every message, and
asks it for the text of a request; the books are the codec's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, Protocol

import orjson

ERROR_CHARS_MAX: Final = 200


class Seen(IntEnum):
    """What a message was, to the connection."""

    DATA = 0
    CONTROL = 1  # an answer, or nothing about a market: no sign that market data flows
    KEEP_ALIVE = 2  # an answer to our ping; not for the codec


class Session(Protocol):
    """One connection of a venue."""

    is_ready: bool  # every subscription is confirmed, by word or by deed
    is_broken: bool  # the venue refused what cannot be done without: connect anew
    refusals: int
    last_error: str

    def opening(self) -> list[bytes]:
        """Texts that subscribe to everything of this connection."""
        ...

    def observe(self, payload: bytes) -> Seen:
        """Learn from a message."""
        ...

    def replies(self) -> list[bytes]:
        """Texts that what was observed calls for; each is given once."""
        ...

    def snapshot_requests(self, symbols: Sequence[str]) -> list[bytes]:
        """Texts that ask for the books of ``symbols`` anew; none for those that are not subscribed here."""
        ...

    def asked_again(self) -> list[bytes]:
        """Texts that go with the next ping: what ended or was refused, and can be done without meanwhile."""
        ...

    def keep_alive(self) -> bytes | None:
        """Text of a ping; None where the protocol's own ping serves."""
        ...


def compact(value: object) -> bytes:
    """JSON without white space."""
    return orjson.dumps(value)


def as_error(value: object) -> str:
    """A venue's words, cut to a bounded length."""
    return str(value)[:ERROR_CHARS_MAX]
