"""One venue: its server socket, its connections, and what a recorded frame does to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Generic, Protocol, TypeVar

from picows import (
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from engine.errors import ConfigError
from engine.records import Venue
from procs.recording import VENUE_NAMES
from procs.venue_sim.answer import GOING_AWAY, Closing
from procs.venue_sim.connection import MESSAGE_BYTES_MAX, MS_PER_S, Connection, Manners, Session
from procs.venue_sim.faults import Fault, Refuse
from procs.venue_sim.log import VenueLog

PORT_RETRY_S: Final = 0.1
CONNECTIONS_OPEN_MAX: Final = 256  # at a time; more are answered 429

FrameT = TypeVar("FrameT")


class Desk(Protocol[FrameT]):
    """What is of the venue's own: how it reads a recorded frame, admits a client, answers it."""

    venue: Venue
    path: str
    manners: Manners

    def read(self, raw: bytes, conn: int) -> FrameT | None:
        """Take a recorded frame in; None when it cannot be read."""
        ...

    def refusal(self, request: WSUpgradeRequest) -> bytes | None:
        """Body of the 401 that a handshake is answered with; None when it may come in."""
        ...

    def session(self) -> Session[FrameT]:
        """The venue's side of a new connection."""
        ...


@dataclass(frozen=True, slots=True)
class Address:
    """Where a venue listens; port 0: any that is free. ``option`` names it for messages."""

    host: str
    port: int
    option: str


