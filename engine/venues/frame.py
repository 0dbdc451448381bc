"""What the general parsers make of a frame: records, and what they mean to continuity, as plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from engine.venues.continuity import Action
from engine.venues.emit import Row
from engine.venues.numbers import FrameError
from engine.venues.symbols import Symbol
from engine.venues.workspace import NONE

Find = Callable[[bytes], Symbol | None]


@dataclass(slots=True)
class GeneralFrame:
    """One frame, read. ``error`` says why it could not be; then ``rows`` is empty and ``action`` UNREADABLE.

    ``touched`` are the symbol rows whose books it changes, ``row`` the one of a frame that has only one.
    ``keep`` are the rows a subscription holds from now on, where the frame lists them.
    """

    action: Action = Action.PASS
    sid: int = NONE
    seq: int = NONE
    row: int = NONE
    reason: int = 0
    rows: list[Row] = field(default_factory=list)
    touched: list[int] = field(default_factory=list)
    unknown: list[bytes] = field(
        default_factory=list
    )  # symbols nobody registered, one each time they are met
    ignored: list[str] = field(default_factory=list)  # types known to carry no market data
    strange: list[str] = field(default_factory=list)  # types nobody knows
    keep: frozenset[int] | None = None
    old_shapes: int = 0
    sizes_cut: int = 0
    hashes: list[bool] = field(default_factory=list)
    venue_error: bool = False
    error: str = ""

    def refuse(self, error: str, action: Action = Action.UNREADABLE) -> None:
        """Drop what was read: the frame is not readable, and what it may have changed is in doubt."""
        self.rows.clear()
        self.touched.clear()
        self.unknown.clear()
        self.keep = None
        self.error = error
        self.action = action


def decode(payload: bytes) -> object:
    """JSON value of a frame; FrameError when it is none."""
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise FrameError(f"not JSON: {error}") from None


def member(message: dict[str, object], name: str, where: str) -> object:
    """Field of a message; FrameError when it is not there."""
    if name not in message:
        raise FrameError(f"{where}{name}: missing")
    return message[name]


def as_object(value: object, where: str) -> dict[str, object]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise FrameError(f"{where}: not an object")
    return value


def as_list(value: object, where: str) -> list[object]:
    """A JSON list."""
    if not isinstance(value, list):
        raise FrameError(f"{where}: not a list")
    return value
