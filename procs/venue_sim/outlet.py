"""The way of one connection's texts to its socket, through whatever a fault has broken on it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Iterable
from typing import Final

from picows import WSMsgType, WSTransport

from procs.venue_sim.answer import ABNORMAL_CLOSURE, Closing
from procs.venue_sim.log import VenueLog

PACED_BYTES: Final = 256 << 10  # unread by a client before the position waits for it
KEPT_BYTES_MAX: Final = 8 << 20  # unread by a client that nobody waits for, before it is cut off
CLOSE_ANSWER_S: Final = 5.0
BOMB_PIECE: Final = bytes(64 << 10)
BOMB_WAIT_S: Final = 0.005
_TEXT_FRAME: Final = 0x81  # FIN and the opcode of text
_CLOSE_FRAME: Final = 0x88


def frame_header(first: int, length: int) -> bytes:
    """Header of an unmasked frame of ``length`` bytes (RFC 6455, 5.2)."""
    if length < 126:
        return struct.pack(">BB", first, length)
    if length < 1 << 16:
        return struct.pack(">BBH", first, 126, length)
    return struct.pack(">BBQ", first, 127, length)


class Outlet:
    """Sends texts, and counts in ``log`` how many data texts went out and how many a fault kept back.

    ``on_room`` is called when somebody who waits for this client may look again.
    """

    def __init__(self, transport: WSTransport, log: VenueLog, on_room: Callable[[], None]) -> None:
        self.full = False  # the client has not read what it was sent
        self.broken = False  # nothing is written any more by anybody but a fault
        self.closing = False  # a close frame was sent, or the end of the connection begun
        self.silent = False
        self._transport = transport
        self._raw = transport.underlying_transport
        self._loop = asyncio.get_running_loop()
        self._log = log
        self._on_room = on_room
        self._raw.set_write_buffer_limits(high=PACED_BYTES)
        self._lose = 0
        self._double = 0
        self._swap = 0
        self._held: bytes | None = None
        self._cut_next = False
        self._drip_s = 0.0
        self._timers: list[asyncio.TimerHandle] = []

    @property
    def takes(self) -> bool:
        """Whether a data text that is sent now goes out, or is lost by a fault, rather than waits here."""
        return self.broken or self.silent or not self.full

    @property
    def unread_bytes(self) -> int:
        """What the client has not taken of what it was sent, beyond the kernel's own buffers."""
        return self._raw.get_write_buffer_size()

    def reply(self, text: bytes) -> None:
        """Send a text that is not data of the recording."""
        if not self.broken and not self._raw.is_closing():
            self._write(text)

    def _write(self, text: bytes) -> None:
        self._transport.send(WSMsgType.TEXT, text)
        self._log.texts_written += 1

    def snapshots(self, texts: Iterable[bytes]) -> None:
        """Send snapshots: data, to which no fault but silence is done."""
        for text in texts:
            if self.silent:
                self._log.texts_withheld += 1
            else:
                self.reply(text)

    def data(self, text: bytes) -> None:
        """Send a text of the recording, or do to it what a fault says."""
        if self._raw.is_closing():
            return
        if self.broken or self.silent:
            self._log.texts_withheld += 1
        elif self._lose:
            self._lose -= 1
            self._log.texts_withheld += 1
        elif self._cut_next:
            self._truncate(text)
        elif self._drip_s:
            self._drip(text)
        elif self._swap and self._held is None:
            self._held = text
        else:
            self._in_order(text)

    def _in_order(self, text: bytes) -> None:
        self._put(text)
        if self._held is not None:
            held, self._held = self._held, None
            self._swap -= 1
            self._put(held)

    def _put(self, text: bytes) -> None:
        times = 2 if self._double else 1
        self._double -= times - 1
        for _ in range(times):
            self._write(text)
        self._log.texts_sent += 1

    def close(self, closing: Closing) -> None:
        """Send a close frame; the connection ends when the client has answered it. 1006: at once."""
        if self.broken or closing.code == ABNORMAL_CLOSURE:
            self.abort()
            return
        payload = struct.pack(">H", closing.code) + closing.reason.encode()
        self._raw.write(frame_header(_CLOSE_FRAME, len(payload)) + payload)
        self.broken = self.closing = True
        self._on_room()
        self._later(CLOSE_ANSWER_S, self._unanswered)

    def _unanswered(self) -> None:
        """The client has read the close frame, as far as we can see, and does not answer it."""
        if self.unread_bytes:
            self._later(CLOSE_ANSWER_S, self._unanswered)
        else:
            self.abort()

    def on_closed(self, payload: bytes) -> None:
        """The client sent a close frame: answer it when we have not sent one, and end the connection."""
        if not self.broken:
            self._raw.write(frame_header(_CLOSE_FRAME, len(payload)) + payload)
        self._end()

    def _end(self) -> None:
        self.broken = self.closing = True
        self.stop_timers()
        self._raw.close()
        self._on_room()

    def abort(self) -> None:
        """End the TCP connection at once."""
        self.broken = self.closing = True
        self.stop_timers()
        self._raw.abort()
        self._on_room()

    def stop_timers(self) -> None:
        """Nothing happens any more by itself."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def half_open(self) -> None:
        """Read and write nothing more."""
        self.broken = True
        self._raw.pause_reading()
        self._on_room()

    def silence(self, for_s: float) -> None:
        """Send no data for so long; 0: any more."""
        self.silent = True
        if for_s:
            self._later(for_s, self._speak)
        self._on_room()

    def _speak(self) -> None:
        self.silent = False

    def lose(self, texts: int) -> None:
        """Keep back the next data texts."""
        self._lose += texts

    def double(self, texts: int) -> None:
        """Send the next data texts twice."""
        self._double += texts

    def swap(self, times: int) -> None:
        """Send the next data text behind its follower, so often."""
        self._swap += times

    def ping(self, payload: bytes) -> None:
        """Send a ping."""
        if not self.broken:
            self._transport.send_ping(payload)

    def pong(self, payload: bytes) -> None:
        """Answer a ping."""
        if not self.broken:
            self._transport.send_pong(payload)

    def truncate_next(self) -> None:
        """Break off in the middle of the next data text."""
        self._cut_next = True

    def _truncate(self, text: bytes) -> None:
        self._log.texts_withheld += 1
        whole = frame_header(_TEXT_FRAME, len(text)) + text
        self._raw.write(whole[: len(whole) // 2])
        self._end()

    def drip_next(self, every_s: float) -> None:
        """Send the next data text byte by byte."""
        self._drip_s = every_s

    def _drip(self, text: bytes) -> None:
        self.broken = True
        self._on_room()
        left = bytearray(frame_header(_TEXT_FRAME, len(text)) + text)

        def one() -> None:
            if self._raw.is_closing():
                return
            self._raw.write(bytes((left.pop(0),)))
            if left:
                self._later(self._drip_s, one)
                return
            self.broken = False
            self._drip_s = 0.0
            self._log.texts_sent += 1
            self._log.texts_written += 1

        one()

    def bomb(self, size_bytes: int) -> None:
        """Announce a frame of this size and send it as fast as the client takes it."""
        self.broken = True
        self._on_room()
        self._raw.write(frame_header(_TEXT_FRAME, size_bytes))
        left = size_bytes

        def more() -> None:
            nonlocal left
            if left <= 0 or self._raw.is_closing():
                return
            if not self.full:
                piece = BOMB_PIECE[: min(left, len(BOMB_PIECE))]
                left -= len(piece)
                self._raw.write(piece)
            self._later(BOMB_WAIT_S if self.full else 0.0, more)

        more()

    def _later(self, delay_s: float, act: Callable[[], None]) -> None:
        self._timers = [timer for timer in self._timers if not timer.cancelled()][-8:]
        self._timers.append(self._loop.call_later(delay_s, act))
