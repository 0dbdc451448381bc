from __future__ import annotations

import itertools

import numpy as np
import pytest

from engine.execution.plan import (
    PLAN_TRANSITIONS,
    Leg,
    Plan,
    PlanInput,
    PlanState,
    opposite,
    plan_step,
)
from engine.execution.tracked import Role, Token, TrackedOrder, Trade, TradeState
from engine.reasons import Reason
from engine.records import ORDER_REQUEST, PLAN_HEAD, PLAN_LEG, Direction, OrderStatus, Outcome, Venue
from tests.engine.sim.world import DOLLAR, ONE

BUY, SELL, YES, NO = Direction.BUY, Direction.SELL, Outcome.YES, Outcome.NO
P, E = PlanState, PlanInput

EXPECTED = {
    (P.LEGS, E.CLOSED): P.SETTLING,
    (P.SETTLING, E.FINAL): P.UNWINDING,
    (P.SETTLING, E.FINAL_SETS): P.CONVERTING,
    (P.CONVERTING, E.CONVERTED): P.SELLING,
    (P.CONVERTING, E.NOT_CONVERTED): P.UNWINDING,
    (P.SELLING, E.FINAL): P.UNWINDING,
    (P.UNWINDING, E.BALANCED): P.DONE,
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(PlanState, PlanInput)))
def test_every_pair(state: PlanState, event: PlanInput) -> None:
    assert plan_step(state, event) == EXPECTED.get((state, event))


def test_done_is_the_only_end_and_no_plan_returns() -> None:
    assert {state for state, _ in PLAN_TRANSITIONS} == set(PlanState) - {PlanState.DONE}
    assert all(after > state for (state, _), after in PLAN_TRANSITIONS.items())


def leg(
    index: int,
    direction: Direction = BUY,
    outcome: Outcome = YES,
    *,
    venue: Venue = Venue.POLYMARKET,
    use: int = 0,
) -> Leg:
    record: np.void = np.zeros(1, PLAN_LEG)[0]
    record["slot"], record["generation"], record["venue"] = index, 1, venue
    record["direction"], record["outcome"], record["convert"] = direction, outcome, use
    return Leg(record, index, 5000, 10 * ONE)


def traded(
    role: Role, *trades: tuple[Token, bool, int, int], status: OrderStatus = OrderStatus.FILLED
) -> TrackedOrder:
    request: np.void = np.zeros(1, ORDER_REQUEST)[0]
    request["size_e6"] = sum(size for _, _, size, _ in trades)
    order = TrackedOrder(request, role, 0, confirms=True, status=status)
    for number, (token, buys, size, cash) in enumerate(trades):
        order.trades[number] = Trade(token, buys, size, cash, 7, TradeState.CONFIRMED)
        order.filled_e6 += size
    return order


def plan_of(*legs: Leg) -> Plan:
    head: np.void = np.zeros(1, PLAN_HEAD)[0]
    head["plan_id"] = 4
    return Plan(head, list(legs))


def give(plan: Plan, to: Leg, order: TrackedOrder) -> None:
    (to.unwinds if order.role == Role.UNWIND else to.orders).append(order)
    plan.orders.append(order)


def test_surplus_is_what_exceeds_the_smallest_leg() -> None:
    first, second = leg(0), leg(1, outcome=NO)
    plan = plan_of(first, second)
    give(plan, first, traded(Role.LEG, (first.token, True, 9 * ONE, 4 * DOLLAR)))
    give(plan, second, traded(Role.LEG, (second.token, True, 6 * ONE, 3 * DOLLAR)))
    assert (plan.sets_e6, plan.surplus_e6(first), plan.surplus_e6(second)) == (6 * ONE, 3 * ONE, 0)
    give(plan, first, traded(Role.UNWIND, (first.token, False, 3 * ONE, DOLLAR)))
    assert plan.surplus_e6(first) == 0
    result = plan.result()
    assert (result.reason, result.sets_e6) == (Reason.UNWOUND, 6 * ONE)
    assert result.positions == (((0, 1, 0), 6 * ONE), ((1, 1, 1), 6 * ONE))
    assert (result.cash_micros, result.fees_micros) == (-6 * DOLLAR - 21, 21)


def test_a_void_trade_counts_for_nothing() -> None:
    only = leg(0)
    plan = plan_of(only)
    order = traded(Role.LEG, (only.token, True, 10 * ONE, 5 * DOLLAR))
    order.trades[0].state = TradeState.FAILED
    give(plan, only, order)
    assert plan.result().positions == ()
    assert plan.result().cash_micros == 0
    assert plan.result().reason == Reason.LEG_MISSED


