"""Recordings through codecs into books, without an engine around them: what `check` and `book` are made of.

Each Polymarket token has a book of its own here, in its own terms, so that whatever a recording says of a
token is compared with that token. ``mirrored=True`` gives a market's two tokens one book instead, as the
engine does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from engine.book.grid import TICKS_MAX, grid_prices
from engine.book.state import BookState
from engine.book.store import BookStore
from engine.catalog.market import MarketSpec
from engine.records import Outcome, Side, Trust, Venue
from engine.venues.codec import MarketDataCodec
from engine.venues.counts import Count
from engine.venues.kalshi.codec import KalshiCodec
from engine.venues.polymarket.codec import PolymarketCodec
from engine.venues.symbols import SymbolTable
from engine.venues.workspace import Records
from procs.recording import VENUE_NAMES
from procs.recording_frames import FrameBatch
from procs.recording_lines import Longs
from procs.registry import market_symbols
from procs.replay_apply import apply_frames

SPARE_SLOTS: Final = 256  # markets that a recording's header does not name
BOOT_EPOCH: Final = 1  # nothing outlives a replay
POOL_PAGES_MIN: Final = 16_384
_ANY_PRICE: Final = ((0, TICKS_MAX - 1, 1),)

_CODECS: Final[Mapping[Venue, Callable[[SymbolTable], MarketDataCodec]]] = {
    Venue.KALSHI: KalshiCodec,
    Venue.POLYMARKET: PolymarketCodec,
}

Levels = list[tuple[int, int]]  # price in 1e-4, size in 1e-6; size 0: unknown
OnRecords = Callable[[BookState, Records, int, int], None]  # books, records, how many, connection


class Book(NamedTuple):
    """One book of a replay. ``symbol`` is the ticker or token; ``market`` the index of its market."""

    venue: Venue
    symbol: str
    market: int
    ranges: tuple[tuple[int, int, int], ...]

    @property
    def name(self) -> str:
        """``kalshi:TICKER`` or ``polymarket:TOKEN``."""
        return f"{VENUE_NAMES[self.venue]}:{self.symbol}"


def _token_books(specs: Sequence[MarketSpec]) -> Iterator[Book]:
    """A book for every symbol on the wire. The NO token's grid is the YES grid turned over."""
    for market, spec in enumerate(specs):
        for symbol, outcome, _ in market_symbols(spec):
            ranges = spec.price_ranges
            if outcome is Outcome.NO:
                top = TICKS_MAX - 1
                ranges = tuple((top - end, top - start, step) for start, end, step in reversed(ranges))
            yield Book(spec.venue, symbol.decode(), market, ranges)


def _market_books(specs: Sequence[MarketSpec]) -> Iterator[Book]:
    """One book a market, its tokens sharing it."""
    for market, spec in enumerate(specs):
        yield Book(spec.venue, spec.symbol, market, spec.price_ranges)


