"""A WebSocket server on loopback that does to its clients what a test says.

``ScriptedVenue`` speaks one venue's language over real sockets, keeps the books that its snapshots show, and
can misbehave in every way the wire allows: bytes are written below the protocol where they must be wrong.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import struct
from collections.abc import Callable, Coroutine
from typing import Any, Self

import uvloop
from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

BOUND_S = 30.0  # of a test as a whole: a condition that never comes true ends it


async def until(condition: Callable[[], bool], what: str = "") -> None:
    """Wait for a condition; AssertionError when it does not come true."""
    for _ in range(round(BOUND_S / 2 / 0.002)):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError(f"never: {what or condition}")


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a test on uvloop, bounded."""

    async def bounded() -> None:
        await asyncio.wait_for(main, BOUND_S)

    uvloop.run(bounded())


class Peer(WSListener):
    """The server's side of one connection."""

    def __init__(self, venue: ScriptedVenue, request: WSUpgradeRequest) -> None:
        self.venue = venue
        self.headers = {name.upper(): value for name, value in request.headers.items()}
        self.path = request.path
        self.received: list[Any] = []
        self.pings = 0
        self.answers = True
        self.is_open = True
        self.close_code: int | None = None
        self.transport: WSTransport | None = None
        self._seq: dict[int, int] = {}

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.is_open = False

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            self.close_code = int.from_bytes(frame.get_payload_as_bytes()[:2], "big")
            transport.disconnect()
        elif frame.msg_type == WSMsgType.PING:
            self.pings += 1
            if self.answers:
                transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.TEXT:
            self._text(frame.get_payload_as_bytes())

    def _text(self, payload: bytes) -> None:
        if payload == b"PING":
            self.pings += 1
            if self.answers:
                self.text(b"PONG")
            return
        message = json.loads(payload)
        self.received.append(message)
        if self.answers:
            self.venue.answer(self, message)

    def text(self, payload: bytes | dict[str, Any] | list[Any]) -> None:
        """Send a text message."""
        assert self.transport is not None
        raw = payload if isinstance(payload, bytes) else json.dumps(payload, separators=(",", ":")).encode()
        self.transport.send(WSMsgType.TEXT, raw)

    def numbered(self, sid: int, frame: dict[str, Any], skip: int = 0) -> None:
        """Send a Kalshi frame with the next number of its sid; ``skip``: numbers that get lost before it."""
        self._seq[sid] = self._seq.get(sid, 0) + 1 + skip
        self.text({"type": frame["type"], "sid": sid, "seq": self._seq[sid], **frame})

    def raw(self, data: bytes) -> None:
        """Send bytes below the protocol."""
        assert self.transport is not None
        self.transport.underlying_transport.write(data)

    def close(self, code: int) -> None:
        """Close in order."""
        assert self.transport is not None
        self.transport.send_close(WSCloseCode(code))
        self.transport.disconnect()

    def reset(self) -> None:
        """End the TCP connection with a reset."""
        assert self.transport is not None
        plug = self.transport.underlying_transport.get_extra_info("socket")
        plug.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER of nothing: close sends RST
        self.transport.disconnect(graceful=False)

    def stop_reading(self) -> None:
        """Be half open: read no more, answer nothing."""
        assert self.transport is not None
        self.answers = False
        self.transport.underlying_transport.pause_reading()


