"""Hosts that know each other through shared memory only keep the order of events of one process."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from engine.errors import ConfigError
from engine.records import Venue
from procs.agent import NEVER_NS, AgentStalled
from procs.host import Host
from procs.pace import PATIENCE_NS, Conductor, EngineClock, Seats
from procs.recording_frames import Frame
from shm.table import begin_row

START_NS = 1_000


class Echo:
    """Takes messages, hands each on to another after a delay, and notes when it did so."""

    def __init__(
        self, role: str, delay_ns: int, out: deque[int] | None, log: list[tuple[int, str, int]]
    ) -> None:
        self.role = role
        self.inbox: deque[int] = deque()
        self._delay_ns = delay_ns
        self._out = out
        self._log = log
        self._waiting: deque[tuple[int, int]] = deque()  # due, message

    def on_start(self, now_ns: int) -> None:
        """Nothing to open."""

    def on_close(self) -> None:
        """Nothing to let go of."""

    def do_work(self, now_ns: int) -> int:
        work = len(self.inbox)
        while self.inbox:
            self._waiting.append((now_ns + self._delay_ns, self.inbox.popleft()))
        while self._waiting and self._waiting[0][0] <= now_ns:
            _, message = self._waiting.popleft()
            self._log.append((now_ns, self.role, message))
            if self._out is not None:
                self._out.append(message)
            work += 1
        return work

    def next_due_ns(self) -> int:
        return self._waiting[0][0] if self._waiting else NEVER_NS


class Idle(Echo):
    """Always due, and never does anything."""

    def do_work(self, now_ns: int) -> int:
        return 0

    def next_due_ns(self) -> int:
        return START_NS


def nobody(seat: int) -> None:
    """Wake nobody: the test turns."""


def frames(times: list[int]) -> Iterator[Frame]:
    for number, at_ns in enumerate(times):
        yield Frame(at_ns, Venue.KALSHI, 0, b"%d" % number)


def run(times: list[int], rng: Random | None, directory: Path | None = None) -> list[tuple[int, str, int]]:
    """Two hosts, each turned as often as ``rng`` likes between two steps of the conductor."""
    log: list[tuple[int, str, int]] = []
    last = Echo("last", 7, None, log)
    first = Echo("first", 20, last.inbox, log)
    names = ("a", "b")
    clock, seats = EngineClock.create(directory), Seats.create(names, directory)
    taken = 0

    def deliver(frame: Frame) -> None:
        nonlocal taken
        first.inbox.append(int(frame.raw))
        taken += 1

    def open_clock() -> EngineClock:
        return clock if directory is None else EngineClock.attach(directory)

    hosts = [
        Host([first], open_clock(), seats.seat("a"), lambda: taken),
        Host([last], open_clock(), seats.seat("b")),
    ]
    woken: list[int] = []
    conductor = Conductor(clock, seats, frames(times), deliver, START_NS, woken.append)
    while not conductor.ended:
        conductor.step()
        for host in hosts if rng is None else rng.choices(hosts, k=rng.randrange(4)):
            host.turn()
    assert woken[:4] == [0, 1, 0, 1]
    assert conductor.sent == len(times)
    return log


def drive(conductor: Conductor, host: Host) -> None:
    while not conductor.ended:
        conductor.step()
        host.turn()


def test_every_interleaving_gives_the_order_of_one_process() -> None:
    times = [1_000, 1_000, 1_010, 1_027, 1_027, 900, 2_000]  # one steps back
    expected = run(times, None)
    assert expected[:3] == [(1_020, "first", 0), (1_020, "first", 1), (1_027, "last", 0)]
    assert len(expected) == 2 * len(times)
    for seed in range(50):
        assert run(times, Random(seed)) == expected, f"seed {seed}"


def test_who_can_have_nothing_to_do_gets_no_turn() -> None:
    log: list[tuple[int, str, int]] = []
    first, last = Echo("first", 0, None, log), Echo("last", 5, None, log)
    clock, seats = EngineClock.create(), Seats.create(("a", "b"))
    hosts = [Host([first], clock, seats.seat("a")), Host([last], clock, seats.seat("b"))]
    woken: list[int] = []
    conductor = Conductor(
        clock, seats, frames([1_001]), lambda frame: last.inbox.append(7), START_NS, woken.append
    )
    while not conductor.ended:
        conductor.step()
        for host in hosts:
            host.turn()
    assert log == [(1_006, "last", 7)]
    # at the start both; both for the frame, and again because the second had it; the second when it is due,
    # after which both look whether that concerns them
    assert woken == [0, 1, 0, 1, 0, 1, 1, 0, 1]


def test_clock_and_seats_work_through_files(tmp_path: Path) -> None:
    assert run([1_000, 1_500], Random(1), tmp_path) == run([1_000, 1_500], None)


def test_a_replay_that_keeps_a_speed_waits_until_it_is_time() -> None:
    log: list[tuple[int, str, int]] = []
    agent = Echo("a", 5, None, log)
    clock, seats = EngineClock.create(), Seats.create(("a",))
    host = Host([agent], clock, seats.seat("a"))
    real_ns, asked = START_NS, list[float]()
    conductor = Conductor(
        clock,
        seats,
        frames([1_100]),
        lambda frame: agent.inbox.append(int(frame.raw)),
        START_NS,
        nobody,
        monotonic_ns=lambda: 0 if len(asked) < 2 else 10 * PATIENCE_NS,  # waiting on purpose is no stall
        wait_s=lambda at_ns: float(at_ns - real_ns),
        wake_in=asked.append,
    )
    for _ in range(8):
        conductor.step()
        host.turn()
    assert asked[0] == 100.0
    assert (clock.now_ns(), conductor.sent, set(asked)) == (START_NS, 0, {100.0})
    real_ns = 1_100
    for _ in range(8):
        conductor.step()
        host.turn()
    assert (clock.now_ns(), conductor.sent, log, asked[-1]) == (1_100, 1, [], 5.0)  # timers are paced too
    real_ns = 1_105
    drive(conductor, host)
    assert log == [(1_105, "a", 0)]


def test_a_frame_on_its_way_is_waited_for() -> None:
    clock, seats = EngineClock.create(), Seats.create(("a",))
    on_the_way: list[Frame] = []
    taken = 0
    log: list[tuple[int, str, int]] = []
    agent = Echo("a", 0, None, log)
    host = Host([agent], clock, seats.seat("a"), lambda: taken)
    conductor = Conductor(
        clock,
        seats,
        frames([1_000, 1_001]),
        on_the_way.append,
        START_NS,
        nobody,
        lambda: seats.frames() == len(on_the_way),
    )
    for _ in range(20):
        conductor.step()
        host.turn()
    assert [frame.raw for frame in on_the_way] == [b"0"]
    agent.inbox.append(0)
    taken = 1
    for _ in range(20):
        conductor.step()
        host.turn()
    assert log == [(1_000, "a", 0)]
    assert len(on_the_way) == 2


def test_a_process_that_is_due_and_does_nothing_is_named_by_its_time() -> None:
    clock, seats = EngineClock.create(), Seats.create(("a",))
    host = Host([Idle("a", 0, None, [])], clock, seats.seat("a"))
    conductor = Conductor(clock, seats, frames([]), lambda frame: None, START_NS, nobody)
    with pytest.raises(AgentStalled, match=str(START_NS)):
        drive(conductor, host)


def test_a_clock_that_moves_follows_the_monotonic_one_and_never_steps_back() -> None:
    monotonic_ns = 5_000
    clock = EngineClock.create()
    reader = EngineClock(clock._table, lambda: monotonic_ns)
    writer = EngineClock(clock._table, lambda: 5_000)
    writer.move(100, rate_ppm=10_000_000)
    assert reader.now_ns() == 100
    monotonic_ns = 5_007
    assert reader.now_ns() == 170
    writer.move(120)
    assert reader.now_ns() == 170
    writer.go_live()
    assert reader.now_ns() > 1_600_000_000 * 10**9


def test_a_live_clock_goes_on_as_the_monotonic_one_and_its_row_is_not_looked_at() -> None:
    monotonic_ns = 5_000
    clock = EngineClock.create()
    clock.go_live()
    reader = EngineClock(clock._table, lambda: monotonic_ns)
    began_ns = reader.now_ns()
    reader.run_live()
    live = reader.live_time()
    begin_row(clock._table.address, 0)  # as if somebody were at it for ever
    monotonic_ns = 5_008
    assert (reader.now_ns(), live.now()) == (began_ns + 8, began_ns + 8)
    assert live.ahead_ns is None, "kernels know one clock only, and that is another"
    assert (reader.turn, reader.ended) == (0, False)


def test_a_kernel_is_told_how_far_engine_time_is_ahead_of_the_clock_it_asks() -> None:
    clock = EngineClock.create()
    clock.go_live()
    clock.run_live()
    live = clock.live_time()
    assert live.ahead_ns is not None
    before_ns = time.monotonic_ns()
    assert before_ns <= live.now() - live.ahead_ns <= time.monotonic_ns()


@pytest.mark.parametrize("is_torn", [True, False])
def test_a_clock_that_nobody_started_is_no_live_clock(is_torn: bool) -> None:
    clock = EngineClock.create()
    if is_torn:
        clock.go_live()
        begin_row(clock._table.address, 0)
    with pytest.raises(ConfigError, match="never started"):
        EngineClock(clock._table).run_live()


def test_idle_turns_that_nobody_handed_out_are_not_told_and_all_others_are() -> None:
    clock, seats = EngineClock.create(), Seats.create(("a",))
    agent = Echo("a", 0, None, [])
    told: list[int] = []
    host = Host([agent], clock, seats.seat("a"), lambda: taken, lambda: told.append(host.work))
    taken = 0
    clock.go_live()
    for _ in range(3):
        assert not host.turn()
    assert told == []
    agent.inbox.append(1)
    assert host.turn()
    assert told == [2]
    taken = 2
    assert not host.turn()
    assert (told, seats.frames()) == ([2, 2], 2)
