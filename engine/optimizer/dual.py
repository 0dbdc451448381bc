"""How much a batch can earn at most: a Lagrangian bound, valid at any prices, and the search for good prices.

Two kinds of scarce things get a price. Cash of a venue: ``price_ppm``. A book side that several opportunities
want has a *floor*: whoever takes it pays at least the floor for each contract, and the levels below it earn
the difference. At any prices

    bound = cash x its price + sizes of levels x (floor - cost)+ + what each opportunity earns alone

is at least the profit of every allocation that respects cash and books; all other limits only lower what can
be reached. The bound is convex in the prices, and what is demanded beyond what there is tells on which side
of the best price we are. Prices that make it small also say which segments are worth their cash, and the fill
uses them.

Each opportunity's levels are merged once, into segments with their slope and their cash, so that a bound at
other prices is a walk over these. Prices are looked for in floating point, where only one venue's cash is
scarce by bisection, where both are by cutting planes: each evaluation cuts a polygon that holds the best pair
of prices through its centre, which leaves at most 63 % of it (Gruenbaum 1960). The bound itself is computed
in integers, rounded up, at what was found.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.jit import kernel
from engine.optimizer.fill import VENUE_BUDGETS, Batch, purchase_unit
from engine.optimizer.levels import SIZE, UNIT, Ints
from engine.optimizer.sizing import CURSOR, TAKEN, VALUE_DIVISOR, advance, slope_nano
from engine.records import TOP_LEVELS, Direction
from engine.units import INT64_MAX, PPM, muldiv_ceil

PRICE_BITS: Final = 24  # a price of cash is below 2**24 ppm: 16.8 dollars of profit a dollar of cash
CUTS_MAX: Final = 64  # of the polygon of prices: then it is 13 orders of magnitude smaller
SWEEPS_MAX: Final = 3  # over the floors of shared book sides
VISITS_MAX: Final = 300_000  # of segments, in search of floors: sides beyond stay free, and the bound higher
NO_LEG: Final = -1

STEP: Final = 0  # rows of ``segments``: sets, e6
SLOPE: Final = 1  # profit of a set in nano-dollars after the floors it pays, not after its cash
CASH: Final = 2  # nano-dollars a set binds at the first venue; the next row is the other venue's
SEGMENT_ROWS: Final = CASH + VENUE_BUDGETS

BEGIN: Final = 0  # rows of ``span``: segments of a job
END: Final = 1

_BUY: Final = int(Direction.BUY)
_CORNERS: Final = 4 + CUTS_MAX + 1
_NANO: Final = 1e-9

Floats = npt.NDArray[np.float64]


class Prices(NamedTuple):
    """Prices of what is scarce, the segments they are looked for with, and the best bound seen."""

    price_ppm: Ints  # [VENUE_BUDGETS]
    cash_micros: Ints  # [VENUE_BUDGETS] that there is
    floor_nano: Ints  # [supply], in the terms of a purchase
    sharers: Ints  # [supply]: legs that take it; a floor is searched where there are two or more
    witness: Ints  # [supply]: the first leg that takes it
    next_leg: Ints  # [leg]: the next that takes the same side, or NO_LEG
    owner: Ints  # [leg]: its job
    work: Ints  # [2, leg]
    span: Ints  # [2, job]
    segments: Ints  # [SEGMENT_ROWS, segment]
    best: Ints  # [1 + VENUE_BUDGETS]: least bound seen, and the prices of cash that gave it
    best_floor: Ints  # [supply]: and the floors
    corners: Floats  # [4, corner]: a polygon of prices, and the next one


def new_prices(n_jobs: int, n_legs: int) -> Prices:
    """Arrays for a batch with ``n_jobs`` jobs of ``n_legs`` legs in all."""
    ints = np.int64
    return Prices(
        price_ppm=np.zeros(VENUE_BUDGETS, ints),
        cash_micros=np.zeros(VENUE_BUDGETS, ints),
        floor_nano=np.zeros(n_legs, ints),
        sharers=np.zeros(n_legs, ints),
        witness=np.zeros(n_legs, ints),
        next_leg=np.zeros(n_legs, ints),
        owner=np.zeros(n_legs, ints),
        work=np.zeros((2, n_legs), ints),
        span=np.zeros((2, n_jobs), ints),
        segments=np.zeros((SEGMENT_ROWS, n_legs * TOP_LEVELS), ints),
        best=np.zeros(1 + VENUE_BUDGETS, ints),
        best_floor=np.zeros(n_legs, ints),
        corners=np.zeros((4, _CORNERS), np.float64),
    )


@kernel
def _lay_job(index: int, first_segment: int, batch: Batch, prices: Prices) -> int:
    """Segments of one job that earn anything at no prices, from ``first_segment`` on; where they end."""
    job = batch.jobs[index]
    first, end = int(job["first"]), int(job["first"] + job["n_legs"])
    for leg in range(first, end):
        prices.owner[leg] = index
        prices.work[CURSOR, leg] = 0
        prices.work[TAKEN, leg] = 0
    place = first_segment
    left = int(job["cap_e6"])
    step = min(advance(job, batch.levels, batch.depth, prices.work), left)
    while step > 0:
        slope = slope_nano(job, batch.legs, batch.levels, prices.work)
        if slope <= 0:
            break
        prices.segments[STEP, place] = step
        prices.segments[SLOPE, place] = slope
        for venue in range(VENUE_BUDGETS):
            prices.segments[CASH + venue, place] = 0
        for leg in range(first, end):
            if batch.legs[leg]["direction"] == _BUY:
                unit = batch.levels[UNIT, leg, prices.work[CURSOR, leg]]
                prices.segments[CASH + batch.draws[leg, 0], place] += unit
            prices.work[TAKEN, leg] += step
        place += 1
        left -= step
        step = min(advance(job, batch.levels, batch.depth, prices.work), left)
    return place


@kernel
def _lay(n_jobs: int, n_legs: int, batch: Batch, prices: Prices) -> None:
    """Segments of all jobs, with all floors at zero, and who shares which side."""
    place = 0
    for index in range(n_jobs):
        prices.span[BEGIN, index] = place
        place = _lay_job(index, place, batch, prices)
        prices.span[END, index] = place
    for leg in range(n_legs - 1, -1, -1):
        source = batch.supply[leg]
        prices.next_leg[leg] = NO_LEG if prices.floor_nano[source] == 0 else prices.witness[source]
        prices.witness[source] = leg
        prices.floor_nano[source] = 1  # seen
    for leg in range(n_legs):
        prices.floor_nano[batch.supply[leg]] = 0


@kernel
def _walk_sharer(leg: int, old: int, new: int, is_kept: int, batch: Batch, prices: Prices) -> int:
    """Sets that the job of ``leg`` wants when the floor of its side goes from ``old`` to ``new``.

    ``is_kept`` 1: its segments pay the new floor from now on.
    """
    index = prices.owner[leg]
    segments = prices.segments
    level, taken = 0, 0
    edge = int(batch.levels[SIZE, leg, 0])
    wanted = 0
    for place in range(prices.span[BEGIN, index], prices.span[END, index]):
        while taken >= edge:
            level += 1
            edge += int(batch.levels[SIZE, leg, level])
        unit = purchase_unit(leg, level, batch)
        slope = int(segments[SLOPE, place]) + max(old - unit, 0) - max(new - unit, 0)
        if is_kept == 1:
            segments[SLOPE, place] = slope
        taken += int(segments[STEP, place])
        charge = 0
        for venue in range(VENUE_BUDGETS):
            charge += int(segments[CASH + venue, place]) * int(prices.price_ppm[venue]) // PPM
        if slope > charge:
            wanted = taken
    return wanted


@kernel
def _wanted_of(source: int, floor: int, batch: Batch, prices: Prices) -> int:
    """What all sharers of a book side want of it at a floor, at the prices of cash as they are."""
    wanted = 0
    leg = int(prices.witness[source])
    while leg != NO_LEG:
        wanted += _walk_sharer(leg, int(prices.floor_nano[source]), floor, int(np.int64(0)), batch, prices)
        leg = int(prices.next_leg[leg])
    return wanted


@kernel
def _set_floor(source: int, floor: int, batch: Batch, prices: Prices) -> None:
    """Let the segments of all sharers pay a floor."""
    leg = int(prices.witness[source])
    while leg != NO_LEG:
        _walk_sharer(leg, int(prices.floor_nano[source]), floor, int(np.int64(1)), batch, prices)
        leg = int(prices.next_leg[leg])
    prices.floor_nano[source] = floor


@kernel
def _below_floor(source: int, floor: int, batch: Batch, prices: Prices) -> tuple[int, int]:
    """What the levels below a floor earn by it (micro-dollars, rounded up), and their size."""
    leg = int(prices.witness[source])
    earned = 0
    size = 0
    for level in range(batch.depth[leg]):
        margin = floor - purchase_unit(leg, level, batch)
        if margin > 0:
            offered = int(batch.levels[SIZE, leg, level])
            earned += muldiv_ceil(margin, offered, VALUE_DIVISOR)
            size += offered
    return earned, size


@kernel
def _search_floor(source: int, batch: Batch, prices: Prices) -> int:
    """Least floor of a shared book side at which no more is wanted of it than there is below the floor.

    Answers how many segments were looked at.
    """
    of_sharers = 0
    visited = 0
    leg = int(prices.witness[source])
    low = high = purchase_unit(leg, int(np.int64(0)), batch) - 1 if batch.depth[leg] > 0 else 0
    while leg != NO_LEG:  # where the first set of each sharer earns nothing, nobody wants any
        place = prices.span[BEGIN, prices.owner[leg]]
        of_sharers += prices.span[END, prices.owner[leg]] - place
        if place < prices.span[END, prices.owner[leg]]:
            paid = max(int(prices.floor_nano[source]), low + 1)
            high = max(high, paid + int(prices.segments[SLOPE, place]) + 1)
        leg = int(prices.next_leg[leg])
    low -= 1
    while high - low > 1:
        middle = (low + high) // 2
        visited += of_sharers
        _, offered = _below_floor(source, middle, batch, prices)
        if _wanted_of(source, middle, batch, prices) > offered:
            low = middle
        else:
            high = middle
    _set_floor(source, max(high, 0), batch, prices)
    return visited


@kernel
def _bound_here(n_jobs: int, n_supplies: int, batch: Batch, prices: Prices) -> int:
    """The bound at the current prices, from the segments; remembers it when it is the least so far."""
    total = 0
    for venue in range(VENUE_BUDGETS):
        total += muldiv_ceil(int(prices.cash_micros[venue]), int(prices.price_ppm[venue]), PPM)
    for source in range(n_supplies):
        if prices.floor_nano[source] > 0:
            total += _below_floor(source, int(prices.floor_nano[source]), batch, prices)[0]
    segments = prices.segments
    for index in range(n_jobs):
        for place in range(prices.span[BEGIN, index], prices.span[END, index]):
            slope = int(segments[SLOPE, place])
            for venue in range(VENUE_BUDGETS):
                slope -= int(segments[CASH + venue, place]) * int(prices.price_ppm[venue]) // PPM
            if slope <= 0:
                break
            total += muldiv_ceil(slope, int(segments[STEP, place]), VALUE_DIVISOR)
    if total < prices.best[0]:
        prices.best[0] = total
        for venue in range(VENUE_BUDGETS):
            prices.best[1 + venue] = prices.price_ppm[venue]
        for source in range(n_supplies):
            prices.best_floor[source] = prices.floor_nano[source]
    return total


@kernel
def _react(n_jobs: int, one: float, other: float, prices: Prices) -> tuple[float, float, float]:
    """At two prices of cash (dollars a dollar): the bound but for floors, and what is left of each cash."""
    left, left_other = float(prices.cash_micros[0]), float(prices.cash_micros[1])
    bound = one * left + other * left_other
    segments = prices.segments
    for index in range(n_jobs):
        for place in range(prices.span[BEGIN, index], prices.span[END, index]):
            cash, cash_other = float(segments[CASH, place]), float(segments[CASH + 1, place])
            slope = segments[SLOPE, place] - one * cash - other * cash_other
            if slope <= 0.0:
                break
            step = segments[STEP, place] * _NANO
            bound += slope * step
            left -= cash * step
            left_other -= cash_other * step
    return bound, left, left_other


@kernel
def _search_one(venue: int, n_jobs: int, prices: Prices) -> bool:
    """Least price of one venue's cash, the other's free, at which there is enough; and of the other's too."""
    low, high = -1, 1 << PRICE_BITS
    while high - low > 1:
        middle = (low + high) // 2
        price = middle / PPM
        _, left, left_other = _react(
            n_jobs, price if venue == 0 else 0.0, price if venue == 1 else 0.0, prices
        )
        if (left if venue == 0 else left_other) < 0.0:
            low = middle
        else:
            high = middle
    price = high / PPM
    prices.price_ppm[venue] = high
    prices.price_ppm[1 - venue] = 0
    _, left, left_other = _react(n_jobs, price if venue == 0 else 0.0, price if venue == 1 else 0.0, prices)
    return (left_other if venue == 0 else left) >= 0.0


