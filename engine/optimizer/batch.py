"""Signals of one moment as one problem: jobs, the book sides they share, the budgets they draw on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from engine.catalog.groups import NO_GROUP
from engine.execution.terms import side_taken
from engine.jit import kernel
from engine.optimizer.dual import Prices, new_prices
from engine.optimizer.exchange import LEGS_TRIED_MAX
from engine.optimizer.fill import (
    DRAWS,
    JOBS_MAX,
    NO_EVENT_BUDGET,
    VENUE_BUDGETS,
    Batch,
    Filling,
    new_filling,
    open_accounts,
)
from engine.optimizer.holds import Holds
from engine.optimizer.levels import SIZE, Ints, Rows, gather, level_arrays
from engine.optimizer.pricing import notional_cap_e6
from engine.optimizer.shadow import BookSide, Shadows, hide_leg
from engine.optimizer.share import Deal, new_deal, share
from engine.optimizer.sizing import (
    OPPORTUNITY,
    SEGMENT_COLUMNS,
    SEGMENTS_MAX,
    best_size,
    smallest_size_e6,
    whole_lots_e6,
)
from engine.records import SIGNAL_LEG, TOP_LEVELS, Direction
from engine.units import CASH_MAX_MICROS, SIDE_SIZE_MAX_E6

BATCH_LEGS_MAX: Final = 1_024
BUDGETS_MAX: Final = VENUE_BUDGETS + 1 + 2 * BATCH_LEGS_MAX

_ROUNDING_MICROS: Final = 2  # of a leg's cash
_FEE_ROUNDING_MICROS: Final = 10  # of one fill, where the schedule does not say more
_BUY: Final = int(Direction.BUY)
_MARKET, _EVENT = 0, 1  # kinds of exposure
_RAW_LEG: Final = np.dtype((np.void, SIGNAL_LEG.itemsize))  # copied as bytes, not field by field


class LegFacts(NamedTuple):
    """What Python needs of a leg, its book and its market; columns of the array that ``_prepare`` fills."""

    slot: int
    generation: int
    venue: int
    direction: int
    outcome: int
    convert: int
    side: int  # of the YES book, that the leg takes
    epoch: int  # of the book
    update_count: int
    market_venue: int
    group: int
    rounding_micros: int
    most_bought_e6: int  # within the notional of one order


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLimits:
    """What one order and one position may be, as the gate has it; micro-dollars and e6."""

    order_size_max_e6: int
    order_notional_max_micros: int
    position_max_e6: int
    market_exposure_max_micros: int
    event_exposure_max_micros: int


@kernel
def _prepare(
    n_jobs: int, batch: Batch, books: Rows, markets: Rows, notional_max_micros: int, facts: Ints
) -> None:
    """Level arrays and smallest size of every job, and the facts of its legs."""
    for index in range(n_jobs):
        job = batch.jobs[index]
        gather(batch.legs, job["first"], job["n_legs"], books, markets, batch.levels, batch.depth)
        job["smallest_e6"] = smallest_size_e6(job, batch.legs, markets, batch.levels)
        for leg in range(job["first"], job["first"] + job["n_legs"]):
            record = batch.legs[leg]
            book, market = books[record["slot"]], markets[record["slot"]]
            fact = facts[leg]
            fact[0] = record["slot"]
            fact[1] = record["generation"]
            fact[2] = record["venue"]
            fact[3] = record["direction"]
            fact[4] = record["outcome"]
            fact[5] = record["convert"]
            fact[6] = side_taken(int(np.int64(record["direction"])), int(np.int64(record["outcome"])))
            fact[7] = book["epoch"]
            fact[8] = book["update_count"]
            fact[9] = market["venue"]
            fact[10] = market["group"]
            fact[11] = rounding_micros(market)
            fact[12] = most_bought_e6(leg, notional_max_micros, batch.levels, batch.depth)


@kernel
def most_bought_e6(leg: int, notional_max_micros: int, levels: Ints, count: Ints) -> int:
    """Largest purchase within the notional of one order; no bound where the book ends before it."""
    offered = 0
    for level in range(count[leg]):
        offered += int(levels[SIZE, leg, level])
    cap = notional_cap_e6(leg, notional_max_micros, levels, count)
    return cap if cap < offered else SIDE_SIZE_MAX_E6


@kernel
def _size_jobs(n_jobs: int, batch: Batch, markets: Rows, work: Ints, segments: Ints, alone: Ints) -> None:
    """Best lot of each job with the books to itself, into ``alone`` [job, (size, profit, bound, peak)]."""
    for index in range(n_jobs):
        size, profit, bound, peak = best_size(
            batch.jobs[index], batch.legs, markets, batch.levels, batch.depth, work, segments
        )
        alone[index, 0], alone[index, 1], alone[index, 2], alone[index, 3] = size, profit, bound, peak


@kernel
def _whole_lots(index: int, size_e6: int, batch: Batch, markets: Rows) -> int:
    """Size of a job in lots that all its orders may have."""
    return whole_lots_e6(batch.jobs[index], size_e6, batch.legs, markets, batch.levels, batch.depth)


class Problem:
    """Arrays of one batch, allocated once; ``load`` fills them anew."""

    def __init__(self, books: Rows, markets: Rows, limits: OrderLimits, at_limit: bool) -> None:
        self.books = books
        self.markets = markets
        self.limits = limits
        levels, count = level_arrays(BATCH_LEGS_MAX)
        self.batch = Batch(
            jobs=np.zeros(JOBS_MAX, OPPORTUNITY),
            legs=np.zeros(BATCH_LEGS_MAX, SIGNAL_LEG),
            levels=levels,
            depth=count,
            supply=np.zeros(BATCH_LEGS_MAX, np.int64),
            draws=np.zeros((BATCH_LEGS_MAX, DRAWS), np.int64),
            account=np.zeros((BATCH_LEGS_MAX, DRAWS), np.int64),
            at_limit=np.array([int(at_limit)], np.int64),
        )
        self.fill: Filling = new_filling(BATCH_LEGS_MAX, BUDGETS_MAX)
        self.prices: Prices = new_prices(JOBS_MAX, BATCH_LEGS_MAX)
        self.deal: Deal = new_deal()
        self.legs_tried_max = LEGS_TRIED_MAX
        self.n_jobs = 0
        self.n_legs = 0
        self.n_supplies = 0
        self.legs: list[LegFacts] = []
        self._first = [0]  # leg of each job, and the end of the last
        self._facts = np.zeros((BATCH_LEGS_MAX, len(LegFacts._fields)), np.int64)
        self._raw_legs = self.batch.legs.view(_RAW_LEG)
        self._caps = self.batch.jobs["cap_e6"]
        self._kept: Filling = new_filling(BATCH_LEGS_MAX, BUDGETS_MAX)
        self.alone = np.zeros((JOBS_MAX, 4), np.int64)
        self.segments = np.zeros((SEGMENTS_MAX, SEGMENT_COLUMNS), np.int64)
        self._budgets: dict[tuple[int, int], int] = {}
        self._supplies: dict[BookSide, int] = {}

    def clear(self) -> None:
        """Begin a new batch."""
        self.n_jobs = self.n_legs = self.n_supplies = 0
        self._first = [0]
        self._budgets.clear()
        self._supplies.clear()

    def has_room(self, n_legs: int) -> bool:
        """Whether another signal fits."""
        return self.n_jobs < JOBS_MAX and self.n_legs + n_legs <= BATCH_LEGS_MAX

    def add(self, payoff_micros: int, capital_cost_ppm: int, legs: Rows) -> int:
        """Take in one signal; the number of its job."""
        index = self.n_jobs
        self.batch.jobs[index] = (self.n_legs, len(legs), payoff_micros, capital_cost_ppm, 0, 0)
        self._raw_legs[self.n_legs : self.n_legs + len(legs)] = legs.view(_RAW_LEG)
        self.n_legs += len(legs)
        self.n_jobs += 1
        self._first.append(self.n_legs)
        return index

    def load(self, shadows: Shadows, holds: Holds) -> None:
        """Read the books, hide what is ours, find what is shared, and open the budgets."""
        notional_max = self.limits.order_notional_max_micros
        _prepare(self.n_jobs, self.batch, self.books, self.markets, notional_max, self._facts)
        self.legs = [LegFacts._make(row) for row in self._facts[: self.n_legs].tolist()]
        if len(shadows):
            for leg in range(self.n_legs):
                self._hide(leg, shadows)
        self._share()
        self._open(holds)

    def _open(self, holds: Holds) -> None:
        """Open the budgets, let every leg draw on its three, and cap each job."""
        opening = [holds.free_cash_micros(venue + 1) for venue in range(VENUE_BUDGETS)]
        opening.append(CASH_MAX_MICROS)
        draws = [self._draw(facts, holds, opening) for facts in self.legs]
        caps = [self._leg_cap(facts, holds) for facts in self.legs]
        self._caps[: self.n_jobs] = [
            max(min(caps[self._first[index] : self._first[index + 1]], default=SIDE_SIZE_MAX_E6), 0)
            for index in range(self.n_jobs)
        ]
        self.batch.draws[: self.n_legs] = draws
        self.fill.n_budgets[0] = len(opening)
        self.fill.opening[: len(opening)] = opening
        open_accounts(self.n_jobs, self.batch)
        for venue in range(VENUE_BUDGETS):
            self.prices.cash_micros[venue] = max(opening[venue], 0)

    def size_alone(self) -> list[list[int]]:
        """Best lot of each job with the books to itself: [size_e6, profit, bound, peak_e6] of each."""
        _size_jobs(self.n_jobs, self.batch, self.markets, self.prices.work, self.segments, self.alone)
        alone: list[list[int]] = self.alone[: self.n_jobs].tolist()
        return alone

    def share(self) -> int:
        """Deal out cash and books by the wishes in ``deal``; see ``engine.optimizer.share.share``."""
        self.deal.left[0] = self.legs_tried_max
        return int(
            share(
                self.n_jobs,
                self.n_legs,
                self.n_supplies,
                self.batch,
                self.markets,
                self.fill,
                self._kept,
                self.prices,
                self.deal,
            )
        )

    def whole_lots(self, index: int, size_e6: int) -> int:
        """Largest size up to ``size_e6`` that all orders of a job may have; 0 when there is none."""
        return int(_whole_lots(index, size_e6, self.batch, self.markets))

    def legs_of(self, index: int) -> range:
        """Leg numbers of a job."""
        return range(self._first[index], self._first[index + 1])

    def side_of(self, leg: int) -> BookSide:
        """Book side a leg takes."""
        facts = self.legs[leg]
        return BookSide(facts.slot, facts.generation, facts.side)

    def _hide(self, leg: int, shadows: Shadows) -> None:
        """Take what is ours off the levels of a leg."""
        side = self.side_of(leg)
        if not shadows.covers(side):
            return
        levels, depth = self.batch.levels, self.batch.depth
        record = self.batch.legs[leg]
        hide_leg(record, self.books[record["slot"]], leg, levels, int(depth[leg]), shadows.takes)
        most = int(most_bought_e6(leg, self.limits.order_notional_max_micros, levels, depth))
        self.legs[leg] = self.legs[leg]._replace(most_bought_e6=most)

    def _leg_cap(self, facts: LegFacts, holds: Holds) -> int:
        """Most that an order for a leg may be."""
        cap = self.limits.order_size_max_e6
        if facts.direction == _BUY:
            room = self.limits.position_max_e6 - holds.held_e6(facts.slot, facts.outcome)
            return min(cap, facts.most_bought_e6, room)
        return cap if facts.convert else min(cap, holds.for_sale_e6(facts.slot, facts.outcome))

    def _share(self) -> None:
        """Number the book sides; legs on one side have one number."""
        sharers: list[int] = []
        witness: list[int] = []
        supply: list[int] = []
        for leg in range(self.n_legs):
            number = self._supplies.setdefault(self.side_of(leg), len(sharers))
            if number == len(sharers):
                sharers.append(0)
                witness.append(leg)
            sharers[number] += 1
            supply.append(number)
        self.n_supplies = len(sharers)
        self.prices.sharers[: len(sharers)] = sharers
        self.prices.witness[: len(witness)] = witness
        self.batch.supply[: len(supply)] = supply

    def _draw(self, facts: LegFacts, holds: Holds, opening: list[int]) -> tuple[int, int, int]:
        """The three budgets of a leg, out of which is kept what its roundings may cost."""
        market = self._budget(_MARKET, facts.slot, opening)
        if market == len(opening):
            room = self.limits.market_exposure_max_micros
            opening.append(room - holds.market_exposure_micros(facts.slot))
        event = NO_EVENT_BUDGET
        if facts.group != NO_GROUP:
            event = self._budget(_EVENT, facts.group, opening)
            if event == len(opening):
                room = self.limits.event_exposure_max_micros
                opening.append(room - holds.event_exposure_micros(facts.group))
        venue = facts.market_venue - 1
        if facts.direction == _BUY:
            for source in (venue, market, event):
                opening[source] -= facts.rounding_micros
        return venue, market, event

    def _budget(self, kind: int, key: int, opening: list[int]) -> int:
        """Number of a budget; the next one where it is new."""
        return self._budgets.setdefault((kind, key), len(opening))


@kernel
def rounding_micros(market: np.void) -> int:
    """Most that roundings can add to one leg's cash and fee, over TOP_LEVELS fills."""
    if int(market["taker_rate_ppb"]) == 0 and int(market["precision_micros"]) == 0:
        return _ROUNDING_MICROS
    unit = max(int(market["unit_micros"]), _FEE_ROUNDING_MICROS)
    return _ROUNDING_MICROS + TOP_LEVELS * (unit + int(market["precision_micros"])) + TOP_LEVELS
