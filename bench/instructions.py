"""How many instructions each step executes, and in how many lines of code: what no neighbour changes.

Times on a shared machine say as much of its neighbours as of the code; these counts are the same at every
hour, and beside a time they say what it was made of: what is left of it is memory that was not in the
caches, and a core that was taken away. Of a step its lines matter as much: a frame that comes alone finds
many of them in no near cache (``bench.floor`` says what a line then takes), and the first cache of most
processors has room for 512.

Counted by single steps (``bench._steps``). Steps in calls from Python are whole calls, as a stage makes them;
``compiled`` is the part of them in kernels. Steps in kernels are what one more of them adds to a call. Peers
do the same work on the same bytes; what they do in threads or processes of their own is not counted. A count
has no spread, so there is one of each; from run to run they differ by some tens where Python's memory lies
otherwise. No time is measured, and nothing claimed. The executor is not here: step by step a plan is past its
deadline before it has left.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import numpy as np

from bench import _scene, book, floor, parse, path, scan, table
from bench._book_peers import PeerBook, peer_books
from bench._parsers import parsers
from bench._plain_path import PlainCore
from bench._result import OURS, Result, Row
from bench._steps import Steps, can_count, per_item, per_round
from bench._trade_side import Signals
from engine.book.store import BookStore
from engine.config import Role
from engine.direct import direct
from engine.records import BOOK_UPDATE, SMALL_BYTES, Venue
from shm.ring import OverwritingRing

FEW, MANY = 50, 250  # items of two calls of ours, of which the difference is counted
FEW_OF_PEERS, MANY_OF_PEERS = 4, 20
RING_CELLS: Final = 1_024
SCANNED: Final = (10_000, 1_000)  # markets, relations: as ``bench.scan``
PARSED: Final = (
    "price_change, 1 change",
    "price_change, 2 changes",
    "price_change, 8 changes",
    "Kalshi delta",
)
TICKS: Final = 1_001
CALL: Final = "a compiled function that does nothing, called from Python"
RECORD: Final = "a record of 64 bytes published and polled, in calls of many"
READ: Final = "a row of 64 bytes read, in a call of many"
WRITE: Final = f"{book.WRITE}, {TICKS:,} ticks, in a call of many"
AVERAGES: Final = f"{book.AVERAGES}, {TICKS:,} ticks, in a call of many"
TO_BOOK: Final = "frame of two changes in the callback, to its rows and tops"
TO_SIGNAL: Final = "frame of two changes in the callback, to a signal in its ring"
SCANNED_TOP: Final = f"one update, {SCANNED[0]:,} markets, {SCANNED[1]:,} relations, the stage's turn"

STANDARD: Final = "json + extraction"  # left out: it takes twice as many as orjson's, one by one
PLAIN: Final = path.PLAIN_CORE
CHEAP, QUIET = (_scene.change(0, is_cheap=is_cheap) for is_cheap in (True, False))

Rows = list[tuple[int, int, int]]


def measure(result: Result) -> None:
    """Everything; where nobody may trace, a note why not."""
    if not can_count():
        result.missing["instructions"] = "only the registers of Linux on x86-64 are known here"
        return
    for step in (_called, _transport, _books, _parsed, _framed, _scanned):
        step(result)


def _add(result: Result, what: str, who: str, steps: Steps) -> None:
    result.rows.append(Row(what, who, [steps._asdict()], [0]))


def _add_items(result: Result, what: str, who: str, work: Callable[[int], object]) -> None:
    """Of an item in a call of many; the call's lines are those of any of its items."""
    few, many = (FEW, MANY) if who == OURS else (FEW_OF_PEERS, MANY_OF_PEERS)
    steps = per_item(work, few, many)
    result.rows.append(
        Row(what, who, [{"instructions": steps.instructions, "compiled": steps.compiled}], [0])
    )


def _called(result: Result) -> None:
    called = direct(floor.nothing, 0, 0, 0, True, 0)
    _add(result, CALL, OURS, per_round(lambda: called(1, 2, 3, True, 4)))


