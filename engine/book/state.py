"""What a book store keeps for each market besides its ladders, and what it counts.

``BookState`` is all the memory of a store as kernels take it, so that another floor can compose them: one
compiled call may read a ring and apply what it read.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.book.grid import FINEST_GRID, Grids, GridTable
from engine.book.pool import NO_TICK, Ladders, make_ladders
from engine.book.trust import BOOT_EPOCH_MAX
from engine.records import BOOK_ROW, FRAME_UPDATES_MAX, NO_PRICE, TOP
from engine.units import NS_PER_MS

MARKETS_MAX: Final = 2**18
APPLY_UPDATES_MAX: Final = FRAME_UPDATES_MAX  # of one call; a frame never spans two calls
MIRROR_DIFFS_MAX: Final = 512  # outstanding disagreements of all mirrored markets together
CROSSED_BURST_NS: Final = 250 * NS_PER_MS
NOT_LISTED: Final = -1

Records = npt.NDArray[np.void]

BOOK: Final = np.dtype(
    [
        ("epoch", "<i8"),
        ("update_count", "<i8"),  # level writes of this generation
        ("recv_ns", "<i8"),  # of the last update
        ("venue_ns", "<i8"),  # latest one that an update bore
        ("frame_ns", "<i8"),  # venue's time of the last update, 0 when it bears none
        ("top_miss_ns", "<i8"),  # frame_ns of the first of those in ``top_misses``
        ("mirror_miss_ns", "<i8"),  # frame_ns of the first of those in ``mirror_misses``
        ("doubt_ns", "<i8"),  # latest doubt: only a snapshot received at or after it is newer
        ("crossed_ns", "<i8"),  # since when a LIVE book is crossed
        ("generation", "<i4"),
        ("doubt", "<i4"),  # Reason of the last doubt; NONE while LIVE
        ("grid", "<i4"),
        ("crossed_at", "<i4"),  # place in the list of crossed books, NOT_LISTED
        ("snapshot_left", "<i4"),  # levels still to come of the snapshot being applied
        ("flaw", "<i4"),  # Reason why that snapshot is not whole
        ("diffs", "<i4"),  # outstanding disagreements with the sibling
        ("bid_e4", "<i4"),  # best prices last published
        ("ask_e4", "<i4"),
        ("declared_bid_e4", "<i4"),  # of the frame being applied
        ("declared_ask_e4", "<i4"),
        ("sibling_bid_e4", "<i4"),
        ("sibling_ask_e4", "<i4"),
        ("reach", "<i4", (2,)),  # worst tick the published VWAPs of a side needed; NO_TICK: all of it
        ("is_open", "u1"),
        ("venue", "u1"),
        ("trust", "u1"),
        ("top_trust", "u1"),  # last published
        ("market_state", "u1"),
        ("mirror", "u1"),
        ("snapshot_of", "u1"),  # whose snapshot is being applied: Source
        ("seen", "u1"),  # Seen: what the frame being applied brought
        ("top_misses", "u1"),  # declaring frames in a row that disagreed
        ("mirror_misses", "u1"),  # frames in a row after which the pair disagreed
        ("diffs_lost", "u1"),  # disagreements beyond MIRROR_DIFFS_MAX: the pair disagrees until a snapshot
    ],
    align=True,
)


class Source(IntEnum):
    """Whose snapshot is being applied."""

    NOBODY = 0
    OWN = 1
    SIBLING = 2


class Seen(IntEnum):
    """Bits: what a frame brought for a market."""

    TOUCHED = 1
    CONTENT = 2  # levels or a snapshot, own or the sibling's
    DECLARED = 4
    TICKER = 8
    SIBLING_DECLARED = 16
    SNAPSHOT = 32


@unique
class Count(IntEnum):
    """What a store counts since it was made; the position of each in ``BookState.meta``."""

    UPDATES = 0
    FRAMES = 1
    UNTERMINATED = 2  # calls whose last frame had no end
    LEVEL_WRITES = 3
    UNKNOWN_SLOT = 4  # not applied, as the next three
    STALE_GENERATION = 5
    UNKNOWN_KIND = 6
    SIBLING_REFUSED = 7  # a sibling of a market that is no mirror, or what a sibling cannot say
    OFF_GRID = 8
    NEGATIVE_LEVEL = 9
    CLAMPED = 10  # negative results on books that are not LIVE, where they are no news
    LEVEL_BOUND = 11
    SNAPSHOTS = 12
    SNAPSHOTS_TORN = 13
    SIBLING_SNAPSHOTS_APPLIED = 14
    DOUBTS = 15
    EPOCHS = 16
    GRID_CHANGES = 17
    DECLARED_LIVE = 18  # declarations compared on LIVE books, and how many of them disagreed
    DECLARED_LIVE_DIFFERS = 19
    DECLARED_UNSYNCED = 20
    DECLARED_UNSYNCED_DIFFERS = 21
    DECLARED_DOUBTED = 22  # on books that are SUSPECT, RESYNC or DEAD
    DECLARED_DOUBTED_DIFFERS = 23
    TICKERS = 24
    TICKERS_DIFFER = 25
    SIBLING_DECLARED = 26
    SIBLING_DECLARED_DIFFERS = 27
    MIRROR_LEVELS = 28  # sibling levels compared, and how many differed
    MIRROR_LEVELS_DIFFER = 29
    MIRROR_DIFFS_LOST = 30
    MIRROR_UNVERIFIED = 31  # sibling snapshots that could not be laid beside the book
    CROSSED_FRAMES = 32
    HASH_AGREES = 33
    HASH_DIFFERS = 34


COUNTS: Final = len(Count)
BOOT_EPOCH, EPOCH_COUNTER, BURST_NS, CROSSED_LISTED, DIFFS_LISTED = range(COUNTS, COUNTS + 5)
META_COLUMNS: Final = COUNTS + 5

TOUCHED_LIST, CROSSED_LIST = range(2)
DIFF_SLOT, DIFF_SIDE, DIFF_TICK, DIFF_SIZE = range(4)
DIFF_COLUMNS: Final = 4


class BookState(NamedTuple):
    """All memory of a store.

    ``books`` BOOK (markets,); ``rows`` BOOK_ROW (markets,); ``tops`` TOP (markets + APPLY_UPDATES_MAX,);
    ``lists`` int64 (2, markets); ``diffs`` int64 (MIRROR_DIFFS_MAX, DIFF_COLUMNS); ``meta`` int64
    (META_COLUMNS,); ``table`` of ``engine.book.grid``; ``ladders`` 2 for each market and 2 spare.
    """

    books: Records
    rows: Records
    tops: Records
    lists: npt.NDArray[np.int64]
    diffs: npt.NDArray[np.int64]
    meta: npt.NDArray[np.int64]
    table: GridTable
    ladders: Ladders


def make_state(markets: int, boot_epoch: int, pages: int, burst_ns: int, grids: Grids) -> BookState:
    """All memory of a store of closed books. Raises ValueError when an argument is out of its bounds."""
    if not 0 < markets <= MARKETS_MAX:
        raise ValueError(f"a store has 1..{MARKETS_MAX} markets, not {markets}")
    if not 0 <= boot_epoch <= BOOT_EPOCH_MAX:
        raise ValueError(f"boot epoch {boot_epoch} is not in 0..{BOOT_EPOCH_MAX}")
    if burst_ns < 0:
        raise ValueError(f"crossed burst of {burst_ns} ns")
    meta = np.zeros(META_COLUMNS, dtype=np.int64)
    meta[BOOT_EPOCH] = boot_epoch
    meta[BURST_NS] = burst_ns
    return BookState(
        books=np.zeros(markets, dtype=BOOK),
        rows=np.zeros(markets, dtype=BOOK_ROW),
        tops=np.zeros(markets + APPLY_UPDATES_MAX, dtype=TOP),
        lists=np.zeros((2, markets), dtype=np.int64),
        diffs=np.zeros((MIRROR_DIFFS_MAX, DIFF_COLUMNS), dtype=np.int64),
        meta=meta,
        table=grids.table,
        ladders=make_ladders(2 * markets + 2, pages),
    )


def reset_book(state: BookState, slot: int) -> None:
    """Forget everything about ``slot`` but its ladders, which the caller clears."""
    state.books[slot] = np.zeros((), dtype=BOOK)
    book = state.books[slot]
    book["grid"] = FINEST_GRID
    book["crossed_at"] = NOT_LISTED
    book["reach"] = NO_TICK
    for name in ("bid_e4", "ask_e4"):
        book[name] = NO_PRICE
    state.rows[slot] = np.zeros((), dtype=BOOK_ROW)
    for name in ("bid_e4", "ask_e4", "vwap_buy_e6", "vwap_sell_e6"):
        state.rows[slot][name] = NO_PRICE
