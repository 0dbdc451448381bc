"""Signals in, plans out: what a plan says, what it holds and hides, and why a signal did not become one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.catalog.catalog import MarketFlag
from engine.optimizer.allocator import SIGNALS_MAX, Allocator, AllocatorLimits
from engine.optimizer.levels import Rows
from engine.optimizer.shadow import BookSide
from engine.reasons import Reason
from engine.records import (
    ORDER_EVENT,
    POSITION_ROW,
    DecisionStage,
    Direction,
    Outcome,
    Side,
    SignalKind,
    TimeInForce,
    TopFlag,
    Trust,
    Venue,
)
from engine.units import CASH_ONE_MICROS, SIZE_ONE_E6
from procs.config_files import load_config
from tests.engine.optimizer.worlds import BUY_NO, SELL_YES, Leg, World, limits, reckon


def pair_world(yes: float = 100, no: float = 100, *, relation: int = 0, deadline_ns: int = 1_000) -> World:
    """YES at 55 cents on Polymarket, NO at 40 on Kalshi, five cents apart before fees."""
    world = World()
    slots = (
        world.market(asks=[(".55", yes)], bids=[(".52", 500)], venue=Venue.POLYMARKET, rate_ppm=40_000),
        world.market(bids=[(".60", no)], asks=[(".64", 500)], rate_ppm=70_000, precision=100),
    )
    legs = [Leg(slots[0]), Leg(slots[1], BUY_NO)]
    world.signal(legs, relation=relation, deadline_ns=deadline_ns)
    return world


def reasons(allocator: Allocator, n_decisions: int) -> list[Reason]:
    return [Reason(int(code)) for code in allocator.decisions[:n_decisions]["reason"]]


def done(plan_id: int) -> np.void:
    event: np.void = np.zeros(1, ORDER_EVENT)[0]
    event["plan_id"], event["plan_done"] = plan_id, 1
    return event


def test_a_plan_says_what_it_is() -> None:
    world = pair_world(deadline_ns=900)
    world.heads[0]["recv_ns"], world.heads[0]["book_ns"], world.heads[0]["signal_ns"] = 5, 6, 7
    allocator = world.allocator()
    assert world.allocate(allocator, now_ns=8) == (1, 0)
    head, legs = allocator.plan_heads[0], allocator.plan_legs[:2]
    assert [int(head[name]) for name in ("recv_ns", "book_ns", "signal_ns", "plan_ns", "deadline_ns")] == [
        5,
        6,
        7,
        8,
        900,
    ]
    assert (head["signal_id"], head["plan_id"], head["n_legs"], head["kind"]) == (
        100,
        1,
        2,
        SignalKind.CROSS_VENUE,
    )
    assert (head["slot"], head["relation"]) == (0, 0)
    assert head["size_e6"] == 100 * SIZE_ONE_E6
    assert head["profit_micros"] == 2_330_000 == reckon(world, 0, 100 * SIZE_ONE_E6)
    assert 2_330_000 <= head["bound_micros"] <= 2_330_000 + 100
    assert legs["size_e6"].tolist() == [100 * SIZE_ONE_E6] * 2
    assert legs["cash_micros"].tolist() == [55_000_000, 40_000_000]
    assert legs["fee_micros"].tolist() == [990_000, 1_680_000]
    assert legs["limit_e4"].tolist() == [5_500, 4_000]
    assert legs["slot"].tolist() == [0, 1]
    assert legs["direction"].tolist() == [Direction.BUY] * 2
    assert legs["outcome"].tolist() == [Outcome.YES, Outcome.NO]
    assert legs["venue"].tolist() == [Venue.POLYMARKET, Venue.KALSHI]
    assert legs["tif"].tolist() == [TimeInForce.FOK] * 2
    assert legs["epoch"].tolist() == legs["update_count"].tolist() == [1, 1]


def test_worst_loss_is_that_of_the_dearer_leg_alone() -> None:
    world = pair_world()
    allocator = world.allocator()
    world.allocate(allocator)
    # YES back at .52: 55 + .99 - (52 - .9984); NO back at .36 (1 - .64): 40 + 1.68 - (36 - 1.6128)
    assert allocator.plan_heads[0]["worst_loss_micros"] == 40_000_000 + 1_680_000 - 36_000_000 + 1_612_800


def test_a_conversion_sells_with_what_there_is() -> None:
    world = World()
    flags = MarketFlag.NEG_RISK | MarketFlag.AT_MOST_ONE
    slots = [
        world.market(bids=[(bid, 100)], group=3, flags=flags, venue=Venue.POLYMARKET)
        for bid in (".40", ".38", ".25")
    ]
    legs = [Leg(slots[0], BUY_NO, 1), Leg(slots[1], BUY_NO, 1), Leg(slots[2], SELL_YES, 2)]
    world.signal(legs, 1, SignalKind.NEG_RISK_CONVERT, relation=-1)
    allocator = world.allocator()
    assert world.allocate(allocator) == (1, 0)
    head, plan = allocator.plan_heads[0], allocator.plan_legs[:3]
    assert head["profit_micros"] == 3_000_000
    assert head["worst_loss_micros"] == 62_000_000  # the dearer NO alone, and nobody bids for it
    assert plan["tif"].tolist() == [TimeInForce.FOK, TimeInForce.FOK, TimeInForce.FAK]
    assert plan["convert"].tolist() == [1, 1, 2]
    assert head["cash_micros"] == 122_000_000  # what the sale brings is not there yet
    assert allocator.holds.held_cash_micros(Venue.POLYMARKET) == 122_000_000


def test_a_plan_holds_its_worst_case_until_it_is_done() -> None:
    world = pair_world()
    allocator = world.allocator(polymarket=100, kalshi=100)
    assert world.allocate(allocator) == (1, 0)
    holds = allocator.holds
    cash = [holds.held_cash_micros(venue) for venue in (Venue.POLYMARKET, Venue.KALSHI)]
    assert holds.orders == 2
    assert cash[0] == 55_990_015  # sixteen fills may round sixteen fees up
    assert cash[1] >= 41_680_000
    assert [holds.market_exposure_micros(slot) for slot in range(3)] == [*cash, 0]
    assert allocator.plan_heads[0]["cash_micros"] == sum(cash)
    event = done(1)
    event["plan_done"] = 0
    assert not allocator.on_order_event(event)
    assert not allocator.on_order_event(done(77))
    assert len(allocator.holds) == 1
    assert allocator.on_order_event(done(1))
    assert not allocator.on_order_event(done(1))
    assert (holds.orders, holds.market_exposure_micros(0), holds.market_exposure_micros(1)) == (0, 0, 0)
    assert [holds.held_cash_micros(venue) for venue in Venue] == [0, 0]


def test_what_a_plan_takes_is_not_planned_again() -> None:
    world = pair_world(yes=150, no=120)
    allocator = world.allocator()
    assert world.allocate(allocator) == (1, 0)
    assert allocator.plan_heads[0]["size_e6"] == 120 * SIZE_ONE_E6
    assert world.allocate(allocator) == (0, 1)
    assert reasons(allocator, 1) == [Reason.CROWDED_OUT]
    world.books[1]["bid_size_e6"][0] = 30 * SIZE_ONE_E6  # the venue's word: our fill is in it
    world.books[1]["update_count"] += 1
    assert world.allocate(allocator) == (1, 0)
    assert allocator.plan_heads[0]["size_e6"] == 30 * SIZE_ONE_E6
    assert allocator.plan_heads[0]["plan_id"] == 2
    allocator.on_order_event(done(1))
    allocator.on_order_event(done(2))
    assert world.allocate(allocator) == (1, 0)  # nothing is in flight: what the book shows is there
    assert allocator.plan_heads[0]["size_e6"] == 30 * SIZE_ONE_E6


def test_plans_of_one_call_share_a_book() -> None:
    world = pair_world(yes=150, no=100)
    other = world.market(bids=[(".60", 100)], asks=[(".64", 500)], rate_ppm=70_000, precision=100)
    world.signal([Leg(0), Leg(other, BUY_NO)])
    allocator = world.allocator()
    assert world.allocate(allocator) == (2, 0)
    heads = allocator.plan_heads[:2]
    assert sorted((heads["size_e6"] // SIZE_ONE_E6).tolist()) == [50, 100]
    assert heads["plan_id"].tolist() == [1, 2]
    assert (heads["bound_micros"] >= heads["profit_micros"]).all()
    total = int(heads["profit_micros"].sum())
    assert (heads["bound_micros"] - heads["profit_micros"]).max() <= 1_000
    assert total == 150 * 23_300


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("trust", lambda world: world.books[0].__setitem__("trust", Trust.SUSPECT), Reason.BOOK_NOT_LIVE),
        ("crossed", lambda world: world.books[1].__setitem__("flags", TopFlag.CROSSED), Reason.BOOK_CROSSED),
        (
            "size",
            lambda world: world.books[1].__setitem__("flags", TopFlag.SIZE_UNKNOWN),
            Reason.SIZE_UNKNOWN,
        ),
        (
            "closed",
            lambda world: world.markets[0].__setitem__("flags", MarketFlag.IN_USE),
            Reason.MARKET_CLOSED,
        ),
        ("moved", lambda world: world.set_side(0, "ask", [(".61", 100)]), Reason.CROWDED_OUT),
    ],
)
def test_a_book_that_changed_its_mind(name: str, change: Callable[[World], None], reason: Reason) -> None:
    world = pair_world()
    change(world)
    allocator = world.allocator()
    assert world.allocate(allocator) == (0, 1), name
    assert reasons(allocator, 1) == [reason]
    assert allocator.refused == {reason: 1}
    if reason is Reason.CROWDED_OUT:  # the same with the count that says so
        world.books[0]["update_count"] += 1
        world.allocate(allocator)
        assert reasons(allocator, 1) == [Reason.BOOK_MOVED]


def test_a_book_that_moved_and_still_has_an_edge_is_walked_again() -> None:
    world = pair_world()
    world.set_side(0, "ask", [(".54", 30), (".57", 100)])
    world.books[0]["update_count"] += 4
    allocator = world.allocator()
    assert world.allocate(allocator) == (1, 0)
    assert allocator.plan_legs[0]["update_count"] == 5
    assert allocator.plan_legs[0]["limit_e4"] == 5_700
    assert allocator.plan_heads[0]["profit_micros"] == reckon(world, 0, 100 * SIZE_ONE_E6)


def test_a_decision_carries_what_the_signal_said() -> None:
    world = pair_world(deadline_ns=10)
    head = world.heads[0]
    head["edge_gross_micros"], head["edge_net_micros"], head["recv_ns"] = 50_000, 23_300, 3
    world.legs[0]["epoch"] = 44
    allocator = world.allocator()
    assert world.allocate(allocator, now_ns=11) == (0, 1)
    decision = allocator.decisions[0]
    assert decision["reason"] == Reason.DEADLINE_PASSED
    assert (decision["stage"], decision["kind"]) == (DecisionStage.OPTIMIZER, SignalKind.CROSS_VENUE)
    assert (decision["edge_gross_micros"], decision["edge_net_micros"]) == (50_000, 23_300)
    assert (decision["recv_ns"], decision["decided_ns"], decision["signal_id"]) == (3, 11, 100)
    assert (decision["slot"], decision["generation"], decision["venue"]) == (0, 1, Venue.POLYMARKET)
    assert (decision["epoch"], decision["n_legs"], decision["plan_id"]) == (44, 2, 0)


def test_a_worst_case_that_is_too_bad() -> None:
    world = pair_world()
    allocator = world.allocator(limits(worst_loss_max_micros=7_000_000))
    assert world.allocate(allocator) == (0, 1)
    decision = allocator.decisions[0]
    assert decision["reason"] == Reason.WORST_LOSS_TOO_LARGE
    assert (decision["size_e6"], decision["profit_micros"]) == (100 * SIZE_ONE_E6, 2_330_000)
    assert allocator.holds.orders == 0


def test_a_plan_the_check_refuses_is_never_told() -> None:
    world = pair_world(relation=-1)  # nobody approved that these two are one proposition
    allocator = world.allocator()
    assert world.allocate(allocator) == (0, 1)
    assert reasons(allocator, 1) == [Reason.VERIFY_FAILED]
    assert allocator.faults == ["plan 1: the legs do not make a set of this kind"]
    assert (len(allocator.holds), len(allocator.shadows)) == (0, 0)
    world.heads[0]["relation"] = 0
    assert world.allocate(allocator) == (1, 0)
    assert allocator.faults == []  # of the last call


def test_cash_bounds_a_plan_by_its_limit() -> None:
    world = pair_world()
    allocator = world.allocator(polymarket=30, kalshi=10**6)
    assert world.allocate(allocator) == (1, 0)
    assert allocator.plan_heads[0]["size_e6"] == 53 * SIZE_ONE_E6  # 30 / .5599
    assert allocator.plan_heads[0]["bound_micros"] - allocator.plan_heads[0]["profit_micros"] < 23_300
    allocator = world.allocator(polymarket=0)
    world.allocate(allocator)
    assert reasons(allocator, 1) == [Reason.CASH_EXHAUSTED]


def sale_world() -> World:
    world = World()
    slots = [world.market(bids=[(price, 100)], asks=[(".60", 100)]) for price in (".56", ".55")]
    world.signal([Leg(slot, SELL_YES) for slot in slots], -1, SignalKind.COMPLEMENT_SELL)
    return world


def position(slot: int, yes: int, cost: int = 0) -> np.void:
    row: np.void = np.zeros(1, POSITION_ROW)[0]
    row["slot"], row["generation"], row["yes_e6"] = slot, 1, yes * SIZE_ONE_E6
    row["cost_yes_micros"] = cost * CASH_ONE_MICROS
    return row


def test_inventory_is_sold_once() -> None:
    world = sale_world()
    allocator = world.allocator()
    assert world.allocate(allocator) == (0, 1)
    assert reasons(allocator, 1) == [Reason.EXPOSURE_EXHAUSTED]
    allocator.on_position(position(0, 70))
    allocator.on_position(position(1, 80))
    assert world.allocate(allocator) == (1, 0)
    head = allocator.plan_heads[0]
    assert (head["size_e6"], head["profit_micros"], head["cash_micros"]) == (70 * SIZE_ONE_E6, 7_700_000, 0)
    assert world.allocate(allocator) == (0, 1)


def test_positions_count_as_exposure() -> None:
    world = pair_world()
    allocator = world.allocator(limits(market_exposure_max_micros=60_000_000))
    allocator.on_position(position(0, 50, cost=45))
    assert world.allocate(allocator) == (1, 0)
    assert allocator.plan_heads[0]["size_e6"] == 26 * SIZE_ONE_E6  # 15 dollars at .5599


def test_too_many_signals_are_a_mistake() -> None:
    world = pair_world()
    with pytest.raises(ValueError, match=f"{SIGNALS_MAX + 1} signals"):
        world.allocator().allocate(world.heads, world.legs, SIGNALS_MAX + 1, 0)


def test_limits_come_from_optimizer_and_gate() -> None:
    config = load_config()
    found = AllocatorLimits.from_config(config)
    assert found.slots == config.optimizer.slots
    assert found.worst_loss_max_micros == config.optimizer.worst_loss_max_micros
    for name in (
        "order_size_max_e6",
        "order_notional_max_micros",
        "position_max_e6",
        "market_exposure_max_micros",
        "event_exposure_max_micros",
    ):
        assert getattr(found.order, name) == getattr(config.risk, name)
    assert found.hold_at_limit


def test_the_same_signals_give_the_same_plans() -> None:
    plans: list[Rows] = []
    for _ in range(2):
        world = pair_world(yes=150)
        allocator = world.allocator(polymarket=60)
        world.allocate(allocator)
        plans.append(allocator.plan_legs[:2].copy())
    assert plans[0].tobytes() == plans[1].tobytes()


def test_what_a_plan_takes_is_in_shadow_at_the_size_its_side_shows() -> None:
    """A level that shows another size than when it was taken has changed, and leaves the shadow."""
    world = pair_world(100, 90)
    allocator = world.allocator()
    assert world.allocate(allocator) == (1, 0)
    size = int(allocator.plan_heads[0]["size_e6"])
    for side, price, shown in ((BookSide(0, 1, Side.ASK), 5_500, 100), (BookSide(1, 1, Side.BID), 6_000, 90)):
        assert allocator.shadows.left_e6(side, price, shown * SIZE_ONE_E6) == shown * SIZE_ONE_E6 - size
