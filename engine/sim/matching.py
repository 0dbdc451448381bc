"""The walk of an order that takes: best price first, as far as its limit and its size go.

Prices are YES prices. A taker pays the price of the level it takes: improvement is the taker's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Level(NamedTuple):
    """One price of the book and what can be taken there."""

    price_e4: int
    size_e6: int


def reaches(limit_e4: int, price_e4: int, takes_bids: bool) -> bool:
    """Whether an order with this YES limit may trade at ``price_e4``."""
    return price_e4 >= limit_e4 if takes_bids else price_e4 <= limit_e4


def worse_than(own_e4: int, price_e4: int, on_bids: bool) -> bool:
    """Whether ``price_e4`` is behind ``own_e4`` for an incoming order, on the bid side or the ask side."""
    return price_e4 < own_e4 if on_bids else price_e4 > own_e4


def walk(levels: Iterable[Level], limit_e4: int, want_e6: int, takes_bids: bool) -> list[Level]:
    """What the order takes, level by level. ``levels``: the side it meets, best first."""
    taken = []
    for level in levels:
        if want_e6 <= 0 or not reaches(limit_e4, level.price_e4, takes_bids):
            break
        size = min(want_e6, level.size_e6)
        if size > 0:
            taken.append(Level(level.price_e4, size))
            want_e6 -= size
    return taken


def total_e6(taken: Iterable[Level]) -> int:
    """Size of a walk."""
    return sum(level.size_e6 for level in taken)
