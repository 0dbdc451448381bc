"""The executor as a process of its own, killed with SIGKILL at random moments, with its journal in a file.

All other stages run in this process; the executor stage is a child forked from it. They meet in rings and
tables in shared memory, and the child is told the virtual time through a socket. At some of the times it has
work to do it is not waited for but killed, after a random part of a millisecond; then the next child
opens the journal, takes over its past, asks the venues, and goes on.
"""

from __future__ import annotations

import mmap
import os
import signal
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from engine.execution.recovery import recover
from engine.records import OrderStatus, RequestKind, Venue
from engine.sim.seeded import below, draw
from engine.sim.session.build import Session
from engine.sim.venue import SimVenue
from procs.agent import NEVER_NS
from procs.executor import ExecutorAgent
from procs.inline_engine import InlineEngine
from procs.journal_file import JournalFile, read_entries
from tests.procs.planted_session import engine_for, frames_of
from tests.procs.test_recovery_of_a_run import SLOW, small_session

pytestmark = pytest.mark.compiled_only

KILLS: Final = 12
KILLS_LONG: Final = 1_000
RUNS_MAX: Final = 100
ONE_IN: Final = 6  # times with work to do
DELAY_NS_MAX: Final = 300_000  # work takes about as long

_TIME: Final = struct.Struct("<q")
_STATE: Final = struct.Struct("<qqq")  # work, next_due_ns, is_ready


class ExecutorProcess:
    """Stands where the executor stage stands, and passes each call on to the child."""

    role = ExecutorAgent.role

    def __init__(self, engine: InlineEngine, path: Path, luck: Callable[[int], int]) -> None:
        self.desk = engine.desk  # of the stage that this one replaces; it does nothing any more
        self.kills = self.mid_work = self.lives = 0
        self.is_ready = False
        self._engine = engine
        self._path = path
        self._luck = luck
        self._due_ns = NEVER_NS
        self._child = 0
        self._line: socket.socket | None = None
        self._rings = [engine.wires.plans, *engine.wires.reports.values()]

    def on_start(self, now_ns: int) -> None:
        self._begin(now_ns)

    def do_work(self, now_ns: int) -> int:
        waiting = any(
            ring.published_cells > int(ring.header["readers"]["position"][0]) for ring in self._rings
        )
        if not waiting and self._due_ns > now_ns and self.is_ready:
            return 0
        line = self._open_line()
        line.send(_TIME.pack(now_ns))
        if (waiting or self._due_ns <= now_ns) and self._luck(ONE_IN) == 0:
            self._kill(now_ns)
            return 1
        return self._hear()

    def next_due_ns(self) -> int:
        return self._due_ns

    def on_close(self) -> None:
        self._open_line().close()
        _, status = os.waitpid(self._child, 0)
        assert status == 0, f"the executor ended with status {status}"

    def _open_line(self) -> socket.socket:
        assert self._line is not None
        return self._line

    def _begin(self, now_ns: int) -> None:
        """Fence the dead, fork the next, and wait until it has taken over."""
        self.lives += 1
        for ring in self._rings:
            ring.fence_silent(now_ns, 0)
        ours, theirs = socket.socketpair()
        self._child = os.fork()
        if self._child == 0:
            ours.close()
            self._live(theirs, now_ns)
        theirs.close()
        self._line = ours
        self._hear()

    def _hear(self) -> int:
        state = self._open_line().recv(_STATE.size, socket.MSG_WAITALL)
        assert len(state) == _STATE.size, "the executor died by itself"
        work, self._due_ns, ready = _STATE.unpack(state)
        self.is_ready = bool(ready)
        return int(work)

    def _kill(self, now_ns: int) -> None:
        until_ns = time.perf_counter_ns() + self._luck(DELAY_NS_MAX)
        while time.perf_counter_ns() < until_ns:
            pass
        os.kill(self._child, signal.SIGKILL)
        os.waitpid(self._child, 0)
        self.kills += 1
        line = self._open_line()
        try:
            self.mid_work += line.recv(_STATE.size, socket.MSG_WAITALL) == b""
        except ConnectionResetError:  # it had not even heard the time
            self.mid_work += 0
        line.close()
        assert read_entries(self._path)[1] == 0, "what was written outlives the process, whole"
        self._begin(now_ns)

    def _live(self, line: socket.socket, now_ns: int) -> None:
        """The child: it never returns."""
        code = 1
        try:
            file = JournalFile(self._path)
            past = recover(file.entries)
            agent = self._engine.parts.executor(file.writer(), past, now_ns, lambda: file.is_full)
            agent.on_start(now_ns)
            work = 0
            while True:
                line.send(_STATE.pack(work, agent.next_due_ns(), agent.is_ready))
                told = line.recv(_TIME.size)
                if not told:
                    break
                work = agent.do_work(_TIME.unpack(told)[0])
            assert agent.differences == []
            assert not agent.desk.gate.halted
            assert not agent.desk.gate.state["reserved_micros"].any()
            code = 0
        finally:
            os._exit(code)


