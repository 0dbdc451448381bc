"""What plans in flight hold: cash, exposure, inventory, order slots. A hold ends when its plan is done.

Cash and exposure are held at the worst case of each plan, so that everything we have promised can happen at
once. Amounts in micro-dollars, sizes in e6.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.catalog.catalog import NO_GROUP


class Inventory(NamedTuple):
    """Contracts of one outcome of one market."""

    slot: int
    outcome: int


@dataclass(slots=True)
class Hold:
    """What one plan holds until it is done."""

    orders: int = 0
    cash_micros: Counter[int] = field(default_factory=Counter)  # by venue
    market_micros: Counter[int] = field(default_factory=Counter)  # by slot
    event_micros: Counter[int] = field(default_factory=Counter)  # by catalog group
    selling_e6: Counter[Inventory] = field(default_factory=Counter)

    def add_purchase(self, venue: int, slot: int, group: int, worst_micros: int) -> None:
        """Hold the worst cash of one purchase."""
        self.cash_micros[venue] += worst_micros
        self.market_micros[slot] += worst_micros
        if group != NO_GROUP:
            self.event_micros[group] += worst_micros

    def add_sale(self, slot: int, outcome: int, size_e6: int) -> None:
        """Hold inventory that is for sale."""
        self.selling_e6[Inventory(slot, outcome)] += size_e6


class _Position(NamedTuple):
    group: int
    held_e6: tuple[int, int]  # by Outcome
    cost_micros: int


class Holds:
    """Cash, positions, and the holds of all plans in flight."""

    def __init__(self) -> None:
        self.total = Hold()
        self._cash: dict[int, int] = {}
        self._plans: dict[int, Hold] = {}
        self._positions: dict[int, _Position] = {}
        self._event_cost: Counter[int] = Counter()

    def __len__(self) -> int:
        """Plans in flight."""
        return len(self._plans)

    def set_cash(self, venue: int, cash_micros: int) -> None:
        """Balance at a venue, as the ledger has it; holds are counted against it here."""
        self._cash[venue] = cash_micros

    def set_position(self, slot: int, group: int, yes_e6: int, no_e6: int, cost_micros: int) -> None:
        """Latest position in one market and what it cost; ``group`` NO_GROUP when it is alone."""
        before = self._positions.get(slot)
        if before is not None:
            self._event_cost[before.group] -= before.cost_micros
        self._positions[slot] = _Position(group, (yes_e6, no_e6), cost_micros)
        self._event_cost[group] += cost_micros

    def free_cash_micros(self, venue: int) -> int:
        """Cash at a venue that no plan holds."""
        return self._cash.get(venue, 0) - self.total.cash_micros[venue]

    def market_exposure_micros(self, slot: int) -> int:
        """Cost of the position plus what plans hold in this market."""
        position = self._positions.get(slot)
        return self.total.market_micros[slot] + (position.cost_micros if position else 0)

    def event_exposure_micros(self, group: int) -> int:
        """The same over a catalog group."""
        return self.total.event_micros[group] + self._event_cost[group]

    def held_e6(self, slot: int, outcome: int) -> int:
        """Contracts we have, those for sale included."""
        position = self._positions.get(slot)
        return position.held_e6[outcome] if position else 0

    def for_sale_e6(self, slot: int, outcome: int) -> int:
        """Contracts we have and that no plan is selling."""
        return self.held_e6(slot, outcome) - self.total.selling_e6[Inventory(slot, outcome)]

    def add(self, plan_id: int, hold: Hold) -> None:
        """Hold for a new plan."""
        self._plans[plan_id] = hold
        self.total.orders += hold.orders
        self._each(hold, 1)

    def release(self, plan_id: int) -> bool:
        """End the hold of a plan; False when there is none (done before, or not ours)."""
        hold = self._plans.pop(plan_id, None)
        if hold is None:
            return False
        self.total.orders -= hold.orders
        self._each(hold, -1)
        return True

    def _each(self, hold: Hold, sign: int) -> None:
        for total, part in (
            (self.total.cash_micros, hold.cash_micros),
            (self.total.market_micros, hold.market_micros),
            (self.total.event_micros, hold.event_micros),
        ):
            for key, micros in part.items():
                total[key] += sign * micros
                if total[key] == 0:
                    del total[key]
        for holding, size_e6 in hold.selling_e6.items():
            self.total.selling_e6[holding] += sign * size_e6
            if self.total.selling_e6[holding] == 0:
                del self.total.selling_e6[holding]
