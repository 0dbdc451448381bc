"""Signals planned in one compiled call: the same plans as by the long way, or none and no trace."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from engine.catalog.catalog import MarketFlag
from engine.catalog.groups import NO_GROUP
from engine.optimizer.allocator import Allocator, AllocatorLimits
from engine.optimizer.alone import NOT_ALONE, plan_alone
from engine.optimizer.levels import Rows
from engine.records import ORDER_EVENT, POSITION_ROW, SignalKind, Trust, Venue
from engine.units import CASH_ONE_MICROS, SIZE_ONE_E6
from tests.engine.optimizer.worlds import BUY_NO, BUY_YES, SELL_YES, Leg, World, limits
from tests.plain_twin import PlainTwin, kernels_are_plain

SCENES = 24 if kernels_are_plain() else 120
STEPS = 8
TIGHT = limits(
    slots=9,
    order_notional_max_micros=60 * CASH_ONE_MICROS,
    position_max_e6=150 * SIZE_ONE_E6,
    market_exposure_max_micros=90 * CASH_ONE_MICROS,
    event_exposure_max_micros=130 * CASH_ONE_MICROS,
    worst_loss_max_micros=12 * CASH_ONE_MICROS,
)


def alone(world: World, allocator: Allocator, now_ns: int = 0) -> int:
    held, takes = allocator.holds.held, allocator.shadows.takes
    n_signals = len(world.signal_legs)
    return plan_alone(
        n_signals, now_ns, world.heads, world.legs, allocator.sheet, held, takes, allocator.plans
    )


def pair_world(*, relation: int = 0) -> World:
    world = World()
    slots = (
        world.market(asks=[(".55", 60), (".56", 40)], bids=[(".52", 500)], venue=Venue.POLYMARKET, group=5),
        world.market(bids=[(".60", 100)], asks=[(".64", 500)], rate_ppm=70_000, precision=100),
    )
    world.signal([Leg(slots[0]), Leg(slots[1], BUY_NO)], relation=relation)
    return world


def stand(allocator: Allocator) -> list[object]:
    """All that plans in flight hold and hide, whatever places it lies at."""
    holds, takes = allocator.holds, allocator.shadows.takes
    shown = takes.take[takes.take[:, 6] > 0][:, 2:]
    groups = holds.held.event[holds.held.event[:, 0] > 0]
    return [
        *(holds.held.venue.tolist(), holds.held.market.tolist(), sorted(groups.tolist())),
        *(holds.orders, len(holds), len(allocator.shadows)),
        sorted(shown.tolist()) if len(allocator.shadows) else [],
    ]


def test_a_signal_alone_becomes_a_plan() -> None:
    world = pair_world()
    allocator = world.allocator()
    assert alone(world, allocator) == 1
    head, legs = allocator.plan_heads[0], allocator.plan_legs[:2]
    assert (head["plan_id"], head["size_e6"], head["n_legs"]) == (1, 100 * SIZE_ONE_E6, 2)
    assert legs["limit_e4"].tolist() == [5_600, 4_000]
    assert (allocator.holds.orders, len(allocator.shadows)) == (2, 3)
    assert allocator.holds.event_exposure_micros(5) == allocator.holds.market_exposure_micros(0) > 0
    assert alone(world, allocator) == NOT_ALONE  # what it wanted is in shadow
    assert allocator.plans.next_id[0] == 2


def no_cash(allocator: Allocator) -> None:
    allocator.set_cash(Venue.KALSHI, 30 * CASH_ONE_MICROS)


@pytest.mark.parametrize(
    ("name", "change", "given"),
    [
        ("late", lambda world: world.heads.__setitem__("deadline_ns", -1), {}),
        ("untrusted", lambda world: world.books[0].__setitem__("trust", Trust.SUSPECT), {}),
        ("no edge", lambda world: world.set_side(0, "ask", [(".61", 100)]), {}),
        ("no legs", lambda world: world.heads.__setitem__("n_legs", 0), {}),
        ("more legs than there are", lambda world: world.heads.__setitem__("n_legs", 257), {}),
        ("slots", lambda _: None, {"slots": 1}),
        ("worst loss", lambda _: None, {"worst_loss_max_micros": CASH_ONE_MICROS}),
        ("market", lambda _: None, {"market_exposure_max_micros": 30 * CASH_ONE_MICROS}),
        ("event", lambda _: None, {"event_exposure_max_micros": 30 * CASH_ONE_MICROS}),
        ("not approved", lambda world: world.heads.__setitem__("relation", -1), {}),
    ],
)
def test_what_is_not_plain_is_left_and_leaves_no_trace(
    name: str, change: Callable[[World], None], given: dict[str, int]
) -> None:
    world = pair_world()
    change(world)
    allocator = world.allocator(limits(**given))
    before = stand(allocator)
    assert alone(world, allocator) == NOT_ALONE, name
    assert stand(allocator) == before
    assert allocator.plans.next_id[0] == 1


def test_cash_that_may_not_suffice_is_left_to_be_dealt_out() -> None:
    world = pair_world()
    allocator = world.allocator()
    no_cash(allocator)
    assert alone(world, allocator) == NOT_ALONE
    assert allocator.holds.free_cash_micros(Venue.KALSHI) == 30 * CASH_ONE_MICROS


def test_several_that_share_nothing_are_planned_and_those_that_share_are_not() -> None:
    world = pair_world()
    other = [world.market(asks=[(price, 50)], bids=[(".30", 500)]) for price in (".40", ".45")]
    world.signal([Leg(slot) for slot in other])
    allocator = world.allocator()
    assert alone(world, allocator) == 2
    assert allocator.plan_heads["plan_id"][:2].tolist() == [1, 2]
    assert allocator.plan_legs["slot"][:4].tolist() == [0, 1, *other]
    world.signal([Leg(other[0]), Leg(world.market(asks=[(".50", 50)]))])
    assert alone(world, world.allocator()) == NOT_ALONE


def test_the_last_of_several_takes_back_the_plans_of_those_before() -> None:
    world = pair_world()
    other = [world.market(asks=[(price, 50)], bids=[(".30", 500)]) for price in (".40", ".45")]
    world.signal([Leg(slot) for slot in other], relation=-1)  # nobody approved it: the check refuses it
    allocator = world.allocator()
    before = stand(allocator)
    assert alone(world, allocator) == NOT_ALONE
    assert stand(allocator) == before
    assert world.allocate(allocator) == (1, 1)
    assert allocator.plan_heads[0]["plan_id"] == 1


class Scene:
    """A random market, of which both allocators see the same."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.world = World()
        chance = self.chance
        for slot in range(8):
            venue = chance.choice(list(Venue))
            at_kalshi = venue == Venue.KALSHI
            self.world.market(
                venue=venue,
                rate_ppm=chance.choice((0, 40_000, 70_000)),
                precision=chance.choice((0, 100, 10_000)) if at_kalshi else 0,
                lot=chance.choice((1, 0.01, 5)),
                smallest=chance.choice((0, 10)),
                group=chance.choice((NO_GROUP, 0, 1)),
                flags=chance.choice((0, MarketFlag.NEG_RISK | MarketFlag.AT_MOST_ONE)),
            )
            self.books(slot)

    def books(self, slot: int) -> None:
        """New levels, or the same again: a shadow is what another size ends."""
        chance = self.chance
        ask = chance.randrange(22, 52)
        sizes = (10.0, 40.0, 62.5, 100.0)
        for side, prices in (("ask", range(ask, ask + 4)), ("bid", range(ask - 3, ask - 7, -1))):
            levels = [(f"0.{price:02d}", chance.choice(sizes)) for price in prices[: chance.randrange(1, 5)]]
            self.world.set_side(slot, side, levels)
        self.world.books[slot]["update_count"] += 1

    def signals(self) -> None:
        """Forget the last signals, and give one or a few others."""
        chance, world = self.chance, self.world
        world.signal_legs.clear()
        world.n_legs = 0
        world.legs[:] = np.zeros((), world.legs.dtype)
        unused, is_apart = chance.sample(range(8), 8), chance.randrange(3) > 0
        for _ in range(chance.choice((1, 1, 2, 3))):
            count = chance.choice((2, 2, 3)) if len(unused) > 4 else 2
            slots = [unused.pop() for _ in range(count)] if is_apart else chance.sample(range(8), count)
            kind, payoff = SignalKind.PARTITION_BUY_YES, 1
            what = [BUY_YES] * len(slots)
            if len(slots) == 2:
                kind = SignalKind.CROSS_VENUE
                what = [chance.choice((BUY_YES, BUY_NO)) for _ in slots]
                if chance.randrange(5) == 0:
                    kind, payoff, what = SignalKind.COMPLEMENT_SELL, -1, [SELL_YES] * 2
            legs = [Leg(slot, one) for slot, one in zip(slots, what, strict=True)]
            relation = chance.choice((0, 0, 0, 0, 0, 0, 0, -1))
            world.signal(legs, payoff, kind, relation=relation, capital_cost_ppm=chance.choice((0, 2_000)))

    def step(self, allocators: list[Allocator], plans: list[int]) -> None:
        """Something happens that both see."""
        chance = self.chance
        if plans and chance.randrange(2):
            event = np.zeros(1, ORDER_EVENT)[0]
            event["plan_id"], event["plan_done"] = plans.pop(chance.randrange(len(plans))), 1
            for allocator in allocators:
                assert allocator.on_order_event(event)
        if chance.randrange(2):
            self.books(chance.randrange(8))
        if chance.randrange(3) == 0:
            row = np.zeros(1, POSITION_ROW)[0]
            row["slot"], row["yes_e6"] = chance.randrange(8), chance.randrange(80) * SIZE_ONE_E6
            row["cost_yes_micros"] = chance.randrange(40) * CASH_ONE_MICROS
            for allocator in allocators:
                allocator.on_position(row)
        for venue in Venue:
            dollars = chance.choice((40, 2_000, 50_000, 50_000))
            for allocator in allocators:
                allocator.set_cash(venue, dollars * CASH_ONE_MICROS)