def _pool_pages(books: Sequence[Book]) -> int:
    """Room for every grid in full as far as that is modest; beyond it books share a pool of the minimum."""
    ticks = {ranges: len(grid_prices(ranges)) for ranges in {book.ranges for book in books}}
    full = sum(2 * (ticks[book.ranges] // 64 + 1) for book in books) + 2 * (TICKS_MAX // 64 + 1)
    return min(full, max(POOL_PAGES_MIN, 4 * len(books)))


class Replay:
    """Codecs of both venues and the books behind them.

    ``books[slot]`` says what slot it is; markets that no spec names are added as they appear, at most
    SPARE_SLOTS of them, on the finest grid. ``on_records`` gets the updates of one or many whole frames of
    one connection and must apply them; by default that is all that happens to them.
    """

    def __init__(
        self, specs: Sequence[MarketSpec], *, mirrored: bool = False, on_records: OnRecords | None = None
    ) -> None:
        self.specs = tuple(specs)
        self.books = list(_market_books(specs) if mirrored else _token_books(specs))
        self.strangers = 0  # markets without a spec
        self.clock_ns = 0
        self.rejected_line = 0  # of the last frame that a codec could not read, and what was wrong with it
        self.last_error = ""
        self.store = BookStore(len(self.books) + SPARE_SLOTS, BOOT_EPOCH, _pool_pages(self.books))
        self._on_records = on_records
        self.symbols = {venue: SymbolTable(2 * len(self.books) + SPARE_SLOTS) for venue in Venue}
        self.codecs: dict[Venue, MarketDataCodec] = {}  # of the venues that frames have come from
        for slot, book in enumerate(self.books):
            self.store.open_market(slot, 0, book.venue, book.ranges, mirrored)
            self._register(slot, book, mirrored)

    @property
    def rejected(self) -> int:
        """Frames that a codec could not read."""
        return sum(int(codec.counts[Count.REJECTED]) for codec in self.codecs.values())

    def _codec(self, venue: Venue) -> MarketDataCodec:
        """The venue's codec, made for its first frame: each has some ten MiB of memory to clear."""
        codec = self.codecs.get(venue)
        if codec is None:
            codec = self.codecs[venue] = _CODECS[venue](self.symbols[venue])
            codec.on_unknown = self._stranger(venue)
        return codec

    def _register(self, slot: int, book: Book, mirrored: bool) -> None:
        if not mirrored:
            self.symbols[book.venue].add(book.symbol.encode(), slot, 0)
            return
        for symbol, outcome, is_mirrored in market_symbols(self.specs[book.market]):
            self.symbols[book.venue].add(symbol, slot, 0, outcome, is_mirrored)

    def _stranger(self, venue: Venue) -> Callable[[bytes], bool]:
        def add(symbol: bytes) -> bool:
            slot = len(self.books)
            if self.strangers == SPARE_SLOTS or not self.symbols[venue].add(symbol, slot, 0):
                return False
            book = Book(venue, symbol.decode(), len(self.specs) + self.strangers, _ANY_PRICE)
            self.books.append(book)
            self.store.open_market(slot, 0, venue, book.ranges, mirror=False)
            self.strangers += 1
            return True

        return add

    def feed(self, batch: FrameBatch, clock_ns: Longs, start: int = 0, stop: int | None = None) -> None:
        """Frames ``start`` to ``stop`` of a batch, received at ``clock_ns``, which must not step back."""
        end = batch.count if stop is None else stop
        for first, last in _runs(batch, start, end):
            self._feed_run(batch, clock_ns, first, last)
        if end > start:
            self.clock_ns = int(clock_ns[end - 1])

    def _feed_run(self, batch: FrameBatch, clock_ns: Longs, start: int, stop: int) -> None:
        """Frames of one venue and one connection."""
        codec = self._codec(Venue(int(batch.venues[start])))
        conn = int(batch.conns[start])
        at = start
        while at < stop:
            read, records = codec.feed_many(
                batch.buffer,
                batch.offsets[at:stop],
                batch.lengths[at:stop],
                clock_ns[at:stop],
                batch.conns[at:stop],
                stop - at,
            )
            if read == 0:
                records = self._feed_one(codec, batch, at, int(clock_ns[at]))
                read = 1
            if self._on_records is not None and records:
                self._on_records(self.store.state, codec.out, records, conn)
            elif records:
                apply_frames(self.store.state, codec.out, records)
            at += read

    def _feed_one(self, codec: MarketDataCodec, batch: FrameBatch, at: int, now_ns: int) -> int:
        """A frame that needs Python; -> records."""
        rejected = int(codec.counts[Count.REJECTED])
        records = codec.feed(batch.raw(at), now_ns, int(batch.conns[at]))
        if int(codec.counts[Count.REJECTED]) > rejected and not batch.lost:
            self.rejected_line, self.last_error = batch.line(at), codec.last_error
        return records

    def finish(self) -> None:
        """No frame follows: what has been crossed for too long by the last one is suspect."""
        self.store.on_time(self.clock_ns)
        for codec in self.codecs.values():
            codec.on_unknown = None  # it refers to us, and our memory should go when we do

    def trust(self, slot: int) -> Trust:
        """Trust of a book."""
        return Trust(int(self.store.books[slot]["trust"]))

    def levels(self, slot: int) -> tuple[Levels, Levels]:
        """Bids and asks, best first."""
        bids, asks = (self._side(slot, side) for side in (Side.BID, Side.ASK))
        return bids, asks

    def _side(self, slot: int, side: Side) -> Levels:
        prices, sizes = self.store.levels(slot, side)
        return list(zip(prices.tolist(), sizes.tolist(), strict=True))


def _runs(batch: FrameBatch, start: int, stop: int) -> Iterable[tuple[int, int]]:
    """Slices of frames that share venue and connection."""
    if start >= stop:
        return ()
    keys = batch.conns[start:stop] * 8 + batch.venues[start:stop]
    cuts = np.flatnonzero(np.diff(keys)) + 1 + start
    edges = [start, *cuts.tolist(), stop]
    return pairwise(edges)
