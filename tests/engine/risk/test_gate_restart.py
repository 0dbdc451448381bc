"""What a gate takes over from the one before it."""

from __future__ import annotations

from engine.reasons import Reason
from engine.records import Venue
from tests.engine.risk.test_gate import CONTRACT, DOLLAR, EPOCH, NOW, Desk


def test_what_must_outlive_the_process_is_taken_over_and_latches_nothing_again() -> None:
    before, after = Desk(), Desk()
    before.gate.set_equity(11_000 * DOLLAR)
    before.gate.stop(Reason.DRAWDOWN)
    before.gate.halt(Reason.DAILY_LOSS)
    after.gate.restore_words(before.gate.risk_words())
    assert after.gate.halted
    assert after.gate.stopped_by is Reason.DRAWDOWN
    assert after.gate.risk_words() == before.gate.risk_words()
    assert after.gate.risk_words().equity_peak_micros == 11_000 * DOLLAR
    assert after.latched == []
    assert after.ask() is Reason.HALTED


def test_every_latch_is_told_once() -> None:
    desk, more = Desk(), list[Reason]()
    desk.gate.also_latch(more.append)
    for _ in range(2):
        desk.gate.stop(Reason.DRAWDOWN)
        desk.gate.halt(Reason.HALTED)
    assert more == desk.latched == [Reason.DRAWDOWN, Reason.HALTED]


def test_an_order_of_an_earlier_run_is_reserved_and_given_back_as_any_other() -> None:
    desk = Desk()
    old = desk.order()
    desk.gate.restore(old, 50 * DOLLAR)
    assert desk.gate.reserved_micros(Venue.POLYMARKET) == 50 * DOLLAR
    assert int(desk.gate.state["open_orders"]) == 1
    desk.gate.on_fill(int(old["order_id"]), 40 * CONTRACT)
    assert desk.gate.reserved_micros(Venue.POLYMARKET) == 30 * DOLLAR
    desk.gate.release(int(old["order_id"]))
    assert desk.gate.reserved_micros(Venue.POLYMARKET) == 0
    assert desk.gate.check(old, EPOCH, 50 * DOLLAR, NOW) is Reason.DUPLICATE_INTENT
    assert desk.ask() is Reason.NONE


def test_restoring_an_older_order_takes_no_id_back() -> None:
    desk = Desk()
    old, newer = desk.order(), desk.order()
    desk.gate.restore(newer, DOLLAR)
    desk.gate.restore(old, DOLLAR)
    assert int(desk.gate.state["last_order_id"]) == int(newer["order_id"])
