"""Terms of an order for kernels: the side of the book it meets, its price, the steps its size may have.

What ``engine.execution.semantics`` says of an order that takes at once, over rows of markets and books.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.execution.semantics import RULES, TAKER_TIFS
from engine.jit import kernel
from engine.records import Direction, Outcome, Side, Venue
from engine.units import PRICE_ONE_E4, SIDE_SIZE_MAX_E6

VENUES: Final = 3  # index by engine.records.Venue; 0 is no venue

_BUY: Final = int(Direction.BUY)
_NO: Final = int(Outcome.NO)
_ASK: Final = int(Side.ASK)
_BID: Final = int(Side.BID)
_CENT_SIZE_E6: Final = 10_000  # at a price of one dollar, whole cents are steps of 0.01 contract
_WHOLE_CENT_BUYS: Final = tuple(
    venue in RULES and RULES[Venue(venue)].whole_cent_buys >= TAKER_TIFS for venue in range(VENUES)
)


@kernel
def side_taken(direction: int, outcome: int) -> int:
    """Side of the YES book that a leg takes: buying YES and selling NO take the ask, the others the bid."""
    return _ASK if direction == outcome else _BID


@kernel
def own_price(outcome: int, yes_price_e4: int) -> int:
    """Price in the terms of ``outcome``; its own inverse."""
    return PRICE_ONE_E4 - yes_price_e4 if outcome == _NO else yes_price_e4


@kernel
def _gcd(a: int, b: int) -> int:
    while b != 0:
        a, b = b, a % b
    return a


@kernel
def common_multiple(a: int, b: int) -> int:
    """Least common multiple of two sizes in e6; 0 when either is 0 or it passes every possible size."""
    if a == 0 or b == 0:
        return 0
    times = a // _gcd(a, b)
    return times * b if times <= SIDE_SIZE_MAX_E6 // b else 0


@kernel
def order_lot_e6(market: np.void, direction: int, price_e4: int) -> int:
    """Step of sizes of an order with this limit: the market's lot, and whole cents where the venue asks."""
    lot = int(market["lot_e6"])
    if direction == _BUY and _WHOLE_CENT_BUYS[market["venue"]]:
        return common_multiple(
            lot, _CENT_SIZE_E6 * (PRICE_ONE_E4 // _gcd(price_e4, int(np.int64(PRICE_ONE_E4))))
        )
    return lot
