"""The ring bench runs, small: its numbers are not judged here, its bookkeeping is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bench import _hop_peers
from bench import ring as bench
from bench._clock import calibrated
from bench._result import Result
from shm.histogram import Histogram
from shm.layout import PAYLOAD_BYTES
from shm.ring import OverwritingRing


def test_sender_and_receiver_agree() -> None:
    clock = calibrated(calibration_s=0.01)
    ring = OverwritingRing.create(64, PAYLOAD_BYTES[0])
    reader, tally, histogram = ring.reader(batch_cells=16), np.zeros(4, np.int64), Histogram()
    assert bench.send(ring.address, np.zeros(14, np.int64), 0, 40, 1, *clock[:3]) > 0
    place = ring.address, reader.address, reader.words, reader.tags, tally, *clock[:3]
    assert bench.receive(*place, 10, histogram.address) == 40
    assert tally[: bench.TICKS].tolist() == [40, 40, 0]
    assert histogram.count == 30, "the first ones are not counted"


def test_a_damaged_record_is_counted() -> None:
    clock = calibrated(calibration_s=0.01)
    ring = OverwritingRing.create(64, PAYLOAD_BYTES[0])
    reader, tally = ring.reader(), np.zeros(4, np.int64)
    bench.send(ring.address, np.zeros(14, np.int64), 0, 3, 0, *clock[:3])
    cells = ring.segment.bytes_at(ring.segment.words().nbytes - 64 * 64, 64 * 64)
    cells[64 + 32] ^= 1
    bench.receive(ring.address, reader.address, reader.words, reader.tags, tally, *clock[:3], 0, 0)
    assert tally[bench.BAD] == 1


@pytest.mark.soak
@pytest.mark.compiled_only
def test_a_small_measurement(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for module, name, value in (
        (bench, "PACED", 1000),
        (bench, "UNPACED", 20_000),
        (bench, "RUNS", 2),
        (_hop_peers, "PACED", 200),
        (_hop_peers, "UNPACED", 500),
    ):
        monkeypatch.setattr(module, name, value)
    monkeypatch.chdir(Path(__file__).resolve().parents[2])
    core, result = min(os.sched_getaffinity(0)), Result("ring", {})
    for kind in bench.P50_NS_MAX:
        folder = tmp_path / kind
        folder.mkdir(0o700)
        with _hop_peers.hops(result, folder, core, wanted=kind == "overwriting") as peers:
            bench.measure_ring(result, kind, PAYLOAD_BYTES[0], folder, core, peers)
        assert not [path for path in folder.iterdir() if path.name in ("bench", "latency")], "removed"
    assert all(value > 0 for row in result.rows for run in row.runs for value in (run[row.main],))
    assert {row.what for row in result.rows} == {
        f"{what}, {kind} ring, 64 B" for what in ("hop", "throughput") for kind in bench.P50_NS_MAX
    }
    peers_seen = {row.who.rpartition(" ")[0] or row.who for row in result.rows} - {"pr3dict"}
    assert {"multiprocessing.Queue", "pyzmq ipc"} <= peers_seen
    assert all(len(row.runs) == 2 for row in result.rows)


def test_python_calls_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "PYTHON_CALLS", 200)
    run = bench.from_python()
    assert run["ns"] == run["publish_ns"] + run["poll_ns"]
    assert run["publish_ns"] > 0
