"""The owner of one engine: makes its run directory, starts its processes, and ends with them.

It trades nothing and is on nobody's path. Live, a process that ends badly, or hangs, is begun again: it takes
over its segments, and the executor its journal. The processes outlive it: a later owner takes the living
ones over and begins those again that died meanwhile. In a replay the end of one ends the run, for a result
without it would not be the run's, and all of them end with their owner. Those beside the engine (control,
monitor) end with it too, and are begun again in any case: when they end, and when they stand still.
"""

from __future__ import annotations

import select
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Self

import orjson

from engine import typed_tree
from engine.config import Role
from engine.errors import ConfigError, EngineRunning, Pr3dictError
from engine.units import NS_PER_S
from procs.control_words import ControlWords, Word
from procs.findings import Findings
from procs.halt import HaltSwitch
from procs.health import HealthTable, ProcessState
from procs.nursery import Nursery
from procs.pace import EngineClock, Seats
from procs.parts import VENUES
from procs.run_directory import Description, RunDirectory, bell_name
from procs.sign_of_life import last_sign_ns
from procs.wards import FOUND_SUFFIX, STOP_S_MAX, Ward, Wardship, end
from procs.wires import Wires
from shm.doorbell import Doorbell

LOOK_S: Final = 0.02  # in a replay, which ends by itself
LOOK_LATE_NS: Final = 2 * NS_PER_S
ATTENDANT_PATIENCE: Final = 3  # times as long: one client of theirs may keep them for seconds
LIVE_LOOK_S: Final = 0.25  # for what hangs, and what is asked: one that ends wakes us
REFUSALS: Final = (2, 4, 5)  # exit codes: usage, denied, refused by the present state
SPEAKER: Final = "pr3dict: "
WATCHED: Final = frozenset({ProcessState.READY, ProcessState.DEGRADED})


class ProcessFailed(Pr3dictError):
    """A process of the engine ended before the run did."""


