"""What we have just taken from a book that does not show it yet.

Between our fill and the venue's own update of the level, the book we hold still offers what is already
ours. In a replay that update never comes, because the recording does not know of us. So every fill is
subtracted from its level until the venue changes the level, by the rule of the simulated venue:

* the same size said again gives nothing back; a level that grows gives only what it grew by;
* a level that shrinks leaves at most its new size taken; a level that disappears is forgotten.

The rows given here are the reader's own copies (BOOK_ROW): the book itself is never touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.jit import kernel
from engine.records import BOOK_ROW, TOP_LEVELS, Direction, Outcome, Side
from engine.units import PRICE_ONE_E4

Rows = npt.NDArray[np.void]
Ints = npt.NDArray[np.int64]
Prices = npt.NDArray[np.int32]

TAKES_MAX: Final = 1 << 14

SIDE: Final = 0  # columns of the takes of a market
PRICE: Final = 1
TAKEN: Final = 2
_FIRST_TAKES: Final = 4  # rows that a market begins with

_BID, _ASK = int(Side.BID), int(Side.ASK)


def taken_side(direction: int, outcome: int) -> Side:
    """Side of the YES book that an order of this direction on this outcome takes from."""
    return Side.ASK if (direction == Direction.BUY) == (outcome == Outcome.YES) else Side.BID


@kernel
def _level_of(prices: Prices, shown: int, price_e4: int) -> int:
    for level in range(shown):
        if prices[level] == price_e4:
            return level
    return -1


@kernel
def _subtract_side(
    prices: Prices, sizes: Ints, shown: int, takes: Ints, n_takes: int, side: int
) -> tuple[int, int]:
    """Levels that are left of ``shown``, and takes that are left."""
    is_full = shown == TOP_LEVELS
    left = 0
    for at in range(n_takes):
        price, kept = takes[at, PRICE], takes[at, TAKEN]
        if takes[at, SIDE] == side:
            level = _level_of(prices, shown, price)
            worst = prices[shown - 1] if is_full else 0
            is_beyond = is_full and (price < worst if side == _BID else price > worst)
            if level >= 0:
                kept = min(kept, sizes[level])
                sizes[level] -= max(kept, 0)
            elif not is_beyond:  # it is gone
                kept = 0
        if kept > 0:
            takes[left, SIDE], takes[left, PRICE], takes[left, TAKEN] = takes[at, SIDE], price, kept
            left += 1
    levels = 0
    for level in range(shown):
        if sizes[level] > 0:
            prices[levels], sizes[levels] = prices[level], sizes[level]
            levels += 1
    return levels, left


@kernel
def subtract_takes(rows: Rows, at: int, takes: Ints, n_takes: int) -> int:
    """Take ours out of BOOK_ROW ``rows[at]``: so many ``takes`` (int64 [take, SIDE | PRICE | TAKEN]).

    Those that are left. A side of which nothing is ours, or whose number of levels is garbage, stays as it
    is.
    """
    row = rows[at]
    for side in range(_ASK + 1):
        shown = int(row["n_bids"] if side == _BID else row["n_asks"])
        has_ours = False
        for take in range(n_takes):
            has_ours = has_ours or takes[take, SIDE] == side
        if not has_ours or not 0 <= shown <= TOP_LEVELS:
            continue  # of garbage nobody takes levels
        if side == _BID:
            levels, n_takes = _subtract_side(row["bid_e4"], row["bid_size_e6"], shown, takes, n_takes, side)
            row["n_bids"] = levels
        else:
            levels, n_takes = _subtract_side(row["ask_e4"], row["ask_size_e6"], shown, takes, n_takes, side)
            row["n_asks"] = levels
    return n_takes


@dataclass(slots=True)
class _Market:
    """What is ours of one market: the first ``used`` rows of ``takes``."""

    takes: Ints
    used: int = 0


class OwnTakes:
    """Takes by (slot, generation); at most TAKES_MAX levels, beyond which a take is refused and counted.

    A refused take leaves liquidity in view that is gone: the order that tries it fails at the venue.
    """

    def __init__(self) -> None:
        self.refused = 0
        self._markets: dict[tuple[int, int], _Market] = {}
        self._count = 0

    def __len__(self) -> int:
        """Levels of which something is ours."""
        return self._count

    def on_fill(self, event: np.void) -> None:
        """Remember the fill of one ORDER_EVENT as a taker, at the price of the trade.

        A conversion has no price, and a void trade a negative size: neither took anything from a book.
        """
        size, price = int(event["fill_size_e6"]), int(event["price_e4"])
        if size <= 0 or int(event["maker"]) or not 0 < price < PRICE_ONE_E4:
            return
        if int(event["outcome"]) == Outcome.NO:
            price = PRICE_ONE_E4 - price
        side = taken_side(int(event["direction"]), int(event["outcome"]))
        self.take(int(event["slot"]), int(event["generation"]), side, price, size)

    def take(self, slot: int, generation: int, side: Side, price_e4: int, size_e6: int) -> None:
        """Remember that ``size_e6`` of a level (YES terms) is ours."""
        market = self._markets.get((slot, generation))
        if market is not None:
            for row in market.takes[: market.used]:
                if (int(row[SIDE]), int(row[PRICE])) == (side, price_e4):
                    row[TAKEN] += size_e6
                    return
        if self._count >= TAKES_MAX:
            self.refused += 1
            return
        if market is None:
            market = self._markets[slot, generation] = _Market(np.zeros((_FIRST_TAKES, TAKEN + 1), np.int64))
        if market.used == len(market.takes):
            market.takes = np.concatenate((market.takes, np.zeros_like(market.takes)))
        market.takes[market.used] = side, price_e4, size_e6
        market.used += 1
        self._count += 1

    def holds(self, slot: int, generation: int) -> bool:
        """Whether something of a market's book is ours."""
        return (slot, generation) in self._markets

    def subtract(self, rows: Rows, slot: int) -> bool:
        """Take ours out of a fresh copy of a market's BOOK_ROW, in place; whether something of it is ours.

        ``rows``: BOOK_ROW by slot. Levels that become empty leave the row.
        """
        key = slot, int(rows["generation"][slot])
        market = self._markets.get(key)
        if market is None:
            return False
        before = market.used
        market.used = subtract_takes(rows, slot, market.takes, before)
        self._count -= before - market.used
        if not market.used:
            del self._markets[key]
        return market.used > 0


def warm() -> None:
    """Compile the kernel."""
    subtract_takes(np.zeros(1, BOOK_ROW), 0, np.zeros((1, TAKEN + 1), np.int64), 0)
