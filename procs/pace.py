"""Engine time of several processes, and the baton that makes their replay the same as one process's.

The clock row has a position in time and how fast it moves from there: live, from the wall clock's time at the
start, as fast as the monotonic clock, so that no step of the wall clock moves anybody. A replay as fast as
possible stands still (rate 0) while anything is left to do, then it moves to what is due next.

Several processes that work on the same events at once would meet them in another order each time. So while
the clock stands, one process at a time has the baton: the conductor hands it to each in pipeline order, and
it comes back with what was done. Who can have nothing to do is passed over: nobody did anything since its
last turn, and nothing is due there. When that goes for all, it is the end of that moment. This is the loop of
``procs.inline`` over processes, and gives the same decisions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np

from engine.errors import ConfigError
from engine.units import NS_PER_S, PPM
from procs.agent import NEVER_NS, AgentStalled
from procs.ladder import EngineTime
from procs.recording_frames import Frame
from shm.ring import Records
from shm.segment import Segment
from shm.table import Table

CLOCK: Final = "clock"
SEATS: Final = "seats"
SEATS_MAX: Final = 32
NOBODY: Final = -1
PATIENCE_NS: Final = 120 * NS_PER_S  # of real time: nobody takes that long over one turn

CLOCK_ROW: Final = np.dtype(
    [
        ("position_ns", "<i8"),  # engine time at ``anchor_ns`` of the monotonic clock
        ("anchor_ns", "<i8"),
        ("rate_ppm", "<i8"),  # 0: stands still
        ("turn", "<i8"),  # number of the turn that is to be taken; 0: everybody turns as they like
        ("seat", "<i8"),  # whose turn it is
        ("ended", "<i8"),  # 1: the replay is over, and all that it brought about
    ]
)
SEAT_ROW: Final = np.dtype(
    [
        ("turn", "<i8"),  # last one taken
        ("work", "<i8"),  # messages and timers handled since the start
        ("due_ns", "<i8"),  # when an agent here next acts without being sent anything
        ("frames", "<i8"),  # taken from sockets or recordings
    ]
)


class Told(NamedTuple):
    """What a process says of itself: fields of SEAT_ROW."""

    turn: int
    work: int
    due_ns: int
    frames: int


class Quiet(NamedTuple):
    """When a process last had a turn and did nothing: after how many changes, at which engine time."""

    changes: int
    position_ns: int


class EngineClock:
    """Engine time as every process reads it. ``turn``, ``seat``, ``ended``: as of the last look at it."""

    def __init__(self, table: Table, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self.turn = 0
        self.seat = NOBODY
        self.ended = False
        self._table = table
        self._monotonic_ns = monotonic_ns
        self._row: Records = np.zeros(1, CLOCK_ROW)
        self._written: Records = np.zeros(1, CLOCK_ROW)
        self._last_ns = 0
        self._ahead_ns: int | None = None  # of the monotonic clock, where the row is not looked at any more

    @classmethod
    def create(cls, directory: Path | None = None, epoch: int = 0) -> Self:
        """Make a clock that stands at 0."""
        return cls(Table.create(1, CLOCK_ROW, name=CLOCK, epoch=epoch, directory=directory))

    @classmethod
    def attach(cls, directory: Path, epoch: int | None = None) -> Self:
        """Map that of another process; raises LayoutMismatch, SegmentRefused or FileNotFoundError."""
        return cls(Table.attach(CLOCK, CLOCK_ROW, directory, epoch))

    @property
    def segment(self) -> Segment:
        """Where the row lies."""
        return self._table.segment

    def now_ns(self) -> int:
        """Engine time; it never steps back. A row that its writer is at leaves the time as it was."""
        if self._ahead_ns is not None:
            return self._monotonic_ns() + self._ahead_ns
        if not self._table.read(0, self._row):
            return self._last_ns
        position_ns, anchor_ns, rate_ppm, self.turn, self.seat, ended = self._row[0].tolist()
        self.ended = bool(ended)
        if rate_ppm:
            position_ns += (self._monotonic_ns() - anchor_ns) * rate_ppm // PPM
        self._last_ns = max(self._last_ns, position_ns)
        return self._last_ns

    def run_live(self) -> None:
        """Go on without a look at the row each time: that of a live engine changes no more, nor ends.

        ConfigError where the row does not say that the clock runs: its writer died before it could.
        """
        if not self._table.read(0, self._row) or int(self._row[0]["rate_ppm"]) != PPM:
            raise ConfigError("the clock of this engine was never started: begin a new engine")
        self._ahead_ns = int(self._row[0]["position_ns"]) - int(self._row[0]["anchor_ns"])

    def live_time(self) -> EngineTime:
        """``now_ns`` after ``run_live``, for who asks for nothing else, and for kernels."""
        monotonic_ns, ahead_ns = self._monotonic_ns, self._ahead_ns
        assert ahead_ns is not None, "the row is still looked at"
        is_asked = monotonic_ns is time.monotonic_ns  # a kernel asks that one only
        return EngineTime(lambda: monotonic_ns() + ahead_ns, ahead_ns if is_asked else None)

    def go_live(self) -> None:
        """Go on from the wall clock's time, at the pace of the monotonic one: no step of it moves us.

        Writer only.
        """
        self._write(time.time_ns(), PPM)

    def move(self, position_ns: int, rate_ppm: int = 0, turn: int = 0, seat: int = NOBODY) -> None:
        """Come to ``position_ns``, go on from there at ``rate_ppm`` of real time, hand a turn to a seat.

        Writer only.
        """
        self._write(position_ns, rate_ppm, turn, seat)

    def end(self) -> None:
        """Stand still for good: every process ends. Writer only."""
        self._write(self._last_ns, ended=True)

    def _write(
        self,
        position_ns: int,
        rate_ppm: int = 0,
        turn: int = 0,
        seat: int = NOBODY,
        *,
        ended: bool = False,
    ) -> None:
        self._written[0] = (position_ns, self._monotonic_ns(), rate_ppm, turn, seat, ended)
        self._table.write(0, self._written)


class Seat:
    """One process's row. Written by that process only."""

    def __init__(self, table: Table, number: int) -> None:
        self.number = number
        self._table = table
        self._row: Records = np.zeros(1, SEAT_ROW)
        self._told: Told | None = None

    def tell(self, told: Told) -> bool:
        """Publish; False when nothing of it is new."""
        if told == self._told:
            return False
        self._told = told
        self._row[0] = told
        return self._table.write(self.number, self._row)


