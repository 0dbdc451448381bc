"""What a venue refuses at the door, in its own order: life, price, size, cents, expiry.

Funds, duplicates and the market's state are the venue's own business; these rules need only the order and
its row.
"""

from __future__ import annotations

import numpy as np

from engine.execution.semantics import (
    RULES,
    effective_expiry_ns,
    is_whole_cents,
    on_grid,
    yes_price_e4,
)
from engine.reasons import Reason
from engine.records import Direction, TimeInForce, Venue
from engine.units import PRICE_ONE_E4

RESTING_TIFS = frozenset({TimeInForce.GTC, TimeInForce.GTC_POST_ONLY})


def shape_fault(row: np.void, request: np.void, now_ns: int) -> Reason:
    """Why the venue refuses an ORDER_REQUEST of kind NEW whatever the book; NONE when it does not."""
    rules = RULES[Venue(int(row["venue"]))]
    price, size, tif = int(request["price_e4"]), int(request["size_e6"]), int(request["tif"])
    if tif not in rules.tifs:
        return Reason.VENUE_REJECTED
    if not 0 < price < PRICE_ONE_E4 or not on_grid(row, yes_price_e4(price, int(request["outcome"]))):
        return Reason.VENUE_BAD_PRICE
    if size < int(row["min_size_e6"]) or size % int(row["lot_e6"]):
        return Reason.VENUE_BAD_SIZE
    buys = int(request["direction"]) == Direction.BUY
    if buys and tif in rules.whole_cent_buys and not is_whole_cents(size, price):
        return Reason.VENUE_BAD_SIZE
    expire_ns = int(request["expire_ns"])
    if not expire_ns or tif not in RESTING_TIFS:
        return Reason.NONE
    is_short = expire_ns < now_ns + rules.expiry_min_ns or effective_expiry_ns(rules, expire_ns) <= now_ns
    return Reason.VENUE_REJECTED if is_short else Reason.NONE


def too_small_to_take(row: np.void, request: np.void) -> bool:
    """Whether a purchase that meets the book costs less than the venue's smallest amount."""
    cost = int(request["size_e6"]) * int(request["price_e4"])
    buys = int(request["direction"]) == Direction.BUY
    return buys and cost < int(row["min_notional_micros"]) * PRICE_ONE_E4
