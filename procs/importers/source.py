"""The shape of an importer, and of a file that one has taken on.

An importer is a row of a table: a test on a file's content and a generator of frames. It is run twice over a
file: once to learn its markets for the header, once for the frames; both passes see the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import orjson

from engine.errors import RecordingDamaged
from procs.importers.markets import MarketNotes
from procs.importers.parquet import parquet_columns
from procs.importers.reading import JsonObject, first_text
from procs.recording import RECV_NS_MAX, Provenance, RecordingHeader
from procs.recording_frames import Frame, FrameBatch, pack

NOT_STATED = "not stated"

# What a value that is missing or of another kind than the recorder wrote makes of an importer.
_MALFORMED = (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError)


class Sample(NamedTuple):
    """Beginning of a file: the columns of a Parquet file, or the first text of any other."""

    path: Path
    columns: frozenset[str]
    text: bytes

    @classmethod
    def of(cls, path: Path) -> Sample:
        """Look at ``path``; OSError when it cannot be read."""
        columns = parquet_columns(path)
        return cls(path, columns, b"" if columns else first_text(path))

    def csv_names(self) -> frozenset[str]:
        """Column names when the first line looks like CSV's."""
        line = self.text.split(b"\n", 1)[0].decode(errors="replace").rstrip("\r")
        return frozenset(name.strip('"') for name in line.split(",")) if "," in line else frozenset()

    def first_object(self) -> JsonObject:
        """JSON object on the first line; empty when there is none."""
        try:
            tree = orjson.loads(self.text.lstrip().split(b"\n", 1)[0])
        except orjson.JSONDecodeError:
            return {}
        return tree if isinstance(tree, dict) else {}

    def keys(self) -> frozenset[str]:
        """Keys of the first JSON object."""
        return frozenset(self.first_object())


class Importer(NamedTuple):
    """One kind of source. ``lacks`` names entries of procs.recording.LACKS."""

    name: str
    venue: str
    kind: str
    lacks: tuple[str, ...]
    matches: Callable[[Sample], bool]
    frames: Callable[[Path, MarketNotes], Iterator[Frame]]


class Imported:
    """A file as its importer reads it; the header is known after a first pass over it.

    ``notes`` may hold what other files told of the same markets.
    Raises RecordingDamaged from ``frames`` or ``batches`` where the file is broken, after what is whole.
    """

    def __init__(self, path: Path, importer: Importer, notes: MarketNotes) -> None:
        self.path = path
        self.name = str(path)
        self.importer = importer
        start_ns = 0
        found = False
        try:
            for frame in self._read(notes):
                if not found:
                    start_ns, found = frame.recv_ns, True
        except RecordingDamaged:
            pass  # said by the second pass, after the frames that are whole
        self.header = RecordingHeader(
            venue=importer.venue,
            kind=importer.kind,
            start_ns=start_ns,
            subscriptions=notes.symbols(),
            markets=notes.specs(),
            provenance=Provenance(path.name, NOT_STATED, NOT_STATED),
            lacks=tuple(sorted(importer.lacks)),
        )

    def close(self) -> None:
        """Nothing stays open between passes."""

    def frames(self) -> Iterator[Frame]:
        """Frames in the order of the file."""
        return self._read(MarketNotes())

    def _read(self, notes: MarketNotes) -> Iterator[Frame]:
        count = 0
        try:
            for frame in self.importer.frames(self.path, notes):
                if not 0 <= frame.recv_ns <= RECV_NS_MAX:
                    raise RecordingDamaged(f"{self.path}: time of receipt {frame.recv_ns} is out of range")
                yield frame
                count += 1
        except RecordingDamaged as error:
            raise RecordingDamaged(f"{error}; the {count} frames before it are whole") from error
        except _MALFORMED as error:
            what = f"{type(error).__name__} {error}".rstrip()
            raise RecordingDamaged(f"{self.path}: malformed after {count} whole frames ({what})") from error

    def batches(self) -> Iterator[FrameBatch]:
        """The same in batches; lines count as they would in a recording of this file."""
        return pack(self.frames())
