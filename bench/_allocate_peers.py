"""What one would allocate scarce cash with instead: a greedy loop in Python, and OR-tools' exact model.

Both see the books as plain lists of (dollars with fee, contracts), which is not timed, and deal out whole
contracts. Neither rounds fees, proves a plan or computes what a partial fill can lose.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Final, NamedTuple

import numpy as np

from bench._opportunities import FEE_PPB, Opportunities
from engine.records import Venue
from engine.units import CASH_ONE_MICROS, PRICE_ONE_E4, SIZE_ONE_E6

GAP: Final = 1e-3  # to a thousandth of the optimum: the last of it can take minutes
SOLVE_S_MAX: Final = 1.0


class Asks(NamedTuple):
    """One side of a book: where its cash goes, and its levels as (dollars with fee, contracts)."""

    venue: Venue
    levels: list[tuple[float, float]]


class Plain:
    """A batch as lists: ``sides`` by slot, and the slots of each set, which pays a dollar."""

    def __init__(self, opportunities: Opportunities, cash_micros: Mapping[Venue, int]) -> None:
        self.cash = {venue: micros / CASH_ONE_MICROS for venue, micros in cash_micros.items()}
        self.sides: dict[int, Asks] = {}
        self.sets: list[list[int]] = []
        first = 0
        for head in opportunities.heads:
            slots = opportunities.legs["slot"][first : first + int(head["n_legs"])].tolist()
            first += len(slots)
            self.sets.append(slots)
            for slot in slots:
                self.sides[slot] = _asks(opportunities.books[slot])


def _asks(book: np.void) -> Asks:
    venue, count = Venue(int(book["venue"])), int(book["n_asks"])
    levels = []
    for price_e4, size_e6 in zip(book["ask_e4"][:count], book["ask_size_e6"][:count], strict=True):
        price = int(price_e4) / PRICE_ONE_E4
        levels.append((price + FEE_PPB[venue] / 1e9 * price * (1 - price), int(size_e6) / SIZE_ONE_E6))
    return Asks(venue, levels)


def greedy(plain: Plain) -> float:
    """Dollars by whole opportunities, the best edge a dollar first, as deep as it earns and cash lasts."""
    cash = dict(plain.cash)
    left = {slot: [list(level) for level in side.levels] for slot, side in plain.sides.items()}
    cost = [sum(left[slot][0][0] for slot in slots) for slots in plain.sets]
    total = 0.0
    for number in sorted(range(len(cost)), key=lambda number: (cost[number] - 1) / cost[number]):
        slots = plain.sets[number]
        while all(left[slot] for slot in slots):
            tops = [left[slot][0] for slot in slots]
            edge = 1.0 - sum(top[0] for top in tops)
            if edge <= 0:
                break
            size = min(top[1] for top in tops)
            need = dict.fromkeys(cash, 0.0)
            for top, slot in zip(tops, slots, strict=True):
                need[plain.sides[slot].venue] += top[0]
            size = min([size, *(cash[venue] // need[venue] for venue in need if need[venue] > 0)])
            if size < 1:
                break
            total += edge * size
            for top, slot in zip(tops, slots, strict=True):
                cash[plain.sides[slot].venue] -= top[0] * size
                top[1] -= size
                if top[1] < 1:
                    del left[slot][0]
    return total


class Exact:
    """OR-tools: sizes of each set and of levels, cash by venue; an optimum, where contracts can be divided.

    ``is_whole``: of whole contracts by SCIP, within GAP of the optimum or what it has after SOLVE_S_MAX;
    otherwise by GLOP, which earns at least as much.
    """

    def __init__(self, helper: ModuleType, *, is_whole: bool) -> None:
        self._helper = helper
        self._is_whole = is_whole

    def __call__(self, plain: Plain) -> float:
        """Build the model and solve it; dollars. RuntimeError without a solution."""
        solver = self._helper.ModelSolverHelper("scip" if self._is_whole else "glop")
        if self._is_whole:
            solver.set_solver_specific_parameters(f"limits/gap = {GAP}")
        solver.set_time_limit_in_seconds(SOLVE_S_MAX)
        solver.solve(self._model(plain))
        if not solver.has_solution():
            raise RuntimeError(f"OR-tools: {solver.status_string()}")
        return float(solver.objective_value())

    def _model(self, plain: Plain) -> object:
        """Sets are the first variables, then the levels of each side; a row for each side and each venue."""
        model = self._helper.ModelBuilderHelper()
        levels = [(slot, *level) for slot, side in plain.sides.items() for level in side.levels]
        n_sets = len(plain.sets)
        depth = {slot: sum(size for _, size in side.levels) for slot, side in plain.sides.items()}
        most = [min(depth[slot] for slot in slots) for slots in plain.sets] + [size for _, _, size in levels]
        whole = (np.arange(len(most)) < n_sets) & self._is_whole
        model.add_var_array_with_bounds(np.zeros(len(most)), np.array(most), whole, "")
        gains = [1.0] * n_sets + [-price for _, price, _ in levels]
        model.set_objective_coefficients(list(range(len(most))), gains)
        model.set_maximize(True)
        row_of = {slot: self._row(model, 0.0, 0.0) for slot in plain.sides}
        cash_row = {venue: self._row(model, -np.inf, cash) for venue, cash in plain.cash.items()}
        for number, slots in enumerate(plain.sets):
            for slot in slots:
                model.add_term_to_constraint(row_of[slot], number, -1.0)
        for number, (slot, price, _) in enumerate(levels):
            model.add_term_to_constraint(row_of[slot], n_sets + number, 1.0)
            model.add_term_to_constraint(cash_row[plain.sides[slot].venue], n_sets + number, price)
        return model

    @staticmethod
    def _row(model: object, low: float, high: float) -> int:
        row = int(model.add_linear_constraint())  # type: ignore[attr-defined]
        model.set_constraint_lower_bound(row, low)  # type: ignore[attr-defined]
        model.set_constraint_upper_bound(row, high)  # type: ignore[attr-defined]
        return row
