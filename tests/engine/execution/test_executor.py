"""Plans from beginning to end, against simulated venues."""

from __future__ import annotations

import numpy as np
import pytest

from engine.execution.config import ExecutionConfig, LegOrder
from engine.ledger.journal import EntryKind
from engine.reasons import Reason
from engine.records import (
    PLAN_HEAD,
    PLAN_LEG,
    DecisionStage,
    OrderStatus,
    RequestKind,
    Side,
    TimeInForce,
    Venue,
)
from engine.sim.clearing import SettlementTimes
from engine.sim.faults import Fault
from tests.engine.execution.floor import BUY, CROSS, NO, SELL, YES, Floor, cross, last_decision, script
from tests.engine.sim.world import FREE, MS, ONE, S, level, neg_risk


def test_a_complete_plan_holds_whole_sets_and_says_so() -> None:
    floor = cross()
    plan = floor.plan(CROSS, 100 * ONE)
    floor.run()
    floor.assert_done()
    result = floor.result()
    assert (result.plan_id, result.reason, result.sets_e6, result.surplus) == (
        plan,
        Reason.NONE,
        100 * ONE,
        (),
    )
    assert result.positions == (((0, 1, 0), 100 * ONE), ((1, 1, 1), 100 * ONE))
    assert last_decision(floor) == (DecisionStage.EXECUTION, Reason.NONE, 100 * ONE)
    assert int(floor.decisions[-1]["profit_micros"]) == 1_000_000
    done = floor.events[-1]
    assert (int(done["plan_done"]), int(done["signal_id"]), int(done["filled_e6"])) == (1, 1_001, 100 * ONE)
    assert [int(e["plan_done"]) for e in floor.events].count(1) == 1


def test_an_order_is_journaled_before_it_is_sent_and_carries_its_identity() -> None:
    floor = cross()
    floor.plan(CROSS, 10 * ONE)
    kinds = [entry.kind for entry in floor.journal.entries if entry.kind != EntryKind.OPENING]
    plan = [EntryKind.MARKET] * 2 + [EntryKind.PLAN, EntryKind.PLAN_LEG, EntryKind.PLAN_LEG]
    assert kinds == [*plan, EntryKind.INTENT, EntryKind.INTENT, EntryKind.SENT, EntryKind.SENT]
    poly, kalshi = floor.orders()
    assert bytes(kalshi["identity"]).startswith(b"pr3-")
    assert any(poly["identity"])
    assert poly.tobytes() == floor.journal.of(EntryKind.INTENT)[0].tobytes()
    assert [epoch for _, epoch, _ in floor.gate.asked] == [1, 1]
    assert floor.gate.asked[0][2] > 5_000_000


def test_a_plan_is_not_done_before_its_trades_are_final() -> None:
    floor = cross(times=SettlementTimes(3 * S, 3 * S))
    floor.plan(CROSS, 10 * ONE)
    floor.run(2 * S)
    assert floor.executor.open_plans == 1
    assert floor.executor.open_orders == 1  # Kalshi's is final at once
    floor.run(2 * S)
    floor.assert_done()


def test_a_missed_leg_is_unwound_within_the_bounded_loss() -> None:
    floor = cross()
    floor.show(1)  # nobody there
    floor.plan(CROSS, 100 * ONE)
    floor.run()
    floor.assert_done()
    assert (floor.result().reason, floor.result().sets_e6) == (Reason.UNWOUND, 0)
    assert floor.result().positions == ()
    unwind = floor.orders()[-1]
    assert (int(unwind["direction"]), int(unwind["price_e4"]), int(unwind["size_e6"])) == (
        SELL,
        4900,
        100 * ONE,
    )
    assert floor.result().cash_micros == floor.journal.ledger.realised_micros() < 0