@kernel
def _price_top(venue: int, n_jobs: int, prices: Prices) -> float:
    """A price of a venue's cash above which nobody wants any."""
    top = 0.0
    for index in range(n_jobs):
        for place in range(prices.span[BEGIN, index], prices.span[END, index]):
            cash = float(prices.segments[CASH + venue, place])
            if cash > 0.0:
                top = max(top, prices.segments[SLOPE, place] / cash)
    return min(top, (1 << PRICE_BITS) / PPM)


@kernel
def _centre(n: int, corners: Floats) -> tuple[float, float, float]:
    """Centre of a polygon and its area."""
    area, x, y = 0.0, 0.0, 0.0
    for corner in range(1, n - 1):
        ax, ay = corners[0, corner] - corners[0, 0], corners[1, corner] - corners[1, 0]
        bx, by = corners[0, corner + 1] - corners[0, 0], corners[1, corner + 1] - corners[1, 0]
        part = ax * by - ay * bx
        area += part
        x += part * (ax + bx)
        y += part * (ay + by)
    if area <= 0.0:
        return corners[0, 0], corners[1, 0], 0.0
    return corners[0, 0] + x / (3.0 * area), corners[1, 0] + y / (3.0 * area), area / 2.0


@kernel
def _cut(n: int, x: float, y: float, by_x: float, by_y: float, corners: Floats) -> int:
    """Keep what of a polygon is not further along (by_x, by_y) than (x, y); how many corners that has."""
    kept = 0
    for corner in range(n):
        after = corner + 1 if corner + 1 < n else 0
        here = (corners[0, corner] - x) * by_x + (corners[1, corner] - y) * by_y
        there = (corners[0, after] - x) * by_x + (corners[1, after] - y) * by_y
        if here <= 0.0:
            corners[2, kept], corners[3, kept] = corners[0, corner], corners[1, corner]
            kept += 1
        if (here < 0.0 < there) or (there < 0.0 < here):
            part = here / (here - there)
            corners[2, kept] = corners[0, corner] + part * (corners[0, after] - corners[0, corner])
            corners[3, kept] = corners[1, corner] + part * (corners[1, after] - corners[1, corner])
            kept += 1
    for corner in range(kept):
        corners[0, corner], corners[1, corner] = corners[2, corner], corners[3, corner]
    return kept


