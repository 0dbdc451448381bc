"""Processes that an owner looks after: started by it, or found living when it took an engine over.

They are forked by a nursery (``procs.nursery``) while there is one. A process is known by its pid and the
moment it started, which together are never used again before a reboot. The owner notes both beside the
segments as soon as it has started one (``NAME.ward``), so that the next owner finds those that outlived it.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Self

import orjson

from engine.config import SupervisorConfig
from engine.units import NS_PER_S
from procs.nursery import ENDED_BADLY, MAIN, Nursery, NurseryGone, end_with
from procs.whole_file import whole_file

WARD_SUFFIX: Final = ".ward"
FOUND_SUFFIX: Final = ".found.json"  # what a process leaves at its end
JOURNAL_SUFFIX: Final = ".journal"
STOP_S_MAX: Final = 10.0  # from SIGTERM to SIGKILL
TEXT_BYTES_MAX: Final = 400
_ZOMBIE: Final = "Z"
_STARTED_FIELD: Final = 19  # of /proc/PID/stat behind the name: ticks after the boot


class Running:
    """A process by a ``descriptor`` that becomes ours; ``code_of`` is asked for its exit code at its end."""

    def __init__(self, pid: int, descriptor: int, code_of: Callable[[int], int]) -> None:
        self.pid = pid
        self._descriptor = descriptor
        self._code_of = code_of
        self._code: int | None = None
        weakref.finalize(self, os.close, descriptor)

    @classmethod
    def adopt(cls, pid: int, started: int, ended_well: Callable[[], bool]) -> Self:
        """One that another owner started; ``ended_well`` is all that can be known of its end.

        ProcessLookupError when no process with this pid started at that moment.
        """
        descriptor = os.pidfd_open(pid)
        if started_at(pid) != started:  # asked after the descriptor was had: it cannot change any more
            os.close(descriptor)
            raise ProcessLookupError(f"process {pid} is another one by now")
        return cls(pid, descriptor, lambda _: 0 if ended_well() else ENDED_BADLY)

    @property
    def descriptor(self) -> int | None:
        """Readable when it has ended; None when that is known."""
        return self._descriptor if self._code is None else None

    def poll(self) -> int | None:
        """Exit code as far as it can be known; None while it runs."""
        return self._code if self._code is not None else self._look(0)

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._descriptor, sig)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; subprocess.TimeoutExpired."""
        code = self._code if self._code is not None else self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def _look(self, timeout_s: float | None) -> int | None:
        waiting = select.poll()
        waiting.register(self._descriptor, select.POLLIN)
        if waiting.poll(None if timeout_s is None else timeout_s * 1000):
            self._code = self._code_of(self.pid)
        return self._code


@dataclass(slots=True)
class Ward:
    """A process that is begun again when it ends badly, later each time it does so soon."""

    name: str
    command: Sequence[str]
    process: Running
    said: Path  # its stderr
    delay_s: float
    began_s: float  # of the monotonic clock, as the others
    due_s: float = 0.0  # 0: it runs
    restarts: int = 0
    said_before: int = 0  # bytes that earlier lives have left there

    def fell(self, now_s: float, config: SupervisorConfig) -> None:
        """It has ended: say when it is begun again."""
        if now_s - self.began_s > config.settled_ns / NS_PER_S:
            self.delay_s, self.restarts = config.restart_min_ns / NS_PER_S, 0
        self.due_s = now_s + self.delay_s
        self.delay_s = min(2 * self.delay_s, config.restart_max_ns / NS_PER_S)

    def last_line(self) -> str:
        """What it said last."""
        said = self.said.read_bytes()[self.said_before :][-TEXT_BYTES_MAX:]
        lines = said.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