def _transport(result: Result) -> None:
    ring, records = OverwritingRing.create(RING_CELLS, SMALL_BYTES), np.zeros(MANY, BOOK_UPDATE)
    reader = ring.reader(batch_cells=MANY)

    def through(count: int) -> None:
        if ring.publish_each(records[:count]) != count or reader.poll() != count:
            raise RuntimeError("a record is missing")

    _add_items(result, RECORD, OURS, through)
    rows, out = table.filled(), np.zeros(table.RECORD.itemsize // 8, np.int64)
    _add_items(result, READ, OURS, lambda count: table.read_many(rows.address, table.ROWS, count, out))


def _books(result: Result) -> None:
    updates = book.random_updates(TICKS, near=False)
    sides, sizes = updates["side"].astype(np.int64), updates["size_e6"].astype(np.int64)
    prices = updates["price_e4"].astype(np.int64)
    store = BookStore(1, 1, book.PAGES)
    store.open_market(0, 0, Venue.POLYMARKET, ((0, 10_000, 10_000 // (TICKS - 1)),), mirror=False)
    ladders, grids, grid = store.state.ladders, store.state.table, int(store.books[0]["grid"])
    places = prices // (10_000 // (TICKS - 1))
    rows = list(zip(sides.tolist(), prices.tolist(), sizes.tolist(), strict=True))

    def write(begin: int, end: int) -> None:
        book.write_levels(ladders, sides, places, sizes, begin, end)

    def average(begin: int, end: int) -> None:
        book.write_and_walk(ladders, sides, places, sizes, begin, end, grids, grid)

    write(0, book.UPDATES)
    _add_items(result, WRITE, OURS, _onward(write))
    _add_items(result, AVERAGES, OURS, _onward(average))
    for who, one in peer_books(result, rows).items():
        _peer_writes(one, rows, 0, book.CHUNK)
        _add_items(result, WRITE, who, _onward(partial(_peer_writes, one, rows)))


def _onward(act: Callable[[int, int], None]) -> Callable[[int], None]:
    """``act`` on the next so many updates, for what is written again changes nothing."""
    at = 0

    def some(count: int) -> None:
        nonlocal at
        at = at if at + count <= book.UPDATES else 0
        act(at, at + count)
        at += count

    return some


def _peer_writes(one: PeerBook, rows: Rows, begin: int, end: int) -> None:
    for side, price, size in rows[begin:end]:
        one.write(side, price, size)


def _parsed(result: Result) -> None:
    for what in PARSED:
        venue, kind, frames = parse.cases()[what]
        feed = parse.primed(venue, kind).feed
        ways: dict[str, Callable[[bytes], object]] = {OURS: partial(_feed, feed)}
        ways |= {who: read for who, read in parsers(result, kind).items() if who != STANDARD}
        for who, read in ways.items():
            given = Given(frames)
            _add(result, what, who, per_round(partial(given.to, read), given.take))


def _feed(feed: Callable[[bytes, int, int], int], frame: bytes) -> int:
    return feed(frame, 1, 0)


class Given:
    """Frames one after another, over and over; each is taken before it is handed on."""

    def __init__(self, frames: Sequence[bytes]) -> None:
        self._frames = itertools.cycle(frames)
        self._frame = b""

    def take(self) -> None:
        """The next one."""
        self._frame = next(self._frames)

    def to(self, read: Callable[[bytes], object]) -> None:
        """Hand it on."""
        read(self._frame)


def _framed(result: Result) -> None:
    for what, roles in ((TO_BOOK, path.MARKET_DATA), (TO_SIGNAL, (*path.MARKET_DATA, Role.STRATEGY))):
        with path.run_folder() as folder:
            market, plain = path.Market(folder, roles), PlainCore(*path.pairs())
            market.drills = False
            market.open()
            quiet = Quiet(market, Signals(folder))
            _add(result, what, OURS, per_round(partial(market.on_frame, CHEAP), quiet.again, rounds=2))
            plainly = plain.apply if what == TO_BOOK else plain.on_frame
            _add(result, what, PLAIN, per_round(partial(plainly, CHEAP), partial(plain.on_frame, QUIET)))


class Quiet:
    """What was on offer is gone, what was said of it is read, and the strategy, if any, has heard that."""

    def __init__(self, market: path.Market, signals: Signals) -> None:
        self._market, self._signals = market, signals
        self._expected = 0

    def again(self) -> None:
        """Before each round; RuntimeError when the one before it gave no signal, and there is a strategy."""
        found = len(self._signals.poll())
        if found != self._expected:
            raise RuntimeError(f"{found} signals of {self._expected}")
        self._expected = int(self._market.strategy is not None)
        self._market.on_frame(QUIET)
        self._market.turn()


def _scanned(result: Result) -> None:
    market = scan.Market(*SCANNED)
    market.turns(FEW)
    slots = itertools.cycle(np.random.default_rng(scan.SEED).integers(0, 2 * SCANNED[1], MANY).tolist())

    def before() -> None:
        market.drain(0)
        market.announce(np.array([next(slots)]))

    _add(result, SCANNED_TOP, OURS, per_round(market.turn, before))
