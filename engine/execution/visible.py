"""What a BOOK_ROW shows an order: the levels it would meet, in the terms of its own outcome."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.execution.semantics import takes_bids, yes_price_e4
from engine.execution.terms import own_price, side_taken
from engine.jit import kernel
from engine.records import BOOK_ROW, NO_PRICE, TOP_LEVELS, Direction, Side
from engine.units import LEVEL_SIZE_MAX_E6, PRICE_ONE_E4

Rows = npt.NDArray[np.void]

_ASK: Final = int(Side.ASK)
_BUY: Final = int(Direction.BUY)


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


@kernel
def covering_price_e4(
    books: Rows, slot: int, direction: int, outcome: int, size_e6: int, bound_e4: int
) -> int:
    """Price of the last level needed for ``size_e6`` within the bound; NO_PRICE when none is that good.

    ``books``: BOOK_ROW by slot. A book ends before a level that cannot be one.
    """
    row = books[slot]
    asks = side_taken(direction, outcome) == _ASK
    shown = int(row["n_asks"] if asks else row["n_bids"])
    found = int(np.int64(NO_PRICE))
    if not 0 <= shown <= TOP_LEVELS:
        return found
    for level in range(shown):
        price = own_price(outcome, int(np.int64(row["ask_e4"][level] if asks else row["bid_e4"][level])))
        size = int(row["ask_size_e6"][level] if asks else row["bid_size_e6"][level])
        is_level = 0 <= price <= PRICE_ONE_E4 and 0 <= size <= LEVEL_SIZE_MAX_E6
        is_good = price <= bound_e4 if direction == _BUY else price >= bound_e4
        if size_e6 <= 0 or not is_good or not is_level:
            break
        found = price
        size_e6 -= size
    return found


def warm() -> None:
    """Compile the kernel."""
    covering_price_e4(np.zeros(1, BOOK_ROW), 0, 0, 0, 0, 0)
