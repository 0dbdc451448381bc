"""The owner of one engine: makes its run directory, starts its processes, and ends with them.

It trades nothing and is on nobody's path. A process of the engine that ends badly ends the run: what it knew
is gone, and a result without it would not be the run's. Those beside it (control, monitor) are begun again.
"""

from __future__ import annotations

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
from engine.errors import Pr3dictError
from procs.findings import Findings
from procs.halt import HaltSwitch
from procs.health import HealthTable
from procs.pace import EngineClock, Seats
from procs.parts import VENUES
from procs.process import FOUND_SUFFIX
from procs.run_directory import Description, RunDirectory, bell_name
from procs.wires import Wires
from shm.doorbell import Doorbell

LOOK_S: Final = 0.02
STOP_S_MAX: Final = 10.0  # from SIGTERM to SIGKILL
TEXT_BYTES_MAX: Final = 400
RESTART_S_MIN: Final = 0.25
RESTART_S_MAX: Final = 30.0


class ProcessFailed(Pr3dictError):
    """A process of the engine ended before the run did."""


@dataclass(slots=True)
class Child:
    """A process of this engine; ``said`` is the file of its stderr."""

    name: str
    process: subprocess.Popen[bytes]
    said: Path


@dataclass(slots=True)
class Attendant:
    """A process beside the engine, on nobody's path: begun again when it ends, later each time."""

    child: Child
    command: Sequence[str]
    delay_s: float = RESTART_S_MIN
    due_s: float = 0.0  # of the monotonic clock; 0: it runs


class Supervisor:
    """Runs the engine of ``description`` in ``directory``, which it has claimed, from ``start_ns`` on."""

    def __init__(self, directory: RunDirectory, description: Description, start_ns: int) -> None:
        self._directory = directory
        self._description = description
        self._children: list[Child] = []
        self._attendants: list[Attendant] = []
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
        HaltSwitch.create(path, Path(description.state_dir), epoch)
        directory.describe(description)

    def start(self) -> None:
        """Start every process."""
        for process in self._description.processes:
            self._children.append(self._begin(process.name, ("proc", process.name)))

    def attend(self, name: str, command: Sequence[str]) -> None:
        """Keep ``pr3dict COMMAND --run-dir ...`` running beside the engine."""
        self._attendants.append(Attendant(self._begin(name, command), command))

    def _begin(self, name: str, command: Sequence[str]) -> Child:
        said = self._directory.path / f"{name}.stderr"
        with said.open("wb") as stderr:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "procs.cli.main", *command, "--run-dir", str(self._directory.path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        return Child(name, process, said)

    def _look_at_attendants(self) -> None:
        now_s = time.monotonic()
        for attendant in self._attendants:
            if attendant.child.process.poll() is None:
                continue
            if not attendant.due_s:
                attendant.due_s = now_s + attendant.delay_s
                attendant.delay_s = min(2 * attendant.delay_s, RESTART_S_MAX)
            elif attendant.due_s <= now_s:
                attendant.due_s = 0.0
                attendant.child = self._begin(attendant.child.name, attendant.command)

    def wait(self, on_look: Callable[[], None], is_over: Callable[[], bool] = lambda: False) -> None:
        """Until every process has ended well, or ``is_over`` says so.

        ProcessFailed, with its last line, as soon as one has ended badly.
        """
        while not is_over():
            self._look_at_attendants()
            codes = [child.process.poll() for child in self._children]
            for child, code in zip(self._children, codes, strict=True):
                if code:
                    raise ProcessFailed(f"process {child.name} ended with {code}: {_last_line(child.said)}")
            if all(code == 0 for code in codes):
                return
            on_look()
            time.sleep(LOOK_S)

    def stop(self) -> None:
        """Ask every process to end, one after another: those that decide before those they hear of."""
        places = {name: place for place, name in enumerate(self._description.seats)}
        for child in sorted(self._children, key=lambda child: -places[child.name]):
            _end(child)
        for attendant in self._attendants:
            _end(attendant.child)

    def findings(self) -> Findings:
        """What all of them left."""
        found = Findings()
        for child in self._children:
            left = (self._directory.path / f"{child.name}{FOUND_SUFFIX}").read_bytes()
            found = found.with_parts(typed_tree.build(Findings, orjson.loads(left), child.name))
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


def _last_line(said: Path) -> str:
    lines = said.read_bytes()[-TEXT_BYTES_MAX:].decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
