"""Two real processes, a ring between them, every record checked by a compiled kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shm.layout import PAYLOAD_BYTES
from shm.ring import OverwritingRing, RefusingRing
from tests.shm import pump

pytestmark = pytest.mark.compiled_only

ROOT = Path(__file__).resolve().parents[2]
TMPFS = Path("/dev/shm")
CAPACITY = 1 << 15
WAIT_S = pump.DEADLINE_S + 60.0
NORMAL = 200_000
SOAK = 100_000_000

Report = dict[str, int]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A private folder in memory where there is one, on disk otherwise."""
    if not os.access(TMPFS, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=TMPFS) as folder:
        yield Path(folder)


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.shm.pump", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> Report:
    """What the process reported; it is ended if it does not end by itself."""
    try:
        out, _ = process.communicate(timeout=WAIT_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    report: Report = json.loads(out.splitlines()[-1])
    return report


def run(kind: str, directory: Path, count: int) -> tuple[Report, Report]:
    """Reports of the sender and the receiver of ``count`` records."""
    receiver = start("receive", kind, str(directory), str(count))
    try:
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == "ready\n"
        sender = start("send", kind, str(directory), str(count))
        return finish(sender), finish(receiver)
    finally:
        receiver.kill()
        receiver.wait()


@pytest.mark.parametrize("count", [NORMAL, pytest.param(SOAK, marks=pytest.mark.soak)])
def test_overwriting_ring_counts_every_loss(directory: Path, count: int) -> None:
    ring = OverwritingRing.create(CAPACITY, PAYLOAD_BYTES[0], name=pump.NAME, directory=directory)
    sent, got = run("overwriting", directory, count)
    print(sent, got)
    assert sent == {"sent": count, "refused": 0}
    assert (got["bad"], got["backwards"]) == (0, 0)
    assert got["received"] + got["lost_cells"] == count == ring.published_cells
    assert got["counted"] + got["lost"] == ring.published_messages > count // pump.RECORDS_MAX


@pytest.mark.parametrize("count", [NORMAL, pytest.param(SOAK, marks=pytest.mark.soak)])
def test_refusing_ring_loses_nothing(directory: Path, count: int) -> None:
    ring = RefusingRing.create(
        CAPACITY, PAYLOAD_BYTES[0], (pump.READER,), name=pump.NAME, directory=directory
    )
    sent, got = run("refusing", directory, count)
    print(sent, got)
    assert sent["sent"] == got["received"] == ring.published_cells == count
    assert got["counted"] == ring.published_messages > count // pump.RECORDS_MAX
    assert (got["bad"], got["backwards"], got["lost"], got["laps"]) == (0, 0, 0, 0)
    assert ring.refusals["full"] == sent["refused"]
