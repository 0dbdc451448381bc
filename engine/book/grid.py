"""Price grids: which prices a market can have, and their tick indices.

A grid is up to RANGES_MAX ranges (start, end, step) in 1e-4 dollar, ends included, rising, not overlapping;
an end shared by two ranges is one tick. Every distinct grid is tabulated once, both ways, and markets name it
by number, so a look-up is one load whatever the pieces.

::

    table[grid, PRICE_TO_TICK, price_e4] -> tick, or OFF_GRID
    table[grid, TICK_TO_PRICE, tick]     -> price_e4

The uniform grids (a step that divides one dollar) are there from the start: a tick-size change names only its
new step, and must not build a table in the middle of a stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.jit import inlined, kernel
from engine.units import PRICE_ONE_E4

RANGES_MAX: Final = 16
GRIDS_MAX: Final = 64
TICKS_MAX: Final = PRICE_ONE_E4 + 1  # the finest grid has a tick on every 1e-4 from 0 to 1, both included
OFF_GRID: Final = -1
FINEST_GRID: Final = 0

PRICE_TO_TICK: Final = 0
TICK_TO_PRICE: Final = 1

UNIFORM_STEPS_E4: Final = tuple(step for step in range(1, PRICE_ONE_E4 + 1) if PRICE_ONE_E4 % step == 0)
UNIFORM_GRIDS: Final = len(UNIFORM_STEPS_E4)  # grid number n < UNIFORM_GRIDS has step UNIFORM_STEPS_E4[n]

Ranges = Sequence[tuple[int, int, int]]
GridTable = npt.NDArray[np.int16]


@inlined
def tick_of(table: GridTable, grid: int, price_e4: int) -> int:
    """Tick index of a price, OFF_GRID when the grid has no such price."""
    if price_e4 < 0 or price_e4 > PRICE_ONE_E4:
        return OFF_GRID
    return int(table[grid, PRICE_TO_TICK, price_e4])


@inlined
def price_of(table: GridTable, grid: int, tick: int) -> int:
    """Price in 1e-4 dollar of a tick index that lies on the grid."""
    return int(table[grid, TICK_TO_PRICE, tick])


@kernel
def uniform_grid(table: GridTable, step_e4: int) -> int:
    """Number of the grid from 0 to 1 in steps of ``step_e4``; FINEST_GRID, with all prices, without one."""
    for grid in range(UNIFORM_GRIDS):
        if int(table[grid, TICK_TO_PRICE, 1]) == step_e4:
            return grid
    return FINEST_GRID


def grid_prices(ranges: Ranges) -> list[int]:
    """Every price of a grid, rising, in 1e-4 dollar. Raises ValueError where the ranges are not a grid."""
    if not 0 < len(ranges) <= RANGES_MAX:
        raise ValueError(f"a grid has 1..{RANGES_MAX} price ranges, not {len(ranges)}")
    prices: list[int] = []
    reached = 0
    for start, end, step in ranges:
        if not (reached <= start < end <= PRICE_ONE_E4 and step > 0 and (end - start) % step == 0):
            raise ValueError(f"price range ({start}, {end}, {step}) is not a grid above {reached}")
        if prices and prices[-1] == start:
            prices.pop()
        prices.extend(range(start, end + 1, step))
        reached = end
    return prices


class Grids:
    """The distinct grids of one book store, at most GRIDS_MAX of them.

    ``table``: int16 (GRIDS_MAX, 2, TICKS_MAX), for kernels.
    """

    def __init__(self) -> None:
        self.table: GridTable = np.full((GRIDS_MAX, 2, TICKS_MAX), OFF_GRID, dtype=np.int16)
        self._numbers: dict[tuple[int, ...], int] = {}
        for step in UNIFORM_STEPS_E4:
            self.number(((0, PRICE_ONE_E4, step),))

    def number(self, ranges: Ranges) -> int:
        """Number of this grid, tabulated when new. Grids with the same prices are the same grid.

        Raises ValueError when the ranges are not a grid, or when GRIDS_MAX distinct ones are in use.
        """
        prices = tuple(grid_prices(ranges))
        number = self._numbers.get(prices)
        if number is None:
            number = len(self._numbers)
            if number == GRIDS_MAX:
                raise ValueError(f"more than {GRIDS_MAX} distinct price grids")
            self._tabulate(number, prices)
            self._numbers[prices] = number
        return number

    def _tabulate(self, number: int, prices: tuple[int, ...]) -> None:
        self.table[number, TICK_TO_PRICE, : len(prices)] = prices
        self.table[number, PRICE_TO_TICK, list(prices)] = range(len(prices))

    def ticks(self, number: int) -> int:
        """How many ticks a grid has."""
        return int(np.count_nonzero(self.table[number, TICK_TO_PRICE] != OFF_GRID))
