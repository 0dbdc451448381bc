"""The state of a running engine as a plain tree, read from its run directory; nobody has to answer for it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Final

from procs import control_words, health
from procs.control_words import ControlWords, Setting, Word
from procs.halt import HaltSwitch
from procs.health import HealthTable, ProcessHealth, ProcessState
from procs.run_directory import owner_lives

Tree = dict[str, object]

DOCUMENT_VERSION: Final = 1
FIT: Final = frozenset({"ready", "stopped"})  # conditions of a process that nothing has to be done about


class EngineView:
    """Words, latch and health of the engine in ``directory``, as far as they are there.

    Raises LayoutMismatch for what is not finished or of another build, SegmentRefused for what is not ours.
    """

    def __init__(self, directory: Path, state_dir: Path) -> None:
        self._directory = directory
        self._files = [directory / name for name in (control_words.SEGMENT_NAME, health.SEGMENT_NAME)]
        self._seen = self._identities()  # before they are attached: a change in between is seen later
        self.switch = HaltSwitch.attach(directory, state_dir)
        try:
            self.health: HealthTable | None = HealthTable.attach(directory)
        except FileNotFoundError:
            self.health = None

    def is_current(self) -> bool:
        """Whether the files are still those that were attached, or still absent; a system call each."""
        return self._seen == self._identities()

    def _identities(self) -> list[tuple[int, int] | None]:
        return [_identity(path) for path in self._files]

    @property
    def words(self) -> ControlWords | None:
        """Control words, None when no engine has made any."""
        return self.switch.words

    def document(self, now_ns: int) -> Tree:
        """Document of ``pr3dict status --json``; ``now_ns`` is of CLOCK_MONOTONIC."""
        halt = self.switch.state()
        processes = [] if self.health is None else self.health.read()
        conditions = [health.condition(now_ns) for health in processes]
        running = any(word not in ("absent", "stopped", "gone") for word in conditions)
        return {
            "pr3dict_status": DOCUMENT_VERSION,
            "running": running,
            "owner": owner_lives(self._directory),
            "ok": running and not halt.halted and FIT.issuperset(conditions),
            "epoch": None if self.health is None else self.health.epoch,
            "halted": halt.halted,
            "halts": [asdict(found) for found in halt.halts],
            "paused": self._setting(Word.PAUSED),
            "stopping": self._setting(Word.STOPPING),
            "processes": [
                _process(health, condition, now_ns)
                for health, condition in zip(processes, conditions, strict=True)
            ],
        }

    def _setting(self, word: Word) -> Tree | None:
        setting: Setting | None = None
        if self.words is not None:
            setting = self.words.setting_of(self.words.read(word))
        return None if setting is None else {"pid": setting.pid, "at_ns": setting.at_ns}


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _process(process: ProcessHealth, condition: str, now_ns: int) -> Tree:
    started = process.state is not ProcessState.ABSENT
    return {
        "name": process.name,
        "condition": condition,
        "state": process.state.name.lower(),
        "roles": list(process.roles),
        "pid": process.pid,
        "build": process.build,
        "waiting": process.waiting,
        "up_ns": now_ns - process.started_ns if started else 0,
        "heartbeat_age_ns": max(0, now_ns - process.heartbeat_ns) if started else 0,
        "passes": process.passes,
        "work": process.work,
        "idle_sleeps": process.idle_sleeps,
        "error": process.error,
    }
