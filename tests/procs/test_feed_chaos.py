"""Everything at once: markets move while connections end, frames get lost, garbage comes. Seeds printed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from engine.records import Venue
from tests.procs.live_feeds import MS, equal, live, scripted
from tests.procs.scripted_venue import ScriptedVenue, frame_header, run, until

STEPS = 120
PRICES = ("0.10", "0.11", "0.12", "0.13")


def faults(server: ScriptedVenue, draw: random.Random) -> list[Callable[[], None]]:
    """What may happen to the connection that came last."""
    peer = server.peer
    return [
        lambda: peer.close(draw.choice((1000, 1001, 1008, 1011, 1012, 1013))),
        peer.reset,
        lambda: peer.text(b"garbage"),
        lambda: peer.text(b'{"type":"orderbook_delta","event_type":"book"}'),
        lambda: peer.text(b'{"type":"error","msg":{"code":[]},"event_type":"x"}'),
        lambda: peer.raw(frame_header(100 << 20) + bytes(1000)),
        lambda: peer.raw(frame_header(1000) + b"{"),  # what follows is taken for the rest of it
        lambda: peer.raw(frame_header(0, opcode=9)),
        lambda: peer.raw(frame_header(3, opcode=11)),
    ]


def change(server: ScriptedVenue, draw: random.Random, *, may_lose: bool) -> None:
    symbol = draw.choice(list(server.books))
    side = draw.choice(list(server.books[symbol]))
    price = draw.choice(PRICES)
    held = server.books[symbol][side].get(price, 0.0)
    size = float(draw.choice([number for number in (0, 1, 2, 3) if number != held]))
    server.change(symbol, side, price, size, skip=may_lose and draw.random() < 0.05)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("venue", [Venue.POLYMARKET, Venue.KALSHI])
def test_whatever_happens_the_books_end_as_the_venues(venue: Venue, seed: int) -> None:
    draw = random.Random(seed)
    print(f"{venue.name} seed {seed}")

    async def main() -> None:
        patience = {"garbage_max": 4, "message_max_ns": 300 * MS, "resync_retry_ns": 50 * MS}
        async with scripted(venue) as server, live(venue, server, **patience) as feed:
            for _ in range(STEPS):
                for _ in range(draw.randrange(6)):
                    change(server, draw, may_lose=venue is Venue.KALSHI)
                if draw.random() < 0.3 and server.peer.is_open and server.peer.transport is not None:
                    draw.choice(faults(server, draw))()
                if draw.random() < 0.5:
                    await asyncio.sleep(draw.choice((0, 0, 0.001, 0.03)))
            await until(lambda: bool(server.open_peers()), "a connection")
            await equal(feed, server)
            assert feed.shell.counters.reconnects > 3
            assert feed.shell.counters.live == 1

    run(main())
