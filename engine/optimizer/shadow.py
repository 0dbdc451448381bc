"""Liquidity that plans in flight are about to take, hidden until they have taken it.

Until a plan's fills are known, the book still shows what it wants. Planning that twice would fill one leg and
miss the other. A level that was planned upon shows its size less ours for as long as its size is the one we
saw; any other size is news that includes what was taken, and ends the shadow. So does the end of the plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

SHADOWS_MAX: Final = 4_096  # beyond it the oldest is forgotten


class BookSide(NamedTuple):
    """One side of one book, YES terms."""

    slot: int
    generation: int
    side: int


_Level = tuple[BookSide, int]  # and YES price; made for every level of every plan, so no class


@dataclass(slots=True)
class _Shadow:
    seen_e6: int
    taken_e6: int


class Shadows:
    """Levels planned upon, by book side and YES price. ``forgotten`` counts those that fell to the bound."""

    def __init__(self) -> None:
        self.forgotten = 0
        self._shadows: dict[_Level, _Shadow] = {}
        self._sides: dict[BookSide, int] = {}  # shadows of each
        self._plans: dict[int, list[tuple[_Level, _Shadow, int]]] = {}

    def __len__(self) -> int:
        """Levels in shadow."""
        return len(self._shadows)

    def covers(self, side: BookSide) -> bool:
        """Whether any level of this side is in shadow."""
        return side in self._sides

    def left_e6(self, side: BookSide, price_e4: int, size_e6: int) -> int:
        """What of a level that now shows ``size_e6`` is not spoken for; a changed level leaves the shadow."""
        level = (side, price_e4)
        shadow = self._shadows.get(level)
        if shadow is None:
            return size_e6
        if shadow.seen_e6 != size_e6:
            self._drop(level)
            return size_e6
        return max(size_e6 - shadow.taken_e6, 0)

    def take(self, plan_id: int, side: BookSide, price_e4: int, shown_e6: int, taken_e6: int) -> None:
        """Note that a plan wants ``taken_e6`` of a level that shows ``shown_e6``."""
        level = (side, price_e4)
        shadow = self._shadows.get(level)
        if shadow is not None and shadow.seen_e6 == shown_e6:
            shadow.taken_e6 += taken_e6
        else:
            if shadow is not None:
                self._drop(level)
            shadow = self._shadows[level] = _Shadow(shown_e6, taken_e6)
            self._sides[side] = self._sides.get(side, 0) + 1
        self._plans.setdefault(plan_id, []).append((level, shadow, taken_e6))
        while len(self._shadows) > SHADOWS_MAX:
            self._drop(next(iter(self._shadows)))
            self.forgotten += 1

    def release(self, plan_id: int) -> None:
        """The plan is done: what it took is no longer on the books, what it missed is free again."""
        for level, shadow, taken_e6 in self._plans.pop(plan_id, ()):
            shadow.taken_e6 -= taken_e6
            if shadow.taken_e6 <= 0 and self._shadows.get(level) is shadow:
                self._drop(level)

    def _drop(self, level: _Level) -> None:
        if self._shadows.pop(level, None) is None:
            return
        side = level[0]
        self._sides[side] -= 1
        if self._sides[side] == 0:
            del self._sides[side]
