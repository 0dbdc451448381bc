from __future__ import annotations

import numpy as np
import pytest

from engine.execution.outputs import (
    DECISIONS_MAX,
    EVENTS_MAX,
    REQUESTS_MAX,
    Outputs,
    decision,
    is_restart,
    moves_position,
    name_order,
    order_event,
    payment_event,
    plan_event,
    restart_event,
)
from engine.execution.plan import Plan
from engine.execution.tracked import Role, TrackedOrder
from engine.facts import report_facts
from engine.reasons import Reason
from engine.records import (
    LEGS_MAX,
    ORDER_REQUEST,
    PLAN_HEAD,
    PLAN_LEG,
    VENUE_REPORT,
    DecisionStage,
    OrderStatus,
    ReportKind,
    SignalKind,
)


def plan() -> Plan:
    head: np.void = np.zeros(1, PLAN_HEAD)[0]
    head["plan_id"], head["signal_id"], head["recv_ns"], head["slot"], head["relation"] = 3, 4, 5, 6, 7
    head["size_e6"], head["profit_micros"], head["n_legs"], head["kind"] = (
        100,
        1_000,
        300,
        SignalKind.CROSS_VENUE,
    )
    return Plan(head, [])


def order(**changes: int) -> TrackedOrder:
    request: np.void = np.zeros(1, ORDER_REQUEST)[0]
    for number, name in enumerate(
        ("order_id", "plan_id", "size_e6", "slot", "price_e4", "venue", "tif", "leg")
    ):
        request[name] = changes.get(name, number + 2)
    return TrackedOrder(request, Role.LEG, 0, confirms=True, status=OrderStatus.ACKED, filled_e6=1)


def test_rows_are_handed_on_and_forgotten() -> None:
    out = Outputs()
    out.add_request(order().request)
    out.add_event(order_event(order(), plan(), Reason.NONE, 9))
    out.add_decision(
        decision(plan().head, list(np.zeros(1, PLAN_LEG)), DecisionStage.GATE, Reason.NONE, 0, 9)
    )
    assert (out.n_requests, out.n_events, out.n_decisions) == (1, 1, 1)
    assert int(out.requests[0]["order_id"]) == 2
    out.clear()
    assert (out.n_requests, out.n_events, out.n_decisions) == (0, 0, 0)


@pytest.mark.parametrize(
    ("field", "full"),
    [
        ("n_requests", REQUESTS_MAX - 2 * LEGS_MAX),
        ("n_events", EVENTS_MAX - 4 * LEGS_MAX),
        ("n_decisions", DECISIONS_MAX - 2 * LEGS_MAX),
    ],
)
def test_room_is_for_one_whole_plan(field: str, full: int) -> None:
    out = Outputs()
    setattr(out, field, full)
    assert out.has_room
    setattr(out, field, full + 1)
    assert not out.has_room


def test_an_order_event_tells_the_order_as_it_is() -> None:
    event = order_event(order(), plan(), Reason.LEG_MISSED, 9)
    told = {
        name: int(event[name])
        for name in ("order_id", "plan_id", "size_e6", "slot", "price_e4", "venue", "tif")
    }
    assert list(told.values()) == [2, 3, 4, 5, 6, 7, 8]
    assert (int(event["signal_id"]), int(event["event_ns"]), int(event["filled_e6"])) == (4, 9, 1)
    assert (int(event["status"]), int(event["reason"])) == (OrderStatus.ACKED, Reason.LEG_MISSED)
    assert (int(event["fill_size_e6"]), int(event["plan_done"])) == (0, 0)


@pytest.mark.parametrize(
    ("kind", "sign"), [(ReportKind.FILLED, 1), (ReportKind.CONVERTED, 1), (ReportKind.FAILED, -1)]
)
def test_a_void_trade_takes_back_what_the_fill_gave(kind: ReportKind, sign: int) -> None:
    report: np.void = np.zeros(1, VENUE_REPORT)[0]
    report["kind"], report["fill_size_e6"], report["cash_micros"], report["fee_micros"] = kind, 30, 20, 10
    report["slot"], report["outcome"], report["maker"], report["price_e4"] = 9, 1, 1, 4800
    event = order_event(order(), plan(), Reason.NONE, 9, report_facts(report))
    assert [int(event[name]) for name in ("fill_size_e6", "cash_micros", "fee_micros")] == [
        30 * sign,
        20 * sign,
        10 * sign,
    ]
    assert [int(event[name]) for name in ("slot", "outcome", "maker", "price_e4")] == [9, 1, 1, 4800]


