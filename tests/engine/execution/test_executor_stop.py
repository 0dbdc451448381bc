"""An executor that is told to stop opens nothing more, and brings what is open to its end."""

from __future__ import annotations

from engine.execution.config import ExecutionConfig, LegOrder
from engine.reasons import Reason
from engine.records import DecisionStage, RequestKind, TimeInForce
from engine.sim.clearing import SettlementTimes
from tests.engine.execution.floor import BUY, CROSS, NO, YES, Floor, cross, last_decision
from tests.engine.sim.world import MS, ONE, S


def stop(floor: Floor) -> None:
    floor.executor.stop(floor.now_ns)


def test_a_plan_is_refused_and_its_end_told() -> None:
    floor = cross()
    stop(floor)
    floor.plan(CROSS, 10 * ONE)
    floor.assert_done()
    assert floor.orders() == []
    assert last_decision(floor) == (DecisionStage.EXECUTION, Reason.PAUSED, 0)
    assert int(floor.events[-1]["plan_done"]) == 1


def test_orders_in_flight_are_waited_for() -> None:
    floor = cross(times=SettlementTimes(3 * S, 3 * S))
    floor.plan(CROSS, 10 * ONE)
    stop(floor)
    floor.run(2 * S)
    assert floor.executor.open_plans == 1
    floor.run(2 * S)
    floor.assert_done()
    assert (floor.result().reason, floor.result().sets_e6) == (Reason.NONE, 10 * ONE)


def test_what_rests_is_cancelled_at_once_and_not_at_its_deadline() -> None:
    floor = cross()
    floor.plan([(0, BUY, YES, 4900), (1, BUY, NO, 4700)], 50 * ONE, tif=TimeInForce.GTC)
    floor.run(S)
    assert [sim.resting_orders() for sim in floor.venues.values()] == [1, 1]
    stop(floor)
    floor.run(100 * MS)
    floor.assert_done()
    assert len(floor.orders(RequestKind.CANCEL)) == 2
    assert [sim.resting_orders() for sim in floor.venues.values()] == [0, 0]


def test_an_order_that_comes_to_rest_later_is_cancelled_then() -> None:
    floor = cross()
    floor.plan([(0, BUY, YES, 4900), (1, BUY, NO, 4700)], 50 * ONE, tif=TimeInForce.GTC)
    stop(floor)  # nothing was heard of them yet: a cancel could overtake them
    assert floor.orders(RequestKind.CANCEL) == []
    floor.run(S)  # its deadline is much later
    floor.assert_done()
    assert [sim.resting_orders() for sim in floor.venues.values()] == [0, 0]


def test_legs_that_were_not_sent_stay_unsent_and_the_others_are_sold_again() -> None:
    floor = cross(config=ExecutionConfig(leg_order=LegOrder.LEAST_LIQUID_FIRST))
    floor.plan(CROSS, 100 * ONE)
    assert len(floor.orders()) == 1
    stop(floor)
    floor.run()
    floor.assert_done()
    assert {int(order["slot"]) for order in floor.orders()} == {int(floor.orders()[0]["slot"])}
    assert floor.result().positions == ()
