"""What one agent read, in the order it read it, and what it wrote: a file that plays the agent back alone.

A file is zstd frames of entries, each whole: what was flushed can be read after any end of the process. An
entry is a head and a payload; entries are in the order in which things happened::

    HEADER    JSON: whose log this is
    BUILD, START, WORK, FRAME, LOST   a call of the agent: its making, ``on_start``, ``do_work``, a feed's
              ``on_frame`` and ``on_disconnect``; time of the call, and what else it was handed
    INPUT     what the agent's ``ordinal``-th question in this call was answered with, if that was not nothing
    OUTPUT    what it wrote
    DONE      the call has ended; what it answered
    FULL      the file had its size: nothing behind it was written down

``source`` numbers what was asked, or written to, in the order in which the agent came to know it.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import orjson
import zstandard

from engine.errors import ConfigError, RecordingFormat
from engine.units import NS_PER_S
from procs.recording_blocks import Truncated, read_blocks

SUFFIX: Final = ".inputs"
VERSION: Final = 1
LEVEL: Final = 1
BLOCK_BYTES: Final = 256 * 1024
FLUSH_EVERY_NS: Final = NS_PER_S
FILE_BYTES_MAX: Final = 1 << 30
NOBODY: Final = 0  # source of what is neither asked nor written

_HEAD: Final = struct.Struct("<BxHII")  # kind, source, ordinal, bytes of the payload
_TIME: Final = struct.Struct("<q")


class EntryKind(IntEnum):
    """What an entry is."""

    HEADER = 0
    BUILD = 1
    START = 2
    WORK = 3
    FRAME = 4
    LOST = 5
    INPUT = 6
    OUTPUT = 7
    DONE = 8
    FULL = 9
    STOP = 10


CALLS: Final = frozenset(
    {
        EntryKind.BUILD,
        EntryKind.START,
        EntryKind.WORK,
        EntryKind.FRAME,
        EntryKind.LOST,
        EntryKind.STOP,
    }
)


class LogEntry(NamedTuple):
    """One entry."""

    kind: EntryKind
    source: int
    ordinal: int
    payload: bytes


class LogHeader(NamedTuple):
    """Whose log it is: agent, process and its boot epoch, time of the start, sources it was built from."""

    version: int
    agent: str
    process: str
    boot_epoch: int
    now_ns: int
    build: str


class InputLog:
    """Writer of one file. ``ended``: why nothing more is written: it has ``bytes_max``, or failed.

    A log is nobody's business but its own: that it cannot be written does not stop the agent. ConfigError
    when the file exists; OSError when it cannot be opened.
    """

    def __init__(self, path: Path, header: LogHeader, bytes_max: int = FILE_BYTES_MAX) -> None:
        self.path = path
        self.ended = ""
        self._bytes_max = bytes_max
        self._block = bytearray()
        self._flushed_ns = 0
        self._size = 0
        self._compress = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            raise ConfigError(f"{path}: exists already; a log of inputs overwrites nothing") from None
        self.append(EntryKind.HEADER, orjson.dumps(header._asdict()))
        self.flush()

    def append(self, kind: EntryKind, payload: bytes, source: int = NOBODY, ordinal: int = 0) -> None:
        """Write one entry, unless the log has ended."""
        if self.ended:
            return
        self._block += _HEAD.pack(kind, source, ordinal, len(payload))
        self._block += payload
        if len(self._block) >= BLOCK_BYTES:
            self.flush()

    def append_call(self, kind: EntryKind, at_ns: int, payload: bytes = b"") -> None:
        """Write that the agent was called at ``at_ns``."""
        self.append(kind, _TIME.pack(at_ns) + payload)

    def on_clock(self, now_ns: int) -> None:
        """Flush what has waited for FLUSH_EVERY_NS."""
        if now_ns - self._flushed_ns >= FLUSH_EVERY_NS:
            self._flushed_ns = now_ns
            self.flush()

    def flush(self) -> None:
        """Hand what was written so far to the kernel, as one whole block."""
        if not self._block or self.ended:
            return
        try:
            self._write(bytes(self._block))
            self._block.clear()
            if self._size >= self._bytes_max:
                self._write(_HEAD.pack(EntryKind.FULL, NOBODY, 0, 0))
                self.ended = f"{self.path.name} is full"
        except OSError as error:
            self.ended = f"{self.path}: {error.strerror}"

    def _write(self, block: bytes) -> None:
        """In one call, past any buffer; what a disk without room takes of it is a torn end."""
        compressed = self._compress(block)
        written = os.write(self._file, compressed)
        self._size += written
        if written < len(compressed):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def close(self) -> None:
        """Write what is left."""
        self.flush()
        os.close(self._file)


def unused_folder(path: Path) -> Path:
    """Where a run may leave its logs; ConfigError for a folder that has something in it."""
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise ConfigError(f"{path}: not an empty folder; logs of inputs overwrite nothing")
    return path.absolute()


def split_call(payload: bytes) -> tuple[int, bytes]:
    """Time of a call, and what else the agent was handed."""
    return _TIME.unpack_from(payload)[0], payload[_TIME.size :]


def read_log(file: BinaryIO, name: str) -> tuple[LogHeader, Iterator[LogEntry]]:
    """Header and entries of a log, up to where it is whole: its process may have died.

    Raises RecordingFormat for what is no such log, RecordingDamaged where it is corrupt.
    """
    entries = _entries(file, name)
    first = next(entries, None)
    if first is None or first.kind is not EntryKind.HEADER:
        raise RecordingFormat(f"{name}: not a log of inputs")
    try:
        header = LogHeader(**orjson.loads(first.payload))
    except (orjson.JSONDecodeError, TypeError) as error:
        raise RecordingFormat(f"{name}: not the header of a log of inputs: {error}") from error
    if header.version != VERSION:
        raise RecordingFormat(f"{name}: version {header.version}, this reads {VERSION}")
    return header, entries


def _entries(file: BinaryIO, name: str) -> Iterator[LogEntry]:
    rest = b""
    try:
        for block in read_blocks(file, name):
            rest += block
            at = 0
            while len(rest) - at >= _HEAD.size:
                kind, source, ordinal, length = _HEAD.unpack_from(rest, at)
                end = at + _HEAD.size + length
                if end > len(rest):
                    break
                yield LogEntry(EntryKind(kind), source, ordinal, rest[at + _HEAD.size : end])
                at = end
            rest = rest[at:]
    except Truncated:
        return  # its process died in the midst of a block
    except ValueError as error:
        raise RecordingFormat(f"{name}: not a log of inputs: {error}") from error