def test_the_end_of_a_plan_is_an_event_of_no_order() -> None:
    done = plan_event(plan(), Reason.NONE, 60, 9)
    assert (int(done["order_id"]), int(done["plan_done"]), int(done["status"])) == (0, 1, OrderStatus.FILLED)
    assert (int(done["plan_id"]), int(done["signal_id"]), int(done["size_e6"]), int(done["filled_e6"])) == (
        3,
        4,
        100,
        60,
    )
    assert int(plan_event(plan(), Reason.UNWOUND, 0, 9)["status"]) == OrderStatus.CANCELLED


def test_a_decision_says_what_of_the_plan_came_true() -> None:
    leg: np.void = np.zeros(1, PLAN_LEG)[0]
    leg["epoch"], leg["venue"], leg["slot"], leg["generation"] = 8, 2, 6, 11
    made = decision(plan().head, [leg], DecisionStage.EXECUTION, Reason.UNWOUND, 33, 9)
    assert (int(made["profit_micros"]), int(made["size_e6"])) == (330, 33)
    assert (int(made["epoch"]), int(made["venue"]), int(made["generation"])) == (8, 2, 11)
    assert (int(made["slot"]), int(made["relation"]), int(made["kind"])) == (6, 7, SignalKind.CROSS_VENUE)
    assert (int(made["n_legs"]), int(made["decided_ns"]), int(made["recv_ns"])) == (255, 9, 5)
    assert int(decision(plan().head, [leg], DecisionStage.GATE, Reason.NONE, 0, 9)["profit_micros"]) == 0
    assert (
        int(decision(plan().head, [leg], DecisionStage.GATE, Reason.NONE, 900, 9)["profit_micros"]) == 1_000
    )
    head = plan().head
    head["size_e6"] = 0
    assert int(decision(head, [leg], DecisionStage.GATE, Reason.NONE, 7, 9)["profit_micros"]) == 0
    head["size_e6"], head["profit_micros"] = 1, 1_000
    assert int(decision(head, [leg], DecisionStage.GATE, Reason.NONE, 1, 9)["profit_micros"]) == 1_000
    head = plan().head
    head["profit_micros"] = 1_005
    assert int(decision(head, [leg], DecisionStage.GATE, Reason.NONE, 7, 9)["profit_micros"]) == 70  # down


def test_a_decision_is_about_the_market_that_caused_the_plan() -> None:
    legs = np.zeros(3, PLAN_LEG)
    for name, values in (("slot", (5, 6, 9)), ("generation", (1, 2, 3)), ("epoch", (7, 8, 9))):
        legs[name] = values

    def market_of(of: np.ndarray) -> list[int]:
        made = decision(plan().head, list(of), DecisionStage.EXECUTION, Reason.NONE, 0, 9)
        return [int(made[name]) for name in ("slot", "generation", "epoch")]

    assert market_of(legs) == [6, 2, 8]
    assert market_of(legs[[2, 0]]) == [9, 3, 9]  # what caused it is no leg: the first is


def test_a_decision_about_an_order_names_it() -> None:
    made = decision(plan().head, list(np.zeros(1, PLAN_LEG)), DecisionStage.GATE, Reason.HALTED, 1, 9)
    one = order(order_id=(7 << 32) | 0xFFFF_FFFF)
    name_order(made, one)
    assert (int(made["order_id_low"]), int(made["slot"]), int(made["venue"])) == (2**31 - 1, 5, 7)


def test_what_is_told_of_no_order_and_no_plan() -> None:
    report: np.void = np.zeros(1, VENUE_REPORT)[0]
    report["venue"], report["slot"], report["generation"], report["cash_micros"] = 2, 7, 3, 900
    payment, back = payment_event(report, 50), restart_event(60)
    names = ("event_ns", "venue", "slot", "generation", "cash_micros", "fill_size_e6", "plan_done")
    assert [int(payment[name]) for name in names] == [50, 2, 7, 3, 900, 0, 0]
    assert (int(back["event_ns"]), int(back["plan_done"])) == (60, 1)
    [ended] = np.array([plan_event(plan(), Reason.RESTARTED, 0, 70)])
    assert [is_restart(event) for event in (payment, back, ended)] == [False, True, False]
    assert [moves_position(event) for event in (payment, back, ended)] == [True, False, False]
    ended["plan_done"], ended["fill_size_e6"] = 0, -5
    assert moves_position(ended)
