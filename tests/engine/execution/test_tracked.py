from __future__ import annotations

import numpy as np
import pytest

from engine.execution.order import OrderInput
from engine.execution.tracked import Role, TrackedOrder, TradeState, Verdict
from engine.facts import report_facts
from engine.reasons import Reason
from engine.records import ORDER_REQUEST, VENUE_REPORT, OrderStatus, ReportKind
from engine.units import INT64_MAX
from tests.engine.sim.world import S

LATE = 15 * S
NEWS, REPEATED, ILLEGAL, OVERFILL = Verdict.NEWS, Verdict.REPEATED, Verdict.ILLEGAL, Verdict.OVERFILL


def order(size: int = 100, *, confirms: bool = False, status: OrderStatus = OrderStatus.SENT) -> TrackedOrder:
    request: np.void = np.zeros(1, ORDER_REQUEST)[0]
    request["order_id"], request["size_e6"] = 9, size
    return TrackedOrder(request, Role.LEG, 0, confirms, status)


def report(kind: ReportKind, **fields: int) -> np.void:
    row: np.void = np.zeros(1, VENUE_REPORT)[0]
    row["kind"], row["order_id"] = kind, 9
    for name, value in fields.items():
        row[name] = value
    return row


def fill(size: int, trade: int, **fields: int) -> np.void:
    return report(
        ReportKind.FILLED, fill_size_e6=size, trade_id=trade, cash_micros=size // 2, fee_micros=1, **fields
    )


def tell(one: TrackedOrder, said: np.void, now_ns: int = 0) -> Verdict:
    verdict = one.judge(report_facts(said), now_ns, LATE)
    if verdict in (NEWS, OVERFILL):
        one.apply(report_facts(said))
    return verdict


def test_fills_add_up_and_end_the_order() -> None:
    one = order()
    assert tell(one, report(ReportKind.ACKED)) == NEWS
    assert tell(one, report(ReportKind.ACKED)) == REPEATED
    assert tell(one, fill(40, 1)) == NEWS
    assert (one.status, one.filled_e6, one.is_closed) == (OrderStatus.PARTLY_FILLED, 40, False)
    assert tell(one, fill(40, 1)) == REPEATED
    assert tell(one, fill(60, 2)) == NEWS
    assert (one.status, one.net_e6, one.cash_micros) == (OrderStatus.FILLED, 100, 50)
    assert one.is_closed
    assert one.is_final


def test_a_cancel_that_overtakes_its_fills_leaves_the_order_open_for_them() -> None:
    one = order()
    assert tell(one, report(ReportKind.CANCELLED, remaining_e6=30)) == NEWS
    assert (one.status, one.is_closed) == (OrderStatus.CANCELLED, False)
    assert tell(one, fill(50, 1)) == NEWS
    assert tell(one, fill(20, 2)) == NEWS
    assert (one.status, one.is_closed, one.filled_e6) == (OrderStatus.CANCELLED, True, 70)
    assert tell(one, report(ReportKind.CANCELLED, remaining_e6=30)) == REPEATED


@pytest.mark.parametrize("kind", [ReportKind.REJECTED, ReportKind.EXPIRED, ReportKind.CANCELLED])
def test_an_end_without_fills_closes(kind: ReportKind) -> None:
    one = order()
    assert tell(one, report(kind, remaining_e6=100)) == NEWS
    assert one.is_closed
    assert tell(one, report(ReportKind.UNKNOWN)) == REPEATED


def test_more_than_was_ordered_is_believed_and_named() -> None:
    one = order()
    tell(one, fill(100, 1))
    assert tell(one, fill(5, 2)) == OVERFILL
    assert (one.status, one.filled_e6, one.is_closed) == (OrderStatus.FILLED, 105, True)
    one = order()
    assert tell(one, fill(101, 1)) == OVERFILL
    one = order()
    tell(one, report(ReportKind.CANCELLED, remaining_e6=90))
    assert tell(one, fill(11, 1)) == OVERFILL
    one = order()
    tell(one, report(ReportKind.REJECTED, remaining_e6=100))
    assert tell(one, fill(11, 1)) == OVERFILL