class Supervisor:
    """Runs the engine of ``description`` in ``directory``, which it has claimed, over the segments there.

    ``wires``, ``clock`` and ``seats`` are for looking on. ``create`` makes an engine, ``attach`` takes one
    over.
    """

    def __init__(
        self, directory: RunDirectory, description: Description, words: ControlWords, nursery: Nursery | None
    ) -> None:
        self._directory = directory
        self._description = description
        self._config = description.config.supervisor
        self._wards: dict[str, Ward] = {}  # processes of the engine
        self._attendants: list[Ward] = []
        self._words = words
        path = directory.path
        self.wires = Wires.join(VENUES, path, (), 0)
        self.clock = EngineClock.attach(path)
        self.seats = Seats.attach(description.seats, path)
        self._health = HealthTable.attach(path)
        self._wardship = Wardship(path, self._config, nursery, self._health.ended_well)
        self._is_new = True
        self._looked_ns = 0

    @classmethod
    def create(
        cls, directory: RunDirectory, description: Description, start_ns: int, nursery: Nursery | None = None
    ) -> Self:
        """Make the segments of an engine that begins at ``start_ns``."""
        path, epoch = directory.path, description.boot_epoch
        wires = Wires.create(VENUES, description.config.engine.market_slots, path, epoch)
        clock = EngineClock.create(path, epoch)
        if description.input.live:
            clock.go_live()
        else:
            clock.move(start_ns, turn=1)  # whoever conducts the replay hands out the turns
        Seats.create(description.seats, path, epoch)
        bells = [
            Doorbell.create(
                name=bell_name(seat),
                epoch=epoch,
                directory=path,
                for_event_loop=description.runs_a_loop(seat),
            )
            for seat in description.seats
        ]
        HealthTable.create(description.seats, path, epoch)
        words = HaltSwitch.create(path, Path(description.state_dir), epoch).words
        assert words is not None, "they were just made"
        wires.release()  # to those who write them
        for bell in bells:
            bell.segment.close()
        directory.describe(description)
        return cls(directory, description, words, nursery)

    @classmethod
    def attach(cls, directory: RunDirectory, description: Description, nursery: Nursery | None) -> Self:
        """Become the owner of an engine that lives without one."""
        words = ControlWords.attach(directory.path)
        supervisor = cls(directory, description, words, nursery)
        supervisor._is_new = False  # trading goes on, whatever keeps those beside it from running
        for process in description.processes:
            found = supervisor._wardship.find(
                process.name,
                ("proc", process.name),
                partial(supervisor._health.ended_well, process.name),
            )
            if found is not None:
                supervisor._wards[process.name] = found
        return supervisor

    def start(self) -> None:
        """Start every process that does not run."""
        for process in self._description.processes:
            if process.name not in self._wards:
                self._refuse_new_venues(process.name)
                command = ("proc", process.name)
                self._wards[process.name] = self._wardship.begin(
                    process.name, command, outlives=self._is_live
                )

    def attend(self, name: str, command: Sequence[str]) -> None:
        """Keep ``pr3dict COMMAND --run-dir ...`` running beside the engine."""
        before = self._wardship.find(name, command, lambda: True)
        if before is not None:  # of an owner that has just died: it is ending
            end(before.process)
        self._attendants.append(self._wardship.begin(name, command))

    def wait(self, on_look: Callable[[], None], is_over: Callable[[], bool] = lambda: False) -> None:
        """Until every process has ended well, or ``is_over`` says so.

        ProcessFailed, with its last line, when one has ended badly that cannot be begun again, or that has
        been ``restarts_max`` times in a row.
        """
        while not (is_over() or self.is_stopping or self._all_have_ended()):
            now_s = time.monotonic()
            for attendant in self._attendants:
                if self._is_new and not attendant.restarts:
                    _refuse_unfit(attendant)
                self._look_after(attendant, now_s, outlives=False)
            for name, ward in self._wards.items():
                self._look_at(name, ward, now_s)
            if self._is_live:
                self._kill_hanging(now_s)
            on_look()
            self._rest(LIVE_LOOK_S if self._is_live else LOOK_S)

    def _rest(self, rest_s: float) -> None:
        """Until the next look is due, a process has ended, or one that has is to be begun again."""
        ended = select.poll()
        now_s = time.monotonic()
        for ward in (*self._wards.values(), *self._attendants):
            if ward.due_s:
                rest_s = min(rest_s, max(ward.due_s - now_s, LOOK_S))
            if ward.process.descriptor is not None:
                ended.register(ward.process.descriptor, select.POLLIN)
        ended.poll(rest_s * 1000)

    def stop(self) -> None:
        """End every process, one after another (``Description.endings``).

        Live they are told by the word and go by themselves, when orders and plans in flight are over or have
        had their time; an executor that dies meanwhile is begun again to resolve what it had. Who does not
        go, who would wait for an executor that is not begun again, and whoever is stopped in a replay, is
        asked by SIGTERM.
        """
        if self._is_live:
            self._words.set(Word.STOPPING)
            self._wait_for_all(time.monotonic())
        for name in self._description.endings:
            if name in self._wards:
                end(self._wards[name].process)
        for attendant in self._attendants:
            end(attendant.process)

    def _wait_for_all(self, now_s: float) -> None:
        """Until all have gone, or had their time, or the executor is dead and stays so."""
        until_s = now_s + self._config.drain_max_ns / NS_PER_S + STOP_S_MAX
        executor = self._wards.get(self.executor)
        if executor is not None and executor.due_s:
            executor.due_s = now_s  # nobody has the time to wait for it
        while now_s < until_s and self._any_lives():
            if executor is not None and not self._bring_back(executor, now_s):
                return
            time.sleep(LOOK_S)
            now_s = time.monotonic()

    @property
    def is_stopping(self) -> bool:
        """Whether an operator has asked the engine to end."""
        return self._words.is_set(Word.STOPPING)

    @property
    def executor(self) -> str:
        """Name of the process that has the executor."""
        processes = self._description.processes
        return next(process.name for process in processes if Role.EXECUTOR in process.roles)

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

    @property
    def _is_live(self) -> bool:
        return self._description.input.live

    def _look_at(self, name: str, ward: Ward, now_s: float) -> None:
        """A process of the engine that has ended before the run did is begun again, or ends the run."""
        code = ward.process.poll()
        if code is None or (code == 0 and self._is_over()) or self.is_stopping:
            return
        if not ward.due_s and not self._may_restart(name, ward, code):
            raise ProcessFailed(f"process {name} ended with {code}: {ward.last_line()}")
        self._look_after(ward, now_s, outlives=self._is_live)

    def _any_lives(self) -> bool:
        return any(ward.process.poll() is None for ward in self._wards.values())

    def _bring_back(self, executor: Ward, now_s: float) -> bool:
        """Begin an executor again that has died before it was done: orders in flight would be nobody's.

        False when it is dead and cannot be: nobody answers it where the simulated venues are gone.
        """
        code = executor.process.poll()
        if not code:
            return True
        answered = any(
            self._is_venue(name) and ward.process.poll() is None for name, ward in self._wards.items()
        )
        may = bool(executor.due_s) or self._may_restart(executor.name, executor, code)
        if answered and may:
            self._look_after(executor, now_s, outlives=True)
        return answered and may

    def _all_have_ended(self) -> bool:
        return all(ward.process.poll() == 0 for ward in self._wards.values()) and self._is_over()

    def _is_over(self) -> bool:
        """Whether the replay is."""
        self.clock.now_ns()
        return self.clock.ended

    def _may_restart(self, name: str, ward: Ward, code: int) -> bool:
        """A replay cannot go on without a process, and nothing without the simulated venues' memory.

        Nor does it help to begin one again that refused to run.
        """
        may = self._is_live and not self._is_venue(name) and code not in REFUSALS
        return may and ward.restarts < self._config.restarts_max

    def _is_venue(self, name: str) -> bool:
        return Role.VENUE_SIM in self._description.process(name).roles

    def _refuse_new_venues(self, name: str) -> None:
        """New simulated venues would know nothing of the orders that the others have sent."""
        if self._wards and self._is_venue(name) and (self._directory.path / f"{name}.stderr").exists():
            raise ProcessFailed(f"process {name} ended while the engine had no owner")

    def _look_after(self, ward: Ward, now_s: float, *, outlives: bool) -> None:
        if ward.process.poll() is None:
            return
        if not ward.due_s:
            ward.fell(now_s, self._config)
        elif ward.due_s <= now_s:
            self._wardship.begin_again(ward, outlives=outlives)

    def _kill_hanging(self, now_s: float) -> None:
        """Kill a process that is ready and has not beaten for too long, or is not ready for too long.

        It is then begun again. Simulated venues that are ready are left alone: only they know what they have,
        and they may come back.
        """
        now_ns = time.monotonic_ns()
        before_ns, self._looked_ns = self._looked_ns, now_ns
        if now_ns - before_ns > LOOK_LATE_NS:
            return  # we stood still ourselves, and so may everybody have
        for attendant in self._attendants:
            if not attendant.due_s and self._stands_still(attendant, now_ns):
                attendant.process.send_signal(signal.SIGKILL)
        for row in self._health.read():
            ward = self._wards.get(row.name)
            if ward is None or ward.due_s:
                continue
            if ward.process.pid == row.pid and row.state is not ProcessState.STARTING:
                is_silent = now_ns - row.heartbeat_ns > self._config.silent_max_ns
                hangs = row.state in WATCHED and is_silent and not self._is_venue(row.name)
            else:  # what the row says else is of the one before
                hangs = (now_s - ward.began_s) * NS_PER_S > self._config.start_max_ns
            if hangs:
                ward.process.send_signal(signal.SIGKILL)

    def _stands_still(self, attendant: Ward, now_ns: int) -> bool:
        """Whether one beside the engine has not been round its loop for too long, or never was."""
        began_ns = round(attendant.began_s * NS_PER_S)
        sign_ns = last_sign_ns(self._directory.path, attendant.name)
        if sign_ns < began_ns:  # of the one before
            return now_ns - began_ns > self._config.start_max_ns
        return now_ns - sign_ns > ATTENDANT_PATIENCE * self._config.silent_max_ns


def _refuse_unfit(attendant: Ward) -> None:
    """Raise what a process beside the engine says when it cannot run here at all."""
    code = attendant.process.poll()
    if code in REFUSALS:
        said = attendant.last_line().removeprefix(SPEAKER)
        raise ConfigError(said) if code == REFUSALS[0] else EngineRunning(said)