class ScriptedVenue:
    """One venue on a free port. ``books``: symbol to {side: {price: size}}, as dollar texts and contracts.

    A subclass answers what clients say; ``refuses`` turns handshakes away with that status.
    """

    path = "/"

    def __init__(
        self, books: dict[str, dict[str, dict[str, float]]], tls: ssl.SSLContext | None = None
    ) -> None:
        self.books = books
        self.tls = tls
        self.peers: list[Peer] = []
        self.attempts = 0
        self.refuses = 0
        self.is_mute = False
        self.lost: set[str] = set()  # symbols that nothing is said about any more
        self.port = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.deafen()

    async def listen(self) -> None:
        """Begin to listen, on the port it had before if it had one."""
        self._server = await ws_create_server(
            self._accept, "127.0.0.1", self.port, enable_auto_pong=False, ssl=self.tls
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def deafen(self) -> None:
        """Listen no more and end every connection."""
        assert self._server is not None
        self._server.close()
        for peer in self.peers:
            if peer.is_open and peer.transport is not None:
                peer.transport.disconnect(graceful=False)
        await asyncio.sleep(0)

    @property
    def url(self) -> str:
        return f"{'ws' if self.tls is None else 'wss'}://127.0.0.1:{self.port}{self.path}"

    @property
    def peer(self) -> Peer:
        """The connection that came last."""
        return self.peers[-1]

    def open_peers(self) -> list[Peer]:
        return [peer for peer in self.peers if peer.is_open]

    def _accept(self, request: WSUpgradeRequest) -> Any:
        self.attempts += 1
        if self.refuses:
            return WSUpgradeResponseWithListener(
                WSUpgradeResponse.create_error_response(self.refuses, b"no"), None
            )
        peer = Peer(self, request)
        self.peers.append(peer)
        return peer

    def answer(self, peer: Peer, message: Any) -> None:
        raise NotImplementedError

    def change(self, symbol: str, side: str, price: str, size: float, skip: int = 0) -> None:
        raise NotImplementedError


class ScriptedKalshi(ScriptedVenue):
    """Kalshi: ``books[ticker] = {"yes": {...}, "no": {...}}``, the no side in NO prices."""

    path = "/trade-api/ws/v2"

    def __init__(self, books: dict[str, dict[str, dict[str, float]]]) -> None:
        super().__init__(books)
        self.sid = 0
        self.refuses_snapshots = False
        self.sid_of: dict[tuple[int, str], int] = {}

    def answer(self, peer: Peer, message: Any) -> None:
        params = message["params"]
        if self.is_mute:
            return
        if message["cmd"] == "subscribe":
            for channel in params["channels"]:
                self.sid += 1
                peer.text(
                    {"id": message["id"], "type": "subscribed", "msg": {"channel": channel, "sid": self.sid}}
                )
                if channel == "orderbook_delta":
                    for ticker in params["market_tickers"]:
                        self.sid_of[id(peer), ticker] = self.sid
                        self.snapshot(peer, ticker)
        elif message["cmd"] == "unsubscribe":
            for sid in params["sids"]:
                peer.numbered(sid, {"type": "unsubscribed", "id": message["id"]})
            for key in [key for key, sid in self.sid_of.items() if sid in params["sids"]]:
                del self.sid_of[key]
        elif self.refuses_snapshots:
            peer.text(
                {"id": message["id"], "type": "error", "msg": {"code": 13, "msg": "unsupported action"}}
            )
        else:
            for ticker in params["market_tickers"]:
                if ticker not in self.lost:
                    self.snapshot(peer, ticker)

    def snapshot(self, peer: Peer, ticker: str) -> None:
        book = self.books[ticker]
        msg: dict[str, Any] = {"market_ticker": ticker, "market_id": "m"}
        for side in ("yes", "no"):
            if book[side]:
                msg[f"{side}_dollars_fp"] = [[p, f"{s:.2f}"] for p, s in sorted(book[side].items())]
        peer.numbered(self.sid_of[id(peer), ticker], {"type": "orderbook_snapshot", "msg": msg})

    def change(self, symbol: str, side: str, price: str, size: float, skip: int = 0) -> None:
        """Change a level and tell every client; ``skip`` frames before it get lost."""
        levels = self.books[symbol][side]
        delta = size - levels.get(price, 0.0)
        levels[price] = size
        if not size:
            del levels[price]
        msg = {"market_ticker": symbol, "price_dollars": price, "delta_fp": f"{delta:.2f}", "side": side}
        for peer in self.open_peers():
            if (id(peer), symbol) in self.sid_of:
                sid = self.sid_of[id(peer), symbol]
                peer.numbered(sid, {"type": "orderbook_delta", "msg": msg}, skip)


class ScriptedPolymarket(ScriptedVenue):
    """Polymarket: ``books[token] = {"BUY": {...}, "SELL": {...}}``."""

    path = "/ws/market"

    def answer(self, peer: Peer, message: Any) -> None:
        if self.is_mute or message.get("operation") == "unsubscribe":
            return
        peer.text([self.book(token) for token in message["assets_ids"] if token not in self.lost])

    def book(self, token: str) -> dict[str, Any]:
        def levels(side: str) -> list[dict[str, str]]:
            return [{"price": p, "size": f"{s:.2f}"} for p, s in sorted(self.books[token][side].items())]

        return {
            "event_type": "book",
            "asset_id": token,
            "market": "0xabc",
            "bids": levels("BUY"),
            "asks": levels("SELL"),
            "timestamp": "1760000000000",
            "hash": "h",
        }

    def change(self, symbol: str, side: str, price: str, size: float, skip: int = 0) -> None:
        """Change a level and tell every client."""
        levels = self.books[symbol][side]
        levels[price] = size
        if not size:
            del levels[price]
        best = {name: sorted(self.books[symbol][name]) for name in ("BUY", "SELL")}
        entry = {
            "asset_id": symbol,
            "price": price,
            "size": f"{size:.2f}",
            "side": side,
            "hash": "h",
            "best_bid": best["BUY"][-1] if best["BUY"] else "0",
            "best_ask": best["SELL"][0] if best["SELL"] else "1",
        }
        for peer in self.open_peers():
            peer.text(
                {
                    "event_type": "price_change",
                    "market": "0xabc",
                    "timestamp": "1760000000001",
                    "price_changes": [entry],
                }
            )


def frame_header(length: int, *, opcode: int = 1, fin: bool = True) -> bytes:
    """Header of a server's WebSocket frame."""
    first = (0x80 if fin else 0) | opcode
    if length < 126:
        return bytes([first, length])
    if length < 1 << 16:
        return bytes([first, 126]) + length.to_bytes(2, "big")
    return bytes([first, 127]) + length.to_bytes(8, "big")
