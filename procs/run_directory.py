"""The private folder of one running engine: its segments, its description, and the lock of its owner.

::

    engine.json   what every process needs to know to be a part of this engine; written whole
    engine.lock   held for as long as the engine's owner lives: one engine a folder
    NAME.lock     held by the process of that name: one of each
    NAME          segments (shm.segment)

The folder lies in a tmpfs, belongs to this user alone (mode 0700), and means nothing after the engine.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import orjson

from engine import typed_tree
from engine.config import Config, ProcessConfig, Role
from engine.errors import ConfigError, EngineRunning, Pr3dictError
from procs.build_id import build_id, refuse_other_build
from procs.sign_of_life import SIGN_SUFFIX
from procs.wards import FOUND_SUFFIX, WARD_SUFFIX, is_noted
from procs.whole_file import whole_file
from shm.layout import SEGMENT_MAGIC

DESCRIPTION: Final = "engine.json"
OWNER_LOCK: Final = "engine"
LOCK_SUFFIX: Final = ".lock"
OWNER_ONLY_DIRECTORY: Final = 0o700
NOT_OWNER_BITS: Final = 0o077
NO_SEED: Final = -1
PROCESSES_LOCK: Final = "processes.lock"  # in the state directory: held by every live process of it
BESIDE: Final = frozenset({OWNER_LOCK, "control-server"})  # locks that are not of the engine's processes
CONTROL: Final = "control"
MONITOR: Final = "monitor"
ATTENDANTS: Final = frozenset({CONTROL, MONITOR})  # begun beside an engine, and ended with their owner
LEFT_NAMES: Final = frozenset({DESCRIPTION, "endpoints.json", "decisions.ndjson"})
LEFT_SUFFIXES: Final = frozenset(
    {".stderr", ".journal", ".fifo", ".partial", WARD_SUFFIX, ".sock", SIGN_SUFFIX}
)
LOCK_TRIES: Final = 25  # somebody who only looks whether it is held holds it for a moment
LOCK_TRY_S: Final = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class InputNamed:
    """What the engine is run on: files, or with none of them the session of ``seed``.

    ``live``: the venues themselves, from ``start_ns`` on; then the files only name the markets.
    """

    name: str
    files: tuple[str, ...] = ()
    align_start: bool = False
    seed: int = NO_SEED
    live: bool = False
    start_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """``engine.json``. ``build`` is the hash of the sources: processes of two builds never meet."""

    build: str
    boot_epoch: int
    state_dir: str
    config: Config
    input: InputNamed
    latency_scale: int = 1
    speed_ppm: int = 0  # times recorded time; 0: as fast as possible
    decisions: str = ""  # file of the decision log; "": none
    record_inputs: str = ""  # folder of logs of what each agent reads; "": none

    @property
    def processes(self) -> tuple[ProcessConfig, ...]:
        """Those of the topology."""
        return self.config.topologies[self.config.engine.topology].processes

    @property
    def seats(self) -> tuple[str, ...]:
        """Names of the processes in the order in which one process would call their agents."""
        return tuple(process.name for process in sorted(self.processes, key=_place))

    def runs_a_loop(self, name: str) -> bool:
        """Whether the process has sockets of its own."""
        with_sockets = {Role.FEED} if self.input.live else {Role.FEED, Role.VENUE_SIM}
        return not with_sockets.isdisjoint(self.process(name).roles)

    @property
    def endings(self) -> tuple[str, ...]:
        """Names of the processes in the order in which they end.

        The one with the executor first, while those that it hears of and who hear it still run; then those
        that decide before those they hear of, and last who only writes down what the others decide.
        """

        def place(seat: int) -> tuple[bool, bool, int]:
            roles = self.process(self.seats[seat]).roles
            return Role.EXECUTOR not in roles, roles == (Role.LEDGER,), -seat

        return tuple(self.seats[seat] for seat in sorted(range(len(self.seats)), key=place))

    def is_same_engine(self, other: Description) -> bool:
        """Whether both name one engine; when each of them began does not matter."""
        mine = replace(self, boot_epoch=0, input=replace(self.input, start_ns=0))
        return mine == replace(other, boot_epoch=0, input=replace(other.input, start_ns=0))

    @property
    def conductor(self) -> int:
        """Seat of the process that moves a replay: that of the simulated venues."""
        seats = enumerate(self.seats)
        return next(seat for seat, name in seats if Role.VENUE_SIM in self.process(name).roles)

    def process(self, name: str) -> ProcessConfig:
        """One of them; ConfigError that names the others."""
        for process in self.processes:
            if process.name == name:
                return process
        known = ", ".join(process.name for process in self.processes)
        raise ConfigError(f"no process {name!r} in topology {self.config.engine.topology}: {known}")


# What comes in, is applied, is traded at the venues, and then decided: as ``procs.stages`` orders agents.
PIPELINE: Final = (
    Role.FEED,
    Role.BOOK,
    Role.VENUE_SIM,
    Role.EXECUTOR,
    Role.STRATEGY,
    Role.OPTIMIZER,
    Role.LEDGER,
)


def _place(process: ProcessConfig) -> int:
    return min((PIPELINE.index(role) for role in process.roles), default=len(PIPELINE))


def bell_name(process: str) -> str:
    """Segment of a process's doorbell."""
    return f"bell.{process}"