def run_with_kills(session: Session, path: Path, seed: int) -> ExecutorProcess:
    """One session; everything that must hold in the end."""
    asked = 0

    def luck(bound: int) -> int:
        nonlocal asked
        asked += 1
        return below(draw(seed, asked), bound)

    accepted: list[int] = []
    on_request = SimVenue.on_request

    def seen(venue: SimVenue, request: np.void, now_ns: int) -> None:
        if int(request["kind"]) in (RequestKind.NEW, RequestKind.CONVERT):
            accepted.append(int(request["order_id"]))
        on_request(venue, request, now_ns)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mmap, "MAP_PRIVATE", mmap.MAP_SHARED)  # so that children share the rings
        engine = engine_for(session, latency_scale=SLOW)
        stage = ExecutorProcess(engine, path, luck)
        engine.stages.executor = stage  # type: ignore[assignment]
        patch.setattr(SimVenue, "on_request", seen)
        engine.run(frames_of(session))
    orders = f"{len(accepted)} orders taken by venues"
    print(f"seed {seed}: {stage.kills} kills, {stage.mid_work} of them in the middle of work, {orders}")
    assert stage.is_ready
    assert_equal(engine, path, accepted)
    return stage


def assert_equal(engine: InlineEngine, path: Path, accepted: list[int]) -> None:
    """The journal alone has the venues' cash and holdings, and every order they took, once."""
    past = recover(read_entries(path)[0])
    past.ledger.verify()
    assert past.open_plans == []
    for venue in Venue:
        sim = engine.venues[venue].sim
        assert past.ledger.cash_micros(venue) == sim.cash_micros == sim.free_cash_micros
        for (of, slot, _), position in past.ledger.positions.items():
            if of == venue:
                assert tuple(position.size_e6) == sim.position_e6(slot)
    assert len(accepted) == len(set(accepted)), "an order was taken twice"
    for order_id in accepted:
        assert past.orders[order_id][1].status not in (OrderStatus.JOURNALED, OrderStatus.DENIED)
    assert engine.stages.optimizer is not None
    assert len(engine.stages.optimizer.allocator.holds) == 0


def kill(session: Session, folder: Path, kills_min: int) -> int:
    """Runs with kills until there were enough, one of them in the middle of work at least; how many were.

    Which moment of its work a kill meets is the machine's affair.
    """
    kills = mid_work = 0
    for seed in range(RUNS_MAX):
        run = run_with_kills(session, folder / f"journal-{seed}", seed)
        kills, mid_work = kills + run.kills, mid_work + run.mid_work
        if kills >= kills_min and mid_work:
            return mid_work
    raise AssertionError(f"{kills} kills in {RUNS_MAX} runs, {mid_work} in the middle of work")


@pytest.fixture(scope="module")
def session() -> Session:
    return small_session()


def test_an_executor_killed_again_and_again_ends_where_its_venues_are(
    session: Session, tmp_path: Path
) -> None:
    assert kill(session, tmp_path, KILLS) > 0, "some died in the middle of work"


@pytest.mark.soak
def test_many_killed_executors_end_where_their_venues_are(session: Session, tmp_path: Path) -> None:
    kill(session, tmp_path, KILLS_LONG)
