"""One accepted WebSocket: a session of its venue behind a socket, with its keep-alive and its faults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from procs.venue_sim.answer import GOING_AWAY, POLICY_VIOLATION, Answer, Closing
from procs.venue_sim.faults import (
    Close,
    Duplicate,
    Fault,
    Gap,
    Garbage,
    HalfOpen,
    Kind,
    Oversized,
    Reorder,
    Silence,
    SkipNumbers,
    SlowDrip,
    Truncated,
    WrongSchema,
)
from procs.venue_sim.log import VenueLog
from procs.venue_sim.outlet import KEPT_BYTES_MAX, Outlet

MS_PER_S: Final = 1_000
PING_PAYLOAD: Final = b"heartbeat"
GARBAGE: Final = b'{"type":"\xef\xbf\xbd'  # cut off inside a string: valid UTF-8, no JSON
MESSAGE_BYTES_MAX: Final = 4 << 20  # of a client, all its fragments together

FrameT_contra = TypeVar("FrameT_contra", contravariant=True)


class Session(Protocol[FrameT_contra]):
    """The venue's side of a connection, without its socket."""

    lacking: int

    @property
    def subscribed(self) -> bool:
        """Whether the client has subscribed to anything."""
        ...

    @property
    def follows_markets(self) -> bool:
        """Whether it has subscribed to what a replay is for: more than the news about all markets."""
        ...

    def symbols(self) -> Iterable[str]:
        """Tickers or tokens whose books the client has subscribed to."""
        ...

    def on_text(self, text: bytes) -> Answer:
        """Answer a message of the client."""
        ...

    def offer(self, frame: FrameT_contra) -> tuple[bytes, ...]:
        """What the client gets of a recorded frame."""
        ...

    def skip(self, numbers: int) -> None:
        """Lose sequence numbers, where there are any."""
        ...


@dataclass(frozen=True, slots=True)
class Manners:
    """How a venue keeps a connection alive; 0: not at all.

    ``ping_s``: it sends a control frame so often. ``silent_s``: it closes on a client that has sent nothing
    for so long. ``wrong_schema``: a text of its own that is not what its type says.
    """

    ping_s: float
    silent_s: float
    wrong_schema: bytes


class Watcher(Protocol):
    """Whoever keeps the connections of a venue."""

    log: VenueLog

    def on_subscribed(self, number: int) -> None:
        """A connection has its first subscription."""
        ...

    def on_gone(self, number: int) -> None:
        """A connection has ended."""
        ...

    def on_room(self) -> None:
        """Somebody who waits for a client may look again."""
        ...


