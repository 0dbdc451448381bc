from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from engine.catalog.market import MarketSpec
from engine.execution.outputs import Outputs
from engine.execution.plan import Leg, Plan
from engine.execution.sender import Sender, Wish
from engine.execution.tracked import Role
from engine.facts import request_facts
from engine.ids import IdSource, order_identity
from engine.ledger.journal import EntryKind
from engine.reasons import Reason
from engine.records import (
    PLAN_HEAD,
    PLAN_LEG,
    DecisionStage,
    Direction,
    OrderStatus,
    Outcome,
    RequestKind,
    TimeInForce,
    Venue,
)
from tests.engine.execution.floor import FoldingJournal, OpenGate
from tests.engine.sim.world import KALSHI, ONE, POLY, S, catalog_of

NOW = 50 * S


class Desk:
    def __init__(self, *specs: MarketSpec) -> None:
        self.gate, self.journal, self.out = OpenGate(), FoldingJournal(), Outputs()
        self.sender = Sender(catalog_of(*specs), self.gate, self.journal, IdSource(2), self.out)
        head: np.void = np.zeros(1, PLAN_HEAD)[0]
        head["plan_id"], head["relation"], head["deadline_ns"], head["recv_ns"] = 6, 3, NOW + S, NOW - 1
        self.plan = Plan(head, [Leg(np.zeros(1, PLAN_LEG)[0], 0, 5000, ONE)])

    def denies(self, answer: Callable[[np.void], Reason]) -> None:
        self.gate.answer = answer

    @property
    def kinds(self) -> list[EntryKind]:
        return [entry.kind for entry in self.journal.entries]


def wish(slot: int, venue: Venue, tif: TimeInForce = TimeInForce.FAK, size: int = 10 * ONE) -> Wish:
    return Wish(Role.LEG, slot, slot, 1, venue, Direction.BUY, Outcome.YES, tif, 5000, size, 9)


BOTH = [wish(0, Venue.POLYMARKET), wish(1, Venue.KALSHI)]


@pytest.fixture
def desk() -> Desk:
    return Desk(POLY, KALSHI)


def test_orders_sent_together_are_complete(desk: Desk) -> None:
    orders, reason = desk.sender.send_together(desk.plan, BOTH, NOW)
    assert reason == Reason.NONE
    assert [order.status for order in orders] == [OrderStatus.SENT] * 2
    assert desk.plan.orders == orders
    assert (desk.out.n_requests, desk.out.n_events, desk.out.n_decisions) == (2, 2, 0)
    for order, request in zip(orders, desk.out.requests, strict=False):
        assert request.tobytes() == order.request.tobytes()
        assert request["identity"].tobytes() == order_identity(request_facts(request))
        assert (int(request["request_ns"]), int(request["recv_ns"])) == (NOW, NOW - 1)
        assert (int(request["plan_id"]), int(request["relation"])) == (6, -1)
        assert int(request["expire_ns"]) == int(desk.plan.head["deadline_ns"])
        assert order.reserved
    assert desk.kinds == [EntryKind.INTENT, EntryKind.INTENT, EntryKind.SENT, EntryKind.SENT]
    assert [asked[1] for asked in desk.gate.asked] == [9, 9]


def test_a_journal_that_fails_lets_nothing_out(desk: Desk) -> None:
    def broken(kind: int, record: np.void) -> None:
        raise OSError("disk full")

    desk.journal.append = broken  # type: ignore[method-assign]
    with pytest.raises(OSError, match="disk full"):
        desk.sender.send_together(desk.plan, BOTH, NOW)
    assert desk.out.n_requests == 0
    assert desk.gate.asked == []


def test_one_denial_sends_nothing_and_gives_every_reservation_back(desk: Desk) -> None:
    desk.denies(lambda r: Reason.ORDER_RATE if int(r["slot"]) == 1 else Reason.NONE)
    orders, reason = desk.sender.send_together(desk.plan, BOTH, NOW)
    assert reason == Reason.ORDER_RATE
    assert [order.status for order in orders] == [OrderStatus.DENIED] * 2
    assert desk.gate.open == {}
    assert (desk.out.n_requests, desk.sender.sent, desk.sender.denied) == (0, 0, 2)
    assert desk.kinds == [EntryKind.INTENT, EntryKind.INTENT, EntryKind.EVENT, EntryKind.EVENT]
    [made] = desk.out.decisions[: desk.out.n_decisions]
    assert (int(made["stage"]), int(made["reason"]), int(made["slot"])) == (
        DecisionStage.GATE,
        Reason.ORDER_RATE,
        1,
    )
    assert int(made["order_id_low"]) == orders[1].order_id & (2**31 - 1)


def test_the_first_denial_stops_the_asking(desk: Desk) -> None:
    desk.denies(lambda r: Reason.HALTED)
    desk.sender.send_together(desk.plan, BOTH, NOW)
    assert len(desk.gate.asked) == 1


def test_a_market_without_a_fee_schedule_is_denied_before_the_gate() -> None:
    desk = Desk(replace(POLY, fee=None))
    _, reason = desk.sender.send_together(desk.plan, BOTH[:1], NOW)
    assert reason == Reason.FEE_SCHEDULE_UNKNOWN
    assert desk.gate.asked == []


def test_what_rests_carries_an_expiry_after_the_plans_deadline(desk: Desk) -> None:
    wishes = [wish(0, Venue.POLYMARKET, TimeInForce.GTC), wish(1, Venue.KALSHI, TimeInForce.GTC_POST_ONLY)]
    desk.sender.send_together(desk.plan, wishes, NOW)
    expiries = [int(r["expire_ns"]) for r in desk.out.requests[:2]]
    assert expiries == [NOW + 181 * S, NOW + S]


def test_a_conversion_is_named_by_its_index_set_and_stopped_by_a_halt(desk: Desk) -> None:
    order = desk.sender.send_conversion(desk.plan, 0, bytes([5]) + bytes(31), 7 * ONE, NOW)
    [request] = desk.out.requests[: desk.out.n_requests]
    assert (int(request["kind"]), int(request["relation"]), int(request["size_e6"])) == (
        RequestKind.CONVERT,
        3,
        7 * ONE,
    )
    assert request["identity"].tobytes() == bytes([5]) + bytes(31)
    assert not order.confirms
    desk.gate.halted = True
    stopped = desk.sender.send_conversion(desk.plan, 0, bytes(32), 7 * ONE, NOW)
    assert stopped.status == OrderStatus.DENIED
    assert desk.out.n_requests == 1
    assert desk.gate.asked == []


def test_a_cancel_names_the_order_and_is_journaled_first(desk: Desk) -> None:
    [order], _ = desk.sender.send_together(desk.plan, BOTH[:1], NOW)
    desk.out.clear()
    sent = desk.sender.sent
    desk.sender.send_cancel(order, NOW + S)
    assert desk.sender.sent == sent + 1
    [request] = desk.out.requests[: desk.out.n_requests]
    assert (int(request["kind"]), int(request["request_ns"])) == (RequestKind.CANCEL, NOW + S)
    assert int(request["order_id"]) == order.order_id
    assert request["identity"].tobytes() == order.request["identity"].tobytes()
    assert desk.kinds[-1] == EntryKind.SENT
    assert (int(order.request["kind"]), int(order.request["request_ns"])) == (RequestKind.NEW, NOW)


def test_a_reservation_is_given_back_once(desk: Desk) -> None:
    [order], _ = desk.sender.send_together(desk.plan, BOTH[:1], NOW)
    desk.sender.release(order)
    desk.sender.release(order)
    assert desk.gate.open == {}
