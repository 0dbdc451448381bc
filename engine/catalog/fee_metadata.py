"""Fee schedules as the venues' market metadata states them, to FeeSpec; None where it cannot be understood.

None is not free of charge: a market without a schedule is not traded (FEE_SCHEDULE_UNKNOWN).
"""

from __future__ import annotations

from dataclasses import replace

from engine.catalog.defaults import FeeTable
from engine.catalog.market import FeeKind, FeeSpec
from engine.records import Venue
from engine.units import decimal_to_units
from engine.venues.polymarket.fees import FEE_UNIT_MICROS


def polymarket_schedule(rate: str, exponent: str, category: str = "", source: str = "") -> FeeSpec | None:
    """Schedule of Gamma's ``feeSchedule`` (or ``fd`` of the compact endpoint); decimals as texts."""
    try:
        return FeeSpec(
            kind=FeeKind.POLYMARKET_CURVE,
            rate_ppm=decimal_to_units(rate, 6),
            exponent_e3=decimal_to_units(exponent, 3),
            unit_micros=FEE_UNIT_MICROS,
            category=category,
            source=source,
        )
    except ValueError:
        return None


def kalshi_schedule(
    table: FeeTable, fee_type: str, multiplier: str, at_ns: int, direct_member: bool = True
) -> FeeSpec | None:
    """Schedule of a series' ``fee_type`` and ``fee_multiplier``; None for types without a formula."""
    if not table.knows(Venue.KALSHI, fee_type):
        return None
    spec = table.in_force(Venue.KALSHI, fee_type, at_ns, direct_member)
    if spec is None:
        return None
    try:
        return replace(spec, multiplier_ppm=decimal_to_units(multiplier, 6))
    except ValueError:
        return None
