from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.optimizer.adversary import unwind_loss_micros, worst_loss_micros
from engine.optimizer.levels import level_arrays
from engine.optimizer.pricing import CASH, COLUMNS, FEE, NO_DEPTH, price_legs
from engine.records import Direction, Outcome, Venue
from tests.engine.optimizer.desk import (
    BUY,
    CENTS,
    CONTRACT,
    DOLLAR,
    FREE,
    NO,
    POLITICS,
    SELL,
    YES,
    Desk,
    Levels,
    plain_walk,
)
from tests.plain_twin import PlainTwin

Shape = tuple[int, Direction, Outcome, int]


class Side(NamedTuple):
    """A leg: what it takes, and what it would be undone on."""

    direction: Direction
    outcome: Outcome
    takes: Levels
    back: Levels
    convert: int = 0
    fees: dict[str, int] = FREE


class Plan:
    """Legs priced for a size, on books that also have their other side."""

    def __init__(self, sides: list[Side], contracts: int, payoff_micros: int = DOLLAR) -> None:
        self.desk = Desk()
        self.sides = sides
        shapes: list[Shape] = []
        for slot, side in enumerate(sides):
            self.desk.market(slot, **side.fees)
            back = SELL if side.direction == BUY else BUY
            self.desk.offer(slot, side.takes, side.direction, side.outcome)
            self.desk.offer(slot, side.back, back, side.outcome)
            shapes.append((slot, side.direction, side.outcome, side.convert))
        self.job = self.desk.opportunity(self.desk.legs(*shapes), payoff_micros)
        self.size = contracts * CONTRACT
        self.priced = np.zeros((len(sides), COLUMNS), np.int64)
        job = self.job
        arrays = (job.legs, job.markets, job.levels, job.count)
        self.profit = int(price_legs(job.jobs, 0, self.size, *arrays, 0, self.priced))
        assert self.profit != NO_DEPTH
        self.scratch = level_arrays(len(sides))

    def undo(self, leg: int) -> int:
        job = self.job
        arrays = (job.legs, job.books, job.markets, self.priced, *self.scratch)
        return int(unwind_loss_micros(leg, self.size, *arrays)[0])

    def worst(self) -> int:
        job = self.job
        arrays = (job.legs, job.books, job.markets, self.priced, *self.scratch)
        return int(worst_loss_micros(job.jobs, 0, self.size, self.profit, *arrays))


def plain_undo(side: Side, contracts: int) -> int:
    """Loss of a leg of which so much filled and is undone at once."""
    desk = Desk()
    desk.market(0, **side.fees)
    back = SELL if side.direction == BUY else BUY
    cash, fee, *_ = plain_walk(desk.markets[0], side.direction, side.takes, contracts * CONTRACT)
    out, out_fee, _, missing = plain_walk(desk.markets[0], back, side.back, contracts * CONTRACT)
    if side.direction == BUY:
        return cash + fee - max(out - out_fee, 0)
    return out + out_fee + missing - (cash - fee)


def test_two_legs_lose_what_the_dearer_costs_to_undo() -> None:
    no = Side(BUY, NO, [(4_000, 100)], [(3_800, 100)], fees=CENTS | {"venue": Venue.KALSHI})
    yes = Side(BUY, YES, [(5_500, 100)], [(5_300, 100)], fees=POLITICS | {"venue": Venue.POLYMARKET})
    plan = Plan([no, yes], 100)
    assert plan.profit == 2_330_000
    assert plan.undo(0) == 41_680_000 - 36_350_000
    assert plan.undo(1) == 55_990_000 - 53_000_000 + 996_400
    assert plan.worst() == 5_330_000


@pytest.mark.parametrize(("depth", "loss"), [(100, 2_000_000), (60, 17_200_000), (0, 40_000_000)])
def test_purchases_that_find_no_bid_are_worth_nothing(depth: int, loss: int) -> None:
    side = Side(BUY, YES, [(4_000, 100)], [(3_800, depth)] if depth else [])
    assert Plan([side, side], 100).undo(0) == loss
    assert Plan([side, side], 100).worst() == loss


@pytest.mark.parametrize(("depth", "loss"), [(100, 2_000_000), (60, 21_200_000), (0, 50_000_000)])
def test_sales_that_find_no_offer_cost_a_dollar_each(depth: int, loss: int) -> None:
    side = Side(SELL, YES, [(5_000, 100)], [(5_200, depth)] if depth else [])
    plan = Plan([side, side], 100, -DOLLAR)
    assert plan.undo(0) == plan.worst() == loss


def test_fees_that_eat_the_way_back_do_not_make_it_cost_more_than_was_paid() -> None:
    side = Side(BUY, YES, [(200, 1)], [(100, 1)], fees=CENTS | {"taker_rate_ppb": 10**12})
    plan = Plan([side, side], 1)
    assert plan.undo(0) == int(plan.priced[0, CASH] + plan.priced[0, FEE])


