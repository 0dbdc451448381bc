"""The worst loss a plan states, against everything that can become of its orders on the books it was made on.

Random books; the allocator makes the plan; executor and venues work it off, with every choice of orders that
miss, trades that end void, a conversion that is refused and sales that find nobody. Then what is held pays
the least it can. Nobody may lose more than the plan said, and a plan of which nothing fails gives its profit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import NamedTuple

import numpy as np
import pytest

from engine.catalog.market import MarketSpec
from engine.optimizer.allocator import Allocator, AllocatorLimits
from engine.records import SIGNAL_HEAD, SIGNAL_LEG, Direction, Outcome, SignalKind, Venue
from engine.sim.faults import Fault, FaultPlan, FaultRates
from engine.sim.seeded import below, draw
from tests.engine.execution.floor import BUY, NO, OPENING_CASH, SELL, YES, Floor
from tests.engine.optimizer.desk import order_limits
from tests.engine.sim.world import DOLLAR, KALSHI, ONE, POLY, Levels, S, neg_risk

WORLDS = 12

Shape = tuple[int, Direction, Outcome, int]  # slot, direction, outcome, use in a conversion


class Kind(NamedTuple):
    """Markets, legs, payoff of a set, and what YES of each market pays in each state of the world."""

    kind: SignalKind
    specs: tuple[MarketSpec, ...]
    shapes: tuple[Shape, ...]
    payoff_micros: int
    states: tuple[tuple[int, ...], ...]


ONE_OF_THREE = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
NONE_OF_THREE = (*ONE_OF_THREE, (0, 0, 0))
EXCLUSIVE = tuple(replace(KALSHI, symbol=f"K{index}") for index in range(3))
KINDS = (
    Kind(
        SignalKind.CROSS_VENUE, (POLY, KALSHI), ((0, BUY, YES, 0), (1, BUY, NO, 0)), DOLLAR, ((1, 1), (0, 0))
    ),
    Kind(
        SignalKind.PARTITION_BUY_YES,
        tuple(neg_risk(name) for name in "abc"),
        tuple((slot, BUY, YES, 0) for slot in range(3)),
        DOLLAR,
        ONE_OF_THREE,
    ),
    Kind(
        SignalKind.PARTITION_BUY_NO,
        EXCLUSIVE,
        tuple((slot, BUY, NO, 0) for slot in range(3)),
        2 * DOLLAR,
        NONE_OF_THREE,
    ),
    Kind(
        SignalKind.NEG_RISK_CONVERT,
        tuple(neg_risk(name) for name in "abc"),
        ((0, BUY, NO, 1), (1, BUY, NO, 1), (2, SELL, YES, 2)),
        DOLLAR,
        ONE_OF_THREE,
    ),
)


class Luck:
    """Numbers of one world."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._asked = 0

    def below(self, bound: int) -> int:
        self._asked += 1
        return below(draw(self._seed, self._asked), bound)

    def levels(self, best_cents: int, step: int) -> Levels:
        """One to three levels from the best one outwards, a few cents apart."""
        made, cents = [], best_cents
        for _ in range(1 + self.below(3)):
            if not 0 < cents < 100:
                break
            made.append((cents * 100, (20 + self.below(120)) * ONE))
            cents += step * (1 + self.below(4))
        return made


def books(kind: Kind, luck: Luck) -> list[tuple[Levels, Levels]]:
    """Books in which a set of the kind earns some cents, with a way back that is near, far, or none."""
    n = len(kind.shapes)
    prices = []
    edge = 6 + luck.below(6)
    if kind.kind is SignalKind.NEG_RISK_CONVERT:
        sale = 20 + luck.below(15)
        first = 45 + luck.below(20)
        prices = [first, 100 + sale - edge - first, sale]
    else:
        left = kind.payoff_micros // 10_000 - edge
        for index in range(n - 1):
            share = left // (n - index) + luck.below(9) - 4
            prices.append(share)
            left -= share
        prices.append(left)
    shown = []
    for (_, direction, outcome, _), cents in zip(kind.shapes, prices, strict=True):
        way_back = 1 + luck.below(9)
        if direction == BUY:
            offers, bids = luck.levels(cents, 1), luck.levels(cents - way_back, -1) if luck.below(5) else []
        else:
            bids, offers = luck.levels(cents, -1), luck.levels(cents + way_back, 1)
        if outcome == NO:
            bids, offers = turned(offers), turned(bids)
        shown.append((bids, offers))
    return shown


def turned(levels: Levels) -> Levels:
    return [(10_000 - price, size) for price, size in levels]