class Connection(WSListener, Generic[FrameT_contra]):
    """One connection; ``on_open`` is called when its handshake is over, and gives it its ``number``."""

    def __init__(
        self,
        session: Session[FrameT_contra],
        manners: Manners,
        watcher: Watcher,
        on_open: Callable[[Connection[FrameT_contra]], int],
    ) -> None:
        self.number = 0  # the venue counts from 1
        self.session = session
        self.outlet: Outlet | None = None
        self._manners = manners
        self._watcher = watcher
        self._on_open = on_open
        self._was_subscribed = False
        self._heard_s = 0.0
        self._parts = bytearray()
        self._timers: dict[str, asyncio.TimerHandle] = {}

    @property
    def watching(self) -> bool:
        """Whether recorded frames go to this connection."""
        return self.outlet is not None and self.session.subscribed

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Begin."""
        self.outlet = Outlet(transport, self._watcher.log, self._watcher.on_room)
        self.number = self._on_open(self)
        self._heard_s = asyncio.get_running_loop().time()
        if self._manners.ping_s:
            self._again("ping", self._manners.ping_s, self._ping)
        if self._manners.silent_s:
            self._again("silent", self._manners.silent_s, self._look_for_silence)

    def _again(self, name: str, delay_s: float, act: Callable[[Outlet], None]) -> None:
        outlet = self.outlet
        if outlet is not None:
            self._timers[name] = asyncio.get_running_loop().call_later(delay_s, act, outlet)

    def _ping(self, outlet: Outlet) -> None:
        outlet.ping(PING_PAYLOAD)
        self._again("ping", self._manners.ping_s, self._ping)

    def _look_for_silence(self, outlet: Outlet) -> None:
        left_s = self._heard_s + self._manners.silent_s - asyncio.get_running_loop().time()
        if left_s > 0:
            self._again("silent", left_s, self._look_for_silence)
        else:
            self._close(outlet, Closing(GOING_AWAY, "no keep-alive"))

    def _close(self, outlet: Outlet, closing: Closing) -> None:
        self._watcher.log.closed_by_venue += 1
        outlet.close(closing)

    def end(self, closing: Closing | None) -> None:
        """End the connection: with a close frame, or None: at once; so too when nothing can be written."""
        if self.outlet is None:
            return
        if closing is None:
            self.outlet.abort()
        elif not self.outlet.closing:
            self._close(self.outlet, closing)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take what the client sends."""
        del transport
        outlet = self.outlet
        if outlet is None:
            return
        self._heard_s = asyncio.get_running_loop().time()
        if frame.msg_type is WSMsgType.PING:
            outlet.pong(frame.get_payload_as_bytes())
        elif frame.msg_type is WSMsgType.CLOSE:
            self._watcher.log.closed_by_client += not outlet.broken
            outlet.on_closed(frame.get_payload_as_bytes())
        elif frame.msg_type is not WSMsgType.PONG:
            self._on_part(outlet, frame)

    def _on_part(self, outlet: Outlet, frame: WSFrame) -> None:
        """A message, or a fragment of one."""
        if len(self._parts) + frame.payload_size > MESSAGE_BYTES_MAX:
            self._close(outlet, Closing(POLICY_VIOLATION, "message too long"))
            return
        self._parts += frame.get_payload_as_memoryview()
        if frame.fin:
            text = bytes(self._parts)
            self._parts.clear()
            self._on_text(outlet, text)

    def _on_text(self, outlet: Outlet, text: bytes) -> None:
        log = self._watcher.log
        lacking = self.session.lacking
        answer = self.session.on_text(text)
        log.commands += 1
        log.commands_refused += answer.refused
        log.snapshots += len(answer.snapshots)
        log.snapshots_lacking += self.session.lacking - lacking
        for reply in answer.replies:
            outlet.reply(reply)
        outlet.snapshots(answer.snapshots)
        if answer.closing is not None:
            self._close(outlet, answer.closing)
        elif self.session.follows_markets and not self._was_subscribed:
            self._was_subscribed = True
            self._watcher.on_subscribed(self.number)
        self._watcher.on_room()  # the position may wait for a subscription

    def offer(self, frame: FrameT_contra) -> None:
        """Send what belongs to this connection of a recorded frame."""
        outlet = self.outlet
        if outlet is not None:
            for text in self.session.offer(frame):
                outlet.data(text)

    def pass_on(self, raw: bytes) -> None:
        """Send a recorded text as it is."""
        if self.outlet is not None:
            self.outlet.data(raw)

    def cut_off_if_slow(self) -> None:
        """End a connection that has more unread than the venue keeps for anybody."""
        if self.outlet is not None and self.outlet.unread_bytes > KEPT_BYTES_MAX:
            self._watcher.log.cut_off += 1
            self.outlet.abort()

    def suffer(self, fault: Fault) -> None:
        """Do a fault to this connection."""
        outlet = self.outlet
        if outlet is None or outlet.broken:
            return
        self._watcher.log.fault(f"{fault}, connection {self.number}")
        if isinstance(fault.kind, Close):
            self._close(outlet, Closing(fault.kind.code, fault.kind.reason))
        elif isinstance(fault.kind, SkipNumbers):
            self.session.skip(fault.kind.numbers)
        elif isinstance(fault.kind, WrongSchema):
            for _ in range(fault.kind.frames):
                outlet.reply(self._manners.wrong_schema)
        else:
            _do(outlet, fault.kind)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Count how it ended, and forget it."""
        del transport
        for timer in self._timers.values():
            timer.cancel()
        outlet, self.outlet = self.outlet, None
        if outlet is not None:
            outlet.stop_timers()
            self._watcher.log.closed_by_client += not outlet.broken
        self._watcher.on_gone(self.number)

    def pause_writing(self) -> None:
        """The client does not read as fast as it is sent to."""
        if self.outlet is not None:
            self.outlet.full = True

    def resume_writing(self) -> None:
        """The client has read."""
        if self.outlet is not None:
            self.outlet.full = False
            self._watcher.on_room()


def _do(outlet: Outlet, kind: Kind) -> None:
    """A fault of the texts on their way, or of the socket."""
    match kind:
        case HalfOpen():
            outlet.half_open()
        case Silence(for_ms=for_ms):
            outlet.silence(for_ms / MS_PER_S)
        case Gap(frames=frames):
            outlet.lose(frames)
        case Duplicate(frames=frames):
            outlet.double(frames)
        case Reorder(times=times):
            outlet.swap(times)
        case Garbage(frames=frames):
            for _ in range(frames):
                outlet.reply(GARBAGE)
        case Truncated():
            outlet.truncate_next()
        case Oversized(size_bytes=size_bytes):
            outlet.bomb(size_bytes)
        case SlowDrip(every_ms=every_ms):
            outlet.drip_next(every_ms / MS_PER_S)
        case _:
            raise AssertionError(f"{kind} is not done to a connection")
