"""Bounds of a store's memory, and what a book is before anything was said of it."""

from __future__ import annotations

import numpy as np
import pytest

from engine.book.grid import FINEST_GRID, Grids
from engine.book.pool import NO_TICK
from engine.book.state import (
    APPLY_UPDATES_MAX,
    COUNTS,
    MARKETS_MAX,
    META_COLUMNS,
    NOT_LISTED,
    Count,
    make_state,
    reset_book,
)
from engine.book.trust import BOOT_EPOCH_MAX
from engine.records import FRAME_UPDATES_MAX, NO_PRICE, Trust

GRIDS = Grids()


@pytest.mark.parametrize(
    ("markets", "boot_epoch", "burst_ns"),
    [(0, 1, 1), (MARKETS_MAX + 1, 1, 1), (1, -1, 1), (1, BOOT_EPOCH_MAX + 1, 1), (1, 1, -1)],
)
def test_bounds(markets: int, boot_epoch: int, burst_ns: int) -> None:
    with pytest.raises(ValueError, match=r"markets|boot epoch|burst"):
        make_state(markets, boot_epoch, 1, burst_ns, GRIDS)


def test_as_many_markets_as_allowed() -> None:
    assert len(make_state(MARKETS_MAX, BOOT_EPOCH_MAX, 1, 0, GRIDS).rows) == MARKETS_MAX


def test_a_call_holds_the_largest_frame_and_its_tops() -> None:
    state = make_state(3, 0, 1, 0, GRIDS)
    assert APPLY_UPDATES_MAX >= FRAME_UPDATES_MAX
    assert len(state.tops) == 3 + APPLY_UPDATES_MAX
    assert len(state.ladders.sides) == 2 * 3 + 2


def test_counts_lie_before_the_rest_of_meta() -> None:
    assert sorted(Count) == list(range(COUNTS))
    assert COUNTS < META_COLUMNS == len(make_state(1, 0, 1, 0, GRIDS).meta)


def test_a_reset_book_shows_nothing() -> None:
    state = make_state(2, 0, 1, 0, GRIDS)
    state.books[1]["epoch"], state.rows[1]["bid_e4"] = 5, 7
    reset_book(state, 1)
    book, row = state.books[1], state.rows[1]
    assert (book["epoch"], book["crossed_at"], book["trust"]) == (0, NOT_LISTED, Trust.UNSYNCED)
    assert (book["bid_e4"], book["ask_e4"], book["grid"]) == (NO_PRICE, NO_PRICE, FINEST_GRID)
    assert np.all(book["reach"] == NO_TICK)
    for name in ("bid_e4", "ask_e4", "vwap_buy_e6", "vwap_sell_e6"):
        assert np.all(row[name] == NO_PRICE)
    assert row["n_bids"] == row["n_asks"] == 0
