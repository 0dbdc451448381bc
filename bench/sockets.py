"""Frames a second from a real WebSocket into books, sustained: one core sends, the other reads and applies.

Ours is the engine's own connection, feed and book stage on an uvloop, books applied after each read of the
socket, as a live process does; nothing may be dropped, and every book has to be live at the end. The peer is
the ``websockets`` package on asyncio with orjson and dictionaries. Both get the same frames, two changes
each, from the same server over loopback, which sends as fast as its client reads.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Final

import orjson
import uvloop
from picows import ws_connect

from bench import path
from bench._frame_server import HOST
from bench._peers import named, peer
from bench._plain import PlainBooks
from bench._result import OURS, RATE, Result, claim
from bench._timing import Measure, interleave
from bench._trade_side import engine_ns
from engine.records import Trust
from procs.feed_connection import Breach, Connection

FRAMES: Final = 60_000
PER_S_MIN: Final = 150_000
MESSAGE_BYTES_MAX: Final = 1 << 20
TIMEOUT_NS: Final = 10_000_000_000
DEADLINE_S: Final = 60.0
SUSTAINED: Final = "socket in to books, frames of two changes"


class Owner:
    """What stands behind the connection: the feed at each message, the books after each read."""

    def __init__(self, market: path.Market, expected: int) -> None:
        self.frames = 0
        self.failed = ""
        self.done: asyncio.Event = asyncio.Event()
        self.ended_ns = 0
        self._market = market
        self._expected = expected

    def on_open(self) -> None:
        """Nothing to ask for: this server sends without a subscription."""

    def on_message(self, payload: bytes) -> None:
        """A frame."""
        self.frames += 1
        self._market.feed.on_frame(payload, engine_ns(), 0)

    def on_read(self, n_bytes: int, *, ended: bool, partial: bool) -> None:
        """The books' turn."""
        del n_bytes, ended, partial
        self._market.books.do_work(engine_ns())
        if self.frames >= self._expected:
            self.ended_ns = time.perf_counter_ns()
            self.done.set()

    def on_pong(self) -> None:
        """Nobody pings."""

    def on_breach(self, breach: Breach) -> None:
        """A fault of the bench."""
        self._fail(f"breach: {breach}")

    def on_close(self, code: int) -> None:
        """Too early, unless all is here."""
        if self.frames < self._expected:
            self._fail(f"closed with {code}")

    def on_failure(self, error: Exception) -> None:
        """A fault of ours."""
        self._fail(f"{type(error).__name__}: {error}")

    def _fail(self, why: str) -> None:
        self.failed = why
        self.done.set()


@contextmanager
def server(core: int, frames: int) -> Iterator[str]:
    """URL of a server of so many frames, and of a book of each market before them."""
    words = (str(core), str(2 * path.PAIRS), str(frames))
    command = [sys.executable, "-m", "bench._frame_server", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"ws://{HOST}:{process.stdout.readline().strip()}/"
        finally:
            process.kill()


async def _ours(url: str, frames: int, folder: Path) -> dict[str, float]:
    market = path.Market(folder)
    owner = Owner(market, frames + 2 * path.PAIRS)
    connection = Connection(owner, MESSAGE_BYTES_MAX, TIMEOUT_NS)
    began_ns = time.perf_counter_ns()
    await ws_connect(lambda: connection, url)
    await asyncio.wait_for(owner.done.wait(), DEADLINE_S)
    connection.leave()
    lost = market.books.lost + market.feed.refused
    live = int((market.books.store.rows["trust"][: 2 * path.PAIRS] == Trust.LIVE).sum())
    if owner.failed or lost or live != 2 * path.PAIRS:
        raise RuntimeError(f"{owner.failed or 'dropped'}: {lost} lost, {live} books live")
    return {RATE: owner.frames * 1e9 / (owner.ended_ns - began_ns)}


async def _theirs(package: ModuleType, url: str, frames: int) -> dict[str, float]:
    books, expected = PlainBooks(), frames + 2 * path.PAIRS
    began_ns = time.perf_counter_ns()
    async with package.connect(url, compression=None, max_size=MESSAGE_BYTES_MAX) as client:
        for _ in range(expected):
            books.apply(orjson.loads(await client.recv(decode=False)))
        return {RATE: expected * 1e9 / (time.perf_counter_ns() - began_ns)}


def one_run(url: str, frames: int) -> dict[str, float]:
    """Ours, with a run directory of its own."""
    parent = path.TMPFS if os.access(path.TMPFS, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        found: dict[str, float] = uvloop.run(_ours(url, frames, Path(folder)))
        return found


def measure(result: Result) -> None:
    """Both, run for run."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        with server(max(allowed), FRAMES) as url:
            ways: dict[str, Measure] = {OURS: partial(one_run, url, FRAMES)}
            package = peer(result, "websockets.asyncio.client", "websockets")
            if package is not None:
                plainly = named("websockets", "websockets, asyncio, orjson, dictionaries")
                ways[plainly] = lambda: asyncio.run(_theirs(package, url, FRAMES))
            interleave(result, SUSTAINED, ways)
    finally:
        os.sched_setaffinity(0, allowed)
    claim(result, SUSTAINED, RATE, PER_S_MIN)