@kernel
def _search_both(n_jobs: int, prices: Prices) -> tuple[float, float]:
    """Prices of both venues' cash that make the bound least, by cuts through the centre."""
    wide, high = _price_top(int(np.int64(0)), n_jobs, prices), _price_top(int(np.int64(1)), n_jobs, prices)
    corners = prices.corners
    corners[0, 0], corners[0, 1], corners[0, 2], corners[0, 3] = 0.0, wide, wide, 0.0
    corners[1, 0], corners[1, 1], corners[1, 2], corners[1, 3] = 0.0, 0.0, high, high
    n = 4
    found_x, found_y, least = 0.0, 0.0, np.inf
    for _ in range(CUTS_MAX):
        x, y, area = _centre(n, corners)
        bound, left, left_other = _react(n_jobs, x, y, prices)
        if bound < least:
            least, found_x, found_y = bound, x, y
        if area <= 0.0 or (left == 0.0 and left_other == 0.0):
            break
        n = _cut(n, x, y, left, left_other, corners)
        if n < 3:
            break
    return found_x, found_y


@kernel
def _search_cash(n_jobs: int, n_supplies: int, batch: Batch, prices: Prices) -> None:
    """Prices of cash at the floors as they are."""
    prices.price_ppm[0] = prices.price_ppm[1] = 0
    _, left, left_other = _react(n_jobs, 0.0, 0.0, prices)
    if left >= 0.0 and left_other >= 0.0:
        _bound_here(n_jobs, n_supplies, batch, prices)
        return
    for venue in range(VENUE_BUDGETS):
        if (left if venue == 0 else left_other) < 0.0 and _search_one(venue, n_jobs, prices):
            _bound_here(n_jobs, n_supplies, batch, prices)
            prices.price_ppm[venue] -= 1  # the best price lies between the two
            _bound_here(n_jobs, n_supplies, batch, prices)
            return
    x, y = _search_both(n_jobs, prices)
    for corner in range(4):  # the best pair lies between whole prices
        prices.price_ppm[0] = int(x * PPM) + corner % 2
        prices.price_ppm[1] = int(y * PPM) + corner // 2
        _bound_here(n_jobs, n_supplies, batch, prices)


@kernel
def search_prices(n_jobs: int, n_legs: int, n_supplies: int, batch: Batch, prices: Prices) -> int:
    """Find prices that make the bound small; the least bound, whose prices and floors stay in place."""
    prices.best[0] = INT64_MAX
    for source in range(n_supplies):
        prices.floor_nano[source] = 0
    _lay(n_jobs, n_legs, batch, prices)
    least = INT64_MAX
    visited = 0
    for _ in range(SWEEPS_MAX):
        _search_cash(n_jobs, n_supplies, batch, prices)
        shared = 0
        for venue in range(VENUE_BUDGETS):
            prices.price_ppm[venue] = prices.best[1 + venue]
        for source in range(n_supplies):
            if prices.sharers[source] > 1 and visited < VISITS_MAX:
                shared += 1
                visited += _search_floor(source, batch, prices)
        if shared == 0:
            break
        _bound_here(n_jobs, n_supplies, batch, prices)
        if prices.best[0] >= least:
            break
        least = int(prices.best[0])
    for venue in range(VENUE_BUDGETS):
        prices.price_ppm[venue] = prices.best[1 + venue]
    for source in range(n_supplies):
        prices.floor_nano[source] = prices.best_floor[source]
    return int(prices.best[0])
