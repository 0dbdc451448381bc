"""Reads a recording: the header at once, the frames in batches, damage as one error after what is whole.

Frames that are lost are not skipped in silence: a batch without frames says where, and what it was.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, NamedTuple, Self

import numpy as np
import orjson

from engine.errors import RecordingDamaged
from procs.recording import CONN_MAX, LINE_BYTES_MAX, RECV_NS_MAX, VENUE_OF_NAME, RecordingHeader
from procs.recording_blocks import whole_blocks
from procs.recording_frames import BATCH_FRAMES, Frame, FrameBatch, lost_frames
from procs.recording_lines import LINES_END, LINES_FULL, LINES_UNSURE, split_lines

_NO_BLOCK: Final = b""


class _Damage(NamedTuple):
    """Something that is not whole: at which line, what, and how many frames there were before it."""

    line: int
    what: str
    frames: int


class RecordingReader:
    """One pass over the recording in ``path``; use as a context manager or call ``close``.

    ``header`` is there at once. ``lines`` counts the lines gone by, the header included, without those of a
    block that is lost. Raises OSError, RecordingFormat or RecordingDamaged. Memory: a few blocks.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.lines = 1
        self.fallbacks = 0  # lines that only the general parser could read
        self._frames = 0
        self._first: _Damage | None = None
        self._others = 0  # places with damage behind the first
        self._is_told = False  # that something is lost, and nothing was whole since
        self._is_torn = False  # what comes next may begin inside a line
        self._file: BinaryIO = path.open("rb")
        try:
            self._blocks = whole_blocks(self._file, self.name)
            first, self._text = self._first_line()
            self.header = RecordingHeader.from_line(first, self.name)
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _first_line(self) -> tuple[bytes, bytes]:
        text = _NO_BLOCK
        try:
            for block in self._blocks:
                if isinstance(block, RecordingDamaged):
                    raise block
                text += block
                line, newline, rest = text.partition(b"\n")
                if newline:
                    return line, rest
                if len(text) > LINE_BYTES_MAX:
                    break
        except RecordingDamaged as error:
            raise RecordingDamaged(f"{error}; nothing before that is whole") from error
        raise RecordingDamaged(f"{self.name} line 1: no header line; nothing of it can be read")

    def frames(self) -> Iterator[Frame]:
        """All frames, one by one."""
        for batch in self.batches():
            yield from batch.frames()

    def batches(self) -> Iterator[FrameBatch]:
        """All frames in batches of at most BATCH_FRAMES; where some are lost, a batch of none that says what.

        Raises RecordingDamaged at the end if anything was; the message says where it began and how many
        frames are whole.
        """
        try:
            rest = yield from self._split(self._text)
            for block in self._blocks:
                if isinstance(block, RecordingDamaged):
                    yield from self._lose(self._plain(block))
                    rest, self._is_torn = _NO_BLOCK, True
                    continue
                rest = yield from self._split(rest + block)
        except RecordingDamaged as error:
            self._note(self._plain(error))
        else:
            rest = yield from self._split(rest + b"\n" if rest else rest)  # the last line may lack its end
            assert not rest, "every line that ends is taken or refused"
        if self._first is not None:
            raise RecordingDamaged(f"{self.name} {self._damage(self._first)}")

    def _plain(self, error: RecordingDamaged) -> str:
        return str(error).removeprefix(f"{self.name}: ")

    def _note(self, what: str) -> None:
        if self._first is None:
            self._first = _Damage(self.lines + 1, what, self._frames)
        else:
            self._others += 1

    def _lose(self, what: str) -> Iterator[FrameBatch]:
        """Note damage that something may follow; what is lost is told once until something is whole again."""
        self._note(what)
        if not self._is_told:
            self._is_told = True
            yield lost_frames(f"line {self.lines + 1}: {what}")

    def _damage(self, first: _Damage) -> str:
        others = self._others
        more = f" (and more of it in {others} other place{'s' * (others > 1)})" if others else ""
        behind = self._frames - first.frames
        rest = f", and so are {behind} behind it" if behind else ""
        return f"line {first.line}: {first.what}{more}; the {first.frames} frames before it are whole{rest}"

    def _split(self, text: bytes) -> Generator[FrameBatch, None, bytes]:
        """Yield the whole lines of ``text`` in batches; the generator's value is what is left of it.

        Raises RecordingDamaged where that is longer than any line may be.
        """
        start = 0
        status = LINES_FULL
        while status != LINES_END:
            filling = _Filling(text, start, self.lines + 1)
            start, status = filling.run()
            self.fallbacks += filling.fallbacks
            if filling.count:
                yield self._counted(filling.batch())
            while status == LINES_UNSURE:
                end = text.index(b"\n", start)
                if not self._is_torn:
                    yield from self._lose("not a frame")
                    self.lines += 1
                self._is_torn = False
                start = end + 1
                status = _next_status(text, start)
        if len(text) - start > LINE_BYTES_MAX:
            raise RecordingDamaged(f"longer than {LINE_BYTES_MAX} bytes")
        return text[start:]

    def _counted(self, batch: FrameBatch) -> FrameBatch:
        self.lines += batch.count
        self._frames += batch.count
        self._is_torn = self._is_told = False
        return batch


