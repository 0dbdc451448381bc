"""What a BOOK_ROW shows an order: the levels it would meet, in the terms of its own outcome."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.execution.semantics import takes_bids, yes_price_e4
from engine.records import NO_PRICE, TOP_LEVELS, Direction


def meeting_levels(row: np.void, direction: int, outcome: int) -> Iterator[tuple[int, int]]:
    """(price, size) of the levels an order would take, best first; at most TOP_LEVELS of them.

    None where their number is garbage.
    """
    side = "bid" if takes_bids(direction, outcome) else "ask"
    shown = int(row[f"n_{side}s"])
    if not 0 <= shown <= TOP_LEVELS:
        return
    sizes = row[f"{side}_size_e6"][:shown].tolist()
    for price, size in zip(row[f"{side}_e4"][:shown].tolist(), sizes, strict=True):
        yield yes_price_e4(price, outcome), size


def is_within(direction: int, price_e4: int, limit_e4: int) -> bool:
    """Whether trading at ``price_e4`` is no worse than the limit."""
    return price_e4 <= limit_e4 if direction == Direction.BUY else price_e4 >= limit_e4


def depth_within_e6(row: np.void, direction: int, outcome: int, limit_e4: int) -> int:
    """Visible size at the limit or better."""
    levels = meeting_levels(row, direction, outcome)
    return sum(size for price, size in levels if is_within(direction, price, limit_e4))


def covering_price_e4(row: np.void, direction: int, outcome: int, size_e6: int, bound_e4: int) -> int:
    """Price of the last level needed for ``size_e6`` within the bound; NO_PRICE when none is that good."""
    found = NO_PRICE
    for price, size in meeting_levels(row, direction, outcome):
        if size_e6 <= 0 or not is_within(direction, price, bound_e4):
            break
        found = price
        size_e6 -= size
    return found
