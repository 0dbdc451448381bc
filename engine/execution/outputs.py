"""What the executor hands on: requests, events, decisions; filled in place, cleared by the next call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.execution.plan import Leg, Plan
from engine.execution.tracked import TrackedOrder
from engine.facts import EventFacts, ReportFacts, event_bytes, offset_of, packing_of, record_of
from engine.ids import IDENTITY_BYTES
from engine.ledger.journal import KEPT_LEG, MARKET, SYMBOL_BYTES
from engine.reasons import Reason
from engine.records import (
    DECISION,
    LEGS_MAX,
    ORDER_EVENT,
    ORDER_REQUEST,
    DecisionStage,
    OrderStatus,
    ReportKind,
)

# Members by names of their own: to find one in its enum takes as long as to read a field of a record.
_CANCELLED, _FILLED = OrderStatus.CANCELLED, OrderStatus.FILLED
_NONE: Final = Reason.NONE
_FAILED: Final = ReportKind.FAILED

REQUESTS_MAX: Final = 4 * LEGS_MAX
EVENTS_MAX: Final = 16 * LEGS_MAX
DECISIONS_MAX: Final = 4 * LEGS_MAX
_NO_TIMES: Final = bytes(offset_of(ORDER_REQUEST, "order_id"))  # what comes before it
_IDENTITY_AT: Final = offset_of(ORDER_REQUEST, "identity")
_LOW_BITS: Final = 2**31 - 1
_RESTARTED: Final = int(Reason.RESTARTED)
_KEPT: Final = packing_of(KEPT_LEG)
_NOTHING: Final = EventFacts(*(0 for _ in EventFacts._fields))

Rows = npt.NDArray[np.void]


@dataclass(slots=True)
class ExecutorCounts:
    """What should be rare."""

    plans: int = 0
    refused_plans: int = 0
    repeated_reports: int = 0
    illegal_reports: int = 0
    overfills: int = 0
    unknown_orders: int = 0  # reports about orders that are not ours, or long forgotten
    unknown: int = 0  # orders that became UNKNOWN
    questions: int = 0


class Outputs:
    """``requests[:n_requests]``, ``events[:n_events]``, ``decisions[:n_decisions]`` of the last call."""

    def __init__(self) -> None:
        self.requests: Rows = np.zeros(REQUESTS_MAX, ORDER_REQUEST)
        self.events: Rows = np.zeros(EVENTS_MAX, ORDER_EVENT)
        self.decisions: Rows = np.zeros(DECISIONS_MAX, DECISION)
        self._requests, self._events = self.requests.view(np.uint8).data, self.events.view(np.uint8).data
        self.n_requests = 0
        self.n_events = 0
        self.n_decisions = 0

    def clear(self) -> None:
        """Forget what was handed on."""
        self.n_requests = self.n_events = self.n_decisions = 0

    @property
    def has_room(self) -> bool:
        """Whether one more plan can take any single step without reaching a bound."""
        return (
            self.n_requests + 2 * LEGS_MAX <= REQUESTS_MAX
            and self.n_events + 4 * LEGS_MAX <= EVENTS_MAX
            and self.n_decisions + 2 * LEGS_MAX <= DECISIONS_MAX
        )

    def add_request(self, request: np.void) -> None:
        """Send a request."""
        _put(self._requests, self.n_requests, request)
        self.n_requests += 1

    def intent(self, index: int) -> bytes:
        """Intent of a request that is laid out and has no name yet (``engine.ids.name_of_order``)."""
        first, size = index * ORDER_REQUEST.itemsize, ORDER_REQUEST.itemsize
        return _NO_TIMES + bytes(self._requests[first + len(_NO_TIMES) : first + size])

    def name_request(self, index: int, identity: bytes) -> None:
        """Give a request that is laid out the name by which its venue will know it."""
        first = index * ORDER_REQUEST.itemsize + _IDENTITY_AT
        self._requests[first : first + IDENTITY_BYTES] = identity

    def add_event(self, event: np.void) -> None:
        """Tell of an order or plan."""
        _put(self._events, self.n_events, event)
        self.n_events += 1

    def add_decision(self, decision: np.void) -> None:
        """Tell why."""
        self.decisions[self.n_decisions] = decision
        self.n_decisions += 1


def _put(rows: memoryview, index: int, record: np.void) -> None:
    """Copy a record into a row: as bytes, in a fraction of the time that an assignment takes."""
    rows[index * record.nbytes : (index + 1) * record.nbytes] = record.tobytes()


def order_event(
    order: TrackedOrder, plan: Plan, reason: Reason, now_ns: int, trade: ReportFacts | None = None
) -> np.void:
    """ORDER_EVENT of an order's present status.

    ``trade``: of a FILLED, CONVERTED or FAILED report; a void trade comes with every sign turned.
    """
    asked = order.asked
    facts = EventFacts(
        asked.recv_ns,
        now_ns,
        asked.order_id,
        asked.plan_id,
        plan.asked.signal_id,
        asked.size_e6,
        order.filled_e6,
        0,
        0,
        0,
        asked.slot,
        asked.generation,
        asked.price_e4,
        reason,
        order.status,
        asked.venue,
        asked.direction,
        asked.outcome,
        asked.tif,
        asked.leg,
        0,
        0,
    )
    if trade is not None:
        facts = _with_trade(facts, trade)
    return record_of(event_bytes(facts), ORDER_EVENT)


def _with_trade(facts: EventFacts, trade: ReportFacts) -> EventFacts:
    sign = -1 if trade.kind == _FAILED else 1
    return facts._replace(
        fill_size_e6=sign * trade.fill_size_e6,
        cash_micros=sign * trade.cash_micros,
        fee_micros=sign * trade.fee_micros,
        slot=trade.slot,
        generation=trade.generation,
        direction=trade.direction,
        outcome=trade.outcome,
        maker=trade.maker,
        price_e4=trade.price_e4,
    )


def plan_event(plan: Plan, reason: Reason, filled_e6: int, now_ns: int) -> np.void:
    """ORDER_EVENT with ``plan_done``: the plan holds no cash any more. ``order_id`` 0; sizes are sets."""
    asked = plan.asked
    facts = _NOTHING._replace(
        recv_ns=asked.recv_ns,
        event_ns=now_ns,
        plan_id=asked.plan_id,
        signal_id=asked.signal_id,
        size_e6=asked.size_e6,
        filled_e6=filled_e6,
        slot=asked.slot,
        reason=reason,
        status=_FILLED if reason == _NONE else _CANCELLED,
        plan_done=1,
    )
    return record_of(event_bytes(facts), ORDER_EVENT)


def payment_event(report: np.void, now_ns: int) -> np.void:
    """ORDER_EVENT of no order and no plan: a market has paid, position and cash are others now."""
    event: np.void = np.zeros(1, ORDER_EVENT)[0]
    for name in ("recv_ns", "venue", "slot", "generation", "price_e4", "cash_micros"):
        event[name] = report[name]
    event["event_ns"] = now_ns
    return event


def moves_position(event: np.void) -> bool:
    """Whether an ORDER_EVENT says that the position in its market changed: by a trade, or a payment."""
    is_payment = not (int(event["order_id"]) or int(event["plan_id"]) or int(event["plan_done"]))
    return is_payment or bool(event["fill_size_e6"])


def restart_event(now_ns: int) -> np.void:
    """ORDER_EVENT of no order and no plan: the executor is back, and its tables say what was missed."""
    event: np.void = np.zeros(1, ORDER_EVENT)[0]
    event["event_ns"], event["plan_done"], event["reason"] = now_ns, 1, Reason.RESTARTED
    return event


def is_restart(event: np.void) -> bool:
    """Whether an ORDER_EVENT says that the executor is back."""
    return bool(event["plan_done"]) and int(event["plan_id"]) == 0 and int(event["reason"]) == _RESTARTED


def market_name(symbol: str) -> bytes:
    """A market's name as the journal keeps it."""
    return symbol.encode()[:SYMBOL_BYTES]


