"""Messages that came with one read: what a link learns from those it holds, and from those behind them."""

from __future__ import annotations

import json

import pytest

from engine.records import Venue
from engine.venues.kalshi.session import KalshiSession
from procs.feed_link import FeedLink
from procs.fused_feed import FusedFeed, OnFrame
from procs.live_feed import LiveFeed
from tests.data import recordings as made
from tests.procs.live_feeds import equal, live, scripted
from tests.procs.scripted_venue import ScriptedKalshi, ScriptedVenue, frame_header, run, until

GARBAGE = b'{"type":"orderbook_delta","sid":999,"se'


def together(server: ScriptedVenue, *texts: bytes, after: bytes = b"") -> None:
    """Send texts with one write."""
    server.peer.raw(b"".join(frame_header(len(text)) + text for text in texts) + after)


def books_sid(feed: LiveFeed) -> int:
    """Of the subscription that the books come through; 0 between one and the next."""
    session = feed.shell.links[0].session
    assert isinstance(session, KalshiSession)
    return next((sid for wish, sid in session._sids.items() if wish.channel == "orderbook_delta"), 0)


@pytest.mark.parametrize("garbage", [(), (GARBAGE,), (GARBAGE, GARBAGE)])
def test_what_the_venue_says_behind_garbage_is_followed(garbage: tuple[bytes, ...]) -> None:
    async def main() -> None:
        async with scripted(Venue.KALSHI) as server, live(Venue.KALSHI, server) as feed:
            assert isinstance(server, ScriptedKalshi)
            asked, sid = len(server.peer.received), books_sid(feed)
            ended = {"type": "error", "sid": sid, "msg": {"code": 25, "msg": "ended"}}
            together(server, *garbage, json.dumps(ended).encode())
            await until(lambda: any(said["cmd"] == "subscribe" for said in server.peer.received[asked:]))
            await until(lambda: books_sid(feed) not in (0, sid))
            await equal(feed, server)
            assert feed.shell.counters.garbage == len(garbage)

    run(main())


def test_garbage_that_is_held_is_no_sign_of_life() -> None:
    async def main() -> None:
        patient = {"silence_ms": 400, "garbage_max": 100_000}
        async with scripted(Venue.KALSHI) as server, live(Venue.KALSHI, server, **patient) as feed:

            def is_silent() -> bool:
                if server.peers:
                    together(server, GARBAGE, GARBAGE)
                return feed.shell.counters.silences > 0

            await until(is_silent)

    run(main())


def test_garbage_of_a_connection_that_ends_is_not_the_next_ones() -> None:
    """It is held when a piece that nothing may follow ends the connection."""

    async def main() -> None:
        async with scripted(Venue.KALSHI) as server, live(Venue.KALSHI, server, garbage_max=10) as feed:
            counters = feed.shell.counters
            piece = frame_header(10, fin=False) + b"0123456789"
            together(server, *[GARBAGE] * 12, after=piece + frame_header(3) + b"abc")
            await until(lambda: counters.connects == 2)
            await equal(feed, server)
            assert (counters.connects, counters.garbage) == (2, 12)
            assert feed.shell.links[0].last_error == "protocol error"

    run(main())


def test_messages_of_a_read_have_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    stamps: list[int] = []
    hold, taking = FusedFeed.hold, FusedFeed._taking

    def held(fused: FusedFeed, payload: bytes, recv_ns: int, conn: int) -> None:
        stamps.append(recv_ns)
        hold(fused, payload, recv_ns, conn)

    def noting(fused: FusedFeed) -> OnFrame:
        on_frame = taking(fused)

        def taken(payload: bytes, recv_ns: int, conn: int) -> None:
            stamps.append(recv_ns)
            on_frame(payload, recv_ns, conn)

        return taken

    async def main() -> None:
        monkeypatch.setattr(FusedFeed, "_taking", noting)
        async with scripted(Venue.KALSHI) as server, live(Venue.KALSHI, server) as feed:
            monkeypatch.setattr(FusedFeed, "hold", held)
            stamps.clear()
            ticker, frames = next(iter(server.books)), feed.shell.counters.frames
            quote = made.kalshi(made.ticker("0.40", "0.45", ticker)).raw
            for number in range(1, 3):
                together(server, *[quote] * 6)
                await until(lambda: feed.shell.counters.frames == frames + 6 * number)  # noqa: B023 - at once
            assert len(stamps) == 12
            assert len(set(stamps[:6])) == len(set(stamps[6:])) == 1
            assert stamps[0] < stamps[6]

    run(main())


def test_nothing_is_held_before_reads_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the answer to the handshake messages may come, and nobody says when that read is over."""
    lasts: list[bool] = []
    on_message = FeedLink.on_message

    def note(link: FeedLink, payload: bytes, *, is_last: bool) -> None:
        lasts.append(is_last)
        on_message(link, payload, is_last=is_last)

    monkeypatch.setattr(FeedLink, "on_message", note)

    async def main() -> None:
        async with scripted(Venue.POLYMARKET) as server, live(Venue.POLYMARKET, server) as feed:
            connection = feed.shell.links[0]._connection
            assert connection is not None
            assert connection.is_metered
            lasts.clear()
            connection.is_metered = False
            inner = connection.on_bytes
            monkeypatch.setattr(
                "procs.feed_connection._Meter.buffer_updated",
                lambda meter, n_bytes: (
                    meter._inner.buffer_updated(n_bytes),
                    inner(n_bytes, connection.mark()),
                ),
            )
            together(server, *[b"[]"] * 5)
            await until(lambda: len(lasts) == 5)
            assert lasts == [True] * 5

    run(main())
