"""The owner of one engine: makes its run directory, starts its processes, and ends with them.

It trades nothing and is on nobody's path. A process that ends badly ends the run here: what it knew is gone,
and a result without it would not be the run's.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
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


class ProcessFailed(Pr3dictError):
    """A process of the engine ended before the run did."""


@dataclass(slots=True)
class Child:
    """A process of this engine; ``said`` is the file of its stderr."""

    name: str
    process: subprocess.Popen[bytes]
    said: Path


class Supervisor:
    """Runs the engine of ``description`` in ``directory``, which it has claimed, from ``start_ns`` on."""

    def __init__(self, directory: RunDirectory, description: Description, start_ns: int) -> None:
        self._directory = directory
        self._description = description
        self._children: list[Child] = []
        path, epoch = directory.path, description.boot_epoch
        self.wires = Wires.create(VENUES, description.config.engine.market_slots, path, epoch)
        self.clock = EngineClock.create(path, epoch)
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
            said = self._directory.path / f"{process.name}.stderr"
            with said.open("wb") as stderr:
                command = [sys.executable, "-m", "procs.cli.main", "proc", process.name]
                child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                    [*command, "--run-dir", str(self._directory.path)],
                    stderr=stderr,
                    stdin=subprocess.DEVNULL,
                )
            self._children.append(Child(process.name, child, said))

    def wait(self, on_look: Callable[[], None]) -> None:
        """Until every process has ended well; ProcessFailed, with its last line, as soon as one has not."""
        while True:
            codes = [child.process.poll() for child in self._children]
            for child, code in zip(self._children, codes, strict=True):
                if code:
                    raise ProcessFailed(f"process {child.name} ended with {code}: {_last_line(child.said)}")
            if all(code == 0 for code in codes):
                return
            on_look()
            time.sleep(LOOK_S)

    def stop(self) -> None:
        """Ask every process to end, first those that decide; kill what does not within STOP_S_MAX."""
        for child in reversed(self._children):
            if child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
        until_s = time.monotonic() + STOP_S_MAX
        for child in self._children:
            try:
                child.process.wait(max(0.0, until_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()

    def findings(self) -> Findings:
        """What all of them left."""
        found = Findings()
        for child in self._children:
            left = (self._directory.path / f"{child.name}{FOUND_SUFFIX}").read_bytes()
            found = found.with_parts(typed_tree.build(Findings, orjson.loads(left), child.name))
        return found


def _last_line(said: Path) -> str:
    lines = said.read_bytes()[-TEXT_BYTES_MAX:].decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
