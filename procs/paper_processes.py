"""A paper run with a process for each of the topology's, in a run directory that ends with it.

A live one may find its processes there already: they outlive their owner, and the same command takes them
over.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import BinaryIO, Final

import numpy as np

from engine.catalog.catalog import Catalog
from engine.catalog.relations import Screened, screen
from engine.config import Config
from engine.errors import ConfigError, EngineRunning, Pr3dictError
from engine.ledger.journal import EntryKind, read_journal
from engine.records import ORDER_EVENT
from engine.units import PPM
from procs.boot_epoch import next_boot_epoch
from procs.build_id import build_id
from procs.findings import Findings
from procs.input_log import unused_folder
from procs.inputs import Input
from procs.nursery import Nursery
from procs.paper_result import PlantedOutcome
from procs.places import runtime_root
from procs.run_directory import (
    CONTROL,
    LOCK_SUFFIX,
    MONITOR,
    OWNER_LOCK,
    PROCESSES_LOCK,
    Description,
    FolderLock,
    RunDirectory,
    living,
    owner_lives,
    read_description,
)
from procs.session_watch import SessionWatch
from procs.supervisor import ProcessFailed, Supervisor
from procs.tapes import describe_logs
from procs.wards import JOURNAL_SUFFIX
from procs.wires import Wires

DECISIONS: Final = "decisions.ndjson"
STATE_LOCK: Final = "engine.lock"
OWN_PREFIX: Final = "pr3dict-paper-"
NEW_S: Final = 60.0  # a folder this young may be of an owner that has not claimed it yet


@dataclass(frozen=True, slots=True)
class Where:
    """Folders of an engine; None: of its own, ending with the run. ``monitor_port`` None: no metrics.

    ``decisions``: file that a live engine appends its decision log to; ``record_inputs``: folder of logs of
    what each agent reads.
    """

    run_dir: Path | None = None
    state_dir: Path | None = None
    monitor_port: int | None = None
    decisions: Path | None = None
    record_inputs: Path | None = None

    def attendants(self, state_dir: Path) -> dict[str, list[str]]:
        """Commands to keep running beside an engine that can be found: operator's commands, metrics."""
        if self.run_dir is None:
            return {}
        found = {CONTROL: [CONTROL, "--watched", "--state-dir", str(state_dir)]}
        if self.monitor_port is not None:
            port = str(self.monitor_port)
            found[MONITOR] = [MONITOR, "--watched", "--state-dir", str(state_dir), "--port", port]
        return found


@dataclass(frozen=True, slots=True)
class Seen:
    """How far the processes have come."""

    frames: int
    now_ns: int
    plans: int
    fills: int
    realised_micros: int


@dataclass(frozen=True, slots=True)
class ProcessesRun:
    """One run, finished."""

    found: Findings
    screened: Screened
    planted: tuple[PlantedOutcome, ...]
    journal: bytes
    wall_s: float


def run_processes(
    config: Config,
    given: Input,
    latency_scale: int,
    decisions: BinaryIO | None,
    on_look: Callable[[Seen], None],
    where: Where | None = None,
    is_over: Callable[[], bool] = lambda: False,
    speed: float | None = None,
) -> ProcessesRun:
    """Run ``given`` to its end, or until ``is_over``. Raises ProcessFailed when a process does not get there.

    ``decisions`` receives the decision log. ``speed``: times recorded time; None: as fast as possible.
    """
    where = where or Where()
    catalog = Catalog(config.engine.market_slots)
    for spec in given.scene.markets:
        if catalog.find(spec.venue, spec.symbol) is None:
            catalog.add_market(spec)
    watch = SessionWatch(given.plantings, catalog)
    with closing(Nursery()) as nursery, _engine_at(where) as (directory, state_dir):
        log = where.decisions or directory.path / DECISIONS
        description = Description(
            build=build_id(),
            boot_epoch=0,
            state_dir=str(state_dir),
            config=config,
            input=given.named,
            latency_scale=latency_scale,
            speed_ppm=0 if speed is None else max(round(speed * PPM), 1),
            decisions=str(log) if decisions is not None or where.decisions is not None else "",
            record_inputs="" if where.record_inputs is None else str(where.record_inputs),
        )
        supervisor = _supervisor(directory, description, given.scene.start_ns, nursery)
        eye = _Eye(supervisor)
        began_s = time.perf_counter()
        try:
            with nullcontext() if given.named.live else _ending_by_sigterm():
                supervisor.start()
                for name, command in where.attendants(state_dir).items():
                    supervisor.attend(name, command)
                supervisor.wait(lambda: on_look(eye.look()), is_over)
        finally:
            supervisor.stop()
        wall_s = time.perf_counter() - began_s
        on_look(eye.look())
        if supervisor.is_stopping and not given.named.live:
            raise ProcessFailed("the run was shut down before its end")
        found = supervisor.findings()
        journal = (directory.path / f"{supervisor.executor}{JOURNAL_SUFFIX}").read_bytes()
        _watch_reports(journal, watch)
        if found.log is not None:
            watch.add_reasons(found.log.reasons)
        if decisions is not None:
            with log.open("rb") as written:
                shutil.copyfileobj(written, decisions)
    return ProcessesRun(found, screen(given.scene.relations, catalog), watch.outcomes(), journal, wall_s)


