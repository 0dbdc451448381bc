"""Works off plans: sends their orders, believes what venues say, ends each plan in a known position.

Sans-IO: time is handed in, requests and events come out in ``out``. ``on_plan``, ``on_report`` and
``on_time`` each start with empty outputs; ``next_due_ns`` says when ``on_time`` is wanted.

A report is journaled before anything follows from it. Whoever keeps positions for the gate must do so
from that journal call, so that what was just bought can be sold back. Whoever sends ``out.requests`` makes
the journal durable before.

An executor that begins with the past of another (``restore``) stands still until ``go_on``: it asks about
every order that may be alive, believes the answers, and neither opens nor unwinds anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.catalog.catalog import Catalog
from engine.execution.advance import PlanWorker, Refresh
from engine.execution.config import ExecutionConfig, LegOrder
from engine.execution.departure import Departure
from engine.execution.intake import read_legs
from engine.execution.naming import MarketNames
from engine.execution.order import TERMINAL, OrderInput
from engine.execution.outputs import (
    ExecutorCounts,
    Outputs,
    decision,
    kept_leg,
    order_event,
    payment_event,
    plan_event,
)
from engine.execution.plan import Leg, Plan, PlanResult, PlanState
from engine.execution.ports import Gate, Ids, Journal
from engine.execution.recovery import Past
from engine.execution.sender import Sender
from engine.execution.silence import next_check_ns, question_wait_ns, rests
from engine.execution.tracked import Role, TrackedOrder, Verdict
from engine.facts import HeadFacts, ReportFacts, record_of, report_facts
from engine.ledger.journal import EntryKind
from engine.ledger.ledger import Key
from engine.reasons import Reason
from engine.records import PLAN_HEAD, DecisionStage, OrderStatus, ReportKind
from engine.units import INT64_MAX

# Members by names of their own: to find one in its enum takes as long as to read a field of a record.
_EXECUTION: Final = DecisionStage.EXECUTION
_EVENT, _PLAN, _PLAN_LEG = EntryKind.EVENT, EntryKind.PLAN, EntryKind.PLAN_LEG
_REPORT: Final = EntryKind.REPORT
_ALL_AT_ONCE: Final = LegOrder.ALL_AT_ONCE
_LOSE, _SEND = OrderInput.LOSE, OrderInput.SEND
_ACKED, _DENIED, _JOURNALED, _PARTLY_FILLED = (
    OrderStatus.ACKED,
    OrderStatus.DENIED,
    OrderStatus.JOURNALED,
    OrderStatus.PARTLY_FILLED,
)
_SENT: Final = OrderStatus.SENT
_DONE: Final = PlanState.DONE
_DEADLINE, _DUPLICATE_INTENT, _NONE, _OPEN_ORDER_LIMIT = (
    Reason.DEADLINE,
    Reason.DUPLICATE_INTENT,
    Reason.NONE,
    Reason.OPEN_ORDER_LIMIT,
)
_ORDER_RATE, _PAUSED, _RESTARTED, _TOO_MANY_LEGS = (
    Reason.ORDER_RATE,
    Reason.PAUSED,
    Reason.RESTARTED,
    Reason.TOO_MANY_LEGS,
)
_VENUE_UNKNOWN: Final = Reason.VENUE_UNKNOWN
_FILLED, _SETTLED, _UNKNOWN = ReportKind.FILLED, ReportKind.SETTLED, ReportKind.UNKNOWN
_CONVERT: Final = Role.CONVERT
_ILLEGAL, _OVERFILL, _REPEATED = Verdict.ILLEGAL, Verdict.OVERFILL, Verdict.REPEATED

ORDERS_KEPT_MAX: Final = 1 << 13  # orders of finished plans, so that a late repetition is known as one
PLANS_KEPT_MAX: Final = 1 << 16  # ids of finished plans, so that none is worked off twice

Rows = npt.NDArray[np.void]
_STANDING: Final = (OrderStatus.ACKED, OrderStatus.PARTLY_FILLED)
_TRADES: Final = (ReportKind.FILLED, ReportKind.CONVERTED, ReportKind.FAILED)


class Executor:
    """Plans in, orders out, reports in, positions known.

    ``book_rows``: BOOK_ROW by slot, read only; ``refresh_book(venue, slot)`` is called before a row is read.
    """

    def __init__(
        self,
        catalog: Catalog,
        gate: Gate,
        journal: Journal,
        ids: Ids,
        config: ExecutionConfig,
        book_rows: Rows,
        refresh_book: Refresh | None = None,
    ) -> None:
        self.out = Outputs()
        self.counts = ExecutorCounts()
        self.finished: list[PlanResult] = []  # plans that ended in the last call
        self._catalog = catalog
        self._gate = gate
        self._journal = journal
        self._config = config
        self._sender = Sender(catalog, gate, journal, ids, self.out)
        self._names = MarketNames(catalog, journal)
        self._departure = Departure(
            catalog, gate, journal, ids, self._names, self.out, book_rows, refresh_book
        )
        self._worker = PlanWorker(catalog, book_rows, self._sender, gate, config, self._watch, refresh_book)
        self._plans: dict[int, Plan] = {}
        self._orders: dict[int, tuple[Plan, TrackedOrder]] = {}
        self._old_orders: deque[int] = deque()
        self._old_plans: dict[int, None] = {}
        self._settled: set[Key] = set()
        self._settlements: list[np.void] = []  # SETTLED reports that came before the market's last fills
        self._stands_still = False
        self._is_stopping = False
        self._due_ns: int | None = None  # as last looked for; None: something has happened since

    @property
    def open_plans(self) -> int:
        """Plans that are not done."""
        return len(self._plans)

    @property
    def open_orders(self) -> int:
        """Orders that can still change."""
        return len(self._open())

    def order_status(self, order_id: int) -> OrderStatus | None:
        """Status of an order; None when it is unknown or long over."""
        known = self._orders.get(order_id)
        return known[1].status if known else None

    def on_plan(self, head: np.void, legs: Rows, now_ns: int) -> None:
        """Take a PLAN message: PLAN_HEAD and its PLAN_LEG records."""
        self.begin_plan(head, legs, now_ns)
        self.end_plan()

    def begin_plan(self, head: np.void, legs: Rows, now_ns: int) -> None:
        """Take a PLAN message, as far as others have to see of it: that is in ``out``.

        ``end_plan`` has to follow before anything else is asked, when ``out`` has been handed on.
        """
        self._begin()
        self.counts.plans += 1
        content = head.tobytes()
        plan_id = int(head["plan_id"])
        if self._may_leave_at_once(plan_id) and self._departure.leave(content, legs, now_ns):
            self._sender.sent += len(legs)
        else:
            self._take(Plan(record_of(content, PLAN_HEAD), []), legs, now_ns)

    def end_plan(self) -> None:
        """Remember what has left."""
        plan = self._departure.plan()
        if plan is not None:
            self._plans[plan.plan_id] = plan
            for order in plan.orders:
                self._watch(plan, order)
            self._due_ns = None

    def _may_leave_at_once(self, plan_id: int) -> bool:
        """Whether nothing but the plan itself, and the gate, may keep its orders from leaving together."""
        if self._config.leg_order != _ALL_AT_ONCE or self._stands_still or self._is_stopping:
            return False
        if self.knows_plan(plan_id) or len(self._plans) >= self._config.plans_open_max:
            return False
        return not any(plan.unsent for plan in self._plans.values())  # what they wait for is theirs

    def _take(self, plan: Plan, legs: Rows, now_ns: int) -> None:
        """The long way: read the legs, round them, ask about each; or say why not."""
        taken = plan.legs
        reason = self._refusal(plan.asked, legs, taken, now_ns)
        if reason != _NONE:
            self.counts.refused_plans += 1
            if plan.plan_id in self._plans:  # its end will be told, and nothing may be let go before
                self._tell_decision(plan, list(legs), reason, now_ns)
            else:
                self._tell_end(plan, list(legs), reason, now_ns)
            return
        self._worker.prepare(plan)
        self._names.name([leg.slot for leg in taken])
        self._journal.append(_PLAN, plan.head)
        for leg in taken:
            self._journal.append(_PLAN_LEG, kept_leg(plan, leg))
        self._plans[plan.plan_id] = plan
        self._advance(plan, now_ns)

    def knows_plan(self, plan_id: int) -> bool:
        """Whether the plan was taken or refused before."""
        return plan_id in self._plans or plan_id in self._old_plans

    def restore(self, past: Past, now_ns: int) -> None:
        """Take over what an earlier run left, and stand still: ``on_time`` asks about each order in doubt.

        To be called once, before anything else.
        """
        self._begin()
        self._stands_still = True
        self._settled |= past.settled
        self._names.restore(past.markets)
        self._orders |= past.orders
        for plan_id in past.ends:
            self._forget_plan(plan_id)
        for plan in past.plans.values():
            if plan.plan_id in past.ends:
                self._forget_orders(plan)
            elif len(plan.legs) < plan.asked.n_legs:  # died while it was written down
                self._tell_done(plan, _RESTARTED, 0, now_ns)
                self._forget_plan(plan.plan_id)
            else:
                self._plans[plan.plan_id] = plan
                for order in plan.orders:
                    self._doubt(order, now_ns)

    def go_on(self, now_ns: int) -> None:
        """End standing still: plans that are not done are worked off to a known position."""
        self._stands_still = False
        self._due_ns = None
        for plan in self._plans.values():
            plan.wake_ns = now_ns

    def stop(self, now_ns: int) -> None:
        """Open nothing more: plans are refused, legs that were not sent stay unsent, what rests is cancelled.

        The open plans end as they do otherwise; that there are none says ``open_plans``.
        """
        self._is_stopping = True
        self._due_ns = None
        for plan in self._plans.values():
            if plan.unsent and plan.stopped == _NONE:
                plan.stopped = _PAUSED
                plan.wake_ns = now_ns
            for order in plan.orders:
                if not order.is_final and rests(order) and order.status != _SENT:
                    order.check_ns = min(order.check_ns, now_ns)

    @property
    def is_resolved(self) -> bool:
        """Whether no order is open and no trade can still fail."""
        return not self._open()

    def _doubt(self, order: TrackedOrder, now_ns: int) -> None:
        """Nobody listened for a while: what is not final is asked about at once, and reserved meanwhile."""
        if order.is_final:
            return
        if order.status == _JOURNALED:
            order.move(_SEND)
        if order.status not in TERMINAL:
            order.move(_LOSE)
            self.counts.unknown += 1
        order.sent_ns = now_ns  # it may have left at the last moment
        order.check_ns = now_ns
        self._sender.restore(order)

    def on_report(self, report: np.void, now_ns: int) -> None:
        """Take one VENUE_REPORT."""
        self._begin()
        facts = report_facts(report)
        if facts.kind == _SETTLED:
            self._on_settled(report, now_ns)
            return
        known = self._orders.get(facts.order_id)
        if known is None:
            self.counts.unknown_orders += 1
            return
        plan, order = known
        verdict = order.judge(facts, now_ns, self._config.late_window_ns)
        if verdict == _REPEATED:
            self.counts.repeated_reports += 1
        elif verdict == _ILLEGAL:
            self.counts.illegal_reports += 1
            if not order.is_final:  # something is missing on our side
                order.check_ns = min(order.check_ns, now_ns + self._config.late_window_ns)
        else:
            self.counts.overfills += verdict == _OVERFILL
            self._believe(plan, order, report, facts, now_ns)
            self._settle_known(now_ns)

    def on_time(self, now_ns: int) -> None:
        """Do what is due: ask about silent orders, cancel what outlived its plan, try unwinds again."""
        self._begin()
        for plan in list(self._plans.values()):
            if not self.out.has_room:
                return  # still due: the next call goes on here
            for order in [order for order in plan.orders if order.check_ns <= now_ns]:
                self._check(plan, order, now_ns)
            if plan.wake_ns <= now_ns:
                plan.wake_ns = INT64_MAX
                self._advance(plan, now_ns)

    def next_due_ns(self) -> int:
        """When ``on_time`` has something to do; INT64_MAX when nothing waits.

        Asked at every turn, and another answer only after something has happened.
        """
        due = self._due_ns
        if due is None:
            due = INT64_MAX
            for plan in self._plans.values():
                due = min(due, plan.wake_ns, *(order.check_ns for order in plan.orders))
            self._due_ns = due
        return due

    def _begin(self) -> None:
        self.end_plan()
        self._due_ns = None
        self.out.clear()
        self.finished.clear()

    def _refusal(self, head: HeadFacts, legs: Rows, taken: list[Leg], now_ns: int) -> Reason:
        if self.knows_plan(head.plan_id):
            return _DUPLICATE_INTENT
        if self._stands_still:
            return _RESTARTED
        if self._is_stopping:
            return _PAUSED
        if len(self._plans) >= self._config.plans_open_max:
            return _OPEN_ORDER_LIMIT
        if now_ns > head.deadline_ns:
            return _DEADLINE
        if head.n_legs != len(legs):
            return _TOO_MANY_LEGS
        reason = read_legs(self._catalog, legs, taken)
        return _ORDER_RATE if reason == _NONE and self._is_promised(taken) else reason

    def _is_promised(self, legs: Sequence[Leg]) -> bool:
        """Whether a plan under way in waves needs the orders that a venue of ``legs`` lets leave next."""
        if self._config.leg_order != _ALL_AT_ONCE:
            return False
        venues = {leg.venue for leg in legs}
        return any(
            plan.orders and plan.stopped == _NONE and any(leg.venue in venues for leg in plan.unsent)
            for plan in self._plans.values()
        )

    # --- what venues say ---

    def _believe(
        self, plan: Plan, order: TrackedOrder, report: np.void, facts: ReportFacts, now_ns: int
    ) -> None:
        kind = facts.kind
        self._journal.append(_REPORT, report)
        order.apply(facts)
        order.questions = 0
        if kind == _FILLED and order.reserved:
            self._gate.on_fill(order.order_id, facts.fill_size_e6)
        if kind == _UNKNOWN:
            self.counts.unknown += 1
        trade = facts if kind in _TRADES else None
        self.out.add_event(order_event(order, plan, Reason(facts.reason), now_ns, trade))
        if order.is_closed:
            self._sender.release(order)
        order.check_ns = next_check_ns(self._catalog, self._config, plan, order, now_ns)
        if self._is_stopping and rests(order) and order.status in _STANDING:
            order.check_ns = now_ns  # it came to stand after ``stop``
        self._advance(plan, now_ns)

    def _on_settled(self, report: np.void, now_ns: int) -> None:
        key = int(report["venue"]), int(report["slot"]), int(report["generation"])
        if key in self._settled:
            self.counts.repeated_reports += 1
            return
        self._settled.add(key)
        self._settlements.append(np.array([report], report.dtype)[0])
        self._settle_known(now_ns)

    def _settle_known(self, now_ns: int) -> None:
        """Take over payments of markets in which nothing of ours is open any more.

        A payment that overtakes a fill would be of a position we do not know yet: it waits.
        """
        waiting, self._settlements = self._settlements, []
        for report in waiting:
            venue, slot = int(report["venue"]), int(report["slot"])
            if any(self._may_change(order, venue, slot) for order in self._open()):
                self._settlements.append(report)
                continue
            self._journal.append(_REPORT, report)
            self.out.add_event(payment_event(report, now_ns))
            for plan in list(self._plans.values()):
                legs = [leg for leg in plan.legs if leg.slot == slot]
                for leg in legs:
                    leg.is_settled = True
                if legs:
                    self._advance(plan, now_ns)

    def _open(self) -> list[TrackedOrder]:
        return [order for plan in self._plans.values() for order in plan.orders if not order.is_final]

    def _may_change(self, order: TrackedOrder, venue: int, slot: int) -> bool:
        """Whether the order can still move our position in a market; a conversion moves its whole group."""
        if order.asked.venue != venue:
            return False
        return order.asked.slot == slot or order.role == _CONVERT

    # --- silence ---

    def _check(self, plan: Plan, order: TrackedOrder, now_ns: int) -> None:
        """Nothing was heard of an order for too long."""
        config = self._config
        if order.status in (_SENT, _ACKED, _PARTLY_FILLED):
            was_resting = rests(order) and order.status != _SENT
            if was_resting and order.questions == 0:
                self._ask(order, now_ns)  # its time is over: a cancel it must answer
                return
            order.move(_LOSE)
            self.counts.unknown += 1
            self.out.add_event(order_event(order, plan, _VENUE_UNKNOWN, now_ns))
            order.check_ns = max(now_ns, order.sent_ns + config.late_window_ns)
            if order.check_ns > now_ns:
                return
        self._ask(order, now_ns)

    def _ask(self, order: TrackedOrder, now_ns: int) -> None:
        self.counts.questions += 1
        self._sender.send_cancel(order, now_ns)
        order.check_ns = now_ns + question_wait_ns(self._config, order.questions)
        order.questions += 1

    # --- the end ---

    def _advance(self, plan: Plan, now_ns: int) -> None:
        if self._stands_still:
            return
        self._worker.advance(plan, now_ns)
        self._end_if_done(plan, now_ns)

    def _watch(self, plan: Plan, order: TrackedOrder) -> None:
        self._orders[order.order_id] = plan, order
        order.check_ns = next_check_ns(self._catalog, self._config, plan, order, order.sent_ns)

    def _end_if_done(self, plan: Plan, now_ns: int) -> None:
        if plan.state == _DONE and plan.plan_id in self._plans:
            self._finish(plan, now_ns)

    def _finish(self, plan: Plan, now_ns: int) -> None:
        result = plan.result()
        self.finished.append(result)
        legs = [leg.record for leg in plan.legs]
        if any(order.status != _DENIED for order in plan.orders) or not plan.orders:
            self._tell_end(plan, legs, result.reason, now_ns, result.sets_e6)
        else:  # the gate has told its decision already
            self._tell_done(plan, result.reason, 0, now_ns)
        del self._plans[plan.plan_id]
        self._forget_plan(plan.plan_id)
        self._forget_orders(plan)

    def _forget_plan(self, plan_id: int) -> None:
        """Keep its id for a while, so that it is not worked off twice."""
        self._old_plans[plan_id] = None
        if len(self._old_plans) > PLANS_KEPT_MAX:
            del self._old_plans[next(iter(self._old_plans))]

    def _forget_orders(self, plan: Plan) -> None:
        """Keep its orders for a while, so that what is said of them again is known to be old."""
        self._old_orders.extend(order.order_id for order in plan.orders)
        while len(self._old_orders) > ORDERS_KEPT_MAX:
            del self._orders[self._old_orders.popleft()]

    def _tell_end(
        self,
        plan: Plan,
        legs: Sequence[np.void],
        reason: Reason,
        now_ns: int,
        sets_e6: int = 0,
    ) -> None:
        self._tell_decision(plan, legs, reason, now_ns, sets_e6)
        self._tell_done(plan, reason, sets_e6, now_ns)

    def _tell_decision(
        self, plan: Plan, legs: Sequence[np.void], reason: Reason, now_ns: int, sets_e6: int = 0
    ) -> None:
        if legs:
            made = decision(plan.head, legs, _EXECUTION, reason, sets_e6, now_ns)
            self.out.add_decision(made)

    def _tell_done(self, plan: Plan, reason: Reason, sets_e6: int, now_ns: int) -> None:
        event = plan_event(plan, reason, sets_e6, now_ns)
        self._journal.append(_EVENT, event)
        self.out.add_event(event)
