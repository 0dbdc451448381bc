"""A run directory with words and health rows, a control server over real sockets, and a bare peer of it."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zmq

from procs.control import ControlServer
from procs.control_wire import (
    CONTROL_SOCKET,
    EVENTS_SOCKET,
    Body,
    Event,
    Reply,
    Request,
    bound_socket,
    parse_event,
    parse_reply,
    request_frames,
    socket_address,
)
from procs.halt import HaltSwitch
from procs.health import HealthTable

TMPFS = Path("/dev/shm")
EPOCH = 7
NOW_NS = 50_000_000_000
POLLS_MAX = 200
POLL_MS = 50


@contextmanager
def run_directory() -> Iterator[Path]:
    """A private folder with a short name, in memory where there is one."""
    with tempfile.TemporaryDirectory(dir=TMPFS if os.access(TMPFS, os.W_OK) else None) as folder:
        yield Path(folder)


@contextmanager
def serving(directory: Path, state_dir: Path) -> Iterator[ControlServer]:
    """A control server in a thread of its own."""
    server = ControlServer(directory, state_dir, EPOCH)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            server.poll(10)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server
    finally:
        over.set()
        thread.join()
        server.close()


class Served:
    """``now_ns`` is the server's clock, moved by hand."""

    def __init__(self, directory: Path, state_dir: Path) -> None:
        self.directory = directory
        self.state_dir = state_dir
        self.switch = HaltSwitch.create(directory, state_dir, EPOCH)
        self.health = HealthTable.create(("feed", "executor"), directory, EPOCH)
        self.now_ns = NOW_NS
        self.server = ControlServer(directory, state_dir, EPOCH, lambda: self.now_ns)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.peer = self.connect()
        self._heard = 0  # sequence of the last event
        self._events = self._context.socket(zmq.SUB)
        self._events.subscribe(b"")
        self._events.connect(socket_address(directory, EVENTS_SOCKET))

    def connect(self) -> zmq.Socket[bytes]:
        """One more peer."""
        peer = self._context.socket(zmq.DEALER)
        bound_socket(peer)
        peer.connect(socket_address(self.directory, CONTROL_SOCKET))
        return peer

    def ask(self, command: str, body: Body | None = None, request_id: bytes | None = None) -> Reply:
        """Reply to a request that this thread sends and the server, in this thread, answers."""
        request = Request(os.urandom(16) if request_id is None else request_id, command, body or {})
        reply = parse_reply(self.exchange(request_frames(request)))
        assert reply.request_id == request.request_id
        return reply

    def exchange(self, frames: list[bytes]) -> list[bytes]:
        """Frames that come back for these."""
        self.peer.send_multipart(frames)
        for _ in range(POLLS_MAX):
            self.server.poll(POLL_MS)
            if self.peer.poll(0, zmq.POLLIN):
                return self.peer.recv_multipart()
        raise AssertionError("no reply")

    def subscribe(self) -> None:
        """Wait until the server knows the subscriber: what came before it is not sent again."""
        for number in range(POLLS_MAX):
            self.health.writer("executor").start((), number, "probe", self.now_ns)
            self.now_ns += 10**9 * (3 if number % 2 else 1)
            self.server.poll(POLL_MS)
            if self._events.poll(POLL_MS, zmq.POLLIN):
                self.drain()
                return
        raise AssertionError("no event ever came")

    def drain(self) -> list[Event]:
        """Events up to the last that the server has told, after one more look of it."""
        self.now_ns += 10**9
        self.server.poll(0)
        events: list[Event] = []
        while self._heard < self.server._sequence:
            assert self._events.poll(POLLS_MAX * POLL_MS, zmq.POLLIN), "an event was lost"
            events.append(parse_event(self._events.recv_multipart()))
            self._heard = events[-1].sequence
        return events

    def close(self) -> None:
        """Close both sides."""
        self._context.destroy(linger=0)
        self.server.close()
