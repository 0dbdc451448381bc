"""Live turns by news: who has something to read is called at once, the others now and then."""

from __future__ import annotations

import numpy as np
import pytest

from engine.units import PPM
from procs.agent import NEVER_NS, Agent
from procs.host import FULL_EVERY_NS, Host
from procs.pace import CLOCK_ROW, EngineClock, Seats
from shm.ring import OverwritingRing, Reader
from shm.table import Table

RECORD = np.dtype([("words", "<i8", (6,))])
START_NS = 1_000_000_000_000


class Calls:
    """An agent that notes its calls."""

    def __init__(self, role: str, log: list[str]) -> None:
        self.role = role
        self._log = log

    def on_start(self, now_ns: int) -> None:
        """Nothing to open."""

    def do_work(self, now_ns: int) -> int:
        """Note the call."""
        del now_ns
        self._log.append(self.role)
        return 0

    def next_due_ns(self) -> int:
        """Never."""
        return NEVER_NS

    def on_close(self) -> None:
        """Nothing to let go of."""


class Passes(Calls):
    """A stage: hands on what it reads, and may leave it unread."""

    def __init__(self, role: str, log: list[str], out: OverwritingRing | None = None) -> None:
        super().__init__(role, log)
        self.ring = OverwritingRing.create(64, 48)
        self.reads = True
        self._out = out
        self._reader = self.ring.reader()

    @property
    def readers(self) -> list[Reader]:
        """Of its ring."""
        return [self._reader]

    def do_work(self, now_ns: int) -> int:
        """Read, and hand on."""
        super().do_work(now_ns)
        n_cells = self._reader.poll() if self.reads else 0
        if n_cells and self._out is not None:
            self._out.publish(np.zeros(1, RECORD))
        return n_cells


class Time:
    """The monotonic clock."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def time() -> Time:
    return Time()


def live(agents: list[Agent], time: Time, *, by_news: bool = True) -> Host:
    """A host whose first turn, which calls everybody, is over."""
    clock = EngineClock(Table.create(1, CLOCK_ROW), time)
    clock.move(START_NS, PPM)
    clock.run_live()
    host = Host(agents, clock, Seats.create(("a",)).seat("a"), by_news=by_news)
    host.start()
    assert not host.turn()
    return host


def put(ring: OverwritingRing) -> None:
    ring.publish(np.zeros(1, RECORD))


def test_a_message_passes_through_all_stages_in_one_turn_and_nobody_else_is_called(
    log: list[str], time: Time
) -> None:
    last = Passes("last", log)
    middle = Passes("middle", log, last.ring)
    first = Passes("first", log, middle.ring)
    host = live([first, Calls("other", log), middle, last], time)
    log.clear()
    assert not host.turn()
    assert log == []
    assert not host.wait()
    put(first.ring)
    assert host.wait()
    assert host.turn()
    assert log == ["first", "middle", "last"]
    assert host.work == 3


def test_whoever_comes_first_in_the_pipeline_is_called_first_also_when_its_message_came_last(
    log: list[str], time: Time
) -> None:
    late = Passes("log", log)
    early = Passes("executor", log)
    source = Passes("optimizer", log, early.ring)
    host = live([early, source, late], time)
    log.clear()
    put(late.ring)
    put(source.ring)
    host.turn()
    assert log == ["optimizer", "executor", "log"]


def test_one_that_leaves_its_messages_does_not_keep_the_others_from_theirs(
    log: list[str], time: Time
) -> None:
    stuck, other = Passes("stuck", log), Passes("other", log)
    stuck.reads = False
    host = live([stuck, other], time)
    log.clear()
    put(stuck.ring)
    put(other.ring)
    assert host.turn()
    assert log == ["stuck", "other"]
    assert not host.turn()
    assert log == ["stuck", "other", "stuck"]


def test_now_and_then_everybody_is_called(log: list[str], time: Time) -> None:
    host = live([Passes("stage", log), Calls("other", log)], time)
    log.clear()
    time.now_ns += FULL_EVERY_NS - 1
    host.turn()
    assert log == []
    time.now_ns += 1
    host.turn()
    assert log == ["stage", "other"]
    host.turn()
    assert log == ["stage", "other"]


def test_without_news_every_turn_calls_everybody(log: list[str], time: Time) -> None:
    host = live([Passes("stage", log), Calls("other", log)], time, by_news=False)
    log.clear()
    assert not host.wait()
    host.turn()
    assert log == ["stage", "other"]
