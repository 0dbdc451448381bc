"""What a journal says an executor knew: its orders, its plans, what was paid, and with what ids it went on.

A pure fold over the entries, as the ledger is. It decides nothing about what is in doubt: an order whose
journal ends with its INTENT may have left as well as one that was SENT, and both are asked about
(``engine.execution.executor.Executor.restore``).

Which role an order had follows from its leg: in the leg's own direction and outcome it was the leg, otherwise
it traded back; of a leg that sells what a conversion gives, the first order is the sale and the others are
further tries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from engine.errors import JournalDamaged
from engine.execution.order import OrderInput
from engine.execution.plan import Leg, Plan, PlanState
from engine.execution.semantics import RULES
from engine.execution.tracked import Role, TrackedOrder
from engine.facts import report_facts
from engine.ids import boot_epoch_of
from engine.ledger.journal import Entry, EntryKind
from engine.ledger.ledger import Key, Ledger, LedgerError
from engine.reasons import Reason
from engine.records import OrderStatus, ReportKind, RequestKind, Venue

_UNSENT: Final = frozenset({OrderStatus.JOURNALED, OrderStatus.DENIED})


@dataclass(slots=True)
class Past:
    """State after the last whole entry. ``entries`` 0: nobody was here before.

    ``plans``: every plan that was taken, in that order; its state is DONE or what ``resume_state`` says.
    ``ends``: the ORDER_EVENT that ended each plan, refused ones too, in that order.
    ``risk``: the last RISK entry. ``unheard``: settlements in dispute with no RISK entry behind them: whoever
    took them over died before it had halted.
    """

    entries: int = 0
    ledger: Ledger = field(default_factory=Ledger)
    plans: dict[int, Plan] = field(default_factory=dict)
    orders: dict[int, tuple[Plan, TrackedOrder]] = field(default_factory=dict)
    ends: dict[int, np.void] = field(default_factory=dict)
    settled: set[Key] = field(default_factory=set)
    boot_epoch: int = 0  # the highest that made an id, or was announced
    risk: np.void | None = None
    unheard: list[Key] = field(default_factory=list)
    opened_ns: int = 0
    markets: dict[Key, bytes] = field(default_factory=dict)  # name of each that a plan could trade

    @property
    def is_halted(self) -> bool:
        """Whether the engine was halted."""
        return self.risk is not None and int(self.risk["halted"]) != 0

    @property
    def stopped_by(self) -> Reason:
        """The loss limit that stopped the engine; NONE when none did."""
        return Reason.NONE if self.risk is None else Reason(int(self.risk["stopped"]))

    @property
    def open_plans(self) -> list[Plan]:
        """Plans that are not done."""
        return [plan for plan_id, plan in self.plans.items() if plan_id not in self.ends]

    @property
    def sent(self) -> set[int]:
        """Ids of the orders that were handed to the wire."""
        return {order_id for order_id, (_, order) in self.orders.items() if order.status not in _UNSENT}

    @property
    def next_boot_epoch(self) -> int:
        """The lowest boot epoch whose ids cannot meet those of the journal."""
        return self.boot_epoch + 1


def recover(entries: Iterable[Entry]) -> Past:
    """Fold ``entries`` in order. JournalDamaged when they contradict each other; names the entry."""
    past = Past()
    for entry in entries:
        try:
            _FOLDS[entry.kind](past, entry.record)
            past.ledger.apply(entry)
            _note_dispute(past, entry)
        except (KeyError, IndexError, ValueError, LedgerError) as error:
            where = f"entry {entry.sequence} ({entry.kind.name})"
            raise JournalDamaged(f"journal: {where} contradicts those before it: {error!r}") from error
        past.entries += 1
    for plan in past.open_plans:
        _stand_still(plan)
    return past


def resume_state(plan: Plan) -> PlanState:
    """Where a plan that is not done goes on: never before a state whose orders it has."""
    if any(leg.unwinds for leg in plan.legs):
        return PlanState.UNWINDING
    if any(leg.orders for leg in plan.sales):
        return PlanState.SELLING
    return PlanState.LEGS if plan.conversion is None else PlanState.CONVERTING


def _stand_still(plan: Plan) -> None:
    """Nothing more is opened for the plan: what was bought is completed, converted or traded back."""
    plan.state = resume_state(plan)
    plan.sales_sent = plan.state in (PlanState.SELLING, PlanState.UNWINDING)
    sent = [any(order.status != OrderStatus.DENIED for order in leg.orders) for leg in plan.mains]
    if not all(sent):
        plan.stopped = Reason.RESTARTED


def _on_plan(past: Past, head: np.void) -> None:
    past.plans[int(head["plan_id"])] = Plan(head, [])


def _on_leg(past: Past, kept: np.void) -> None:
    legs = past.plans[int(kept["plan_id"])].legs
    leg = Leg(kept["leg"], len(legs), int(kept["limit_e4"]), int(kept["size_e6"]))
    leg.exit_e4 = int(kept["exit_e4"])
    legs.append(leg)


def _on_intent(past: Past, request: np.void) -> None:
    plan = past.plans[int(request["plan_id"])]
    order_id, index = int(request["order_id"]), int(request["leg"])
    past.boot_epoch = max(past.boot_epoch, boot_epoch_of(order_id))
    if order_id in past.orders:
        raise ValueError(f"order {order_id} was made before")
    if int(request["kind"]) == RequestKind.CONVERT:
        order = TrackedOrder(request, Role.CONVERT, plan.mains[0].index, confirms=False)
        plan.conversion = order
    else:
        leg = plan.legs[index]
        role = _role(leg, request)
        order = TrackedOrder(request, role, index, RULES[Venue(int(request["venue"]))].confirms)
        (leg.unwinds if role == Role.UNWIND else leg.orders).append(order)
        leg.attempts = len(leg.unwinds)
    order.move(OrderInput.JOURNAL)
    plan.orders.append(order)
    past.orders[order_id] = plan, order


def _role(leg: Leg, request: np.void) -> Role:
    if leg.is_sale:
        return Role.UNWIND if leg.orders else Role.SALE
    as_planned = int(request["direction"]) == leg.direction and int(request["outcome"]) == leg.token[2]
    return Role.LEG if as_planned else Role.UNWIND


def _on_sent(past: Past, request: np.void) -> None:
    _, order = past.orders[int(request["order_id"])]
    if int(request["kind"]) != RequestKind.CANCEL:
        order.move(OrderInput.SEND)
        order.sent_ns = int(request["request_ns"])


def _on_report(past: Past, report: np.void) -> None:
    if int(report["kind"]) != ReportKind.SETTLED:
        _, order = past.orders[int(report["order_id"])]
        if order.status == OrderStatus.JOURNALED:  # in doubt at an earlier restart, and answered since
            order.move(OrderInput.SEND)
        order.apply(report_facts(report))
        return
    past.settled.add((int(report["venue"]), int(report["slot"]), int(report["generation"])))
    for plan in past.open_plans:
        for leg in plan.legs:
            leg.is_settled |= leg.slot == int(report["slot"])


def _on_event(past: Past, event: np.void) -> None:
    plan_id, order_id = int(event["plan_id"]), int(event["order_id"])
    if int(event["plan_done"]):
        past.ends[plan_id] = event
        if plan_id in past.plans:
            past.plans[plan_id].state = PlanState.DONE
        return
    plan, order = past.orders[order_id]
    if int(event["status"]) == OrderStatus.DENIED:
        order.move(OrderInput.DENY)
        leg = plan.legs[order.leg]
        netted = int(event["reason"]) == Reason.NAKED_SALE and leg.rules.nets_pairs
        leg.buys_other |= order.role == Role.UNWIND and netted


def _on_boot(past: Past, boot: np.void) -> None:
    past.boot_epoch = max(past.boot_epoch, int(boot["boot_epoch"]))


def _on_risk(past: Past, risk: np.void) -> None:
    past.risk = risk
    past.unheard.clear()


def _note_dispute(past: Past, entry: Entry) -> None:
    report = entry.record
    if entry.kind is not EntryKind.REPORT or int(report["kind"]) != ReportKind.SETTLED:
        return
    key = int(report["venue"]), int(report["slot"]), int(report["generation"])
    if past.ledger.positions[key].dispute is not None:
        past.unheard.append(key)


def _on_market(past: Past, market: np.void) -> None:
    key = int(market["venue"]), int(market["slot"]), int(market["generation"])
    name = bytes(market["symbol"])
    if past.markets.setdefault(key, name) != name:
        raise ValueError(f"slot {key[1]} was {past.markets[key]!r} before")


def _on_opening(past: Past, opening: np.void) -> None:
    past.opened_ns = int(opening["at_ns"])


_FOLDS: Mapping[EntryKind, Callable[[Past, np.void], None]] = {
    EntryKind.OPENING: _on_opening,
    EntryKind.PLAN: _on_plan,
    EntryKind.PLAN_LEG: _on_leg,
    EntryKind.INTENT: _on_intent,
    EntryKind.SENT: _on_sent,
    EntryKind.REPORT: _on_report,
    EntryKind.EVENT: _on_event,
    EntryKind.BOOT: _on_boot,
    EntryKind.RISK: _on_risk,
    EntryKind.MARKET: _on_market,
}