class Wardship:
    """Starts processes of the engine in ``directory``, and finds those that live there.

    ``ended_well``: whether the process of a name has said so, for those whose exit code nobody can tell.
    """

    def __init__(
        self,
        directory: Path,
        config: SupervisorConfig,
        nursery: Nursery | None = None,
        ended_well: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._directory = directory
        self._ended_well = ended_well
        self._config = config
        self._nursery = nursery

    def begin(self, name: str, command: Sequence[str], *, outlives: bool = False) -> Ward:
        """Start ``pr3dict COMMAND --run-dir ...``; unless it ``outlives`` us it ends when we do."""
        said = self._directory / f"{name}.stderr"
        for left in (FOUND_SUFFIX, JOURNAL_SUFFIX):  # of another life
            (self._directory / f"{name}{left}").unlink(missing_ok=True)
        said_before = said.stat().st_size if said.exists() else 0
        argv = [*command, "--run-dir", str(self._directory)]
        process = self._born(name, argv, said, outlives=outlives)
        with whole_file(self._directory / f"{name}{WARD_SUFFIX}") as file:
            file.write(orjson.dumps({"pid": process.pid, "started": started_at(process.pid)}))
        ward = self._ward(name, command, process)
        ward.said_before = said_before
        return ward

    def _ended(self, name: str, code: int) -> int:
        """Exit code of a process of ours; where nobody can tell, what its row says."""
        return 0 if code == ENDED_BADLY and self._ended_well(name) else code

    def _born(self, name: str, argv: Sequence[str], said: Path, *, outlives: bool) -> Running:
        """Forked by the nursery; by a start of its own, which takes seconds, where there is none any more."""
        if self._nursery is not None:
            with suppress(NurseryGone):
                pid, descriptor, code_of = self._nursery.begin(argv, said, outlives=outlives)
                return Running(pid, descriptor, lambda pid: self._ended(name, code_of(pid)))
            self._nursery.close()  # one that is slow must not do later what another does now
            self._nursery = None
        with said.open("ab") as stderr:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", MAIN, *argv],
                stdin=subprocess.DEVNULL,
                preexec_fn=None if outlives else partial(end_with, os.getpid()),  # noqa: PLW1509 - two calls
                start_new_session=outlives,  # a terminal that closes, or its Ctrl-C, is for the owner alone
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        return Running(process.pid, os.pidfd_open(process.pid), lambda _: process.wait())

    def begin_again(self, ward: Ward, *, outlives: bool) -> None:
        """Start another process in place of one that has ended."""
        again = self.begin(ward.name, ward.command, outlives=outlives)
        ward.process, ward.began_s, ward.due_s = again.process, again.began_s, 0.0
        ward.said_before = again.said_before
        ward.restarts += 1

    def find(self, name: str, command: Sequence[str], ended_well: Callable[[], bool]) -> Ward | None:
        """The living process of that name; None when there is none."""
        try:
            noted = orjson.loads((self._directory / f"{name}{WARD_SUFFIX}").read_bytes())
            found = Running.adopt(int(noted["pid"]), int(noted["started"]), ended_well)
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if found.poll() is not None else self._ward(name, command, found)

    def _ward(self, name: str, command: Sequence[str], process: Running) -> Ward:
        said = self._directory / f"{name}.stderr"
        delay_s = self._config.restart_min_ns / NS_PER_S
        return Ward(name, command, process, said, delay_s, time.monotonic())


def end(process: Running) -> None:
    """SIGTERM, and SIGKILL to what does not end within STOP_S_MAX."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S_MAX)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()


def started_at(pid: int) -> int:
    """When a process started, in ticks after the boot; 0 for one that is not there, or has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    fields = stat.rpartition(")")[2].split()
    return 0 if fields[0] == _ZOMBIE else int(fields[_STARTED_FIELD])


def is_noted(directory: Path, name: str) -> bool:
    """Whether the process that an owner noted under this name runs."""
    try:
        noted = orjson.loads((directory / f"{name}{WARD_SUFFIX}").read_bytes())
        return bool(started_at(int(noted["pid"])) == int(noted["started"]) > 0)
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return False  # nobody's note
