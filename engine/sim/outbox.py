"""What the venue says, on its way to us: report latency, and everything that can happen to a message.

Answers to one request keep their order unless a fault says otherwise. Whatever was said of an order is
kept, so that a later question about it (a cancel) can be answered with all of it again.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Final

import numpy as np

from engine.reasons import Reason
from engine.records import VENUE_REPORT, ReportKind
from engine.sim.faults import Fault, FaultPlan
from engine.sim.latency import LatencyModel
from engine.sim.orders import VenueOrder
from engine.sim.ports import Rows
from engine.units import INT64_MAX, NS_PER_MS

DUE_MAX: Final = 4096  # reports handed over by one call; the rest stay due
OVERTAKEN_NS: Final = 20 * NS_PER_MS


class Outbox:
    """Reports in flight, by due time. ``lost``, ``doubled`` and ``late`` count what the faults did."""

    def __init__(self, latency: LatencyModel, faults: FaultPlan) -> None:
        self.lost = 0
        self.doubled = 0
        self.late = 0
        self._latency = latency
        self._faults = faults
        self._heap: list[tuple[int, int, np.void]] = []
        self._posted = 0
        self._last_due: dict[int, int] = {}  # order -> when its latest report is due
        self._out: Rows = np.zeros(DUE_MAX, VENUE_REPORT)

    def post(self, report: np.void, number: int, at_ns: int) -> None:
        """Send one report of request ``number``; it may come late, twice or out of turn."""
        self._posted += 1
        posted = self._posted
        if not int(report["venue_ns"]):
            report["venue_ns"] = at_ns
        due = at_ns + self._latency.report_ns(int(report["slot"]), posted)
        fault = self._faults.of_report(number, posted)
        if fault & (Fault.DELAY | Fault.REORDER):
            self.late += 1
            due += self._faults.delay_ns(posted) if Fault.DELAY in fault else OVERTAKEN_NS
        else:
            due = max(due, self._last_due.get(number, 0))
            self._last_due[number] = due
        self._push(report, due)
        if Fault.DUPLICATE in fault:
            self.doubled += 1
            self._push(report, due + OVERTAKEN_NS)

    def post_unknown(self, report: np.void, number: int, at_ns: int) -> None:
        """Tell us that nobody answered: due as soon as the silence is long enough."""
        self.lost += 1
        report["kind"] = ReportKind.UNKNOWN
        report["reason"] = Reason.VENUE_UNKNOWN
        report["venue_ns"] = 0  # the venue said nothing
        self._push(report, at_ns + self._faults.rates.silence_ns)
        self._last_due.setdefault(number, 0)

    def say(self, order: VenueOrder, kind: ReportKind, at_ns: int, fields: Mapping[str, int]) -> None:
        """Report about an order, and remember it; nothing leaves while the order is deaf."""
        report = blank_report(order.request, kind, {"venue_order_id": order.venue_order_id, **fields})
        order.said.append(report)
        if not order.deaf:
            self.post(report, order.number, at_ns)

    def repeat(self, order: VenueOrder, at_ns: int) -> None:
        """Say again everything that was said of an order."""
        for report in order.said:
            self.post(report, order.number, at_ns)

    def forget(self, number: int) -> None:
        """The request is over: nothing more has to keep its order."""
        self._last_due.pop(number, None)

    def next_due_ns(self) -> int:
        """When the next report arrives; INT64_MAX when none is in flight."""
        return self._heap[0][0] if self._heap else INT64_MAX

    def due(self, now_ns: int) -> Rows:
        """Reports that have arrived by now, ``recv_ns`` set, at most DUE_MAX. Valid until the next call."""
        n = 0
        while self._heap and self._heap[0][0] <= now_ns and n < DUE_MAX:
            due_ns, _, report = heapq.heappop(self._heap)
            self._out[n] = report
            self._out[n]["recv_ns"] = due_ns
            n += 1
        return self._out[:n]

    def _push(self, report: np.void, due_ns: int) -> None:
        copy: np.void = np.array([report], VENUE_REPORT)[0]
        self._posted += 1
        heapq.heappush(self._heap, (due_ns, self._posted, copy))


def blank_report(request: np.void, kind: ReportKind, fields: Mapping[str, int]) -> np.void:
    """A VENUE_REPORT about an ORDER_REQUEST, other fields from ``fields``."""
    report: np.void = np.zeros(1, VENUE_REPORT)[0]
    for name in ("order_id", "plan_id", "slot", "generation", "venue", "direction", "outcome", "leg"):
        report[name] = request[name]
    report["kind"] = kind
    for name, value in fields.items():
        report[name] = value
    return report
