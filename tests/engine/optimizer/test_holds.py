from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.catalog.groups import NO_GROUP
from engine.optimizer.holds import Hold, Holds, Inventory
from engine.records import Outcome, Venue

YES, NO = int(Outcome.YES), int(Outcome.NO)
KALSHI, POLYMARKET = int(Venue.KALSHI), int(Venue.POLYMARKET)


def purchase(venue: int, slot: int, group: int, micros: int, orders: int = 1) -> Hold:
    hold = Hold(orders)
    hold.add_purchase(venue, slot, group, micros)
    return hold


def sale(slot: int, outcome: int, size_e6: int) -> Hold:
    hold = Hold(1)
    hold.add_sale(slot, outcome, size_e6)
    return hold


def test_nothing_is_free_before_a_balance_is_known() -> None:
    holds = Holds()
    assert holds.free_cash_micros(KALSHI) == 0
    assert holds.market_exposure_micros(3) == 0
    assert holds.event_exposure_micros(3) == 0
    assert holds.held_e6(3, YES) == 0
    assert holds.for_sale_e6(3, NO) == 0
    assert len(holds) == 0


def test_a_purchase_is_held_at_its_venue_its_market_and_its_event() -> None:
    holds = Holds()
    holds.set_cash(KALSHI, 100)
    holds.set_cash(POLYMARKET, 50)
    holds.add(1, purchase(KALSHI, slot=3, group=9, micros=30))
    assert holds.free_cash_micros(KALSHI) == 70
    assert holds.free_cash_micros(POLYMARKET) == 50
    assert holds.market_exposure_micros(3) == 30
    assert holds.market_exposure_micros(9) == 0
    assert holds.event_exposure_micros(9) == 30
    assert holds.event_exposure_micros(3) == 0
    assert (len(holds), holds.total.orders) == (1, 1)


def test_a_market_outside_any_group_has_no_event() -> None:
    holds = Holds()
    holds.add(1, purchase(KALSHI, 3, NO_GROUP, 30))
    assert holds.event_exposure_micros(NO_GROUP) == 0
    assert holds.market_exposure_micros(3) == 30


def test_purchases_of_one_plan_add_up() -> None:
    hold = purchase(KALSHI, 3, 9, 30)
    hold.add_purchase(KALSHI, 3, 9, 5)
    hold.add_purchase(POLYMARKET, 4, 9, 7)
    assert hold.cash_micros == {KALSHI: 35, POLYMARKET: 7}
    assert hold.market_micros == {3: 35, 4: 7}
    assert hold.event_micros == {9: 42}


def test_a_balance_may_fall_below_what_is_held() -> None:
    holds = Holds()
    holds.set_cash(KALSHI, 100)
    holds.add(1, purchase(KALSHI, 3, 9, 80))
    holds.set_cash(KALSHI, 20)
    assert holds.free_cash_micros(KALSHI) == -60


def test_inventory_for_sale_is_what_no_plan_is_selling() -> None:
    holds = Holds()
    holds.set_position(3, 9, yes_e6=10, no_e6=4, cost_micros=6)
    holds.add(1, sale(3, YES, 7))
    assert holds.held_e6(3, YES) == 10
    assert holds.for_sale_e6(3, YES) == 3
    assert holds.for_sale_e6(3, NO) == 4
    assert holds.total.selling_e6 == {Inventory(3, YES): 7}
    holds.release(1)
    assert holds.for_sale_e6(3, YES) == 10
    assert not holds.total.selling_e6


def test_positions_count_as_exposure_and_are_replaced_not_added() -> None:
    holds = Holds()
    holds.set_position(3, 9, 10, 0, 6)
    holds.set_position(4, 9, 10, 0, 5)
    holds.add(1, purchase(KALSHI, 3, 9, 100))
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
    holds = Holds()
    holds.set_cash(KALSHI, 100)
    holds.add(1, purchase(KALSHI, 3, 9, 30, orders=2))
    assert holds.release(2) is False
    assert holds.free_cash_micros(KALSHI) == 70
    assert holds.release(1) is True
    assert holds.release(1) is False
    assert (holds.free_cash_micros(KALSHI), holds.total.orders, len(holds)) == (100, 0, 0)


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
    holds = Holds()
    for plan_id, (venue, slot, group, micros, size) in enumerate(plans):
        hold = purchase(venue, slot, group, micros)
        hold.add_sale(slot, NO, size)
        holds.add(plan_id, hold)
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
    assert holds.total.orders == len(live) == len(holds)
    if not live:  # counters do not grow with plans that are done
        assert not any((holds.total.cash_micros, holds.total.market_micros, holds.total.event_micros))