def test_a_plan_that_sells_is_short_of_what_it_sold() -> None:
    only = leg(0, SELL)
    plan = plan_of(only)
    give(plan, only, traded(Role.LEG, (only.token, False, 10 * ONE, 5 * DOLLAR)))
    assert plan.result().positions == (((0, 1, 0), -10 * ONE),)
    assert plan.result().reason == Reason.NONE


def test_pairs_become_dollars_where_the_venue_nets() -> None:
    for venue, positions, cash in (
        (Venue.KALSHI, (((0, 1, 0), 6 * ONE),), -DOLLAR),
        (Venue.POLYMARKET, (((0, 1, 0), 10 * ONE), ((0, 1, 1), 4 * ONE)), -5 * DOLLAR),
    ):
        only = leg(0, venue=venue)
        plan = plan_of(only)
        give(plan, only, traded(Role.LEG, (only.token, True, 10 * ONE, 4 * DOLLAR)))
        give(plan, only, traded(Role.UNWIND, ((0, 1, int(NO)), True, 4 * ONE, DOLLAR)))
        result = plan.result()
        assert result.positions == positions
        assert result.cash_micros == cash - 14


def converted(plan: Plan, size: int, status: OrderStatus = OrderStatus.FILLED) -> None:
    plan.conversion = traded(Role.CONVERT, ((9, 1, 0), True, size, 0), status=status)
    if status != OrderStatus.FILLED:
        plan.conversion.filled_e6 = 0
    plan.orders.append(plan.conversion)


def test_a_conversion_uses_up_the_sets_and_owes_their_yes() -> None:
    first, second, sale = leg(0, outcome=NO, use=1), leg(1, outcome=NO, use=1), leg(2, SELL, use=2)
    plan = plan_of(first, second, sale)
    assert (plan.mains, plan.sales, plan.converts) == ([first, second], [sale], True)
    for one, size in ((first, 10), (second, 8)):
        give(plan, one, traded(Role.LEG, (one.token, True, size * ONE, 5 * DOLLAR)))
    assert plan.surplus_e6(second) == 8 * ONE  # nothing is converted yet
    converted(plan, 8 * ONE)
    assert (plan.converted_e6, plan.surplus_e6(first), plan.surplus_e6(second)) == (8 * ONE, 2 * ONE, 0)
    assert plan.surplus_e6(sale) == 8 * ONE
    give(plan, sale, traded(Role.SALE, (sale.token, False, 5 * ONE, DOLLAR)))
    give(plan, sale, traded(Role.UNWIND, (sale.token, False, 3 * ONE, DOLLAR)))
    assert plan.surplus_e6(sale) == 0


def test_a_refused_conversion_leaves_every_leg_over() -> None:
    first = leg(0, outcome=NO, use=1)
    plan = plan_of(first)
    give(plan, first, traded(Role.LEG, (first.token, True, 10 * ONE, 5 * DOLLAR)))
    converted(plan, 10 * ONE, OrderStatus.REJECTED)
    assert (plan.converted_e6, plan.surplus_e6(first)) == (0, 10 * ONE)


def test_a_settled_leg_has_no_surplus() -> None:
    first, second = leg(0), leg(1)
    plan = plan_of(first, second)
    give(plan, first, traded(Role.LEG, (first.token, True, 9 * ONE, 4 * DOLLAR)))
    assert plan.surplus_e6(first) == 9 * ONE
    first.is_settled = True
    assert plan.surplus_e6(first) == 0


def test_entry_is_the_average_paid_or_the_limit() -> None:
    first = leg(0)
    assert first.entry_e4 == 5000
    give(plan_of(first), first, traded(Role.LEG, (first.token, True, 3 * ONE, DOLLAR)))
    assert first.entry_e4 == 3333


@pytest.mark.parametrize(("attempts", "reason"), [(0, Reason.PARTLY_FILLED), (1, Reason.UNWIND_FAILED)])
def test_a_surplus_nobody_could_trade_back_is_dust_or_a_failure(attempts: int, reason: Reason) -> None:
    first, second = leg(0), leg(1)
    plan = plan_of(first, second)
    give(plan, first, traded(Role.LEG, (first.token, True, 9 * ONE, 4 * DOLLAR)))
    give(plan, second, traded(Role.LEG, (second.token, True, 8 * ONE, 4 * DOLLAR)))
    first.attempts = attempts
    assert plan.result().reason == reason
    assert plan.result().surplus == (((0, 1, 0), ONE),)


def test_a_plan_that_traded_nothing_says_why() -> None:
    plan = plan_of(leg(0))
    assert plan.result().reason == Reason.LEG_MISSED
    plan.stopped = Reason.DEADLINE
    assert plan.result().reason == Reason.DEADLINE


def test_an_impossible_step_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="BALANCED cannot follow LEGS"):
        plan_of(leg(0)).move(PlanInput.BALANCED)


def test_opposites() -> None:
    assert (opposite(BUY), opposite(SELL)) == (SELL, BUY)