def test_a_partial_leg_keeps_whole_sets_and_sells_the_rest() -> None:
    floor = cross()
    floor.show(1, bids=[(5200, 60 * ONE)], asks=[(5300, 500 * ONE)])
    floor.plan(CROSS, 100 * ONE)
    floor.run()
    floor.assert_done()
    assert (floor.result().reason, floor.result().sets_e6) == (Reason.UNWOUND, 60 * ONE)
    assert (floor.position(0), floor.position(1)) == ((60 * ONE, 0), (0, 60 * ONE))
    assert int(floor.decisions[-1]["profit_micros"]) == 600_000


def test_a_surplus_at_kalshi_is_sold_too() -> None:
    floor = cross()
    floor.show(0, bids=[(4900, 500 * ONE)], asks=[(5000, 30 * ONE)])
    floor.plan(CROSS, 100 * ONE)
    floor.run()
    floor.assert_done()
    assert floor.position(1) == (0, 30 * ONE)
    unwind = floor.orders()[-1]
    assert (int(unwind["outcome"]), int(unwind["direction"]), int(unwind["price_e4"])) == (NO, SELL, 4700)


def test_dust_below_the_venues_minimum_stays_and_is_named() -> None:
    floor = cross()
    floor.show(1, bids=[(5200, 97 * ONE)])
    floor.plan(CROSS, 100 * ONE)
    floor.run()
    floor.assert_done()
    assert floor.result().reason == Reason.PARTLY_FILLED
    assert floor.result().surplus == (((0, 1, 0), 3 * ONE),)


def test_an_unwind_that_finds_no_price_is_given_up_and_the_exposure_reported() -> None:
    floor = cross(config=ExecutionConfig(unwind_attempts_max=3, unwind_retry_ns=S))
    floor.show(1)
    floor.plan(CROSS, 100 * ONE)
    floor.show(
        0, bids=[(4600, 500 * ONE)], asks=[(5000, 100 * ONE)]
    )  # moved since, four cents below: too much
    floor.run()
    floor.assert_done()
    assert floor.result().reason == Reason.UNWIND_FAILED
    assert floor.result().surplus == floor.result().positions == (((0, 1, 0), 100 * ONE),)
    assert len(floor.orders()) == 2


def test_an_unwind_goes_as_far_as_the_book_that_the_plan_was_made_on() -> None:
    floor = cross()
    floor.show(0, bids=[(4600, 60 * ONE), (1000, 500 * ONE)], asks=[(5000, 100 * ONE)])
    floor.show(1)
    floor.plan(CROSS, 100 * ONE)
    floor.run()
    floor.assert_done()
    assert floor.result().reason == Reason.UNWOUND
    assert floor.result().positions == ()
    assert int(floor.orders()[-1]["price_e4"]) == 1000


def test_an_unwind_is_tried_again_when_the_market_comes_back() -> None:
    floor = cross(times=SettlementTimes(0, 0))
    floor.show(0, bids=[(4900, 40 * ONE)], asks=[(5000, 100 * ONE)])
    floor.show(1)
    floor.plan(CROSS, 100 * ONE)
    floor.run(500 * MS)
    assert floor.position(0) == (60 * ONE, 0)
    floor.show(0, bids=[(4800, 500 * ONE)])
    floor.run()
    floor.assert_done()
    assert floor.result().reason == Reason.UNWOUND
    assert [int(r["price_e4"]) for r in floor.orders()[2:]] == [4900, 4800]


def test_the_gate_denies_one_leg_and_nothing_is_sent() -> None:
    floor = cross()
    floor.gate.answer = lambda r: Reason.POSITION_LIMIT if int(r["venue"]) == Venue.KALSHI else Reason.NONE
    floor.plan(CROSS, 100 * ONE)
    floor.assert_done()
    assert floor.requests == []
    assert [int(e["status"]) for e in floor.events] == [
        OrderStatus.DENIED,
        OrderStatus.DENIED,
        OrderStatus.CANCELLED,
    ]
    [denied] = floor.decisions
    assert (int(denied["stage"]), int(denied["reason"])) == (DecisionStage.GATE, Reason.POSITION_LIMIT)
    assert int(denied["slot"]) == 1
    assert int(denied["order_id_low"]) == int(floor.journal.of(EntryKind.INTENT)[1]["order_id"]) & (2**31 - 1)
    assert floor.result().reason == Reason.POSITION_LIMIT
    assert [int(e["status"]) for e in floor.journal.of(EntryKind.EVENT)][:2] == [OrderStatus.DENIED] * 2


