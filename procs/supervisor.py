"""The owner of one engine: makes its run directory, starts its processes, and ends with them.

It trades nothing and is on nobody's path. Live, a process that ends badly is begun again: it takes over its
segments, and the executor its journal. In a replay that ends the run, for a result without it would not be
the run's. Those beside the engine (control, monitor) are begun again in any case.
"""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from engine import typed_tree
from engine.config import Role
from engine.errors import ConfigError, EngineRunning, Pr3dictError
from procs.control_words import Word
from procs.findings import Findings
from procs.halt import HaltSwitch
from procs.health import HealthTable
from procs.pace import EngineClock, Seats
from procs.parts import VENUES
from procs.run_directory import FOUND_SUFFIX, Description, RunDirectory, bell_name
from procs.wires import Wires
from shm.doorbell import Doorbell

LOOK_S: Final = 0.02  # in a replay, which ends by itself
LIVE_LOOK_S: Final = (
    0.1  # nothing waits for it there: looking five times as often costs a hundredth of a core
)
STOP_S_MAX: Final = 10.0  # from SIGTERM to SIGKILL
TEXT_BYTES_MAX: Final = 400
RESTART_S_MIN: Final = 0.25
RESTART_S_MAX: Final = 30.0
SETTLED_S: Final = 60.0  # whoever has lived that long is begun again at once
RESTARTS_MAX: Final = 20
REFUSALS: Final = (2, 4, 5)  # exit codes: usage, denied, refused by the present state
SPEAKER: Final = "pr3dict: "
PR_SET_PDEATHSIG: Final = 1

_LIBC: Final = ctypes.CDLL(None)


class ProcessFailed(Pr3dictError):
    """A process of the engine ended before the run did."""


@dataclass(slots=True)
class Child:
    """A process of this engine; ``said`` is the file of its stderr."""

    name: str
    process: subprocess.Popen[bytes]
    said: Path


@dataclass(slots=True)
class Ward:
    """A process that is begun again when it ends badly, later each time it does so soon."""

    child: Child
    command: Sequence[str]
    began_s: float  # of the monotonic clock, as the others
    delay_s: float = RESTART_S_MIN
    due_s: float = 0.0  # 0: it runs
    restarts: int = 0

    def fell(self, now_s: float) -> None:
        """It has ended: say when it is begun again."""
        if now_s - self.began_s > SETTLED_S:
            self.delay_s, self.restarts = RESTART_S_MIN, 0
        self.due_s = now_s + self.delay_s
        self.delay_s = min(2 * self.delay_s, RESTART_S_MAX)


