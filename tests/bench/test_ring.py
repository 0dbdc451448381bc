"""The ring bench runs, small: its numbers are not judged here, its bookkeeping is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bench import ring as bench
from shm.histogram import Histogram
from shm.layout import PAYLOAD_BYTES
from shm.ring import OverwritingRing


def test_the_rate_of_the_counter_is_plausible() -> None:
    assert bench.ticks_per_us() > 0


def test_sender_and_receiver_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "CALIBRATION_S", 0.01)
    ring = OverwritingRing.create(64, PAYLOAD_BYTES[0])
    reader, tally, histogram = ring.reader(batch_cells=16), np.zeros(4, np.int64), Histogram()
    assert bench.send(ring.address, np.zeros(14, np.int64), 0, 40, 1) > 0
    place = ring.address, reader.address, reader.words, reader.tags, tally, bench.ticks_per_us()
    assert bench.receive(*place, 10, histogram.address) == 40
    assert tally[: bench.TICKS].tolist() == [40, 40, 0]
    assert histogram.count == 30, "the first ones are not counted"


def test_a_damaged_record_is_counted() -> None:
    ring = OverwritingRing.create(64, PAYLOAD_BYTES[0])
    reader, tally = ring.reader(), np.zeros(4, np.int64)
    bench.send(ring.address, np.zeros(14, np.int64), 0, 3, 0)
    cells = ring.segment.bytes_at(ring.segment.words().nbytes - 64 * 64, 64 * 64)
    cells[64 + 32] ^= 1
    bench.receive(ring.address, reader.address, reader.words, reader.tags, tally, 1000, 0, 0)
    assert tally[bench.BAD] == 1


@pytest.mark.compiled_only
def test_a_small_measurement(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(bench, "PACED", 1000)
    monkeypatch.setattr(bench, "UNPACED", 20_000)
    monkeypatch.setattr(bench, "RUNS", 2)
    monkeypatch.chdir(Path(__file__).resolve().parents[2])
    core = min(os.sched_getaffinity(0))
    for kind in bench.P50_NS_MAX:
        folder = tmp_path / kind
        folder.mkdir(0o700)
        p50_ns, per_s = bench.measure(kind, PAYLOAD_BYTES[0], folder, core)
        assert p50_ns > 0
        assert per_s > 0
        assert not list(folder.iterdir()), "segments are removed"
    said = capsys.readouterr().out
    assert said.count("p99.9") == 4
    assert said.count("M received/s") == 4


def test_python_calls_are_timed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bench, "PYTHON_CALLS", 200)
    bench.from_python()
    assert "publish" in capsys.readouterr().out
