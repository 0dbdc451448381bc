"""The state of a running engine as a plain tree, read from its run directory; nobody has to answer for it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Final

from procs.control_words import ControlWords, Setting, Word
from procs.halt import HaltSwitch
from procs.health import HealthTable, ProcessHealth, ProcessState

Tree = dict[str, object]

DOCUMENT_VERSION: Final = 1
FIT: Final = frozenset({"ready", "stopped"})  # conditions of a process that nothing has to be done about


class EngineView:
    """Words, latch and health of the engine in ``directory``, as far as they are there."""

    def __init__(self, directory: Path, state_dir: Path) -> None:
        self.switch = HaltSwitch.attach(directory, state_dir)
        try:
            self.health: HealthTable | None = HealthTable.attach(directory)
        except FileNotFoundError:
            self.health = None

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


def _process(health: ProcessHealth, condition: str, now_ns: int) -> Tree:
    started = health.state is not ProcessState.ABSENT
    return {
        "name": health.name,
        "condition": condition,
        "state": health.state.name.lower(),
        "roles": list(health.roles),
        "pid": health.pid,
        "build": health.build,
        "waiting": health.waiting,
        "up_ns": now_ns - health.started_ns if started else 0,
        "heartbeat_age_ns": now_ns - health.heartbeat_ns if started else 0,
        "passes": health.passes,
        "work": health.work,
        "idle_sleeps": health.idle_sleeps,
        "error": health.error,
    }
