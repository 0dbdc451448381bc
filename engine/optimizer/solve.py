"""How many sets of each signal in a batch: at their best where they fit, dealt out where they do not."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from engine.optimizer.batch import Problem
from engine.optimizer.share import ALL_FIT
from engine.reasons import Reason

_REASON_OF: Final = {int(reason): reason for reason in Reason}


@dataclass(slots=True)
class Solution:
    """Per job: sets (e6), why there are none, upper bound of its profit; and the bound of the whole batch."""

    sizes: list[int]
    reasons: list[Reason]
    bounds: list[int]
    bound_micros: int


def solve(problem: Problem, free_slots: int) -> Solution:
    """Sizes for all jobs of a loaded problem. They are whole lots and still have to be priced exactly."""
    alone = problem.size_alone()
    sizes, profits, bounds, peaks = ([row[column] for row in alone] for column in range(4))
    capped = problem.batch.jobs[["cap_e6", "smallest_e6"]][: problem.n_jobs].tolist()
    reasons = [_reason_alone(cap, least, size) for (cap, least), size in zip(capped, sizes, strict=True)]
    solution = Solution(sizes, reasons, bounds, 0)
    _choose_slots(problem, free_slots, solution, profits)
    solution.bound_micros = sum(solution.bounds)
    if any(solution.sizes):
        _share(problem, solution, peaks)
    return solution


def _reason_alone(cap_e6: int, smallest_e6: int, size: int) -> Reason:
    """Why ``size``, the best with the books to itself, is none; NONE when it is some."""
    if size > 0:
        return Reason.NONE
    return Reason.EXPOSURE_EXHAUSTED if cap_e6 < smallest_e6 else Reason.CROWDED_OUT


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


def _share(problem: Problem, solution: Solution, peaks: list[int]) -> None:
    """Replace sizes and reasons by what is dealt out where not all can have their best size."""
    deal, n_jobs = problem.deal, problem.n_jobs
    deal.want_e6[:n_jobs] = solution.sizes
    deal.peak_e6[:n_jobs] = peaks
    deal.bound_micros[:n_jobs] = solution.bounds
    bound = problem.share()
    if bound == ALL_FIT:
        return
    solution.bound_micros = min(solution.bound_micros, bound)
    for index, (size, reason) in enumerate(
        zip(deal.size_e6[:n_jobs].tolist(), deal.reason[:n_jobs].tolist(), strict=True)
    ):
        if solution.sizes[index] > 0:
            solution.sizes[index], solution.reasons[index] = size, _REASON_OF[reason]
