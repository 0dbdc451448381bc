"""Raw frames of live feeds into recordings: what came, when and over which connection.

What was flushed can be read after any end of the process: blocks are whole, and each goes to the kernel as
soon as it is compressed. A file that has grown to its size is followed by another, which begins in
mid-stream and says so. Every connection gets a number of its own, so that a replay sees where one ended.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from engine.catalog.market import MarketSpec
from engine.errors import ConfigError
from engine.records import Venue
from engine.units import NS_PER_S
from procs.feed_link import FeedSink
from procs.recording import (
    BOTH,
    CONN_MAX,
    SUFFIX,
    VENUE_NAMES,
    Provenance,
    RecordingHeader,
    RecordingWriter,
)

LIVE_LEVEL: Final = 3
LIVE_BLOCK_BYTES: Final = 256 * 1024  # what compressing a block costs is what the sockets wait
FLUSH_EVERY_NS: Final = NS_PER_S
PARTS_MAX: Final = 10_000


class RollingRecording:
    """Recordings ``NAME``, ``NAME.1``, ``NAME.2``... of live frames, each of about ``bytes_max``.

    A context manager: the first file is opened by entering it. ConfigError when a file exists already;
    OSError when one cannot be written.
    """

    def __init__(
        self,
        out: Path,
        markets: Sequence[MarketSpec],
        subscriptions: Sequence[str],
        bytes_max: int,
        now_ns: Callable[[], int],
    ) -> None:
        self.frames = 0
        self.bytes = 0
        self.paths: list[Path] = []
        self._out = out
        self._markets = tuple(markets)
        self._subscriptions = tuple(subscriptions)
        self._bytes_max = bytes_max
        self._now_ns = now_ns
        self._flushed_ns = 0
        self._file: BinaryIO | None = None
        self._writer: RecordingWriter | None = None  # begun by the first frame, whose time is the start

    def __enter__(self) -> Self:
        self._file = self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is None and self.frames == 0 and kind is None:
            self._writer = self._begin(self._now_ns())  # a recording without a frame has its header
        with self._named():
            self._finish()

    def write(self, recv_ns: int, venue: Venue, conn: int, payload: bytes) -> None:
        """Append one frame; bytes that are no UTF-8 are replaced, for the format holds text."""
        with self._named():
            if self._writer is None:
                self._writer = self._begin(recv_ns)
            self._writer.write(recv_ns, venue, conn, payload.decode(errors="replace"))
        self.frames += 1

    def on_clock(self, now_ns: int) -> None:
        """Flush what has waited for FLUSH_EVERY_NS; end a full file: the next frame begins another."""
        is_early = 0 <= now_ns - self._flushed_ns < FLUSH_EVERY_NS  # negative: the clock stepped back
        if self._writer is None or self._file is None or is_early:
            return
        self._flushed_ns = now_ns
        with self._named():
            self._writer.flush()
            self._file.flush()
            if self._file.tell() >= self._bytes_max:
                self._finish()

    def _begin(self, start_ns: int) -> RecordingWriter:
        if self._file is None:
            self._file = self._open()
        return RecordingWriter(self._file, self._header(start_ns), LIVE_LEVEL, LIVE_BLOCK_BYTES)

    def _header(self, start_ns: int) -> RecordingHeader:
        venues = {spec.venue for spec in self._markets}
        day = datetime.fromtimestamp(start_ns // NS_PER_S, UTC).date().isoformat()
        return RecordingHeader(
            venue=BOTH if len(venues) > 1 else VENUE_NAMES[next(iter(venues))],
            kind="stream",
            start_ns=start_ns,
            subscriptions=self._subscriptions,
            markets=self._markets,
            provenance=Provenance("recorded by pr3dict record", "terms of the venue", day),
            lacks=() if len(self.paths) == 1 else ("opening_snapshot",),
        )

    def _open(self) -> BinaryIO:
        if len(self.paths) == PARTS_MAX:
            raise ConfigError(f"{self._out}: {PARTS_MAX} files are enough")
        path = part_path(self._out, len(self.paths))
        try:
            file = path.open("xb")
        except FileExistsError:
            raise ConfigError(f"{path}: exists already; a recording overwrites nothing") from None
        self.paths.append(path)
        return file

    @contextmanager
    def _named(self) -> Iterator[None]:
        """A write that fails knows no file by itself: name ours."""
        try:
            yield
        except OSError as error:
            if error.filename is not None:
                raise
            raise OSError(error.errno, error.strerror, str(self.paths[-1])) from error

    def _finish(self) -> None:
        file, self._file = self._file, None
        writer, self._writer = self._writer, None
        if file is None:
            return
        with file:
            if writer is not None:
                writer.close()
            file.flush()
            os.fsync(file.fileno())
            self.bytes += file.tell()


def part_path(out: Path, part: int) -> Path:
    """File of the part: the name itself, then with a number before the suffix."""
    if part == 0:
        return out
    stem = out.name.removesuffix(SUFFIX)
    return out.with_name(f"{stem}.{part}{SUFFIX if stem != out.name else ''}")


class ConnNumbers:
    """Numbers of connections, each given once until all have been used."""

    def __init__(self) -> None:
        self._next = 0

    def take(self) -> int:
        """The next one."""
        number, self._next = self._next, (self._next + 1) % (CONN_MAX + 1)
        return number


class Tap:
    """Writes every frame of one venue down before ``sink`` gets it (a ``procs.feed_link.FeedSink``)."""

    def __init__(
        self,
        venue: Venue,
        sink: FeedSink,
        write: Callable[[int, Venue, int, bytes], None],
        numbers: ConnNumbers,
    ) -> None:
        self._venue = venue
        self._sink = sink
        self._write = write
        self._numbers = numbers
        self._recorded: dict[int, int] = {}  # connection to its number in the recording

    def on_frame(self, payload: bytes, recv_ns: int, conn: int) -> None:
        """Write it down, hand it on."""
        number = self._recorded.get(conn)
        if number is None:
            number = self._recorded[conn] = self._numbers.take()
        self._write(recv_ns, self._venue, number, payload)
        self._sink.on_frame(payload, recv_ns, conn)

    def on_disconnect(self, recv_ns: int, conn: int) -> None:
        """The next connection has another number."""
        self._recorded.pop(conn, None)
        self._sink.on_disconnect(recv_ns, conn)
