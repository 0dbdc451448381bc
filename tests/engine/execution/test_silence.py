from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.execution.config import ExecutionConfig
from engine.execution.plan import Plan
from engine.execution.silence import next_check_ns, question_wait_ns, rests
from engine.execution.tracked import Role, TrackedOrder, Trade
from engine.records import ORDER_REQUEST, PLAN_HEAD, OrderStatus, TimeInForce
from engine.units import INT64_MAX
from tests.engine.sim.world import POLY, S, catalog_of

CATALOG = catalog_of(POLY, replace(POLY, symbol="slow", taker_delay_ns=3 * S))
CONFIG = ExecutionConfig(
    ack_timeout_ns=2 * S,
    late_window_ns=15 * S,
    confirm_timeout_ns=30 * S,
    convert_timeout_ns=120 * S,
    question_max_ns=20 * S,
)
NOW, SENT, DEADLINE = 100 * S, 99 * S, 107 * S
ST = OrderStatus


def check(
    status: OrderStatus,
    *,
    tif: TimeInForce = TimeInForce.FAK,
    role: Role = Role.LEG,
    slot: int = 0,
    ended: int = 0,
    trade: bool = False,
) -> int:
    head: np.void = np.zeros(1, PLAN_HEAD)[0]
    head["deadline_ns"] = DEADLINE
    request: np.void = np.zeros(1, ORDER_REQUEST)[0]
    request["tif"], request["slot"] = tif, slot
    order = TrackedOrder(request, role, 0, confirms=True, status=status, ended_e6=ended, sent_ns=SENT)
    if trade:
        order.trades[1] = Trade((slot, 1, 0), True, 1, 1, 0)
    return next_check_ns(CATALOG, CONFIG, Plan(head, []), order, NOW)


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        (check(ST.SENT), NOW + 2 * S),
        (check(ST.SENT, slot=1), NOW + 5 * S),  # the market's taker delay on top
        (check(ST.ACKED), NOW + 2 * S),
        (check(ST.PARTLY_FILLED), NOW + 2 * S),
        (check(ST.SENT, tif=TimeInForce.GTC), NOW + 2 * S),
        (check(ST.ACKED, tif=TimeInForce.GTC), DEADLINE),
        (check(ST.PARTLY_FILLED, tif=TimeInForce.GTC_POST_ONLY), DEADLINE),
        (check(ST.UNKNOWN), SENT + 15 * S),
        (check(ST.UNKNOWN, tif=TimeInForce.GTC), SENT + 15 * S),
        (check(ST.SENT, role=Role.CONVERT), NOW + 120 * S),
        (check(ST.ACKED, role=Role.CONVERT, tif=TimeInForce.GTC), NOW + 120 * S),
        (check(ST.CANCELLED, ended=5), NOW + 2 * S),  # a fill is missing
        (check(ST.FILLED, trade=True), NOW + 30 * S),  # a confirmation is
        (check(ST.FILLED), INT64_MAX),
        (check(ST.DENIED), INT64_MAX),
    ],
)
def test_how_long_to_wait(wait: int, expected: int) -> None:
    assert wait == expected


def test_questions_come_ever_more_rarely_and_never_end() -> None:
    waits = [question_wait_ns(CONFIG, questions) for questions in (0, 1, 2, 3, 4, 40, 10_000)]
    assert waits == [2 * S, 4 * S, 8 * S, 16 * S, 20 * S, 20 * S, 20 * S]


def test_only_orders_for_the_book_rest() -> None:
    for tif in TimeInForce:
        request: np.void = np.zeros(1, ORDER_REQUEST)[0]
        request["tif"] = tif
        expected = tif in (TimeInForce.GTC, TimeInForce.GTC_POST_ONLY)
        assert rests(TrackedOrder(request, Role.LEG, 0, confirms=False)) is expected
        assert not rests(TrackedOrder(request, Role.CONVERT, 0, confirms=False))
