"""Asks the control process: a bounded wait, a bounded number of tries, the same request id in each of them.

A DEALER that is closed and opened anew for each try: a reply that was lost locks nothing up, and a control
process that was restarted meanwhile is found again. The server does a repeated request once.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

import zmq

from engine.errors import DeadlineExceeded
from procs.control_wire import (
    CONTROL_SOCKET,
    EVENTS_SOCKET,
    ID_BYTES,
    Body,
    Event,
    Reply,
    ReplyStatus,
    Request,
    WireFault,
    bound_socket,
    parse_event,
    parse_reply,
    request_frames,
    socket_address,
)
from procs.operator_refusals import Denied, RefusedByState

TIMEOUT_S: Final = 1.0
TRIES_MAX: Final = 3


class ControlClient:
    """One operator's way to the control process of a run directory."""

    def __init__(self, directory: Path, timeout_s: float = TIMEOUT_S, tries_max: int = TRIES_MAX) -> None:
        self._path = directory / CONTROL_SOCKET
        self._address = socket_address(directory, CONTROL_SOCKET)
        self._timeout_s = timeout_s
        self._tries_max = tries_max

    def ask(self, command: str, body: Body | None = None, request_id: bytes | None = None) -> Reply:
        """Reply to a command, whatever its status; DeadlineExceeded when there is none.

        RefusedByState when there is no run directory: nobody could answer.
        """
        if not self._path.parent.is_dir():
            raise RefusedByState(f"{self._path.parent}: no engine runs here")
        request = Request(request_id or os.urandom(ID_BYTES), command, body or {})
        with zmq.Context() as context:
            for _ in range(self._tries_max):
                reply = self._try(context, request)
                if reply is not None:
                    return reply
        raise DeadlineExceeded(
            f"{self._path}: control did not answer '{command}' in {self._tries_max} tries "
            f"of {self._timeout_s:g} s: it is not running, or hangs"
        )

    def call(self, command: str, body: Body | None = None) -> Body:
        """Body of an ok reply. Raises DeadlineExceeded, Denied, or RefusedByState with the server's line."""
        reply = self.ask(command, body)
        if reply.status is ReplyStatus.OK:
            return reply.body
        line = str(reply.body.get("error", reply.status))
        raise Denied(line) if reply.status is ReplyStatus.DENIED else RefusedByState(line)

    def _try(self, context: zmq.Context[zmq.Socket[bytes]], request: Request) -> Reply | None:
        """One try with a socket of its own; None when no reply to this very request came in time."""
        with context.socket(zmq.DEALER) as socket:
            bound_socket(socket)
            socket.connect(self._address)
            socket.send_multipart(request_frames(request))
            deadline_s = time.monotonic() + self._timeout_s
            while (left_s := deadline_s - time.monotonic()) > 0:
                if not socket.poll(max(int(left_s * 1000), 1), zmq.POLLIN):
                    continue
                try:
                    reply = parse_reply(socket.recv_multipart())
                except WireFault:
                    continue
                if reply.request_id == request.request_id:
                    return reply
        return None


class EventStream:
    """What the control process tells its subscribers. ``lost`` counts what was sent and never came."""

    def __init__(self, directory: Path) -> None:
        self.lost = 0
        self._last: int | None = None
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        bound_socket(self._socket)
        self._socket.subscribe(b"")
        self._socket.connect(socket_address(directory, EVENTS_SOCKET))

    def next(self, timeout_ms: int) -> Event | None:
        """The next event within ``timeout_ms``, None when none came. What is not ours is passed over.

        A sequence that does not rise is of a control process that was started anew: nothing is known to be
        lost then.
        """
        if not self._socket.poll(timeout_ms, zmq.POLLIN):
            return None
        try:
            event = parse_event(self._socket.recv_multipart())
        except WireFault:
            return None
        if self._last is not None and event.sequence > self._last:
            self.lost += event.sequence - self._last - 1
        self._last = event.sequence
        return event

    def close(self) -> None:
        """Close the socket."""
        self._context.destroy(linger=0)
