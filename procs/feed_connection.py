"""One WebSocket connection as picows sees it: bytes are metered, frames become messages, nothing unbounded.

picows refuses a frame by its header when it is too long; the meter between transport and picows then ends
the connection before another byte of it is kept, and knows how long a message has been coming in.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, Protocol, cast

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from engine.venues.assembly import Assembly, Piece

GOODBYE: Final = 1000
PROTOCOL_ERROR: Final = 1002
NO_CODE: Final = 1005  # a close frame without a code
ABNORMAL: Final = 1006  # the connection ended without a close frame
TOO_BIG: Final = 1009
READ_BYTES_MAX: Final = 1 << 17  # at once: some hundred messages, which then stay in the core's cache
_CODE_BYTES: Final = 2
_WHOLE: Final = (WSMsgType.TEXT, WSMsgType.BINARY)  # if nothing follows; looked up once, not for every frame
_NS_PER_MS: Final = 1_000_000

# What picows has to say is in our counters; without a handler of its own it would be printed.
QUIET_LOGGER: Final = logging.getLogger("pr3dict.picows")
QUIET_LOGGER.propagate = False
QUIET_LOGGER.addHandler(logging.NullHandler())


class Breach(IntEnum):
    """Why a connection is given up by this side of the protocol."""

    PROTOCOL = PROTOCOL_ERROR
    TOO_LONG = TOO_BIG


class Owner(Protocol):
    """Who a connection speaks to."""

    def on_open(self) -> None:
        """The handshake is done."""
        ...

    def on_message(self, payload: bytes, *, is_last: bool) -> None:
        """A whole message; unless it ``is_last`` another one, or a frame of another kind, came with it."""
        ...

    def on_pong(self) -> None:
        """Our ping was answered."""
        ...

    def on_breach(self, breach: Breach) -> None:
        """The peer broke the protocol or a bound."""
        ...

    def on_read(self, n_bytes: int, *, ended: bool, partial: bool) -> None:
        """One read of the socket was worked off.

        ``ended``: a message ended in it; ``partial``: another began and is not whole.
        """
        ...

    def on_close(self, code: int) -> None:
        """The connection is gone; ``code`` is what the peer said, or ABNORMAL."""
        ...

    def on_failure(self, error: Exception) -> None:
        """Something of ours failed in a callback."""
        ...


class Connection(WSListener):
    """One connection, from handshake to loss. Calls its owner until ``leave``."""

    def __init__(self, owner: Owner, message_bytes_max: int, user_timeout_ns: int) -> None:
        self._owner: Owner | None = owner
        self._assembly = Assembly(message_bytes_max)
        self._user_timeout_ms = max(1, user_timeout_ns // _NS_PER_MS)
        self.is_metered = False  # before, with the answer to the handshake, nobody says when a read is over
        self._transport: WSTransport | None = None
        self._code = ABNORMAL
        self._tail = 0
        self._frames = 0
        self._messages = 0
        self._watcher: asyncio.Task[None] | None = None

    def leave(self, code: int = PROTOCOL_ERROR) -> None:
        """Call the owner no more; close if there is something to close, without waiting for the peer."""
        self._owner = None
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.send_close(WSCloseCode(code))
            self._transport.disconnect(graceful=False)

    def send(self, texts: Sequence[bytes]) -> None:
        """Send text messages."""
        if self._transport is not None:
            for text in texts:
                self._transport.send(WSMsgType.TEXT, text)

    def ping(self) -> None:
        """Send a ping of the protocol."""
        if self._transport is not None:
            self._transport.send_ping(b"")

    def pause_reading(self) -> None:
        """Leave what comes in to the kernel, and so to the peer."""
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.underlying_transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.underlying_transport.resume_reading()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Put the meter in, and tell the owner."""
        self._transport = transport
        if self._owner is None:  # given up while the handshake was under way
            transport.disconnect(graceful=False)
            return
        beneath = transport.underlying_transport
        plug: socket.socket = beneath.get_extra_info("socket")
        plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self._user_timeout_ms)
        beneath.set_protocol(_Meter(cast("asyncio.BufferedProtocol", beneath.get_protocol()), self))
        self._watcher = asyncio.get_running_loop().create_task(_watch(transport))
        try:
            self._owner.on_open()
        except Exception as error:  # noqa: BLE001 - picows would log it and go on; it is ours to report
            self._owner.on_failure(error)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A frame, control or data."""
        self._frames += 1
        self._tail = frame.tail_size
        owner = self._owner
        if owner is None:
            return
        try:
            kind = frame.msg_type
            if kind in _WHOLE and frame.fin and not self._assembly.is_open:
                self._messages += 1
                is_last = frame.last_in_buffer or not self.is_metered
                owner.on_message(frame.get_payload_as_bytes(), is_last=is_last)
            else:
                self._rare(owner, transport, frame)
        except Exception as error:  # noqa: BLE001 - picows would log it and go on; it is ours to report
            owner.on_failure(error)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The connection is gone."""
        del transport
        owner, self._owner = self._owner, None
        if owner is None:
            return
        try:
            owner.on_close(self._code)
        except Exception as error:  # noqa: BLE001 - as above
            owner.on_failure(error)

    def mark(self) -> tuple[int, int]:
        """Frames and messages so far."""
        return self._frames, self._messages

    def on_bytes(self, n_bytes: int, before: tuple[int, int]) -> None:
        """One read of the socket has been worked off by picows; ``before`` is the mark from before it."""
        owner = self._owner
        if owner is None:
            return
        try:
            breach = self._breach()
            if breach is not None:
                owner.on_breach(breach)
                return
            frames, messages = before
            partial = self._assembly.is_open or self._frames == frames or self._tail > 0
            owner.on_read(n_bytes, ended=self._messages != messages, partial=partial)
        except Exception as error:  # noqa: BLE001 - as above
            owner.on_failure(error)

    def _breach(self) -> Breach | None:
        """What picows has refused: it has said so to the peer, and would go on reading for a while."""
        transport = self._transport
        if transport is None or not transport.is_close_frame_sent:
            return None
        handshake = transport.close_handshake
        if handshake.recv is not None or handshake.sent is None:
            return None
        return Breach.TOO_LONG if handshake.sent.code == WSCloseCode.MESSAGE_TOO_BIG else Breach.PROTOCOL

    def _rare(self, owner: Owner, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind == WSMsgType.PONG:
            owner.on_pong()
        elif kind == WSMsgType.CLOSE:
            payload = frame.get_payload_as_bytes()
            self._code = int.from_bytes(payload[:_CODE_BYTES], "big") if payload else NO_CODE
            transport.send_close(WSCloseCode.OK)
            transport.disconnect(graceful=False)
        else:
            self._piece(owner, frame)

    def _piece(self, owner: Owner, frame: WSFrame) -> None:
        begins = frame.msg_type != WSMsgType.CONTINUATION
        piece = self._assembly.add(frame.get_payload_as_bytes(), begins=begins, ends=frame.fin)
        if piece is Piece.WHOLE:
            self._messages += 1
            owner.on_message(self._assembly.take(), is_last=True)
        elif piece is not Piece.PART:
            owner.on_breach(Breach.TOO_LONG if piece is Piece.TOO_LONG else Breach.PROTOCOL)


class _Meter(asyncio.BufferedProtocol):
    """Stands between transport and picows and sees every read."""

    def __init__(self, inner: asyncio.BufferedProtocol, connection: Connection) -> None:
        self._inner = inner
        self._connection = connection

    def get_buffer(self, sizehint: int) -> bytearray:
        """Where the transport may write: picows's own memory, which it doubles whenever a read has filled it.

        Unbounded, a peer that never rests makes it as large as all that the kernel may hold for us.
        """
        return cast("bytearray", memoryview(self._inner.get_buffer(sizehint))[:READ_BYTES_MAX])

    def buffer_updated(self, nbytes: int) -> None:
        """Let picows parse what came, then say what it amounted to."""
        self._connection.is_metered = True
        before = self._connection.mark()
        self._inner.buffer_updated(nbytes)
        self._connection.on_bytes(nbytes, before)

    def eof_received(self) -> bool | None:
        """The peer sends no more."""
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Our requests are short: what cannot be sent waits in the transport."""

    def resume_writing(self) -> None:
        """As above."""


async def _watch(transport: WSTransport) -> None:
    """Take note of why picows ended a connection, or it would be printed; it has been counted already."""
    with contextlib.suppress(Exception):
        await transport.wait_disconnected()
