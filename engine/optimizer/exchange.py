"""Size moved between pairs of opportunities, where passes in one order go wrong.

Prices decide all but a few sizes: of the jobs whose next sets earn just what the scarce cash costs, how the
last cash is split between them decides whether the cash of both venues is used up. So one job gives up some
of its size, another is served next, all others take what is left; the best of such moves is made, again and
again. Each trial goes on from a fill of all others that was kept. The work is counted in legs looked at and
ends when LEGS_TRIED_MAX is spent: no input takes longer, and what was not tried is in the gap to the bound.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.jit import kernel
from engine.optimizer.fill import (
    CAP_E6,
    DRAWS,
    IS_CLOSED,
    SIZE_E6,
    STATES,
    Batch,
    Filling,
    fill_all,
    fill_job,
    restart,
    worth_of,
)
from engine.optimizer.levels import Ints
from engine.records import TOP_LEVELS
from engine.units import INT64_MAX

CUT_STEP_E6: Final = 10_000  # how finely sizes are moved
LEGS_TRIED_MAX: Final = 10_000  # of one batch; no cut is begun that might need more than is left


@kernel
def copy_fill(n_jobs: int, n_legs: int, source: Filling, target: Filling) -> None:
    """Make what has been taken in ``target`` the same as in ``source``."""
    target.n_budgets[0] = source.n_budgets[0]
    for leg in range(n_legs):
        target.cursor[leg] = source.cursor[leg]
        for level in range(TOP_LEVELS):
            target.used[leg, level] = source.used[leg, level]
    for account in range(n_legs * DRAWS):
        target.held[account] = source.held[account]
    for budget in range(source.n_budgets[0]):
        target.budget[budget] = source.budget[budget]
    for row in range(STATES):
        for index in range(n_jobs):
            target.state[row, index] = source.state[row, index]


@kernel
def _fill_others(
    moved: int, sizes: Ints, n_jobs: int, n_legs: int, batch: Batch, fill: Filling, kept: Filling
) -> None:
    """Keep a fill in which all jobs have their sizes but ``moved``, which has nothing."""
    restart(n_jobs, n_legs, fill)
    for index in range(n_jobs):
        fill.state[CAP_E6, index] = 0 if index == moved else sizes[index]
        fill_job(index, int(np.int64(0)), batch, fill)
        fill.state[IS_CLOSED, index] = 0
    for index in range(n_jobs):
        fill.state[CAP_E6, index] = INT64_MAX  # the job's own cap still holds
    copy_fill(n_jobs, n_legs, fill, kept)


@kernel
def _worth_with(
    moved: int, size_e6: int, first: int, n_jobs: int, n_legs: int, batch: Batch, fill: Filling, kept: Filling
) -> int:
    """Profit when ``moved`` gets ``size_e6``, then ``first`` all it can, then the others what is left."""
    copy_fill(n_jobs, n_legs, kept, fill)
    fill.state[CAP_E6, moved] = size_e6
    fill_job(moved, int(np.int64(0)), batch, fill)
    fill.state[CAP_E6, moved] = INT64_MAX
    fill_job(first, int(np.int64(0)), batch, fill)
    fill_all(n_jobs, int(np.int64(0)), batch, fill)
    return worth_of(n_jobs, fill)


@kernel
def _cut_trials(size_e6: int) -> int:
    """Most trials that the best cut of ``size_e6`` takes."""
    trials = 1
    while size_e6 > CUT_STEP_E6:
        size_e6 -= max(size_e6 // 3, 1)
        trials += 2
    return trials


@kernel
def _best_cut(
    moved: int,
    first: int,
    known: int,
    size_e6: int,
    n_jobs: int,
    n_legs: int,
    batch: Batch,
    fill: Filling,
    kept: Filling,
) -> tuple[int, int, int]:
    """Best size of ``moved``, which has ``size_e6``, when ``first`` is served next: (size, worth, trials)."""
    low = 0
    high = size_e6
    size, best = size_e6, known
    worth = _worth_with(moved, int(np.int64(0)), first, n_jobs, n_legs, batch, fill, kept)
    if worth > best:
        size, best = 0, worth
    trials = 1
    while high - low > CUT_STEP_E6:
        third = max((high - low) // 3, 1)
        lower = _worth_with(moved, low + third, first, n_jobs, n_legs, batch, fill, kept)
        upper = _worth_with(moved, high - third, first, n_jobs, n_legs, batch, fill, kept)
        trials += 2
        if lower > best:
            size, best = low + third, lower
        if upper > best:
            size, best = high - third, upper
        if lower >= upper:
            high -= third
        else:
            low += third
    return size, best, trials


@kernel
def exchange(
    n_jobs: int,
    n_legs: int,
    known: int,
    enough: int,
    chosen: Ints,
    sizes: Ints,
    left: Ints,
    batch: Batch,
    fill: Filling,
    kept: Filling,
) -> int:
    """Move size between pairs of ``chosen`` jobs, the best move first, until nothing is won.

    ``sizes`` (e6, by job) is worth ``known`` micro-dollars and is improved in place; answers its new worth.
    Ends when ``enough`` is reached, too, or too few legs are ``left`` ([1], counted down) to look at.
    """
    trial_legs = n_legs + n_jobs
    while known < enough:
        best = known
        best_moved = best_first = int(np.int64(-1))
        best_size = int(np.int64(0))
        for moved in range(n_jobs):
            needed = (1 + _cut_trials(int(sizes[moved]))) * trial_legs
            if chosen[moved] == 0 or sizes[moved] <= 0 or left[0] < needed:
                continue
            _fill_others(moved, sizes, n_jobs, n_legs, batch, fill, kept)
            left[0] -= trial_legs
            for first in range(n_jobs):
                full = sizes[first] >= batch.jobs[first]["cap_e6"]
                if moved == first or chosen[first] == 0 or full or left[0] < needed - trial_legs:
                    continue
                size, worth, trials = _best_cut(
                    moved, first, known, int(sizes[moved]), n_jobs, n_legs, batch, fill, kept
                )
                left[0] -= trials * trial_legs
                if worth > best:
                    best, best_moved, best_first, best_size = worth, moved, first, size
        if best_moved < 0:
            break
        _fill_others(best_moved, sizes, n_jobs, n_legs, batch, fill, kept)
        known = _worth_with(best_moved, best_size, best_first, n_jobs, n_legs, batch, fill, kept)
        for index in range(n_jobs):
            sizes[index] = fill.state[SIZE_E6, index]
    return known
