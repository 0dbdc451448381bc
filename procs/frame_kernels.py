"""One compiled call from wire frames to what everybody reads: parsed, published, applied, rows and tops.

Frames lie behind each other, mostly one, and are taken one by one, each to its end. The kernels are the
stages' own, one behind the other, so that the result is the same record for record; what the compiled parser
is not sure about is left to the stages. They take numbers only, of which the last is the address of
``places``: addresses and lengths of all that the stages work on, since each array handed to a kernel costs as
much as a level write. They keep the GIL (``engine.jit.brief``) and ask the clock by themselves: Python pays
more for both.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np

from engine.book.apply import apply_updates
from engine.book.grid import GRIDS_MAX, TICKS_MAX
from engine.book.pool import SIDE_COLUMNS, WORDS_MAX, Ladders
from engine.book.state import (
    BOOK,
    DIFF_COLUMNS,
    META_COLUMNS,
    MIRROR_DIFFS_MAX,
    BookState,
    Records,
)
from engine.book.store import BookStore
from engine.code import NOBODY, call
from engine.jit import brief, inlined
from engine.records import BOOK_ROW, BOOK_UPDATE, SMALL_BYTES, TOP, WIDE_BYTES, Venue
from engine.venues.codec import MarketDataCodec
from engine.venues.kalshi._fast import read_one as read_kalshi
from engine.venues.kalshi.codec import KalshiCodec
from engine.venues.polymarket._fast import read_one as read_polymarket
from engine.venues.polymarket.codec import PolymarketCodec
from engine.venues.scan import load
from engine.venues.symbols import SYMBOL_WORDS, SymbolTable
from engine.venues.workspace import FRAME_BYTES_MAX, OUT_RECORDS, Words
from procs.ladder import stamp
from procs.tick_rate import spent_ns
from shm.arrays import array_at
from shm.atomics import address_of, read_ticks
from shm.cells import publish, publish_each
from shm.clock import monotonic_ns
from shm.layout import offset_of
from shm.ring import OverwritingRing
from shm.table import Table, write_row

LEFT_OVER: Final = 1 << 32  # added to how many frames were taken, where the strategy's turn was not done
TEXT_BYTES: Final = FRAME_BYTES_MAX  # of the frames that one call takes
FRAMES_MAX: Final = 1_024
_OUT_WORDS: Final = OUT_RECORDS * BOOK_UPDATE.itemsize // 8
_LISTS: Final = 2


class Place(IntEnum):
    """Where in ``places`` an address or a number is."""

    UPDATES_RING = 0
    TOPS_RING = 1
    ROWS_TABLE = 2
    HISTOGRAM = 3  # receive_book; 0: nobody counts
    NS_PER_TICK = 4  # of the processor's counter; 0: time stands still while we work
    START = 5  # 0, and no constant for the reason that ``read_one`` gives
    WORDS = 6  # of the codec
    N_WORDS = 7
    SYMBOLS = 8
    N_SYMBOLS = 9
    OUT = 10
    BOOKS = 11  # of the books, in the order of BookStore.flat
    ROWS = 12
    TOPS = 13
    LISTS = 14
    DIFFS = 15
    META = 16
    GRIDS = 17
    SIDES = 18
    DIRS = 19
    CELLS = 20
    POOL = 21
    N_BOOKS = 22
    N_TOPS = 23
    N_LADDERS = 24
    N_CELLS = 25
    N_POOL = 26
    LENGTHS = 27  # of the frames behind the first
    TAKEN = 28  # records so far
    REFUSED = 29  # messages so far that were too large for the updates ring
    STRATEGY = 30  # places of a strategy (procs.top_kernel), which has its turn when something was said
    STOP = 31  # what its last turn came to: below zero a Stop
    STRATEGY_CODE = 32  # of that turn
    SKIP = 33  # 1: entries of markets that nobody registered are passed over
    IS_CLOCKED = 34  # 1: time is the monotonic clock's and TIME_NS; 0: it is TIME_NS
    TIME_NS = 35


PLACES: Final = len(Place)
_UPDATES_RING, _TOPS_RING, _ROWS_TABLE, _HISTOGRAM, _RATE, _START, _WORDS, _N_WORDS, _SYMBOLS, _N_SYMBOLS = (
    int(place) for place in list(Place)[: Place.OUT]
)
_OUT, _BOOKS, _ROWS, _TOPS, _LISTS_AT, _DIFFS, _META, _GRIDS, _SIDES, _DIRS, _CELLS, _POOL = (
    int(place) for place in list(Place)[Place.OUT : Place.N_BOOKS]
)
_N_BOOKS, _N_TOPS, _N_LADDERS, _N_CELLS, _N_POOL = (
    int(place) for place in list(Place)[Place.N_BOOKS : Place.LENGTHS]
)
_LENGTHS, _TAKEN, _REFUSED, _STRATEGY, _STOP, _STRATEGY_CODE, _SKIP, _IS_CLOCKED, _TIME_NS = (
    int(place) for place in list(Place)[Place.LENGTHS :]
)
_ROW_BYTES: Final = BOOK_ROW.itemsize
_TOP_BYTES: Final = TOP.itemsize
_RECV_AT: Final = offset_of(TOP, "recv_ns")
_BOOK_AT: Final = offset_of(TOP, "book_ns")


@inlined
def _state_at(places: Words) -> BookState:
    """All memory of the books."""
    n_books, n_ladders = int(places[_N_BOOKS]), int(places[_N_LADDERS])
    ladders = Ladders(
        array_at(places[_SIDES], (n_ladders, SIDE_COLUMNS), np.int64),
        array_at(places[_DIRS], (n_ladders, WORDS_MAX), np.int32),
        array_at(places[_CELLS], (places[_N_CELLS],), np.int64),
        array_at(places[_POOL], (places[_N_POOL],), np.int64),
    )
    return BookState(
        array_at(places[_BOOKS], (n_books,), BOOK),
        array_at(places[_ROWS], (n_books,), BOOK_ROW),
        array_at(places[_TOPS], (places[_N_TOPS],), TOP),
        array_at(places[_LISTS_AT], (_LISTS, n_books), np.int64),
        array_at(places[_DIFFS], (MIRROR_DIFFS_MAX, DIFF_COLUMNS), np.int64),
        array_at(places[_META], (META_COLUMNS,), np.int64),
        array_at(places[_GRIDS], (GRIDS_MAX, 2, TICKS_MAX), np.int16),
        ladders,
    )


@inlined
def _pass_on(found: int, now_ns: int, began: int, places: Words, out: Records) -> None:
    """What a frame said, to the updates ring, the books, their rows, and the tops ring."""
    if publish(int(places[_UPDATES_RING]), int(places[_OUT]), found, 0) <= 0:
        places[_REFUSED] += 1
    places[_TAKEN] += found
    state = _state_at(places)
    written = apply_updates(state, out, found, now_ns)
    for index in range(written):
        slot = int(state.tops[index]["slot"])
        write_row(int(places[_ROWS_TABLE]), slot, int(places[_ROWS]) + slot * _ROW_BYTES)
    tops = int(places[_TOPS])
    if places[_HISTOGRAM] != 0:
        now_ns += spent_ns(began, int(places[_RATE]))
        stamp(int(places[_HISTOGRAM]), tops, _TOP_BYTES, _RECV_AT, _BOOK_AT, written, now_ns)
    publish_each(int(places[_TOPS_RING]), tops, written, 0)


@inlined
def _codec_at(places: Words) -> tuple[Words, Words, Words]:
    """Memory of the codec, its symbols, and where its records go."""
    return (
        array_at(places[_WORDS], (places[_N_WORDS],), np.int64),
        array_at(places[_SYMBOLS], (places[_N_SYMBOLS], SYMBOL_WORDS), np.int64),
        array_at(places[_OUT], (_OUT_WORDS,), np.int64),
    )


@inlined
def _load(text: int, length: int, words: Words) -> None:
    """Copy the frame of ``length`` bytes at address ``text`` to where the parser reads it."""
    load(words, words.view(np.uint8), array_at(text, (length,), np.uint8), 0, length)


@inlined
def _length_of(number: int, length: int, places: Words) -> int:
    """Of frame ``number``, the first of which is ``length`` bytes long."""
    return length if number == 0 else int(array_at(places[_LENGTHS], (FRAMES_MAX,), np.int64)[number])


@inlined
def _time(places: Words) -> int:
    """Engine time now."""
    time_ns = int(places[_TIME_NS])
    return monotonic_ns() + time_ns if places[_IS_CLOCKED] != 0 else time_ns


@inlined
def _decide(taken: int, now_ns: int, began: int, places: Words) -> int:
    """Give a strategy that is here its turn, if more than ``taken`` records were said; LEFT_OVER, or 0."""
    if places[_STRATEGY_CODE] == NOBODY or places[_TAKEN] == taken:
        return 0
    now_ns += spent_ns(began, int(places[_RATE]))
    places[_STOP] = call(int(places[_STRATEGY_CODE]), now_ns, 1, int(places[_STRATEGY]))
    return LEFT_OVER if places[_STOP] < 0 else 0


@brief
def kalshi_frames(text: int, length: int, count: int, recv_ns: int, conn: int, places_at: int) -> int:
    """Take ``count`` of Kalshi's frames, which lie behind each other from address ``text`` on.

    The first is of ``length`` bytes; the lengths of all are at ``Place.LENGTHS``, where that of the first is
    not read. All are of one connection, and of one read of it. How many were taken: the next one needs
    Python, and of it nothing was done. What they said is counted in ``Place.TAKEN``. Behind them a strategy
    that is here has its turn: LEFT_OVER on top where it has left something to Python, and ``Place.STOP`` is
    what.
    """
    began, places = read_ticks(), array_at(places_at, (PLACES,), np.int64)
    now_ns, before = _time(places), int(places[_TAKEN])
    words, symbols, out_words = _codec_at(places)
    start, skip = int(places[_START]), places[_SKIP] != 0
    number = 0
    while number < count:
        length = _length_of(number, length, places)
        _load(text, length, words)
        found = read_kalshi(words, symbols, out_words, start, length, recv_ns, conn, skip)
        if found < 0:
            break
        if found > 0:
            _pass_on(found, now_ns, began, places, out_words.view(BOOK_UPDATE))
        text += length
        number += 1
    return number + _decide(before, now_ns, began, places)


@brief
def polymarket_frames(text: int, length: int, count: int, recv_ns: int, conn: int, places_at: int) -> int:
    """Take Polymarket's frames, as ``kalshi_frames`` does."""
    began, places = read_ticks(), array_at(places_at, (PLACES,), np.int64)
    now_ns, before = _time(places), int(places[_TAKEN])
    words, symbols, out_words = _codec_at(places)
    start, skip = int(places[_START]), places[_SKIP] != 0
    number = 0
    while number < count:
        length = _length_of(number, length, places)
        _load(text, length, words)
        found = read_polymarket(words, symbols, out_words, start, length, recv_ns, conn, skip)
        if found < 0:
            break
        if found > 0:
            _pass_on(found, now_ns, began, places, out_words.view(BOOK_UPDATE))
        text += length
        number += 1
    return number + _decide(before, now_ns, began, places)


