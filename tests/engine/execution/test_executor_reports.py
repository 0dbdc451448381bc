"""What the executor makes of silence, repetition, late word and nonsense."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.execution import executor
from engine.ledger.journal import EntryKind
from engine.reasons import Reason
from engine.records import (
    OrderStatus,
    ReportKind,
    RequestKind,
    Venue,
)
from engine.sim.clearing import SettlementTimes
from engine.sim.faults import Fault
from tests.engine.execution.floor import BUY, CROSS, YES, Floor, cross, last_decision, script
from tests.engine.sim.world import KALSHI, ONE, POLY, S


def test_a_lost_answer_is_unknown_then_asked_for_and_believed() -> None:
    floor = cross(faults=script(1, Fault.LOSE_REPORT))
    floor.plan(CROSS, 100 * ONE)
    floor.run(10 * S)
    assert floor.executor.counts.unknown == 1
    assert floor.gate.open, "unknown keeps its reservation"
    assert OrderStatus.UNKNOWN in [floor.executor.order_status(int(r["order_id"])) for r in floor.orders()]
    floor.run()
    floor.assert_done()
    assert floor.result().reason == Reason.NONE
    assert len(floor.orders(RequestKind.CANCEL)) == 1


def test_a_lost_request_is_believed_gone_only_after_the_late_window() -> None:
    floor = cross(faults=script(1, Fault.LOSE_REQUEST))
    sent_ns = floor.now_ns
    floor.plan(CROSS, 100 * ONE)
    floor.run(until=lambda: bool(floor.orders(RequestKind.CANCEL)))
    assert int(floor.orders(RequestKind.CANCEL)[0]["request_ns"]) == sent_ns + 15 * S
    assert floor.executor.open_plans == 1
    floor.run()
    floor.assert_done()
    assert floor.result().reason == Reason.UNWOUND
    assert floor.position(0) == (0, 0)


def test_a_late_fill_after_unknown_counts_once() -> None:
    floor = cross(faults=script(1, Fault.DELAY | Fault.DUPLICATE))
    floor.plan(CROSS, 100 * ONE)
    floor.run()
    floor.assert_done()
    assert floor.executor.counts.unknown >= 1
    assert floor.executor.counts.repeated_reports >= 1
    assert floor.result().reason == Reason.NONE


def test_a_void_trade_reopens_nothing_and_what_it_matched_is_unwound() -> None:
    floor = cross(faults=script(1, Fault.FAIL_TRADE, Venue.POLYMARKET))
    floor.plan(CROSS, 100 * ONE)
    floor.run()
    floor.assert_done()
    assert floor.position(0) == (0, 0)
    assert floor.position(1) == (0, 0)
    assert floor.result().reason == Reason.UNWOUND
    [void] = [e for e in floor.events if int(e["reason"]) == Reason.SETTLEMENT_FAILED]
    assert (int(void["fill_size_e6"]), int(void["cash_micros"]), int(void["fee_micros"])) == (
        -100 * ONE,
        -50_000_000,
        -1_000_000,
    )


def test_a_market_that_settles_under_a_plan_ends_its_leg_as_cash() -> None:
    floor = cross(times=SettlementTimes(0, 0))
    floor.show(1)
    floor.show(0, bids=[(4000, ONE)], asks=[(5000, 100 * ONE)])  # no way out
    floor.plan(CROSS, 100 * ONE)
    floor.venues[Venue.POLYMARKET].settle(0, 3_333, floor.now_ns + S)
    floor.run()
    assert floor.executor.open_plans == 0
    floor.assert_books_agree()
    assert floor.position(0) == (0, 0)
    assert floor.result().surplus == ()


def test_reports_about_others_and_nonsense_are_counted_and_change_nothing() -> None:
    floor = cross()
    floor.plan(CROSS, 100 * ONE)
    report = np.array(floor.venues[Venue.KALSHI].advance(floor.now_ns))
    floor.run(until=lambda: floor.executor.open_orders == 1)
    kalshi = floor.orders()[1]
    known = next(
        e for e in floor.journal.of(EntryKind.REPORT) if int(e["order_id"]) == int(kalshi["order_id"])
    )
    stranger = np.array([known])[0]
    stranger["order_id"] = 12345
    floor.hear(stranger)
    assert floor.executor.counts.unknown_orders == 1
    void = np.array([known])[0]
    void["kind"], void["trade_id"] = ReportKind.FAILED, 999
    floor.hear(void)
    balance = np.array([known])[0]
    balance["kind"] = ReportKind.BALANCE
    floor.hear(balance)
    assert floor.executor.counts.illegal_reports == 2
    floor.hear(known)
    assert floor.executor.counts.repeated_reports == 1
    assert len(report) == 0
    floor.run()
    floor.assert_done()


def test_an_overfill_is_believed_and_counted() -> None:
    floor = cross()
    floor.plan(CROSS, 100 * ONE)
    floor.run(until=lambda: floor.executor.open_orders == 1)
    kalshi = floor.orders()[1]
    known = next(
        e for e in floor.journal.of(EntryKind.REPORT) if int(e["order_id"]) == int(kalshi["order_id"])
    )
    more = np.array([known])[0]
    more["trade_id"], more["fill_size_e6"], more["cash_micros"] = 777, 10 * ONE, 4_800_000
    floor.hear(more)
    assert floor.executor.counts.overfills == 1
    assert floor.position(1) == (0, 110 * ONE)


def test_a_delayed_market_is_given_its_delay_before_it_is_called_unknown() -> None:
    floor = Floor(replace(POLY, taker_delay_ns=30 * S), times=SettlementTimes(0, 0))
    floor.show(0, bids=[(4900, 500 * ONE)], asks=[(5000, 100 * ONE)])
    floor.plan([(0, BUY, YES, 5000)], 10 * ONE)
    floor.run()
    floor.assert_done()
    assert floor.executor.counts.unknown == 0


def test_a_silent_venue_is_asked_ever_less_often_and_never_given_up() -> None:
    floor = cross()
    floor.plan(CROSS, 10 * ONE)
    for sim in floor.venues.values():
        sim.advance(floor.now_ns + S)  # read and thrown away
    floor.venues = {venue: Floor(POLY, KALSHI).venues[venue] for venue in Venue}  # strangers who know nothing
    for sim in floor.venues.values():
        sim.on_request = lambda request, now_ns: None  # type: ignore[method-assign]
    floor.run(3_000 * S)
    asked = [
        int(r["request_ns"]) for r in floor.orders(RequestKind.CANCEL) if int(r["venue"]) == Venue.KALSHI
    ]
    waits = np.diff(asked)
    assert waits[0] == 2 * S
    assert list(waits) == sorted(waits)
    assert set(waits[6:]) == {60 * S}
    assert floor.executor.open_plans == 1
    assert len(floor.gate.open) == 2


def test_work_that_does_not_fit_one_call_goes_on_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    floor = cross()
    for _ in range(3):
        floor.plan(CROSS, 10 * ONE)
    for sim in floor.venues.values():
        sim.advance(floor.now_ns + 5 * S)  # read and thrown away
    late = floor.now_ns + 20 * S
    monkeypatch.setattr(type(floor.executor.out), "has_room", property(lambda out: out.n_events < 1))
    lost: list[int] = []
    while floor.executor.next_due_ns() <= late and len(lost) < 20:
        floor.executor.on_time(late)
        lost.append(floor.executor.out.n_events)
    assert [n for n in lost if n] == [2, 2, 2]


def test_finished_orders_and_plans_are_forgotten_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "ORDERS_KEPT_MAX", 2)
    monkeypatch.setattr(executor, "PLANS_KEPT_MAX", 1)
    floor = cross()
    for _ in range(2):
        floor.plan(CROSS, 10 * ONE)
        floor.run()
    floor.assert_done()
    known = [floor.executor.order_status(int(r["order_id"])) for r in floor.orders()]
    assert known == [None, None, OrderStatus.FILLED, OrderStatus.FILLED]
    floor._next_plan = 1
    floor.plan(CROSS, 10 * ONE)
    assert last_decision(floor)[1] == Reason.DUPLICATE_INTENT


def test_a_payment_that_overtakes_a_fill_waits_for_it() -> None:
    floor = cross(faults=script(1, Fault.LOSE_REPORT, Venue.POLYMARKET), times=SettlementTimes(0, 0))
    floor.plan(CROSS, 100 * ONE)
    floor.venues[Venue.POLYMARKET].settle(0, 10_000, floor.now_ns + S)
    floor.run(5 * S)
    assert ReportKind.SETTLED not in [int(r["kind"]) for r in floor.journal.of(EntryKind.REPORT)]
    floor.run()
    assert int(floor.journal.of(EntryKind.REPORT)[-1]["kind"]) == ReportKind.SETTLED
    assert [int(e["slot"]) for e in floor.events if not int(e["plan_id"])] == [0], "the payment is told"
    floor.assert_books_agree()
    assert floor.position(0) == (0, 0)


def test_a_payment_is_taken_over_once() -> None:
    floor = cross(times=SettlementTimes(0, 0))
    floor.plan(CROSS, 100 * ONE)
    floor.run()
    floor.venues[Venue.POLYMARKET].settle(0, 10_000, floor.now_ns + S)
    floor.run()
    paid = floor.journal.of(EntryKind.REPORT)[-1]
    floor.hear(paid)
    assert floor.executor.counts.repeated_reports == 1
    floor.assert_books_agree()


def test_silence_is_asked_about_ever_more_rarely_and_every_question_is_counted() -> None:
    floor = cross()
    floor.plan(CROSS, 100 * ONE)
    executor, began_ns = floor.executor, floor.now_ns
    times = []
    for _ in range(8):  # nobody answers: the venues' clock stands still
        times.append((executor.next_due_ns() - began_ns) // S)
        executor.on_time(executor.next_due_ns())
    assert times == [2, 15, 17, 21, 29, 45, 77, 137]
    assert (executor.counts.unknown, executor.counts.questions) == (2, 2 * 7)
    assert executor.counts.plans == 1
