"""Where a plan goes on after its executor died: read off journals cut at every entry."""

from __future__ import annotations

from collections.abc import Callable

from engine.execution.plan import PlanState
from engine.execution.recovery import Past, recover
from engine.execution.tracked import Role
from engine.ledger.journal import Entry, EntryKind
from engine.reasons import Reason
from engine.records import OrderStatus, RequestKind, Venue
from engine.sim.clearing import SettlementTimes
from tests.engine.execution.floor import BUY, CROSS, NO, SELL, Floor, cross
from tests.engine.sim.world import ONE, S, neg_risk


def cuts(floor: Floor) -> list[tuple[Entry, Past]]:
    """Every entry of a finished run, and the past of a journal that ends with it."""
    entries = floor.journal.entries
    return [(entry, recover(entries[: number + 1])) for number, entry in enumerate(entries)]


def states_after(floor: Floor, is_mark: Callable[[Entry], bool]) -> list[PlanState]:
    """States of the only open plan from the first entry that is a mark to its end."""
    found, began = [], False
    for entry, past in cuts(floor):
        began |= is_mark(entry)
        if began and past.open_plans:
            found.append(past.open_plans[0].state)
    return found


def converted() -> Floor:
    floor = Floor(*(neg_risk(name) for name in "abc"), times=SettlementTimes(S, S, 2 * S, 2 * S))
    for slot in range(3):
        floor.show(slot, bids=[(4000, 500 * ONE)], asks=[(6500, 500 * ONE)])
    floor.plan([(0, BUY, NO, 6000), (1, BUY, NO, 6000)], 20 * ONE, sales=[(2, 3500)], converts=True)
    floor.run()
    floor.assert_done()
    return floor


def is_intent(kind: RequestKind, direction: int) -> Callable[[Entry], bool]:
    return lambda entry: (
        entry.kind is EntryKind.INTENT
        and (int(entry.record["kind"]), int(entry.record["direction"])) == (kind, direction)
    )


def test_a_conversion_goes_on_where_it_was() -> None:
    floor = converted()
    first = states_after(floor, lambda entry: entry.kind is EntryKind.PLAN)
    assert first[0] == PlanState.LEGS
    assert first == sorted(first), "a later journal is never behind an earlier one"
    assert states_after(floor, is_intent(RequestKind.CONVERT, BUY))[0] == PlanState.CONVERTING
    selling = states_after(floor, is_intent(RequestKind.NEW, SELL))
    assert set(selling) == {PlanState.SELLING}


def test_what_conversions_gave_is_sold_once() -> None:
    floor = converted()
    for entry, past in cuts(floor):
        for plan in past.open_plans:
            sold = [order for order in plan.orders if order.role == Role.SALE]
            assert plan.sales_sent == bool(sold), entry
            assert (plan.conversion is not None) == any(o.role == Role.CONVERT for o in plan.orders)


def test_an_unwinding_plan_goes_on_unwinding_with_the_attempts_it_made() -> None:
    floor = cross()
    floor.show(1)  # nobody sells NO at Kalshi any more
    floor.plan(CROSS, 100 * ONE)
    floor.run()
    marked = states_after(floor, is_intent(RequestKind.NEW, SELL))
    assert set(marked) == {PlanState.UNWINDING}
    [past] = [past for entry, past in cuts(floor) if is_intent(RequestKind.NEW, SELL)(entry)]
    [plan] = past.open_plans
    bought, missed = plan.legs
    assert (bought.attempts, missed.attempts) == (1, 0)
    assert [order.role for order in plan.orders] == [Role.LEG, Role.LEG, Role.UNWIND]
    assert bought.unwinds == [plan.orders[2]]


def test_a_netted_holding_is_known_as_one() -> None:
    floor = cross()
    floor.gate.answer = lambda request: (
        Reason.NAKED_SALE
        if (int(request["direction"]), int(request["venue"])) == (SELL, Venue.KALSHI)
        else Reason.NONE
    )
    floor.show(0)
    floor.plan(CROSS, 100 * ONE)
    floor.run()
    pasts = [past for entry, past in cuts(floor) if entry.kind is EntryKind.EVENT]
    [plan] = pasts[0].open_plans
    denied = plan.orders[-1]
    assert (denied.role, denied.status) == (Role.UNWIND, OrderStatus.DENIED)
    assert [leg.buys_other for leg in plan.legs] == [False, True]
    others = [order.role for order in pasts[-1].plans[1].orders]
    assert others == [Role.LEG, Role.LEG, Role.UNWIND, Role.UNWIND]


def test_a_denied_order_never_left_and_is_not_in_doubt() -> None:
    floor = cross()
    floor.gate.answer = lambda request: (
        Reason.CASH_UNAVAILABLE if int(request["venue"]) == Venue.KALSHI else Reason.NONE
    )
    floor.plan(CROSS, 100 * ONE)
    past = recover(floor.journal.entries)
    assert [order.status for _, order in past.orders.values()] == [OrderStatus.DENIED] * 2
    assert all(order.is_final for _, order in past.orders.values())


def test_why_a_plan_that_opened_nothing_ended_depends_on_what_was_sent() -> None:
    floor = cross()
    floor.plan(CROSS, 100 * ONE)
    reasons = [past.open_plans[0].stopped for _, past in cuts(floor) if past.open_plans]
    intents = [len(past.orders) for _, past in cuts(floor) if past.open_plans]
    legs = [len(past.open_plans[0].legs) for _, past in cuts(floor) if past.open_plans]
    for reason, sent, known in zip(reasons, intents, legs, strict=True):
        expected = Reason.NONE if sent == known else Reason.RESTARTED
        assert reason == expected
