"""The waiting bench runs, small: its numbers are not judged here, its trips are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench import waiting as bench
from bench._result import Result
from shm.cleaning import clean

pytestmark = pytest.mark.compiled_only


@pytest.mark.parametrize("way", [pytest.param("park", marks=pytest.mark.soak), "loop"])
def test_every_trip_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    for name, value in (("WARM", 5), ("TRIPS", 50), ("IDLE_S", 0.01)):
        monkeypatch.setattr(bench, name, value)
    result = Result("waiting", {})
    bench.measure_way(result, way, tmp_path, min(os.sched_getaffinity(0)))
    hop, idle = result.rows
    assert (hop.what, len(hop.runs)) == (f"hop, {way}", 5)
    assert all(run["p50_ns"] > 0 for run in hop.runs)
    assert 0 <= idle.runs[0]["share"] < 10
    left = clean(tmp_path)
    assert (left.removed, left.alive) == (("bell-echo", "from-echo"), ("bell-bench", "from-bench"))
