"""The health of each process of an engine: one row a process, written by that process alone.

A heartbeat is one compiled call that writes four words in place. What a row says of a process that died is
what it said last; whoever reads looks at the heartbeat's age and at the process itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final, Self

import numpy as np

from engine.errors import ConfigError
from procs.build_id import build_id, refuse_other_build
from shm.atomics import store_relaxed
from shm.jit import kernel
from shm.layout import WORD_BYTES, offset_of
from shm.ring import Records
from shm.table import Table, begin_row, end_row, row_address

SEGMENT_NAME: Final = "health"
NAME_BYTES: Final = 32
ROLES_BYTES: Final = 128
ERROR_BYTES: Final = 200
SILENT_NS_MAX: Final = 2_000_000_000  # a heartbeat older than this is missed


class ProcessState(IntEnum):
    """What a process says of itself."""

    ABSENT = 0  # declared, and never started
    STARTING = 1
    READY = 2
    DEGRADED = 3  # works, and says in its error what does not
    STOPPING = 4
    STOPPED = 5  # ended as asked


_AT_WORK: Final = frozenset({ProcessState.READY, ProcessState.DEGRADED, ProcessState.STOPPING})
NEXT_STATES: Final = {  # what a process may say next; one that is begun again is STARTING whatever it was
    ProcessState.ABSENT: frozenset[ProcessState](),
    ProcessState.STARTING: _AT_WORK,
    ProcessState.READY: _AT_WORK,
    ProcessState.DEGRADED: _AT_WORK,
    ProcessState.STOPPING: frozenset({ProcessState.STOPPING, ProcessState.STOPPED}),
    ProcessState.STOPPED: frozenset[ProcessState](),
}


HEALTH: Final = np.dtype(
    [
        ("state", "<i8"),
        ("pid", "<i8"),
        ("boot_epoch", "<i8"),
        ("started_ns", "<i8"),  # CLOCK_MONOTONIC, like the heartbeat
        ("heartbeat_ns", "<i8"),
        ("passes", "<i8"),
        ("work", "<i8"),
        ("idle_sleeps", "<i8"),
        ("build", "S16"),
        ("waiting", "S16"),
        ("name", f"S{NAME_BYTES}"),
        ("roles", f"S{ROLES_BYTES}"),
        ("error", f"S{ERROR_BYTES}"),
    ]
)
HEARTBEAT_AT: Final = offset_of(HEALTH, "heartbeat_ns") + WORD_BYTES  # from the row's sequence word


@kernel
def beat(table: int, row: int, now_ns: int, passes: int, work: int, idle_sleeps: int) -> int:
    """Write a heartbeat and the totals of the run loop; 0, or NO_SUCH_ROW."""
    status = begin_row(table, row)
    if status == 0:
        words = row_address(table, row) + HEARTBEAT_AT
        store_relaxed(words, now_ns)
        store_relaxed(words + WORD_BYTES, passes)
        store_relaxed(words + 2 * WORD_BYTES, work)
        store_relaxed(words + 3 * WORD_BYTES, idle_sleeps)
        status = end_row(table, row)
    return status


@dataclass(frozen=True, slots=True)
class ProcessHealth:
    """One row as it was read. Times in ns of CLOCK_MONOTONIC; ``pid`` 0: never started."""

    name: str
    roles: tuple[str, ...]
    state: ProcessState
    pid: int
    boot_epoch: int
    build: str
    waiting: str
    started_ns: int
    heartbeat_ns: int
    passes: int
    work: int
    idle_sleeps: int
    error: str

    def condition(self, now_ns: int, silent_ns_max: int = SILENT_NS_MAX) -> str:
        """What is to be believed: the state in lower case, ``gone`` when the process is, or ``silent``."""
        if self.state in (ProcessState.ABSENT, ProcessState.STOPPED):
            return self.state.name.lower()
        if not is_running(self.pid):
            return "gone"
        if now_ns - self.heartbeat_ns > silent_ns_max:
            return "silent"
        return self.state.name.lower()


class HealthWriter:
    """The row of this process."""

    def __init__(self, table: Table, row: int) -> None:
        self._table = table
        self._row = row
        self._address = table.address
        self._record = table.rows[row]

    def start(self, roles: Sequence[str], boot_epoch: int, waiting: str, now_ns: int) -> None:
        """Take the row over for this process, in state STARTING."""
        self._change(
            state=int(ProcessState.STARTING),
            pid=os.getpid(),
            boot_epoch=boot_epoch,
            build=build_id().encode(),
            waiting=_cut(waiting, 16),
            roles=_cut(",".join(roles), ROLES_BYTES),
            started_ns=now_ns,
            heartbeat_ns=now_ns,
            passes=0,
            work=0,
            idle_sleeps=0,
            error=b"",
        )

    def beat(self, now_ns: int, passes: int, work: int, idle_sleeps: int) -> None:
        """Say that this process lives, and what its run loop has done since it started."""
        beat(self._address, self._row, now_ns, passes, work, idle_sleeps)

    def set_state(self, state: ProcessState, error: str = "") -> None:
        """Say how this process is; ``error`` is cut at ERROR_BYTES, and stays when it is empty.

        ValueError for what NEXT_STATES does not allow.
        """
        before = ProcessState(int(self._record["state"]))
        if state not in NEXT_STATES[before]:
            raise ValueError(f"a process that is {before.name} is not {state.name} next")
        if error:
            self._change(state=int(state), error=_cut(error, ERROR_BYTES))
        else:
            self._change(state=int(state))

    def _change(self, **fields: int | bytes) -> None:
        begin_row(self._address, self._row)
        for name, value in fields.items():
            self._record[name] = value
        end_row(self._address, self._row)


class HealthTable:
    """Rows of all processes of an engine."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._row: Records = np.zeros(1, HEALTH)

    @classmethod
    def create(cls, names: Sequence[str], directory: Path | None, epoch: int) -> Self:
        """Make one row for each name; ConfigError for names that repeat or are too long."""
        if len(set(names)) != len(names) or not all(0 < len(name.encode()) <= NAME_BYTES for name in names):
            listed = ", ".join(names)
            raise ConfigError(f"processes need names of 1 to {NAME_BYTES} bytes, each its own: {listed}")
        table = Table.create(len(names), HEALTH, name=SEGMENT_NAME, epoch=epoch, directory=directory)
        for row, name in enumerate(names):
            table.rows[row]["name"] = name.encode()
        return cls(table)

    @classmethod
    def attach(cls, directory: Path, epoch: int | None = None) -> Self:
        """Map that of an engine; raises LayoutMismatch, SegmentRefused or FileNotFoundError."""
        return cls(Table.attach(SEGMENT_NAME, HEALTH, directory, epoch))

    @property
    def epoch(self) -> int:
        """Boot epoch of the engine."""
        return self.table.segment.epoch

    def writer(self, name: str) -> HealthWriter:
        """Row of the process ``name``, for that process.

        ConfigError for a name that is not of this engine; LayoutMismatch when a process that lives was built
        from other sources than this one.
        """
        found = self.read()
        names = [health.name for health in found]
        if name not in names:
            raise ConfigError(f"no process {name!r} in this engine: {', '.join(names)}")
        for health in found:
            if health.name != name and health.build and is_running(health.pid):
                refuse_other_build(f"process {health.name}", health.build, build_id())
        return HealthWriter(self.table, names.index(name))

    def read(self) -> list[ProcessHealth]:
        """Every row. A writer that died in its row leaves it torn: what is there is told as DEGRADED."""
        return [self._read_row(row) for row in range(len(self.table))]

    def ended_well(self, name: str) -> bool:
        """Whether the process of that name has said that it ended as asked."""
        return any(row.name == name and row.state is ProcessState.STOPPED for row in self.read())

    def _read_row(self, row: int) -> ProcessHealth:
        whole = self.table.read(row, self._row)
        record = self._row[0] if whole else self.table.rows[row]  # torn, it is the best there is
        roles = _text(record["roles"])
        error = _text(record["error"])
        return ProcessHealth(
            name=_text(record["name"]),
            roles=tuple(roles.split(",")) if roles else (),
            state=ProcessState(int(record["state"])) if whole else ProcessState.DEGRADED,
            pid=int(record["pid"]),
            boot_epoch=int(record["boot_epoch"]),
            build=_text(record["build"]),
            waiting=_text(record["waiting"]),
            started_ns=int(record["started_ns"]),
            heartbeat_ns=int(record["heartbeat_ns"]),
            passes=int(record["passes"]),
            work=int(record["work"]),
            idle_sleeps=int(record["idle_sleeps"]),
            error=error if whole else f"its row is torn: it died while it wrote. {error}".strip(),
        )


def is_running(pid: int) -> bool:
    """Whether a process with this number runs; one that has ended and waits for its parent does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return pid > 0 and stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def _cut(text: str, n_bytes: int) -> bytes:
    """At most ``n_bytes`` of ``text`` on one line, no character broken."""
    return " ".join(text.split()).encode()[:n_bytes].decode(errors="ignore").encode()


def _text(field: bytes) -> str:
    return bytes(field).decode(errors="replace")


def warm() -> None:
    """Compile the kernels of this module."""
    health = HealthTable.create(("warm",), None, 0)  # kept while the kernel has its address
    beat(health.table.address, 0, 0, 0, 0, 0)
    del health
