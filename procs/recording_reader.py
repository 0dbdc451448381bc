"""Reads a recording: the header at once, the frames in batches, damage as one error after what is whole."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import numpy as np
import orjson

from engine.errors import RecordingDamaged
from procs.recording import CONN_MAX, LINE_BYTES_MAX, RECV_NS_MAX, VENUE_OF_NAME, RecordingHeader
from procs.recording_blocks import read_blocks
from procs.recording_frames import BATCH_FRAMES, Frame, FrameBatch
from procs.recording_lines import LINES_END, LINES_FULL, LINES_UNSURE, split_lines

_NO_BLOCK: Final = b""


class RecordingReader:
    """One pass over the recording in ``path``; use as a context manager or call ``close``.

    ``header`` is there at once. ``lines`` counts the lines handed out, the header included.
    Raises OSError, RecordingFormat or RecordingDamaged. Memory: a few blocks.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.lines = 1
        self.fallbacks = 0  # lines that only the general parser could read
        self._file: BinaryIO = path.open("rb")
        try:
            self._blocks = read_blocks(self._file, self.name)
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
        """All frames in batches of at most BATCH_FRAMES.

        Raises RecordingDamaged at the first line that is not whole, after all before it have been yielded;
        the message says how many that were.
        """
        text = self._text
        while True:
            rest = yield from self._split(text)
            if len(rest) > LINE_BYTES_MAX:
                raise self._damaged(f"longer than {LINE_BYTES_MAX} bytes")
            try:
                block = next(self._blocks, None)
            except RecordingDamaged as error:
                raise self._damaged(str(error).removeprefix(f"{self.name}: ")) from error
            if block is None:
                break
            text = rest + block
        rest = yield from self._split(rest + b"\n" if rest else rest)  # the last line may lack its line end
        assert not rest, "every line that ends is taken or refused"

    def _damaged(self, what: str) -> RecordingDamaged:
        return RecordingDamaged(
            f"{self.name} line {self.lines + 1}: {what}; the {self.lines - 1} frames before it are whole"
        )

    def _split(self, text: bytes) -> Generator[FrameBatch, None, bytes]:
        """Yield the whole lines of ``text`` in batches; the generator's value is what is left of it."""
        start = 0
        status = LINES_FULL
        while status == LINES_FULL:
            filling = _Filling(text, start, self.lines + 1)
            start, status = filling.run()
            self.fallbacks += filling.fallbacks
            if filling.count:
                self.lines += filling.count
                yield filling.batch()
        if status == LINES_UNSURE:
            raise self._damaged("not a frame")
        return text[start:]


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
