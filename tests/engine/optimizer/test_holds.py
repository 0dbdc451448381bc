from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.catalog.groups import NO_GROUP
from engine.optimizer.holds import (
    CASH,
    EVENT,
    MARKET,
    ORDERS,
    PARTS_OF_AN_ORDER,
    SELLING,
    USED,
    Holds,
    hold_part,
)
from engine.records import Outcome, Venue

YES, NO = int(Outcome.YES), int(Outcome.NO)
KALSHI, POLYMARKET = int(Venue.KALSHI), int(Venue.POLYMARKET)


def empty(orders: int = 64) -> Holds:
    return Holds(markets=8, orders=orders)


def purchase(holds: Holds, plan_id: int, venue: int, slot: int, group: int, micros: int) -> None:
    """A plan of one order that buys."""
    hold_part(plan_id, ORDERS, 0, 1, holds.held)
    for kind, where in ((CASH, venue), (MARKET, slot), (EVENT, group)):
        if kind != EVENT or where != NO_GROUP:
            hold_part(plan_id, kind, where, micros, holds.held)


def sale(holds: Holds, plan_id: int, slot: int, outcome: int, size_e6: int) -> None:
    hold_part(plan_id, ORDERS, 0, 1, holds.held)
    hold_part(plan_id, SELLING, 2 * slot + outcome, size_e6, holds.held)


def test_nothing_is_free_before_a_balance_is_known() -> None:
    holds = empty()
    assert holds.free_cash_micros(KALSHI) == 0
    assert holds.market_exposure_micros(3) == 0
    assert holds.event_exposure_micros(3) == 0
    assert holds.held_e6(3, YES) == 0
    assert holds.for_sale_e6(3, NO) == 0
    assert len(holds) == 0


def test_a_purchase_is_held_at_its_venue_its_market_and_its_event() -> None:
    holds = empty()
    holds.set_cash(KALSHI, 100)
    holds.set_cash(POLYMARKET, 50)
    purchase(holds, 1, KALSHI, slot=3, group=9, micros=30)
    assert holds.free_cash_micros(KALSHI) == 70
    assert holds.free_cash_micros(POLYMARKET) == 50
    assert holds.market_exposure_micros(3) == 30
    assert holds.market_exposure_micros(7) == 0
    assert holds.event_exposure_micros(9) == 30
    assert holds.event_exposure_micros(3) == 0
    assert (len(holds), holds.orders) == (1, 1)


def test_a_market_outside_any_group_has_no_event() -> None:
    holds = empty()
    purchase(holds, 1, KALSHI, 3, NO_GROUP, 30)
    assert holds.event_exposure_micros(NO_GROUP) == 0
    assert holds.market_exposure_micros(3) == 30


def test_purchases_of_one_plan_add_up_and_end_together() -> None:
    holds = empty()
    for venue, slot, micros in ((KALSHI, 3, 30), (KALSHI, 3, 5), (POLYMARKET, 4, 7)):
        purchase(holds, 1, venue, slot, 9, micros)
    assert [-holds.free_cash_micros(venue) for venue in (KALSHI, POLYMARKET)] == [35, 7]
    assert [holds.held_cash_micros(venue) for venue in (KALSHI, POLYMARKET)] == [35, 7]
    assert [holds.market_exposure_micros(slot) for slot in (3, 4)] == [35, 7]
    assert (holds.event_exposure_micros(9), holds.orders) == (42, 3)
    assert holds.release(1)
    assert [holds.market_exposure_micros(slot) for slot in (3, 4)] == [0, 0]
    assert (holds.event_exposure_micros(9), holds.orders, holds.free_cash_micros(KALSHI)) == (0, 0, 0)


def test_a_balance_may_fall_below_what_is_held() -> None:
    holds = empty()
    holds.set_cash(KALSHI, 100)
    purchase(holds, 1, KALSHI, 3, 9, 80)
    holds.set_cash(KALSHI, 20)
    assert holds.free_cash_micros(KALSHI) == -60