def test_a_leg_that_can_be_undone_with_a_gain_is_no_loss() -> None:
    crossed = Side(BUY, YES, [(4_000, 10)], [(4_500, 10)])
    usual = Side(BUY, YES, [(5_000, 10)], [(4_900, 10)])
    plan = Plan([crossed, usual], 10)
    assert plan.undo(0) == -500_000
    assert plan.worst() == 100_000
    assert Plan([crossed, crossed], 10).worst() == 0


def test_what_is_not_sold_after_a_conversion_is_lost() -> None:
    """O7, with books that can be left at once: 25 dollars of sales were to make 3 of profit."""
    sides = [
        Side(BUY, NO, [(6_000, 100)], [(5_900, 100)], 1),
        Side(BUY, NO, [(6_200, 100)], [(6_100, 100)], 1),
        Side(SELL, YES, [(2_500, 100)], [], 2),
    ]
    assert Plan(sides, 100).profit == 3_000_000
    assert Plan(sides, 100).worst() == 22_000_000
    sides[0] = sides[0]._replace(back=[])
    assert Plan(sides, 100).worst() == 61_000_000  # stuck with a NO is worse, and the other is undone


def test_a_conversion_that_is_refused_leaves_all_its_purchases_to_be_undone() -> None:
    sides = [
        Side(BUY, NO, [(6_000, 100)], [(4_000, 100)], 1),
        Side(BUY, NO, [(6_200, 100)], [(4_100, 100)], 1),
        Side(SELL, YES, [(2_500, 100)], [], 2),
    ]
    assert Plan(sides, 100).worst() == 41_000_000
    nobody = [side._replace(back=[]) for side in sides]
    assert Plan(nobody, 100).worst() == 62_000_000  # one misses; both together would pay 100 dollars of 122
    nearly = [side._replace(back=[(4_000, depth)]) for side, depth in zip(sides, (30, 80, 0), strict=True)]
    assert Plan(nearly, 100).worst() == 122_000_000 - 12_000_000 - 32_000_000 - 20_000_000
    unsold = sides[:2]
    assert Plan(unsold, 100, 2 * DOLLAR).worst() == 41_000_000  # nothing to sell, and still a conversion


@st.composite
def plans(draw: st.DrawFn) -> tuple[list[Side], int]:
    """Two or three purchases of a set that earns, from books that are not crossed."""
    sides = []
    spent = 0
    for _ in range(draw(st.integers(2, 3))):
        best = draw(st.integers(5, 30))
        asks = [(100 * (best + step), draw(st.integers(1, 3))) for step in range(draw(st.integers(2, 3)))]
        bids = [(100 * (best - 1 - step), draw(st.integers(1, 3))) for step in range(draw(st.integers(0, 3)))]
        spent += asks[-1][0]
        sides.append(Side(BUY, draw(st.sampled_from([YES, NO])), asks, bids))
    depth = min(sum(size for _, size in side.takes) for side in sides)
    return sides, draw(st.integers(1, depth))


@settings(max_examples=60)
@given(plans())
def test_all_or_nothing_orders_lose_at_most_the_worst_case_and_can_lose_it(
    drawn: tuple[list[Side], int],
) -> None:
    sides, contracts = drawn
    corners = [
        sum(plain_undo(side, contracts) for side, fills in zip(sides, filled, strict=True) if fills)
        for filled in product((False, True), repeat=len(sides))
        if not all(filled)
    ]
    assert Plan(sides, contracts).worst() == max(corners)


@settings(max_examples=60)
@given(plans())
def test_partial_fills_never_lose_more(drawn: tuple[list[Side], int]) -> None:
    """Whole sets among the fills are kept and pay a dollar; what is beyond them is sold again."""
    sides, contracts = drawn
    market = Desk().markets[0]
    worst = Plan(sides, contracts).worst()
    for filled in product(range(contracts + 1), repeat=len(sides)):
        sets = min(filled)
        loss = -sets * DOLLAR
        for side, size in zip(sides, filled, strict=True):
            loss += plain_walk(market, BUY, side.takes, size * CONTRACT)[0]
            loss -= plain_walk(market, SELL, side.back, (size - sets) * CONTRACT)[0]
        assert loss <= worst


def test_compiled_and_plain_agree(plain_twin: PlainTwin) -> None:
    plain = plain_twin("engine.optimizer.adversary")
    sides = [
        Side(BUY, NO, [(6_000, 100)], [(5_900, 30), (5_800, 10)], 1, CENTS),
        Side(SELL, YES, [(4_500, 100)], [(4_600, 20)], 2, POLITICS),
        Side(SELL, NO, [(4_500, 100)], [(4_600, 20)], 0, POLITICS),
    ]
    plan = Plan(sides, 77)
    job = plan.job
    arrays = (job.legs, job.books, job.markets, plan.priced, *level_arrays(3))
    assert int(plain.worst_loss_micros(job.jobs, 0, plan.size, plan.profit, *arrays)) == plan.worst()
