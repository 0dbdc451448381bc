"""The executor stage of a whole engine, killed at random moments, comes back and ends where its venues are.

What dies is the stage with all it knew; what survives are the rings, the tables, the venues, and the journal
as far as it was written, or, when the machine loses its power, as far as it was made durable.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable

import numpy as np
import pytest

from engine.execution.outputs import restart_event
from engine.execution.recovery import recover
from engine.ledger.journal import EntryKind, Journal, JournalRead, read_journal
from engine.reasons import Reason
from engine.records import ACCOUNT_ROW, POSITION_ROW, RequestKind, Venue
from engine.sim.seeded import below, draw
from engine.sim.session.build import Session
from engine.sim.session.fleeting import partition
from engine.sim.session.planted import TIERS, cross_venue, neg_risk_convert
from engine.sim.venue import SimVenue
from procs import executor
from procs.agent import NEVER_NS
from procs.desk import Desk
from procs.executor import ExecutorAgent
from procs.inline_engine import InlineEngine
from procs.wires import publish_each
from shm.ring import Records, RefusingRing
from tests.procs.planted_session import CLOSE_NS, engine_for, frames_of, session_of

pytestmark = pytest.mark.compiled_only

RUNS = 12
DEATHS = 6  # in each
SLOW = 8  # times the latency: some orders come too late, and what the others bought is sold again


class Killed(BaseException):
    """The executor stage died here."""


class Disk:
    """Bytes of a journal; ``instant`` is called around each write and each flush to the disk."""

    def __init__(self, content: bytes, instant: Callable[[], None]) -> None:
        self.written = io.BytesIO()
        self.written.write(content)
        self.durable = len(content)
        self._instant = instant

    def write(self, data: bytes, /) -> int:
        self._instant()
        n = self.written.write(data)
        self._instant()
        return n

    def flush(self) -> None:
        """Nothing is buffered."""

    def sync(self) -> None:
        self._instant()
        self.durable = len(self.written.getvalue())
        self._instant()


class MortalStage:
    """Stands where the executor stage stands; ``deaths``: numbers of the instants at which it dies."""

    role = ExecutorAgent.role

    def __init__(self, engine: InlineEngine, deaths: list[int], luck: Callable[[int], int]) -> None:
        self.engine = engine
        self.deaths = sorted(deaths, reverse=True)
        self.luck = luck
        self.instants = self.died = self.lost_bytes = self.in_flight = 0
        self.halt_at = NEVER_NS  # instant from which on it is halted
        self.is_halted = False
        self.disk = Disk(engine.stages.journal_content(), self.instant)
        self.agent = engine.executor
        self.agent.desk.journal._sink = self.disk
        self.agent.desk.journal._sync = self.disk.sync

    @property
    def desk(self) -> Desk:
        return self.agent.desk

    def instant(self) -> None:
        self.instants += 1
        if self.deaths and self.deaths[-1] <= self.instants:
            self.deaths.pop()
            raise Killed

    def on_start(self, now_ns: int) -> None:
        self.agent.on_start(now_ns)

    def on_close(self) -> None:
        self.agent.on_close()

    def next_due_ns(self) -> int:
        return self.agent.next_due_ns()

    def do_work(self, now_ns: int) -> int:
        try:
            if self.instants >= self.halt_at and not self.is_halted:
                self.desk.gate.halt(Reason.HALTED)
                self.is_halted = True
            return self.agent.do_work(now_ns)
        except Killed:
            self._come_back(now_ns)
            return 1

    def _come_back(self, now_ns: int) -> None:
        wires = self.engine.wires
        while True:
            self.died += 1
            self.in_flight += self.agent.executor.open_orders > 0
            for ring in (wires.plans, *wires.reports.values()):
                ring.fence_silent(now_ns, 0)
            content = self.disk.written.getvalue()
            if self.luck(2):  # the power went, and with it some of what was not durable
                kept = self.disk.durable + self.luck(len(content) - self.disk.durable + 1)
                self.lost_bytes += len(content) - kept
                content = content[:kept]
            try:
                self._begin_again(content, now_ns)
            except Killed:
                continue
            return

    def _begin_again(self, content: bytes, now_ns: int) -> None:
        found = JournalRead()
        past = recover(read_journal(content, found))
        self.disk = Disk(content[: len(content) - found.torn_bytes], self.instant)
        journal = Journal(self.disk, self.disk.sync, next_sequence=past.entries + 1)
        self.agent = self.engine.parts.executor(journal, past, now_ns)


class Run:
    """A cross-venue pair, a conversion and an opportunity that does not last, with deaths on the way."""

    def __init__(
        self,
        session: Session,
        seed: int,
        deaths: int,
        halt_at: int = NEVER_NS,
        stage: type[MortalStage] = MortalStage,
    ) -> None:
        self.accepted: list[np.void] = []
        self.hasty: list[int] = []  # orders whose intent was not durable when they left
        self.engine = engine_for(session, latency_scale=SLOW)
        asked = 0

        def luck(bound: int) -> int:
            nonlocal asked
            asked += 1
            return below(draw(seed, asked), bound)

        moments: list[int] = []
        at = 0
        for _ in range(deaths):
            at += 1 + luck(90)
            moments.append(at)
        self.stage = stage(self.engine, moments, luck)
        self.stage.halt_at = halt_at
        self.after_halt: list[int] = []
        self.engine.stages.executor = self.stage  # type: ignore[assignment]
        on_request = SimVenue.on_request

        def seen(venue: SimVenue, request: np.void, now_ns: int) -> None:
            if int(request["kind"]) not in (RequestKind.CANCEL, RequestKind.QUERY):
                self.accepted.append(np.array([request])[0])
            on_request(venue, request, now_ns)

        def publish(ring: RefusingRing, records: Records, what: str) -> int:
            if what != "requests":
                return publish_each(ring, records, what)
            self.stage.instant()
            opens = int(records["kind"][0]) in (RequestKind.NEW, RequestKind.CONVERT)
            if opens and not self._is_durable(records[0]):
                self.hasty.append(int(records["order_id"][0]))
            if opens and self.stage.is_halted:
                self.after_halt.append(int(records["order_id"][0]))
            published = publish_each(ring, records, what)
            self.stage.instant()
            return published

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SimVenue, "on_request", seen)
            patch.setattr(executor, "publish_each", publish)
            self.engine.run(frames_of(session))

    def _is_durable(self, request: np.void) -> bool:
        content = self.stage.disk.written.getvalue()[: self.stage.disk.durable]
        return any(
            entry.kind is EntryKind.INTENT and int(entry.record["order_id"]) == int(request["order_id"])
            for entry in read_journal(content)
        )

    def assert_survived(self) -> None:
        """Nothing lost, nothing twice, nobody left waiting."""
        engine, desk = self.engine, self.stage.desk
        desk.ledger.verify()
        assert self.stage.agent.is_ready
        assert self.stage.agent.differences == []
        assert self.stage.agent.executor.open_plans == self.stage.agent.executor.open_orders == 0
        for venue, agent in engine.venues.items():
            assert desk.ledger.cash_micros(venue) == agent.sim.cash_micros == agent.sim.free_cash_micros
        for slot, row in enumerate(engine.catalog.rows[: len(engine.catalog)]):
            venue = Venue(int(row["venue"]))
            held = desk.ledger.position(venue, slot, int(row["generation"])).size_e6
            assert tuple(held) == engine.venues[venue].sim.position_e6(slot), slot
        sent = [int(request["order_id"]) for request in self.accepted]
        assert len(sent) == len(set(sent)), "an order left twice"
        assert self.hasty == [], "an order left before its intent was durable"
        assert not desk.gate.state["reserved_micros"].any()
        assert not desk.gate.markets["reserved_micros"].any()
        assert engine.stages.optimizer is not None
        holds = engine.stages.optimizer.allocator.holds
        assert len(holds) == 0, "the optimizer still holds cash for a plan that is over"
        for venue in Venue:
            assert holds.free_cash_micros(venue) == desk.ledger.cash_micros(venue)
        for (_, slot, _), position in desk.ledger.positions.items():
            assert [holds.held_e6(slot, outcome) for outcome in (0, 1)] == position.size_e6
        past = recover(read_journal(self.stage.disk.written.getvalue()))
        assert past.open_plans == []
        assert past.ledger.accounts == desk.ledger.accounts


def small_session() -> Session:
    return session_of(
        cross_venue(TIERS[0], CLOSE_NS, yes_at=Venue.KALSHI),
        neg_risk_convert(TIERS[0], CLOSE_NS),
        partition(TIERS[2], CLOSE_NS),
    )


@pytest.fixture(scope="module")
def session() -> Session:
    return small_session()


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=pytest.mark.soak if seed % 2 else ()) for seed in range(RUNS)]
)
def test_a_run_with_deaths(session: Session, seed: int) -> None:
    run = Run(session, seed, DEATHS)
    print(f"seed {seed}: died {run.stage.died}, {run.stage.in_flight} with orders open")
    assert run.stage.died > 0
    run.assert_survived()


@pytest.mark.parametrize("seed", range(4))
def test_a_halt_survives_every_death_and_nothing_new_leaves_after_it(session: Session, seed: int) -> None:
    run = Run(session, seed, DEATHS, halt_at=40 + 30 * seed)
    assert run.stage.is_halted
    assert run.stage.died > 0
    assert run.after_halt == []
    assert run.stage.desk.gate.halted
    run.assert_survived()


def test_a_disk_that_fails_ends_the_stage_before_anything_leaves(session: Session) -> None:
    engine = engine_for(session)

    def fail() -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    engine.desk.journal._sync = fail
    with pytest.raises(OSError, match="Input/output error"):
        engine.run(frames_of(session))
    kinds = {entry.kind for entry in read_journal(engine.stages.journal_content())}
    assert EntryKind.SENT in kinds, "it came as far as sending"
    assert [agent.sim.requests for agent in engine.venues.values()] == [0, 0]


@pytest.mark.soak
def test_many_runs_with_deaths(session: Session) -> None:
    for seed in range(RUNS, 200):
        print(f"seed {seed}")
        Run(session, seed, DEATHS).assert_survived()


def test_who_hears_that_the_executor_is_back_reads_all_positions_and_accounts(session: Session) -> None:
    engine = engine_for(session)
    row, account = np.zeros(1, POSITION_ROW), np.zeros(1, ACCOUNT_ROW)
    row["generation"], row["yes_e6"], row["no_e6"], row["cost_yes_micros"] = 1, 30, 20, 7
    account["cash_micros"] = 99
    for slot in (0, 3):
        row["slot"] = slot
        engine.wires.positions.write(slot, row)
    engine.wires.accounts.write(int(Venue.KALSHI), account)
    publish_each(engine.wires.events, np.array([restart_event(5)]), "events")
    strategy, optimizer = engine.stages.strategy, engine.stages.optimizer
    assert strategy is not None
    assert optimizer is not None
    strategy.do_work(6)
    optimizer.do_work(6)
    held = strategy.scanner.desk.held
    holds = optimizer.allocator.holds
    assert [list(held[slot]) for slot in (0, 1, 3)] == [[30, 20], [0, 0], [30, 20]]
    assert [holds.held_e6(slot, 0) for slot in (0, 1, 3)] == [30, 0, 30]
    assert holds.free_cash_micros(Venue.KALSHI) == 99
