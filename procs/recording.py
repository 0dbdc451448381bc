r"""Our recording format: what a recorder writes, what replay, check and paper read.

A file is zstd-compressed NDJSON. The first line is the header; every other line is one wire frame::

    {"pr3dict_recording":1,"venue":"kalshi","kind":"stream","start_ns":...,"subscriptions":[...],
     "markets":[{...}],"provenance":{"source":...,"licence":...,"date":...},"lacks":[...],"synthetic":false}
    {"recv_ns":1782872888379000000,"venue":"kalshi","conn":0,"raw":"{\"type\":\"orderbook_delta\",...}"}

The text is cut at line ends into zstd frames: the header is one, what follows goes into frames of about
BLOCK_BYTES. Each has its checksum, so that damage costs the frame it is in, no altered line is ever handed
out, and damage among the first frames leaves the header. Files whose first block has the header in it
are read the same. The same input gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Final, Self

import orjson
import zstandard

from engine import typed_tree
from engine.catalog.market import MarketSpec
from engine.errors import ConfigError, RecordingDamaged, RecordingFormat
from engine.records import Venue
from engine.units import TIME_MAX_NS
from engine.venues.workspace import CONNS_MAX

VERSION: Final = 1
VERSION_KEY: Final = "pr3dict_recording"
SUFFIX: Final = ".ndjson.zst"
BLOCK_BYTES: Final = 4 << 20
LINE_BYTES_MAX: Final = 32 << 20  # one frame of text; an array of every book of a socket stays far below
CONN_MAX: Final = CONNS_MAX - 1  # what codecs have room for
RECV_NS_MAX: Final = TIME_MAX_NS
LEVEL_DEFAULT: Final = 12

VENUE_NAMES: Final[Mapping[Venue, str]] = {Venue.POLYMARKET: "polymarket", Venue.KALSHI: "kalshi"}
VENUE_OF_NAME: Final[Mapping[str, Venue]] = {name: venue for venue, name in VENUE_NAMES.items()}
BOTH: Final = "both"

# What a file is, in the words of `pr3dict check`.
KINDS: Final = ("stream", "snapshots", "rest", "trades", "metadata", "v1")

# Everything that a source may lack. Nothing on this list is ever made up by an importer.
LACKS: Final[Mapping[str, str]] = {
    "book_depth": "levels beyond the recorded ones",
    "captures_between": "what happened between two captures: the source is a poll or was thinned",
    "condition_id": "Polymarket's market id",
    "connection": "which connection a frame came over, and where one ended",
    "delta_market": "the true ticker of deltas: the recorder wrote another one on all of them",
    "fee_schedule": "the fees that applied",
    "frame_boundaries": "which entries travelled in one frame",
    "hash": "the venue's book or order hash",
    "market_id": "Kalshi's market id",
    "opening_snapshot": "the book at the start",
    "outcome": "which token is YES: the first in the order of the recording stands for it",
    "price_grid": "the price grid: the coarsest known one that holds every recorded price stands for it",
    "recv_time": "the time of receipt: venue time, or none, stands for it",
    "seq": "sequence numbers",
    "sid": "subscription ids",
    "sid_of_frame": "the subscription id of each frame: that of the acknowledgement stands for it",
    "sizes": "the size at a price: shown, never traded",
    "token_id": "token ids: market and side stand for them",
    "trades": "the trade channel",
    "venue_time": "the venue's own time",
}


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the data came from, under which licence, and of which day."""

    source: str
    licence: str
    date: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingHeader:
    """First line of a recording. ``start_ns`` is the first receive time; ``kind`` is one of KINDS.

    ``lacks`` names entries of LACKS. ``markets`` is the metadata needed to replay without the network.
    Raises ValueError for a word outside these lists.
    """

    venue: str
    kind: str
    start_ns: int
    subscriptions: tuple[str, ...] = ()
    markets: tuple[MarketSpec, ...] = ()
    provenance: Provenance
    lacks: tuple[str, ...] = ()
    synthetic: bool = False

    def __post_init__(self) -> None:
        if self.venue not in (*VENUE_OF_NAME, BOTH):
            raise ValueError(f"unknown venue {self.venue!r}")
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind {self.kind!r}, expected one of {', '.join(KINDS)}")
        unknown = [name for name in self.lacks if name not in LACKS]
        if unknown:
            raise ValueError(f"lacks names {unknown[0]!r}, which is not on the list")
        if not 0 <= self.start_ns <= RECV_NS_MAX:
            raise ValueError(f"start_ns {self.start_ns} is out of range")

    def to_line(self) -> bytes:
        """The header as its line of the file, newline included."""
        tree = typed_tree.dump(self)
        assert isinstance(tree, dict)
        return orjson.dumps({VERSION_KEY: VERSION, **tree}) + b"\n"

    @classmethod
    def from_line(cls, line: bytes, name: str) -> RecordingHeader:
        """Parse a first line; ``name`` is the file for messages.

        Raises RecordingFormat for another version or another kind of file, RecordingDamaged for a broken one.
        """
        try:
            tree = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise RecordingDamaged(f"{name} line 1: header is not JSON ({error})") from error
        if not isinstance(tree, dict) or VERSION_KEY not in tree:
            raise RecordingFormat(f"{name} line 1: not a recording: no key {VERSION_KEY}")
        version = tree.pop(VERSION_KEY)
        if version != VERSION:
            raise RecordingFormat(f"{name} line 1: format version {version!r}, this build reads {VERSION}")
        try:
            return typed_tree.build(cls, tree, f"{name} line 1")
        except ConfigError as error:
            raise RecordingFormat(str(error)) from error


class RecordingWriter:
    """Writes a recording to a binary file object that it does not close. Not thread-safe.

    Memory: one block of text. What was written before ``flush`` or ``close`` is in the file, and can be read
    whatever becomes of the rest.
    """

    def __init__(
        self,
        file: BinaryIO,
        header: RecordingHeader,
        level: int = LEVEL_DEFAULT,
        block_bytes: int | None = None,
    ) -> None:
        self._file = file
        self._block_bytes = BLOCK_BYTES if block_bytes is None else block_bytes
        self._compressor = zstandard.ZstdCompressor(level=level, write_checksum=True, threads=0)
        self._header = header.to_line()
        self._lines: list[bytes] = []
        self._pending = 0
        self.frames = 0

    def write(self, recv_ns: int, venue: Venue, conn: int, raw: str) -> None:
        """Append one frame. ValueError for a time or connection out of range, or text that is too long."""
        if not (0 <= recv_ns <= RECV_NS_MAX and 0 <= conn <= CONN_MAX):
            raise ValueError(f"recv_ns {recv_ns} or conn {conn} is out of range")
        text = orjson.dumps(raw)
        line = b'{"recv_ns":%d,"venue":"%s","conn":%d,"raw":%s}\n' % (
            recv_ns,
            VENUE_NAMES[venue].encode(),
            conn,
            text,
        )
        if len(line) > LINE_BYTES_MAX:
            raise ValueError(f"a frame of {len(line)} bytes, at most {LINE_BYTES_MAX}")
        self._lines.append(line)
        self._pending += len(line)
        self.frames += 1
        if self._pending >= self._block_bytes:
            self.flush()

    def close(self) -> None:
        """Write what is pending; the file object stays open."""
        self.flush()

    def flush(self) -> None:
        """Write what is pending, as a block of its own; before the first of them the header, likewise."""
        for text in (self._header, b"".join(self._lines)):
            if text:
                self._file.write(self._compressor.compress(text))
        self._header = b""
        self._lines.clear()
        self._pending = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
