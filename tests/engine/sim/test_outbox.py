from __future__ import annotations

import numpy as np
import pytest

from engine.records import ORDER_REQUEST, VENUE_REPORT, ReportKind
from engine.sim import outbox
from engine.sim.faults import NO_FAULTS, Fault, FaultPlan, FaultRates
from engine.sim.latency import LatencyModel, Lognormal, Route
from engine.sim.orders import VenueOrder
from engine.sim.outbox import OVERTAKEN_NS, Outbox, blank_report
from engine.units import INT64_MAX
from tests.engine.sim.world import MS, S, constant

ACKED, FILLED = ReportKind.ACKED, ReportKind.FILLED


def request(order_id: int = 5) -> np.void:
    row: np.void = np.zeros(1, ORDER_REQUEST)[0]
    row["order_id"], row["slot"], row["leg"] = order_id, 2, 3
    return row


def order(number: int = 1) -> VenueOrder:
    return VenueOrder(request(), number, 77, 0, 0)


def said(reports: np.ndarray) -> list[tuple[int, int]]:
    return [(int(r["trade_id"]), int(r["recv_ns"])) for r in reports]


def test_reports_arrive_after_the_latency_with_both_stamps() -> None:
    box = Outbox(constant(0, 30 * MS), NO_FAULTS)
    assert box.next_due_ns() == INT64_MAX
    box.say(order(), FILLED, S, {"trade_id": 4})
    assert box.next_due_ns() == S + 30 * MS
    assert len(box.due(S + 30 * MS - 1)) == 0
    [report] = box.due(S + 30 * MS)
    assert (int(report["venue_ns"]), int(report["recv_ns"])) == (S, S + 30 * MS)
    assert (int(report["order_id"]), int(report["slot"]), int(report["leg"])) == (5, 2, 3)
    assert int(report["venue_order_id"]) == 77
    assert len(box.due(INT64_MAX)) == 0


def test_reports_of_one_order_keep_their_order_at_any_latency() -> None:
    jitter = LatencyModel(4, Route(Lognormal(1, 1), Lognormal(10 * MS, 400 * MS)))
    box, one = Outbox(jitter, NO_FAULTS), order()
    for trade in range(1, 40):
        box.say(one, FILLED, S + trade, {"trade_id": trade})
    assert [trade for trade, _ in said(box.due(10 * S))] == list(range(1, 40))


def test_a_duplicate_comes_again_a_delayed_one_late_and_an_overtaken_one_out_of_turn() -> None:
    for fault, arrivals in (
        (Fault.DUPLICATE, [(1, S), (2, S), (1, S + OVERTAKEN_NS), (2, S + OVERTAKEN_NS)]),
        (Fault.REORDER, [(1, S + OVERTAKEN_NS), (2, S + OVERTAKEN_NS)]),
    ):
        box, one = Outbox(constant(0, 0), FaultPlan(1, FaultRates(), {1: fault})), order()
        box.say(one, FILLED, S, {"trade_id": 1})
        box.say(one, FILLED, S, {"trade_id": 2})
        assert said(box.due(S + OVERTAKEN_NS)) == arrivals
    box = Outbox(constant(0, 0), FaultPlan(1, FaultRates(delay_max_ns=S), {1: Fault.DELAY}))
    box.say(order(), FILLED, S, {"trade_id": 1})
    assert len(box.due(S)) == 0
    assert len(box.due(2 * S)) == 1
    assert (box.late, box.doubled, box.lost) == (1, 0, 0)


def test_a_deaf_order_says_nothing_but_remembers() -> None:
    box, one = Outbox(constant(0, 0), NO_FAULTS), order()
    one.deaf = True
    box.say(one, ACKED, S, {})
    assert len(box.due(10 * S)) == 0
    one.deaf = False
    box.say(one, FILLED, S + 1, {"trade_id": 1})
    box.repeat(one, S + 2)
    reports = box.due(10 * S)
    assert [int(r["kind"]) for r in reports] == [FILLED, ACKED, FILLED]
    assert [int(r["venue_ns"]) for r in reports] == [S + 1, S + 2, S + 1]  # first telling


def test_unknown_comes_after_the_silence() -> None:
    box = Outbox(constant(0, 0), FaultPlan(1, FaultRates(silence_ns=2 * S)))
    box.post_unknown(blank_report(request(), ReportKind.UNKNOWN, {}), 1, S)
    assert box.next_due_ns() == 3 * S
    assert box.lost == 1


def test_one_call_hands_over_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "DUE_MAX", 2)
    box, one = Outbox(constant(0, 0), NO_FAULTS), order()
    for trade in range(1, 6):
        box.say(one, FILLED, S, {"trade_id": trade})
    sizes = [len(box.due(S)) for _ in range(4)]
    assert sizes == [2, 2, 1, 0]


def test_a_report_is_a_venue_report() -> None:
    assert blank_report(request(), ACKED, {"reason": 3}).dtype == VENUE_REPORT
