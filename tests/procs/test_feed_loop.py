"""The loop around feeds: how it ends, and that a busy one polls."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from engine.records import Venue
from procs.feed_loop import STOP_SIGNALS, serve
from procs.live_feed import LiveFeed
from tests.procs.live_feeds import NOWHERE, books_equal, config_for, make_feed, scripted
from tests.procs.scripted_venue import ScriptedVenue, run, until

VENUE = Venue.KALSHI


def feed_of(server: ScriptedVenue) -> LiveFeed:
    return make_feed(VENUE, config_for(VENUE, server.url), tuple(server.books), NOWHERE)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_ends_it_in_order(number: signal.Signals) -> None:
    async def main() -> None:
        async with scripted(VENUE) as server:
            feed = feed_of(server)
            served = asyncio.create_task(serve([feed.shell], asyncio.Event()))
            await until(lambda: books_equal(feed, server))
            os.kill(os.getpid(), number)
            await served
            await until(lambda: server.peer.close_code == 1000)

    run(main())


def test_it_ends_when_its_time_is_over_even_in_the_middle_of_an_attempt() -> None:
    async def main() -> None:
        async with scripted(VENUE) as server:
            feed = feed_of(server)
            await serve([feed.shell], asyncio.Event(), for_s=0.001)
            assert feed.shell.counters.live == 0
            await until(lambda: not server.open_peers())

    run(main())


def test_a_busy_loop_polls_at_every_turn_and_serves_the_sockets_too() -> None:
    async def main() -> None:
        async with scripted(VENUE) as server:
            feed, over, polls = feed_of(server), asyncio.Event(), 0

            def poll() -> int:
                nonlocal polls
                polls += 1
                return 0

            served = asyncio.create_task(serve([feed.shell], over, spin=poll))
            await until(lambda: books_equal(feed, server))
            server.change("KXA-1", "yes", "0.4100", 6.0)
            await until(lambda: books_equal(feed, server))
            before = polls
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert polls - before >= 1
            over.set()
            await served

    run(main())


def test_what_fails_in_a_poll_ends_it() -> None:
    def poll() -> int:
        raise ValueError("a defect")

    async def main() -> None:
        async with scripted(VENUE) as server:
            with pytest.raises(ValueError, match="a defect"):
                await serve([feed_of(server).shell], asyncio.Event(), spin=poll)

    run(main())


def test_what_fails_in_a_sink_ends_it() -> None:
    class FullDisk:
        def on_frame(self, payload: bytes, recv_ns: int, conn: int) -> None:
            raise OSError(28, "No space left on device")

        def on_disconnect(self, recv_ns: int, conn: int) -> None:
            pass

    async def main() -> None:
        async with scripted(VENUE) as server:
            feed = feed_of(server)
            feed.shell.sink = FullDisk()
            with pytest.raises(OSError, match="No space left"):
                await serve([feed.shell], asyncio.Event())
            await until(lambda: not server.open_peers())

    run(main())
