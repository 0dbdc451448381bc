"""How long an engine takes to be ready, cold and warm, and what it costs when nothing happens.

An engine of topology two on simulated venues, over sockets. Warm: the kernels are compiled. Cold: cache and
home are empty folders, so that everything is compiled first. A process is ready when its row of health says
so; its time counts from its start by the kernel's clock, in hundredths of a second, and beside it stands the
processor time that it took, which other work on the machine changes little. Idle: every process
parks, the venues have played their recording to its end, and only heartbeats and keep-alives are left.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bench._engine import VENUE_SIM, RunningEngine, boot_s, parked, started_s
from bench._long_recording import write_long_recording
from bench._result import OURS, Result, Row, claim
from procs.health import ProcessState
from procs.places import CACHE_DIR_VARIABLE
from procs.process_numbers import process_numbers

WARM_RUNS: Final = 5
RECORDED_S: Final = 1.0
IDLE_S: Final = 20.0
SETTLE_S: Final = 5.0
WARM_S_MAX: Final = 1.5  # the claims: a process, from its start to being ready
COLD_S_MAX: Final = 15.0
MIB: Final = 1 << 20
IDLE_MAX: Final = 0.03  # of a core, all processes of the engine together
EVERYTHING: Final = "all, from the command"


class Used(NamedTuple):
    """By a process so far: processor time, and how often it was taken off its core."""

    cpu_s: float
    switches: int


class Ready(NamedTuple):
    """Seconds from the start of a process to its being ready; processor time and cores lost by then."""

    took_s: float
    cpu_s: float
    switches: int


def ready_times(engine: RunningEngine) -> dict[str, Ready]:
    """Of each process of the topology, and of the whole from the command on: of that, the owner's time.

    Cores that were lost are those of all processes.
    """
    ready: dict[str, Ready] = {}

    def look() -> bool:
        rows = engine.health()
        for row in rows:
            if row.state is ProcessState.READY and row.name not in ready:
                ready[row.name] = Ready(boot_s() - started_s(row.pid), *_used(row.pid))
        return bool(rows) and len(ready) == len(rows)

    engine.until(look, "processes that are ready")
    took_s, cpu_s = boot_s() - engine.began_s, _used(engine.owner.pid).cpu_s
    return {**ready, EVERYTHING: Ready(took_s, cpu_s, sum(one.switches for one in ready.values()))}


def start(recording: Path, environment: Mapping[str, str] | None = None) -> dict[str, Ready]:
    """Start an engine, note its times, end it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningEngine(recording, Path(folder), settings=(parked(),), environment=environment) as engine,
    ):
        return ready_times(engine)


class Rest(NamedTuple):
    """What a process takes while nothing happens: of a core, and of memory; how often it lost its core."""

    cores: float
    pss_mib: float
    switches: int


def idle(recording: Path) -> dict[str, Rest]:
    """What each process of an engine at rest takes. Of pages that several share each counts its part."""
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningEngine(recording, Path(folder), settings=(parked(),)) as engine,
    ):
        engine.until(lambda: "monitor" in engine.pids() and engine.is_fit(), "an engine that is fit")
        time.sleep(SETTLE_S + RECORDED_S)
        pids = {name: pid for name, pid in engine.pids().items() if name != VENUE_SIM}
        before, began_s = {name: _used(pid) for name, pid in pids.items()}, time.monotonic()
        time.sleep(IDLE_S)
        passed_s = time.monotonic() - began_s
        return {name: _rest(pid, before[name], passed_s) for name, pid in pids.items()}


def _rest(pid: int, before: Used, passed_s: float) -> Rest:
    now = _used(pid)
    return Rest((now.cpu_s - before.cpu_s) / passed_s, _pss_mib(pid), now.switches - before.switches)


def _pss_mib(pid: int) -> float:
    numbers = process_numbers(pid)
    if numbers is None or numbers.pss_bytes is None:
        raise RuntimeError(f"nobody says what memory process {pid} takes")
    return numbers.pss_bytes / MIB


def _used(pid: int) -> Used:
    numbers = process_numbers(pid)
    if numbers is None:
        raise RuntimeError(f"process {pid} has ended")
    return Used(numbers.user_s + numbers.system_s, numbers.involuntary_switches)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this bench."""
    parser.add_argument("--cold", action="store_true", help="also a start that compiles everything: minutes")


def measure(result: Result, args: argparse.Namespace) -> None:
    """Starts, then an engine at rest, then, when asked for, a cold start."""
    with tempfile.TemporaryDirectory() as folder:
        recording = write_long_recording(Path(folder) / "short.ndjson.zst", RECORDED_S)
        _add(result, "warm start", [start(recording) for _ in range(WARM_RUNS)])
        used = idle(recording)
        together = Rest(
            sum(one.cores for one in used.values()),
            sum(one.pss_mib for one in used.values()),
            sum(one.switches for one in used.values()),
        )
        for name, rest in {**used, "all": together}.items():
            run = {"share": rest.cores, "mib": rest.pss_mib}
            result.rows.append(Row(f"idle, {name}", OURS, [run], [rest.switches]))
        claim(result, "idle, all", "share", IDLE_MAX)
        if args.cold:
            empty = Path(folder) / "empty"
            empty.mkdir()
            environment = {CACHE_DIR_VARIABLE: str(empty / "cache"), "HOME": str(empty)}
            _add(result, "cold start", [start(recording, environment)])
            claim(result, f"cold start, {EVERYTHING}", "s", COLD_S_MAX)
        else:
            result.notes.append("a cold start is measured with -- --cold")
    for name in [row.what for row in result.rows if row.what.startswith("warm start, ")]:
        if EVERYTHING not in name:
            claim(result, name, "s", WARM_S_MAX)


def _add(result: Result, what: str, starts: Sequence[Mapping[str, Ready]]) -> None:
    for name in starts[0]:
        runs = [{"s": one[name].took_s, "cpu_s": one[name].cpu_s} for one in starts]
        result.rows.append(Row(f"{what}, {name}", OURS, runs, [one[name].switches for one in starts]))