def test_a_denial_in_the_middle_unwinds_what_was_bought() -> None:
    floor = cross(config=ExecutionConfig(leg_order=LegOrder.LEAST_LIQUID_FIRST))
    floor.gate.answer = lambda r: Reason.HALTED if int(r["venue"]) == Venue.KALSHI else Reason.NONE
    floor.show(0, bids=[(4900, 500 * ONE)], asks=[(5000, 20 * ONE)])
    floor.plan(CROSS, 100 * ONE)
    floor.run()
    floor.assert_done()
    assert floor.result().reason == Reason.UNWOUND
    assert floor.result().positions == ()
    assert [int(d["reason"]) for d in floor.decisions] == [Reason.HALTED, Reason.UNWOUND]


def test_one_by_one_starts_with_the_thinnest_leg_and_never_buys_more_than_it_got() -> None:
    floor = cross(config=ExecutionConfig(leg_order=LegOrder.LEAST_LIQUID_FIRST))
    floor.show(1, bids=[(5200, 40 * ONE)])
    floor.plan(CROSS, 100 * ONE)
    assert [int(r["slot"]) for r in floor.orders()] == [1]
    floor.run()
    floor.assert_done()
    assert [(int(r["slot"]), int(r["size_e6"])) for r in floor.orders()] == [(1, 100 * ONE), (0, 40 * ONE)]
    assert (floor.result().reason, floor.result().sets_e6) == (Reason.PARTLY_FILLED, 40 * ONE)


def test_one_by_one_stops_when_the_first_leg_is_missed() -> None:
    floor = cross(config=ExecutionConfig(leg_order=LegOrder.LEAST_LIQUID_FIRST))
    floor.show(1)
    floor.plan(CROSS, 100 * ONE)
    floor.run()
    floor.assert_done()
    assert (len(floor.orders()), floor.result().reason) == (1, Reason.LEG_MISSED)
    assert floor.result().cash_micros == 0


def test_one_by_one_stops_at_the_deadline_and_unwinds() -> None:
    floor = cross(config=ExecutionConfig(leg_order=LegOrder.LEAST_LIQUID_FIRST))
    floor.plan(CROSS, 100 * ONE, deadline_ns=floor.now_ns + 15 * MS)  # the first answer takes 20 ms
    floor.run()
    floor.assert_done()
    assert len([r for r in floor.orders() if int(r["direction"]) == BUY]) == 1
    assert floor.result().reason == Reason.UNWOUND


@pytest.mark.parametrize("late", [True, False])
def test_a_plan_past_its_deadline_is_refused_whole(late: bool) -> None:
    floor = cross()
    floor.plan(CROSS, 100 * ONE, deadline_ns=floor.now_ns - int(late))
    assert bool(floor.requests) is not late
    if late:
        assert last_decision(floor) == (DecisionStage.EXECUTION, Reason.DEADLINE, 0)
        assert int(floor.events[-1]["plan_done"]) == 1
        assert floor.executor.counts.refused_plans == 1


def test_resting_legs_are_cancelled_at_the_deadline() -> None:
    floor = cross()
    floor.plan([(0, BUY, YES, 4900), (1, BUY, NO, 4700)], 50 * ONE, tif=TimeInForce.GTC)
    floor.run(9 * S)
    assert [sim.resting_orders() for sim in floor.venues.values()] == [1, 1]
    assert all(int(r["expire_ns"]) >= S + 10 * S for r in floor.orders())
    floor.run()
    floor.assert_done()
    assert len(floor.orders(RequestKind.CANCEL)) == 2
    assert floor.result().reason == Reason.LEG_MISSED


