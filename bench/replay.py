"""Recorded frames a second through ``check`` and through the whole engine, and the memory that takes.

Each measurement is a process of its own, so that its peak memory is its own. ``check`` is measured beside the
plain way (``bench/_plain.py``) on the same files; the files are the packaged samples, a made Kalshi session,
and whatever PR3DICT_BENCH_RECORDINGS names, separated by colons. Frames a second count everything from
opening the file to the report, decompression included, and not the start of the process.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from bench._kalshi_stream import write_session
from procs.config_files import load_config
from procs.places import samples_dir

RUNS: Final = 5
PAPER_RUNS: Final = 3
DELTAS: Final = 100_000
CHECK_FRAMES_PER_S_MIN: Final = 300_000  # the claim, on Kalshi streams
RECORDINGS_VARIABLE: Final = "PR3DICT_BENCH_RECORDINGS"


def runs(what: str, path: Path, count: int) -> list[dict[str, float]]:
    """Measure ``count`` times, each in a fresh process."""
    command = [sys.executable, "-m", "bench._replay_run", what, str(path)]
    done = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(count)]
    return [json.loads(run.stdout) for run in done]


def rates(found: list[dict[str, float]]) -> tuple[float, float, float]:
    """Best, median and worst frames a second."""
    each = sorted((run["frames"] / run["s"] for run in found), reverse=True)
    return each[0], statistics.median(each), each[-1]


def line(label: str, found: list[dict[str, float]]) -> str:
    """One row: rates, peak memory, frames."""
    best, median, worst = rates(found)
    peak = max(run["mib"] for run in found)
    return f"  {label:<8}{best:>12,.0f}{median:>12,.0f}{worst:>12,.0f}  {peak:>6,.0f} MiB"


def files(folder: Path) -> list[Path]:
    """What is measured."""
    named = [Path(name) for name in os.environ.get(RECORDINGS_VARIABLE, "").split(":") if name]
    made = write_session(folder / "made_kalshi_session.ndjson.zst", load_config(), DELTAS)
    return [made, *sorted(samples_dir().glob("*.zst")), *named]


def main() -> int:
    """Print every measurement; 1 when the claim about Kalshi streams does not hold."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    holds = True
    with tempfile.TemporaryDirectory() as folder:
        for path in files(Path(folder)):
            ours, peer = runs("check", path, RUNS), runs("plain", path, RUNS)
            whole = runs("paper", path, PAPER_RUNS)
            ratio = rates(ours)[1] / rates(peer)[1]
            print(f"{path.name}: {ours[0]['frames']:,} frames; check is {ratio:.1f}x the plain way")
            print(f"  {'frames/s':<8}{'best':>12}{'median':>12}{'worst':>12}")
            for label, found in (("check", ours), ("plain", peer), ("paper", whole)):
                print(line(label, found))
            if "kalshi" in path.name or "kx" in path.name:
                held = rates(ours)[0] >= CHECK_FRAMES_PER_S_MIN
                holds = holds and held
                verdict = "holds" if held else "DOES NOT HOLD"
                print(f"  {verdict}: best check >= {CHECK_FRAMES_PER_S_MIN:,} frames/s")
    return 0 if holds else 1
