from __future__ import annotations

import numpy as np
import pytest

from engine.catalog.relations import RelationKind
from engine.reasons import Reason
from engine.records import (
    POSITION_ROW,
    Direction,
    OrderStatus,
    Outcome,
    SignalKind,
    Trust,
    Venue,
)
from engine.strategies import candidates
from engine.strategies.scanner import OWNERS, ArbitrageScanner
from engine.units import SIZE_ONE_E6
from tests.engine.strategies.stage import EPOCH, NOW, Stage, config

DEADLINE = config().deadline_ns


def stage_of_pair() -> Stage:
    """The documented pair at Polymarket and Kalshi, 2.33 dollars on 100 contracts."""
    stage = Stage()
    stage.add("p")
    stage.add("k", Venue.KALSHI)
    stage.relate(RelationKind.SAME, "p", "k")
    stage.quote("p", [(5_300, 100)], [(5_500, 100)])
    stage.quote("k", [(6_000, 100)], [(6_400, 100)])
    return stage


def scanner_of(stage: Stage) -> ArbitrageScanner:
    return ArbitrageScanner(stage.catalog, stage.relations(), stage.books, config(), first_signal_id=41)


def reasons(scanner: ArbitrageScanner, n_decisions: int) -> list[tuple[SignalKind, Reason]]:
    return [
        (SignalKind(int(row["kind"])), Reason(int(row["reason"]))) for row in scanner.decisions[:n_decisions]
    ]


def test_a_change_gives_a_decision_for_every_candidate_and_a_signal_for_one() -> None:
    stage = stage_of_pair()
    scanner = scanner_of(stage)
    n_decisions, n_signals = scanner.on_top(stage.top("k"), NOW)
    assert sorted(reasons(scanner, n_decisions)) == sorted(
        [
            (SignalKind.CROSS_VENUE, Reason.NONE),
            (SignalKind.CROSS_VENUE, Reason.NO_EDGE),
            (SignalKind.COMPLEMENT_BUY, Reason.MIRROR_BOOK),
        ]
    )
    assert n_signals == 1
    head, legs = scanner.signal_heads[0], scanner.signal_legs[:2]
    assert int(head["signal_id"]) == 41
    assert int(head["deadline_ns"]) == NOW + DEADLINE
    assert int(head["payoff_micros"]) == 1_000_000
    assert int(head["n_legs"]) == 2
    assert [int(leg["slot"]) for leg in legs] == [stage.slots["p"], stage.slots["k"]]
    assert [int(leg["outcome"]) for leg in legs] == [Outcome.YES, Outcome.NO]
    assert [int(leg["best_e4"]) for leg in legs] == [5_500, 4_000]
    assert all(int(leg["direction"]) == Direction.BUY and int(leg["epoch"]) == EPOCH for leg in legs)
    passed = next(row for row in scanner.decisions[:n_decisions] if not int(row["reason"]))
    assert int(passed["signal_id"]) == 41
    assert int(passed["epoch"]) == EPOCH
    assert int(passed["edge_gross_micros"]) == 50_000


@pytest.mark.parametrize("trust", [trust for trust in Trust if trust is not Trust.LIVE])
def test_a_book_that_is_not_live_is_not_looked_at(trust: Trust) -> None:
    stage = stage_of_pair()
    stage.books[stage.slots["k"]]["trust"] = trust
    assert scanner_of(stage).on_top(stage.top("k"), NOW) == (0, 0)


def test_a_book_that_has_just_become_live_is_told_of() -> None:
    stage = stage_of_pair()
    top = stage.top("k", best_changed=False, prev_trust=Trust.SUSPECT)
    assert scanner_of(stage).on_top(top, NOW)[0] == 3


def test_a_change_of_sizes_is_told_of_only_when_it_makes_an_opportunity() -> None:
    stage = stage_of_pair()
    stage.quote("k", [(6_000, 1)], [(6_400, 100)])
    scanner = scanner_of(stage)
    assert scanner.on_top(stage.top("k", best_changed=False), NOW) == (0, 0)
    assert scanner.on_top(stage.top("k"), NOW)[1] == 0
    stage.quote("k", [(6_000, 100)], [(6_400, 100)])
    assert scanner.on_top(stage.top("k", best_changed=False), NOW) == (1, 1)


