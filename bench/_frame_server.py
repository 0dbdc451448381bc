"""A WebSocket server that sends the same frames over and over.

``python -m bench._frame_server CORE MARKETS COUNT INTERVAL_US``

It says its port, and sends COUNT frames (0: without end) to whoever connects, as fast as the client takes
them: it stops when the kernel's buffers are full and goes on when there is room. Nothing is dropped. With an
interval that is not 0 a frame leaves in each by a schedule that is never reset, and at the end a line says
when each has left (JSON, nanoseconds of the monotonic clock, taken just before it was handed to the socket).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Final

import uvloop
from picows import WSListener, WSMsgType, WSTransport, ws_create_server

from bench import _scene

HOST: Final = "127.0.0.1"
SETTLE_S: Final = 0.2  # the books are there before the schedule begins
BURST: Final = 256  # frames between two looks at the loop


def frames_of(markets: int) -> list[bytes]:
    """A round of changes: each market cheap, then each quiet again."""
    return [
        _scene.change(2 * pair, is_cheap=cheap) for cheap in (True, False) for pair in range(markets // 2)
    ]


class Sender(WSListener):
    """One client."""

    def __init__(
        self, opening: Sequence[bytes], frames: Sequence[bytes], count: int, interval_us: int
    ) -> None:
        self._opening, self._frames, self._count = opening, frames, count
        self._interval_ns = 1_000 * interval_us
        self._room = asyncio.Event()
        self._room.set()
        self._task: asyncio.Task[None] | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._send(transport))

    def pause_writing(self) -> None:
        """The buffers are full."""
        self._room.clear()

    def resume_writing(self) -> None:
        """There is room again."""
        self._room.set()

    async def _send(self, transport: WSTransport) -> None:
        for frame in self._opening:
            transport.send(WSMsgType.TEXT, frame)
        if self._interval_ns:
            await self._send_paced(transport)
            return
        for number in range(self._count) if self._count else itertools.count():
            if number % BURST == 0 or not self._room.is_set():
                await asyncio.sleep(0)
                await self._room.wait()
            if transport.is_disconnected:
                return
            transport.send(WSMsgType.TEXT, self._frames[number % len(self._frames)])

    async def _send_paced(self, transport: WSTransport) -> None:
        await asyncio.sleep(SETTLE_S)
        sent_ns, start_ns = [], time.monotonic_ns()
        for number in range(self._count):
            while time.monotonic_ns() - start_ns < number * self._interval_ns:  # noqa: ASYNC110 - it is busy
                await asyncio.sleep(0)
            if transport.is_disconnected:
                return
            sent_ns.append(time.monotonic_ns())
            transport.send(WSMsgType.TEXT, self._frames[number % len(self._frames)])
        print(json.dumps(sent_ns), flush=True)


async def serve(markets: int, count: int, interval_us: int) -> None:
    """Serve until killed."""
    opening, frames = list(_scene.opening(markets)), frames_of(markets)
    server = await ws_create_server(lambda _: Sender(opening, frames, count, interval_us), HOST, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[1])})
    uvloop.run(serve(*(int(word) for word in sys.argv[2:])))
