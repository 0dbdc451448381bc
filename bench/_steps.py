"""Instructions of some work, counted one by one: to some units, and no counters of the processor are needed.

A child of this process, forked with everything loaded, does the work while its parent lets it go on by one
instruction at a time (``ptrace``). What is counted is what its program executes: a system call is one, the
kernel's own work is none, each round of a repeated string instruction is one. An instruction belongs to
compiled code when it lies in memory that is executable and of no file, where the compiler puts what it makes:
kernels, and how Python comes into them, but not what kernels call in the C library, as the clock.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Final, NamedTuple

TRACE_ME: Final = 0
PEEK_USER: Final = 3
GO_ON: Final = 7
SINGLE_STEP: Final = 9
SET_OPTIONS: Final = 0x4200
EXIT_KILL: Final = 1 << 20
IP_OFFSET: Final = 16 * 8  # of ``rip`` in the ``struct user`` of Linux on x86-64
LINE_BITS: Final = 6
WARM_ROUNDS: Final = 32  # Python adapts its own code to what it meets
ROUNDS: Final = 1
DEADLINE_S: Final = 120
FAILED: Final = 3  # exit code of a child whose work raised
MACHINE: Final = ("linux", "x86_64")

Places = Counter[int]  # how often a child was at each address


class Steps(NamedTuple):
    """What a round of some work executed: instructions, and the lines of 64 bytes that they lie in."""

    instructions: float
    compiled: float  # of these, in compiled code
    lines: float
    compiled_lines: float


def can_count() -> bool:
    """Whether this is a machine whose registers we know by their places, and we may trace our children."""
    return (sys.platform, os.uname().machine) == MACHINE and _may_trace()


@cache
def _may_trace() -> bool:
    try:
        return per_round(lambda: None).instructions > 0
    except (OSError, RuntimeError):
        return False


def per_round(
    work: Callable[[], object], before: Callable[[], object] = lambda: None, rounds: int = ROUNDS
) -> Steps:
    """Steps of a round of ``work``, in the mean over so many, with ``before`` done uncounted before each.

    OSError where nobody may trace, RuntimeError where something raised, crashed, or stood still. Nothing that
    they do outside of shared memory and files is there afterwards.
    """
    none, _ = _places(work, before, rounds, is_counted=False)
    some, compiled = _places(work, before, rounds, is_counted=True)
    some.subtract(none)
    kernels = Counter(
        {place: times for place, times in some.items() if any(place in part for part in compiled)}
    )
    return Steps(some.total() / rounds, kernels.total() / rounds, float(_lines(some)), float(_lines(kernels)))


def per_item(work: Callable[[int], object], few: int, many: int) -> Steps:
    """Steps of one of the items that ``work`` does so many of: what more of them add."""
    fewer, more = (per_round(partial(work, count), rounds=1) for count in (few, many))
    return Steps(*((after - before) / (many - few) for before, after in zip(fewer, more, strict=True)))


def _lines(places: Places) -> int:
    return len({place >> LINE_BITS for place, times in places.items() if times > 0})


class _Tracer:
    """The parent's side: a child that stands still wherever it is looked at."""

    def __init__(self, pid: int) -> None:
        self._pid, self._is_there = pid, True
        self._trace = ctypes.PyDLL(None, use_errno=True).ptrace
        self._trace.restype = ctypes.c_long
        self._trace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)

    def wait(self) -> int:
        """The signal with which the child stopped; RuntimeError when it ended, or by one of neither kind."""
        _, status = os.waitpid(self._pid, os.WUNTRACED)
        self._is_there = os.WIFSTOPPED(status)
        if not self._is_there:
            raise RuntimeError(f"what was counted ended early, with status {status}")
        how = os.WSTOPSIG(status)
        if how not in (signal.SIGTRAP, signal.SIGSTOP):
            raise RuntimeError(f"what was counted was stopped by signal {how}")
        return how

    def begin(self) -> None:
        """Wait for the child, which ends when we do from now on; OSError where it could not be traced."""
        self.wait()
        if self._trace(SET_OPTIONS, self._pid, None, EXIT_KILL) != 0:
            raise OSError(ctypes.get_errno(), "nobody may trace here")

    def end(self) -> None:
        """Be rid of the child."""
        if self._is_there:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)

    def places(self, rounds: int) -> Places:
        """Let the child do so many rounds; where it was between their marks."""
        seen: Places = Counter()
        for _ in range(rounds):
            self._expect_mark(GO_ON)
            while self._step(seen) != signal.SIGSTOP:
                pass
        return seen

    def _step(self, seen: Places) -> int:
        seen[self._trace(PEEK_USER, self._pid, IP_OFFSET, None)] += 1
        return self._go(SINGLE_STEP)

    def _expect_mark(self, how: int) -> None:
        if self._go(how) != signal.SIGSTOP:
            raise RuntimeError("the process to count in did not come to its next mark")

    def _go(self, how: int) -> int:
        """Let the child go on; the signal with which it stops again."""
        if self._trace(how, self._pid, None, None) != 0:
            raise OSError(ctypes.get_errno(), "nobody may trace here")
        return self.wait()


def _places(
    work: Callable[[], object], before: Callable[[], object], rounds: int, *, is_counted: bool
) -> tuple[Places, list[range]]:
    """Where a child was between its marks, ``work`` being there if it is counted, and its compiled memory.

    Both are on one core, which is many times faster: another one would have to be woken at each step.
    """
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        pid = os.fork()
        if pid == 0:
            _be_counted(work, before, rounds, is_counted=is_counted)
        tracer = _Tracer(pid)
        try:
            tracer.begin()
            places = tracer.places(rounds)
            return places, _compiled_memory(pid)
        finally:
            tracer.end()
    finally:
        os.sched_setaffinity(0, allowed)


def _be_counted(
    work: Callable[[], object], before: Callable[[], object], rounds: int, *, is_counted: bool
) -> None:
    """The child's side; does not come back."""
    stop = partial(signal.raise_signal, signal.SIGSTOP)
    try:
        gc.disable()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(DEADLINE_S)  # whoever blocks is stopped by it
        ctypes.PyDLL(None).ptrace(TRACE_ME, 0, None, None)
        stop()
        for _ in range(WARM_ROUNDS):
            before()
            work()
        for _ in range(rounds):
            before()
            stop()
            if is_counted:
                work()
            stop()
            if not is_counted:
                work()
    except Exception:  # noqa: BLE001 - nobody else hears of it
        traceback.print_exc()
    finally:
        os._exit(FAILED)


def _compiled_memory(pid: int) -> list[range]:
    """Executable memory of no file."""
    found = []
    for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if "x" in words[1] and len(words) == len(("range", "rights", "offset", "device", "inode")):
            begin, _, end = words[0].partition("-")
            found.append(range(int(begin, 16), int(end, 16)))
    return found