FRAME_KERNELS: Final = {Venue.KALSHI: kalshi_frames, Venue.POLYMARKET: polymarket_frames}


def new_places(
    codec: MarketDataCodec, store: BookStore, updates: OverwritingRing, tops: OverwritingRing, table: Table
) -> Words:
    """Addresses of what a frame goes through; whoever keeps them keeps the things alive."""
    places = np.zeros(PLACES, np.int64)
    places[_UPDATES_RING], places[_TOPS_RING] = updates.address, tops.address
    places[_ROWS_TABLE] = table.address
    space, symbols = codec.workspace, codec.symbols.table
    places[_WORDS], places[_N_WORDS] = address_of(space.words), space.words.size
    places[_SYMBOLS], places[_N_SYMBOLS] = address_of(symbols), len(symbols)
    places[_OUT] = address_of(space.out_words)
    places[_BOOKS:_N_BOOKS] = [address_of(array) for array in store.flat]
    ladders = store.state.ladders
    places[_N_BOOKS:_LENGTHS] = (
        len(store.books),
        len(store.tops),
        len(ladders.sides),
        ladders.cells.size,
        ladders.pool.size,
    )
    return places


def warm() -> None:
    """Compile both kernels, with no frame."""
    store = BookStore(1, 0, 1)
    updates, tops = OverwritingRing.create(8, SMALL_BYTES), OverwritingRing.create(8, WIDE_BYTES)
    table = Table.create(1, BOOK_ROW)
    for codec in (KalshiCodec(SymbolTable(1)), PolymarketCodec(SymbolTable(1))):
        places = new_places(codec, store, updates, tops, table)
        FRAME_KERNELS[codec.venue](0, 0, 0, 0, 0, address_of(places))
