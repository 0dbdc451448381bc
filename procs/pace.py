"""Engine time of several processes, and the rounds by which one of them knows that all are idle.

Live, engine time is the wall clock. A replay has a clock row: a position in recorded time and how fast it
moves from there. As fast as possible, it stands still (rate 0) until every process has nothing left to do,
then it moves to what is due next; the same order of events as in one process follows, whatever the host does.

Nobody can see all rings at once, so idleness is found in two rounds. The conductor announces a round; each
process acknowledges it after a pass over its agents that found nothing and began after the announcement, with
the count of all its work so far. Two rounds in a row with the same counts: between the two nobody worked, so
nothing was sent in that time, and what had been sent before was looked for by the second pass of its reader.
(The four-counter method of termination detection: F. Mattern, Distributed Computing 2, 1987.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Final, Self

import numpy as np

from engine.units import PPM
from procs.agent import NEVER_NS, AgentStalled
from procs.recording_frames import Frame
from shm.ring import Records
from shm.table import Table

CLOCK: Final = "clock"
SEATS: Final = "seats"
SEATS_MAX: Final = 32

CLOCK_ROW: Final = np.dtype(
    [
        ("position_ns", "<i8"),  # engine time at ``anchor_ns`` of the monotonic clock
        ("anchor_ns", "<i8"),
        ("rate_ppm", "<i8"),  # 0: stands still
        ("round", "<i8"),  # 0: no rounds are held
        ("live", "<i8"),  # 1: engine time is the wall clock
        ("ended", "<i8"),  # 1: the replay is over, and all that it brought about
    ]
)
SEAT_ROW: Final = np.dtype(
    [
        ("round", "<i8"),  # last one acknowledged
        ("work", "<i8"),  # messages and timers handled since the start
        ("due_ns", "<i8"),  # when an agent here next acts without being sent anything
        ("frames", "<i8"),  # taken from sockets or recordings
    ]
)


class Phase(IntEnum):
    """What the conductor waits for."""

    FRAME = 0  # the feeds have taken what was sent
    ROUND = 1  # every process has acknowledged
    ENDED = 2


class EngineClock:
    """Engine time as every process reads it. ``round``: the round that was announced when it was read."""

    def __init__(self, table: Table, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self.round = 0
        self.ended = False  # as of the last look at the time
        self._table = table
        self._monotonic_ns = monotonic_ns
        self._row: Records = np.zeros(1, CLOCK_ROW)
        self._last_ns = 0

    @classmethod
    def create(cls, directory: Path | None = None, epoch: int = 0) -> Self:
        """Make a clock that stands at 0."""
        return cls(Table.create(1, CLOCK_ROW, name=CLOCK, epoch=epoch, directory=directory))

    @classmethod
    def attach(cls, directory: Path, epoch: int | None = None) -> Self:
        """Map that of another process; raises LayoutMismatch, SegmentRefused or FileNotFoundError."""
        return cls(Table.attach(CLOCK, CLOCK_ROW, directory, epoch))

    def now_ns(self) -> int:
        """Engine time; it never steps back. A row that its writer is at leaves the time as it was."""
        if not self._table.read(0, self._row):
            return self._last_ns
        row = self._row[0]
        self.round = int(row["round"])
        self.ended = bool(row["ended"])
        if row["live"]:
            now_ns = time.time_ns()
        else:
            now_ns = int(row["position_ns"])
            rate = int(row["rate_ppm"])
            if rate:
                now_ns += (self._monotonic_ns() - int(row["anchor_ns"])) * rate // PPM
        self._last_ns = max(self._last_ns, now_ns)
        return self._last_ns

    def go_live(self) -> None:
        """Follow the wall clock from now on. Writer only."""
        self._write(0, 0, 0, live=True)

    def move(self, position_ns: int, round_number: int = 0, rate_ppm: int = 0) -> None:
        """Come to ``position_ns``, and go on from there at ``rate_ppm`` of real time. Writer only."""
        self._write(position_ns, round_number, rate_ppm)

    def end(self) -> None:
        """Stand still for good: every process ends. Writer only."""
        self._write(self._last_ns, 0, 0, ended=True)

    def _write(
        self, position_ns: int, round_number: int, rate_ppm: int, *, live: bool = False, ended: bool = False
    ) -> None:
        row: Records = np.zeros(1, CLOCK_ROW)
        row[0] = (position_ns, self._monotonic_ns(), rate_ppm, round_number, live, ended)
        self._table.write(0, row)


class Seat:
    """One process's row: what it has done, and what it waits for. Written by that process only."""

    def __init__(self, table: Table, number: int) -> None:
        self._table = table
        self._number = number
        self._row: Records = np.zeros(1, SEAT_ROW)

    def tell(self, round_number: int, work: int, due_ns: int, frames: int) -> None:
        """Publish; written only when something changed."""
        row = self._row[0]
        told = (round_number, work, due_ns, frames)
        if tuple(row.tolist()) != told:
            self._row[0] = told
            self._table.write(self._number, self._row)