def test_a_resting_leg_that_fills_completes_the_plan() -> None:
    floor = cross()
    floor.plan([(0, BUY, YES, 4900), (1, BUY, NO, 4800)], 50 * ONE, tif=TimeInForce.GTC)
    floor.run(S)
    floor.show(0, asks=[(4900, 80 * ONE)])
    floor.run()
    floor.assert_done()
    assert (floor.result().reason, floor.result().sets_e6) == (Reason.NONE, 50 * ONE)


def event(**more: object) -> Floor:
    """Three outcomes, NO of a and b on offer at 0.60, YES of c wanted at 0.25."""
    floor = Floor(*(neg_risk(name, fee=FREE) for name in "abc"), **more)  # type: ignore[arg-type]
    floor.show(0, bids=[(4000, 100 * ONE)], asks=[(4200, 100 * ONE)])
    floor.show(1, bids=[(3800, 100 * ONE)], asks=[(4000, 100 * ONE)])
    floor.show(2, bids=[(2500, 100 * ONE)], asks=[(2600, 100 * ONE)])
    return floor


CONVERT = [(0, BUY, NO, 6000), (1, BUY, NO, 6200)]


def test_a_conversion_comes_after_confirmation_and_its_yes_is_sold() -> None:
    floor = event()
    floor.plan(CONVERT, 100 * ONE, sales=[(2, 2500)], converts=True)
    floor.run(500 * MS)
    assert floor.orders(RequestKind.CONVERT) == []  # matched, not confirmed
    floor.run()
    floor.assert_done()
    [conversion] = floor.orders(RequestKind.CONVERT)
    assert int(conversion["size_e6"]) == 100 * ONE
    assert conversion["identity"].tobytes()[0] == 0b11
    assert floor.result().reason == Reason.NONE
    assert floor.result().cash_micros == 3_000_000  # O7 of the reference: +3.00 for 100 sets
    assert floor.result().positions == ()


def test_a_conversion_that_is_refused_is_unwound() -> None:
    floor = event(faults=script(3, Fault.FAIL_CONVERT, Venue.POLYMARKET))
    floor.plan(CONVERT, 100 * ONE, sales=[(2, 2500)], converts=True)
    floor.run()
    floor.assert_done()
    assert floor.result().reason == Reason.UNWOUND
    assert floor.result().positions == ()


def test_yes_that_lost_its_buyer_is_sold_lower_within_the_bound_or_reported() -> None:
    floor = event(times=SettlementTimes(0, 0, 20 * S, 20 * S))
    floor.plan(CONVERT, 100 * ONE, sales=[(2, 2500)], converts=True)
    floor.run(10 * S)
    floor.show(2, bids=[(2300, 60 * ONE)])
    floor.run()
    floor.assert_done()
    assert floor.result().reason == Reason.UNWIND_FAILED
    assert floor.result().surplus == (((2, 1, 0), 40 * ONE),)
    assert floor.result().sets_e6 == 100 * ONE


def test_a_halt_stops_the_conversion() -> None:
    floor = event()
    floor.plan(CONVERT, 100 * ONE, sales=[(2, 2500)], converts=True)
    floor.gate.halted = True
    floor.run()
    floor.assert_done()
    assert floor.orders(RequestKind.CONVERT) == []
    assert Reason.HALTED in [int(d["reason"]) for d in floor.decisions]


def test_legs_of_unequal_fill_convert_the_smaller_and_sell_the_rest() -> None:
    floor = event()
    floor.show(1, bids=[(3800, 70 * ONE)], asks=[(4000, 100 * ONE)])
    floor.plan(CONVERT, 100 * ONE, sales=[(2, 2500)], converts=True)
    floor.run()
    floor.assert_done()
    assert int(floor.orders(RequestKind.CONVERT)[0]["size_e6"]) == 70 * ONE
    assert (floor.result().reason, floor.result().sets_e6) == (Reason.UNWOUND, 70 * ONE)
    assert floor.result().positions == ()