def market_entry(row: np.void, slot: int, symbol: str) -> np.void:
    """MARKET of a MARKET_ROW, for the journal."""
    entry: np.void = np.zeros(1, MARKET)[0]
    entry["venue"], entry["slot"], entry["generation"] = row["venue"], slot, row["generation"]
    entry["symbol"] = market_name(symbol)
    return entry


def kept_leg(plan: Plan, leg: Leg) -> np.void:
    """KEPT_LEG of a leg of a new plan, for the journal."""
    content = _KEPT.pack(plan.plan_id, leg.size_e6, leg.limit_e4, leg.exit_e4, leg.record.tobytes())
    return record_of(content, KEPT_LEG)


def decision(
    head: np.void, legs: Sequence[np.void], stage: DecisionStage, reason: Reason, size_e6: int, now_ns: int
) -> np.void:
    """DECISION about a plan or one of its orders; the profit is the guaranteed one for ``size_e6``.

    ``legs``: PLAN_LEG records, at least one. Its market is the one that caused the plan, or the first leg's
    when that is none of the legs (a conversion leaves out what nobody bids for).
    """
    made: np.void = np.zeros(1, DECISION)[0]
    for name in ("recv_ns", "signal_id", "plan_id", "relation", "kind"):
        made[name] = head[name]
    trigger = next((leg for leg in legs if int(leg["slot"]) == int(head["slot"])), legs[0])
    for name in ("epoch", "venue", "slot", "generation"):
        made[name] = trigger[name]
    sets = int(head["size_e6"])
    if size_e6 > 0 and sets > 0:
        made["profit_micros"] = int(head["profit_micros"]) * min(size_e6, sets) // sets
    made["decided_ns"] = now_ns
    made["size_e6"] = size_e6
    made["reason"] = reason
    made["stage"] = stage
    made["n_legs"] = min(max(int(head["n_legs"]), 0), 255)
    return made


def name_order(made: np.void, order: TrackedOrder) -> None:
    """Say which order a DECISION is about."""
    made["order_id_low"] = order.order_id & _LOW_BITS
    for name in ("slot", "generation", "venue"):
        made[name] = order.request[name]
