"""What travels between the command and the control process, as frames of one ZeroMQ message.

::

    request  ["PR3C/1", request id (16 bytes), command, body]
    reply    ["PR3C/1", request id, status, body, engine epoch (decimal)]
    event    [kind, "PR3C/1", sequence (decimal), body]

A body is a JSON object of at most BODY_BYTES_MAX. The sockets are files in the run directory, which nobody
but its owner can enter: that is the whole guard, and there is no other way in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, cast

import orjson
import zmq

from engine.errors import ConfigError

VERSION: Final = b"PR3C/1"
ID_BYTES: Final = 16
BODY_BYTES_MAX: Final = 64 * 1024
COMMAND_BYTES_MAX: Final = 32
REQUEST_FRAMES: Final = 4
REPLY_FRAMES: Final = 5
EVENT_FRAMES: Final = 4
MESSAGES_MAX: Final = 256  # high-water mark of either direction
HANDSHAKE_MS: Final = 5_000
HEARTBEAT_MS: Final = 2_000
HEARTBEAT_TIMEOUT_MS: Final = 6_000
SOCKET_PATH_BYTES_MAX: Final = 107  # of a UNIX socket's address

IPC: Final = "ipc://"
CONTROL_SOCKET: Final = "control.sock"
EVENTS_SOCKET: Final = "events.sock"

Body = Mapping[str, object]


class ReplyStatus(StrEnum):
    """How a request ended."""

    OK = "ok"
    ERROR = "error"  # refused by the present state, or a defect; the body's "error" says which
    DENIED = "denied"  # more had to be said
    BUSY = "busy"  # too many at once; nothing was done


class EventKind(StrEnum):
    """What subscribers are told."""

    PROCESS = "process"  # the condition of one process changed
    HALT = "halt"
    PAUSE = "pause"
    RESUME = "resume"
    SHUTDOWN = "shutdown"


class WireFault(ValueError):
    """A message is not of this protocol; the text says where."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as its frames said it."""

    request_id: bytes
    command: str
    body: Body


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply; ``epoch`` is the boot epoch of the engine that answered."""

    request_id: bytes
    status: ReplyStatus
    body: Body
    epoch: int


@dataclass(frozen=True, slots=True)
class Event:
    """One event. Sequences rise by one from 1; a step of more is a loss, and ``status`` is the remedy."""

    kind: EventKind
    sequence: int
    body: Body


def socket_address(directory: Path, name: str) -> str:
    """ZeroMQ address of a socket in the run directory; ConfigError when its path is too long for one."""
    path = directory.absolute() / name
    if len(str(path).encode()) > SOCKET_PATH_BYTES_MAX:
        raise ConfigError(f"{path}: longer than the {SOCKET_PATH_BYTES_MAX} bytes of a socket's address")
    return f"{IPC}{path}"


def bound_socket(socket: zmq.Socket[bytes]) -> None:
    """Set the bounds that either side keeps: sizes, queues, time to shake hands, no lingering."""
    socket.linger = 0
    socket.setsockopt(zmq.MAXMSGSIZE, BODY_BYTES_MAX)
    socket.setsockopt(zmq.SNDHWM, MESSAGES_MAX)
    socket.setsockopt(zmq.RCVHWM, MESSAGES_MAX)
    socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)


def request_frames(request: Request) -> list[bytes]:
    """Frames of a request."""
    return [VERSION, request.request_id, request.command.encode(), _pack(request.body)]


def parse_request(frames: Sequence[bytes]) -> Request:
    """Request of these frames; WireFault says what is wrong with them."""
    _check(frames, REQUEST_FRAMES, 0)
    _, request_id, command, body = frames
    if len(request_id) != ID_BYTES:
        raise WireFault(f"a request id has {ID_BYTES} bytes, not {len(request_id)}")
    if len(command) > COMMAND_BYTES_MAX or not command.isascii():
        raise WireFault("a command is a short ASCII word")
    return Request(request_id, command.decode(), _unpack(body))


def reply_frames(reply: Reply) -> list[bytes]:
    """Frames of a reply."""
    status = reply.status.value.encode()
    return [VERSION, reply.request_id, status, _pack(reply.body), str(reply.epoch).encode()]


def parse_reply(frames: Sequence[bytes]) -> Reply:
    """Reply of these frames; WireFault says what is wrong with them."""
    _check(frames, REPLY_FRAMES, 0)
    _, request_id, status, body, epoch = frames
    try:
        return Reply(request_id, ReplyStatus(status.decode()), _unpack(body), int(epoch))
    except ValueError as error:
        raise WireFault(f"no reply: {error}") from error


def event_frames(event: Event) -> list[bytes]:
    """Frames of an event; subscribers choose by the first."""
    return [event.kind.value.encode(), VERSION, str(event.sequence).encode(), _pack(event.body)]


def parse_event(frames: Sequence[bytes]) -> Event:
    """Event of these frames; WireFault says what is wrong with them."""
    _check(frames, EVENT_FRAMES, 1)
    kind, _, sequence, body = frames
    try:
        return Event(EventKind(kind.decode()), int(sequence), _unpack(body))
    except ValueError as error:
        raise WireFault(f"no event: {error}") from error


def _check(frames: Sequence[bytes], expected: int, version_at: int) -> None:
    if len(frames) != expected:
        raise WireFault(f"{len(frames)} frames, expected {expected}")
    if frames[version_at] != VERSION:
        raise WireFault(f"protocol {bytes(frames[version_at][:16])!r}, this is {VERSION.decode()}")


def _pack(body: Body) -> bytes:
    packed = orjson.dumps(body)
    if len(packed) > BODY_BYTES_MAX:
        raise WireFault(f"a body of {len(packed)} bytes, at most {BODY_BYTES_MAX}")
    return packed


def _unpack(body: bytes) -> Body:
    if len(body) > BODY_BYTES_MAX:
        raise WireFault(f"a body of {len(body)} bytes, at most {BODY_BYTES_MAX}")
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise WireFault(f"a body is a JSON object: {error}") from error
    if not isinstance(found, dict):
        raise WireFault("a body is a JSON object")
    return cast(Body, found)
