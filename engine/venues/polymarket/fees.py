"""Polymarket's taker fee: shares x rate x (p(1-p))^exponent, to five decimals of a dollar; makers pay none.

The venue documents five decimals and a smallest fee of 0.00001, not the direction; here it always rounds up,
and a fee is charged for each fill. The schedule (rate, exponent) comes from the market's own metadata.
"""

from __future__ import annotations

from typing import Final

from engine.jit import kernel
from engine.units import PRICE_ONE_E4, muldiv_ceil

FEE_UNIT_MICROS: Final = 10  # five decimals

_RATE_E4_STEP_PPB: Final = 100_000  # with exponent 2 a rate has at most four decimals
_ROOT_DIGITS: Final = 10**10  # sqrt(q_e8 x 10**10) is the root in 1e-9
_WHOLE: Final = 10**18  # divisor of the first of two ceilings; ceil(ceil(x) / n) = ceil(x / n)


@kernel
def _root_ceil(value: int) -> int:
    """Smallest integer whose square is at least ``value``, 0 <= value < 2**62."""
    root = 0
    for bit in range(30, -1, -1):
        candidate = root | (1 << bit)
        if candidate * candidate <= value:
            root = candidate
    if root * root < value:
        root += 1
    return root


@kernel
def _linear_fee(rate_ppb: int, price_e4: int, size_e6: int) -> int:
    """Fee with exponent 1 in units of 1e-5 dollar."""
    spread_e8 = price_e4 * (PRICE_ONE_E4 - price_e4)
    return muldiv_ceil(size_e6, rate_ppb * spread_e8, _WHOLE)


@kernel
def _squared_fee(rate_ppb: int, price_e4: int, size_e6: int) -> int:
    """Fee with exponent 2 in units of 1e-5 dollar."""
    spread_e8 = price_e4 * (PRICE_ONE_E4 - price_e4)
    factor = (rate_ppb // _RATE_E4_STEP_PPB) * spread_e8 * spread_e8  # 1e-20
    return -(-muldiv_ceil(size_e6, factor, _WHOLE) // 1_000)


@kernel
def _root_fee(rate_ppb: int, price_e4: int, size_e6: int) -> int:
    """Fee with exponent 1/2 in units of 1e-5 dollar; the root itself is rounded up at 1e-9."""
    spread_e8 = price_e4 * (PRICE_ONE_E4 - price_e4)
    factor = rate_ppb * _root_ceil(spread_e8 * _ROOT_DIGITS)  # 1e-18
    return -(-muldiv_ceil(size_e6, factor, _WHOLE) // 10)


@kernel
def taker_fee_micros(rate_ppb: int, exponent_e3: int, price_e4: int, size_e6: int) -> int:
    """Fee of one fill of ``size_e6`` at ``price_e4`` (0..10,000, either outcome) in micro-dollars.

    ``rate_ppb``: rate in 1e-9, multiples of 1e-4 with exponent 2. ``exponent_e3``: 0, 500, 1000 or 2000.
    """
    if rate_ppb == 0 or price_e4 <= 0 or price_e4 >= PRICE_ONE_E4:
        return 0
    if exponent_e3 == 1_000:
        fee = _linear_fee(rate_ppb, price_e4, size_e6)
    elif exponent_e3 == 2_000:
        fee = _squared_fee(rate_ppb, price_e4, size_e6)
    elif exponent_e3 == 500:
        fee = _root_fee(rate_ppb, price_e4, size_e6)
    else:
        fee = muldiv_ceil(size_e6, rate_ppb, 10**10)
    return fee * FEE_UNIT_MICROS
