"""Frames as the codecs take them: one by one, or many in arrays over one buffer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from engine.records import Venue
from procs.recording_lines import Bytes, Longs

BATCH_FRAMES: Final = 8192
BATCH_BYTES: Final = 8 << 20  # a batch of imported frames is closed when it passes this
LOST: Final = b"frames lost here: the recording is damaged"  # no venue says that


class Frame(NamedTuple):
    """One wire message as received; ``raw`` is its text, UTF-8.

    ``line`` is where an imported file has it (a line, or a row of Parquet); 0 where that was not asked.
    """

    recv_ns: int
    venue: Venue
    conn: int
    raw: bytes
    line: int = 0


@dataclass(frozen=True, slots=True)
class FrameBatch:
    """``count`` frames: frame i is ``buffer[offsets[i] : offsets[i] + lengths[i]]``.

    ``first_line`` is the line of frame 0 in its recording; frames follow each other line by line. Imported
    ones are at ``lines`` of their file. Where ``lost`` says what was, these frames were never received: they
    stand in the place of lost ones, one for each connection, and nobody can read them.
    """

    buffer: Bytes
    offsets: Longs
    lengths: Longs
    recv_ns: Longs
    conns: Longs
    venues: Bytes
    count: int
    first_line: int
    lines: Longs | None = None
    lost: str = ""

    def line(self, index: int) -> int:
        """Line of the file that has frame ``index``; 0 when it is not known."""
        return self.first_line + index if self.lines is None else int(self.lines[index])

    def raw(self, index: int) -> bytes:
        """Text of frame ``index``."""
        start = int(self.offsets[index])
        return self.buffer[start : start + int(self.lengths[index])].tobytes()

    def frame(self, index: int) -> Frame:
        """Frame ``index`` as a tuple."""
        venue = Venue(int(self.venues[index]))
        return Frame(int(self.recv_ns[index]), venue, int(self.conns[index]), self.raw(index))

    def frames(self) -> Iterator[Frame]:
        """All frames in order."""
        for index in range(self.count):
            yield self.frame(index)


def pack(frames: Iterable[Frame], first_line: int = 2) -> Iterator[FrameBatch]:
    """Group frames into batches of at most BATCH_FRAMES, closed early when they pass BATCH_BYTES.

    When ``frames`` raises, what came before it is handed out first.
    """
    held: list[Frame] = []
    held_bytes = 0
    failure: Exception | None = None
    source = iter(frames)
    while failure is None:
        try:
            frame = next(source, None)
        except Exception as error:  # noqa: BLE001 - kept until the frames before it are out, then raised
            failure = error
            break
        if frame is None:
            break
        held.append(frame)
        held_bytes += len(frame.raw)
        if len(held) == BATCH_FRAMES or held_bytes >= BATCH_BYTES:
            yield _batch(held, first_line)
            first_line += len(held)
            held, held_bytes = [], 0
    if held:
        yield _batch(held, first_line)
    if failure is not None:
        raise failure


def lost_frames(what: str) -> FrameBatch:
    """Where frames are lost: a batch of none."""
    return replace(_batch([], 0), lost=what)


def stand_ins(what: str, recv_ns: int, connections: Iterable[tuple[Venue, int]]) -> FrameBatch:
    """In place of what is lost: for each connection that it may have come over, one that nobody can read."""
    return replace(_batch([Frame(recv_ns, venue, conn, LOST) for venue, conn in connections], 0), lost=what)


def _batch(frames: list[Frame], first_line: int) -> FrameBatch:
    lengths = np.array([len(frame.raw) for frame in frames], np.int64)
    offsets = np.zeros(len(frames), np.int64)
    np.cumsum(lengths[:-1], out=offsets[1:])
    return FrameBatch(
        np.frombuffer(b"".join(frame.raw for frame in frames), np.uint8),
        offsets,
        lengths,
        np.array([frame.recv_ns for frame in frames], np.int64),
        np.array([frame.conn for frame in frames], np.int64),
        np.array([int(frame.venue) for frame in frames], np.uint8),
        len(frames),
        first_line,
        np.array([frame.line for frame in frames], np.int64),
    )
