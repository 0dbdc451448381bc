"""What a plan loses at worst when only part of it fills, from the order semantics of the venues.

An order that fills all or nothing (FOK) ends at 0 or at its size; one that fills what it can (FAK) ends
anywhere between. Getting out again costs more a contract the more there is, so a partial fill never loses
more than a full one: both semantics have the same worst case, at the corners. Some legs fill, at least one
does not, and what filled is unwound into the other side of its book as it is now; what finds no bid is worth
nothing, what finds no offer costs one dollar.

A conversion comes after its purchases and before its sales. It can be refused: then all purchases have filled
and all are undone, but for whole sets that find no bid, which pay a dollar for each leg but one. If it is
made and the sales do not fill, the tokens are worth nothing at worst.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.jit import kernel
from engine.optimizer.levels import Ints, Rows, gather_leg
from engine.optimizer.pricing import CASH, FEE
from engine.optimizer.sizing import leg_cost
from engine.records import Direction
from engine.units import INT64_MAX

FROM_CONVERSION: Final = 2  # SIGNAL_LEG.convert of a leg that is sold from the conversion

_BUY: Final = int(Direction.BUY)
_SELL: Final = int(Direction.SELL)


@kernel
def unwind_loss_micros(
    leg: int, size_e6: int, legs: Rows, books: Rows, markets: Rows, priced: Ints, levels: Ints, count: Ints
) -> tuple[int, int]:
    """Loss of undoing one filled leg now, and the size that finds nobody; a gain is a negative loss.

    ``levels``, ``count``: scratch.
    """
    record = legs[leg]
    market = markets[record["slot"]]
    back = _SELL if record["direction"] == _BUY else _BUY
    outcome = int(np.int64(record["outcome"]))
    gather_leg(books[record["slot"]], market, back, outcome, leg, levels, count)
    cash, fee, _, left = leg_cost(market, back, leg, size_e6, levels, count)
    if back == _SELL:
        return int(priced[leg, CASH] + priced[leg, FEE]) - max(cash - fee, 0), left
    return cash + fee + left - int(priced[leg, CASH] - priced[leg, FEE]), left


@kernel
def worst_loss_micros(
    jobs: Rows,
    index: int,
    size_e6: int,
    profit_micros: int,
    legs: Rows,
    books: Rows,
    markets: Rows,
    priced: Ints,
    levels: Ints,
    count: Ints,
) -> int:
    """Most that a plan of this size, priced as ``priced``, can lose by filling in part: at least 0.

    A leg's loss is never below 0, so that of all purchases but one is not either.
    """
    job = jobs[index]
    losses = 0
    least = INT64_MAX
    stuck_e6 = size_e6
    purchases = 0
    sales = 0
    converts = False
    for leg in range(job["first"], job["first"] + job["n_legs"]):
        converts = converts or legs[leg]["convert"] != 0
        if legs[leg]["convert"] == FROM_CONVERSION:
            sales += int(priced[leg, CASH] - priced[leg, FEE])
            continue
        undone, left = unwind_loss_micros(leg, size_e6, legs, books, markets, priced, levels, count)
        loss = max(undone, 0)
        losses += loss
        least = min(least, loss)  # the leg that costs least to undo is the one that misses
        stuck_e6 = min(stuck_e6, left)
        purchases += 1
    if converts:
        missed = losses - least
        refused = losses - (purchases - 1) * stuck_e6  # a contract of 1e6 pays 1e6 micro-dollars
        return max(missed, refused, sales - profit_micros)
    return losses - least
