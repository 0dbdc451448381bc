"""The books of one feed: updates in, TOP records and book rows out.

One writer, one thread. ``tops`` holds the answer of the last call only; ``rows`` is the latest state by slot.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.book.apply import apply_flat
from engine.book.doubt import (
    FOREVER,
    change_grid,
    crossing_due_ns,
    drop_levels,
    open_epoch,
    raise_doubt,
    unlist_crossed,
)
from engine.book.frame import announce, best_price
from engine.book.grid import TICK_TO_PRICE, TICKS_MAX, Grids, Ranges
from engine.book.ladder import copy_levels
from engine.book.mirror import forget_diffs
from engine.book.pool import NO_TICK, ladder_bytes
from engine.book.state import (
    APPLY_UPDATES_MAX,
    BURST_NS,
    CROSSED_BURST_NS,
    CROSSED_LIST,
    CROSSED_LISTED,
    BookState,
    Count,
    Records,
    make_state,
    reset_book,
)
from engine.book.trust import TrustEvent, step
from engine.book.vwap import Impact, Walk, walk_notional, walk_size
from engine.jit import kernel
from engine.reasons import Reason
from engine.records import BOOK_UPDATE, NO_PRICE, Direction, Side, Trust, Venue

_EVENTS: Final = {Reason.DISCONNECTED: TrustEvent.DISCONNECTED}


# What is called from here has kernels of its own: what is ``inlined`` is for the inside of others.


@kernel
def _open(state: BookState, slot: int) -> None:
    open_epoch(state, slot)


@kernel
def _step(state: BookState, slot: int, event: int) -> None:
    book = state.books[slot]
    book["trust"] = step(int(book["trust"]), event)


@kernel
def _best(state: BookState, slot: int, side: int) -> int:
    return best_price(state, slot, side)


@kernel
def _close(state: BookState, slot: int) -> None:
    unlist_crossed(state, slot)
    forget_diffs(state, slot)
    drop_levels(state, slot)


@kernel
def _doubt(state: BookState, slot: int, event: int, reason: int, now_ns: int) -> None:
    raise_doubt(state, slot, event, reason, now_ns)


@kernel
def _on_time(state: BookState, now_ns: int, flags: int) -> int:
    """Announce every book that has been crossed for a whole burst, which makes it suspect; how many."""
    written = 0
    for place in range(int(state.meta[CROSSED_LISTED]) - 1, -1, -1):
        slot = int(state.lists[CROSSED_LIST, place])
        if now_ns - int(state.books[slot]["crossed_ns"]) >= int(state.meta[BURST_NS]):
            announce(state, slot, written, now_ns, flags)
            written += 1
    return written


class BookStore:
    """Order books by slot, with all memory taken at the start.

    ``markets``: slots; ``boot_epoch``: never used by an earlier start; ``pages``: pool of the ladders, in
    pages of 64 levels and as many bytes again of lines (``engine.book.pool``); ``crossed_burst_ns``: how long
    a LIVE book may stay crossed. Raises ValueError when one is out of bounds.

    ``tops``: TOP records of the last call; ``rows``: BOOK_ROW by slot; ``books``: BOOK by slot. Read only.
    ``flat``: the arrays of ``state`` one by one, as ``apply_flat`` takes them.
    """

    def __init__(
        self, markets: int, boot_epoch: int, pages: int, crossed_burst_ns: int = CROSSED_BURST_NS
    ) -> None:
        self._grids = Grids()
        self.state = make_state(markets, boot_epoch, pages, crossed_burst_ns, self._grids)
        self.flat = (*self.state[:-1], *self.state.ladders)
        self.tops: Records = self.state.tops
        self.rows: Records = self.state.rows
        self.books: Records = self.state.books
        self._ticks = np.zeros(TICKS_MAX, dtype=np.int32)
        self._sizes = np.zeros(TICKS_MAX, dtype=np.int64)

    def scratch(self) -> list[npt.NDArray[Any]]:
        """Memory that every frame works on, whatever market it is about."""
        return [self.state.tops, self.state.diffs, self.state.meta, *self.state.lists]

    def open_market(self, slot: int, generation: int, venue: Venue, ranges: Ranges, mirror: bool) -> None:
        """Begin an empty, UNSYNCED book on the grid ``ranges`` (start, end, step in 1e-4 dollar).

        Raises ValueError when the slot is out of range or in use, or the ranges are not a grid.
        """
        if not 0 <= slot < len(self.books) or self.books[slot]["is_open"]:
            raise ValueError(f"slot {slot} is in use, or not in 0..{len(self.books) - 1}")
        grid = self._grids.number(ranges)
        reset_book(self.state, slot)
        book = self.books[slot]
        book["generation"] = generation
        book["venue"] = venue
        book["mirror"] = mirror
        book["grid"] = grid
        book["doubt"] = Reason.NO_SNAPSHOT
        book["is_open"] = 1
        _open(self.state, slot)
        self._announce(slot, 0)

    def close_market(self, slot: int) -> None:
        """Give the memory of a book back; its row shows a DEAD, empty one. ValueError when it is not open."""
        self._require_open(slot)
        _close(self.state, slot)
        generation, epoch = int(self.books[slot]["generation"]), int(self.books[slot]["epoch"])
        reset_book(self.state, slot)
        row = self.rows[slot]
        row["slot"], row["generation"], row["epoch"], row["trust"] = slot, generation, epoch, Trust.DEAD

    def set_grid(self, slot: int, ranges: Ranges, now_ns: int) -> int:
        """Drop the book onto a grid that was announced outside the stream; TOP records written: 1."""
        self._require_open(slot)
        grid = self._grids.number(ranges)
        forget_diffs(self.state, slot)
        change_grid(self.state, slot, grid, now_ns)
        return self._announce(slot, now_ns)

    def apply(self, updates: Records, n: int, now_ns: int) -> int:
        """Apply ``updates[:n]`` (BOOK_UPDATE), whole frames; how many records of ``tops`` were written.

        One record for each frame and market it touched, in the order of first touch. ``now_ns`` is the
        stage's stamp and the clock of crossed books. Raises ValueError when n is out of bounds or the layout
        is another.
        """
        if not 0 <= n <= min(len(updates), APPLY_UPDATES_MAX) or updates.dtype != BOOK_UPDATE:
            raise ValueError(f"{n} of {len(updates)} updates of {updates.dtype}: at most {APPLY_UPDATES_MAX}")
        return int(apply_flat(updates, n, now_ns, *self.flat))

    def doubt(self, slot: int, reason: Reason, now_ns: int) -> int:
        """Doubt a book for a reason found outside the stream; TOP records written: 1."""
        self._require_open(slot)
        event = _EVENTS.get(reason, TrustEvent.DOUBT)
        _doubt(self.state, slot, int(event), int(reason), now_ns)
        return self._announce(slot, now_ns)

    def doubt_all(self, reason: Reason, at_ns: int, now_ns: int) -> int:
        """Doubt every open book since ``at_ns``, for a loss of unknown markets; TOP records written."""
        event = int(_EVENTS.get(reason, TrustEvent.DOUBT))
        slots = np.flatnonzero(self.books["is_open"]).tolist()
        for place, slot in enumerate(slots):
            _doubt(self.state, slot, event, int(reason), at_ns)
            announce(self.state, slot, place, now_ns, 0)
        return len(slots)

    def resync_requested(self, slot: int, now_ns: int) -> int:
        """A snapshot of a suspect book was asked for; TOP records written: 1."""
        return self._follow(slot, TrustEvent.RESYNC_REQUESTED, now_ns)

    def resync_failed(self, slot: int, now_ns: int) -> int:
        """The request was refused, lost, or not answered in time; TOP records written: 1."""
        return self._follow(slot, TrustEvent.RESYNC_FAILED, now_ns)

    def _follow(self, slot: int, event: TrustEvent, now_ns: int) -> int:
        self._require_open(slot)
        _step(self.state, slot, int(event))
        return self._announce(slot, now_ns)

    def _announce(self, slot: int, now_ns: int) -> int:
        announce(self.state, slot, 0, now_ns, 0)
        return 1

    def on_time(self, now_ns: int) -> int:
        """Make suspect what has been crossed for a whole burst; how many records of ``tops`` were written."""
        return int(_on_time(self.state, now_ns, 0)) if self.state.meta[CROSSED_LISTED] else 0

    def next_due_ns(self) -> int:
        """When ``on_time`` has something to do: FOREVER without a crossed book."""
        return int(crossing_due_ns(self.state)) if self.state.meta[CROSSED_LISTED] else FOREVER

    def levels(self, slot: int, side: Side) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Full depth, best first: new arrays of prices in 1e-4 dollar and sizes in 1e-6 (0: unknown)."""
        self._require_open(slot)
        n = int(copy_levels(self.state.ladders, 2 * slot + int(side), self._ticks, self._sizes))
        prices = self.state.table[int(self.books[slot]["grid"]), TICK_TO_PRICE, self._ticks[:n]]
        return prices.astype(np.int64), self._sizes[:n].copy()

    def impact_of_notional(self, slot: int, direction: Direction, notional_micros: int) -> Impact:
        """What buying or selling ``notional_micros`` would take from the book."""
        return self._impact(slot, direction, notional_micros, is_notional=True)

    def impact_of_size(self, slot: int, direction: Direction, size_e6: int) -> Impact:
        """What buying or selling ``size_e6`` contracts would take from the book."""
        return self._impact(slot, direction, size_e6, is_notional=False)

    def _impact(self, slot: int, direction: Direction, amount: int, *, is_notional: bool) -> Impact:
        self._require_open(slot)
        side = int(Side.ASK if direction is Direction.BUY else Side.BID)
        walk = walk_notional if is_notional else walk_size
        grid = int(self.books[slot]["grid"])
        ended, size, cash, vwap, worst = walk(
            self.state.ladders, 2 * slot + side, self.state.table, grid, amount
        )
        best = int(_best(self.state, slot, side))
        worst_e4 = NO_PRICE if worst == NO_TICK else int(self.state.table[grid, TICK_TO_PRICE, worst])
        return Impact(Walk(ended), int(size), int(cash), int(vwap), best, worst_e4)

    def count(self, what: Count) -> int:
        """How often this happened since the store was made."""
        return int(self.state.meta[what])

    def counts(self) -> dict[str, int]:
        """Every count by its name in lower case."""
        return {what.name.lower(): int(self.state.meta[what]) for what in Count}

    def book_bytes(self, slot: int) -> int:
        """Bytes of ladder memory, both sides together, that a book holds now."""
        return sum(ladder_bytes(self.state.ladders, 2 * slot + side) for side in range(2))

    def _require_open(self, slot: int) -> None:
        if not 0 <= slot < len(self.books) or not self.books[slot]["is_open"]:
            raise ValueError(f"no open market in slot {slot}")


def warm() -> None:
    """Compile every kernel of a store: each of its methods is called once, on a store of one market."""
    store = BookStore(1, 0, 1)
    store.open_market(0, 0, Venue.KALSHI, ((0, 10_000, 100),), mirror=True)
    store.apply(np.zeros(1, dtype=BOOK_UPDATE), 1, 0)
    store.doubt(0, Reason.FEED_SILENT, 0)
    store.resync_requested(0, 0)
    store.set_grid(0, ((0, 10_000, 10),), 0)
    _on_time(store.state, 0, 0)
    crossing_due_ns(store.state)
    store.levels(0, Side.BID)
    store.impact_of_notional(0, Direction.BUY, 1)
    store.impact_of_size(0, Direction.SELL, 1)
    store.close_market(0)
