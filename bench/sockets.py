"""A real WebSocket into the engine: frames a second into books, and how long a frame takes to a signal.

Ours are the sockets of a live engine (``procs.sockets``) before its fused feed and books, on an uvloop.
Sustained: one core sends as fast as its client reads, the other reads and applies; nothing may be dropped,
and every book has to be live at the end. To a signal: a frame in each interval; its age counts from when the
server handed it to the socket, over loopback, until the signal goes into its ring, by the stamp it gets just
before, in a loop that never sleeps (until 2026-11-29, 21:00, until Python had read it: some 10 us more).
Beside both the ``websockets`` package on asyncio with orjson and dictionaries, which gets the same frames
from the same server, and whose age counts until it has decided.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

import orjson
import uvloop

from bench import _scene, path
from bench._frame_server import HOST
from bench._peers import named, peer
from bench._plain import PlainBooks
from bench._plain_path import PlainCore
from bench._result import OURS, RATE, Result, claim
from bench._timing import Measure, interleave
from bench._trade_side import Signals, Taken, engine_ns
from engine.config import Role
from engine.records import Trust, Venue
from engine.venues.counts import Count
from procs.feed_link import FeedSink
from procs.sockets import FeedSockets, with_endpoint

FRAMES: Final = 60_000
PACED_FRAMES: Final = 2_000
INTERVAL_US: Final = 500
PER_S_MIN: Final = 150_000
P50_NS_MAX: Final = 12_000
CLIENT: Final = {"compression": None, "max_size": 1 << 20, "close_timeout": 0.1}  # of the peer
DEADLINE_S: Final = 60.0
WAIT_S: Final = 0.5  # for the last signal, when all frames are here
MISSED_MAX: Final = (
    0.5  # a signal whose chance was gone when its turn came is none; such runs are disturbed ones
)
SUSTAINED: Final = "socket in to books, frames of two changes"
SIGNALLED: Final = "socket in to signal, busy loop"


class Server(NamedTuple):
    """A running server of frames; ``sent_ns`` answers when those of the last connection have left."""

    url: str
    sent_ns: Callable[[], list[int]]


@contextmanager
def server(core: int, frames: int, interval_us: int = 0) -> Iterator[Server]:
    """A server of so many frames, and of a book of each market before them."""
    words = (str(core), str(2 * path.PAIRS), str(frames), str(interval_us))
    command = [sys.executable, "-m", "bench._frame_server", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout
            yield Server(f"ws://{HOST}:{said.readline().strip()}/", lambda: json.loads(said.readline()))
        finally:
            process.kill()


class Arrivals:
    """A sink that notes when each frame was received, before it hands it on."""

    def __init__(self, sink: FeedSink) -> None:
        self.recv_ns: list[int] = []
        self._sink = sink

    def on_frame(self, payload: bytes, recv_ns: int, conn: int) -> None:
        """A frame."""
        self.recv_ns.append(recv_ns)
        self._sink.on_frame(payload, recv_ns, conn)

    def on_disconnect(self, recv_ns: int, conn: int) -> None:
        """The server is gone."""
        self._sink.on_disconnect(recv_ns, conn)


class Live:
    """The sockets of Polymarket before a market; ``after_read`` is called when one has brought something."""

    def __init__(self, market: path.Market, url: str, after_read: Callable[[], None]) -> None:
        self.market, self.feed = market, market.feeds[Venue.POLYMARKET]
        config = with_endpoint(_scene.config_of(2 * path.PAIRS), Venue.POLYMARKET, url)
        specs = [_scene.market_of(number) for number in range(2 * path.PAIRS)]
        self._sockets = FeedSockets(config, specs, market.feeds, market.sinks, engine_ns, after_read)

    async def until(self, done: Callable[[], Awaitable[object]], spare_s: float = 0.0) -> None:
        """Connect, wait for ``done``, close; RuntimeError when a frame was lost or a book is not live.

        What takes its time says so by ``spare_s``, on top of the deadline.
        """
        self._sockets.open()
        failed = asyncio.ensure_future(self._sockets.wait_failed())
        waited = asyncio.ensure_future(done())
        try:
            over, _ = await asyncio.wait(
                (failed, waited), timeout=DEADLINE_S + spare_s, return_when=asyncio.FIRST_COMPLETED
            )
            for task in over:
                await task
            if not over:
                raise RuntimeError(f"{self.feed.frames} frames came in {DEADLINE_S + spare_s:g} s")
            self._verify()
        finally:
            waited.cancel()
            failed.cancel()
            await self._sockets.close()

    def _verify(self) -> None:
        lost = self.feed.refused + int(self.feed.codec.counts[Count.REJECTED])
        [books] = [book for book in self.market.books if book.venue is Venue.POLYMARKET]
        live = int((books.store.rows["trust"][: 2 * path.PAIRS] == Trust.LIVE).sum())
        connects = self._sockets.counters[Venue.POLYMARKET].connects
        if lost or live != 2 * path.PAIRS or connects != 1:
            raise RuntimeError(f"{lost} frames lost, {live} books live, {connects} connections")


async def _sustain(url: str, frames: int, folder: Path) -> dict[str, float]:
    market, expected = path.Market(folder), frames + 2 * path.PAIRS
    done, ended_ns = asyncio.Event(), 0

    def after_read() -> None:
        nonlocal ended_ns
        for books in market.books:
            books.do_work(engine_ns())
        if live.feed.frames >= expected and not done.is_set():
            ended_ns = time.perf_counter_ns()
            done.set()

    live = Live(market, url, after_read)
    began_ns = time.perf_counter_ns()
    await live.until(done.wait)
    return {RATE: live.feed.frames * 1e9 / (ended_ns - began_ns)}


async def _signal(server: Server, frames: int, folder: Path) -> dict[str, float]:
    """One run to signals."""
    market, opening = path.Market(folder, (Role.FEED, Role.BOOK, Role.STRATEGY)), 2 * path.PAIRS
    arrivals = Arrivals(market.sinks[Venue.POLYMARKET])
    market.sinks[Venue.POLYMARKET] = arrivals
    signals, found = Signals(folder), list[Taken]()

    def turn() -> None:
        market.turn()
        found.extend(signals.poll())

    arrived, over = asyncio.Event(), asyncio.Event()

    def again() -> None:
        """A turn that begins itself again (``shm.loop_turns``): the loop never sleeps in the kernel."""
        turn()
        if len(arrivals.recv_ns) == opening + frames:
            arrived.set()
        if arrived.is_set() and len(found) == frames // 2:
            over.set()
        if not over.is_set():
            loop.call_soon(again)

    async def done() -> None:
        again()
        await arrived.wait()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), WAIT_S)
        over.set()

    loop = asyncio.get_running_loop()
    live = Live(market, server.url, turn)
    await live.until(done)
    sent_ns = dict(zip(arrivals.recv_ns[opening:], server.sent_ns(), strict=True))
    ages = [one.said_ns - _scene.START_NS - sent_ns[one.recv_ns] for one in found]
    missed = 1 - len(ages) / (frames // 2)
    if missed > MISSED_MAX:
        raise RuntimeError(f"{len(ages)} signals of {frames // 2} opportunities")
    return {**path.tails(ages), "missed_share": missed}


async def _plain_sustain(package: ModuleType, url: str, frames: int) -> dict[str, float]:
    books, expected = PlainBooks(), frames + 2 * path.PAIRS
    began_ns = time.perf_counter_ns()
    async with package.connect(url, **CLIENT) as client:
        for _ in range(expected):
            books.apply(orjson.loads(await client.recv(decode=False)))
        return {RATE: expected * 1e9 / (time.perf_counter_ns() - began_ns)}


async def _plain_signal(package: ModuleType, server: Server, frames: int) -> dict[str, float]:
    plain, found_ns = PlainCore(*path.pairs()), dict[int, int]()
    async with package.connect(server.url, **CLIENT) as client:
        for _ in range(2 * path.PAIRS):
            plain.on_frame(await client.recv(decode=False))
        for number in range(frames):
            if plain.on_frame(await client.recv(decode=False)) is not None:
                found_ns[number] = time.monotonic_ns()
    sent_ns = server.sent_ns()
    if len(found_ns) != frames // 2:
        raise RuntimeError(f"{len(found_ns)} found of {frames // 2}")
    return path.tails([at_ns - sent_ns[number] for number, at_ns in found_ns.items()])


def sustained(url: str, frames: int) -> dict[str, float]:
    """One run of ours into books, with a run directory of its own."""
    with path.run_folder() as folder:
        found: dict[str, float] = uvloop.run(_sustain(url, frames, folder))
        return found


def signalled(server: Server, frames: int) -> dict[str, float]:
    """One run of ours to signals."""
    with path.run_folder() as folder:
        found: dict[str, float] = uvloop.run(_signal(server, frames, folder))
        return found


def measure(result: Result) -> None:
    """Both, run for run."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    package = peer(result, "websockets.asyncio.client", "websockets")
    plainly = named("websockets", "websockets, asyncio, orjson, dictionaries")
    try:
        with server(max(allowed), FRAMES) as fast:
            ways: dict[str, Measure] = {OURS: partial(sustained, fast.url, FRAMES)}
            if package is not None:
                ways[plainly] = lambda: asyncio.run(_plain_sustain(package, fast.url, FRAMES))
            interleave(result, SUSTAINED, ways)
        with server(max(allowed), PACED_FRAMES, INTERVAL_US) as paced:
            ways = {OURS: partial(signalled, paced, PACED_FRAMES)}
            if package is not None:
                ways[plainly] = lambda: asyncio.run(_plain_signal(package, paced, PACED_FRAMES))
            interleave(result, SIGNALLED, ways)
    finally:
        os.sched_setaffinity(0, allowed)
    claim(result, SUSTAINED, RATE, PER_S_MIN)
    claim(result, SIGNALLED, "p50_ns", P50_NS_MAX)
