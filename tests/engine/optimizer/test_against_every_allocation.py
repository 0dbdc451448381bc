"""Plans against every allocation of whole contracts, where opportunities share books and cash is scarce."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.optimizer.allocator import Allocator, AllocatorLimits
from engine.reasons import Reason
from engine.records import SIGNAL_HEAD, Venue
from tests.engine.optimizer.desk import (
    BUY,
    CONTRACT,
    DOLLAR,
    NO,
    NOW,
    PLENTY,
    YES,
    Desk,
    Levels,
    Rows,
    order_limits,
    plain_walk,
    signal,
)

Signal = tuple[np.void, Rows]


class Seat:
    """An allocator with cash at both venues."""

    def __init__(
        self, desk: Desk, polymarket: int = PLENTY, kalshi: int = PLENTY, hold_at_limit: bool = True
    ) -> None:
        limits = AllocatorLimits(
            order=order_limits(), slots=100, worst_loss_max_micros=PLENTY, hold_at_limit=hold_at_limit
        )
        self.allocator = Allocator(desk.markets, desk.books, limits)
        self.allocator.set_cash(Venue.POLYMARKET, polymarket)
        self.allocator.set_cash(Venue.KALSHI, kalshi)

    def allocate(self, *signals: Signal, now_ns: int = NOW) -> tuple[Rows, list[Reason]]:
        """Heads of the plans, and the reasons of the decisions."""
        heads = np.zeros(len(signals), SIGNAL_HEAD)
        for index, (head, _) in enumerate(signals):
            heads[index] = head
        legs = np.concatenate([own for _, own in signals])
        plans, decisions = self.allocator.allocate(heads, legs, len(signals), now_ns)
        reasons = [Reason(int(record["reason"])) for record in self.allocator.decisions[:decisions]]
        assert plans + decisions == len(signals)
        return self.allocator.plan_heads[:plans].copy(), reasons


def pair(desk: Desk, first: int, second: int, signal_id: int = 1, **changes: int) -> Signal:
    """Buy YES of two markets, one of which pays."""
    return signal(signal_id, 2, slot=second, **changes), desk.legs((first, BUY, YES), (second, BUY, YES))


def test_o11_greedy_by_margin_loses_on_shared_books() -> None:
    desk = Desk()
    for slot, price in enumerate([5_000, 4_500, 4_700, 5_100]):  # X, Z and the other legs of 2 and 3
        desk.offer(slot, [(price, 100)])
    seat = Seat(desk)
    plans, reasons = seat.allocate(pair(desk, 0, 1, 1), pair(desk, 0, 2, 2), pair(desk, 1, 3, 3))
    assert plans["signal_id"].tolist() == [2, 3]
    assert plans["profit_micros"].tolist() == [3_000_000, 4_000_000]
    assert reasons == [Reason.CROWDED_OUT]


@pytest.mark.parametrize(("at_limit", "size", "profit"), [(False, 81, 1_780_000), (True, 80, 1_770_000)])
def test_o12_a_budget_and_lots(at_limit: bool, size: int, profit: int) -> None:
    desk = Desk()
    desk.offer(0, [(4_500, 37), (4_600, 100)])
    desk.offer(1, [(5_200, 60), (5_300, 100)], BUY, NO)
    seat = Seat(desk, kalshi=80 * DOLLAR, hold_at_limit=at_limit)
    plans, _ = seat.allocate((signal(1, 2), desk.legs((0, BUY, YES), (1, BUY, NO))))
    assert plans["size_e6"].tolist() == [size * CONTRACT]
    assert plans["profit_micros"].tolist() == [profit]


class Scarce(NamedTuple):
    """Two or three pairs over four markets, whole contracts, and cash for some of them."""

    sides: list[Levels]
    venues: list[Venue]
    pairs: list[tuple[int, int]]
    cash: dict[Venue, int]


PAIRS = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


@st.composite
def scarce(draw: st.DrawFn) -> Scarce:
    sides: list[Levels] = []
    for _ in range(4):
        best = draw(st.integers(7, 9))
        sides.append(
            [(500 * (best + step), draw(st.integers(1, 3))) for step in range(draw(st.integers(1, 2)))]
        )
    venues = [draw(st.sampled_from(list(Venue))) for _ in range(4)]
    chosen = draw(st.lists(st.sampled_from(PAIRS), min_size=2, max_size=3, unique=True))
    cash = {venue: draw(st.integers(0, 8)) * DOLLAR // 2 for venue in Venue}
    return Scarce(sides, venues, chosen, cash)


def optimum(case: Scarce) -> int:
    """Most that any whole sizes earn together."""
    market = Desk().markets[0]
    costs = [
        [
            plain_walk(market, BUY, side, taken * CONTRACT)[0]
            for taken in range(sum(size for _, size in side) + 1)
        ]
        for side in case.sides
    ]
    best = 0
    for sizes in product(range(7), repeat=len(case.pairs)):
        taken = [0] * 4
        for size, legs in zip(sizes, case.pairs, strict=True):
            for slot in legs:
                taken[slot] += size
        if any(taken[slot] >= len(costs[slot]) for slot in range(4)):
            continue
        spent = dict.fromkeys(Venue, 0)
        for slot in range(4):
            spent[case.venues[slot]] += costs[slot][taken[slot]]
        if all(spent[venue] <= case.cash[venue] for venue in Venue):
            best = max(best, sum(sizes) * DOLLAR - sum(spent.values()))
    return best


ROUNDINGS = 100  # micro-dollars that the optimizer keeps for roundings of up to six legs


@pytest.mark.long_plain
@settings(max_examples=25)
@given(scarce())
def test_shared_books_and_scarce_cash_against_every_allocation(case: Scarce) -> None:
    desk = Desk(4)
    for slot, (side, venue) in enumerate(zip(case.sides, case.venues, strict=True)):
        desk.market(slot, venue=venue)
        desk.offer(slot, side)
    cash = {venue.name.lower(): case.cash[venue] + ROUNDINGS for venue in Venue}
    seat = Seat(desk, hold_at_limit=False, **cash)
    signals = [pair(desk, *legs, number) for number, legs in enumerate(case.pairs)]
    plans, _ = seat.allocate(*signals)
    assert seat.allocator.faults == []
    most, found = optimum(case), int(plans["profit_micros"].sum())
    assert found <= most
    assert (plans["bound_micros"] >= plans["profit_micros"]).all()
    best_set = max(DOLLAR - sum(case.sides[slot][0][0] for slot in legs) * 100 for legs in case.pairs)
    assert found >= most - best_set * (len(case.pairs) - 1)  # whole lots: one set may be lost between two


def test_one_that_has_no_cash_for_its_smallest_order_leaves_the_books_to_the_other() -> None:
    """A cent at Polymarket buys a part of a contract of the shared book, and all hundred are needed."""
    desk = Desk()
    desk.market(0, venue=Venue.POLYMARKET)
    desk.market(2, min_size_e6=100 * CONTRACT)
    for slot, price in enumerate([3_500, 3_500, 4_000]):
        desk.offer(slot, [(price, 100)])
    seat = Seat(desk, polymarket=DOLLAR // 100)
    plans, reasons = seat.allocate(pair(desk, 0, 1, 1), pair(desk, 1, 2, 2))
    assert plans["signal_id"].tolist() == [2]
    assert plans["profit_micros"].tolist() == [25_000_000]
    assert reasons == [Reason.CASH_EXHAUSTED]