class Seats:
    """The rows of all processes, by name, in pipeline order."""

    def __init__(self, table: Table, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._table = table
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

    @property
    def segment(self) -> Segment:
        """Where the rows lie."""
        return self._table.segment

    def seat(self, name: str) -> Seat:
        """The row of a process; ValueError for a name that has none."""
        return Seat(self._table, self.names.index(name))

    def told(self, number: int) -> Told | None:
        """What a process said last; None when it is just saying something."""
        return Told(*self._row[0].tolist()) if self._table.read(number, self._row) else None

    def frames(self) -> int:
        """Frames that all processes have taken."""
        return sum(told.frames for number in range(len(self.names)) if (told := self.told(number)))


def at_once(_: float) -> float:
    """Nothing is waited for."""
    return 0.0


class Conductor:
    """Moves a replay from event to event: hands a frame to ``deliver`` when it is its time.

    ``step`` is called until ``ended``; ``wake`` is called with the number of the seat that a turn was handed
    to, which is ``seat``. ``sent`` counts frames; ``is_delivered`` says whether the feeds have taken all of
    them. ``wait_s`` answers for how long a replay that keeps a speed has to wait for a moment; ``wake_in`` is
    then called with it, for the next ``step``. Raises AgentStalled when a process is due and does nothing,
    and when nothing comes of a turn for PATIENCE_NS.
    """

    def __init__(
        self,
        clock: EngineClock,
        seats: Seats,
        frames: Iterator[Frame],
        deliver: Callable[[Frame], None],
        start_ns: int,
        wake: Callable[[int], object],
        is_delivered: Callable[[], bool] = lambda: True,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        *,
        wait_s: Callable[[int], float] = at_once,
        wake_in: Callable[[float], object] = at_once,
    ) -> None:
        self._wait_s = wait_s
        self._wake_in = wake_in
        self._is_early = False
        self._monotonic_ns = monotonic_ns
        self._moved_ns = monotonic_ns()
        self.ended = False
        self.sent = 0
        self.steps_back = 0
        self.position_ns = start_ns
        self._clock = clock
        self._seats = seats
        self._frames = frames
        self._deliver = deliver
        self._wake = wake
        self._is_delivered = is_delivered
        self._next = next(frames, None)
        self.first_ns = self.last_ns = self._next.recv_ns if self._next else 0
        self.seat = NOBODY
        self._told = [Told(0, 0, NEVER_NS, 0) for _ in seats.names]  # at the end of each one's last turn
        self._changes = 0  # deliveries, and turns in which something was done
        self._quiet = [Quiet(NOBODY, 0) for _ in seats.names]
        self._is_delivering = True  # what the feeds were told when they subscribed
        self._turn = 1
        self._clock.move(start_ns, turn=self._turn)

    def step(self) -> bool:
        """Look whether what is waited for has come, and go on if so; whether it had."""
        if self._look():
            self._moved_ns = self._monotonic_ns()
            return True
        if self._is_early:
            self._moved_ns = self._monotonic_ns()
            return False
        if self._monotonic_ns() - self._moved_ns > PATIENCE_NS:
            waits_for = "a frame that was sent" if self._is_delivering else self._seats.names[self.seat]
            raise AgentStalled(
                f"nothing from {waits_for} for {PATIENCE_NS // NS_PER_S} s at {self.position_ns}"
            )
        return False

    def _look(self) -> bool:
        if self._is_early:
            self._move_on()
            return not self._is_early
        if self._is_delivering:
            if not self._is_delivered():
                return False
            self._is_delivering = False
            self._changes += 1
            self._go_on()
            return True
        told = self._seats.told(self.seat)
        if told is None or told.turn != self._turn:
            return False
        if told.work == self._told[self.seat].work:
            self._quiet[self.seat] = Quiet(self._changes, self.position_ns)
        else:
            self._changes += 1
        self._told[self.seat] = told
        self._go_on()
        return True

    def _go_on(self) -> None:
        """Hand the turn to the next in order who may have something to do; without any, move on."""
        n_seats = len(self._told)
        for step in range(1, n_seats + 1):
            seat = (self.seat + step) % n_seats
            if self._may_work(seat):
                self._hand_to(seat)
                return
        self._move_on()

    def _may_work(self, seat: int) -> bool:
        quiet = self._quiet[seat]
        if quiet.changes != self._changes:
            return True
        return self._told[seat].due_ns <= self.position_ns and quiet.position_ns != self.position_ns

    def _hand_to(self, seat: int) -> None:
        self._turn += 1
        self.seat = seat
        self._clock.move(self.position_ns, turn=self._turn, seat=seat)
        self._wake(seat)

    def _move_on(self) -> None:
        """Nobody has anything to do: to the next frame, or to what is due before it."""
        due_ns = min(told.due_ns for told in self._told)
        if due_ns <= self.position_ns:
            raise AgentStalled(f"a process is due at {due_ns} and did nothing at {self.position_ns}")
        self.seat = NOBODY
        frame = self._next
        target_ns = due_ns if frame is None else min(due_ns, frame.recv_ns)
        if target_ns == NEVER_NS:
            self.ended = True
            self._clock.end()
            return
        wait_s = self._wait_s(target_ns)
        self._is_early = wait_s > 0
        if self._is_early:
            self._wake_in(wait_s)
            return
        self.position_ns = max(self.position_ns, target_ns)
        if frame is None or frame.recv_ns > self.position_ns:
            self._go_on()
            return
        self._clock.move(self.position_ns, turn=self._turn, seat=NOBODY)
        self.steps_back += frame.recv_ns < self.last_ns
        self.last_ns = max(self.last_ns, frame.recv_ns)
        self.sent += 1
        self._next = next(self._frames, None)
        self._is_delivering = True
        self._deliver(frame)