class Seats:
    """The rows of all processes, by name."""

    def __init__(self, table: Table, names: Sequence[str]) -> None:
        self._table = table
        self._names = tuple(names)
        self._row: Records = np.zeros(1, SEAT_ROW)

    @classmethod
    def create(cls, names: Sequence[str], directory: Path | None = None, epoch: int = 0) -> Self:
        """Make a row for each name."""
        table = Table.create(SEATS_MAX, SEAT_ROW, name=SEATS, epoch=epoch, directory=directory)
        return cls(table, names)

    @classmethod
    def attach(cls, names: Sequence[str], directory: Path, epoch: int | None = None) -> Self:
        """Map those of another process; raises LayoutMismatch, SegmentRefused or FileNotFoundError."""
        return cls(Table.attach(SEATS, SEAT_ROW, directory, epoch), names)

    def seat(self, name: str) -> Seat:
        """The row of a process; ValueError for a name that has none."""
        return Seat(self._table, self._names.index(name))

    def read(self) -> list[tuple[int, int, int, int]] | None:
        """(round, work, due, frames) of every process; None when a writer was at one."""
        rows: list[tuple[int, int, int, int]] = []
        for number in range(len(self._names)):
            if not self._table.read(number, self._row):
                return None
            rows.append(tuple(self._row[0].tolist()))
        return rows


class Conductor:
    """Moves a replay from event to event: hands a frame to ``deliver`` when it is its time.

    ``step`` is called as long as it answers True. ``sent`` counts frames; what the feeds have taken is read
    from the seats. Raises AgentStalled when a process is due and does nothing.
    """

    def __init__(
        self,
        clock: EngineClock,
        seats: Seats,
        frames: Iterator[Frame],
        deliver: Callable[[Frame], None],
        start_ns: int,
    ) -> None:
        self.sent = 0
        self.steps_back = 0
        self.position_ns = start_ns
        self._clock = clock
        self._seats = seats
        self._frames = frames
        self._deliver = deliver
        self._next = next(frames, None)
        self.first_ns = self.last_ns = self._next.recv_ns if self._next else 0
        self._round = 0
        self._work = -1
        self._phase = Phase.ROUND
        self._stuck_at = (0, 0)
        self._announce()

    def step(self) -> bool:
        """Look whether what is waited for has come, and go on if so; False when nothing is left to happen."""
        if self._phase == Phase.ENDED:
            return False
        rows = self._seats.read()
        if rows is None:
            return True
        if self._phase == Phase.FRAME:
            if sum(frames for _, _, _, frames in rows) >= self.sent:
                self._announce()
        elif all(acknowledged == self._round for acknowledged, _, _, _ in rows):
            self._after_round(rows)
        return True

    def _after_round(self, rows: Sequence[tuple[int, int, int, int]]) -> None:
        work = sum(done for _, done, _, _ in rows)
        if work != self._work:
            self._work = work
            self._announce()
            return
        due_ns = min(due for _, _, due, _ in rows)
        self._move_on(due_ns)

    def _move_on(self, due_ns: int) -> None:
        frame = self._next
        target_ns = due_ns if frame is None else min(due_ns, frame.recv_ns)
        if target_ns == NEVER_NS:
            self._phase = Phase.ENDED
            return
        if frame is None or due_ns < frame.recv_ns:
            self._refuse_stall(due_ns)
        self.position_ns = max(self.position_ns, target_ns)
        if frame is None or frame.recv_ns > self.position_ns:
            self._announce()
            return
        self._clock.move(self.position_ns, self._round)
        self.steps_back += frame.recv_ns < self.last_ns
        self.last_ns = max(self.last_ns, frame.recv_ns)
        self.sent += 1
        self._next = next(self._frames, None)
        self._phase = Phase.FRAME
        self._deliver(frame)

    def _refuse_stall(self, due_ns: int) -> None:
        """The same work at the same due time twice: whoever is due does nothing, and time would never end."""
        at = due_ns, self._work
        if due_ns <= self.position_ns and at == self._stuck_at:
            raise AgentStalled(f"a process is due at {due_ns} and did nothing at {self.position_ns}")
        self._stuck_at = at

    def _announce(self) -> None:
        self._round += 1
        self._phase = Phase.ROUND
        self._clock.move(self.position_ns, self._round)
