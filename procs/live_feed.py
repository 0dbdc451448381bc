"""One venue live, feed and book stage fused: sockets, codec, books, and requests for those in doubt.

Feed and books are one compiled call for each frame (``procs.fused_feed``): what it says is in the books when
the callback of its socket returns. What does not come in frames (notes, the clock, requests) follows a read.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from engine.book.store import BookStore
from engine.catalog.catalog import Catalog
from engine.catalog.defaults import FeeTable
from engine.catalog.market import MarketSpec
from engine.config import Config
from engine.records import BOOK_ROW, SMALL_BYTES, WIDE_BYTES, Trust, Venue
from engine.units import PPM
from engine.venues.codec import MarketDataCodec
from engine.venues.counts import Count
from engine.venues.kalshi.codec import KalshiCodec
from engine.venues.kalshi.session import USE_YES_PRICE, KalshiSession
from engine.venues.polymarket.codec import PolymarketCodec
from engine.venues.polymarket.session import PolymarketSession
from engine.venues.session import Session
from engine.venues.shards import SocketPlan, plan_sockets, raced
from engine.venues.symbols import SymbolTable
from procs.book import BookAgent
from procs.book_notes import NOTE_CELLS, NoteWriter
from procs.credentials import kalshi_credentials
from procs.doubt_watch import DoubtWatch
from procs.feed import Counts, FeedAgent, race_of
from procs.feed_link import FeedSink, Holder
from procs.feed_shell import FeedShell, Headers, no_headers
from procs.fused_feed import FusedFeed
from procs.ladder import EngineTime
from procs.registry import Registry, market_symbols
from procs.wires import TOP_CELLS, UPDATE_CELLS
from shm.ring import OverwritingRing
from shm.table import Table

PAGES_PER_MARKET: Final = 4
SYMBOLS_PER_MARKET: Final = 2
_NS_PER_MS: Final = 1_000_000

NEW_SESSION: Final[Mapping[Venue, Callable[[SocketPlan], Session]]] = {
    Venue.POLYMARKET: PolymarketSession,
    Venue.KALSHI: KalshiSession,
}


class LiveFeed:
    """The markets ``specs`` of one venue.

    ``wrap`` may put something in front of feed and books; ``also`` is called with the time after every read
    and at every tick.
    ``boot_epoch`` is never used by an earlier start. ConfigError when the markets or the credentials cannot
    be used.
    """

    def __init__(
        self,
        venue: Venue,
        config: Config,
        specs: Sequence[MarketSpec],
        fees: FeeTable,
        credentials: Path,
        *,
        boot_epoch: int,
        now_ns: Callable[[], int],
        wrap: Callable[[FeedSink], FeedSink] = lambda sink: sink,
        also: Callable[[int], None] | None = None,
    ) -> None:
        self.venue = venue
        self._also = also
        self._live_books = 0
        self.symbols = SymbolTable(SYMBOLS_PER_MARKET * len(specs))
        self.store = BookStore(
            len(specs), boot_epoch, PAGES_PER_MARKET * len(specs), config.book.crossed_max_ns
        )
        self.codec: MarketDataCodec = _codec(venue, self.symbols)
        updates = OverwritingRing.create(UPDATE_CELLS, SMALL_BYTES)
        notes = OverwritingRing.create(NOTE_CELLS, SMALL_BYTES)
        self.feed = FeedAgent(venue, self.codec, updates, race_of(config.venues.of(venue).feed))
        tops = OverwritingRing.create(TOP_CELLS, WIDE_BYTES)
        table = Table.create(len(specs), BOOK_ROW)
        self.book = BookAgent(venue, self.store, None, notes, tops, table)
        fused = FusedFeed(
            self.feed, self.codec, self.book, self.store, updates, tops, table, EngineTime(now_ns)
        )
        sink = wrap(fused)
        self.shell = shell_for(
            venue,
            config,
            specs,
            sink,
            credentials,
            now_ns=now_ns,
            unreadable=rejected_of(self.codec.counts),
            after_read=lambda: self._follow(now_ns()),
            holder=fused.holder if sink is fused else None,
        )
        self.watch = DoubtWatch(
            self.store.rows, NoteWriter(notes), self.shell, config.book.market_silence_max_ns
        )
        self._register(config, specs, fees, now_ns())

    def live_books(self) -> int:
        """Books that may be traded on, as of the last read or tick: our own leaving puts all in doubt."""
        return self._live_books

    def _register(self, config: Config, specs: Sequence[MarketSpec], fees: FeeTable, at_ns: int) -> None:
        direct = {self.venue: config.venues.of(self.venue).direct_member}
        registry = Registry(
            Catalog(len(specs)), {self.venue: self.symbols}, {self.venue: [self.store]}, fees, at_ns, direct
        )
        for spec in specs:
            self.watch.add(registry.add(spec), spec)

    def _follow(self, now_ns: int) -> None:
        """Take notes in, act by the clock, and ask for what is in doubt."""
        while self.book.do_work(now_ns):
            pass
        if self.watch.look(now_ns):
            self.book.do_work(now_ns)
        self._live_books = int(np.count_nonzero(self.store.rows["trust"] == Trust.LIVE))
        if self._also is not None:
            self._also(now_ns)


def never_behind() -> bool:
    """Of a live feed: what is not read grows old."""
    return False


def rejected_of(counts: Counts) -> Callable[[], int]:
    """How many messages a codec has rejected so far: asked for every message, so without a numpy integer."""
    return partial(counts.data.__getitem__, int(Count.REJECTED))


def shell_for(
    venue: Venue,
    config: Config,
    specs: Sequence[MarketSpec],
    sink: FeedSink,
    credentials: Path,
    *,
    now_ns: Callable[[], int],
    unreadable: Callable[[], int],
    after_read: Callable[[], None],
    is_behind: Callable[[], bool] = never_behind,
    follows_ticks: bool = True,
    holder: Holder | None = None,
) -> FeedShell:
    """Sockets for the markets ``specs`` of a venue, as configured, around any sink; ``holder`` is the same.

    ConfigError when the markets do not fit, or the credentials cannot be used.
    """
    settings = config.venues.of(venue).feed
    plans = plan_sockets(
        [[symbol.decode() for symbol, _, _ in market_symbols(spec)] for spec in specs],
        symbols_per_subscription=settings.symbols_per_subscription,
        subscriptions_per_socket=settings.subscriptions_per_socket,
        sockets_max=settings.sockets_max,
    )
    if settings.raced_sockets > 1:
        plans = raced(plans)
    return FeedShell(
        settings,
        config.book.silence_max_ns,
        plans,
        sink,
        NEW_SESSION[venue],
        now_ns=now_ns,
        random_ppm=lambda: random.randint(0, PPM),  # noqa: S311 - spreads attempts, keeps no secret
        headers=_headers(venue, config, credentials, now_ns),
        unreadable=unreadable,
        is_behind=is_behind,
        after_read=after_read,
        follows_ticks=follows_ticks,
        holder=holder,
    )


def _codec(venue: Venue, symbols: SymbolTable) -> MarketDataCodec:
    if venue is Venue.POLYMARKET:
        return PolymarketCodec(symbols)
    return KalshiCodec(symbols, use_yes_price=USE_YES_PRICE)


def _headers(venue: Venue, config: Config, credentials: Path, now_ns: Callable[[], int]) -> Headers:
    """How a handshake is signed; on loopback and other unencrypted ways only where a key is at hand."""
    if venue is not Venue.KALSHI:
        return no_headers
    feed = config.venues.kalshi.feed
    if feed.ws_url.startswith("ws://") and not (credentials / feed.private_key_file).exists():
        return no_headers
    key = kalshi_credentials(credentials, feed)
    return no_headers if key is None else lambda: key.handshake(now_ns() // _NS_PER_MS)
