"""The known optimum of a planted opportunity, from its books alone.

Plain integers and fractions, and nothing shared with strategies, sizing or the fee kernels: two programs
that agree by accident would have to be wrong in the same way. The fee rules are those of docs/venues.md.

A set is one contract of every leg. Its profit is the guaranteed payoff less what the legs cost, level by
level, less fees as the venue charges them on one order with one fill per level. The profitable levels of a
planted book are far from break-even, so the best size takes them all and lies on a level's edge;
``best_size`` tries every edge and, around the best one, every lot within a contract, which would show if it
did not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from engine.records import Direction, Venue

Level = tuple[int, int]  # price_e4 in the terms of the leg's outcome, size_e6


@dataclass(frozen=True, slots=True)
class PlantedLeg:
    """One leg: what it trades and the levels it can take, best first. ``fee_rate`` is dollars per p(1-p)."""

    market: str
    venue: Venue
    direction: Direction
    levels: tuple[Level, ...]
    fee_rate: Fraction


@dataclass(frozen=True, slots=True)
class Optimum:
    """Best size of an opportunity and what it brings, in integers as the venues state them."""

    size_e6: int
    profit_micros: int
    fees_micros: int
    cash_micros: tuple[int, ...]  # per leg: paid for a purchase, received for a sale, without fee


def leg_fills(leg: PlantedLeg, size_e6: int) -> list[Level]:
    """(price, size) of the fills of one order of ``size_e6``; ValueError beyond the depth."""
    fills, left = [], size_e6
    for price, available in leg.levels:
        taken = min(left, available)
        if taken:
            fills.append((price, taken))
        left -= taken
    if left:
        raise ValueError(f"{leg.market}: {left} beyond the depth")
    return fills


def fee_micros(leg: PlantedLeg, fills: Sequence[Level]) -> int:
    """Fee of one order in micro-dollars.

    Polymarket: each fill rounded up to 1e-5 dollar. Kalshi, direct member: each fill rounded up to 1e-6,
    then the balance change to 1e-4 against us, whole 1e-4 of the order's accumulated rounding given back.
    """
    total = 0
    accumulated = Fraction(0)
    for price, size in fills:
        exact = leg.fee_rate * price * (10_000 - price) * size / 10**8
        if leg.venue is Venue.POLYMARKET:
            total += ceil(exact / 10) * 10
            continue
        trade = ceil(exact)
        revenue = Fraction(price * size, 10_000) * (1 if leg.direction is Direction.SELL else -1)
        rounding = (revenue - trade) - floor((revenue - trade) / 100) * 100
        accumulated += rounding
        rebate = floor(Fraction(accumulated) / 100) * 100
        accumulated -= rebate
        total += ceil(trade + rounding - rebate)
    return total


def outcome_at(legs: Sequence[PlantedLeg], payoff_micros: int, size_e6: int) -> Optimum:
    """Profit, fees and cash of trading ``size_e6`` sets."""
    profit, fees, cash = payoff_micros * size_e6 // 10**6, 0, []
    for leg in legs:
        fills = leg_fills(leg, size_e6)
        notional = sum(Fraction(price * size, 10_000) for price, size in fills)
        stated = ceil(notional) if leg.direction is Direction.BUY else floor(notional)
        fee = fee_micros(leg, fills)
        cash.append(stated)
        fees += fee
        profit += (stated if leg.direction is Direction.SELL else -stated) - fee
    return Optimum(size_e6, profit, fees, tuple(cash))


def best_size(legs: Sequence[PlantedLeg], payoff_micros: int, lot_e6: int) -> Optimum:
    """The most profitable size; size 0 with profit 0 when no size gains."""
    deepest = min(sum(size for _, size in leg.levels) for leg in legs)
    edges = {deepest}
    for leg in legs:
        reached = 0
        for _, size in leg.levels:
            reached += size
            edges.add(min(reached, deepest))
    candidates = {size - size % lot_e6 for size in edges}
    best = max((outcome_at(legs, payoff_micros, size) for size in candidates), key=_rank)
    around = range(max(best.size_e6 - 10**6, 0), min(best.size_e6 + 10**6, deepest) + 1, lot_e6)
    best = max([best, *(outcome_at(legs, payoff_micros, size) for size in around)], key=_rank)
    return best if best.profit_micros > 0 else Optimum(0, 0, 0, (0,) * len(legs))


def _rank(optimum: Optimum) -> tuple[int, int]:
    return optimum.profit_micros, -optimum.size_e6
