"""What a book would give for an amount: average and worst price of a walk from the best level away.

Buying walks an ask ladder and rounds up, selling walks a bid ladder and rounds down: against us. A notional
is met exactly, with a fraction of a size unit in the last level, so one deep level at 0.48 costs 0.48.
Products of a size in 1e-6 and a price in 1e-4 are in 1e-10 dollar (``_e10``).

With ``size`` taken at better levels for ``spent``, and ``need`` left to meet at price p, the average is
p * (spent + need) / (size * p + need); it is computed as its distance from p, which is short.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from engine.book.grid import GridTable, price_of
from engine.book.ladder import level_size, next_worse, step_worse
from engine.book.pool import BEST, NO_TICK, Ladders
from engine.jit import inlined, kernel
from engine.records import NO_PRICE, VWAP_NOTIONALS_MICROS
from engine.units import INT64_MAX, MICROS_PER_PRICE, PRICE_ONE_E4, divided, muldiv_ceil, muldiv_floor

E10_PER_MICRO: Final = 10_000
WALK_SIZE_MAX_E6: Final = 2**61 // PRICE_ONE_E4  # keeps size * price + need below the divisor of muldiv
WALK_CASH_MAX_MICROS: Final = INT64_MAX // E10_PER_MICRO
_SHORT_PRODUCT: Final = INT64_MAX // (PRICE_ONE_E4 * MICROS_PER_PRICE)
_FIRST_E10, _SECOND_E10, _THIRD_E10 = (notional * E10_PER_MICRO for notional in VWAP_NOTIONALS_MICROS)


class Walk(IntEnum):
    """How a walk ended."""

    FILLED = 0
    SHORT = 1  # the levels end first: the answer is about all there is
    BOUND = 2  # beyond WALK_SIZE_MAX_E6 or WALK_CASH_MAX_MICROS: no answer


_FILLED, _SHORT, _BOUND = int(Walk.FILLED), int(Walk.SHORT), int(Walk.BOUND)


class Impact(NamedTuple):
    """Answer of a walk: what was met, for how much, and how far it moved the price.

    ``vwap_e6`` is in 1e-6 dollar a contract, rounded against us; NO_PRICE where nothing could be taken.
    """

    walk: Walk
    size_e6: int
    cash_micros: int
    vwap_e6: int
    best_e4: int
    worst_e4: int

    @property
    def slippage_e6(self) -> int:
        """Distance of the average from the best price, in 1e-6 dollar a contract; 0 for nothing taken."""
        if self.vwap_e6 == NO_PRICE:
            return 0
        return abs(self.vwap_e6 - self.best_e4 * MICROS_PER_PRICE)


@inlined
def _average_e6(ladder: int, size_e6: int, spent_e10: int, price_e4: int, need_e10: int) -> int:
    """Average price in 1e-6 dollar when ``need_e10`` > 0 is met at ``price_e4`` > 0 after ``size_e6``."""
    at_last = size_e6 * price_e4
    distance = at_last - spent_e10 if ladder & 1 == 1 else spent_e10 - at_last
    price_e6 = price_e4 * MICROS_PER_PRICE
    if distance == 0:
        return price_e6
    if distance <= _SHORT_PRODUCT:
        moved, _ = divided(distance * price_e6, at_last + need_e10)  # at most one dollar
    else:
        moved = muldiv_floor(distance, price_e6, at_last + need_e10)
    return price_e6 - moved if ladder & 1 == 1 else price_e6 + moved


@kernel
def _whole_e6(ladder: int, size_e6: int, spent_e10: int) -> int:
    """Average price of whole levels, NO_PRICE for none."""
    if size_e6 == 0:
        return NO_PRICE
    if ladder & 1 == 1:
        return muldiv_ceil(spent_e10, MICROS_PER_PRICE, size_e6)
    return muldiv_floor(spent_e10, MICROS_PER_PRICE, size_e6)


@inlined
def standard_vwaps(ladders: Ladders, ladder: int, table: GridTable, grid: int) -> tuple[int, int, int, int]:
    """Averages in 1e-6 dollar of taking VWAP_NOTIONALS_MICROS, and the last tick needed, in one walk.

    NO_PRICE where the levels do not suffice, and then NO_TICK.
    """
    first = second = third = NO_PRICE
    size = 0
    spent = 0
    tick = int(ladders.sides[ladder, BEST])
    while tick != NO_TICK and size <= WALK_SIZE_MAX_E6:
        price = price_of(table, grid, tick)
        level = level_size(ladders, ladder, tick)
        reached = spent + level * price
        if first == NO_PRICE and reached >= _FIRST_E10:
            first = _average_e6(ladder, size, spent, price, _FIRST_E10 - spent)
        if second == NO_PRICE and reached >= _SECOND_E10:
            second = _average_e6(ladder, size, spent, price, _SECOND_E10 - spent)
        if reached >= _THIRD_E10:
            third = _average_e6(ladder, size, spent, price, _THIRD_E10 - spent)
            break
        size += level
        spent = reached
        tick = step_worse(ladders, ladder, tick)
    return first, second, third, tick if third != NO_PRICE else NO_TICK


@kernel
def walk_notional(
    ladders: Ladders, ladder: int, table: GridTable, grid: int, notional_micros: int
) -> tuple[int, int, int, int, int]:
    """Take ``notional_micros``: (Walk, size_e6, cash_micros, vwap_e6, worst tick).

    The size is what a buyer gets (rounded down), or what a seller has to give (rounded up).
    """
    if notional_micros <= 0 or notional_micros > WALK_CASH_MAX_MICROS:
        return _BOUND, 0, 0, NO_PRICE, NO_TICK
    need = notional_micros * E10_PER_MICRO
    size = 0
    spent = 0
    worst = NO_TICK
    tick = int(ladders.sides[ladder, BEST])
    while tick != NO_TICK:
        if size > WALK_SIZE_MAX_E6:
            return _BOUND, 0, 0, NO_PRICE, NO_TICK
        price = price_of(table, grid, tick)
        level = level_size(ladders, ladder, tick)
        if level > 0:
            worst = tick
        if level * price >= need:
            average = _average_e6(ladder, size, spent, price, need)
            part = need // price if ladder & 1 == 1 else -(-need // price)
            return _FILLED, size + part, notional_micros, average, tick
        size += level
        spent += level * price
        need -= level * price
        tick = next_worse(ladders, ladder, tick)
    return _SHORT, size, _cash_micros(ladder, spent), _whole_e6(ladder, size, spent), worst


@inlined
def _cash_micros(ladder: int, spent_e10: int) -> int:
    return -(-spent_e10 // E10_PER_MICRO) if ladder & 1 == 1 else spent_e10 // E10_PER_MICRO


@kernel
def walk_size(
    ladders: Ladders, ladder: int, table: GridTable, grid: int, size_e6: int
) -> tuple[int, int, int, int, int]:
    """Take ``size_e6`` contracts: (Walk, size_e6, cash_micros, vwap_e6, worst tick).

    Cash is rounded against us.
    """
    if size_e6 <= 0 or size_e6 > WALK_SIZE_MAX_E6:
        return _BOUND, 0, 0, NO_PRICE, NO_TICK
    need = size_e6
    spent = 0
    worst = NO_TICK
    tick = int(ladders.sides[ladder, BEST])
    while tick != NO_TICK and need > 0:
        level = level_size(ladders, ladder, tick)
        if level > 0:
            worst = tick
        part = level if level < need else need
        spent += part * price_of(table, grid, tick)
        need -= part
        tick = next_worse(ladders, ladder, tick)
    size = size_e6 - need
    walk = _FILLED if need == 0 else _SHORT
    return walk, size, _cash_micros(ladder, spent), _whole_e6(ladder, size, spent), worst
