"""Exact prices for the sizes a solution proposes, and what a plan of that size holds."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from engine.optimizer.adversary import worst_loss_micros
from engine.optimizer.batch import BATCH_LEGS_MAX, Problem
from engine.optimizer.booking import WORST_LOSS, hold_plan
from engine.optimizer.holds import Holds
from engine.optimizer.levels import Ints, level_arrays
from engine.optimizer.pricing import COLUMNS, NO_DEPTH, WORST, consume, price_legs
from engine.reasons import Reason

_REASON_OF: Final = {int(reason): reason for reason in Reason}
TRIMS_MAX: Final = 8  # lots taken off a plan whose roundings do not fit its budgets


class Quote(NamedTuple):
    """A size priced leg by leg, or the reason why there is none."""

    reason: Reason
    size_e6: int = 0
    profit_micros: int = 0
    worst_loss_micros: int = 0
    cash_micros: int = 0  # held


class Quoter:
    """Prices jobs of a problem one after the other; each takes its levels off the books of the next."""

    def __init__(self, problem: Problem, holds: Holds, limits: Ints) -> None:
        """``limits``: the array of ``engine.optimizer.booking.LIMITS``."""
        self.priced: Ints = np.zeros((BATCH_LEGS_MAX, COLUMNS), np.int64)
        self._problem = problem
        self._holds = holds
        self._limits = limits
        self.levels, self.count = level_arrays(BATCH_LEGS_MAX)  # scratch

    def quote(self, index: int, size_e6: int, plan_id: int) -> Quote:
        """Price ``size_e6`` sets of a job; take off a few lots when roundings pass a budget.

        Without a reason against it, ``plan_id`` holds what it binds.
        """
        smallest_e6 = int(self._problem.batch.jobs[index]["smallest_e6"])
        reason = Reason.CROWDED_OUT
        for _ in range(TRIMS_MAX):
            size_e6 = self._problem.whole_lots(index, size_e6)
            if size_e6 < smallest_e6:
                break
            profit = self._profit(index, size_e6)
            if profit > 0:
                reason = self._hold(index, size_e6, plan_id)
                if reason is Reason.NONE:
                    return self._with_worst_loss(index, Quote(reason, size_e6, profit), plan_id)
            elif profit != NO_DEPTH:
                return Quote(Reason.CROWDED_OUT)
            size_e6 -= 1
        return Quote(reason)

    def consume(self, index: int, size_e6: int) -> None:
        """Take an accepted size off the levels that later jobs see."""
        problem, batch = self._problem, self._problem.batch
        consume(batch.jobs, index, size_e6, problem.n_legs, batch.supply, batch.levels, batch.depth)

    def _profit(self, index: int, size_e6: int) -> int:
        batch, markets = self._problem.batch, self._problem.markets
        at_limit = int(batch.at_limit[0])
        return int(
            price_legs(
                batch.jobs,
                index,
                size_e6,
                batch.legs,
                markets,
                batch.levels,
                batch.depth,
                at_limit,
                self.priced,
            )
        )

    def _with_worst_loss(self, index: int, quote: Quote, plan_id: int) -> Quote:
        batch, problem = self._problem.batch, self._problem
        worst = int(
            worst_loss_micros(
                batch.jobs,
                index,
                quote.size_e6,
                quote.profit_micros,
                batch.legs,
                problem.books,
                problem.markets,
                self.priced,
                self.levels,
                self.count,
            )
        )
        if worst > self._limits[WORST_LOSS]:
            self._holds.release(plan_id)
            return Quote(Reason.WORST_LOSS_TOO_LARGE, quote.size_e6, quote.profit_micros, worst)
        legs = problem.legs_of(index)
        cash = int(self.priced[legs.start : legs.stop, WORST].sum())
        return quote._replace(worst_loss_micros=worst, cash_micros=cash)

    def _hold(self, index: int, size_e6: int, plan_id: int) -> Reason:
        """Hold what a plan of this size binds until it is done, or say which budget that would pass."""
        batch, markets = self._problem.batch, self._problem.markets
        held, limits = self._holds.held, self._limits
        return _REASON_OF[
            hold_plan(plan_id, batch.jobs, index, size_e6, batch.legs, markets, self.priced, limits, held)
        ]
