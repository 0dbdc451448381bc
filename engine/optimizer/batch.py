"""Signals of one moment as one problem: jobs, the book sides they share, the budgets they draw on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.catalog.groups import NO_GROUP
from engine.jit import kernel
from engine.optimizer.dual import Prices, new_prices
from engine.optimizer.fill import DRAWS, JOBS_MAX, VENUE_BUDGETS, Batch, Filling, new_filling
from engine.optimizer.holds import Holds
from engine.optimizer.levels import (
    PRICE,
    SIZE,
    Ints,
    Rows,
    gather,
    level_arrays,
    own_price,
    side_taken,
)
from engine.optimizer.pricing import notional_cap_e6
from engine.optimizer.shadow import BookSide, Shadows
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
NO_EVENT_BUDGET: Final = VENUE_BUDGETS  # legs of markets outside any group draw on this one, without end

_ROUNDING_MICROS: Final = 2  # of a leg's cash
_FEE_ROUNDING_MICROS: Final = 10  # of one fill, where the schedule does not say more
_BUY: Final = int(Direction.BUY)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLimits:
    """What one order and one position may be, as the gate has it; micro-dollars and e6."""

    order_size_max_e6: int
    order_notional_max_micros: int
    position_max_e6: int
    market_exposure_max_micros: int
    event_exposure_max_micros: int


@kernel
def _prepare(n_jobs: int, batch: Batch, books: Rows, markets: Rows) -> None:
    """Level arrays and smallest size of every job."""
    for index in range(n_jobs):
        job = batch.jobs[index]
        gather(batch.legs, job["first"], job["n_legs"], books, markets, batch.levels, batch.depth)
        job["smallest_e6"] = smallest_size_e6(job, batch.legs, markets, batch.levels)


@kernel
def _size_job(
    index: int, batch: Batch, markets: Rows, work: Ints, segments: Ints
) -> tuple[int, int, int, int]:
    """Best lot of one job with the books to itself."""
    return best_size(batch.jobs[index], batch.legs, markets, batch.levels, batch.depth, work, segments)


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
            at_limit=np.array([int(at_limit)], np.int64),
        )
        self.fill: Filling = new_filling(BATCH_LEGS_MAX, BUDGETS_MAX)
        self.prices: Prices = new_prices(BATCH_LEGS_MAX)
        self.n_jobs = 0
        self.n_legs = 0
        self.n_supplies = 0
        self._segments = np.zeros((SEGMENTS_MAX, SEGMENT_COLUMNS), np.int64)
        self._budgets: dict[tuple[str, int], int] = {}
        self._supplies: dict[BookSide, int] = {}

    def clear(self) -> None:
        """Begin a new batch."""
        self.n_jobs = self.n_legs = self.n_supplies = 0
        self._budgets.clear()
        self._supplies.clear()

    def has_room(self, n_legs: int) -> bool:
        """Whether another signal fits."""
        return self.n_jobs < JOBS_MAX and self.n_legs + n_legs <= BATCH_LEGS_MAX

    def add(self, payoff_micros: int, capital_cost_ppm: int, legs: Rows) -> int:
        """Take in one signal; the number of its job."""
        index = self.n_jobs
        job = self.batch.jobs[index]
        job["first"] = self.n_legs
        job["n_legs"] = len(legs)
        job["payoff_micros"] = payoff_micros
        job["capital_cost_ppm"] = capital_cost_ppm
        self.batch.legs[self.n_legs : self.n_legs + len(legs)] = legs
        self.n_legs += len(legs)
        self.n_jobs += 1
        return index

    def load(self, shadows: Shadows, holds: Holds) -> None:
        """Read the books, hide what is ours, find what is shared, and open the budgets."""
        _prepare(self.n_jobs, self.batch, self.books, self.markets)
        self.fill.n_budgets[0] = NO_EVENT_BUDGET + 1
        for venue in range(VENUE_BUDGETS):
            self.fill.opening[venue] = holds.free_cash_micros(venue + 1)
        self.fill.opening[NO_EVENT_BUDGET] = CASH_MAX_MICROS
        for index in range(self.n_jobs):
            first = int(self.batch.jobs[index]["first"])
            self.batch.jobs[index]["cap_e6"] = SIDE_SIZE_MAX_E6
            for leg in range(first, first + int(self.batch.jobs[index]["n_legs"])):
                self._load_leg(index, leg, shadows, holds)
        self.prices.cash_micros[:] = np.maximum(self.fill.opening[:VENUE_BUDGETS], 0)

    def size_alone(self, index: int) -> tuple[int, int, int, int]:
        """Best lot of one job with the books to itself: (size_e6, profit, bound, peak)."""
        size, profit, bound, peak = _size_job(
            index, self.batch, self.markets, self.prices.work, self._segments
        )
        return int(size), int(profit), int(bound), int(peak)

    def whole_lots(self, index: int, size_e6: int) -> int:
        """Largest size up to ``size_e6`` that all orders of a job may have; 0 when there is none."""
        return int(_whole_lots(index, size_e6, self.batch, self.markets))

    def legs_of(self, index: int) -> range:
        """Leg numbers of a job."""
        first = int(self.batch.jobs[index]["first"])
        return range(first, first + int(self.batch.jobs[index]["n_legs"]))

    def side_of(self, leg: int) -> BookSide:
        """Book side a leg takes."""
        record = self.batch.legs[leg]
        side = side_taken(int(record["direction"]), int(record["outcome"]))
        return BookSide(int(record["slot"]), int(record["generation"]), int(side))

    def _load_leg(self, index: int, leg: int, shadows: Shadows, holds: Holds) -> None:
        record = self.batch.legs[leg]
        slot, outcome = int(record["slot"]), int(record["outcome"])
        side = self.side_of(leg)
        self._share(leg, side)
        if shadows.covers(side):
            for level in range(int(self.batch.depth[leg])):
                price = own_price(outcome, int(self.batch.levels[PRICE, leg, level]))
                shown = int(self.batch.levels[SIZE, leg, level])
                self.batch.levels[SIZE, leg, level] = shadows.left_e6(side, price, shown)
        cap = SIDE_SIZE_MAX_E6
        if int(record["direction"]) == _BUY:
            cap = min(self._most_bought(leg), self.limits.position_max_e6 - holds.held_e6(slot, outcome))
        elif not record["convert"]:
            cap = holds.for_sale_e6(slot, outcome)
        job = self.batch.jobs[index]
        job["cap_e6"] = max(min(int(job["cap_e6"]), cap, self.limits.order_size_max_e6), 0)
        self._draw(leg, slot, holds)

    def _most_bought(self, leg: int) -> int:
        """Largest purchase within the notional of one order; no bound where the book ends before it."""
        levels, depth = self.batch.levels, self.batch.depth
        cap = int(notional_cap_e6(leg, self.limits.order_notional_max_micros, levels, depth))
        offered = int(levels[SIZE, leg, : depth[leg]].sum())
        return cap if cap < offered else SIDE_SIZE_MAX_E6

    def _share(self, leg: int, side: BookSide) -> None:
        number = self._supplies.setdefault(side, self.n_supplies)
        if number == self.n_supplies:
            self.n_supplies += 1
            self.prices.sharers[number] = 0
            self.prices.witness[number] = leg
        self.prices.sharers[number] += 1
        self.batch.supply[leg] = number

    def _draw(self, leg: int, slot: int, holds: Holds) -> None:
        """Let a leg draw on its three budgets, and keep what its roundings may cost out of them."""
        market = self.markets[slot]
        group = int(market["group"])
        room = self.limits.market_exposure_max_micros - holds.market_exposure_micros(slot)
        sources = [int(market["venue"]) - 1, self._budget("market", slot, room), NO_EVENT_BUDGET]
        if group != NO_GROUP:
            room = self.limits.event_exposure_max_micros - holds.event_exposure_micros(group)
            sources[2] = self._budget("event", group, room)
        self.batch.draws[leg] = sources
        if int(self.batch.legs[leg]["direction"]) == _BUY:
            self.fill.opening[sources] -= rounding_micros(market)

    def _budget(self, kind: str, key: int, room_micros: int) -> int:
        number = self._budgets.get((kind, key))
        if number is None:
            number = int(self.fill.n_budgets[0])
            self._budgets[kind, key] = number
            self.fill.opening[number] = room_micros
            self.fill.n_budgets[0] = number + 1
        return number


def rounding_micros(market: np.void) -> int:
    """Most that roundings can add to one leg's cash and fee, over TOP_LEVELS fills."""
    if int(market["taker_rate_ppb"]) == 0 and int(market["precision_micros"]) == 0:
        return _ROUNDING_MICROS
    unit = max(int(market["unit_micros"]), _FEE_ROUNDING_MICROS)
    return _ROUNDING_MICROS + TOP_LEVELS * (unit + int(market["precision_micros"])) + TOP_LEVELS