def test_a_sold_inventory_is_bought_back_when_the_other_half_is_missed() -> None:
    floor = cross(times=SettlementTimes(0, 0))
    floor.plan([(0, BUY, YES, 5000)], 50 * ONE)
    floor.run()
    floor.show(0, bids=[(4900, 500 * ONE)], asks=[(5100, 100 * ONE)])
    floor.show(1)
    floor.plan([(0, SELL, YES, 4900), (1, SELL, NO, 4700)], 50 * ONE)
    floor.run()
    floor.assert_done()
    assert floor.position(0) == (50 * ONE, 0)
    assert [int(r["direction"]) for r in floor.orders()][-1] == BUY


def test_at_kalshi_a_netted_holding_is_unwound_by_buying_the_other_outcome() -> None:
    floor = cross()
    floor.gate.answer = lambda r: (
        Reason.NAKED_SALE if int(r["direction"]) == SELL and int(r["venue"]) == Venue.KALSHI else Reason.NONE
    )
    floor.show(0)
    floor.plan(CROSS, 100 * ONE)
    floor.run()
    floor.assert_done()
    assert floor.position(1) == (0, 0)
    last = floor.orders()[-1]
    assert (int(last["direction"]), int(last["outcome"]), int(last["price_e4"])) == (BUY, YES, 5300)
    assert floor.result().reason == Reason.UNWOUND


def test_the_same_plan_is_never_worked_off_twice() -> None:
    floor = cross()
    plan = floor.plan(CROSS, 10 * ONE)
    for _ in range(2):
        floor._next_plan = plan - 1
        floor.plan(CROSS, 10 * ONE)
        assert last_decision(floor)[1] == Reason.DUPLICATE_INTENT
        floor.run()
    assert len(floor.orders()) == 2
    ends = [int(e["reason"]) for e in floor.events if int(e["plan_done"])]
    assert ends == [Reason.NONE, Reason.DUPLICATE_INTENT], "none while it was open, so that its hold stays"


def test_open_plans_are_bounded() -> None:
    floor = cross(config=ExecutionConfig(plans_open_max=1))
    floor.plan(CROSS, 10 * ONE)
    floor.plan(CROSS, 10 * ONE)
    assert last_decision(floor)[1] == Reason.OPEN_ORDER_LIMIT
    assert (floor.executor.counts.plans, floor.executor.counts.refused_plans) == (2, 1)


def test_a_level_gone_before_arrival_is_a_missed_leg_not_an_error() -> None:
    floor = cross()
    floor.plan(CROSS, 100 * ONE)
    gone = level(1, Side.BID, 5200, 0)
    floor.venues[Venue.KALSHI].on_update(gone, 1, floor.now_ns)
    floor.run()
    floor.assert_done()
    assert floor.result().reason == Reason.UNWOUND


def test_a_head_that_counts_other_legs_is_refused() -> None:
    floor = cross()
    head, legs = np.zeros(1, PLAN_HEAD)[0], np.zeros(1, PLAN_LEG)
    head["plan_id"], head["deadline_ns"], head["n_legs"] = 1, floor.now_ns, 2
    floor.executor.on_plan(head, legs, floor.now_ns)
    assert int(floor.executor.out.decisions[0]["reason"]) == Reason.TOO_MANY_LEGS
    head["n_legs"] = 0
    floor.executor.on_plan(head, legs[:0], floor.now_ns)
    assert (floor.executor.out.n_decisions, floor.executor.out.n_events) == (0, 1)


def test_when_something_is_due_is_looked_for_once_after_each_change() -> None:
    floor = cross()
    floor.plan(CROSS, 10 * ONE)
    executor = floor.executor
    due_ns = executor.next_due_ns()
    [plan] = executor._plans.values()
    plan.wake_ns = due_ns - 1  # which nothing does between two calls
    assert executor.next_due_ns() == due_ns
    executor.stop(floor.now_ns)
    assert executor.next_due_ns() == due_ns - 1
