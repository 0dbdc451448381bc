"""What positions would bring now: the executable side, and nothing on a book that may be wrong.

A holding is marked by selling it into the levels we see, best first; what the visible depth cannot take is
worth nothing. On a book that is not LIVE the mark is the last trusted price or zero, whichever is worse for
us: zero, since we never hold less than nothing. Complete sets are marked like the rest,
although they will pay more at settlement.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from engine.ledger.ledger import Ledger, Position
from engine.records import Outcome, TopFlag, Trust
from engine.units import PRICE_ONE_E4

_UNFIT_FLAGS = int(TopFlag.CROSSED | TopFlag.SIZE_UNKNOWN)


def is_believed(row: np.void) -> bool:
    """Whether the BOOK_ROW may be marked on: LIVE, not crossed, sizes known."""
    return int(row["trust"]) == Trust.LIVE and not int(row["flags"]) & _UNFIT_FLAGS


def mark_position_micros(position: Position, row: np.void) -> int:
    """Micro-dollars from selling ``position`` into the BOOK_ROW ``row``, rounded down."""
    if not is_believed(row):
        return 0
    bids = row["bid_e4"][: int(row["n_bids"])], row["bid_size_e6"]
    asks = row["ask_e4"][: int(row["n_asks"])], row["ask_size_e6"]
    yes = _sell_value_micros(position.size_e6[Outcome.YES], (int(p) for p in bids[0]), bids[1])
    no = _sell_value_micros(position.size_e6[Outcome.NO], (PRICE_ONE_E4 - int(p) for p in asks[0]), asks[1])
    return yes + no


def _sell_value_micros(size_e6: int, prices_e4: Iterable[int], sizes_e6: np.ndarray) -> int:
    left, value = size_e6, 0
    for price_e4, level_e6 in zip(prices_e4, sizes_e6, strict=False):
        if left <= 0:
            break
        taken = min(left, int(level_e6))
        value += taken * price_e4 // PRICE_ONE_E4
        left -= taken
    return value


def mark_ledger_micros(ledger: Ledger, rows: np.ndarray) -> int:
    """Executable value of every position; ``rows`` is BOOK_ROW by slot, a recycled slot marks at zero."""
    total = 0
    for (_, slot, generation), position in ledger.positions.items():
        if not position.flat and int(rows[slot]["generation"]) == generation:
            total += mark_position_micros(position, rows[slot])
    return total
