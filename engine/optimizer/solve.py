"""How many sets of each signal in a batch: at their best where they fit, by search where they do not."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations
from typing import Final

import numpy as np

from engine.optimizer.batch import Problem
from engine.optimizer.dual import search_prices
from engine.optimizer.fill import SIZE_E6, VENUE_BUDGETS, exchange, fill_batch, mark_ties
from engine.optimizer.levels import NANO_PER_MICRO, UNIT
from engine.reasons import Reason
from engine.units import CASH_MAX_MICROS, PPM

ENOUGH_PPM: Final = 50  # of the bound: with no more than this missing, the search stops
ORDERS_ALL_MAX: Final = 4  # so few jobs are tried in every order


@dataclass(slots=True)
class Solution:
    """Per job: sets (e6), why there are none, upper bound of its profit; and the bound of the whole batch."""

    sizes: list[int]
    reasons: list[Reason]
    bounds: list[int]
    peaks: list[int]  # where the next set would lose; a size beyond it completes a lot
    bound_micros: int


def solve(problem: Problem, free_slots: int) -> Solution:
    """Sizes for all jobs of a loaded problem. They are whole lots and still have to be priced exactly."""
    alone = [problem.size_alone(index) for index in range(problem.n_jobs)]
    sizes, profits, bounds, peaks = ([row[column] for row in alone] for column in range(4))
    reasons = [_reason_alone(problem.batch.jobs[index], size) for index, size in enumerate(sizes)]
    solution = Solution(sizes, reasons, bounds, peaks, sum(bounds))
    _choose_slots(problem, free_slots, solution, profits)
    solution.bound_micros = sum(solution.bounds)
    active = [index for index, size in enumerate(solution.sizes) if size > 0]
    if active and not _fit(problem, solution, active):
        _search(problem, solution, active)
    return solution


def _reason_alone(job: np.void, size: int) -> Reason:
    """Why ``size``, the best with the books to itself, is none; NONE when it is some."""
    if size > 0:
        return Reason.NONE
    return Reason.EXPOSURE_EXHAUSTED if job["cap_e6"] < job["smallest_e6"] else Reason.CROWDED_OUT


def _choose_slots(problem: Problem, free_slots: int, solution: Solution, profits: list[int]) -> None:
    """Order slots to the signals that earn most with each; the others end here."""
    active = [index for index, size in enumerate(solution.sizes) if size > 0]
    orders = [len(problem.legs_of(index)) for index in range(problem.n_jobs)]
    if sum(orders[index] for index in active) <= free_slots:
        return
    for index in sorted(active, key=lambda index: (Fraction(-profits[index], orders[index]), index)):
        if orders[index] > free_slots:
            solution.reasons[index] = Reason.SLOTS_EXHAUSTED
            solution.sizes[index] = solution.bounds[index] = 0
        else:
            free_slots -= orders[index]


def _fit(problem: Problem, solution: Solution, active: list[int]) -> bool:
    """Whether all can be taken at their best size: no book side shared, no budget passed."""
    batch, fill = problem.batch, problem.fill
    supply = batch.supply[: problem.n_legs].tolist()
    taken = [supply[leg] for index in active for leg in problem.legs_of(index)]
    if len(set(taken)) < len(taken):
        return False
    _order(problem, active)
    problem.cap(solution.sizes)
    fill.price_ppm[:] = 0
    fill_batch(problem.n_jobs, problem.n_legs, batch, fill)
    wanted = [min(solution.sizes[index], solution.peaks[index]) for index in active]
    filled = fill.state[SIZE_E6].tolist()
    return all(filled[index] == size for index, size in zip(active, wanted, strict=True))


def _order(problem: Problem, first: list[int]) -> None:
    """Let the jobs in ``first`` go first, in that order."""
    rest = [index for index in range(problem.n_jobs) if index not in first]
    problem.fill.order[: problem.n_jobs] = [*first, *rest]


def _search(problem: Problem, solution: Solution, active: list[int]) -> None:
    """Share scarce cash and books among the active jobs; those below a smallest order are taken out again."""
    batch = problem.batch
    problem.cap(solution.sizes)  # sharing never makes a job larger
    found = int(search_prices(problem.n_jobs, problem.n_supplies, batch, problem.prices))
    solution.bound_micros = min(solution.bound_micros, found)
    wanted = dict.fromkeys(active)
    while True:
        sizes = _best_fill(problem, solution, list(wanted))
        small = [index for index in wanted if sizes[index] < batch.jobs[index]["smallest_e6"]]
        if not small:
            break
        why = {index: _why_small(problem, index) for index in small}
        # one that could not be had alone either only stands in the way of those that can
        worst = min(
            small, key=lambda index: (why[index] is Reason.CROWDED_OUT, solution.bounds[index], index)
        )
        solution.reasons[worst] = why[worst]
        batch.jobs[worst]["cap_e6"] = 0
        del wanted[worst]
    solution.sizes = [sizes[index] if index in wanted else 0 for index in range(problem.n_jobs)]


def _best_fill(problem: Problem, solution: Solution, active: list[int]) -> list[int]:
    """Sizes of the best fill found, in whole lots."""
    batch, fill, n_jobs = problem.batch, problem.fill, problem.n_jobs
    fill.price_ppm[:] = problem.prices.price_ppm
    best, kept = -1, np.zeros(n_jobs, np.int64)
    for order in _orders(problem, solution, active):
        _order(problem, order)
        worth = int(fill_batch(n_jobs, problem.n_legs, batch, fill))
        if worth > best:
            best, kept = worth, fill.state[SIZE_E6, :n_jobs].copy()
    enough = solution.bound_micros - solution.bound_micros * ENOUGH_PPM // PPM
    chosen = np.zeros(n_jobs, np.int64)
    if best < enough and mark_ties(n_jobs, problem.n_legs, batch, fill, chosen) > 1:
        best = int(exchange(n_jobs, problem.n_legs, best, enough, chosen, kept, batch, fill))
    if best < enough:
        chosen[active] = 1
        exchange(n_jobs, problem.n_legs, best, enough, chosen, kept, batch, fill)
    return _in_lots(problem, [int(size) for size in kept], active)


def _in_lots(problem: Problem, sizes: list[int], active: list[int]) -> list[int]:
    """Sizes in whole lots, where what roundings set free goes to whoever can make a lot of it, in order."""
    jobs, fill = problem.batch.jobs, problem.fill
    caps = jobs["cap_e6"][: problem.n_jobs].copy()
    fill.price_ppm[:] = 0
    lots = [problem.whole_lots(index, size) for index, size in enumerate(sizes)]
    for index in active:
        jobs["cap_e6"][: problem.n_jobs] = lots
        jobs[index]["cap_e6"] = caps[index]
        _order(problem, [other for other in active if other != index] + [index])
        fill_batch(problem.n_jobs, problem.n_legs, problem.batch, fill)
        lots[index] = max(lots[index], problem.whole_lots(index, int(fill.state[SIZE_E6, index])))
    jobs["cap_e6"][: problem.n_jobs] = caps
    return lots


def _orders(problem: Problem, solution: Solution, active: list[int]) -> list[list[int]]:
    """Orders worth a fill: by what cash earns, by profit a set, by profit; every order of a few jobs."""
    if len(active) <= ORDERS_ALL_MAX:
        return [list(order) for order in permutations(active)]
    cash = {index: _first_cost(problem, index) for index in active}
    margin = {index: int(problem.batch.jobs[index]["payoff_micros"]) - cash[index] for index in active}
    return [
        sorted(active, key=lambda index: (Fraction(-margin[index], max(cash[index], 1)), index)),
        sorted(active, key=lambda index: (-margin[index], index)),
        sorted(active, key=lambda index: (-solution.bounds[index], index)),
    ]


def _first_cost(problem: Problem, index: int) -> int:
    """Cash that the first set binds, in micro-dollars."""
    units = problem.batch.levels[UNIT, problem.legs_of(index), 0]
    return int(units[units > 0].sum()) // NANO_PER_MICRO


def _why_small(problem: Problem, index: int) -> Reason:
    """What keeps a job below a smallest order: other jobs, cash, or exposure."""
    jobs, fill = problem.batch.jobs, problem.fill
    caps, opening = jobs["cap_e6"].copy(), fill.opening.copy()
    jobs["cap_e6"] = 0
    jobs[index]["cap_e6"] = caps[index]
    reason = Reason.CROWDED_OUT
    if not _reaches(problem, index):
        fill.opening[:VENUE_BUDGETS] = CASH_MAX_MICROS
        reason = Reason.CASH_EXHAUSTED if _reaches(problem, index) else Reason.EXPOSURE_EXHAUSTED
    fill.opening[:] = opening
    jobs["cap_e6"] = caps
    return reason


def _reaches(problem: Problem, index: int) -> bool:
    """Whether a fill takes at least the smallest order of a job."""
    problem.fill.price_ppm[:] = 0
    fill_batch(problem.n_jobs, problem.n_legs, problem.batch, problem.fill)
    return bool(problem.fill.state[SIZE_E6, index] >= problem.batch.jobs[index]["smallest_e6"])
