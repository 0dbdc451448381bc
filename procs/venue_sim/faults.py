"""Scripted faults: what goes wrong at a simulated venue, and when, from a TOML file or from Python.

::

    [[fault]]
    venue = "kalshi"
    kind = "close"
    at_frame = 120      # when the venue's 120th recorded frame is due; 0: when the connection subscribes
    connection = 1      # the first connection that the venue accepts; 0: every one that is subscribed then
    symbol = "KXA-1"    # of these the one that has subscribed to this ticker or token; "": all of them
    code = 1012         # the kind's own fields

A fault is done once, or with ``at_frame`` 0 once for each connection that it names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine import typed_tree
from engine.errors import ConfigError
from engine.records import Venue
from procs.config_files import read_toml
from procs.recording import VENUE_OF_NAME

MS_MAX: Final = 86_400_000
FRAMES_MAX: Final = 1_000_000_000
CONNECTIONS_MAX: Final = 1_000_000
FAULTS_MAX: Final = 10_000
BOMB_BYTES: Final = 100_000_000
BOMB_BYTES_MAX: Final = 2**40
_OWN_CODES: Final = range(3000, 5000)
_CODES: Final = frozenset({*range(1000, 1004), *range(1006, 1015)})  # 1006: no close frame at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Close with a code; 1006 is the end of the TCP connection without a close frame."""

    code: int = typed_tree.bounded(1000, 1000, 4999)
    reason: str = ""

    def __post_init__(self) -> None:
        if self.code not in _CODES and self.code not in _OWN_CODES:
            raise ValueError(f"{self.code} is not a close code: 1000 to 1003, 1006 to 1014, 3000 to 4999")
        if len(self.reason.encode()) > 123:
            raise ValueError("a close frame has room for a reason of 123 bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfOpen:
    """Read and write nothing more, keep the socket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Answer pings and commands, send no data; for this long, or with 0 until the connection ends."""

    for_ms: int = typed_tree.bounded(0, 0, MS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Lose the next texts, numbers and all."""

    frames: int = typed_tree.bounded(1, 1, FRAMES_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipNumbers:
    """Lose sequence numbers without a frame (Kalshi)."""

    numbers: int = typed_tree.bounded(1, 1, FRAMES_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """Send each of the next texts twice."""

    frames: int = typed_tree.bounded(1, 1, FRAMES_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reorder:
    """Send the next text after the one behind it; so many times."""

    times: int = typed_tree.bounded(1, 1, FRAMES_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """Send texts that are no JSON, besides the others."""

    frames: int = typed_tree.bounded(1, 1, 100_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongSchema:
    """Send texts that are JSON and not what their type says, besides the others."""

    frames: int = typed_tree.bounded(1, 1, 100_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncated:
    """Send the first half of the next text's frame, then end the TCP connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Oversized:
    """Send the header of a frame of this size and as much of it as the client takes."""

    size_bytes: int = typed_tree.bounded(BOMB_BYTES, 126, BOMB_BYTES_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowDrip:
    """Send the next text byte by byte; what is due meanwhile is lost."""

    every_ms: int = typed_tree.bounded(1_000, 1, MS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Accept no new connection for this long: an HTTP status, or with 0 nobody listens at the port."""

    for_ms: int = typed_tree.bounded(60_000, 1, MS_MAX)
    status: int = typed_tree.bounded(503, 0, 599)

    def __post_init__(self) -> None:
        if 0 < self.status < 400:
            raise ValueError(f"status {self.status} refuses nothing: 0, or 400 to 599")


Kind = (
    Close
    | HalfOpen
    | Silence
    | Gap
    | SkipNumbers
    | Duplicate
    | Reorder
    | Garbage
    | WrongSchema
    | Truncated
    | Oversized
    | SlowDrip
    | Refuse
)

KINDS: Final[Mapping[str, type[Kind]]] = {
    "close": Close,
    "half_open": HalfOpen,
    "silence": Silence,
    "gap": Gap,
    "skip_numbers": SkipNumbers,
    "duplicate": Duplicate,
    "reorder": Reorder,
    "garbage": Garbage,
    "wrong_schema": WrongSchema,
    "truncated": Truncated,
    "oversized": Oversized,
    "slow_drip": SlowDrip,
    "refuse": Refuse,
}
_NAMES: Final = {kind: name for name, kind in KINDS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong, at which venue, when and to whom (see above). ValueError when it says neither."""

    venue: Venue
    kind: Kind
    at_frame: int = typed_tree.bounded(0, 0, FRAMES_MAX)
    connection: int = typed_tree.bounded(0, 0, CONNECTIONS_MAX)
    symbol: str = ""

    def __post_init__(self) -> None:
        if self.at_frame == 0 and self.connection == 0:
            raise ValueError("neither at_frame nor connection says when")
        if isinstance(self.kind, SkipNumbers) and self.venue is not Venue.KALSHI:
            raise ValueError("only Kalshi has sequence numbers")
        if isinstance(self.kind, Refuse) and self.at_frame == 0:
            raise ValueError("at_frame says when connections are refused")

    def is_of(self, number: int, symbols: Iterable[str]) -> bool:
        """Whether it is done to connection ``number``, which has subscribed to ``symbols``."""
        return self.connection in (0, number) and (not self.symbol or self.symbol in symbols)

    def __str__(self) -> str:
        when = f"frame {self.at_frame}" if self.at_frame else "its subscription"
        return f"{_NAMES[type(self.kind)]} at {when}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _When:
    """The fields that every fault has, as they stand in a file."""

    venue: Venue
    at_frame: int = typed_tree.bounded(0, 0, FRAMES_MAX)
    connection: int = typed_tree.bounded(0, 0, CONNECTIONS_MAX)
    symbol: str = ""


_WHEN_KEYS: Final = ("venue", "at_frame", "connection", "symbol")


def read_plan(path: Path) -> tuple[Fault, ...]:
    """The faults of a TOML file. ConfigError names the file, the fault by its number, and what is wrong."""
    tree = read_toml(path)
    listed = tree.pop("fault", [])
    if tree:
        raise ConfigError(f"{path}: unknown key '{next(iter(tree))}', expected [[fault]]")
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise ConfigError(f"{path}: fault: expected tables [[fault]]")
    if len(listed) > FAULTS_MAX:
        raise ConfigError(f"{path}: {len(listed)} faults, at most {FAULTS_MAX}")
    return tuple(fault_of(one, f"{path}: fault {number}") for number, one in enumerate(listed, 1))


def fault_of(listed: Mapping[str, object], place: str) -> Fault:
    """A fault from the keys of its table. ConfigError names ``place`` and what is wrong."""
    tree = dict(listed)
    name = tree.pop("kind", None)
    if not isinstance(name, str) or name not in KINDS:
        raise ConfigError(f"{place}: kind {name!r}, expected one of {', '.join(KINDS)}")
    if tree.get("venue") not in VENUE_OF_NAME:
        raise ConfigError(f"{place}: venue {tree.get('venue')!r}, expected one of {', '.join(VENUE_OF_NAME)}")
    when = typed_tree.build(_When, {key: tree.pop(key) for key in _WHEN_KEYS if key in tree}, place)
    kind = typed_tree.build(KINDS[name], tree, place)
    try:
        return Fault(
            venue=when.venue,
            kind=kind,
            at_frame=when.at_frame,
            connection=when.connection,
            symbol=when.symbol,
        )
    except ValueError as error:
        raise ConfigError(f"{place}: {error}") from error
