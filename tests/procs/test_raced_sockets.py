"""A live feed with two sockets for the same markets, on the simulated venues over loopback.

Every change of the recording leaves a mark in its book, so that each book that is shown is looked up among
those of plain dictionaries over the same texts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import orjson
import pytest

from engine.catalog.market import MarketSpec
from engine.records import Side, Trust, Venue
from engine.venues.counts import Count
from procs.config_files import load_fee_table
from procs.importers import open_source
from procs.live_feed import LiveFeed
from procs.recording_frames import Frame
from procs.venue_sim.faults import Close, Duplicate, Fault, Gap, HalfOpen, Kind, Reorder, Truncated
from procs.venue_sim.simulation import SimOptions, VenueSim
from tests.data import recordings as made
from tests.faults.markets import BURST, Recorded, key, record, spec
from tests.procs.live_feeds import MS, NOWHERE, config_for
from tests.procs.scripted_venue import run, until
from tests.procs.venue_sim.client import tape_of

pytestmark = pytest.mark.compiled_only

VENUES = (Venue.POLYMARKET, Venue.KALSHI)
STEPS = 50
SEEN_EVERY = 3  # frames between two looks of the event loop at the sockets


class Eye:
    """Looks at every book after every read."""

    def __init__(self, recorded: Recorded, venue: Venue) -> None:
        self.symbols = [symbol for of, symbol in recorded.books if of is venue]
        self._books = [recorded.books[venue, symbol] for symbol in self.symbols]
        self.newest = [0] * len(self.symbols)
        self.doubts = 0
        self.wrong: list[str] = []  # books that never were, or were earlier than what was shown
        self.feed: LiveFeed | None = None

    def look(self, now_ns: int) -> None:
        del now_ns
        assert self.feed is not None
        for slot, book in enumerate(self._books):
            if self.feed.store.rows[slot]["trust"] != Trust.LIVE:
                self.doubts += 1
                continue
            number = book.numbers.get(key(*self._ranked(slot)))
            if number is None or number < self.newest[slot]:
                self.wrong.append(f"{self.symbols[slot]}: change {number} after {self.newest[slot]}")
            else:
                self.newest[slot] = number

    def _ranked(self, slot: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        assert self.feed is not None
        bids, asks = (
            [(int(price), int(size)) for price, size in zip(*self.feed.store.levels(slot, side), strict=True)]
            for side in (Side.BID, Side.ASK)
        )
        return bids, asks

    def is_up_to_date(self) -> bool:
        return self.newest == [book.changes - 1 for book in self._books]


class Raced:
    """A feed with two sockets on a simulated venue that has sent its opening books."""

    def __init__(self, venue: Venue, recorded: Recorded, frames: list[Frame]) -> None:
        self.venue = venue
        self.eye = Eye(recorded, venue)
        self._left = [frame for frame in frames if frame.venue is venue]
        self.sim = VenueSim(tape_of([], made.header("both", markets=tuple(self._specs()))), SimOptions())

    def _specs(self) -> list[MarketSpec]:
        return [spec(self.venue, symbol) for symbol in self.eye.symbols]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[LiveFeed]:
        await self.sim.open()
        opening = 2 * len(self.eye.symbols) if self.venue is Venue.POLYMARKET else len(self.eye.symbols)
        await self.play(opening + BURST * len(self.eye.symbols))
        config = config_for(self.venue, self.sim.endpoints[self.venue.name.lower()], raced_sockets=2)
        feed = LiveFeed(
            self.venue,
            config,
            self._specs(),
            load_fee_table(config),
            NOWHERE,
            boot_epoch=1,
            now_ns=time.time_ns,
            also=self.eye.look,
        )
        self.eye.feed = feed
        feed.shell.start()
        try:
            await until(lambda: feed.shell.counters.live == 2, "both sockets")
            await until(lambda: feed.live_books() == len(self.eye.symbols), "every book LIVE")
            self.eye.doubts = 0
            yield feed
        finally:
            await feed.shell.stop()
            self.sim.close()
        failed = feed.shell._failed
        assert failed is not None
        assert failed.cancelled(), failed

    async def play(self, count: int) -> None:
        """The next ``count`` frames."""
        for number in range(min(count, len(self._left))):
            self.sim.deliver(self._left.pop(0))
            if number % SEEN_EVERY == 0:
                await asyncio.sleep(0)

    async def play_until(self, condition: Callable[[], bool], what: str) -> None:
        """Frames until something has happened, one at a time."""
        while not condition():
            assert self._left, f"the recording has ended, and no {what}"
            await self.play(1)
            await asyncio.sleep(0.001)

    async def play_out(self) -> None:
        """All that is left, and until it shows."""
        await self.play(len(self._left))
        await until(self.eye.is_up_to_date, "the last books")

    def do(self, kind: Kind, connection: int) -> None:
        fault = Fault(venue=self.venue, kind=kind, connection=connection)
        assert self.sim.do(fault) == 1


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recorded, list[Frame]]:
    path: Path = tmp_path_factory.mktemp("raced") / "markets.ndjson.zst"
    found = record(path, STEPS * BURST)
    return found, list(_timed(path))


def _timed(path: Path) -> list[Frame]:
    """The frames, with the venue's time in Kalshi's changes, as it sends it."""
    frames = []
    for batch in open_source(path).batches():
        for frame in batch.frames():
            tree = orjson.loads(frame.raw)
            if isinstance(tree, dict) and tree.get("type") == "orderbook_delta":
                tree["msg"]["ts_ms"] = frame.recv_ns // MS
                frame = frame._replace(raw=orjson.dumps(tree))
            frames.append(frame)
    return frames


Given = tuple[Recorded, list[Frame]]


@pytest.mark.parametrize("venue", VENUES)
def test_every_message_counts_once(venue: Venue, recorded: Given) -> None:
    async def main() -> None:
        raced = Raced(venue, *recorded)
        async with raced.running() as feed:
            await raced.play_out()
            race = feed.feed.race
            assert race is not None
            await until(lambda: feed.shell.counters.frames == feed.feed.frames)
            assert (raced.eye.doubts, raced.eye.wrong) == (0, [])
            assert race.counts.mismatch == 0
            await until(lambda: race.counts.first == race.counts.dropped, "each said twice")

    run(main())


def is_back(feed: LiveFeed, times: int) -> bool:
    """Whether both sockets are live, after so many new connections."""
    return (feed.shell.counters.reconnects, feed.shell.counters.live) == (times, 2)


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize(
    "kind",
    [
        Close(code=1006),
        *(pytest.param(kind, marks=pytest.mark.soak) for kind in (Close(code=1012), Truncated())),
    ],
)
def test_either_connection_may_die_in_mid_stream_and_come_back(
    venue: Venue, kind: Kind, recorded: Given
) -> None:
    async def main() -> None:
        raced = Raced(venue, *recorded)
        async with raced.running() as feed:
            for number, connection in enumerate((1, 2, 3), 1):
                await raced.play(40)
                raced.do(kind, connection)
                await raced.play_until(partial(is_back, feed, number), "new connection")
            await raced.play_out()
            race = feed.feed.race
            assert race is not None
            assert (raced.eye.doubts, raced.eye.wrong) == (0, [])
            assert race.counts.mismatch == 0
            assert race.counts.spared >= 3 * len(raced.eye.symbols)
            assert feed.feed.codec.counts[Count.DISCONNECTS] == 3
            assert feed.shell.counters.resyncs == 0

    run(main())


@pytest.mark.parametrize("kind", [Gap(frames=2), Reorder(times=1), Duplicate(frames=3)])
def test_kalshis_numbers_show_a_loss_of_one_connection_and_it_costs_nothing(
    kind: Kind, recorded: Given
) -> None:
    async def main() -> None:
        raced = Raced(Venue.KALSHI, *recorded)
        async with raced.running() as feed:
            for connection in (1, 2, 1):
                await raced.play(30)
                raced.do(kind, connection)
            await raced.play_out()
            assert (raced.eye.doubts, raced.eye.wrong) == (0, [])
            assert feed.feed.race is not None
            assert feed.feed.race.counts.mismatch == 0
            assert feed.shell.counters.connects == 2

    run(main())


def test_polymarkets_loss_on_one_connection_shows_in_the_other(recorded: Given) -> None:
    async def main() -> None:
        raced = Raced(Venue.POLYMARKET, *recorded)
        async with raced.running() as feed:
            for connection in (1, 2):
                await raced.play(30)
                raced.do(Gap(frames=1), connection)
            race = feed.feed.race
            assert race is not None
            await raced.play_until(lambda: race.counts.mismatch >= 2, "mismatch for each")
            await raced.play_out()
            assert raced.eye.doubts
            assert feed.shell.counters.connects == 2
            assert feed.shell.counters.resyncs

    run(main())


@pytest.mark.soak
@pytest.mark.parametrize("connection", [1, 2])
def test_a_half_open_connection_holds_nothing_up(connection: int, recorded: Given) -> None:
    async def main() -> None:
        raced = Raced(Venue.KALSHI, *recorded)
        async with raced.running() as feed:
            await raced.play(30)
            raced.do(HalfOpen(), connection)
            await raced.play_out()
            assert (raced.eye.doubts, raced.eye.wrong) == (0, [])
            assert feed.shell.counters.live == 2

    run(main())
