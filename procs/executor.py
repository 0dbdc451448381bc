"""Executor stage: plans and venue reports in, order requests and order events out.

Reports come before plans: what a venue has said may free what a new plan needs. Between them equity is
marked, so that the loss limits see the books as they are and not as they were at the last order. What our
orders took is subtracted from the books that marks and unwinds are read from.

Requests leave when the journal's entries about them are durable; everything else that was journaled becomes
so before the pass ends.

With a ``Restart`` no plan is taken before it is over. Then the others are told: that the executor is back and
the tables are as they should be, how the plans ended of which they may not have heard, and, by working them
off or refusing them, of plans that were taken from the ring by an executor that died of them.

When a report was garbled, all is halted and this executor ends, what came with it journaled: the next one
compares every account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np

from engine.execution.executor import Executor
from engine.execution.outputs import restart_event
from engine.execution.plan import PlanResult
from engine.execution.restart import Restart
from engine.ledger.journal import JournalBroken
from engine.reasons import Reason
from engine.records import PLAN_HEAD, PLAN_LEG, VENUE_REPORT, DecisionStage, RequestKind, Venue
from procs.agent import NEVER_NS
from procs.catalog_segment import CatalogView
from procs.desk import Desk
from procs.garbled import ReportDropped
from procs.ladder import ExecutorRung
from procs.wires import Outlet, ReaderFenced, Wires, publish_each
from shm.layout import ReaderState, Status
from shm.ring import Reader, Records, RefusingRing

_NO_ORDERS = frozenset((int(RequestKind.CANCEL), int(RequestKind.QUERY)))


class ExecutorAgent:
    """Runs ``executor`` over the wires. ``results`` collects how each plan ended.

    ``markets`` is the view whose rows the desk's gate reads. ``restart`` drives ``executor`` until it may
    trade; ``retold``: ORDER_EVENT records of plans that ended, to be told again then. ``differences``: what
    venues said otherwise at the end of the restart, for which the gate is halted. ``rung`` counts how long
    orders took. ``orders`` were sent to venues, without cancels and questions.
    """

    role = "executor"

    def __init__(
        self,
        executor: Executor,
        desk: Desk,
        markets: CatalogView,
        wires: Wires,
        restart: Restart | None = None,
        retold: Sequence[np.void] = (),
        rung: ExecutorRung | None = None,
    ) -> None:
        self.executor = executor
        self.differences: list[str] = []
        self._restart = restart
        self._retold = retold
        self._missed: set[int] = set()  # plans seen in the ring before they come to our reader
        self._markets = markets
        self.desk = desk
        self.results: list[PlanResult] = []
        self.orders = 0
        self._rung = rung
        self._plans = _join(wires.plans)
        self._heads = self._plans.records(PLAN_HEAD)
        self._legs = self._plans.records(PLAN_LEG)
        self._reports: Mapping[str, tuple[Reader, Records]] = {
            f"reports.{venue.name.lower()}": _with_records(_join(ring))
            for venue, ring in wires.reports.items()
        }
        self._wires = wires
        out = executor.out
        self._venues = out.requests["venue"]
        self._kinds = out.requests["kind"]
        self._requests, self._events = Outlet(out.requests, "requests"), Outlet(out.events, "events")
        self._decisions = Outlet(out.decisions, "decisions")

    def on_start(self, now_ns: int) -> None:
        """Nothing to open."""

    def do_work(self, now_ns: int) -> int:
        """Handle reports, then plans, then what is due; the gate knows the markets of the moment."""
        self._markets.refresh()
        work = self._take_reports(now_ns)
        if self._wires.alarm.dropped:
            self._end_without_a_report()
        if self._restart is None:
            work += self._take_plans(now_ns)
        if self.executor.next_due_ns() <= now_ns:
            self.executor.on_time(now_ns)
            self._flush()
            work += 1
        if self._restart is not None:
            work += self._advance(self._restart, now_ns)
        if work:
            self.desk.mark(now_ns)
        self.desk.commit()
        return work

    def on_close(self) -> None:
        """Nothing to let go of: the journal's file belongs to whoever opened it."""

    def next_due_ns(self) -> int:
        """When the executor, or its restart, wants the clock."""
        due_ns = NEVER_NS if self._restart is None else self._restart.next_due_ns()
        return min(self.executor.next_due_ns(), due_ns)

    @property
    def readers(self) -> list[Reader]:
        """Of plans and of what the venues report."""
        return [*(reader for reader, _ in self._reports.values()), self._plans]

    @property
    def is_ready(self) -> bool:
        """Whether plans are taken."""
        return self._restart is None

    @property
    def is_done(self) -> bool:
        """Whether no order or plan is on its way."""
        return self.is_ready and self.executor.open_plans == 0

    def stop(self, now_ns: int) -> None:
        """Take no plan any more, and bring those that are open to their end."""
        self.executor.stop(now_ns)

    def _take_reports(self, now_ns: int) -> int:
        work = 0
        for name, (reader, reports) in self._reports.items():
            n_reports = self._wires.take(reader, name)
            for index in range(n_reports):
                if self._rung is not None:
                    self._rung.heard(reports[index])
                if self._restart is None or not self._restart.on_report(reports[index]):
                    self.executor.on_report(reports[index], now_ns)
                    self._flush()
            work += n_reports
        return work

    def _end_without_a_report(self) -> None:
        """ReportDropped when what was dropped is a report; nothing that came with it is lost."""
        for name in self._reports:
            line = self._wires.alarm.dropped.get(name)
            if line is not None:
                self.desk.commit()
                raise ReportDropped(f"{line}: this executor ends, for accounts to be compared")

    def _take_plans(self, now_ns: int) -> int:
        work = 0
        while (n_cells := self._wires.take(self._plans, "plans", 1)) > 0:
            head = self._heads[0]
            if self._missed and int(head["plan_id"]) in self._missed:
                self._missed.remove(int(head["plan_id"]))
            else:
                self._take_plan(head, self._legs[1:n_cells], now_ns)
                self._flush(head)
                self.executor.end_plan()
            work += 1
        return work

    def _take_plan(self, head: np.void, legs: Records, now_ns: int) -> None:
        """Hand a plan to the executor. One that ends it is in the journal, as far as it came.

        It is at its end when what it says has been sent: nobody waits for what it has to remember.
        """
        try:
            self.executor.begin_plan(head, legs, now_ns)
        except BaseException:
            with suppress(JournalBroken):  # what broke it is raised
                self.desk.hand_over()
            raise

    def _advance(self, restart: Restart, now_ns: int) -> int:
        restart.advance(now_ns)
        for request in restart.requests:
            ring = self._wires.requests[Venue(int(request["venue"]))]
            publish_each(ring, np.array([request]), "requests")
        if restart.is_over:
            self._end_restart(restart, now_ns)
        return len(restart.requests) + restart.is_over

    def _end_restart(self, restart: Restart, now_ns: int) -> None:
        self._restart = None
        self.differences = restart.differences
        if self.differences:
            self.desk.halt(Reason.ACCOUNT_DIFFERS, "; ".join(self.differences))
        events = np.array([restart_event(now_ns), *self._retold])
        publish_each(self._wires.events, events, "events")
        self._take_missed_plans(now_ns)

    def _take_missed_plans(self, now_ns: int) -> None:
        """Take the plans in the ring that no executor knows; those still to come must not count twice.

        What is garbled there is passed over without a word: an executor has said so before, or our own reader
        will.
        """
        seen = self._wires.plans.observer()
        heads, legs = seen.records(PLAN_HEAD), seen.records(PLAN_LEG)
        while (n_cells := seen.poll(1)) > 0 or n_cells == Status.GARBLED:
            if n_cells == Status.GARBLED:
                continue
            plan_id = int(heads[0]["plan_id"])
            if not self.executor.knows_plan(plan_id):
                self._missed.add(plan_id)
                self._take_plan(heads[0], legs[1:n_cells], now_ns)
                self._flush()
                self.executor.end_plan()

    def _flush(self, plan: np.void | None = None) -> None:
        """Send what the executor has to say; ``plan`` is the PLAN_HEAD that it is the first word on."""
        out = self.executor.out
        if out.n_requests:
            self._make_durable()
            self._send(out.n_requests)
            if self._rung is not None:
                self._rung.sent(out.requests[: out.n_requests], plan)
            self._count_orders(out.n_requests)
        else:
            self.desk.hand_over()
        self.results.extend(self.executor.finished)
        for event in out.events[: out.n_events]:
            self.desk.on_event(event)
        if out.n_events:
            self._events.publish(self._wires.events, 0, out.n_events)
        if out.n_decisions:
            ring = self._wires.decisions[DecisionStage.EXECUTION]
            self._decisions.publish(ring, 0, out.n_decisions)

    def _send(self, n_requests: int) -> None:
        """Publish the requests in their order, those to one venue that follow each other together."""
        venues = self._venues[:n_requests].tolist()
        start = 0
        for end in range(1, n_requests + 1):
            if end == n_requests or venues[end] != venues[start]:
                self._requests.publish(self._wires.requests[venues[start]], start, end)
                start = end

    def _count_orders(self, n_requests: int) -> None:
        self.orders += sum(kind not in _NO_ORDERS for kind in self._kinds[:n_requests].tolist())

    def _make_durable(self) -> None:
        if self._rung is None:
            self.desk.commit()
            return
        began_ns = self._rung.flushing()
        self.desk.commit()
        self._rung.flushed(began_ns)


def _join(ring: RefusingRing) -> Reader:
    """Join as the executor. One that comes after a dead one's fence starts behind the newest message."""
    reader = ring.resume(ExecutorAgent.role, 0)
    if reader.state == ReaderState.FENCED and not reader.rejoin(0):
        raise ReaderFenced("the executor could not come back to a ring it had been fenced from")
    return reader


def _with_records(reader: Reader) -> tuple[Reader, Records]:
    return reader, reader.records(VENUE_REPORT)
