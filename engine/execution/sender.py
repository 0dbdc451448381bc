"""The way of one order from intent to the wire: identity, journal, gate, request. In that order, once.

The journal has the intent before anything else happens; the gate is asked last; between its answer and
the request there is only the journal's note that it was sent. Both entries are durable before the request
leaves. A denied order is journaled as denied, so that a recovery knows it never left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.catalog.catalog import Catalog
from engine.execution.order import OrderInput
from engine.execution.outputs import Outputs, decision, name_order, order_event
from engine.execution.plan import Plan
from engine.execution.ports import Gate, Ids, Journal
from engine.execution.semantics import RULES, stated_expiry_ns
from engine.execution.tracked import Role, TrackedOrder
from engine.fees import FEE_UNKNOWN, estimate_split_fee_micros
from engine.ids import IDENTITY_BYTES, order_identity
from engine.ledger.journal import EntryKind
from engine.reasons import Reason
from engine.records import (
    ORDER_REQUEST,
    DecisionStage,
    Direction,
    OrderStatus,
    RequestKind,
    TimeInForce,
    Venue,
)
from engine.units import PRICE_ONE_E4, muldiv_ceil

FILLS_MAX: Final = 64  # trades one order is expected to be filled in at most, for its fee


@dataclass(frozen=True, slots=True)
class Wish:
    """An order to be made. ``epoch``: of the book the decision was made on."""

    role: Role
    leg: int
    slot: int
    generation: int
    venue: int
    direction: int
    outcome: int
    tif: int
    price_e4: int
    size_e6: int
    epoch: int


class Sender:
    """Makes orders of wishes and sends them. ``sent`` counts requests of every kind, ``denied`` orders."""

    def __init__(self, catalog: Catalog, gate: Gate, journal: Journal, ids: Ids, out: Outputs) -> None:
        self.sent = 0
        self.denied = 0
        self._catalog = catalog
        self._gate = gate
        self._journal = journal
        self._ids = ids
        self._out = out

    def send_together(
        self, plan: Plan, wishes: Sequence[Wish], now_ns: int
    ) -> tuple[list[TrackedOrder], Reason]:
        """Make all orders; send all, or none when the gate denies one: then with its reason."""
        orders = [self._make(plan, wish, now_ns) for wish in wishes]
        reason = Reason.NONE
        for order, wish in zip(orders, wishes, strict=True):
            reason = self._ask_gate(order, wish.epoch, now_ns)
            if reason != Reason.NONE:
                self._deny(plan, order, reason, now_ns, is_cause=True)
                break
        for order in orders:
            if reason == Reason.NONE:
                self._emit(plan, order, now_ns)
            elif order.status != OrderStatus.DENIED:
                self._deny(plan, order, reason, now_ns, is_cause=False)
        return orders, reason

    def send_conversion(
        self, plan: Plan, slot: int, index_set: bytes, size_e6: int, now_ns: int
    ) -> TrackedOrder:
        """Send a conversion of the NO tokens named by ``index_set``; denied when the engine is halted."""
        request = self._request(plan, Role.CONVERT, RequestKind.CONVERT, now_ns)
        row = self._catalog.rows[slot]
        request["slot"], request["generation"], request["venue"] = slot, row["generation"], row["venue"]
        request["size_e6"] = size_e6
        request["relation"] = plan.head["relation"]
        request["identity"] = np.frombuffer(index_set, np.uint8)
        order = TrackedOrder(request, Role.CONVERT, plan.mains[0].index, confirms=False)
        self._keep(plan, order)
        if self._gate.halted:
            self._deny(plan, order, Reason.HALTED, now_ns, is_cause=True)
        else:
            self._emit(plan, order, now_ns)
        return order

    def send_cancel(self, order: TrackedOrder, now_ns: int) -> None:
        """Cancel an order, which is also how its fate is asked for. Cancels reduce risk and pass no gate."""
        request: np.void = np.array([order.request], ORDER_REQUEST)[0]
        request["kind"] = RequestKind.CANCEL
        request["request_ns"] = now_ns
        self._journal.append(EntryKind.SENT, request)
        self._out.add_request(request)
        self.sent += 1

    def restore(self, order: TrackedOrder) -> None:
        """Reserve again for an order of an earlier run: what it may still cost, or all there is to lose."""
        if order.is_closed or order.role == Role.CONVERT:
            return
        request = order.request
        worst = worst_cash_micros(self._catalog.rows[int(request["slot"])], request)
        self._gate.restore(request, order.size_e6 if worst == FEE_UNKNOWN else worst)
        order.reserved = True
        if order.filled_e6:
            self._gate.on_fill(order.order_id, order.filled_e6)

    def release(self, order: TrackedOrder) -> None:
        """Give the gate's reservation back, once."""
        if order.reserved:
            order.reserved = False
            self._gate.release(order.order_id)

    def _make(self, plan: Plan, wish: Wish, now_ns: int) -> TrackedOrder:
        request = self._request(plan, wish.role, RequestKind.NEW, now_ns)
        for name in ("slot", "generation", "venue", "direction", "outcome", "tif", "price_e4", "size_e6"):
            request[name] = getattr(wish, name)
        request["leg"] = wish.leg
        rules = RULES[Venue(wish.venue)]
        deadline_ns = int(plan.head["deadline_ns"])
        if wish.tif in (TimeInForce.GTC, TimeInForce.GTC_POST_ONLY):
            request["expire_ns"] = stated_expiry_ns(rules, deadline_ns, now_ns)
        elif wish.role == Role.LEG:
            request["expire_ns"] = (
                deadline_ns  # for the gate: an order that does not rest expires at no venue
            )
        identity = order_identity(request)
        assert len(identity) == IDENTITY_BYTES, "an identity fills its field"
        request["identity"] = np.frombuffer(identity, np.uint8)
        order = TrackedOrder(request, wish.role, wish.leg, rules.confirms)
        self._keep(plan, order)
        return order

    def _request(self, plan: Plan, role: Role, kind: RequestKind, now_ns: int) -> np.void:
        request: np.void = np.zeros(1, ORDER_REQUEST)[0]
        request["recv_ns"] = plan.head["recv_ns"]
        request["request_ns"] = now_ns
        request["order_id"] = self._ids.next_id()
        request["plan_id"] = plan.plan_id
        request["relation"] = plan.head["relation"] if role == Role.CONVERT else -1
        request["kind"] = kind
        return request

    def _keep(self, plan: Plan, order: TrackedOrder) -> None:
        self._journal.append(EntryKind.INTENT, order.request)
        order.move(OrderInput.JOURNAL)
        plan.orders.append(order)

    def _ask_gate(self, order: TrackedOrder, epoch: int, now_ns: int) -> Reason:
        worst = worst_cash_micros(self._catalog.rows[int(order.request["slot"])], order.request)
        if worst == FEE_UNKNOWN:
            return Reason.FEE_SCHEDULE_UNKNOWN
        reason = self._gate.check(order.request, epoch, worst, now_ns)
        order.reserved = reason == Reason.NONE
        return reason

    def _deny(self, plan: Plan, order: TrackedOrder, reason: Reason, now_ns: int, *, is_cause: bool) -> None:
        self.release(order)
        order.move(OrderInput.DENY)
        self.denied += 1
        event = order_event(order, plan, reason, now_ns)
        self._journal.append(EntryKind.EVENT, event)
        self._out.add_event(event)
        if is_cause:
            legs = [leg.record for leg in plan.legs]
            made = decision(plan.head, legs, DecisionStage.GATE, reason, order.size_e6, now_ns)
            name_order(made, order)
            self._out.add_decision(made)

    def _emit(self, plan: Plan, order: TrackedOrder, now_ns: int) -> None:
        self._journal.append(EntryKind.SENT, order.request)
        order.move(OrderInput.SEND)
        order.sent_ns = now_ns
        self._out.add_request(order.request)
        self._out.add_event(order_event(order, plan, Reason.NONE, now_ns))
        self.sent += 1


def worst_cash_micros(row: np.void, request: np.void) -> int:
    """Most a NEW request can cost, fees of many small trades included; FEE_UNKNOWN without a schedule.

    A sale costs nothing: the gate lets only what is held be sold, and the fee comes out of the proceeds.
    """
    price, size = int(request["price_e4"]), int(request["size_e6"])
    fee = int(estimate_split_fee_micros(row, price, size, FILLS_MAX))
    if fee == FEE_UNKNOWN or int(request["direction"]) == Direction.SELL:
        return min(fee, 0)
    return int(muldiv_ceil(size, price, PRICE_ONE_E4)) + FILLS_MAX + fee
