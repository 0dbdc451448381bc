"""A WebSocket server that sends the same frames again and again: ``_frame_server CORE MARKETS COUNT``.

It says its port, and sends COUNT frames to whoever connects, as fast as the client takes them: it stops when
the kernel's buffers are full and goes on when there is room. Nothing is dropped.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Final

import uvloop
from picows import WSListener, WSMsgType, WSTransport, ws_create_server

from bench import _scene

HOST: Final = "127.0.0.1"
BURST: Final = 256  # frames between two looks at the loop


def frames_of(markets: int) -> list[bytes]:
    """A round of changes: each market cheap, then each quiet again."""
    return [
        _scene.change(2 * pair, is_cheap=cheap) for cheap in (True, False) for pair in range(markets // 2)
    ]


class Sender(WSListener):
    """One client."""

    def __init__(self, opening: Sequence[bytes], frames: Sequence[bytes], count: int) -> None:
        self._opening, self._frames, self._count = opening, frames, count
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
        for number in range(self._count):
            if number % BURST == 0 or not self._room.is_set():
                await asyncio.sleep(0)
                await self._room.wait()
            if transport.is_disconnected:
                return
            transport.send(WSMsgType.TEXT, self._frames[number % len(self._frames)])


async def serve(markets: int, count: int) -> None:
    """Serve until killed."""
    opening, frames = list(_scene.opening(markets)), frames_of(markets)
    server = await ws_create_server(lambda _: Sender(opening, frames, count), HOST, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[1])})
    uvloop.run(serve(int(sys.argv[2]), int(sys.argv[3])))
