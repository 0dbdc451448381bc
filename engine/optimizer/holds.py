"""What plans in flight hold: cash, exposure, inventory, order slots. A hold ends when its plan is done.

Cash and exposure are held at the worst case of each plan, so that everything we have promised can happen at
once. Amounts in micro-dollars, sizes in e6.

All of it is in arrays, which kernels read and write (``engine.optimizer.alone``): a hold is a chain of
*parts*, each an amount on one account, and what an account has is the sum of the parts on it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from engine.catalog.catalog import NO_GROUP
from engine.jit import kernel
from engine.optimizer.keyed import NO_ROW, Ints, keyed_rows, remove_row, row_for, row_of
from engine.records import Venue

PARTS_OF_AN_ORDER: Final = 4  # its slot, and of a purchase: cash, market, event

ORDERS, CASH, MARKET, EVENT, SELLING = range(5)  # kinds of account
BALANCE, HELD = range(2)  # columns of ``venue``
HELD_HERE, COST, OWNED, FOR_SALE = 0, 1, 2, 4  # columns of ``market``: OWNED and FOR_SALE by Outcome
GROUP: Final = 6  # of the position
MARKET_COLUMNS: Final = 7
EVENT_HELD, EVENT_COST = 1, 2  # columns of ``event``, behind the key
FIRST_PART: Final = 1  # column of ``plan``, behind the key: plus one
NEXT, KIND, WHERE, AMOUNT = range(4)  # columns of ``part``; NEXT plus one, 0 at the end
PART_COLUMNS: Final = 4
N_ORDERS, FREE, USED, N_PLANS = range(4)  # of ``state``: FREE is the first free part plus one
STATES: Final = 4

_VENUES: Final = max(Venue) + 1


class Held(NamedTuple):
    """Accounts and holds. There are at most as many plans as orders, so no array is ever full."""

    venue: Ints  # [Venue, (BALANCE, HELD)]
    market: Ints  # [slot, MARKET_COLUMNS]
    event: Ints  # rows by catalog group, while there is something on it
    plan: Ints  # rows by plan
    part: Ints  # [PARTS_OF_AN_ORDER x orders, PART_COLUMNS]
    state: Ints  # [STATES]


def new_held(markets: int, orders: int) -> Held:
    """Arrays for so many markets, and so many orders in flight."""
    held = Held(
        venue=np.zeros((_VENUES, 2), np.int64),
        market=np.zeros((markets, MARKET_COLUMNS), np.int64),
        event=keyed_rows(markets + orders),
        plan=keyed_rows(orders),
        part=np.zeros((PARTS_OF_AN_ORDER * orders, PART_COLUMNS), np.int64),
        state=np.zeros(STATES, np.int64),
    )
    held.market[:, GROUP] = NO_GROUP
    return held


@kernel
def event_exposure_micros(group: int, held: Held) -> int:
    """Cost of the positions plus what plans hold over a catalog group."""
    at = row_of(group, held.event) if group != NO_GROUP else NO_ROW
    return int(held.event[at, EVENT_HELD] + held.event[at, EVENT_COST]) if at != NO_ROW else 0


@kernel
def change_event(group: int, column: int, micros: int, held: Held) -> None:
    """Add to what is held, or to what positions cost, in a catalog group."""
    if group == NO_GROUP or micros == 0:
        return
    at = row_for(group, held.event)
    held.event[at, column] += micros
    if held.event[at, EVENT_HELD] == 0 and held.event[at, EVENT_COST] == 0:
        remove_row(at, held.event)


@kernel
def _change(kind: int, where: int, amount: int, held: Held) -> None:
    if kind == ORDERS:
        held.state[N_ORDERS] += amount
    elif kind == CASH:
        held.venue[where, HELD] += amount
    elif kind == MARKET:
        held.market[where, HELD_HERE] += amount
    elif kind == EVENT:
        change_event(where, EVENT_HELD, amount, held)
    else:
        held.market[where >> 1, FOR_SALE + (where & 1)] += amount


@kernel
def hold_part(plan_id: int, kind: int, where: int, amount: int, held: Held) -> None:
    """Hold an amount for a plan; ``where``: venue, slot, group or, of what is for sale, 2 x slot + outcome.

    ORDERS comes first, once: that is how many parts there will be room for.
    """
    state, part = held.state, held.part
    at = int(state[FREE]) - 1
    if at < 0:
        at = int(state[USED])
        state[USED] += 1
    else:
        state[FREE] = part[at, NEXT]
    if kind == ORDERS:
        state[N_PLANS] += 1
    row = row_for(plan_id, held.plan)
    part[at, NEXT], part[at, KIND], part[at, WHERE], part[at, AMOUNT] = (
        held.plan[row, FIRST_PART],
        kind,
        where,
        amount,
    )
    held.plan[row, FIRST_PART] = at + 1
    _change(kind, where, amount, held)


@kernel
def release_hold(plan_id: int, held: Held) -> bool:
    """End the hold of a plan; False when there is none."""
    row = row_of(plan_id, held.plan)
    if row == NO_ROW:
        return False
    at = int(held.plan[row, FIRST_PART]) - 1
    while at >= 0:
        _change(int(held.part[at, KIND]), int(held.part[at, WHERE]), -int(held.part[at, AMOUNT]), held)
        after = int(held.part[at, NEXT]) - 1
        held.part[at, NEXT] = held.state[FREE]
        held.state[FREE] = at + 1
        at = after
    held.state[N_PLANS] -= 1
    remove_row(row, held.plan)
    return True


class Holds:
    """Cash, positions, and the holds of all plans in flight, in ``held``."""

    def __init__(self, markets: int, orders: int) -> None:
        self.held = new_held(markets, orders)

    def __len__(self) -> int:
        """Plans in flight."""
        return int(self.held.state[N_PLANS])

    @property
    def orders(self) -> int:
        """Orders of the plans in flight."""
        return int(self.held.state[N_ORDERS])

    def set_cash(self, venue: int, cash_micros: int) -> None:
        """Balance at a venue, as the ledger has it; holds are counted against it here."""
        self.held.venue[venue, BALANCE] = cash_micros

    def set_position(self, slot: int, group: int, yes_e6: int, no_e6: int, cost_micros: int) -> None:
        """Latest position in one market and what it cost; ``group`` NO_GROUP when it is alone."""
        row = self.held.market[slot]
        change_event(int(row[GROUP]), EVENT_COST, -int(row[COST]), self.held)
        row[OWNED], row[OWNED + 1], row[COST], row[GROUP] = yes_e6, no_e6, cost_micros, group
        change_event(group, EVENT_COST, cost_micros, self.held)

    def held_cash_micros(self, venue: int) -> int:
        """Cash at a venue that plans hold."""
        return int(self.held.venue[venue, HELD])

    def free_cash_micros(self, venue: int) -> int:
        """Cash at a venue that no plan holds."""
        return int(self.held.venue[venue, BALANCE]) - int(self.held.venue[venue, HELD])

    def market_exposure_micros(self, slot: int) -> int:
        """Cost of the position plus what plans hold in this market."""
        return int(self.held.market[slot, HELD_HERE]) + int(self.held.market[slot, COST])

    def event_exposure_micros(self, group: int) -> int:
        """The same over a catalog group."""
        return int(event_exposure_micros(group, self.held))

    def held_e6(self, slot: int, outcome: int) -> int:
        """Contracts we have, those for sale included."""
        return int(self.held.market[slot, OWNED + outcome])

    def for_sale_e6(self, slot: int, outcome: int) -> int:
        """Contracts we have and that no plan is selling."""
        return int(self.held.market[slot, OWNED + outcome]) - int(self.held.market[slot, FOR_SALE + outcome])

    def release(self, plan_id: int) -> bool:
        """End the hold of a plan; False when there is none (done before, or not ours)."""
        return bool(release_hold(plan_id, self.held))
