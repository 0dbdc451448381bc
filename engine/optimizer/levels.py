"""Legs as supply curves: one side of a book in the terms of the leg, with the all-in cost of each level.

A leg takes one side of a YES book. Buying NO at q is taking the bid at 1 - q; all prices here are in the
terms of the outcome the leg names. ``levels`` is int64 [PRICE | SIZE | UNIT, leg, level], best level first;
``count`` has the number of levels of each leg; leg i is SIGNAL_LEG record i of the array beside it.

Unit costs are in nano-dollars a contract, negative for a sale. They are *optimistic*: never above what a
contract really costs, because fees are not yet rounded. So they bound a profit from above, and the exact
functions of ``engine.optimizer.sizing`` say what it is.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from engine.catalog.market import FeeKind
from engine.execution.terms import own_price, side_taken
from engine.fees import FEE_UNKNOWN, estimate_taker_fee_micros
from engine.jit import inlined, kernel
from engine.records import TOP_LEVELS, Direction, Side
from engine.units import LEVEL_SIZE_MAX_E6, PRICE_ONE_E4

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.void]

PRICE: Final = 0  # first axis of ``levels``
SIZE: Final = 1
UNIT: Final = 2

NANO_PER_PRICE: Final = 100_000  # one price_e4 in nano-dollars a contract
NANO_PER_MICRO: Final = 1_000

_BULK_SIZE_E6: Final = 10**12  # a million contracts: micro-dollars of them are pico-dollars of one
_LINEAR_E3: Final = 1_000
_LINEAR_DIVISOR: Final = 10**8  # rate in 1e-9 times p(1-p) in 1e-8, to nano-dollars
_CURVED_SLACK: Final = 3  # roundings of a curved fee, and ours
_NO_FEE_KIND: Final = int(FeeKind.UNKNOWN)
_BUY: Final = int(Direction.BUY)
_ASK: Final = int(Side.ASK)


@kernel
def unit_fee_nano(market: np.void, price_e4: int) -> int:
    """Taker fee of one contract among many, in nano-dollars rounded up; FEE_UNKNOWN without a schedule."""
    if market["fee_kind"] == _NO_FEE_KIND:
        return FEE_UNKNOWN
    if market["exponent_e3"] == _LINEAR_E3:
        scaled = int(market["taker_rate_ppb"]) * (price_e4 * (PRICE_ONE_E4 - price_e4))
        return -(-scaled // _LINEAR_DIVISOR)
    return -(-estimate_taker_fee_micros(market, price_e4, int(np.int64(_BULK_SIZE_E6))) // NANO_PER_MICRO)


@kernel
def unit_fee_floor_nano(market: np.void, price_e4: int) -> int:
    """At most the taker fee of one contract before roundings, in nano-dollars; 0 without a schedule."""
    slack = 1 if market["exponent_e3"] == _LINEAR_E3 else _CURVED_SLACK
    return max(unit_fee_nano(market, price_e4) - slack, 0)


@inlined
def gather_leg(
    book: np.void, market: np.void, direction: int, outcome: int, leg: int, levels: Ints, count: Ints
) -> None:
    """Fill row ``leg`` of the level arrays from a BOOK_ROW and a MARKET_ROW.

    Nothing vouches for what a row of shared memory says: the book ends before a level that cannot be one.
    """
    asks = side_taken(direction, outcome) == _ASK
    offered = min(max(int(book["n_asks"] if asks else book["n_bids"]), 0), TOP_LEVELS)
    count[leg] = offered
    for level in range(offered):
        own = own_price(outcome, int(np.int64(book["ask_e4"][level] if asks else book["bid_e4"][level])))
        size = int(book["ask_size_e6"][level] if asks else book["bid_size_e6"][level])
        if not (0 <= own <= PRICE_ONE_E4 and 0 <= size <= LEVEL_SIZE_MAX_E6):
            count[leg] = level
            break
        fee = unit_fee_floor_nano(market, own)
        levels[PRICE, leg, level] = own
        levels[SIZE, leg, level] = size
        levels[UNIT, leg, level] = (
            own * NANO_PER_PRICE + fee if direction == _BUY else fee - own * NANO_PER_PRICE
        )


@kernel
def gather(
    legs: Rows, first: int, n_legs: int, books: Rows, markets: Rows, levels: Ints, count: Ints
) -> None:
    """Level arrays of SIGNAL_LEG records ``legs[first : first + n_legs]``, into the same rows."""
    for leg in range(first, first + n_legs):
        slot, direction = legs[leg]["slot"], int(np.int64(legs[leg]["direction"]))
        outcome = int(np.int64(legs[leg]["outcome"]))
        gather_leg(books[slot], markets[slot], direction, outcome, leg, levels, count)


def level_arrays(legs_max: int) -> tuple[Ints, Ints]:
    """New ``levels`` and ``count`` for up to ``legs_max`` legs."""
    return np.zeros((3, legs_max, TOP_LEVELS), np.int64), np.zeros(legs_max, np.int64)
