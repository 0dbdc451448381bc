"""A process that has loaded everything forks the processes of an engine, so that none loads it again.

Loading takes a process about two seconds; one that is forked begins at once, shares the memory of what was
loaded, and runs the same build whatever has become of the sources meanwhile. The nursery is forked itself, by
an owner that has mapped no segment yet; it closes what the owner had open, opens nothing and runs one thread,
so that what it forks begins as clean as a program of its own would. It ends with its owner; its children do
if they are told to.

Owner and nursery speak over a socket pair, one JSON document a packet: what to begin, that it has begun, and
how it ended. Who began gets a descriptor of the new process, which is valid however soon that ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

import orjson
import setproctitle

from procs.build_id import build_id
from shm import atomics

MAIN: Final = "procs.cli.main"  # imports nothing until it is known what to be; we know
LOADED: Final = (MAIN, "procs.cli.control", "procs.cli.monitor", "procs.cli.proc")
PACKET_BYTES_MAX: Final = 65_536
ANSWER_S_MAX: Final = 60.0  # it loads everything first
CODE_S_MAX: Final = 5.0  # it has nothing else to do
ENDED_BADLY: Final = -1  # exit code of one whose end nobody can tell us
PR_SET_PDEATHSIG: Final = 1
PROGRAM: Final = "pr3dict"
STDERR: Final = 2

_LIBC: Final = ctypes.CDLL(None)

Main = Callable[[Sequence[str]], int]
CodeOf = Callable[[int], int]


class NurseryGone(Exception):
    """The nursery has ended."""


class Nursery:
    """An owner's end of one. Made before the owner maps a segment: the nursery has what it had."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.settimeout(ANSWER_S_MAX)
        self._codes: dict[int, int] = {}
        with theirs:
            self._pid = _fork(partial(_nurse, theirs, os.getpid()))

    def begin(self, argv: Sequence[str], said: Path, *, outlives: bool) -> tuple[int, int, CodeOf]:
        """A new process that runs ``pr3dict ARGV`` and appends to ``said`` what it complains of.

        Its pid, a descriptor of it, and whom to ask for its exit code when it has ended. It ends with us
        unless it ``outlives`` us. Waits until everything is loaded. NurseryGone.
        """
        try:
            self._channel.send(orjson.dumps({"argv": argv, "said": str(said), "outlives": outlives}))
            while (born := self._hear()) is None:
                pass
        except OSError as error:
            raise NurseryGone from error
        return *born, self._code_of

    def close(self) -> None:
        """End it. Those of its children that outlive us live on."""
        self._channel.close()
        pid, self._pid = self._pid, 0  # which may soon be another's
        if pid:
            with contextlib.suppress(ChildProcessError, ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # it may be stuck
                os.waitpid(pid, 0)

    def _code_of(self, pid: int) -> int:
        """How a child that has ended did so: exit code, less than 0 for a signal."""
        try:
            self._channel.settimeout(CODE_S_MAX)
            while pid not in self._codes:
                self._hear()
            self._channel.settimeout(ANSWER_S_MAX)
        except (OSError, NurseryGone):
            return ENDED_BADLY
        return self._codes.pop(pid)

    def _hear(self) -> tuple[int, int] | None:
        """Pid and descriptor of one that has begun; None when it was told how one ended, which is kept."""
        packet, descriptors, _, _ = socket.recv_fds(self._channel, PACKET_BYTES_MAX, 1)
        if not packet:
            raise NurseryGone
        found: dict[str, int] = orjson.loads(packet)
        if descriptors:
            return found["pid"], descriptors[0]
        if "code" not in found:
            raise NurseryGone("there is no room for another descriptor")
        self._codes[found["pid"]] = found["code"]
        return None


def _nurse(channel: socket.socket, owner: int) -> int:
    """Be a nursery: load what an engine's processes need, then serve the owner until it hangs up."""
    setproctitle.setproctitle(f"{PROGRAM} nursery")
    _keep_only(channel.fileno())
    os.setsid()  # a terminal that closes, or its Ctrl-C, is for the owner alone
    end_with(owner)
    for name in LOADED:
        importlib.import_module(name)
    build_id()
    atomics.warm()  # the first compiled call of a process takes a third of a second
    gc.collect()
    gc.freeze()
    main: Main = sys.modules[MAIN].main
    _serve(channel, main)
    return 0


def _serve(channel: socket.socket, main: Main) -> None:
    children: dict[int, int] = {}  # pid by descriptor
    waiting = select.poll()
    waiting.register(channel, select.POLLIN)
    while True:
        for descriptor, _ in waiting.poll():
            if descriptor != channel.fileno():
                waiting.unregister(descriptor)
                _tell_end(channel, descriptor, children.pop(descriptor))
                continue
            packet = channel.recv(PACKET_BYTES_MAX)
            if not packet:
                return
            asked = orjson.loads(packet)
            pid = _fork(partial(_begin, asked, main, os.getpid()))
            born = os.pidfd_open(pid)
            children[born] = pid
            waiting.register(born, select.POLLIN)
            socket.send_fds(channel, [orjson.dumps({"pid": pid})], [born])


def _tell_end(channel: socket.socket, descriptor: int, pid: int) -> None:
    _, status = os.waitpid(pid, 0)
    os.close(descriptor)
    channel.send(orjson.dumps({"pid": pid, "code": os.waitstatus_to_exitcode(status)}))


def _begin(asked: dict[str, object], main: Main, nursery: int) -> int:
    """In the child of a nursery: be what was asked for."""
    argv, said = asked["argv"], Path(str(asked["said"]))
    assert isinstance(argv, list)
    setproctitle.setproctitle(" ".join((PROGRAM, *argv)))
    stderr = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.dup2(stderr, STDERR)
    _keep_only()
    if asked["outlives"]:
        os.setsid()
    else:
        end_with(nursery)
    return main(argv)


def _fork(be: Callable[[], int]) -> int:
    """Pid of a child that runs ``be`` and ends with its answer, whatever comes of it."""
    with _no_signals():
        pid = os.fork()
        if not pid:
            _forget_handlers()
    if not pid:
        _be(be)
    return pid


@contextlib.contextmanager
def _no_signals() -> Iterator[None]:
    """Between the fork and the end of our handlers a signal would be handled twice."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _forget_handlers() -> None:
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _be(be: Callable[[], int]) -> NoReturn:
    """Never go back to the frames below, which are the parent's, nor end what it has open."""
    code = 1
    try:
        gc.freeze()
        _open_nowhere()
        sys.stdin, sys.stdout, sys.stderr = (
            open(number, mode, 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
            for number, mode in ((0, "r"), (1, "w"), (STDERR, "w"))
        )
        code = be()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001 - nobody is left to raise to: it is told
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)


def _open_nowhere() -> None:
    """What is read comes from nowhere, what is printed goes there, and complaints where the parent's go."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):
        os.dup2(nowhere, standard)
    try:
        os.fstat(STDERR)
    except OSError:  # a parent without one
        os.dup2(nowhere, STDERR)


def _keep_only(*descriptors: int) -> None:
    """Close all others but the standard ones."""
    first = STDERR + 1
    for kept in sorted(descriptors):
        os.closerange(first, kept)
        first = kept + 1
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def end_with(parent: int) -> None:
    """SIGTERM when the parent has gone, however it went."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # before it could be asked for
        sys.exit(ENDED_BADLY)
