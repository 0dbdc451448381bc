"""Limits of the gate and the state they are held against, as records that the gate's kernel reads.

Everything in-flight counts as filled: an order's worst case is exposure from the moment the gate passes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from engine.config import RiskConfig, VenueConfig
from engine.records import Venue

VENUES: Final = 3  # index by engine.records.Venue; 0 is no venue
TOKEN_ONE: Final = 1_000_000  # one order in the rate bucket

GATE_LIMITS: Final = np.dtype(
    [
        ("order_size_max_e6", "<i8"),
        ("order_notional_max_micros", "<i8"),
        ("position_max_e6", "<i8"),  # one outcome of one market
        ("market_exposure_max_micros", "<i8"),  # cost held plus worst cash in flight
        ("event_exposure_max_micros", "<i8"),  # the same over a catalog group
        ("heat_max_ppm", "<i8"),  # all exposure over equity
        ("daily_loss_max_micros", "<i8"),
        ("drawdown_stop_ppm", "<i8"),  # fall from the highest equity
        ("open_orders_max", "<i8"),
        ("orders_per_second", "<i8", (VENUES,)),
        ("orders_burst", "<i8", (VENUES,)),
        ("book_age_max_ns", "<i8"),
    ]
)

GATE_STATE: Final = np.dtype(
    [
        ("halted", "<i8"),  # Reason + 1 of the halt, 0 when running: fails closed and latches
        ("paused", "<i8"),
        ("stopped", "<i8"),  # Reason of the loss limit that was reached, 0 while none was: latches
        ("last_order_id", "<i8"),
        ("open_orders", "<i8"),
        ("exposure_micros", "<i8"),  # all markets: held plus in flight
        ("equity_micros", "<i8"),
        ("equity_peak_micros", "<i8"),
        ("day_start_micros", "<i8"),
        ("cash_micros", "<i8", (VENUES,)),  # at the venue
        ("reserved_micros", "<i8", (VENUES,)),  # of it, promised to orders in flight
        ("tokens", "<i8", (VENUES,)),  # rate bucket, in 1/TOKEN_ONE orders
        ("tokens_ns", "<i8", (VENUES,)),
    ]
)

GATE_MARKET: Final = np.dtype(
    [
        ("held_e6", "<i8", (2,)),  # by Outcome
        ("buying_e6", "<i8", (2,)),  # in flight
        ("selling_e6", "<i8", (2,)),
        ("cost_micros", "<i8"),
        ("reserved_micros", "<i8"),
    ]
)


class RiskWords(NamedTuple):
    """Fields of GATE_STATE that are no function of positions and open orders."""

    day_start_micros: int
    equity_peak_micros: int
    halted: int
    stopped: int


def gate_limits(risk: RiskConfig, venues: Mapping[Venue, VenueConfig]) -> np.void:
    """GATE_LIMITS of a configuration; a venue that is not in ``venues`` may send nothing."""
    row: np.void = np.zeros(1, GATE_LIMITS)[0]
    for name in GATE_LIMITS.names or ():
        if name not in ("orders_per_second", "orders_burst"):
            row[name] = getattr(risk, name)
    for venue, settings in venues.items():
        row["orders_per_second"][venue] = settings.orders_per_second
        row["orders_burst"][venue] = settings.orders_burst
    return row
