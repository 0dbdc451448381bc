"""Exact prices for the sizes a solution proposes, and what a plan of that size would hold."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from engine.optimizer.adversary import FROM_CONVERSION, worst_loss_micros
from engine.optimizer.batch import BATCH_LEGS_MAX, OrderLimits, Problem
from engine.optimizer.holds import Hold, Holds
from engine.optimizer.levels import Ints, level_arrays
from engine.optimizer.pricing import COLUMNS, NO_DEPTH, WORST, consume, price_legs
from engine.reasons import Reason
from engine.records import Direction

_BUY: Final = int(Direction.BUY)
TRIMS_MAX: Final = 8  # lots taken off a plan whose roundings do not fit its budgets


class Quote(NamedTuple):
    """A size priced leg by leg, or the reason why there is none."""

    reason: Reason
    size_e6: int = 0
    profit_micros: int = 0
    worst_loss_micros: int = 0
    hold: Hold = Hold()


class Quoter:
    """Prices jobs of a problem one after the other; each takes its levels off the books of the next."""

    def __init__(
        self, problem: Problem, holds: Holds, limits: OrderLimits, worst_loss_max_micros: int
    ) -> None:
        self.priced: Ints = np.zeros((BATCH_LEGS_MAX, COLUMNS), np.int64)
        self._problem = problem
        self._holds = holds
        self._limits = limits
        self._worst_loss_max = worst_loss_max_micros
        self._levels, self._count = level_arrays(BATCH_LEGS_MAX)

    def quote(self, index: int, size_e6: int) -> Quote:
        """Price ``size_e6`` sets of a job; take off a few lots when roundings pass a budget."""
        smallest_e6 = int(self._problem.batch.jobs[index]["smallest_e6"])
        reason = Reason.CROWDED_OUT
        for _ in range(TRIMS_MAX):
            size_e6 = self._problem.whole_lots(index, size_e6)
            if size_e6 < smallest_e6:
                break
            profit = self._profit(index, size_e6)
            if profit > 0:
                hold = self._hold(index, size_e6)
                reason = self._over_budget(hold)
                if reason is Reason.NONE:
                    return self._with_worst_loss(index, Quote(reason, size_e6, profit, 0, hold))
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

    def _with_worst_loss(self, index: int, quote: Quote) -> Quote:
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
                self._levels,
                self._count,
            )
        )
        if worst > self._worst_loss_max:
            return Quote(Reason.WORST_LOSS_TOO_LARGE, quote.size_e6, quote.profit_micros, worst)
        return quote._replace(worst_loss_micros=worst)

    def _hold(self, index: int, size_e6: int) -> Hold:
        """What a plan of this size binds until it is done."""
        hold = Hold()
        for leg in self._problem.legs_of(index):
            facts = self._problem.legs[leg]
            hold.orders += 1
            if facts.direction == _BUY:
                worst = int(self.priced[leg, WORST])
                hold.add_purchase(facts.market_venue, facts.slot, facts.group, worst)
            elif facts.convert != FROM_CONVERSION:
                hold.add_sale(facts.slot, facts.outcome, size_e6)
        return hold

    def _over_budget(self, hold: Hold) -> Reason:
        """Which budget a hold would pass."""
        holds, limits = self._holds, self._limits
        if any(cash > holds.free_cash_micros(venue) for venue, cash in hold.cash_micros.items()):
            return Reason.CASH_EXHAUSTED
        for slot, micros in hold.market_micros.items():
            if holds.market_exposure_micros(slot) + micros > limits.market_exposure_max_micros:
                return Reason.EXPOSURE_EXHAUSTED
        for group, micros in hold.event_micros.items():
            if holds.event_exposure_micros(group) + micros > limits.event_exposure_max_micros:
                return Reason.EXPOSURE_EXHAUSTED
        if any(size > holds.for_sale_e6(key.slot, key.outcome) for key, size in hold.selling_e6.items()):
            return Reason.NO_INVENTORY
        return Reason.NONE
