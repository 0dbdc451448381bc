"""The waiting bench runs, small: its numbers are not judged here, its trips are."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from bench import waiting as bench
from shm.cleaning import clean

pytestmark = pytest.mark.compiled_only


@pytest.mark.parametrize("way", ["park", "loop"])
def test_every_trip_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    for name, value in (("WARM", 5), ("TRIPS", 50), ("IDLE_S", 0.01)):
        monkeypatch.setattr(bench, name, value)
    line = bench.measure(way, tmp_path, min(os.sched_getaffinity(0)))
    assert re.fullmatch(rf"  {way} +hop p50 +[\d.]+ us   p99 +[\d.]+ us   idle +[\d.]+% of a core", line)
    left = clean(tmp_path)
    assert (left.removed, left.alive) == (("bell-echo", "from-echo"), ("bell-bench", "from-bench"))
