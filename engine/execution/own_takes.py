"""What we have just taken from a book that does not show it yet.

Between our fill and the venue's own update of the level, the book we hold still offers what is already
ours. In a replay that update never comes, because the recording does not know of us. So every fill is
subtracted from its level until the venue changes the level, by the rule of the simulated venue:

* the same size said again gives nothing back; a level that grows gives only what it grew by;
* a level that shrinks leaves at most its new size taken; a level that disappears is forgotten.

The rows given here are the reader's own copies (BOOK_ROW): the book itself is never touched.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.records import TOP_LEVELS, Direction, Outcome, Side
from engine.units import PRICE_ONE_E4

TAKES_MAX: Final = 1 << 14

_FIELDS: Final = (("bid_e4", "bid_size_e6", "n_bids"), ("ask_e4", "ask_size_e6", "n_asks"))


def taken_side(direction: int, outcome: int) -> Side:
    """Side of the YES book that an order of this direction on this outcome takes from."""
    return Side.ASK if (direction == Direction.BUY) == (outcome == Outcome.YES) else Side.BID


class OwnTakes:
    """Takes by (slot, generation); at most TAKES_MAX levels, beyond which a take is refused and counted.

    A refused take leaves liquidity in view that is gone: the order that tries it fails at the venue.
    """

    def __init__(self) -> None:
        self.refused = 0
        self._levels: dict[tuple[int, int], dict[tuple[int, int], int]] = {}
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
        levels = self._levels.setdefault((slot, generation), {})
        key = (int(side), price_e4)
        if key not in levels:
            if self._count >= TAKES_MAX:
                self.refused += 1
                return
            self._count += 1
        levels[key] = levels.get(key, 0) + size_e6

    def holds(self, slot: int, generation: int) -> bool:
        """Whether something of a market's book is ours."""
        return (slot, generation) in self._levels

    def subtract(self, row: np.void) -> None:
        """Take ours out of a fresh copy of a BOOK_ROW, in place; levels that become empty leave the row."""
        key = (int(row["slot"]), int(row["generation"]))
        levels = self._levels.get(key)
        if not levels:
            return
        for side, (prices, sizes, count) in enumerate(_FIELDS):
            ours = {price: size for (of, price), size in levels.items() if of == side}
            if not ours:
                continue
            shown = int(row[count])
            if not 0 <= shown <= TOP_LEVELS:
                continue  # garbage: nobody takes levels from it
            asked = row[prices][:shown].tolist()
            seen = dict(zip(asked, row[sizes][:shown].tolist(), strict=True))
            self._follow(levels, side, ours, seen, asked[-1] if shown == TOP_LEVELS else None)
            left = [(price, size - levels.get((side, price), 0)) for price, size in seen.items()]
            _rewrite(row, prices, sizes, count, [(price, size) for price, size in left if size > 0])
        if not levels:
            del self._levels[key]

    def _follow(
        self,
        levels: dict[tuple[int, int], int],
        side: int,
        ours: dict[int, int],
        seen: dict[int, int],
        worst_e4: int | None,
    ) -> None:
        """Apply the rule to each taken level; one beyond the visible depth is kept as it is."""
        for price, taken in ours.items():
            if price not in seen and worst_e4 is not None and _beyond(price, worst_e4, side):
                continue
            kept = min(taken, seen.get(price, 0))
            if kept:
                levels[side, price] = kept
            else:
                del levels[side, price]
                self._count -= 1


def _beyond(price_e4: int, worst_e4: int, side: int) -> bool:
    return price_e4 < worst_e4 if side == Side.BID else price_e4 > worst_e4


def _rewrite(row: np.void, prices: str, sizes: str, count: str, levels: list[tuple[int, int]]) -> None:
    left = len(levels)
    row[prices][:left] = [price for price, _ in levels]
    row[sizes][:left] = [size for _, size in levels]
    row[count] = left
