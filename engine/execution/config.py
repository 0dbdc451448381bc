"""How the executor works off a plan: order of legs, patience, bounds of unwinding."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from engine.records import LEGS_MAX
from engine.typed_tree import bounded
from engine.units import NS_PER_MS, NS_PER_S, PRICE_ONE_E4

_HOUR_NS = 3_600 * NS_PER_S


class LegOrder(IntEnum):
    """How the legs of a plan are sent."""

    ALL_AT_ONCE = 0  # checked together, sent together
    LEAST_LIQUID_FIRST = 1  # one by one, each as large as the smallest before it was filled


@dataclass(frozen=True, slots=True)
class ExecutionConfig:
    """Bounds of execution. Times in ns.

    ``ack_timeout_ns``: silence after which a sent order is UNKNOWN.
    ``late_window_ns``: age an order must have before "no such order" is believed, and questions start;
    longer than the slowest request can be on its way.
    ``question_max_ns``: questions about an unanswered order double their distance up to this, and never
    end.
    ``confirm_timeout_ns``, ``convert_timeout_ns``: when to ask about a trade or conversion that is not
    final.
    ``unwind_attempts_max``, ``unwind_retry_ns``, ``unwind_loss_max_e4``: how often, how far apart, and
    how much worse than the average price paid a surplus may be sold.
    """

    leg_order: LegOrder = LegOrder.ALL_AT_ONCE
    ack_timeout_ns: int = bounded(2 * NS_PER_S, NS_PER_MS, _HOUR_NS)
    late_window_ns: int = bounded(15 * NS_PER_S, NS_PER_MS, _HOUR_NS)
    question_max_ns: int = bounded(60 * NS_PER_S, NS_PER_MS, _HOUR_NS)
    confirm_timeout_ns: int = bounded(30 * NS_PER_S, NS_PER_MS, _HOUR_NS)
    convert_timeout_ns: int = bounded(120 * NS_PER_S, NS_PER_MS, _HOUR_NS)
    unwind_attempts_max: int = bounded(5, 0, 100)
    unwind_retry_ns: int = bounded(NS_PER_S, NS_PER_MS, _HOUR_NS)
    unwind_loss_max_e4: int = bounded(300, 0, PRICE_ONE_E4)
    plans_open_max: int = bounded(64, 1, 4 * LEGS_MAX)

    def __post_init__(self) -> None:
        if self.late_window_ns < self.ack_timeout_ns:
            raise ValueError("late_window_ns is below ack_timeout_ns: no order is late before it is unknown")
        if self.question_max_ns < self.ack_timeout_ns:
            raise ValueError("question_max_ns is below ack_timeout_ns, the distance of the first question")
