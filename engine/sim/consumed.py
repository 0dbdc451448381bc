"""Liquidity we took stays taken: what of each recorded level is already ours.

The recording does not know that we traded, so it keeps showing what we took. The rule, per market, side
and price:

* available = recorded size - consumed;
* the same size said again gives nothing back;
* a level that grows gives only what it grew by: consumed stays;
* a level that shrinks leaves at most its new size consumed: others' orders went, ours stay taken;
* a level that disappears is forgotten: what comes at that price later is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

ENTRIES_MAX: Final = 1 << 16


class ConsumedLiquidity:
    """At most ENTRIES_MAX levels; a take beyond the bound is refused and counted in ``refused``."""

    def __init__(self) -> None:
        self.refused = 0
        self._taken: dict[tuple[int, int], dict[int, int]] = {}  # (slot, book side) -> price -> size
        self._entries = 0

    def __len__(self) -> int:
        """Levels of which something is taken."""
        return self._entries

    def available_e6(self, slot: int, side: int, price_e4: int, recorded_e6: int) -> int:
        """What is left to take of a level that the recording shows with ``recorded_e6``."""
        taken = self._taken.get((slot, side), {}).get(price_e4, 0)
        if taken == 0 and self._entries >= ENTRIES_MAX:
            self.refused += 1
            return 0
        return max(recorded_e6 - taken, 0)

    def take(self, slot: int, side: int, price_e4: int, size_e6: int) -> None:
        """Remember that we took ``size_e6``, which was available."""
        levels = self._taken.setdefault((slot, side), {})
        self._entries += price_e4 not in levels
        levels[price_e4] = levels.get(price_e4, 0) + size_e6

    def slots(self) -> Iterable[int]:
        """Markets in which something is taken; a market may come twice."""
        return (slot for slot, _ in self._taken)

    def on_book(self, slot: int, side: int, sizes_e6: Mapping[int, int]) -> None:
        """Compare with the book side as recorded now: price to size, absent is gone."""
        levels = self._taken.get((slot, side))
        if levels is None:
            return
        for price_e4, taken in list(levels.items()):
            kept = min(taken, sizes_e6.get(price_e4, 0))
            if kept:
                levels[price_e4] = kept
            else:
                del levels[price_e4]
                self._entries -= 1
        if not levels:
            del self._taken[slot, side]

    def forget(self, slot: int) -> None:
        """Drop everything of a market (settled, or recycled)."""
        for key in [key for key in self._taken if key[0] == slot]:
            self._entries -= len(self._taken.pop(key))