def make_plan(kind: Kind, floor: Floor) -> tuple[np.void, np.ndarray] | None:
    """The allocator's plan; None when it makes none."""
    rows = floor.rows
    head = np.zeros(1, SIGNAL_HEAD)
    head["signal_id"], head["kind"], head["payoff_micros"] = 1, kind.kind, kind.payoff_micros
    head["n_legs"], head["deadline_ns"], head["recv_ns"] = (
        len(kind.shapes),
        floor.now_ns + 10 * S,
        floor.now_ns,
    )
    legs = np.zeros(len(kind.shapes), SIGNAL_LEG)
    for leg, (slot, direction, outcome, convert) in zip(legs, kind.shapes, strict=True):
        leg["slot"], leg["generation"], leg["venue"], leg["epoch"] = slot, 1, kind.specs[slot].venue, 1
        leg["direction"], leg["outcome"], leg["convert"] = direction, outcome, convert
        leg["update_count"] = rows[slot]["update_count"]
    limits = AllocatorLimits(order=order_limits(), slots=64, worst_loss_max_micros=10**12)
    allocator = Allocator(floor.catalog.rows, rows, limits)
    for venue in Venue:
        allocator.set_cash(venue, OPENING_CASH)
    n_plans, _ = allocator.allocate(head, legs, 1, floor.now_ns)
    assert allocator.faults == []
    return (allocator.plan_heads[0].copy(), allocator.plan_legs[: len(legs)].copy()) if n_plans else None


def scripts(kind: Kind) -> Iterator[dict[Venue, dict[int, Fault]]]:
    """What each request may meet: nothing, a refusal, a void trade; a conversion may be refused."""
    numbers: list[tuple[Venue, int]] = []
    seen: dict[Venue, int] = {}
    mains = [shape for shape in kind.shapes if shape[3] != 2]
    for slot, *_ in mains:
        venue = kind.specs[slot].venue
        seen[venue] = seen.get(venue, 0) + 1
        numbers.append((venue, seen[venue]))
    fates = [
        (Fault.NONE, Fault.REJECT, Fault.FAIL_TRADE)
        if venue is Venue.POLYMARKET
        else (Fault.NONE, Fault.REJECT)
        for venue, _ in numbers
    ]
    if len(mains) < len(kind.shapes):  # then the conversion, and the sale
        numbers += [(Venue.POLYMARKET, len(mains) + 1), (Venue.POLYMARKET, len(mains) + 2)]
        fates += [(Fault.NONE, Fault.FAIL_CONVERT), (Fault.NONE, Fault.REJECT)]
    for chosen in product(*fates):
        script: dict[Venue, dict[int, Fault]] = {}
        for (venue, number), fate in zip(numbers, chosen, strict=True):
            script.setdefault(venue, {})[number] = fate
        yield script


def on_floor(kind: Kind, shown: list[tuple[Levels, Levels]], script: dict[Venue, dict[int, Fault]]) -> Floor:
    faults = {venue: FaultPlan(1, FaultRates(), fates) for venue, fates in script.items()}
    floor = Floor(*kind.specs, faults=faults)
    for slot, (bids, asks) in enumerate(shown):
        floor.show(slot, bids, asks)
    return floor


def worth(kind: Kind, floor: Floor) -> int:
    """Cash gained, and the least that the holdings pay."""
    cash = sum(floor.journal.ledger.cash_micros(venue) - OPENING_CASH for venue in Venue)
    held = [floor.position(slot) for slot in range(len(kind.specs))]
    return cash + min(
        sum(yes if wins else no for (yes, no), wins in zip(held, state, strict=True)) for state in kind.states
    )


@pytest.mark.long_plain
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind.name.lower())
def test_nothing_that_becomes_of_its_orders_loses_more_than_a_plan_states(kind: Kind) -> None:
    planned, tight = 0, Fraction(0)
    for seed in range(WORLDS):
        shown = books(kind, Luck(1_000 * kind.kind + seed))
        plan = make_plan(kind, on_floor(kind, shown, {}))
        if plan is None:
            continue
        planned += 1
        head, legs = plan
        for script in scripts(kind):
            floor = on_floor(kind, shown, script)
            floor.executor.on_plan(head, legs, floor.now_ns)
            floor._deliver()
            floor.run()
            floor.assert_done()
            got = worth(kind, floor)
            fails = any(fate for fates in script.values() for fate in fates.values())
            said = f"world {seed}: {script}"
            assert got >= -int(head["worst_loss_micros"]), said
            assert fails or got >= int(head["profit_micros"]), said
            tight = max(tight, Fraction(-got, max(int(head["worst_loss_micros"]), 1)))
    assert tight > Fraction(99, 100)  # and it can be lost
    assert planned > WORLDS // 2
