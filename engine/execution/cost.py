"""What an order can cost at most, for the gate to reserve."""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.catalog.catalog import MARKET_ROW, MarketRows
from engine.fees import FEE_UNKNOWN, estimate_split_fee_micros
from engine.jit import kernel
from engine.units import PRICE_ONE_E4, muldiv_ceil

FILLS_MAX: Final = 64  # trades one order is expected to be filled in at most, for its fee


@kernel
def worst_cash_micros(markets: MarketRows, slot: int, price_e4: int, size_e6: int, is_sale: bool) -> int:
    """Most a new order can cost, fees of many small trades included; FEE_UNKNOWN without a schedule.

    ``markets``: MARKET_ROW by slot. A sale costs nothing: the gate lets only what is held be sold, and the
    fee comes out of the proceeds.
    """
    fee = estimate_split_fee_micros(markets[slot], price_e4, size_e6, FILLS_MAX)
    if fee == FEE_UNKNOWN or is_sale:
        return min(fee, 0)
    return muldiv_ceil(size_e6, price_e4, PRICE_ONE_E4) + FILLS_MAX + fee


def warm() -> None:
    """Compile the kernel."""
    worst_cash_micros(np.zeros(1, MARKET_ROW), 0, 0, 0, False)
