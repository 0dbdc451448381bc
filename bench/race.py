"""One socket and two raced ones on ways that are now and then slow: from a venue's change to our book.

A simulated Kalshi on loopback sends changes of one market; between it and the feed every connection goes over
a relay that delays it by a way of its own: always a little, and by a stall once in a while, behind which
everything waits as it does on TCP. Draws are seeded, and each connection has its own. The same without delays
shows what a second socket costs.
"""

from __future__ import annotations

import asyncio
import gc
import random
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from procs import kernels

kernels.set_cache_dir()  # before numba is imported

import numpy as np  # noqa: E402
import uvloop  # noqa: E402

from bench._kalshi_stream import MARKETS, write_session  # noqa: E402
from bench._result import OURS, Result, claim_ratio  # noqa: E402
from bench._timing import interleave  # noqa: E402
from engine.catalog.market import MarketSpec  # noqa: E402
from engine.records import Venue  # noqa: E402
from procs.config_files import load_config, load_fee_table  # noqa: E402
from procs.live_feed import LiveFeed  # noqa: E402
from procs.recording_frames import Frame  # noqa: E402
from procs.recording_reader import RecordingReader  # noqa: E402
from procs.venue_sim.simulation import SimOptions, VenueSim  # noqa: E402
from procs.venue_sim.tape import Tape  # noqa: E402

SEED: Final = 20_261_128
CHANGES: Final = 1_500
PAIRS: Final = 3
EVERY_S: Final = 0.002
LITTLE_S: Final = 0.001  # of every text, and exponentially more of the same size
STALL_S: Final = 0.040
STALLS: Final = 0.002  # one text in five hundred begins one
WAIT_S: Final = 0.001
WAITS_MAX: Final = 30_000
STALLING: Final = "a change to the book, ways that stall"
ONE: Final = "one socket"
PERCENTILES: Final = {"p50_ns": 50.0, "p99_ns": 99.0, "p99.9_ns": 99.9}
_Piece = tuple[float, bytes]  # when it arrives, by the loop's clock, and what it is
_NO_TIME: Final = b'"ts":"2026-09-21T12:00:00.000000Z"'


@dataclass(frozen=True, slots=True)
class Way:
    """How a connection delays what comes over it, in seconds."""

    little_s: float = 0.0
    stall_s: float = 0.0

    def delay_s(self, draw: random.Random) -> float:
        """Of one read."""
        if not self.little_s:
            return 0.0
        stall_s = self.stall_s if draw.random() < STALLS else 0.0
        return self.little_s + draw.expovariate(1 / self.little_s) + stall_s


class Relay:
    """Connections to ``port`` over ``way``: what the other end sends comes late, and in order."""

    def __init__(self, port: int, way: Way) -> None:
        self._port = port
        self._way = way
        self._tasks: list[asyncio.Task[None]] = []
        self._server: asyncio.Server | None = None

    async def open(self) -> int:
        """Listen; the port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """End everything."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        venue, to_venue = await asyncio.open_connection("127.0.0.1", self._port)
        draw = random.Random(f"{SEED} {len(self._tasks)}")
        for source, sink, way in ((client, to_venue, Way()), (venue, to_client, self._way)):
            pieces: asyncio.Queue[_Piece] = asyncio.Queue()
            for carrying in (_take(source, pieces, way, draw), _give(pieces, sink)):
                self._tasks.append(asyncio.get_running_loop().create_task(carrying))


async def _take(
    source: asyncio.StreamReader, pieces: asyncio.Queue[_Piece], way: Way, draw: random.Random
) -> None:
    """Say of each read when it is to arrive."""
    while data := await source.read(1 << 16):
        pieces.put_nowait((asyncio.get_running_loop().time() + way.delay_s(draw), data))


async def _give(pieces: asyncio.Queue[_Piece], sink: asyncio.StreamWriter) -> None:
    """Hand each piece on when it is due, and never before the one ahead of it."""
    while True:
        due_s, data = await pieces.get()
        wait_s = due_s - asyncio.get_running_loop().time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        sink.write(data)


