"""What a plan loses at worst when only part of it fills, from the order semantics of the venues.

An order that fills all or nothing (FOK) ends at 0 or at its size; one that fills what it can (FAK) ends
anywhere between. Getting out again costs more a contract the more there is, so a partial fill never loses
more than a full one: both semantics have the same worst case, at the corners. Some legs fill, at least one
does not, and what filled is unwound into the other side of its book as it is now; what finds no bid is worth
nothing, what finds no offer costs one dollar.

A conversion comes after its purchases and before its sales. If those fill and the sales do not, the tokens
are worth nothing at worst.
"""

from __future__ import annotations

from typing import Final

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
) -> int:
    """Loss of undoing one filled leg now; negative when undoing it earns. ``levels``, ``count``: scratch."""
    record = legs[leg]
    market = markets[record["slot"]]
    back = _SELL if record["direction"] == _BUY else _BUY
    gather_leg(books[record["slot"]], market, back, record["outcome"], leg, levels, count)
    cash, fee, _, left = leg_cost(market, back, leg, size_e6, levels, count)
    if back == _SELL:
        return int(priced[leg, CASH] + priced[leg, FEE]) - max(cash - fee, 0)
    return cash + fee + left - int(priced[leg, CASH] - priced[leg, FEE])


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
    """Most that a plan of this size, priced as ``priced``, can lose by filling in part; at least 0."""
    job = jobs[index]
    losses = 0
    least = INT64_MAX
    sales = 0
    converts = False
    for leg in range(job["first"], job["first"] + job["n_legs"]):
        if legs[leg]["convert"] == FROM_CONVERSION:
            converts = True
            sales += int(priced[leg, CASH] - priced[leg, FEE])
            continue
        loss = max(unwind_loss_micros(leg, size_e6, legs, books, markets, priced, levels, count), 0)
        losses += loss
        least = min(least, loss)  # the leg that costs least to undo is the one that misses
    unsold = sales - profit_micros if converts else 0
    return max(losses - least, unsold, 0)
