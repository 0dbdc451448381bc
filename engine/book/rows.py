"""The published row of a book: best levels and VWAPs, rewritten only from the first level that changed."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from engine.book.grid import price_of, tick_of
from engine.book.ladder import ALL_CHANGED, at_or_worse, has_level, is_better, level_size, next_worse
from engine.book.pool import BEST, CHANGED, CHANGES, NO_TICK
from engine.book.state import BookState
from engine.book.vwap import standard_vwaps
from engine.jit import inlined
from engine.records import NO_PRICE, TOP_LEVELS, Side

_BID: Final = int(Side.BID)

Prices = npt.NDArray[np.int32]
Sizes = npt.NDArray[np.int64]


@inlined
def _first_stale(ladder: int, prices: Prices, filled: int, changed_e4: int) -> int:
    """Position of the first published level that is not strictly better than the best change."""
    place = 0
    while place < filled and is_better(ladder, int(prices[place]), changed_e4):
        place += 1
    return place


@inlined
def _blank(prices: Prices, sizes: Sizes, begin: int, end: int) -> None:
    for place in range(begin, end):
        prices[place] = NO_PRICE
        sizes[place] = 0


@inlined
def _write_from(
    state: BookState, ladder: int, grid: int, prices: Prices, sizes: Sizes, place: int, tick: int
) -> int:
    """Publish the levels from ``tick`` on at ``place`` and after; the position after the last."""
    while tick != NO_TICK and place < TOP_LEVELS:
        prices[place] = price_of(state.table, grid, tick)
        sizes[place] = level_size(state.ladders, ladder, tick)
        place += 1
        tick = next_worse(state.ladders, ladder, tick)
    return place


@inlined
def _write_one(
    state: BookState, ladder: int, grid: int, prices: Prices, sizes: Sizes, filled: int, tick: int
) -> int:
    """Publish the only change of a side: a size in place, one level more, or one less. Levels published."""
    price_e4 = price_of(state.table, grid, tick)
    place = _first_stale(ladder, prices, filled, price_e4)
    if place == TOP_LEVELS:
        return filled
    was = place < filled and int(prices[place]) == price_e4
    if has_level(state.ladders, ladder, tick):
        if not was:
            filled += 1 if filled < TOP_LEVELS else 0
            for later in range(filled - 1, place, -1):
                prices[later] = prices[later - 1]
                sizes[later] = sizes[later - 1]
            prices[place] = price_e4
        sizes[place] = level_size(state.ladders, ladder, tick)
    elif was:
        last = tick_of(state.table, grid, int(prices[filled - 1]))
        for later in range(place, filled - 1):
            prices[later] = prices[later + 1]
            sizes[later] = sizes[later + 1]
        after = next_worse(state.ladders, ladder, last) if filled == TOP_LEVELS else NO_TICK
        if after == NO_TICK:
            filled -= 1
            _blank(prices, sizes, filled, filled + 1)
        else:
            prices[filled - 1] = price_of(state.table, grid, after)
            sizes[filled - 1] = level_size(state.ladders, ladder, after)
    return filled


@inlined
def _write_levels(state: BookState, ladder: int, grid: int, prices: Prices, sizes: Sizes, filled: int) -> int:
    """Bring the published levels of one side up to date; how many there are now."""
    changes = int(state.ladders.sides[ladder, CHANGES])
    changed = int(state.ladders.sides[ladder, CHANGED])
    if changes == 1:
        return _write_one(state, ladder, grid, prices, sizes, filled, changed)
    place = 0
    tick = int(state.ladders.sides[ladder, BEST])
    if changes < ALL_CHANGED:
        place = _first_stale(ladder, prices, filled, price_of(state.table, grid, changed))
        tick = at_or_worse(state.ladders, ladder, changed)
    end = _write_from(state, ladder, grid, prices, sizes, place, tick)
    _blank(prices, sizes, end, filled)
    return end


@inlined
def _write_vwaps(state: BookState, slot: int, ladder: int, grid: int, vwaps: Prices) -> None:
    """Walk again, unless everything that changed lies beyond the last level the walk needed."""
    reach = int(state.books[slot]["reach"][ladder & 1])
    if (
        reach != NO_TICK
        and int(state.ladders.sides[ladder, CHANGES]) < ALL_CHANGED
        and is_better(ladder, reach, int(state.ladders.sides[ladder, CHANGED]))
    ):
        return
    first, second, third, reach = standard_vwaps(state.ladders, ladder, state.table, grid)
    vwaps[0] = first
    vwaps[1] = second
    vwaps[2] = third
    state.books[slot]["reach"][ladder & 1] = reach


@inlined
def _write_side(state: BookState, slot: int, side: int) -> None:
    """Bring one side of a row up to date."""
    row = state.rows[slot]
    ladder = 2 * slot + side
    grid = int(state.books[slot]["grid"])
    prices = row["bid_e4"] if side == _BID else row["ask_e4"]
    sizes = row["bid_size_e6"] if side == _BID else row["ask_size_e6"]
    filled = int(row["n_bids"]) if side == _BID else int(row["n_asks"])
    filled = _write_levels(state, ladder, grid, prices, sizes, filled)
    if side == _BID:
        row["n_bids"] = filled
    else:
        row["n_asks"] = filled
    _write_vwaps(state, slot, ladder, grid, row["vwap_sell_e6"] if side == _BID else row["vwap_buy_e6"])
    state.ladders.sides[ladder, CHANGES] = 0


@inlined
def publish_row(state: BookState, slot: int, flags: int) -> None:
    """Bring the row of ``slot`` up to date; ``flags`` is TopFlag."""
    row = state.rows[slot]
    book = state.books[slot]
    row["epoch"] = book["epoch"]
    row["update_count"] = book["update_count"]
    row["recv_ns"] = book["recv_ns"]
    row["venue_ns"] = book["venue_ns"]
    row["slot"] = slot
    row["generation"] = book["generation"]
    row["trust"] = book["trust"]
    row["venue"] = book["venue"]
    row["flags"] = flags
    row["market_state"] = book["market_state"]
    for side in range(2):
        if int(state.ladders.sides[2 * slot + side, CHANGES]) != 0:
            _write_side(state, slot, side)
