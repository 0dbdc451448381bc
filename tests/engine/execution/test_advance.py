"""What the worker adds to the plan's table; whole plans are in test_executor."""

from __future__ import annotations

from engine.execution.config import ExecutionConfig, LegOrder
from engine.reasons import Reason
from engine.records import OrderStatus
from engine.sim.clearing import SettlementTimes
from tests.engine.execution.floor import BUY, NO, YES, Floor
from tests.engine.sim.world import KALSHI, ONE, POLY, S

CROSS = [(0, BUY, YES, 5000), (1, BUY, NO, 4800)]


def floor(**more: object) -> Floor:
    made = Floor(POLY, KALSHI, **more)  # type: ignore[arg-type]
    made.show(0, bids=[(4900, 500 * ONE)], asks=[(5000, 100 * ONE)])
    made.show(1, bids=[(5200, 100 * ONE)], asks=[(5300, 500 * ONE)])
    return made


def test_a_book_is_refreshed_before_it_is_read() -> None:
    made = floor(config=ExecutionConfig(leg_order=LegOrder.LEAST_LIQUID_FIRST), times=SettlementTimes(0, 0))
    seen: list[tuple[int, int]] = []
    made.executor._worker._refresh = lambda venue, slot: seen.append((venue, slot))
    made.plan(CROSS, 50 * ONE)
    assert seen == [(1, 0), (2, 1)] * 2  # for the way back, and for the order of the legs
    made.show(1)
    made.run()
    assert made.result().reason in (Reason.UNWOUND, Reason.LEG_MISSED)
    unwinds = [r for r in made.orders() if int(r["direction"]) != BUY]
    assert len(seen) == 4 + len(unwinds)


def test_equal_depth_keeps_the_plans_order() -> None:
    made = floor(config=ExecutionConfig(leg_order=LegOrder.LEAST_LIQUID_FIRST))
    made.plan(CROSS[::-1], 50 * ONE)
    assert [int(r["slot"]) for r in made.orders()] == [1]


def test_a_later_leg_too_small_for_its_venue_is_not_sent() -> None:
    made = floor(config=ExecutionConfig(leg_order=LegOrder.LEAST_LIQUID_FIRST))
    made.show(1, bids=[(5200, 3 * ONE)], asks=[(5300, 500 * ONE)])  # Polymarket wants five
    made.plan(CROSS, 50 * ONE)
    made.run()
    made.assert_done()
    assert [int(r["slot"]) for r in made.orders()] == [1, 1]
    assert (made.result().reason, made.result().positions) == (Reason.UNWOUND, ())


def test_unwinds_are_a_retry_apart_and_bounded() -> None:
    made = floor(
        config=ExecutionConfig(unwind_attempts_max=3, unwind_retry_ns=2 * S), times=SettlementTimes(0, 0)
    )
    made.show(1)
    made.plan(CROSS, 50 * ONE)
    made.gate.answer = lambda request: Reason.BOOK_NOT_LIVE
    made.run()
    denied = [int(e["event_ns"]) for e in made.events if int(e["status"]) == OrderStatus.DENIED]
    assert [later - denied[0] for later in denied] == [0, 2 * S, 4 * S]
    assert made.result().reason == Reason.UNWIND_FAILED
    made.assert_done()


def test_no_attempts_means_no_unwind() -> None:
    made = floor(config=ExecutionConfig(unwind_attempts_max=0))
    made.show(1)
    made.plan(CROSS, 50 * ONE)
    made.run()
    made.assert_done()
    assert len(made.orders()) == 2
    assert made.result().surplus == (((0, 1, 0), 50 * ONE),)
