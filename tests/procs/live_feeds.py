"""A live feed of either venue against a scripted one, with waits short enough for a test."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from engine.catalog.defaults import market_with_defaults
from engine.config import Config
from engine.records import Side, Trust, Venue
from procs.config_files import load_config, load_fee_table
from procs.live_feed import LiveFeed
from tests.procs.scripted_venue import ScriptedKalshi, ScriptedPolymarket, ScriptedVenue, until

SEED = 20_261_128
MS = 1_000_000
TICKERS = ("KXA-1", "KXB-2", "KXC-3")
TOKENS = ("101", "202", "303")
NOWHERE = Path("/nonexistent")  # no credentials: on loopback nothing is signed without a key

Books = dict[str, dict[str, dict[str, float]]]

# What would take seconds to minutes takes a fraction of one.
SHORT = {
    "reconnect_base_ns": 20 * MS,
    "reconnect_max_ns": 100 * MS,
    "hold_ns": 0,
    "subscribe_max_ns": 1_000 * MS,
    "resync_retry_ns": 300 * MS,
    "resyncs_per_second": 50,
    "attempts_per_minute": 600,
}


def kalshi_books() -> Books:
    return {
        ticker: {"yes": {"0.4000": 10.0, "0.3900": 20.0}, "no": {"0.5500": 30.0 + number}}
        for number, ticker in enumerate(TICKERS)
    }


def polymarket_books() -> Books:
    return {
        token: {"BUY": {"0.40": 10.0, "0.39": 20.0}, "SELL": {"0.45": 30.0 + number}}
        for number, token in enumerate(TOKENS)
    }


def scripted(venue: Venue) -> ScriptedVenue:
    """A venue with three markets."""
    if venue is Venue.KALSHI:
        return ScriptedKalshi(kalshi_books())
    return ScriptedPolymarket(polymarket_books())


def config_for(
    venue: Venue, url: str, silence_ms: int = 60_000, market_silence_ms: int = 60_000, **changes: int
) -> Config:
    """Shipped settings with short waits, towards ``url``."""
    name = venue.name.lower()
    settings = {**SHORT, **changes}
    assignments = [f"venues.{name}.feed.{key}={value}" for key, value in settings.items()]
    config = load_config(assignments=[*assignments, f"venues.{name}.feed.ws_url={url}"])
    book = replace(  # below the bounds of both
        config.book, silence_max_ns=silence_ms * MS, market_silence_max_ns=market_silence_ms * MS
    )
    return replace(config, book=book)


def make_feed(venue: Venue, config: Config, symbols: tuple[str, ...], folder: Path) -> LiveFeed:
    """A feed of the scripted markets, with seeded delays."""
    fees = load_fee_table(config)
    now_ns = time.time_ns()
    specs = [market_with_defaults(fees, venue, symbol, now_ns) for symbol in symbols]
    feed = LiveFeed(venue, config, specs, fees, folder, boot_epoch=1, now_ns=time.time_ns)
    draw = random.Random(SEED)
    feed.shell.random_ppm = lambda: draw.randint(0, 1_000_000)
    return feed


@asynccontextmanager
async def live_unchecked(
    venue: Venue, scripted_venue: ScriptedVenue, **changes: int
) -> AsyncIterator[LiveFeed]:
    """A running feed of everything the scripted venue has, every book LIVE."""
    config = config_for(venue, scripted_venue.url, **changes)
    feed = make_feed(venue, config, tuple(scripted_venue.books), NOWHERE)
    feed.shell.start()
    try:
        await until(lambda: feed.live_books() == len(scripted_venue.books), "every book LIVE at the start")
        yield feed
    finally:
        await feed.shell.stop()


@asynccontextmanager
async def live(venue: Venue, scripted_venue: ScriptedVenue, **changes: int) -> AsyncIterator[LiveFeed]:
    """The same, and nothing of ours failed."""
    async with live_unchecked(venue, scripted_venue, **changes) as feed:
        yield feed
        assert_no_failure(feed)


def assert_no_failure(feed: LiveFeed) -> None:
    failed = feed.shell._failed
    assert failed is not None
    if failed.done() and not failed.cancelled():
        failed.result()


def levels(feed: LiveFeed, slot: int) -> dict[str, dict[int, int]]:
    """Our book of a slot: {bid or ask: {price_e4: size_e6}}."""
    found = {}
    for name, side in (("bid", Side.BID), ("ask", Side.ASK)):
        prices, sizes = feed.store.levels(slot, side)
        found[name] = dict(zip(prices.tolist(), sizes.tolist(), strict=True))
    return found


def expected(scripted_venue: ScriptedVenue, symbol: str) -> dict[str, dict[int, int]]:
    """The same of the venue's book, in YES terms."""
    book = scripted_venue.books[symbol]
    bids, asks = (book["yes"], book["no"]) if "yes" in book else (book["BUY"], book["SELL"])

    def units(side: dict[str, float], turned: bool) -> dict[int, int]:
        prices = {round(float(price) * 10_000): round(size * 1_000_000) for price, size in side.items()}
        return {10_000 - price if turned else price: size for price, size in prices.items()}

    return {"bid": units(bids, False), "ask": units(asks, "no" in book)}


def books_equal(feed: LiveFeed, scripted_venue: ScriptedVenue) -> bool:
    """Whether every book is LIVE and equal to the venue's."""
    return all(
        feed.store.rows[slot]["trust"] == Trust.LIVE
        and levels(feed, slot) == expected(scripted_venue, symbol)
        for slot, symbol in enumerate(scripted_venue.books)
    )


async def equal(feed: LiveFeed, scripted_venue: ScriptedVenue) -> None:
    """Wait until it is so."""
    await until(lambda: books_equal(feed, scripted_venue), "books LIVE and equal to the venue's")