def test_one_signal_in_flight_until_its_deadline() -> None:
    stage = stage_of_pair()
    scanner = scanner_of(stage)
    assert scanner.on_top(stage.top("k"), NOW)[1] == 1
    n_decisions, n_signals = scanner.on_top(stage.top("p"), NOW + DEADLINE)
    assert n_signals == 0
    assert (SignalKind.CROSS_VENUE, Reason.ALREADY_SIGNALLED) in reasons(scanner, n_decisions)
    assert scanner.on_top(stage.top("k"), NOW + DEADLINE + 1)[1] == 1


@pytest.mark.parametrize("bit", [61, 62])
def test_a_garbled_time_of_receipt_holds_no_candidate_for_years(bit: int) -> None:
    """Rings of tops have no checksum."""
    stage = stage_of_pair()
    scanner = scanner_of(stage)
    top = stage.top("k")
    top["recv_ns"] = int(top["recv_ns"]) | 1 << bit
    assert scanner.on_top(top, NOW)[1] == 1
    assert int(scanner.signal_heads[0]["deadline_ns"]) == NOW + DEADLINE
    assert scanner.on_top(stage.top("k"), NOW + DEADLINE + 1)[1] == 1


def test_a_plan_keeps_its_candidate_busy_until_it_is_done() -> None:
    stage = stage_of_pair()
    scanner = scanner_of(stage)
    scanner.on_top(stage.top("k"), NOW)
    scanner.on_order(41, OrderStatus.SENT, is_done=False)
    later = NOW + 3 * DEADLINE
    stage.books["recv_ns"] = later
    assert scanner.on_top(stage.top("k"), later)[1] == 0
    scanner.on_order(99, OrderStatus.FILLED, is_done=True)
    assert scanner.on_top(stage.top("k"), later)[1] == 0
    scanner.on_order(41, OrderStatus.FILLED, is_done=True)
    assert scanner.on_top(stage.top("k"), later)[1] == 1
    assert int(scanner.signal_heads[0]["signal_id"]) == 42


def test_what_is_said_of_a_plan_after_it_is_done_is_of_no_consequence() -> None:
    stage = stage_of_pair()
    scanner = scanner_of(stage)
    scanner.on_top(stage.top("k"), NOW)
    scanner.on_order(41, OrderStatus.FILLED, is_done=True)
    scanner.on_order(41, OrderStatus.FILLED, is_done=False)
    assert scanner.on_top(stage.top("k"), NOW)[1] == 1


def test_an_event_of_no_signal_is_of_no_candidate() -> None:
    stage = stage_of_pair()
    scanner = scanner_of(stage)
    scanner.on_order(0, OrderStatus.SENT, is_done=False)
    assert scanner.on_top(stage.top("k"), NOW)[1] == 1
    scanner.on_order(0, OrderStatus.CANCELLED, is_done=True)
    assert scanner.on_top(stage.top("k"), NOW)[1] == 0


@pytest.mark.parametrize("between", [1, OWNERS - 1, OWNERS, OWNERS + 1, 3 * OWNERS])
@pytest.mark.parametrize("is_found_anew", [False, True])
def test_a_plan_may_outlast_any_number_of_signals(between: int, is_found_anew: bool) -> None:
    stage = stage_of_pair()
    stage.add("q")
    stage.quote("q", [(5_300, 100)], [(5_500, 100)])
    stage.add("s", Venue.KALSHI)
    stage.quote("s", [(6_000, 100)], [(6_400, 100)])
    stage.relate(RelationKind.SAME, "q", "s")
    scanner = scanner_of(stage)
    scanner.on_top(stage.top("k"), NOW)
    scanner.on_order(41, OrderStatus.SENT, is_done=False)
    scanner.out.next_signal_id[0] += between - 1  # those of others
    assert scanner.on_top(stage.top("s"), NOW)[1] == 1
    assert int(scanner.signal_heads[0]["signal_id"]) == 41 + between
    if is_found_anew:
        stage.add("late")
    assert scanner.on_top(stage.top("k"), NOW)[1] == 0
    scanner.on_order(41 + between, OrderStatus.SENT, is_done=False)
    scanner.on_order(41, OrderStatus.FILLED, is_done=True)
    assert scanner.on_top(stage.top("k"), NOW)[1] == 1
    assert scanner.on_top(stage.top("s"), NOW + 2 * DEADLINE)[1] == 0, "the other one is still busy"