class FolderLock:
    """A lock file that its process holds until it ends, however it ends; ``shared``: as others may, too."""

    def __init__(self, path: Path, what: str, *, shared: bool = False) -> None:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        for tries_left in reversed(range(LOCK_TRIES)):
            try:
                fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if not tries_left:
                    os.close(self._descriptor)
                    raise EngineRunning(f"{path}: {what} is running already") from error
                time.sleep(LOCK_TRY_S)
            else:
                return

    def release(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


@dataclass(slots=True)
class RunDirectory:
    """A claimed or joined run directory; ``lock`` is held as long as this object lives."""

    path: Path
    lock: FolderLock

    @classmethod
    def claim(cls, path: Path) -> Self:
        """Make the folder if need be, become the owner of its engine.

        What an earlier engine left is removed, unless processes of it live (``living``). EngineRunning when
        its owner lives; ConfigError for a folder that is open to others.
        """
        path.mkdir(mode=OWNER_ONLY_DIRECTORY, parents=True, exist_ok=True)
        _refuse_open_folder(path)
        if any(path.iterdir()) and not (path / (OWNER_LOCK + LOCK_SUFFIX)).exists():
            raise ConfigError(f"{path}: not empty, and no engine has run here: name another run directory")
        claimed = cls(path, FolderLock(path / (OWNER_LOCK + LOCK_SUFFIX), "an engine"))
        if not living(path):
            claimed.clear()
        return claimed

    def clear(self) -> None:
        """Remove what an engine leaves here, and nothing else; locks stay."""
        for left in self.path.iterdir():
            if _is_an_engines(left):
                left.unlink()

    @classmethod
    def join(cls, path: Path, name: str) -> Self:
        """Become the process ``name`` of the engine that is described here; EngineRunning when it runs."""
        if not (path / DESCRIPTION).is_file():
            raise ConfigError(f"{path}: no engine is described here (no {DESCRIPTION})")
        _refuse_open_folder(path)
        return cls(path, FolderLock(path / (name + LOCK_SUFFIX), f"process {name}"))

    def describe(self, description: Description) -> None:
        """Write ``engine.json``."""
        with whole_file(self.path / DESCRIPTION) as file:
            file.write(orjson.dumps(typed_tree.dump(description), option=orjson.OPT_INDENT_2))


def read_description(path: Path, *, any_build: bool = False) -> Description:
    """What the folder says of its engine; ConfigError if unfit, LayoutMismatch if another build wrote it."""
    try:
        tree = orjson.loads((path / DESCRIPTION).read_bytes())
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no engine is described here (no {DESCRIPTION})") from error
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{path / DESCRIPTION}: not JSON: {error}") from error
    written_by = tree.get("build") if isinstance(tree, dict) else None
    if not any_build:
        refuse_other_build(f"{path}: its owner", str(written_by), build_id())
    return typed_tree.build(Description, tree, str(path / DESCRIPTION))


def described_state_dir(path: Path) -> Path | None:
    """State directory of the engine that runs here; None without one, or by another build."""
    try:
        return Path(read_description(path).state_dir) if owner_lives(path) or living(path) else None
    except (Pr3dictError, OSError):
        return None


def owner_lives(path: Path) -> bool:
    """Whether the engine of this folder has its owner."""
    return process_lives(path, OWNER_LOCK)


def living(path: Path) -> tuple[str, ...]:
    """Names of the processes of this folder's engine that run, whoever started them and of whatever build.

    One that has just been started holds no lock yet, but its owner has noted it.
    """
    locks = {lock.name.removesuffix(LOCK_SUFFIX) for lock in path.glob(f"*{LOCK_SUFFIX}")}
    noted = {ward.name.removesuffix(WARD_SUFFIX) for ward in path.glob(f"*{WARD_SUFFIX}")}
    names = sorted((locks | noted) - BESIDE - ATTENDANTS)
    return tuple(name for name in names if process_lives(path, name) or is_noted(path, name))


def process_lives(path: Path, name: str) -> bool:
    """Whether a process of that name holds its lock in this folder."""
    try:
        descriptor = os.open(path / (name + LOCK_SUFFIX), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_an_engines(left: Path) -> bool:
    """Whether an engine has made this file: a segment by its content, the others by their names."""
    if left.is_dir() or left.suffix == LOCK_SUFFIX:
        return False
    if left.name in LEFT_NAMES or left.name.endswith(FOUND_SUFFIX) or left.suffix in LEFT_SUFFIXES:
        return True
    with left.open("rb") as file:
        return file.read(8) == SEGMENT_MAGIC.to_bytes(8, "little")


def _refuse_open_folder(path: Path) -> None:
    found = path.stat(follow_symlinks=False)
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not ours or found.st_mode & NOT_OWNER_BITS:
        raise ConfigError(f"{path}: not a folder of this user alone (mode {stat.S_IMODE(found.st_mode):o})")