def _next_status(text: bytes, start: int) -> int:
    """Behind a line that is no frame: LINES_UNSURE when the next one is none either, else LINES_FULL."""
    end = text.find(b"\n", start)
    return LINES_UNSURE if end >= 0 and parse_line(text[start:end]) is None else LINES_FULL


class _Filling:
    """The arrays of one batch while lines go into them."""

    def __init__(self, text: bytes, start: int, first_line: int) -> None:
        self._text = text
        self._start = start
        self._used = 0
        self._first_line = first_line
        self._arena = np.empty(len(text) - start, np.uint8)  # unescaped text is never longer
        self._offsets, self._lengths, self._recv_ns, self._conns = np.empty((4, BATCH_FRAMES), np.int64)
        self._venues = np.empty(BATCH_FRAMES, np.uint8)
        self.count = 0
        self.fallbacks = 0

    def run(self) -> tuple[int, int]:
        """Fill from ``start``; the position of the first line not taken, and LINES_* saying why."""
        source = np.frombuffer(self._text, np.uint8)
        while True:
            self.count, self._used, self._start, status = split_lines(
                source,
                self._start,
                self._arena,
                self._used,
                self.count,
                self._offsets,
                self._lengths,
                self._recv_ns,
                self._conns,
                self._venues,
            )
            if status != LINES_UNSURE:
                return self._start, status
            end = self._text.find(b"\n", self._start)
            if end < 0:
                return self._start, LINES_END
            frame = parse_line(self._text[self._start : end])
            if frame is None:
                return self._start, LINES_UNSURE
            self._append(frame)
            self._start = end + 1

    def _append(self, frame: Frame) -> None:
        length = len(frame.raw)
        self._arena[self._used : self._used + length] = np.frombuffer(frame.raw, np.uint8)
        self._offsets[self.count] = self._used
        self._lengths[self.count] = length
        self._recv_ns[self.count] = frame.recv_ns
        self._conns[self.count] = frame.conn
        self._venues[self.count] = int(frame.venue)
        self._used += length
        self.count += 1
        self.fallbacks += 1

    def batch(self) -> FrameBatch:
        """What has been filled in; read-only, as what importers hand out: one compiled reader serves both."""
        n = self.count
        buffer = self._arena[: self._used]
        buffer.flags.writeable = False
        return FrameBatch(
            buffer,
            self._offsets[:n],
            self._lengths[:n],
            self._recv_ns[:n],
            self._conns[:n],
            self._venues[:n],
            n,
            self._first_line,
        )


def parse_line(line: bytes) -> Frame | None:
    """The frame in a line by a general JSON parser, whatever its spelling; None when it holds none."""
    try:
        tree = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(tree, dict) or set(tree) != {"recv_ns", "venue", "conn", "raw"}:
        return None
    recv_ns, venue, conn, raw = tree["recv_ns"], tree["venue"], tree["conn"], tree["raw"]
    if type(recv_ns) is not int or type(conn) is not int or not isinstance(raw, str):
        return None
    if not isinstance(venue, str) or venue not in VENUE_OF_NAME:
        return None
    if not (0 <= recv_ns <= RECV_NS_MAX and 0 <= conn <= CONN_MAX):
        return None
    return Frame(recv_ns, VENUE_OF_NAME[venue], conn, raw.encode())
