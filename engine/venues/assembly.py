"""Messages out of WebSocket frames: a message may come in pieces, and is bounded as a whole."""

from __future__ import annotations

from enum import IntEnum


class Piece(IntEnum):
    """What became of a frame."""

    WHOLE = 0  # the message is complete: ``Assembly.take``
    PART = 1
    OUT_OF_ORDER = 2  # a continuation of nothing, or a new message inside another
    TOO_LONG = 3


class Assembly:
    """Joins the frames of one connection's messages, ``bytes_max`` a message.

    ``is_open``: one has begun and not ended.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._parts: list[bytes] = []
        self._bytes = 0
        self.is_open = False

    def add(self, payload: bytes, *, begins: bool, ends: bool) -> Piece:
        """Add a data frame; ``begins``: it is no continuation."""
        if begins is self.is_open:
            return Piece.OUT_OF_ORDER
        self._bytes += len(payload)
        if self._bytes > self._bytes_max:
            return Piece.TOO_LONG
        self._parts.append(payload)
        self.is_open = not ends
        return Piece.WHOLE if ends else Piece.PART

    def take(self) -> bytes:
        """The message; the next one may begin."""
        message = b"".join(self._parts)
        self._parts.clear()
        self._bytes = 0
        return message