class SimulatedVenue(Generic[FrameT]):
    """Serves one venue. ``on_room`` is called when the position may have to be looked at again."""

    def __init__(
        self, desk: Desk[FrameT], address: Address, faults: Sequence[Fault], on_room: Callable[[], None]
    ) -> None:
        self.log = VenueLog()
        self.on_room = on_room
        self.ever_subscribed = 0  # connections that have subscribed since the venue opened
        self._desk = desk
        self._address = address
        self._port = address.port
        self._server: asyncio.Server | None = None
        self._connections: dict[int, Connection[FrameT]] = {}
        self._at_frame: dict[int, list[Fault]] = {}
        self._at_subscription = [fault for fault in faults if fault.at_frame == 0]
        self._refusing: int | None = None  # HTTP status
        self._listening_again: asyncio.Task[None] | None = None
        for fault in faults:
            if fault.at_frame:
                self._at_frame.setdefault(fault.at_frame, []).append(fault)

    @property
    def name(self) -> str:
        """``polymarket`` or ``kalshi``."""
        return VENUE_NAMES[self._desk.venue]

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"ws://{self._address.host}:{self._port}{self._desk.path}"

    @property
    def readers(self) -> int:
        """How many connections that have subscribed can still be written to."""
        return sum(
            connection.watching and connection.outlet is not None and not connection.outlet.broken
            for connection in self._connections.values()
        )

    @property
    def symbols(self) -> set[str]:
        """Tickers or tokens whose books anybody has subscribed to."""
        return {
            symbol for connection in self._connections.values() for symbol in connection.session.symbols()
        }

    @property
    def open(self) -> int:
        """How many connections there are now."""
        return len(self._connections)

    @property
    def takes(self) -> bool:
        """Whether every client that watches can take a text now."""
        return all(
            connection.outlet is None or connection.outlet.takes
            for connection in self._connections.values()
            if connection.session.subscribed
        )

    async def listen(self) -> None:
        """Open the server socket. ConfigError when its address cannot be had."""
        host, port = self._address.host, self._port
        try:
            self._server = await ws_create_server(
                self._accept, host, port, enable_auto_pong=False, max_frame_size=MESSAGE_BYTES_MAX
            )
        except OSError as error:
            what = error.strerror or str(error)
            raise ConfigError(f"{self._address.option} {host}:{port}: {what}") from error
        self._port = self._server.sockets[0].getsockname()[1]

    def _accept(self, request: WSUpgradeRequest) -> Connection[FrameT] | WSUpgradeResponseWithListener | None:
        """Answer a handshake: the connection, an HTTP error, or None for a path that is not ours (404)."""
        if self._refusing is not None:
            self.log.refused += 1
            return _http_error(self._refusing, b"")
        if request.path.split(b"?")[0] != self._desk.path.encode():
            return None
        if len(self._connections) >= CONNECTIONS_OPEN_MAX:
            self.log.refused += 1
            return _http_error(HTTPStatus.TOO_MANY_REQUESTS, b"")
        refusal = self._desk.refusal(request)
        if refusal is not None:
            self.log.unauthorised += 1
            return _http_error(HTTPStatus.UNAUTHORIZED, refusal)
        return Connection(self._desk.session(), self._desk.manners, self, self._on_open)

    def _on_open(self, connection: Connection[FrameT]) -> int:
        """Number a connection whose handshake is over."""
        self.log.accepted += 1
        self._connections[self.log.accepted] = connection
        return self.log.accepted

    def on_subscribed(self, number: int) -> None:
        """A connection has its first subscription."""
        self.log.subscriptions += 1
        self.ever_subscribed += 1
        connection = self._connections[number]
        for fault in self._at_subscription:
            if fault.is_of(number, connection.session.symbols()):
                connection.suffer(fault)
        self.on_room()

    def on_gone(self, number: int) -> None:
        """A connection has ended."""
        self._connections.pop(number, None)
        self.on_room()

    def play(self, raw: bytes, conn: int, *, paced: bool) -> None:
        """Send a recorded frame to whom it belongs, after the faults that are due with it."""
        self.log.frames += 1
        for fault in self._at_frame.pop(self.log.frames, ()):
            self.do(fault)
        frame = self._desk.read(raw, conn)
        self.log.frames_unreadable += frame is None
        for connection in tuple(self._connections.values()):
            if connection.watching:
                if frame is None:  # whatever it was to the recorder, it is to everybody
                    connection.pass_on(raw)
                else:
                    connection.offer(frame)
                if not paced:
                    connection.cut_off_if_slow()

    def do(self, fault: Fault) -> None:
        """Do a fault now; ``log`` counts to how many it was done, or that it was missed."""
        if isinstance(fault.kind, Refuse):
            self._refuse(fault, fault.kind)
            return
        done = self.log.faults_done
        for connection in tuple(self._connections.values()):
            if connection.watching and fault.is_of(connection.number, connection.session.symbols()):
                connection.suffer(fault)
        self.log.faults_missed += self.log.faults_done == done

    def _refuse(self, fault: Fault, kind: Refuse) -> None:
        self.log.fault(str(fault))
        self._refusing = kind.status or HTTPStatus.SERVICE_UNAVAILABLE
        if kind.status == 0 and self._server is not None:
            self._server.close()
            self._server = None
        if self._listening_again is not None:
            self._listening_again.cancel()  # the later refusal decides
        self._listening_again = asyncio.get_running_loop().create_task(self._admit(kind.for_ms / MS_PER_S))

    async def _admit(self, after_s: float) -> None:
        """Accept connections again; if somebody else has taken the port meanwhile, when it is free."""
        await asyncio.sleep(after_s)
        self._refusing = None
        while self._server is None:
            try:
                await self.listen()
            except ConfigError:
                await asyncio.sleep(PORT_RETRY_S)

    def dismiss(self, closing: Closing) -> None:
        """Close every connection when it has read what it was sent, and accept no other."""
        self._refusing = HTTPStatus.SERVICE_UNAVAILABLE
        self._end(closing)

    def _end(self, closing: Closing | None) -> None:
        for connection in tuple(self._connections.values()):
            connection.end(closing)

    def shut(self) -> None:
        """Stop listening and end every connection now."""
        if self._listening_again is not None:
            self._listening_again.cancel()
        if self._server is not None:
            self._server.close()
            self._server = None
        self._end(Closing(GOING_AWAY, "shutting down"))
        self._end(None)


def _http_error(status: int, body: bytes) -> WSUpgradeResponseWithListener:
    headers = {"Content-Type": "application/json"} if body else None
    response = WSUpgradeResponse.create_error_response(status, body or None, headers)
    return WSUpgradeResponseWithListener(response, None)
