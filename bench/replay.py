"""Recorded frames a second through ``check`` and through the whole engine, and the memory that takes.

Each measurement is a process of its own, so that its peak memory is its own. ``check`` is measured beside the
plain way (``bench/_plain.py``) on the same files; the files are a packaged final, a made Kalshi session, and
whatever PR3DICT_BENCH_RECORDINGS names, separated by colons. Frames a second count everything from opening
the file to the report, decompression included, and not the start of the process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

from bench._kalshi_stream import write_session
from bench._result import OURS, RATE, Result, claim
from bench._timing import interleave
from procs.config_files import load_config
from procs.places import samples_dir

WAYS: Final = {OURS: "check", "orjson, dictionaries": "plain"}
PAPER_RUNS: Final = 2
DELTAS: Final = 30_000
SAMPLES: Final = ("nhl_final_20260607.ndjson.zst",)
CHECK_FRAMES_PER_S_MIN: Final = 300_000  # the claim, on Kalshi streams
RECORDINGS_VARIABLE: Final = "PR3DICT_BENCH_RECORDINGS"


def run(what: str, path: Path) -> dict[str, float]:
    """Measure once, in a fresh process."""
    command = [sys.executable, "-m", "bench._replay_run", what, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return {
        RATE: found["frames"] / found["s"],
        "frames": found["frames"],
        "peak_mib": found["mib"],
        "switches": found["switches"],
    }


def named_recordings() -> list[Path]:
    """What the environment names."""
    return [Path(name) for name in os.environ.get(RECORDINGS_VARIABLE, "").split(":") if name]


def files(folder: Path) -> list[Path]:
    """What is measured."""
    made = write_session(folder / "made_kalshi_session.ndjson.zst", load_config(), DELTAS)
    return [made, *(samples_dir() / name for name in SAMPLES), *named_recordings()]


def measure(result: Result) -> None:
    """Every file; ``check`` beside the plain way, run for run, and the whole engine."""
    with tempfile.TemporaryDirectory() as folder:
        for path in files(Path(folder)):
            name = path.name.partition(".")[0]
            interleave(
                result,
                f"check {name}",
                {who: partial(run, what, path) for who, what in WAYS.items()},
                warm=False,
            )
            interleave(
                result, f"all stages, {name}", {OURS: partial(run, "paper", path)}, PAPER_RUNS, warm=False
            )
            if "kalshi" in name or name.startswith("kx"):
                claim(result, f"check {name}", RATE, CHECK_FRAMES_PER_S_MIN)
