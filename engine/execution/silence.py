"""How long to wait for word of an order, and what the waiting means."""

from __future__ import annotations

from typing import Final

from engine.catalog.catalog import Catalog
from engine.execution.config import ExecutionConfig
from engine.execution.order import TERMINAL
from engine.execution.plan import Plan
from engine.execution.tracked import Role, TrackedOrder
from engine.records import OrderStatus, TimeInForce
from engine.units import INT64_MAX

# Members by names of their own: to find one in its enum takes as long as to read a field of a record.
_SENT, _UNKNOWN = OrderStatus.SENT, OrderStatus.UNKNOWN
_CONVERT: Final = Role.CONVERT

DOUBLINGS_MAX: Final = 32
_RESTING_TIFS = (TimeInForce.GTC, TimeInForce.GTC_POST_ONLY)


def rests(order: TrackedOrder) -> bool:
    """Whether the order may stand in the book, so that silence about it is no surprise."""
    return order.role != _CONVERT and order.asked.tif in _RESTING_TIFS


def next_check_ns(
    catalog: Catalog, config: ExecutionConfig, plan: Plan, order: TrackedOrder, now_ns: int
) -> int:
    """When to look after an order just sent, or of which something was just heard; INT64_MAX never."""
    if order.is_final:
        return INT64_MAX
    if order.is_closed:
        return now_ns + config.confirm_timeout_ns
    if order.status == _UNKNOWN:
        return max(now_ns, order.sent_ns + config.late_window_ns)
    if order.status in TERMINAL:
        return now_ns + config.ack_timeout_ns  # a fill is missing: it may be on its way
    if order.role == _CONVERT:
        return now_ns + config.convert_timeout_ns
    if rests(order) and order.status != _SENT:
        return max(plan.asked.deadline_ns, now_ns)
    delay_ns = int(catalog.rows[order.asked.slot]["taker_delay_ns"])
    return now_ns + config.ack_timeout_ns + delay_ns


def question_wait_ns(config: ExecutionConfig, questions: int) -> int:
    """Distance to the next question after so many in a row: doubles, up to a bound, without end."""
    return min(config.ack_timeout_ns << min(questions, DOUBLINGS_MAX), config.question_max_ns)