def test_a_denied_order_does_not_keep_it_busy() -> None:
    stage = stage_of_pair()
    scanner = scanner_of(stage)
    scanner.on_top(stage.top("k"), NOW)
    scanner.on_order(41, OrderStatus.DENIED, is_done=False)
    assert scanner.on_top(stage.top("k"), NOW + DEADLINE + 1)[1] == 1


def test_what_was_bought_can_be_sold() -> None:
    stage = Stage()
    for name, bid in (("a", 5_600), ("b", 5_500)):
        stage.add(name, single_token=True)
        stage.quote(name, [(bid, 50)], [(9_000, 10)])
    stage.relate(RelationKind.COMPLEMENT, "a", "b")
    scanner = scanner_of(stage)
    scanner.on_top(stage.top("a"), NOW)
    assert (SignalKind.COMPLEMENT_SELL, Reason.NO_INVENTORY) in reasons(scanner, 2)
    for name in ("a", "b"):
        position: np.void = np.zeros(1, POSITION_ROW)[0]
        position["slot"], position["yes_e6"] = stage.slots[name], 20 * SIZE_ONE_E6
        scanner.on_position(position)
    assert scanner.on_top(stage.top("a"), NOW)[1] == 1
    assert int(scanner.signal_heads[0]["max_size_e6"]) == 20 * SIZE_ONE_E6


def test_a_market_that_joins_is_looked_at_and_what_is_in_flight_stays_in_flight() -> None:
    stage = stage_of_pair()
    scanner = scanner_of(stage)
    scanner.on_top(stage.top("k"), NOW)
    stage.add("late")
    stage.quote("late", [(4_000, 10)], [(4_200, 10)])
    assert scanner.on_top(stage.top("late"), NOW)[0] == 1
    assert scanner.on_top(stage.top("k"), NOW)[1] == 0
    scanner.on_order(41, OrderStatus.FILLED, is_done=True)
    assert scanner.on_top(stage.top("k"), NOW)[1] == 1


def test_a_signal_without_room_is_told_of_and_tried_again_at_the_next_change() -> None:
    stage = stage_of_pair()
    stage.add("q")
    stage.relate(RelationKind.SAME, "q", "k")
    stage.quote("q", [(5_300, 100)], [(5_500, 100)])
    scanner = scanner_of(stage)
    scanner.out = scanner.out._replace(legs=scanner.signal_legs[:3])
    n_decisions, n_signals = scanner.on_top(stage.top("k"), NOW)
    told = [reason for kind, reason in reasons(scanner, n_decisions) if kind is SignalKind.CROSS_VENUE]
    assert sorted(told) == [Reason.NONE, Reason.NO_EDGE, Reason.NO_EDGE, Reason.RING_FULL]
    assert (n_signals, int(scanner.signal_heads[0]["signal_id"])) == (1, 41)
    assert scanner.on_top(stage.top("k", best_changed=False), NOW) == (1, 1)
    assert int(scanner.signal_heads[0]["signal_id"]) == 42
    assert scanner.on_top(stage.top("k", best_changed=False), NOW) == (0, 0)


def test_relations_that_were_screened_again_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    stage.add("p")
    stage.add("k", Venue.KALSHI)
    stage.quote("p", [(5_300, 100)], [(5_500, 100)])
    stage.quote("k", [(6_000, 100)], [(6_400, 100)])
    scanner = scanner_of(stage)
    assert scanner.on_top(stage.top("k"), NOW)[1] == 0
    stage.relate(RelationKind.SAME, "p", "k")
    scanner.set_relations(stage.relations())
    assert scanner.on_top(stage.top("k"), NOW)[1] == 1
    assert scanner.refused == 0
    monkeypatch.setattr(candidates, "PER_MARKET_MAX", 1)
    scanner.set_relations(stage.relations())
    assert scanner.refused > 0
