"""The control process: answers the operator's commands over ZeroMQ, and tells subscribers what changed.

It owns no state of the engine. What it does, it does to the control words, the latch and nothing else, so a
dead control process takes nothing with it, and a new one goes on where it was. A request that changes
something is done once: its reply is kept by its id, and a repetition gets the same reply.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import zmq

from engine.errors import Pr3dictError
from engine.reasons import Reason
from procs.control_wire import (
    CONTROL_SOCKET,
    EVENTS_SOCKET,
    IPC,
    Body,
    Event,
    EventKind,
    Reply,
    ReplyStatus,
    Request,
    WireFault,
    bound_socket,
    event_frames,
    parse_request,
    reply_frames,
    socket_address,
)
from procs.control_words import Word
from procs.engine_status import EngineView
from procs.operator_refusals import Denied, RefusedByState
from procs.private_directory import require_private
from shm.errors import ShmError

NS_PER_S: Final = 1_000_000_000
REQUESTS_A_POLL: Final = 64
REPLIES_KEPT_MAX: Final = 1_024
REPLIES_KEPT_NS: Final = 300 * NS_PER_S
REQUESTS_A_SECOND: Final = 200
REQUESTS_BURST: Final = 400
LOOK_EVERY_NS: Final = NS_PER_S // 4
LOCK_NAME: Final = "control-server.lock"
SOCKET_MODE: Final = 0o600
PRIVATE_UMASK: Final = 0o077
READS: Final = frozenset({"status", "health"})  # may be repeated, so their replies are not kept


class ControlServer:
    """Serves one run directory. ``refused`` counts messages that are not of the protocol.

    ``clock_ns`` is CLOCK_MONOTONIC: ages, the time replies are kept, the rate of requests.
    """

    def __init__(
        self,
        directory: Path,
        state_dir: Path,
        epoch: int,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Bind the sockets.

        ConfigError for a directory that others can enter, RefusedByState when another process serves it.
        """
        self.refused = 0
        self.epoch = epoch
        self._clock_ns = clock_ns
        self._directory = require_private(directory)
        self._state_dir = state_dir
        addresses = [socket_address(directory, name) for name in (CONTROL_SOCKET, EVENTS_SOCKET)]
        self._lock = _lock(directory / LOCK_NAME)
        self._view = EngineView(directory, state_dir)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._router, self._publisher = (
            self._bind(kind, address) for kind, address in zip((zmq.ROUTER, zmq.PUB), addresses, strict=True)
        )
        self._replies: OrderedDict[bytes, tuple[int, Reply]] = OrderedDict()
        self._allowance = RequestAllowance(clock_ns())
        self._sequence = 0
        self._looked_ns = clock_ns() - LOOK_EVERY_NS
        self._told: dict[str, str] = {}
        self._words_told = self._word_bits()
        self._verbs: dict[str, Callable[[Body], Body]] = {
            "status": lambda _: self._status(),
            "health": lambda _: self._status(),
            "pause": lambda _: self._pause(),
            "resume": self._resume,
            "halt": self._halt,
            "shutdown": self._shutdown,
        }

    def poll(self, timeout_ms: int) -> int:
        """Answer what is waiting, for up to ``timeout_ms`` when nothing is; requests and events handled."""
        handled = 0
        wait_ms = timeout_ms
        while handled < REQUESTS_A_POLL and self._router.poll(wait_ms, zmq.POLLIN):
            self._answer(self._router.recv_multipart())
            handled += 1
            wait_ms = 0
        return handled + self._look()

    def close(self) -> None:
        """Close and remove the sockets, give up the directory."""
        self._context.destroy(linger=0)
        for name in (CONTROL_SOCKET, EVENTS_SOCKET):
            (self._directory / name).unlink(missing_ok=True)
        os.close(self._lock)

    def _bind(self, kind: int, address: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        bound_socket(socket)
        before = os.umask(PRIVATE_UMASK)  # libzmq makes the file by the umask alone
        try:
            socket.bind(address)
        finally:
            os.umask(before)
        Path(address.removeprefix(IPC)).chmod(SOCKET_MODE)
        return socket

    def _answer(self, frames: list[bytes]) -> None:
        peer, *said = frames
        try:
            request = parse_request(said)
        except WireFault:
            self.refused += 1  # there is no id to answer to that could be believed
            return
        reply = self._reply_of(request)
        try:
            frames = reply_frames(reply)
        except WireFault as fault:
            frames = reply_frames(self._reply(request, ReplyStatus.ERROR, {"error": str(fault)}))
        with suppress(zmq.Again):  # a peer that reads no replies loses them
            self._router.send_multipart([peer, *frames], zmq.DONTWAIT)

    def _reply_of(self, request: Request) -> Reply:
        now_ns = self._clock_ns()
        self._forget(now_ns)
        kept = self._replies.get(request.request_id)
        if kept is not None:
            return kept[1]
        keeps = request.command not in READS
        full = keeps and len(self._replies) >= REPLIES_KEPT_MAX
        # a halt is never too much, and doing it twice is doing it once
        if request.command != "halt" and (full or not self._allowance.take(now_ns)):
            return self._reply(request, ReplyStatus.BUSY, {"error": "too many requests: nothing was done"})
        reply = self._do(request)
        if keeps and not full:
            self._replies[request.request_id] = (now_ns, reply)
        return reply

    def _forget(self, now_ns: int) -> None:
        while self._replies and now_ns - next(iter(self._replies.values()))[0] > REPLIES_KEPT_NS:
            self._replies.popitem(last=False)

    def _do(self, request: Request) -> Reply:
        verb = self._verbs.get(request.command)
        if verb is None:
            known = ", ".join(self._verbs)
            return self._reply(
                request, ReplyStatus.ERROR, {"error": f"unknown command {request.command!r}: {known}"}
            )
        try:
            self._find_engine()
            self._check_epoch(request.body)
            return self._reply(request, ReplyStatus.OK, verb(request.body))
        except Denied as denial:
            return self._reply(request, ReplyStatus.DENIED, {"error": str(denial)})
        except (Pr3dictError, ShmError, OSError) as error:
            return self._reply(request, ReplyStatus.ERROR, {"error": str(error)})

    def _reply(self, request: Request, status: ReplyStatus, body: Body) -> Reply:
        return Reply(request.request_id, status, body, self.epoch)

    def _check_epoch(self, body: Body) -> None:
        expected = body.get("expected_epoch")
        if expected is not None and expected != self.epoch:
            raise RefusedByState(f"this engine has epoch {self.epoch}, not {expected}: it was started again")

    def _status(self) -> Body:
        return self._view.document(self._clock_ns())

    def _pause(self) -> Body:
        return {"changed": self._set(Word.PAUSED)}

    def _set(self, word: Word) -> bool:
        if self._view.words is None:
            raise RefusedByState(f"{self._directory}: no engine runs here")
        return self._view.words.set(word)

    def _resume(self, body: Body) -> Body:
        named = body.get("reasons", [])
        reasons = [str(reason) for reason in named] if isinstance(named, list) else []
        switch = self._view.switch
        lifted = [halt.reason for halt in switch.resume(reasons).halts] if switch.state().halted else []
        words = self._view.words
        paused = words is not None and words.is_set(Word.PAUSED)
        if words is not None and paused:
            words.clear(Word.PAUSED, words.read(Word.PAUSED))
        if not lifted and not paused:
            raise RefusedByState("neither halted nor paused: nothing to resume")
        return {"lifted": lifted, "unpaused": paused}

    def _halt(self, body: Body) -> Body:
        who, text = str(body.get("who", "control")), str(body.get("text", ""))
        if not self._view.switch.in_force:
            self._view.switch.halt(Reason.HALTED, who, text)
            return {"changed": True}
        return {"changed": False}

    def _shutdown(self, body: Body) -> Body:
        if body.get("confirm") is not True:
            raise Denied("a shutdown stops every process of the engine: say it with --confirm")
        return {"changed": self._set(Word.STOPPING)}

    def _look(self) -> int:
        """Tell subscribers what is different from the last look; how many events that were."""
        now_ns = self._clock_ns()
        if now_ns - self._looked_ns < LOOK_EVERY_NS:
            return 0
        self._looked_ns = now_ns
        before = self._sequence
        with suppress(ShmError):  # one that is not finished: the next look will find it
            self._find_engine()
            self._look_at_words()
            self._look_at_processes(now_ns)
        return self._sequence - before

    def _look_at_processes(self, now_ns: int) -> None:
        health = self._view.health
        for process in () if health is None else health.read():
            condition = process.condition(now_ns)
            if self._told.get(process.name, "absent") != condition:
                self._told[process.name] = condition
                body = {"process": process.name, "condition": condition, "error": process.error}
                self._tell(EventKind.PROCESS, body)

    def _find_engine(self) -> None:
        """Attach what an engine has made since we looked last: words of a dead one steer nobody."""
        if not self._view.is_current():
            self._view = EngineView(self._directory, self._state_dir)

    def _word_bits(self) -> int:
        return 0 if self._view.words is None else self._view.words.bits()

    def _look_at_words(self) -> None:
        bits = self._word_bits()
        changed, self._words_told = bits ^ self._words_told, bits
        kinds = {Word.HALTED: EventKind.HALT, Word.PAUSED: EventKind.PAUSE, Word.STOPPING: EventKind.SHUTDOWN}
        for word, kind in kinds.items():
            if changed >> word & 1:
                on = bool(bits >> word & 1)
                reasons = self._view.switch.state().reasons
                self._tell(kind if on else EventKind.RESUME, {"word": word.name.lower(), "reasons": reasons})

    def _tell(self, kind: EventKind, body: Body) -> None:
        self._sequence += 1
        self._publisher.send_multipart(event_frames(Event(kind, self._sequence, body)), zmq.DONTWAIT)


class RequestAllowance:
    """How many requests may be done: REQUESTS_BURST at once, REQUESTS_A_SECOND in the long run."""

    def __init__(self, now_ns: int) -> None:
        self._left = REQUESTS_BURST * NS_PER_S
        self._at_ns = now_ns

    def take(self, now_ns: int) -> bool:
        """Whether one more may be done now, and count it."""
        gained = max(now_ns - self._at_ns, 0) * REQUESTS_A_SECOND
        self._left = min(self._left + gained, REQUESTS_BURST * NS_PER_S)
        self._at_ns = now_ns
        if self._left < NS_PER_S:
            return False
        self._left -= NS_PER_S
        return True


def _lock(path: Path) -> int:
    """Hold the directory for this process: libzmq itself would take a socket away from a living server."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, SOCKET_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise RefusedByState(f"{path.parent}: another control process serves this directory") from error
    return descriptor
