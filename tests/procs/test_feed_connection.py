"""What comes over a connection against its bounds: broken, endless, in pieces, a byte at a time."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from engine.records import Venue
from engine.venues.counts import Count
from procs.feed_connection import READ_BYTES_MAX, Connection
from procs.fused_feed import FusedFeed
from procs.live_feed import LiveFeed
from tests.procs.live_feeds import MS, equal, live, scripted
from tests.procs.scripted_venue import ScriptedPolymarket, frame_header, run, until

VENUES = (Venue.POLYMARKET, Venue.KALSHI)


@pytest.mark.parametrize("venue", VENUES)
def test_a_truncated_frame_is_not_applied(venue: Venue) -> None:
    async def main() -> None:
        async with scripted(venue) as server, live(venue, server) as feed:
            frames = feed.feed.frames
            server.peer.raw(frame_header(100) + b'{"type":')
            assert server.peer.transport is not None
            server.peer.transport.disconnect()
            await until(lambda: feed.shell.counters.reconnects == 1)
            await equal(feed, server)
            assert feed.feed.codec.counts[Count.REJECTED] == 0
            assert feed.feed.frames > frames

    run(main())


@pytest.mark.parametrize("venue", VENUES)
def test_an_oversized_frame_is_refused_by_its_header(venue: Venue) -> None:
    async def main() -> None:
        async with scripted(venue) as server, live(venue, server) as feed:
            before = feed.shell.counters.bytes
            server.peer.raw(frame_header(100 << 20) + bytes(8 << 20))
            await until(lambda: feed.shell.counters.oversized == 1)
            assert feed.shell.counters.bytes - before < 1 << 20
            await equal(feed, server)
            assert feed.shell.counters.reconnects == 1

    run(main())


def test_the_memory_of_the_process_does_not_grow_with_what_is_refused() -> None:
    async def main() -> None:
        venue = Venue.KALSHI
        async with scripted(venue) as server, live(venue, server) as feed:
            before_kb = rss_kb()
            for _ in range(3):
                refused = feed.shell.counters.oversized
                server.peer.raw(frame_header(1 << 40) + bytes(4 << 20))
                await until(partial(is_past, feed, refused))
                await equal(feed, server)
            assert rss_kb() - before_kb < 64 * 1024  # of 3 TiB announced; the server is in here too

    run(main())


@pytest.mark.parametrize("garbled", [(), (0,), (4, 5), (9,)])
def test_messages_that_came_together_are_taken_together(
    monkeypatch: pytest.MonkeyPatch, garbled: tuple[int, ...]
) -> None:
    """All but the last of a read: that one is taken as ever, with those before it in front."""
    batches: list[int] = []
    take = FusedFeed._take

    def note(fused: FusedFeed, held: Sequence[bytes], texts: bytes) -> None:
        batches.append(len(held))
        take(fused, held, texts)

    monkeypatch.setattr(FusedFeed, "_take", note)

    async def main() -> None:
        venue = Venue.POLYMARKET
        async with scripted(venue) as server, live(venue, server) as feed:
            assert isinstance(server, ScriptedPolymarket)
            one, other, *_ = server.books
            texts = [json.dumps(server.book(token)).encode() for token in (one, other) * 5]
            for number in garbled:
                texts[number] = texts[number][:-9]
            frames, garbage = feed.feed.frames, feed.shell.counters.garbage
            batches.clear()
            server.peer.raw(b"".join(frame_header(len(text)) + text for text in texts))
            await until(lambda: feed.feed.frames == frames + len(texts))
            assert batches == [len(texts) - 1]
            assert feed.shell.counters.garbage - garbage == len(garbled)
            assert int(feed.codec.counts[Count.REJECTED]) == len(garbled)
            assert feed.shell.counters.frames == feed.feed.frames
            if not garbled:
                await equal(feed, server)

    run(main())


def test_a_read_is_bounded_however_much_has_come_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    on_bytes = Connection.on_bytes

    def note(connection: Connection, n_bytes: int, before: tuple[int, int]) -> None:
        reads.append(n_bytes)
        on_bytes(connection, n_bytes, before)

    async def main() -> None:
        venue = Venue.POLYMARKET
        async with scripted(venue) as server, live(venue, server, message_bytes_max=1 << 20) as feed:
            assert isinstance(server, ScriptedPolymarket)
            text = json.dumps(server.book("101")).encode()
            one = frame_header(len(text)) + text
            copies = (4 << 20) // len(
                one
            )  # more than the kernel's first window holds: reads are as large as they get
            frames = feed.feed.frames
            server.peer.raw(one * copies)
            await until(lambda: feed.feed.frames == frames + copies)
            await equal(feed, server)

    monkeypatch.setattr(Connection, "on_bytes", note)
    run(main())
    assert sum(reads) > 4 << 20
    assert max(reads) <= READ_BYTES_MAX, max(reads)


def is_past(feed: LiveFeed, refused: int) -> bool:
    return feed.shell.counters.oversized > refused


def rss_kb() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def test_a_message_in_many_pieces_is_bounded_as_a_whole_and_otherwise_read() -> None:
    async def main() -> None:
        venue = Venue.POLYMARKET
        async with scripted(venue) as server, live(venue, server, message_bytes_max=4_096) as feed:
            assert isinstance(server, ScriptedPolymarket)
            frames = feed.feed.frames
            text = json.dumps(server.book("101")).encode()
            thirds = [text[:50], text[50:90], text[90:]]
            for number, part in enumerate(thirds):
                raw = frame_header(len(part), opcode=0 if number else 1, fin=number == 2) + part
                server.peer.raw(raw)
                server.peer.raw(frame_header(0, opcode=9))  # a ping may come between
            await until(lambda: feed.feed.frames == frames + 1)
            assert feed.feed.codec.counts[Count.REJECTED] == 0
            for number in range(5):
                server.peer.raw(frame_header(1_000, opcode=0 if number else 1, fin=False) + bytes(1_000))
            await until(lambda: feed.shell.counters.oversized == 1)
            await equal(feed, server)

    run(main())


@pytest.mark.parametrize("data", [frame_header(1, opcode=0) + b"x", frame_header(1, opcode=3) + b"x"])
def test_a_breach_of_the_protocol_ends_the_connection(data: bytes) -> None:
    async def main() -> None:
        venue = Venue.KALSHI
        async with scripted(venue) as server, live(venue, server) as feed:
            server.peer.raw(data)
            await until(lambda: feed.shell.counters.garbled == 1)
            await until(lambda: feed.shell.counters.reconnects == 1)
            await equal(feed, server)

    run(main())


@pytest.mark.parametrize("venue", VENUES)
def test_a_frame_that_drips_in_is_not_waited_for(venue: Venue) -> None:
    async def main() -> None:
        async with scripted(venue) as server, live(venue, server, message_max_ns=200 * MS) as feed:
            dripping = server.peer
            dripping.raw(frame_header(60_000))
            while feed.shell.counters.slow == 0:
                assert dripping.is_open
                dripping.raw(b" ")
                await asyncio.sleep(0.01)
            await equal(feed, server)
            assert feed.shell.counters.reconnects == 1

    run(main())


def test_the_socket_sends_at_once_and_does_not_wait_for_ever_for_an_acknowledgement() -> None:
    async def main() -> None:
        venue = Venue.KALSHI
        async with scripted(venue) as server, live(venue, server, user_timeout_ns=7_000 * MS) as feed:
            connection = feed.shell.links[0]._connection
            assert connection is not None
            assert connection._transport is not None
            plug = connection._transport.underlying_transport.get_extra_info("socket")
            assert plug.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert plug.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 7_000

    run(main())