def _supervisor(directory: RunDirectory, wanted: Description, start_ns: int, nursery: Nursery) -> Supervisor:
    """Owner of a new engine, or of the same one, whose processes have outlived their owner.

    EngineRunning when processes of another one live there.
    """
    alive = living(directory.path)
    if alive:
        return Supervisor.attach(directory, _the_same(directory.path, wanted, alive), nursery)
    state_dir = Path(wanted.state_dir)
    FolderLock(state_dir / PROCESSES_LOCK, "an engine without its owner, in another run directory").release()
    description = replace(wanted, boot_epoch=next_boot_epoch(state_dir))
    if description.record_inputs:
        describe_logs(unused_folder(Path(description.record_inputs)), description)
    if wanted.input.live and wanted.decisions:
        Path(wanted.decisions).write_bytes(b"")
    return Supervisor.create(directory, description, start_ns, nursery)


def _the_same(path: Path, wanted: Description, alive: Sequence[str]) -> Description:
    """Description of the engine whose processes ``alive`` are, if it is the wanted one."""
    what = f"{path}: an engine without its owner runs here ({', '.join(alive)})"
    stop = f"to end it: pr3dict shutdown --confirm --run-dir {path}"
    try:
        found = read_description(path)
    except Pr3dictError as error:
        raise EngineRunning(f"{what}, and cannot be taken over: {error}; {stop}") from error
    if not found.input.live or not wanted.is_same_engine(found):
        raise EngineRunning(f"{what} with another configuration or input; {stop}")
    return found


class _Eye:
    """What can be seen of a run from outside, without asking anybody."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._wires: Wires = supervisor.wires
        self._events = self._wires.events.observer()
        self._rows = self._events.records(ORDER_EVENT)
        self._fills = 0

    def look(self) -> Seen:
        """Look at clock, seats and tables now."""
        while (n_events := self._events.poll()) > 0:
            self._fills += int(np.count_nonzero(self._rows["fill_size_e6"][:n_events]))
        return Seen(
            frames=self._supervisor.seats.frames(),
            now_ns=self._supervisor.clock.now_ns(),
            plans=self._wires.plans.published_messages,
            fills=self._fills,
            realised_micros=int(self._wires.positions.rows["realised_micros"].sum()),
        )


@contextmanager
def _ending_by_sigterm() -> Iterator[None]:
    """SIGTERM ends this run as Ctrl-C does: its processes are stopped and its folders removed."""

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _own_folder() -> Path:
    """A new folder in memory; those of owners that were killed are removed."""
    root = runtime_root()
    for left in [] if root is None else root.glob(f"{OWN_PREFIX}*"):
        try:
            is_recent = left.stat().st_uid != os.geteuid() or time.time() - left.stat().st_mtime < NEW_S
            in_use = owner_lives(left) or owner_lives(left / "run") or living(left / "run")
            if not is_recent and not in_use:
                shutil.rmtree(left, ignore_errors=True)
        except FileNotFoundError:
            continue  # another one that starts has removed it
    return Path(tempfile.mkdtemp(prefix=OWN_PREFIX, dir=root))


@contextmanager
def _engine_at(where: Where) -> Iterator[tuple[RunDirectory, Path]]:
    """Claimed run directory and state directory; those that nobody named end with the run."""
    base = _own_folder()
    own = FolderLock(base / (OWNER_LOCK + LOCK_SUFFIX), "its owner")
    try:
        state_dir = where.state_dir or base / "state"
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        run_dir = where.run_dir or base / "run"
        if run_dir.resolve() == state_dir.resolve():
            raise ConfigError(f"{run_dir}: the run directory and the state directory must be two")
        claimed = RunDirectory.claim(run_dir)
        state_lock = FolderLock(state_dir / STATE_LOCK, "an engine with this state directory")
        try:
            yield claimed, state_dir
        finally:
            if not living(run_dir):
                claimed.clear()
            state_lock.release()
            claimed.lock.release()
    finally:
        shutil.rmtree(base, ignore_errors=True)
        own.release()


def _watch_reports(journal: bytes, watch: SessionWatch) -> None:
    for entry in read_journal(journal):
        if entry.kind == EntryKind.REPORT:
            watch.on_report(entry.record)