class Bench:
    """Changes of a made session to a feed with ``sockets`` for the same markets, over ``way``."""

    def __init__(self, specs: Sequence[MarketSpec], frames: Sequence[Frame], sockets: int, way: Way) -> None:
        self._specs = specs
        self._frames = frames
        self._sockets = sockets
        self._way = way
        self._sent_ns: deque[int] = deque()
        self._seen = 0
        self.late_ns: list[int] = []
        self.feed: LiveFeed | None = None

    async def run(self) -> None:
        """Play all; ``late_ns`` has the time of each change from the venue to the book."""
        sim = VenueSim(Tape([]), SimOptions())
        await sim.open()
        for frame in self._frames[:MARKETS]:
            sim.deliver(frame)
        host, _, path = sim.endpoints["kalshi"].removeprefix("ws://").partition("/")
        relay = Relay(int(host.partition(":")[2]), self._way)
        url = f"ws://127.0.0.1:{await relay.open()}/{path}"
        feed = self._make(url)
        feed.shell.start()
        try:
            await _until(lambda: feed.shell.counters.live == self._sockets, "sockets")
            await _until(lambda: feed.live_books() == MARKETS, "books")
            await asyncio.sleep(10 * self._way.little_s + self._way.stall_s)
            self._seen = feed.book.applied
            for frame in self._frames[MARKETS:]:
                self._sent_ns.append(time.perf_counter_ns())
                sim.deliver(frame)
                await asyncio.sleep(EVERY_S)
            await _until(lambda: not self._sent_ns, "every change")
        finally:
            await feed.shell.stop()
            await relay.close()
            sim.close()

    def _make(self, url: str) -> LiveFeed:
        feed = f"venues.kalshi.feed.ws_url={url}", f"venues.kalshi.feed.raced_sockets={self._sockets}"
        config = load_config(assignments=list(feed))
        fees, nowhere = load_fee_table(config), Path("/nonexistent")
        self.feed = LiveFeed(
            Venue.KALSHI,
            config,
            self._specs,
            fees,
            nowhere,
            boot_epoch=1,
            now_ns=time.time_ns,
            also=self._look,
        )
        return self.feed

    def _look(self, now_ns: int) -> None:
        """A read has been applied: each record is a change, in the order in which they were sent."""
        del now_ns
        assert self.feed is not None
        applied = self.feed.book.applied
        while self._seen < applied and self._sent_ns:
            self.late_ns.append(time.perf_counter_ns() - self._sent_ns.popleft())
            self._seen += 1


async def _until(condition: Callable[[], bool], what: str) -> None:
    for _ in range(WAITS_MAX):
        if condition():
            return
        await asyncio.sleep(WAIT_S)
    raise RuntimeError(f"bench: never came: {what}")


def session(folder: Path) -> tuple[tuple[MarketSpec, ...], list[Frame]]:
    """Markets and frames; every change is of a millisecond of its own."""
    path = write_session(folder / "kalshi.ndjson.zst", load_config(), CHANGES)
    with RecordingReader(path) as reader:
        specs, frames = reader.header.markets, list(reader.frames())
    timed = [
        frame._replace(raw=frame.raw.replace(_NO_TIME, b'"ts_ms":%d' % (frame.recv_ns // 1_000_000)))
        for frame in frames
    ]
    return specs, timed


def measured(
    specs: Sequence[MarketSpec], frames: Sequence[Frame], sockets: int, way: Way
) -> dict[str, float]:
    """One run: percentiles of the time from the venue to the book."""
    bench = Bench(specs, frames, sockets, way)
    uvloop.run(bench.run())
    assert bench.feed is not None
    race = bench.feed.feed.race
    if race is not None and race.counts.mismatch:
        raise RuntimeError(f"bench: {race.counts}")
    late_ns = np.percentile(bench.late_ns, list(PERCENTILES.values()))
    return dict(zip(PERCENTILES, late_ns.tolist(), strict=True))


def measure(result: Result) -> None:
    """Two sockets beside one, on ways that stall now and then, and on ways that do not."""
    with tempfile.TemporaryDirectory() as folder:
        specs, frames = session(Path(folder))
    gc.freeze()
    for what, way in ((STALLING, Way(LITTLE_S, STALL_S)), ("a change to the book, no delay", Way())):
        ways = {
            OURS: partial(measured, specs, frames, 2, way),
            ONE: partial(measured, specs, frames, 1, way),
        }
        interleave(result, what, ways, runs=PAIRS, warm=False)
    claim_ratio(result, STALLING, ONE, 1.0, "p99_ns")
