"""Fees of any market from its MARKET_ROW: estimates that never fall short, and what a venue really charges.

Every function answers FEE_UNKNOWN (negative) for a market without a fee schedule: it must not be traded.
Prices are those of the outcome traded; both venues' fees are the same for YES at p and NO at 1 - p.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.catalog.catalog import MARKET_ROW
from engine.catalog.market import FeeKind
from engine.jit import kernel
from engine.records import Direction
from engine.venues.kalshi import fees as kalshi
from engine.venues.polymarket import fees as polymarket

FEE_UNKNOWN: Final = -1

_POLYMARKET: Final = int(FeeKind.POLYMARKET_CURVE)
_KALSHI: Final = int(FeeKind.KALSHI_QUADRATIC)
_BUY: Final = int(Direction.BUY)
_SELL: Final = int(Direction.SELL)

_polymarket_taker_fee = polymarket.taker_fee_micros
_kalshi_trade_fee = kalshi.trade_fee_micros
_kalshi_revenue = kalshi.revenue_micros
_kalshi_fill_fee = kalshi.fill_fee_micros


@kernel
def _kalshi_one_fill(row: np.void, price_e4: int, size_e6: int) -> int:
    """Fee of a first fill, the dearer of buying and selling."""
    trade_fee = _kalshi_trade_fee(row["taker_rate_ppb"], row["unit_micros"], price_e4, size_e6)
    precision = row["precision_micros"]
    bought, _ = _kalshi_fill_fee(trade_fee, precision, _kalshi_revenue(_BUY, price_e4, size_e6), 0)
    sold, _ = _kalshi_fill_fee(trade_fee, precision, _kalshi_revenue(_SELL, price_e4, size_e6), 0)
    return max(bought, sold)


@kernel
def estimate_taker_fee_micros(row: np.void, price_e4: int, size_e6: int) -> int:
    """At least the taker fee of one fill of ``size_e6`` at ``price_e4``, in micro-dollars; FEE_UNKNOWN.

    ``row``: a record of MARKET_ROW. The estimates of an order's fills add up to at least the order's fee.
    """
    kind = row["fee_kind"]
    if kind == _POLYMARKET:
        fee: int = _polymarket_taker_fee(row["taker_rate_ppb"], row["exponent_e3"], price_e4, size_e6)
        return fee
    if kind == _KALSHI:
        return _kalshi_one_fill(row, price_e4, size_e6)
    return FEE_UNKNOWN


@kernel
def estimate_split_fee_micros(row: np.void, price_e4: int, size_e6: int, fills: int) -> int:
    """At least the taker fee of ``size_e6`` at ``price_e4`` when the venue may fill it in ``fills`` trades.

    Each further trade can cost one more rounding of the trade fee, and leave its order's account nearly full.
    """
    one = estimate_taker_fee_micros(row, price_e4, size_e6)
    if one == FEE_UNKNOWN or fills <= 1:
        return one
    if row["taker_rate_ppb"] == 0 and row["precision_micros"] == 0:
        return one
    roundings: int = (fills - 1) * row["unit_micros"] + row["precision_micros"]
    return one + roundings


@kernel
def realised_fee_micros(
    row: np.void, direction: int, is_maker: int, price_e4: int, size_e6: int, accumulator_micros: int
) -> tuple[int, int]:
    """What the venue charges for one fill, and the order's rounding account after it (Kalshi's).

    ``accumulator_micros``: the account after the order's earlier fills, 0 for its first; elsewhere it stays
    as it is. The fee is FEE_UNKNOWN for a market without a schedule.
    """
    kind = row["fee_kind"]
    if kind == _POLYMARKET:
        if is_maker:
            return 0, accumulator_micros
        return (
            _polymarket_taker_fee(row["taker_rate_ppb"], row["exponent_e3"], price_e4, size_e6),
            accumulator_micros,
        )
    if kind != _KALSHI:
        return FEE_UNKNOWN, accumulator_micros
    rate = row["maker_rate_ppb"] if is_maker else row["taker_rate_ppb"]
    trade_fee = _kalshi_trade_fee(rate, row["unit_micros"], price_e4, size_e6)
    revenue = _kalshi_revenue(direction, price_e4, size_e6)
    return _kalshi_fill_fee(trade_fee, row["precision_micros"], revenue, accumulator_micros)


def warm() -> None:
    """Compile the fee kernels."""
    for kind in FeeKind:
        rows = np.zeros(1, MARKET_ROW)
        rows["fee_kind"], rows["unit_micros"], rows["precision_micros"] = kind, 1, 100
        row = rows[0]
        estimate_taker_fee_micros(row, 5_000, 1_000_000)
        estimate_split_fee_micros(row, 5_000, 1_000_000, 2)
        realised_fee_micros(row, 0, False, 5_000, 1_000_000, 0)
