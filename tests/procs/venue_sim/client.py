"""A WebSocket client that keeps what it gets, and simulated venues to connect it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import orjson
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from procs.recording import RecordingHeader
from procs.recording_frames import Frame, FrameBatch, pack
from procs.venue_sim.simulation import SimOptions, VenueSim
from procs.venue_sim.tape import Tape
from tests.data import recordings as made

PATIENCE_S = 60.0  # for what must happen; never for what must not
T = TypeVar("T")


class Client(WSListener):
    """Frames in the order they came. ``codes``: of close frames; ``gone``: the connection has ended."""

    def __init__(self, *, answers_close: bool = True) -> None:
        self.transport: WSTransport | None = None
        self.texts: list[bytes] = []
        self.pings: list[bytes] = []
        self.codes: list[int] = []
        self.gone = False
        self._answers_close = answers_close
        self._news = asyncio.Event()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            self.codes.append(int.from_bytes(frame.get_payload_as_bytes()[:2], "big"))
            if self._answers_close:
                transport.send_close(frame.get_close_code())
                transport.disconnect()
        elif frame.msg_type is WSMsgType.PING:
            self.pings.append(frame.get_payload_as_bytes())
            transport.send_pong(frame.get_payload_as_bytes())
        else:
            self.texts.append(frame.get_payload_as_bytes())
        self._news.set()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.gone = True
        self._news.set()

    def send(self, message: object) -> None:
        """Send a text: bytes as they are, anything else as JSON."""
        assert self.transport is not None
        text = message if isinstance(message, bytes) else orjson.dumps(message)
        self.transport.send(WSMsgType.TEXT, text)

    def stop_reading(self) -> None:
        assert self.transport is not None
        self.transport.underlying_transport.pause_reading()

    def read_again(self) -> None:
        assert self.transport is not None
        self.transport.underlying_transport.resume_reading()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what the connection brings."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def until_texts(self, count: int) -> list[bytes]:
        """The first ``count`` texts."""
        await self.until(lambda: len(self.texts) >= count)
        return self.texts[:count]

    async def until_gone(self) -> None:
        await self.until(lambda: self.gone)

    def trees(self) -> list[dict[str, object]]:
        """Texts as JSON."""
        return [orjson.loads(text) for text in self.texts]

    def of_type(self, kind: str) -> list[dict[str, object]]:
        """Kalshi frames of one type."""
        return [tree for tree in self.trees() if tree.get("type") == kind]


async def connect(
    url: str,
    client: Client | None = None,
    *,
    extra_headers: Mapping[str, str] | None = None,
    max_frame_size: int = 16 << 20,
) -> Client:
    """A connected client."""
    found = Client() if client is None else client
    await ws_connect(
        lambda: found,
        url,
        enable_auto_pong=False,
        extra_headers=extra_headers,
        max_frame_size=max_frame_size,
    )
    return found


async def to_polymarket(sim: VenueSim, tokens: Sequence[str], client: Client | None = None) -> Client:
    """A client of the market channel, subscribed."""
    found = await connect(sim.endpoints["polymarket"], client)
    found.send({"type": "market", "assets_ids": list(tokens), "custom_feature_enabled": True})
    return found


async def to_kalshi(
    sim: VenueSim, tickers: Sequence[str], *channels: str, client: Client | None = None
) -> Client:
    """A client of Kalshi, subscribed in one command (to books, when no channel is named)."""
    found = await connect(sim.endpoints["kalshi"], client)
    params = {"channels": list(channels or ("orderbook_delta",)), "market_tickers": list(tickers)}
    found.send({"id": 1, "cmd": "subscribe", "params": params})
    return found


class FramesSource:
    """Frames of our own making, in the shape of a recording."""

    name = "frames"

    def __init__(self, frames: Sequence[Frame], header: RecordingHeader) -> None:
        self.header = header
        self._frames = frames

    def batches(self) -> Iterator[FrameBatch]:
        return pack(self._frames)


def tape_of(frames: Sequence[Frame], header: RecordingHeader | None = None) -> Tape:
    """A tape of these frames."""
    return Tape([FramesSource(frames, made.header("both") if header is None else header)])


@asynccontextmanager
async def served(tape: Tape, options: SimOptions | None = None) -> AsyncIterator[VenueSim]:
    """Simulated venues that play; whatever goes wrong in them comes out at the end."""
    sim = VenueSim(tape, SimOptions() if options is None else options)
    await sim.open()
    playing = asyncio.create_task(sim.play())
    try:
        yield sim
        if playing.done():
            playing.result()
    finally:
        playing.cancel()
        sim.close()


def run(test: Callable[[], Awaitable[T]]) -> T:
    """Run an asynchronous test on the loop of production."""

    async def bounded() -> T:
        async with asyncio.timeout(2 * PATIENCE_S):
            return await test()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(bounded())