def test_what_the_venue_says_after_silence_is_believed() -> None:
    for said, status in (
        (fill(100, 1), OrderStatus.FILLED),
        (fill(10, 1), OrderStatus.PARTLY_FILLED),
        (report(ReportKind.ACKED), OrderStatus.ACKED),
        (report(ReportKind.CANCELLED, remaining_e6=100), OrderStatus.CANCELLED),
        (report(ReportKind.REJECTED, reason=Reason.FOK_UNFILLED, remaining_e6=100), OrderStatus.REJECTED),
    ):
        one = order(status=OrderStatus.UNKNOWN)
        assert tell(one, said) == NEWS
        assert one.status == status


def test_no_such_order_is_believed_only_of_an_old_unknown_one_without_trades() -> None:
    unheard = report(ReportKind.REJECTED, reason=Reason.VENUE_UNKNOWN, remaining_e6=100)
    assert tell(order(), unheard, 10**15) == ILLEGAL
    one = order(status=OrderStatus.UNKNOWN)
    one.sent_ns = S
    assert tell(one, unheard, S + LATE - 1) == ILLEGAL
    assert tell(one, unheard, S + LATE) == NEWS
    one = order()
    tell(one, fill(10, 1))
    tell(one, report(ReportKind.UNKNOWN))
    assert tell(one, unheard, 10**15) == ILLEGAL
    done = order(status=OrderStatus.FILLED)
    assert tell(done, unheard, 10**15) == REPEATED


def test_a_refusal_of_our_own_identity_says_nothing_of_the_order() -> None:
    assert tell(order(), report(ReportKind.REJECTED, reason=Reason.VENUE_DUPLICATE)) == ILLEGAL


def test_trades_are_final_when_confirmed_or_void() -> None:
    one = order(confirms=True)
    tell(one, fill(60, 1))
    tell(one, fill(40, 2))
    assert one.is_closed
    assert not one.is_final
    assert tell(one, report(ReportKind.CONFIRMED, trade_id=1)) == NEWS
    assert tell(one, report(ReportKind.CONFIRMED, trade_id=1)) == REPEATED
    assert tell(one, report(ReportKind.FAILED, trade_id=2)) == NEWS
    assert tell(one, report(ReportKind.CONFIRMED, trade_id=2)) == REPEATED
    assert one.is_final
    assert (one.filled_e6, one.net_e6, one.cash_micros) == (100, 60, 30)
    assert one.trades[2].state == TradeState.FAILED


def test_settlement_of_a_trade_we_have_not_seen_cannot_be_used() -> None:
    for kind in (ReportKind.CONFIRMED, ReportKind.FAILED):
        assert tell(order(), report(kind, trade_id=5)) == ILLEGAL


def test_nothing_is_believed_of_an_order_that_never_left() -> None:
    for status in (OrderStatus.DENIED, OrderStatus.JOURNALED):
        assert tell(order(status=status), fill(1, 1)) == ILLEGAL
        assert tell(order(status=status), report(ReportKind.ACKED)) == ILLEGAL
    assert tell(order(), report(ReportKind.BALANCE)) == ILLEGAL


def test_a_conversion_is_done_when_all_its_lines_are_here_in_any_order() -> None:
    one = order()
    for trade in (3, 1):
        said = report(ReportKind.CONVERTED, trade_id=trade, fill_size_e6=100, remaining_e6=3, slot=trade)
        assert tell(one, said) == NEWS
        assert tell(one, said) == REPEATED
        assert not one.is_closed
    assert tell(one, report(ReportKind.CONVERTED, trade_id=2, fill_size_e6=100, remaining_e6=3)) == NEWS
    assert one.is_final
    assert one.filled_e6 == 100


def test_an_impossible_step_of_ours_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="SIGN cannot follow SENT"):
        order().move(OrderInput.SIGN)


def test_of_a_new_order_nothing_has_been_heard_or_asked() -> None:
    made = TrackedOrder(np.zeros(1, ORDER_REQUEST)[0], Role.LEG, 0, confirms=False)
    assert (made.filled_e6, made.ended_e6, made.lines, made.sent_ns, made.questions) == (0, 0, 0, 0, 0)
    assert (made.status, made.check_ns, made.trades) == (OrderStatus.INTENT, INT64_MAX, {})
