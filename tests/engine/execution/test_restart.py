"""What happens between a recovered journal and an executor that trades again."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from engine.execution.restart import (
    RESTART_TRANSITIONS,
    STATEMENTS_MAX,
    Restart,
    RestartInput,
    RestartState,
)
from engine.ids import boot_epoch_of
from engine.ledger.journal import EntryKind
from engine.reasons import Reason
from engine.records import ReportKind, RequestKind, Venue
from engine.sim.clearing import SettlementTimes
from engine.units import INT64_MAX
from tests.engine.execution.floor import CROSS, last_decision
from tests.engine.execution.mortal_floor import MortalFloor
from tests.engine.sim.world import KALSHI, ONE, POLY, S, neg_risk


def floor_with_deaths(*deaths: int, **more: object) -> MortalFloor:
    """A hundred sets of a cross-venue pair on offer, and an executor that is ready."""
    floor = MortalFloor(POLY, KALSHI, **more)  # type: ignore[arg-type]
    floor.mortal([])
    floor.show(0, bids=[(4900, 500 * ONE)], asks=[(5000, 100 * ONE)])
    floor.show(1, bids=[(5200, 100 * ONE)], asks=[(5300, 500 * ONE)])
    floor.run(S)
    assert floor.restart is None
    floor.deaths = sorted((floor.instants + death for death in deaths), reverse=True)
    return floor


def count_instants() -> int:
    floor = floor_with_deaths()
    before = floor.instants
    floor.plan(CROSS, 100 * ONE)
    floor.run()
    floor.assert_survived()
    return floor.instants - before


INSTANTS = count_instants()


@pytest.mark.parametrize("death", range(1, INSTANTS + 1))
def test_a_death_at_every_instant_of_a_plan(death: int) -> None:
    floor = floor_with_deaths(death)
    floor.plan(CROSS, 100 * ONE)
    floor.run()
    assert floor.died == 1
    floor.assert_survived()
    for slot in (0, 1):  # a whole set or none: what only one venue filled was sold again
        assert sum(floor.position(slot)) in (0, 100 * ONE)
    assert sum(floor.position(0)) == sum(floor.position(1))


@pytest.mark.parametrize("death", range(1, INSTANTS, 3))
def test_a_second_death_while_coming_back(death: int) -> None:
    for second in (1, 2, 3, 4, 5, 8, 12):
        floor = floor_with_deaths(death, death + second)
        floor.plan(CROSS, 100 * ONE)
        floor.run()
        assert floor.died == 2 or second > 2, "a plan that ended at once leaves few instants"
        floor.assert_survived()


def test_legs_that_were_not_sent_are_never_sent_and_what_was_bought_is_sold() -> None:
    floor = floor_with_deaths()
    floor.plan(CROSS, 100 * ONE)
    sent, lost = floor.journal.of(EntryKind.SENT)
    floor = floor_with_deaths(4 + 17)  # after the first request left, before the second
    floor.plan(CROSS, 100 * ONE)
    floor.run()
    assert floor.accepted[0] == int(sent["order_id"])
    assert int(lost["order_id"]) not in floor.accepted
    [unwind] = [r for r in floor.requests if int(r["order_id"]) == floor.accepted[1]]
    assert int(unwind["slot"]) == int(sent["slot"])
    assert boot_epoch_of(int(unwind["order_id"])) == boot_epoch_of(int(sent["order_id"])) + 1
    floor.assert_survived()
    assert floor.position(0) == floor.position(1) == (0, 0)
    ends = [e for e in floor.journal.of(EntryKind.EVENT) if int(e["plan_done"])]
    assert [int(e["reason"]) for e in ends] == [Reason.UNWOUND]


def test_a_plan_that_opened_nothing_ends_as_restarted() -> None:
    floor = floor_with_deaths(4 + 4)  # the plan is written down, and one leg of it
    floor.plan(CROSS, 100 * ONE)
    floor.run()
    assert floor.accepted == []
    floor.assert_survived()
    ends = [e for e in floor.journal.of(EntryKind.EVENT) if int(e["plan_done"])]
    assert [(int(e["reason"]), int(e["plan_id"])) for e in ends] == [(Reason.RESTARTED, 1)]


def test_no_plan_is_taken_before_the_accounts_were_compared() -> None:
    floor = floor_with_deaths(4 + 15)
    floor.plan(CROSS, 100 * ONE)
    assert floor.died == 1
    floor.plan(CROSS, 100 * ONE)
    assert last_decision(floor)[1] == Reason.RESTARTED
    floor.run()
    floor.assert_survived()


def test_what_is_in_doubt_stays_reserved_and_is_asked_about_at_once() -> None:
    floor = floor_with_deaths(4 + 15)  # both are journaled as sent, neither left
    floor.plan(CROSS, 100 * ONE)
    orders = {int(r["order_id"]) for r in floor.journal.of(EntryKind.INTENT)}
    assert set(floor.gate.open) == orders
    assert floor.executor.counts.unknown == len(orders)
    asked_at = floor.now_ns
    floor.run(S)
    asked = {int(r["order_id"]) for r in floor.requests if int(r["kind"]) == RequestKind.CANCEL}
    assert asked == orders
    window = floor.executor._config.late_window_ns
    floor.run(asked_at + window - floor.now_ns - 1)
    assert set(floor.gate.open) == orders, "no such order is not believed inside the late window"
    floor.run()
    floor.assert_survived()


def test_a_payment_that_nobody_heard_is_said_again() -> None:
    floor = floor_with_deaths(times=SettlementTimes(0, 0))
    floor.plan(CROSS, 100 * ONE)
    floor.run()
    floor.venues[Venue.KALSHI].settle(1, 10_000, floor.now_ns)
    floor.venues[Venue.KALSHI].advance(floor.now_ns + S)  # read by one that died of it
    assert floor.position(1) == (0, 100 * ONE)
    floor._come_back()
    floor.run()
    floor.assert_survived()
    assert floor.position(1) == (0, 0)


def test_a_conversion_survives_its_executor() -> None:
    for death in range(1, 90, 2):
        floor = MortalFloor(*(neg_risk(name) for name in "abc"), times=SettlementTimes(S, S, 2 * S, 2 * S))
        floor.mortal([])
        for slot in range(3):
            floor.show(slot, bids=[(4000, 500 * ONE)], asks=[(6500, 500 * ONE)])
        floor.run(S)
        floor.deaths = [floor.instants + death]
        legs = [(0, *_no(6000)), (1, *_no(6000))]
        floor.plan(legs, 20 * ONE, sales=[(2, 3500)], converts=True)  # type: ignore[arg-type]
        floor.run()
        floor.assert_survived()
        assert floor.died <= 1


def _no(limit_e4: int) -> tuple[int, int, int]:
    return 0, 1, limit_e4  # BUY NO


def restart_of(floor: MortalFloor) -> Restart:
    floor._come_back()
    assert floor.restart is not None
    return floor.restart


def test_a_venue_that_says_otherwise_is_asked_again_and_then_named() -> None:
    floor = floor_with_deaths()
    floor.venues[Venue.KALSHI]._clearing.balances.cash_micros += 1
    restart = restart_of(floor)
    queries = 0
    for _ in range(100):
        restart.advance(floor.now_ns)
        queries += len(restart.requests)
        for request in restart.requests:
            floor.venues[Venue(int(request["venue"]))].on_request(request, floor.now_ns)
        if restart.is_over:
            break
        floor.now_ns += S
        for sim in floor.venues.values():
            for report in np.array(sim.advance(floor.now_ns)):
                assert restart.on_report(report)
    assert restart.is_over
    assert queries == 1 + STATEMENTS_MAX
    [line] = restart.differences
    assert line.startswith("kalshi: cash is ")
    assert restart.next_due_ns() == INT64_MAX


def test_a_silent_venue_is_asked_ever_more_rarely_and_nothing_is_taken_for_granted() -> None:
    floor = floor_with_deaths()
    restart = restart_of(floor)
    asked: list[int] = []
    for _ in range(12):
        restart.advance(floor.now_ns)
        asked += [floor.now_ns] * bool(restart.requests)
        assert len({int(request["order_id"]) for request in restart.requests}) == len(restart.requests)
        floor.now_ns = restart.next_due_ns()
    waits = [later - sooner for sooner, later in pairwise(asked)]
    assert waits[:5] == [2 * S, 4 * S, 8 * S, 16 * S, 32 * S]
    assert waits[-1] == 60 * S
    assert not restart.is_over
    assert restart.state == RestartState.COMPARING


def test_reports_that_are_no_statement_are_for_the_executor() -> None:
    floor = floor_with_deaths()
    restart = restart_of(floor)
    report = np.zeros(1, floor.venues[Venue.KALSHI].advance(0).dtype)[0]
    report["kind"] = ReportKind.ACKED
    assert not restart.on_report(report)


def test_the_table_of_states_is_a_line() -> None:
    assert len(RESTART_TRANSITIONS) == len(RestartState) - 1
    for state in RestartState:
        for event in RestartInput:
            after = RESTART_TRANSITIONS.get((state, event))
            assert after is None or after == state + 1