class Supervisor:
    """Runs the engine of ``description`` in ``directory``, which it has claimed, from ``start_ns`` on."""

    def __init__(self, directory: RunDirectory, description: Description, start_ns: int) -> None:
        self._directory = directory
        self._description = description
        self._wards: dict[str, Ward] = {}  # processes of the engine
        self._attendants: list[Ward] = []
        path, epoch = directory.path, description.boot_epoch
        self.wires = Wires.create(VENUES, description.config.engine.market_slots, path, epoch)
        self.clock = EngineClock.create(path, epoch)
        if description.input.live:
            self.clock.go_live()
        else:
            self.clock.move(start_ns, turn=1)  # whoever conducts the replay hands out the turns
        self.seats = Seats.create(description.seats, path, epoch)
        self._bells = [
            Doorbell.create(
                name=bell_name(seat),
                epoch=epoch,
                directory=path,
                for_event_loop=description.runs_a_loop(seat),
            )
            for seat in description.seats
        ]
        HealthTable.create(description.seats, path, epoch)
        self._words = HaltSwitch.create(path, Path(description.state_dir), epoch).words
        self.wires.release()  # to those who write them
        for bell in self._bells:
            bell.segment.close()
        directory.describe(description)

    def start(self) -> None:
        """Start every process."""
        for process in self._description.processes:
            self._wards[process.name] = self._begin(process.name, ("proc", process.name))

    def attend(self, name: str, command: Sequence[str]) -> None:
        """Keep ``pr3dict COMMAND --run-dir ...`` running beside the engine."""
        self._attendants.append(self._begin(name, command))

    def wait(self, on_look: Callable[[], None], is_over: Callable[[], bool] = lambda: False) -> None:
        """Until every process has ended well, or ``is_over`` says so.

        ProcessFailed, with its last line, when one has ended badly that cannot be begun again, or that has
        been RESTARTS_MAX times in a row.
        """
        while not (is_over() or self.is_stopping or self._all_have_ended()):
            now_s = time.monotonic()
            for attendant in self._attendants:
                _refuse_unfit(attendant.child)
                self._look_after(attendant, now_s)
            for name, ward in self._wards.items():
                self._look_at(name, ward, now_s)
            on_look()
            time.sleep(LIVE_LOOK_S if self._description.input.live else LOOK_S)

    def _look_at(self, name: str, ward: Ward, now_s: float) -> None:
        """A process of the engine that has ended before the run did is begun again, or ends the run."""
        code = ward.child.process.poll()
        if code is None or (code == 0 and self._is_over()):
            return
        if not ward.due_s and not self._may_restart(name, ward, code):
            raise ProcessFailed(f"process {name} ended with {code}: {_last_line(ward.child.said)}")
        self._look_after(ward, now_s)

    def _all_have_ended(self) -> bool:
        return all(ward.child.process.poll() == 0 for ward in self._wards.values()) and self._is_over()

    def _is_over(self) -> bool:
        """Whether the replay is."""
        self.clock.now_ns()
        return self.clock.ended

    @property
    def is_stopping(self) -> bool:
        """Whether an operator has asked the engine to end."""
        return self._words is not None and self._words.is_set(Word.STOPPING)

    @property
    def executor(self) -> str:
        """Name of the process that has the executor."""
        processes = self._description.processes
        return next(process.name for process in processes if Role.EXECUTOR in process.roles)

    def stop(self) -> None:
        """Ask every process to end, one after another: those that decide before those they hear of."""
        for name in sorted(self._wards, key=self._order_of_ending):
            _end(self._wards[name].child)
        for attendant in self._attendants:
            _end(attendant.child)

    def _order_of_ending(self, name: str) -> tuple[bool, int]:
        """Last in the pipeline first, but who only writes down what the others decide comes after them."""
        only_notes = self._description.process(name).roles == (Role.LEDGER,)
        return only_notes, -self._description.seats.index(name)

    def _may_restart(self, name: str, ward: Ward, code: int) -> bool:
        """A replay cannot go on without a process, and nothing without the simulated venues' memory.

        Nor does it help to begin one again that refused to run.
        """
        is_venue = Role.VENUE_SIM in self._description.process(name).roles
        may = self._description.input.live and not is_venue and code not in REFUSALS
        return may and ward.restarts < RESTARTS_MAX

    def _look_after(self, ward: Ward, now_s: float) -> None:
        if ward.child.process.poll() is None:
            return
        if not ward.due_s:
            ward.fell(now_s)
        elif ward.due_s <= now_s:
            again = self._begin(ward.child.name, ward.command)
            ward.child, ward.began_s, ward.due_s = again.child, again.began_s, 0.0
            ward.restarts += 1

    def _begin(self, name: str, command: Sequence[str]) -> Ward:
        said = self._directory.path / f"{name}.stderr"
        with said.open("wb") as stderr:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "procs.cli.main", *command, "--run-dir", str(self._directory.path)],
                stdin=subprocess.DEVNULL,
                preexec_fn=_end_with_the_owner,  # noqa: PLW1509 - one system call; we have no threads
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        return Ward(Child(name, process, said), command, time.monotonic())

    def findings(self) -> Findings:
        """What all of them left."""
        found = Findings()
        for name in self._wards:
            path = self._directory.path / f"{name}{FOUND_SUFFIX}"
            if not path.exists():
                raise ProcessFailed(f"process {name} ended before it could say what it had found")
            left = path.read_bytes()
            found = found.with_parts(typed_tree.build(Findings, orjson.loads(left), name))
        return found


def _end(child: Child) -> None:
    """SIGTERM, and SIGKILL to what does not end within STOP_S_MAX."""
    if child.process.poll() is None:
        child.process.send_signal(signal.SIGTERM)
    try:
        child.process.wait(STOP_S_MAX)
    except subprocess.TimeoutExpired:
        child.process.kill()
        child.process.wait()


def _end_with_the_owner() -> None:
    """In the child: SIGTERM when the owner has gone, however it went."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _refuse_unfit(child: Child) -> None:
    """Raise what a process beside the engine says when it cannot run here at all."""
    code = child.process.poll()
    if code in REFUSALS:
        said = _last_line(child.said).removeprefix(SPEAKER)
        raise ConfigError(said) if code == REFUSALS[0] else EngineRunning(said)


def _last_line(said: Path) -> str:
    lines = said.read_bytes()[-TEXT_BYTES_MAX:].decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
