"""What a level write, three VWAPs, and a published frame cost, beside a book of plain dictionaries.

Updates are random within the grid's half of each side, 30 % of them deletions, on grids of 101, 1,001 and
10,001 ticks; ``near`` draws them within some tens of ticks of the middle instead, as venues do. Times are per
update, over chunks of CHUNK updates of one stream: the fastest chunk and the median one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from bench._book_peers import PeerBook, peer_books
from bench._result import OURS, Result, Row, claim, claim_ratio
from bench._timing import switched
from engine.book.grid import GridTable
from engine.book.ladder import add_level, next_better, set_level, step_worse
from engine.book.pool import BEST, NO_TICK, Ladders
from engine.book.store import BookStore
from engine.book.vwap import standard_vwaps
from engine.jit import kernel
from engine.records import BOOK_UPDATE, UpdateFlag, UpdateKind, Venue

TICKS: Final = (101, 1_001, 10_001)
UPDATES: Final = 40_000
RUNS: Final = 5
CHUNK: Final = 2_000
PAGES: Final = 2_000
WRITE: Final = "write a level, read the best"
AVERAGES: Final = "write a level, three average prices"
APPLY_NS_MAX: Final = 45  # the claims, at 1,001 ticks
WITH_VWAP_NS_MAX: Final = 120
CLAIMED_TICKS: Final = 1_001
NEAR: Final = ", near the middle"
SEED: Final = 1

Longs = npt.NDArray[np.int64]


class Cost(NamedTuple):
    """Nanoseconds of an update in the fastest chunk and in the median one; involuntary switches meanwhile."""

    fastest: float
    median: float
    switches: int


def random_updates(ticks: int, *, near: bool) -> npt.NDArray[np.void]:
    """UPDATES random LEVEL_SET of one market (slot 0), each a frame."""
    chance = np.random.default_rng(SEED)
    middle = ticks // 2
    reach = chance.geometric(0.1, UPDATES) if near else chance.integers(1, middle, UPDATES)
    offset = np.minimum(reach, middle - 1)
    side = chance.integers(0, 2, UPDATES)
    updates = np.zeros(UPDATES, dtype=BOOK_UPDATE)
    updates["kind"], updates["venue"] = UpdateKind.LEVEL_SET, Venue.POLYMARKET
    updates["side"] = side
    updates["price_e4"] = np.where(side == 0, middle - offset, middle + offset) * (10_000 // (ticks - 1))
    updates["size_e6"] = np.where(chance.random(UPDATES) < 0.3, 0, chance.integers(1, 10**9, UPDATES))
    updates["recv_ns"] = np.arange(UPDATES)
    updates["flags"] = UpdateFlag.LAST_OF_FRAME
    return updates


def per_update(chunk: Callable[[int], object]) -> Cost:
    """Cost of an update in ``chunk(first update)``, after one warm pass over a chunk."""
    chunk(0)
    before = switched()
    took = []
    for begin in range(0, UPDATES, CHUNK):
        start = time.perf_counter_ns()
        chunk(begin)
        took.append((time.perf_counter_ns() - start) / CHUNK)
    return Cost(min(took), float(np.median(took)), switched() - before)


@kernel
def write_levels(ladders: Ladders, sides: Longs, ticks: Longs, sizes: Longs, begin: int, end: int) -> int:
    """Level writes with the best price read after each."""
    total = 0
    for index in range(begin, end):
        set_level(ladders, int(sides[index]), int(ticks[index]), int(sizes[index]))
        total += int(ladders.sides[int(sides[index]), BEST])
    return total


@kernel
def add_to_levels(ladders: Ladders, sides: Longs, ticks: Longs, sizes: Longs, begin: int, end: int) -> int:
    """Signed changes with the best price read after each: what one update adds, the next takes away."""
    total = 0
    for index in range(begin, end):
        pair = index & ~1
        ladder = int(sides[pair])
        add_level(ladders, ladder, int(ticks[pair]), int(sizes[pair]) * (1 - 2 * (index & 1)))
        total += int(ladders.sides[ladder, BEST])
    return total


@kernel
def walk_out_and_back(ladders: Ladders, ladder: int) -> int:
    """Visit every level of a side from the best to the worst and back; how many visits."""
    visits = 0
    tick = last = int(ladders.sides[ladder, BEST])
    while tick != NO_TICK:
        visits += 1
        last = tick
        tick = step_worse(ladders, ladder, tick)
    while last != NO_TICK:
        visits += 1
        last = next_better(ladders, ladder, last)
    return visits


@kernel
def write_and_walk(
    ladders: Ladders,
    sides: Longs,
    ticks: Longs,
    sizes: Longs,
    begin: int,
    end: int,
    table: GridTable,
    grid: int,
) -> int:
    """Level writes with the three VWAPs of the written side after each."""
    total = 0
    for index in range(begin, end):
        ladder = int(sides[index])
        set_level(ladders, ladder, int(ticks[index]), int(sizes[index]))
        first, second, third, _ = standard_vwaps(ladders, ladder, table, grid)
        total += first + second + third
    return total


def per_visit(ladders: Ladders) -> Cost:
    """Cost of a level of walking a side out and back."""
    before = switched()
    walk_out_and_back(ladders, 0)
    took = []
    for _ in range(UPDATES // CHUNK):
        start = time.perf_counter_ns()
        visits = walk_out_and_back(ladders, 0)
        took.append((time.perf_counter_ns() - start) / max(visits, 1))
    return Cost(min(took), float(np.median(took)), switched() - before)


def _store(ticks: int) -> BookStore:
    store = BookStore(1, 1, PAGES)
    store.open_market(0, 0, Venue.POLYMARKET, ((0, 10_000, 10_000 // (ticks - 1)),), mirror=False)
    return store


def _one_frame(updates: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """The same updates, each CHUNK of them one frame."""
    joined = updates.copy()
    joined["flags"] = 0
    joined["flags"][CHUNK - 1 :: CHUNK] = UpdateFlag.LAST_OF_FRAME
    return joined


def measure_grid(result: Result, ticks: int, *, near: bool) -> dict[tuple[str, str], Cost]:
    """Fastest and median ns per update of each (who, what), on one grid."""
    updates = random_updates(ticks, near=near)
    joined = _one_frame(updates)
    sides, sizes = updates["side"].astype(np.int64), updates["size_e6"].astype(np.int64)
    prices = updates["price_e4"].astype(np.int64)
    places = prices // (10_000 // (ticks - 1))
    bare, added, walked, framed, applied, called = (_store(ticks) for _ in range(6))
    grid = int(walked.books[0]["grid"])

    def python_calls(begin: int) -> None:
        for index in range(begin, begin + CHUNK):
            called.apply(updates[index : index + 1], 1, index)

    rows = list(zip(sides.tolist(), prices.tolist(), sizes.tolist(), strict=True))

    found = {
        (OURS, WRITE): per_update(
            lambda begin: write_levels(bare.state.ladders, sides, places, sizes, begin, begin + CHUNK)
        ),
        (OURS, "kernel: signed change + best"): per_update(
            lambda begin: add_to_levels(added.state.ladders, sides, places, sizes, begin, begin + CHUNK)
        ),
        (OURS, "kernel: one level of a walk out and back"): per_visit(bare.state.ladders),
        (OURS, AVERAGES): per_update(
            lambda begin: write_and_walk(
                walked.state.ladders, sides, places, sizes, begin, begin + CHUNK, walked.state.table, grid
            )
        ),
        (OURS, "apply: one frame of 2,000 updates"): per_update(
            lambda begin: applied.apply(joined[begin : begin + CHUNK], CHUNK, begin)
        ),
        (OURS, "apply: 2,000 frames, TOP + row + VWAPs each"): per_update(
            lambda begin: framed.apply(updates[begin : begin + CHUNK], CHUNK, begin)
        ),
        (OURS, "apply: one call from Python a frame"): per_update(python_calls),
    }
    for who, book in peer_books(result, rows).items():
        found[who, WRITE] = per_update(partial(_peer_writes, book, rows))
    for who, book in peer_books(result, rows).items():
        tenth = per_update(partial(_peer_averages, book, rows))
        found[who, AVERAGES] = Cost(tenth.fastest * 10, tenth.median * 10, tenth.switches)
    return found


def _peer_writes(book: PeerBook, rows: list[tuple[int, int, int]], begin: int) -> None:
    for side, price, size in rows[begin : begin + CHUNK]:
        book.write(side, price, size)


def _peer_averages(book: PeerBook, rows: list[tuple[int, int, int]], begin: int) -> None:
    """A tenth of a chunk: some of these take long."""
    for side, price, size in rows[begin : begin + CHUNK // 10]:
        book.write(side, price, size)
        book.vwaps(side)


def measure(result: Result) -> None:
    """Every way on every grid, RUNS times over; the claims are about CLAIMED_TICKS ticks."""
    rows: dict[tuple[str, str], Row] = {}
    for _ in range(RUNS):
        for near in (False, True):
            for ticks in TICKS:
                found = measure_grid(result, ticks, near=near)
                place = f"{ticks:,} ticks{NEAR if near else ''}"
                for (who, what), cost in found.items():
                    row = rows.setdefault((f"{what}, {place}", who), Row(f"{what}, {place}", who))
                    row.runs.append({"ns": cost.median, "fastest_chunk_ns": cost.fastest})
                    row.switches.append(cost.switches)
    result.rows += rows.values()
    for where in ("", NEAR):
        for what, limit_ns in ((WRITE, APPLY_NS_MAX), (AVERAGES, WITH_VWAP_NS_MAX)):
            claim(result, f"{what}, {CLAIMED_TICKS:,} ticks{where}", "ns", limit_ns)
            claim_ratio(result, f"{what}, {CLAIMED_TICKS:,} ticks{where}", "", 1.0)  # ahead of all
    result.notes.append("peers are called from Python for each update, as they are used; ours in one call")
    result.notes.append("hftbacktest's depth takes events in its own replay only: it is in sessions")
