"""The inline runner: order, time, bounds, and agents that break their contract."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from procs import inline
from procs.agent import NEVER_NS, AgentRunaway, AgentStalled
from procs.inline import InlineRunner, VirtualClock
from shm.ring import OverwritingRing

RECORD = np.dtype([("time_ns", "<i8"), ("value", "<i8"), ("words", "<i8", (4,))])

Log = list[tuple[str, int]]


class Quiet:
    """An agent that writes down when it is called and never works."""

    def __init__(self, role: str, log: Log) -> None:
        self.role = role
        self.log = log

    def on_start(self, now_ns: int) -> None:
        self.log.append((f"{self.role} starts", now_ns))

    def do_work(self, now_ns: int) -> int:
        self.log.append((self.role, now_ns))
        return 0

    def on_close(self) -> None:
        self.log.append((f"{self.role} closes", -1))


class Worker(Quiet):
    """Does ``amounts[k]`` at its k-th call."""

    def __init__(self, role: str, log: Log, amounts: list[int]) -> None:
        super().__init__(role, log)
        self.amounts = deque(amounts)

    def do_work(self, now_ns: int) -> int:
        super().do_work(now_ns)
        return self.amounts.popleft() if self.amounts else 0


class Timer(Quiet):
    """Acts at each of ``times_ns``, one at a call."""

    def __init__(self, role: str, log: Log, times_ns: list[int]) -> None:
        super().__init__(role, log)
        self.times_ns = deque(times_ns)

    def next_due_ns(self) -> int:
        return self.times_ns[0] if self.times_ns else NEVER_NS

    def do_work(self, now_ns: int) -> int:
        if not self.times_ns or self.times_ns[0] > now_ns:
            return 0
        self.log.append((self.role, now_ns))
        self.times_ns.popleft()
        return 1


class Source(Timer):
    """A recording: publishes a record at each of its times."""

    def __init__(self, role: str, log: Log, times_ns: list[int], ring: OverwritingRing) -> None:
        super().__init__(role, log, times_ns)
        self.ring = ring

    def do_work(self, now_ns: int) -> int:
        record = np.zeros(1, RECORD)
        record["time_ns"] = self.next_due_ns()
        done = super().do_work(now_ns)
        if done:
            assert self.ring.publish(record)
        return done


class Doubler(Quiet):
    """Reads one ring, writes twice the value to another."""

    def __init__(self, role: str, log: Log, source: OverwritingRing, sink: OverwritingRing) -> None:
        super().__init__(role, log)
        self.reader = source.reader()
        self.records = self.reader.records(RECORD)
        self.sink = sink

    def do_work(self, now_ns: int) -> int:
        n_records = self.reader.poll()
        for record in self.records[:n_records]:
            self.log.append((self.role, int(record["time_ns"])))
            self.sink.publish(np.array([record], RECORD))
        return n_records


def test_a_clock_never_goes_back() -> None:
    clock = VirtualClock(100)
    assert [clock.advance_to(ns) for ns in (150, 150, 149, 0, 151)] == [150, 150, 150, 150, 151]
    assert (clock.now_ns, clock.steps_back) == (151, 2)
    assert VirtualClock().now_ns == 0


def test_agents_are_started_worked_and_closed_in_order() -> None:
    log: Log = []
    runner = InlineRunner([Quiet("feed", log), Quiet("book", log)], VirtualClock(5))
    runner.run()
    assert log == [
        *[("feed starts", 5), ("book starts", 5), ("feed", 5), ("book", 5)],
        *[("book closes", -1), ("feed closes", -1)],
    ]


def test_a_step_goes_on_until_one_whole_pass_is_idle() -> None:
    log: Log = []
    runner = InlineRunner([Worker("a", log, [3, 0, 2]), Worker("b", log, [0, 1])], VirtualClock())
    assert not runner.step()
    assert [role for role, _ in log] == ["a", "b"] * 4
    assert [(tally.role, tally.work, tally.calls) for tally in runner.tallies] == [("a", 5, 4), ("b", 1, 4)]
    assert runner.passes == 4


@given(st.lists(st.lists(st.integers(0, 50), max_size=8), min_size=1, max_size=4))
def test_timers_run_in_order_of_time_then_of_place(times: list[list[int]]) -> None:
    log: Log = []
    clock = VirtualClock()
    timers = [Timer(f"t{place}", log, sorted(each)) for place, each in enumerate(times)]
    InlineRunner(timers, clock).run()
    fired = [(now_ns, role) for role, now_ns in log if not role.endswith(("starts", "closes"))]
    assert [ns for ns, _ in fired] == sorted(ns for each in times for ns in each)
    assert sorted(fired) == sorted((ns, f"t{place}") for place, each in enumerate(times) for ns in each)
    assert clock.steps_back == 0
    assert clock.now_ns == max((ns for each in times for ns in each), default=0)
    for (ns, role), (next_ns, next_role) in pairwise(fired):
        repeated = times[int(role[1:])].count(ns) > 1 or times[int(next_role[1:])].count(ns) > 1
        assert ns < next_ns or role <= next_role or repeated


def pipeline(times_ns: list[int], perf_ns: Callable[[], int] | None = None) -> tuple[Log, InlineRunner]:
    log: Log = []
    first, second, last = (OverwritingRing.create(64, RECORD.itemsize) for _ in range(3))
    agents = [
        Source("feed", log, times_ns, first),
        Doubler("book", log, first, second),
        Doubler("strategy", log, second, last),
    ]
    runner = InlineRunner(agents, VirtualClock(), perf_ns)
    runner.run()
    return log, runner


@given(st.lists(st.integers(0, 1000), max_size=30))
def test_every_frame_is_through_before_the_next_one_comes(times_ns: list[int]) -> None:
    times_ns.sort()
    log, runner = pipeline(times_ns)
    worked = [entry for entry in log if not entry[0].endswith(("starts", "closes"))]
    expected = [(role, ns) for ns in times_ns for role in ("feed", "book", "strategy")]
    assert worked == expected
    assert [tally.work for tally in runner.tallies] == [len(times_ns)] * 3


def test_the_same_input_gives_the_same_run() -> None:
    times_ns = sorted(number * number % 97 for number in range(60))
    first, second = pipeline(times_ns), pipeline(times_ns)
    assert first[0] == second[0]
    assert first[1].tallies == second[1].tallies
    assert first[1].passes == second[1].passes


def test_a_recording_whose_clock_steps_back() -> None:
    """A frame stamped before the one in front of it is handled at the time that is already reached."""
    log: Log = []
    clock = VirtualClock()
    ring = OverwritingRing.create(64, RECORD.itemsize)
    InlineRunner([Source("feed", log, [10, 30, 20, 40], ring)], clock).run()
    assert [ns for role, ns in log if role == "feed"] == [10, 30, 30, 40]


def test_time_inside_agents_is_taken_by_the_clock_given() -> None:
    ticks = iter(range(0, 10_000, 7))
    _, runner = pipeline([1, 2, 3], lambda: next(ticks))
    assert [tally.busy_ns for tally in runner.tallies] == [tally.calls * 7 for tally in runner.tallies]
    _, untimed = pipeline([1, 2, 3])
    assert [tally.busy_ns for tally in untimed.tallies] == [0, 0, 0]
    assert [tally.work for tally in runner.tallies] == [tally.work for tally in untimed.tallies] == [3, 3, 3]


def test_run_stops_at_its_time() -> None:
    log: Log = []
    runner = InlineRunner([Timer("t", log, [10, 20, 30, 40])], VirtualClock())
    runner.run(until_ns=20)
    assert [ns for role, ns in log if role == "t"] == [10, 20]
    assert log[-1] == ("t closes", -1)


def test_agents_that_keep_each_other_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inline, "PASSES_MAX", 50)
    log: Log = []
    agents = [Worker("quiet", log, [1] * 50), Worker("busy", log, [3] * 60), Quiet("idle", log)]
    runner = InlineRunner(agents, VirtualClock(77))
    with pytest.raises(AgentRunaway, match=r"not idle after 50 passes at 77; busiest: busy \(150\)"):
        runner.run()
    assert log[-3:] == [("idle closes", -1), ("busy closes", -1), ("quiet closes", -1)]


def test_the_bound_is_on_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inline, "PASSES_MAX", 3)
    runner = InlineRunner([Timer("t", [], list(range(1, 40)))], VirtualClock())
    runner.run()
    assert runner.tallies[0].work == 39


def test_the_pass_that_goes_idle_counts_against_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inline, "PASSES_MAX", 3)
    assert not InlineRunner([Worker("w", [], [1, 1])], VirtualClock()).step()
    with pytest.raises(AgentRunaway):
        InlineRunner([Worker("w", [], [1, 1, 1])], VirtualClock()).step()


def test_an_agent_that_is_due_and_does_nothing() -> None:
    class Stuck(Quiet):
        def next_due_ns(self) -> int:
            return 50

    log: Log = []
    runner = InlineRunner([Quiet("feed", log), Stuck("timer", log)], VirtualClock())
    assert runner.step(), "at 0 it is not due yet"
    with pytest.raises(AgentStalled, match="timer is due at 50 and did nothing at 50"):
        runner.step()


@pytest.mark.parametrize("roles", [[], ["a", "a"], ["a", "b", "a"]])
def test_roles_are_unique(roles: list[str]) -> None:
    with pytest.raises(ValueError, match="a role each"):
        InlineRunner([Quiet(role, []) for role in roles], VirtualClock())


class Failing(Quiet):
    """Raises in the method it is told to."""

    def __init__(self, role: str, log: Log, where: str) -> None:
        super().__init__(role, log)
        self.where = where

    def on_start(self, now_ns: int) -> None:
        super().on_start(now_ns)
        if self.where == "start":
            raise OSError(self.where)

    def do_work(self, now_ns: int) -> int:
        if self.where == "work":
            raise OSError(self.where)
        return 0

    def on_close(self) -> None:
        super().on_close()
        if self.where == "close":
            raise OSError(self.where)


@pytest.mark.parametrize(
    ("where", "closed"), [("start", ["a"]), ("work", ["c", "b", "a"]), ("close", ["c", "b", "a"])]
)
def test_what_was_started_is_closed_once_whatever_happens(where: str, closed: list[str]) -> None:
    log: Log = []
    runner = InlineRunner([Quiet("a", log), Failing("b", log, where), Quiet("c", log)], VirtualClock())
    with pytest.raises(OSError, match=where):
        runner.run()
    runner.close()
    assert [role.split()[0] for role, _ in log if role.endswith("closes")] == closed