def said(allocator: Allocator, n_plans: int, n_decisions: int) -> tuple[bytes, bytes, bytes]:
    heads: Rows = allocator.plan_heads[:n_plans]
    legs: Rows = allocator.plan_legs[: int(heads["n_legs"].sum())]
    return heads.tobytes(), legs.tobytes(), allocator.decisions[:n_decisions].tobytes()


@pytest.mark.parametrize(
    "given",
    [
        limits(),
        pytest.param(TIGHT, marks=pytest.mark.long_plain),
        pytest.param(limits(hold_at_limit=0), marks=pytest.mark.long_plain),
    ],
    ids=["wide", "tight", "walk"],
)
def test_plans_are_those_of_the_long_way(given: AllocatorLimits, monkeypatch: pytest.MonkeyPatch) -> None:
    n_alone = n_plans_alone = n_long = 0
    for seed in range(SCENES):
        scene = Scene(seed)
        world = scene.world
        one, other = world.allocator(given), world.allocator(given)
        monkeypatch.setattr(other, "_plan_at_once", lambda *_: False)  # nothing of it is the same code
        plans: list[int] = []
        for step in range(STEPS):
            scene.signals()
            n_signals = len(world.signal_legs)
            expected = other.allocate_together(world.heads, world.legs, n_signals, 0)
            n_made = alone(world, one)
            found = (n_made, 0)
            if n_made == NOT_ALONE:
                found = one.allocate_together(world.heads, world.legs, n_signals, 0)
                n_long += expected[0] > 0
            n_alone += n_made > 0
            n_plans_alone += n_made
            assert found == expected, f"seed {seed} step {step}"
            assert said(one, *found) == said(other, *expected), f"seed {seed} step {step}"
            assert stand(one) == stand(other), f"seed {seed} step {step}"
            plans += one.plan_heads["plan_id"][: found[0]].tolist()
            scene.step([one, other], plans)
    print(f"{n_alone} batches alone with {n_plans_alone} plans, {n_long} the long way")
    assert n_plans_alone >= n_alone > SCENES // 4
    assert kernels_are_plain() or n_plans_alone > n_alone  # some batches of several
    assert n_long > 0


@pytest.mark.compiled_only
def test_compiled_equals_plain(plain_twin: PlainTwin) -> None:
    plain = plain_twin("engine.optimizer.allocator")
    made = 0
    for seed in range(6):
        scene = Scene(seed)
        world = scene.world
        allocators = [kind(world.markets, world.books, limits()) for kind in (Allocator, plain.Allocator)]
        for _ in range(4):
            scene.step(allocators, [])
            scene.signals()
            found = [world.allocate(allocator) for allocator in allocators]
            assert found[0] == found[1]
            assert said(allocators[0], *found[0]) == said(allocators[1], *found[0])
            assert stand(allocators[0]) == stand(allocators[1])
            made += found[0][0]
    assert made > 3