def test_inventory_for_sale_is_what_no_plan_is_selling() -> None:
    holds = empty()
    holds.set_position(3, 9, yes_e6=10, no_e6=4, cost_micros=6)
    sale(holds, 1, 3, YES, 7)
    assert holds.held_e6(3, YES) == 10
    assert holds.for_sale_e6(3, YES) == 3
    assert holds.for_sale_e6(3, NO) == 4
    holds.release(1)
    assert holds.for_sale_e6(3, YES) == 10


def test_positions_count_as_exposure_and_are_replaced_not_added() -> None:
    holds = empty()
    holds.set_position(3, 9, 10, 0, 6)
    holds.set_position(4, 9, 10, 0, 5)
    purchase(holds, 1, KALSHI, 3, 9, 100)
    assert holds.market_exposure_micros(3) == 106
    assert holds.event_exposure_micros(9) == 111
    holds.set_position(3, 9, 2, 0, 1)
    assert holds.market_exposure_micros(3) == 101
    assert holds.event_exposure_micros(9) == 106
    assert holds.held_e6(3, YES) == 2
    holds.set_position(3, 8, 2, 0, 1)  # the market joined another event
    assert holds.event_exposure_micros(9) == 105
    assert holds.event_exposure_micros(8) == 1


def test_a_hold_ends_once() -> None:
    holds = empty()
    holds.set_cash(KALSHI, 100)
    purchase(holds, 1, KALSHI, 3, 9, 30)
    assert holds.release(2) is False
    assert holds.free_cash_micros(KALSHI) == 70
    assert holds.release(1) is True
    assert holds.release(1) is False
    assert (holds.free_cash_micros(KALSHI), holds.orders, len(holds)) == (100, 0, 0)


PLANS = st.lists(
    st.tuples(
        st.sampled_from([KALSHI, POLYMARKET]),
        st.integers(0, 3),
        st.sampled_from([NO_GROUP, 0, 1]),
        st.integers(0, 1_000),
        st.integers(0, 50),
    ),
    max_size=12,
)


@given(PLANS, st.sets(st.integers(0, 11)))
def test_totals_are_the_sum_over_the_plans_in_flight(
    plans: list[tuple[int, int, int, int, int]], done: set[int]
) -> None:
    holds = empty()
    for plan_id, (venue, slot, group, micros, size) in enumerate(plans):
        purchase(holds, plan_id, venue, slot, group, micros)
        hold_part(plan_id, SELLING, 2 * slot + NO, size, holds.held)
    for plan_id in done:
        assert holds.release(plan_id) is (plan_id < len(plans))
    live = [plan for plan_id, plan in enumerate(plans) if plan_id not in done]
    for venue in (KALSHI, POLYMARKET):
        assert -holds.free_cash_micros(venue) == sum(plan[3] for plan in live if plan[0] == venue)
    for slot in range(4):
        assert holds.market_exposure_micros(slot) == sum(plan[3] for plan in live if plan[1] == slot)
        assert -holds.for_sale_e6(slot, NO) == sum(plan[4] for plan in live if plan[1] == slot)
    for group in (0, 1):
        assert holds.event_exposure_micros(group) == sum(plan[3] for plan in live if plan[2] == group)
    assert holds.orders == len(live) == len(holds)
    assert np.count_nonzero(holds.held.plan[:, 0]) == len(live)  # no mark of what is done
    events = {plan[2] for plan in live if plan[2] != NO_GROUP and plan[3]}
    assert np.count_nonzero(holds.held.event[:, 0]) == len(events)


def test_room_is_used_again_and_never_short() -> None:
    orders = 4
    holds = empty(orders)
    for plan_id in range(50):
        purchase(holds, plan_id, KALSHI, plan_id % 8, plan_id, 10)
        if plan_id >= orders - 1:
            assert holds.release(plan_id - orders + 1)
    assert holds.held.state[USED] <= PARTS_OF_AN_ORDER * orders == len(holds.held.part)
    assert holds.held_cash_micros(KALSHI) == 10 * (orders - 1)
