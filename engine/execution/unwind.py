"""How a surplus is traded back: best visible price, bounded loss, bounded attempts.

The loss a plan states for its worst case is that of trading back into the book it was made on. So what that
book needed is always allowed, however far from the price paid; ``unwind_loss_max_e4`` is for books that have
moved since.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.catalog.catalog import Catalog
from engine.execution.config import ExecutionConfig
from engine.execution.plan import Leg, Plan, opposite
from engine.execution.semantics import round_price_e4, round_size_e6
from engine.execution.sender import Wish
from engine.execution.tracked import Role
from engine.execution.visible import covering_price_e4
from engine.records import NO_PRICE, Direction, TimeInForce
from engine.units import PRICE_ONE_E4

Rows = npt.NDArray[np.void]


def exit_price_e4(books: Rows, leg: Leg) -> int:
    """Worst price that trading back a whole leg would meet in its BOOK_ROW; NO_PRICE on an empty side."""
    back = int(opposite(leg.direction))
    any_price = 0 if back == Direction.SELL else PRICE_ONE_E4
    return int(covering_price_e4(books, leg.slot, back, leg.asked.outcome, leg.size_e6, any_price))


def loss_bound_e4(leg: Leg, loss_max_e4: int) -> int:
    """Worst price at which the leg may be traded back, in the terms of its outcome, within 1..9,999."""
    sells = leg.is_sale or leg.direction == Direction.BUY
    bound = leg.entry_e4 - loss_max_e4 if sells else leg.entry_e4 + loss_max_e4
    if leg.exit_e4 != NO_PRICE:
        bound = min(bound, leg.exit_e4) if sells else max(bound, leg.exit_e4)
    return min(max(bound, 1), PRICE_ONE_E4 - 1)


def tradable_surplus_e6(catalog: Catalog, plan: Plan, leg: Leg, config: ExecutionConfig) -> int:
    """What of a leg's surplus its venue lets us trade back; less than its minimum stays as dust."""
    size = plan.surplus_e6(leg)
    if size <= 0:
        return 0
    row = catalog.rows[leg.slot]
    direction, _, bound = _form(leg, config.unwind_loss_max_e4)
    return round_size_e6(row, direction, TimeInForce.FAK, bound, size)


def unwind_wish(catalog: Catalog, books: Rows, plan: Plan, leg: Leg, config: ExecutionConfig) -> Wish | None:
    """Order that trades a leg's surplus back; None when nothing visible is within the bound.

    ``books``: BOOK_ROW by slot.
    """
    row = catalog.rows[leg.slot]
    direction, outcome, bound = _form(leg, config.unwind_loss_max_e4)
    size = tradable_surplus_e6(catalog, plan, leg, config)
    price = int(covering_price_e4(books, leg.slot, direction, outcome, size, bound))
    if price != NO_PRICE:
        price = round_price_e4(row, direction, outcome, price)
    if price == NO_PRICE:
        return None
    size = round_size_e6(row, direction, TimeInForce.FAK, price, size)
    if size == 0:
        return None
    return Wish(
        role=Role.UNWIND,
        leg=leg.index,
        slot=leg.slot,
        generation=leg.asked.generation,
        venue=leg.venue,
        direction=direction,
        outcome=outcome,
        tif=TimeInForce.FAK,
        price_e4=price,
        size_e6=size,
        epoch=int(books[leg.slot]["epoch"]),
    )


def _form(leg: Leg, loss_max_e4: int) -> tuple[int, int, int]:
    """Direction, outcome and worst price of the order that trades the leg back."""
    outcome = leg.asked.outcome
    direction = int(Direction.SELL) if leg.is_sale else int(opposite(leg.direction))
    bound = loss_bound_e4(leg, loss_max_e4)
    if leg.buys_other:
        return int(Direction.BUY), 1 - outcome, PRICE_ONE_E4 - bound
    return direction, outcome, bound
