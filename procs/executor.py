"""Executor stage: plans and venue reports in, order requests and order events out.

Reports come before plans: what a venue has said may free what a new plan needs. Between them equity is
marked, so that the loss limits see the books as they are and not as they were at the last order. What our
orders took is subtracted from the books that marks and unwinds are read from.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.execution.executor import Executor
from engine.execution.plan import PlanResult
from engine.records import PLAN_HEAD, PLAN_LEG, VENUE_REPORT, DecisionStage, Venue
from procs.agent import NEVER_NS
from procs.catalog_segment import CatalogView
from procs.desk import Desk
from procs.wires import Wires, publish_each, take
from shm.ring import Reader, Records


class ExecutorAgent:
    """Runs ``executor`` over the wires. ``results`` collects how each plan ended.

    ``markets`` is the view whose rows the desk's gate reads.
    """

    role = "executor"

    def __init__(self, executor: Executor, desk: Desk, markets: CatalogView, wires: Wires) -> None:
        self.executor = executor
        self._markets = markets
        self.desk = desk
        self.results: list[PlanResult] = []
        self.orders = 0
        self.order_statuses: dict[int, int] = {}  # OrderStatus by order id, as last told
        self._plans = wires.plans.reader(self.role, 0)
        self._heads = self._plans.records(PLAN_HEAD)
        self._legs = self._plans.records(PLAN_LEG)
        self._reports: Mapping[Venue, tuple[Reader, Records]] = {
            venue: _joined(ring.reader(self.role, 0)) for venue, ring in wires.reports.items()
        }
        self._wires = wires

    def on_start(self, now_ns: int) -> None:
        """Nothing to open."""

    def do_work(self, now_ns: int) -> int:
        """Handle reports, then plans, then what is due; the gate knows the markets of the moment."""
        self._markets.refresh()
        work = 0
        for reader, reports in self._reports.values():
            n_reports = take(reader, "reports")
            for index in range(n_reports):
                self.executor.on_report(reports[index], now_ns)
                self._flush()
            work += n_reports
        while (n_cells := take(self._plans, "plans", 1)) > 0:
            self.executor.on_plan(self._heads[0], self._legs[1:n_cells], now_ns)
            self._flush()
            work += 1
        if self.executor.next_due_ns() <= now_ns:
            self.executor.on_time(now_ns)
            self._flush()
            work += 1
        if work:
            self.desk.mark(now_ns)
        return work

    def on_close(self) -> None:
        """Nothing to let go of: the journal's file belongs to whoever opened it."""

    def next_due_ns(self) -> int:
        """When the executor wants the clock."""
        return min(self.executor.next_due_ns(), NEVER_NS)

    def _flush(self) -> None:
        out = self.executor.out
        self.results.extend(self.executor.finished)
        for index in range(out.n_requests):
            request = out.requests[index : index + 1]
            ring = self._wires.requests[Venue(int(request["venue"][0]))]
            self.orders += publish_each(ring, request, "requests")
        for event in out.events[: out.n_events]:
            self.desk.on_event(event)
            if int(event["order_id"]):
                self.order_statuses[int(event["order_id"])] = int(event["status"])
        publish_each(self._wires.events, out.events[: out.n_events], "events")
        publish_each(
            self._wires.decisions[DecisionStage.EXECUTION], out.decisions[: out.n_decisions], "decisions"
        )


def _joined(reader: Reader) -> tuple[Reader, Records]:
    return reader, reader.records(VENUE_REPORT)
