"""Several recordings as one stream in time order, without looking at frames one by one.

Order: (receive time, file, line). Inside one file the order of its lines always stands; where its clock steps
back, the frame counts as received at the latest time before it. Runs of consecutive frames of one file are
handed out as slices of its batches.

Where a file has lost frames, nobody knows which markets they were about, nor whether another file has the
session that they belong to. So one that nobody can read stands in their place on every connection there has
been of that venue, whichever file it is of: the codecs then doubt the books of all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np

from engine.errors import ConfigError, RecordingDamaged
from engine.records import Venue
from procs.recording import BOTH, RECV_NS_MAX, VENUE_OF_NAME, RecordingHeader
from procs.recording_frames import FrameBatch, lost_frames, stand_ins
from procs.recording_lines import Longs

_VENUES: Final = max(Venue) + 1


class FrameSource(Protocol):
    """What can be merged: a RecordingReader or an Imported."""

    name: str
    header: RecordingHeader

    def batches(self) -> Iterator[FrameBatch]:
        """Frames in batches."""


class Run(NamedTuple):
    """Frames ``start`` to ``stop`` of a batch of file number ``file``.

    ``clock_ns[i]`` is the time of frame i as it is to be replayed: shifted when aligned, never stepping back
    within the file. ``batch.recv_ns`` stays as recorded.
    """

    file: int
    batch: FrameBatch
    clock_ns: Longs
    start: int
    stop: int


def common_start(sources: Sequence[FrameSource]) -> list[int]:
    """Shift in ns for each file that makes all of them start when the latest one does."""
    starts = [source.header.start_ns for source in sources]
    return [max(starts) - start for start in starts]


class _Head:
    """Where one file stands."""

    def __init__(self, file: int, source: FrameSource, shift_ns: int) -> None:
        self.file = file
        self.steps_back = 0
        self.name = source.name
        self._batches = source.batches()
        self._shift_ns = shift_ns
        self._latest_ns = 0
        self.at = 0
        self.batch: FrameBatch | None = None
        self.clock_ns: Longs = np.empty(0, np.int64)
        self.is_broken = False  # nothing of it can be read any more
        self.connections: set[tuple[Venue, int]] = set()
        self._start_ns = source.header.start_ns + shift_ns
        self.venues = tuple(Venue) if source.header.venue == BOTH else (VENUE_OF_NAME[source.header.venue],)

    def advance(self) -> bool:
        """Load the next batch; False at the end of the file."""
        self.batch = None if self.is_broken else next(self._batches, None)
        self.at = 0
        if self.batch is None:
            return False
        if self.batch.lost:
            self._lose(self.batch)
            return True
        if self.batch.recv_ns.max() > RECV_NS_MAX - self._shift_ns:
            raise ConfigError(f"{self.name}: a shift of {self._shift_ns} ns takes its times out of range")
        shifted = self.batch.recv_ns + self._shift_ns
        clock = np.maximum.accumulate(np.maximum(shifted, self._latest_ns))
        self.steps_back += int(np.count_nonzero(clock != shifted))
        self._latest_ns = int(clock[-1])
        self.clock_ns = clock
        keys = np.unique(self.batch.conns * _VENUES + self.batch.venues)
        self.connections.update((Venue(key % _VENUES), key // _VENUES) for key in keys.tolist())
        return True

    def give_up(self, why: str) -> None:
        """The rest of the file is lost."""
        self.is_broken = True
        self._lose(lost_frames(why))

    def _lose(self, lost: FrameBatch) -> None:
        self.batch, self.at = lost, 0
        self.clock_ns = np.array([max(self._latest_ns, self._start_ns)], np.int64)

    def key(self) -> tuple[int, int]:
        """Place in the order of the frame that comes next."""
        return int(self.clock_ns[self.at]), self.file

    def until(self, other: tuple[int, int] | None) -> int:
        """Position after the last frame that comes before ``other``."""
        assert self.batch is not None
        if other is None:
            return self.batch.count
        time_ns, file = other
        if self.file < file:  # of equal times the earlier file's comes first
            return int(np.searchsorted(self.clock_ns, time_ns, side="right"))
        return int(np.searchsorted(self.clock_ns, time_ns, side="left"))


def merge(sources: Sequence[FrameSource], shifts_ns: Sequence[int] | None = None) -> Iterator[Run]:
    """Runs of all files in order. Damage ends its own file only, and is raised at the end: all of it.

    Where something is lost there is a run of no frames whose batch says what, and then the stand-ins for it.
    """
    shifts = shifts_ns if shifts_ns is not None else [0] * len(sources)
    damage: list[RecordingDamaged] = []
    heads: list[_Head] = []
    known: list[_Head] = []
    for file, (source, shift) in enumerate(zip(sources, shifts, strict=True)):
        known.append(_Head(file, source, shift))
        if _advance(known[-1], damage):
            heads.append(known[-1])
    while heads:
        heads.sort(key=_Head.key)
        first = heads[0]
        assert first.batch is not None
        stop = first.batch.count
        if not first.batch.lost:
            stop = first.until(heads[1].key() if len(heads) > 1 else None)
            yield Run(first.file, first.batch, first.clock_ns, first.at, stop)
        elif not first.is_broken or len(heads) > 1:  # behind the end of all nobody is misled
            yield from _in_place_of(first, first.batch.lost, known)
        first.at = stop
        if stop == first.batch.count and not _advance(first, damage):
            heads.pop(0)
    if damage:
        raise RecordingDamaged("; ".join(map(str, damage)))


def _in_place_of(head: _Head, lost: str, known: Sequence[_Head]) -> Iterator[Run]:
    """What stands for frames that ``head`` has lost; first a run of none that says so."""
    now_ns, _ = head.key()
    yield Run(head.file, lost_frames(lost), head.clock_ns[:0], 0, 0)
    for other in known:
        connections = sorted(one for one in other.connections if one[0] in head.venues)
        if connections:
            batch = stand_ins(lost, now_ns, connections)
            yield Run(other.file, batch, batch.recv_ns, 0, batch.count)


def _advance(head: _Head, damage: list[RecordingDamaged]) -> bool:
    try:
        return head.advance()
    except RecordingDamaged as error:
        damage.append(error)
        head.give_up(str(error).removeprefix(f"{head.name} "))
        return True
