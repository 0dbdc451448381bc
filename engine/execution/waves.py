"""Legs in the rhythm of a venue's rate: what leaves together, and what has to wait for the next wave.

A plan whose legs fit into the burst of every venue leaves whole or not at all. One with more legs would never
leave so; it goes in waves: as many as there is room for, and when all of those are answered, the next, none
larger than what was filled before. So what a plan can lose is what any partial fill of it can, which the
optimizer has bounded. A plan whose last leg could not leave by its deadline is not begun.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from engine.execution.plan import Leg
from engine.execution.ports import Rate
from engine.units import INT64_MAX


class Wave(NamedTuple):
    """Legs that may leave now, and when the first of the others may (INT64_MAX: there are none)."""

    legs: list[Leg]
    next_ns: int


def fits_at_once(rate: Rate, legs: Sequence[Leg]) -> bool:
    """Whether there is a moment at which all of ``legs`` may leave together."""
    return all(orders <= rate.orders_at_once(venue) for venue, orders in _by_venue(legs).items())


def last_leg_ns(rate: Rate, legs: Sequence[Leg], now_ns: int) -> int:
    """When the last of ``legs`` may leave if nothing else does; INT64_MAX for never."""
    counts = _by_venue(legs).items()
    return max((rate.rate_ready_ns(venue, orders, now_ns) for venue, orders in counts), default=now_ns)


def next_wave(rate: Rate, legs: Sequence[Leg], now_ns: int) -> Wave:
    """Those of ``legs`` that may leave now, in their order."""
    taken: Counter[int] = Counter()
    ready: list[Leg] = []
    next_ns = INT64_MAX
    for leg in legs:
        at_ns = rate.rate_ready_ns(leg.venue, taken[leg.venue] + 1, now_ns)
        if at_ns <= now_ns:
            taken[leg.venue] += 1
            ready.append(leg)
        else:
            next_ns = min(next_ns, at_ns)
    return Wave(ready, next_ns)


def _by_venue(legs: Sequence[Leg]) -> dict[int, int]:
    found: dict[int, int] = {}
    for leg in legs:
        found[leg.venue] = found.get(leg.venue, 0) + 1
    return found
