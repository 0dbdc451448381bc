"""The way of one order from intent to the wire: identity, journal, gate, request. In that order, once.

The journal has the intent before anything else happens; the gate is asked last; between its answer and
the request there is only the journal's note that it was sent. Both entries are durable before the request
leaves. A denied order is journaled as denied, so that a recovery knows it never left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from engine.catalog.catalog import Catalog
from engine.direct import direct
from engine.execution.cost import worst_cash_micros
from engine.execution.order import OrderInput
from engine.execution.outputs import Outputs, decision, name_order, order_event
from engine.execution.plan import Plan
from engine.execution.ports import Gate, Ids, Journal
from engine.execution.semantics import RULES, stated_expiry_ns
from engine.execution.tracked import Role, TrackedOrder
from engine.facts import RequestFacts, record_of, request_bytes
from engine.fees import FEE_UNKNOWN
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
)

# Members by names of their own: to find one in its enum takes as long as to read a field of a record.
_GATE: Final = DecisionStage.GATE
_EVENT, _INTENT, _SENT = EntryKind.EVENT, EntryKind.INTENT, EntryKind.SENT
_DENY, _JOURNAL, _SEND = OrderInput.DENY, OrderInput.JOURNAL, OrderInput.SEND
_DENIED: Final = OrderStatus.DENIED
_FEE_SCHEDULE_UNKNOWN, _HALTED, _NONE = Reason.FEE_SCHEDULE_UNKNOWN, Reason.HALTED, Reason.NONE
_CANCEL, _REQUEST_KIND_CONVERT = RequestKind.CANCEL, RequestKind.CONVERT
_ROLE_CONVERT, _LEG = Role.CONVERT, Role.LEG

_NEW, _SELL = int(RequestKind.NEW), int(Direction.SELL)
_RESTING: Final = (TimeInForce.GTC, TimeInForce.GTC_POST_ONLY)
_UNNAMED: Final = bytes(IDENTITY_BYTES)


class Wish(NamedTuple):
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
        self._worst = direct(worst_cash_micros, catalog.rows, 0, 0, 0, False)

    def send_together(
        self, plan: Plan, wishes: Sequence[Wish], now_ns: int
    ) -> tuple[list[TrackedOrder], Reason]:
        """Make all orders; send all, or none when the gate denies one: then with its reason."""
        orders = [self._make(plan, wish, now_ns) for wish in wishes]
        reason = _NONE
        for order, wish in zip(orders, wishes, strict=True):
            reason = self._ask_gate(order, wish.epoch, now_ns)
            if reason != _NONE:
                self._deny(plan, order, reason, now_ns, is_cause=True)
                break
        for order in orders:
            if reason == _NONE:
                self._emit(plan, order, now_ns)
            elif order.status != _DENIED:
                self._deny(plan, order, reason, now_ns, is_cause=False)
        return orders, reason

    def send_conversion(
        self, plan: Plan, slot: int, index_set: bytes, size_e6: int, now_ns: int
    ) -> TrackedOrder:
        """Send a conversion of the NO tokens named by ``index_set``; denied when the engine is halted."""
        row = self._catalog.rows[slot]
        facts = RequestFacts(
            plan.asked.recv_ns,
            now_ns,
            self._ids.next_id(),
            plan.plan_id,
            size_e6,
            0,
            index_set,
            slot,
            int(row["generation"]),
            0,
            plan.asked.relation,
            int(_REQUEST_KIND_CONVERT),
            int(row["venue"]),
            0,
            0,
            0,
            0,
        )
        request = record_of(request_bytes(facts), ORDER_REQUEST)
        order = TrackedOrder(request, _ROLE_CONVERT, plan.mains[0].index, confirms=False)
        self._keep(plan, order)
        if self._gate.halted:
            self._deny(plan, order, _HALTED, now_ns, is_cause=True)
        else:
            self._emit(plan, order, now_ns)
        return order

    def send_cancel(self, order: TrackedOrder, now_ns: int) -> None:
        """Cancel an order, which is also how its fate is asked for. Cancels reduce risk and pass no gate."""
        facts = order.asked._replace(kind=int(_CANCEL), request_ns=now_ns)
        request = record_of(request_bytes(facts), ORDER_REQUEST)
        self._journal.append(_SENT, request)
        self._out.add_request(request)
        self.sent += 1

    def restore(self, order: TrackedOrder) -> None:
        """Reserve again for an order of an earlier run: what it may still cost, or all there is to lose."""
        if order.is_closed or order.role == _ROLE_CONVERT:
            return
        worst = self._worst_cash_micros(order)
        self._gate.restore(order.request, order.size_e6 if worst == FEE_UNKNOWN else worst)
        order.reserved = True
        if order.filled_e6:
            self._gate.on_fill(order.order_id, order.filled_e6)

    def release(self, order: TrackedOrder) -> None:
        """Give the gate's reservation back, once."""
        if order.reserved:
            order.reserved = False
            self._gate.release(order.order_id)

    def _make(self, plan: Plan, wish: Wish, now_ns: int) -> TrackedOrder:
        rules = RULES[wish.venue]
        deadline_ns = plan.asked.deadline_ns
        expire_ns = 0
        if wish.tif in _RESTING:
            expire_ns = stated_expiry_ns(rules, deadline_ns, now_ns)
        elif wish.role == _LEG:
            expire_ns = deadline_ns  # for the gate: an order that does not rest expires at no venue
        facts = RequestFacts(
            plan.asked.recv_ns,
            now_ns,
            self._ids.next_id(),
            plan.plan_id,
            wish.size_e6,
            expire_ns,
            _UNNAMED,
            wish.slot,
            wish.generation,
            wish.price_e4,
            -1,
            _NEW,
            wish.venue,
            wish.direction,
            wish.outcome,
            wish.tif,
            wish.leg,
        )
        identity = order_identity(facts)
        assert len(identity) == IDENTITY_BYTES, "an identity fills its field"
        request = record_of(request_bytes(facts._replace(identity=identity)), ORDER_REQUEST)
        order = TrackedOrder(request, wish.role, wish.leg, rules.confirms)
        self._keep(plan, order)
        return order

    def _keep(self, plan: Plan, order: TrackedOrder) -> None:
        self._journal.append(_INTENT, order.request)
        order.move(_JOURNAL)
        plan.orders.append(order)

    def _ask_gate(self, order: TrackedOrder, epoch: int, now_ns: int) -> Reason:
        worst = self._worst_cash_micros(order)
        if worst == FEE_UNKNOWN:
            return _FEE_SCHEDULE_UNKNOWN
        reason = self._gate.check(order.request, epoch, worst, now_ns)
        order.reserved = reason == _NONE
        return reason

    def _worst_cash_micros(self, order: TrackedOrder) -> int:
        """FEE_UNKNOWN also for a market that there is not, which the kernel would not see."""
        asked = order.asked
        if not 0 <= asked.slot < len(self._catalog.rows):
            return FEE_UNKNOWN
        is_sale = asked.direction == _SELL
        return self._worst(self._catalog.rows, asked.slot, asked.price_e4, asked.size_e6, is_sale)

    def _deny(self, plan: Plan, order: TrackedOrder, reason: Reason, now_ns: int, *, is_cause: bool) -> None:
        self.release(order)
        order.move(_DENY)
        self.denied += 1
        event = order_event(order, plan, reason, now_ns)
        self._journal.append(_EVENT, event)
        self._out.add_event(event)
        if is_cause:
            legs = [leg.record for leg in plan.legs]
            made = decision(plan.head, legs, _GATE, reason, order.size_e6, now_ns)
            name_order(made, order)
            self._out.add_decision(made)

    def _emit(self, plan: Plan, order: TrackedOrder, now_ns: int) -> None:
        self._journal.append(_SENT, order.request)
        order.move(_SEND)
        order.sent_ns = now_ns
        self._out.add_request(order.request)
        self._out.add_event(order_event(order, plan, _NONE, now_ns))
        self.sent += 1
