"""Health rows of processes that are stopped, go on, and are killed in the middle of a heartbeat."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from procs.build_id import build_id
from procs.health import HealthTable, ProcessHealth, ProcessState
from tests.procs.served import EPOCH, run_directory

pytestmark = pytest.mark.compiled_only

HANGS_S = 60.0
SILENT_NS = 200_000_000
KILLS = 50
SEED = 20_261_128
ERRORS = ("a" * 200, "b" * 200)  # as long as a row can hold: the longest write


@pytest.fixture
def directory() -> Iterator[Path]:
    with run_directory() as directory:
        yield directory


def beat_for_ever(directory: Path) -> None:
    """Beat; passes, work and sleeps are one number, and so is the error with the state."""
    writer = HealthTable.attach(directory).writer("feed")
    writer.start(["feed"], EPOCH, "spin", time.monotonic_ns())
    number = 0
    while True:
        number += 1
        writer.beat(time.monotonic_ns(), number, number, number)
        writer.set_state(ProcessState(2 + number % 2), ERRORS[number % 2])


def started(directory: Path) -> BaseProcess:
    build_id()  # once, and every child has it
    process = multiprocessing.get_context("fork").Process(target=beat_for_ever, args=(directory,))
    process.start()
    return process


def wait_until(table: HealthTable, wanted: Callable[[ProcessHealth], bool]) -> ProcessHealth:
    deadline_s = time.monotonic() + HANGS_S
    while not wanted(health := table.read()[0]):
        assert time.monotonic() < deadline_s, health
    return health


def is_in(*conditions: str) -> Callable[[ProcessHealth], bool]:
    return lambda health: health.condition(time.monotonic_ns(), SILENT_NS) in conditions


def beats_as(pid: int | None) -> Callable[[ProcessHealth], bool]:
    return lambda health: health.pid == pid and health.passes > 0


def test_a_stopped_process_falls_silent_and_comes_back_and_a_killed_one_is_gone(directory: Path) -> None:
    table = HealthTable.create(("feed",), directory, EPOCH)
    process = started(directory)
    try:
        wait_until(table, is_in("ready", "degraded"))
        os.kill(process.pid or 0, signal.SIGSTOP)
        silent = wait_until(table, is_in("silent"))
        assert silent.pid == process.pid
        os.kill(process.pid or 0, signal.SIGCONT)
        again = wait_until(table, is_in("ready", "degraded"))
        assert again.heartbeat_ns > silent.heartbeat_ns
    finally:
        process.kill()
        process.join()
    assert table.read()[0].condition(time.monotonic_ns(), SILENT_NS) == "gone"


def test_a_process_killed_in_its_row_leaves_a_row_that_is_whole_or_said_to_be_torn(directory: Path) -> None:
    table = HealthTable.create(("feed",), directory, EPOCH)
    moments = random.Random(SEED)
    torn = reads = 0
    for number in range(KILLS):
        process = started(directory)
        wait_until(table, beats_as(process.pid))
        until_s = time.monotonic() + moments.uniform(0, 0.01)
        while time.monotonic() < until_s:
            reads += _is_whole(table.read()[0])
        process.kill()
        process.join()
        left = table.read()[0]
        torn += not _is_whole(left)
        assert left.condition(time.monotonic_ns()) == "gone", f"kill {number} of seed {SEED}"
    print(f"seed {SEED}: {KILLS} kills, {torn} in the row, {reads} whole reads of a living one")
    assert reads > 0


def _is_whole(health: ProcessHealth) -> bool:
    """Whether the row is whole, and then of one moment; False when its writer was at it at every try."""
    if health.error.startswith("its row is torn"):
        return False
    assert health.passes == health.work == health.idle_sleeps
    if health.state in (ProcessState.READY, ProcessState.DEGRADED):
        assert health.error == ERRORS[int(health.state) % 2]
    return True
