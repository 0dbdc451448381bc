"""How long an engine takes to be ready, cold and warm, and what it costs when nothing happens.

An engine of topology two on simulated venues, over sockets. Warm: the kernels are compiled. Cold: cache and
home are empty folders, so that everything is compiled first. A process is ready when its row of health says
so; its time counts from its start by the kernel's clock, in hundredths of a second, and beside it stands the
processor time that it took, which other work on the machine changes little. Idle: every process
parks, the venues have played their recording to its end, and only heartbeats and keep-alives are left.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bench._engine import OWNER, VENUE_SIM, RunningEngine, boot_s, parked, started_s
from bench._long_recording import write_long_recording
from procs.health import ProcessState
from procs.places import CACHE_DIR_VARIABLE
from procs.process_numbers import process_numbers

WARM_RUNS: Final = 5
RECORDED_S: Final = 1.0
IDLE_S: Final = 20.0
SETTLE_S: Final = 5.0
IDLE_MAX: Final = 0.03  # of a core, all processes of the engine together
EVERYTHING: Final = "all, from the command"


class Ready(NamedTuple):
    """Seconds from the start of a process to its being ready, and its processor time by then."""

    took_s: float
    cpu_s: float


def ready_times(engine: RunningEngine) -> dict[str, Ready]:
    """Of each process of the topology, and of the whole from the command on: of that, the owner's time."""
    ready: dict[str, Ready] = {}

    def look() -> bool:
        rows = engine.health()
        for row in rows:
            if row.state is ProcessState.READY and row.name not in ready:
                ready[row.name] = Ready(boot_s() - started_s(row.pid), _cpu_s(row.pid))
        return bool(rows) and len(ready) == len(rows)

    engine.until(look, "processes that are ready")
    return {**ready, EVERYTHING: Ready(boot_s() - engine.began_s, _cpu_s(engine.owner.pid))}


def start(recording: Path, environment: Mapping[str, str] | None = None) -> dict[str, Ready]:
    """Start an engine, note its times, end it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningEngine(recording, Path(folder), settings=(parked(),), environment=environment) as engine,
    ):
        return ready_times(engine)


def idle(recording: Path) -> dict[str, float]:
    """Processor time of each process of an engine at rest, in cores."""
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningEngine(recording, Path(folder), settings=(parked(),)) as engine,
    ):
        engine.until(lambda: "monitor" in engine.pids() and engine.is_fit(), "an engine that is fit")
        time.sleep(SETTLE_S + RECORDED_S)
        pids = {name: pid for name, pid in engine.pids().items() if name != VENUE_SIM}
        before, began_s = {name: _cpu_s(pid) for name, pid in pids.items()}, time.monotonic()
        time.sleep(IDLE_S)
        passed_s = time.monotonic() - began_s
        return {name: (_cpu_s(pid) - before[name]) / passed_s for name, pid in pids.items()}


def _cpu_s(pid: int) -> float:
    numbers = process_numbers(pid)
    if numbers is None:
        raise RuntimeError(f"process {pid} has ended")
    return numbers.user_s + numbers.system_s


def main(argv: Sequence[str] = ()) -> int:
    """Print the times; 1 when an idle engine costs more than claimed."""
    parser = argparse.ArgumentParser(prog="python -m bench start")
    parser.add_argument("--no-cold", action="store_true", help="leave out the start that compiles everything")
    args = parser.parse_args(argv)
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        recording = write_long_recording(Path(folder) / "short.ndjson.zst", RECORDED_S)
        warm = [start(recording) for _ in range(WARM_RUNS)]
        for name in warm[0]:
            times = [one[name].took_s for one in warm]
            spread = f"({min(times):.2f} to {max(times):.2f})"
            cpu_s = statistics.median(one[name].cpu_s for one in warm)
            print(f"  warm {name:<24}{statistics.median(times):>7.2f} s  {spread}, {cpu_s:.2f} s of a core")
        used = idle(recording)
        for name, cores in used.items():
            print(f"  idle {name:<24}{cores:>7.2%} of a core")
        engine = sum(cores for name, cores in used.items() if name != OWNER)
        holds = sum(used.values()) <= IDLE_MAX
        print(f"  idle in all {sum(used.values()):.2%} of a core, {engine:.2%} without the owner")
        print(f"  {'holds' if holds else 'DOES NOT HOLD'}: at most {IDLE_MAX:.0%}")
        print(f"  load {os.getloadavg()[0]:.1f}", flush=True)
        if not args.no_cold:
            empty = Path(folder) / "empty"
            empty.mkdir()
            try:
                cold = start(recording, {CACHE_DIR_VARIABLE: str(empty / "cache"), "HOME": str(empty)})
            except RuntimeError as error:  # a host too busy to compile in time: the other figures stand
                print(f"  cold: {error}")
                return 1
            for name, ready in cold.items():
                print(f"  cold {name:<24}{ready.took_s:>7.2f} s, {ready.cpu_s:.2f} s of a core")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
