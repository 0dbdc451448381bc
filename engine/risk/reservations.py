"""What the gate sets aside for orders in flight, in the arrays that its checks read.

``state``: one GATE_STATE. ``held``: GATE_MARKET by slot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.jit import kernel
from engine.risk.limits import GATE_MARKET, GATE_STATE, TOKEN_ONE

Rows = npt.NDArray[np.void]


@dataclass(slots=True)
class Reservation:
    """What is still set aside for one order."""

    venue: int
    slot: int
    group: int
    outcome: int
    buys: bool
    size_e6: int
    cash_micros: int


def one_row(record: np.void) -> Rows:
    """The record's own memory as an array of one."""
    rows: Rows = np.asarray(record).reshape(1)
    return rows


@kernel
def move(
    state: Rows, held: Rows, venue: int, slot: int, outcome: int, buys: bool, size_e6: int, cash_micros: int
) -> None:
    """Set aside so much more for an order, or less."""
    row = held[slot]
    if buys:
        row["buying_e6"][outcome] += size_e6
    else:
        row["selling_e6"][outcome] += size_e6
    row["reserved_micros"] += cash_micros
    state[0]["reserved_micros"][venue] += cash_micros
    state[0]["exposure_micros"] += cash_micros


@kernel
def reserve(
    state: Rows,
    held: Rows,
    order_id: int,
    venue: int,
    slot: int,
    outcome: int,
    buys: bool,
    size_e6: int,
    cash_micros: int,
) -> None:
    """Set aside all that an order may cost: it is open from here on, and has used its place in the rate."""
    move(state, held, venue, slot, outcome, buys, size_e6, cash_micros)
    one = state[0]
    one["last_order_id"] = max(order_id, one["last_order_id"])
    one["open_orders"] += 1
    one["tokens"][venue] -= TOKEN_ONE


def warm() -> None:
    """Compile the kernels of this module."""
    state, held = np.zeros(1, GATE_STATE), np.zeros(1, GATE_MARKET)
    move(state, held, 0, 0, 0, True, 0, 0)
    reserve(state, held, 0, 0, 0, 0, True, 0, 0)
