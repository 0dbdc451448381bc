"""Kalshi's fee: coefficient x multiplier x contracts x p(1-p), rounded up, then aligned with the balance.

The balance of a member has a precision: 1e-4 dollar for direct members, a cent for customers of a broker.
What a fill loses to that alignment is kept in an account of its order and given back as soon as it makes a
whole unit, so that an order filled in pieces pays what one fill would have paid, within one unit of
precision::

    trade_fee = ceil(model, unit)                  unit 1e-6 (1e-4 until late August 2026)
    rounding  = (revenue - trade_fee) mod precision
    rebate    = floor(accumulator + rounding, precision), at most trade_fee + rounding
    fee       = trade_fee + rounding - rebate
"""

from __future__ import annotations

from typing import Final

from engine.jit import kernel
from engine.records import Direction
from engine.units import PRICE_ONE_E4, muldiv_ceil, muldiv_floor

_BUY: Final = int(Direction.BUY)
_MODEL_DIVISOR: Final = 10**17  # rate in 1e-9 and p(1-p) in 1e-8


@kernel
def trade_fee_micros(rate_ppb: int, unit_micros: int, price_e4: int, size_e6: int) -> int:
    """Model fee of one fill, rounded up to ``unit_micros``; ``rate_ppb``: coefficient x multiplier, 1e-9."""
    spread_e8 = price_e4 * (PRICE_ONE_E4 - price_e4)
    micros = muldiv_ceil(size_e6, rate_ppb * spread_e8, _MODEL_DIVISOR)
    return -(-micros // unit_micros) * unit_micros


@kernel
def revenue_micros(direction: int, price_e4: int, size_e6: int) -> int:
    """Change of the balance before fees: what a purchase costs (negative, rounded up) or a sale brings."""
    if direction == _BUY:
        return -muldiv_ceil(size_e6, price_e4, PRICE_ONE_E4)
    return muldiv_floor(size_e6, price_e4, PRICE_ONE_E4)


@kernel
def fill_fee_micros(
    trade_fee: int, precision_micros: int, revenue: int, accumulator_micros: int
) -> tuple[int, int]:
    """Net fee of one fill, and the order's rounding account after it. The account of a new order is 0.

    ``revenue``: as ``revenue_micros`` answers. The account always stays below one unit of precision.
    """
    rounding = (revenue - trade_fee) % precision_micros
    accumulated = accumulator_micros + rounding
    rebate = min(accumulated - accumulated % precision_micros, trade_fee + rounding)
    return trade_fee + rounding - rebate, accumulated - rebate
