"""Readers stopped with SIGSTOP, as real processes: a gating one is fenced, an observer costs nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from shm.counters import Counters
from shm.layout import ReaderState, Status
from shm.ring import RefusingRing
from tests.crash import victims
from tests.crash.victims import CAPACITY, LARGEST, READERS, TALLY, WORDS

pytestmark = pytest.mark.compiled_only

ROOT = Path(__file__).resolve().parents[2]
BOUND_S = 120.0
LIMIT_NS = 1_000_000_000
COMPILED = 2  # an even epoch: the victim runs its compiled kernel


@contextmanager
def started(role: str, kind: str, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.crash.victims", role, kind, str(directory), str(COMPILED)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop it, and come back when it has stopped."""
    process.send_signal(signal.SIGSTOP)
    assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + BOUND_S
    while not condition():
        assert time.monotonic() < deadline_s, "in vain"
        os.sched_yield()


def test_a_gating_reader_that_stops_is_fenced_and_told(tmp_path: Path) -> None:
    ring = victims.begin_ring("refusing", tmp_path, 1)
    assert isinstance(ring, RefusingRing)
    tally = Counters.create(victims.LABELS, name=TALLY, directory=tmp_path)
    records = np.zeros(LARGEST * WORDS, np.int64)
    other, block = ring.reader(READERS[0], 0, batch_cells=CAPACITY), ring.header["readers"][1]
    with started("reader", "refusing", tmp_path) as process:
        until(lambda: int(block["state"]) == ReaderState.JOINED and int(block["heartbeat_ns"]) > 0)
        stop(process)
        beat_ns = int(block["heartbeat_ns"])
        other.beat(beat_ns + LIMIT_NS)
        while victims.produce(ring.address, records, 1) == 1:  # until the stopped one has no room left
            other.poll()
        assert ring.refusals["full"] == 1
        assert ring.fence_silent(beat_ns + LIMIT_NS, LIMIT_NS) == 0, "silent for no longer than the limit"
        assert victims.produce(ring.address, records, 1) == 0
        assert ring.fence_silent(beat_ns + LIMIT_NS + 1, LIMIT_NS) == 1
        for _ in range(50):
            assert victims.produce(ring.address, records, 1) == 1, "nobody waits for it any more"
            assert other.poll() > 0
        assert tally["bad"] == 0
        process.send_signal(signal.SIGCONT)
        until(lambda: tally["bad"] > 0)  # that is how this reader counts Status.READER_FENCED
    assert (ring.fenced, other.lost_messages) == (1, 0)
    heir = ring.resume(READERS[1], 0)
    assert heir.poll() == Status.READER_FENCED
    assert heir.rejoin(0)
    assert heir.received_messages + heir.lost_messages == ring.published_messages


@pytest.mark.parametrize("kind", ["overwriting", "refusing"])
def test_an_observer_that_stops_costs_nothing(tmp_path: Path, kind: str) -> None:
    """The producer neither waits nor refuses; the observer finds out what it missed, exactly."""
    ring = victims.begin_ring(kind, tmp_path, 1)
    tally = Counters.create(victims.LABELS, name=TALLY, directory=tmp_path)
    records = np.zeros(LARGEST * WORDS, np.int64)
    gates = (
        [ring.reader(name, 0, batch_cells=CAPACITY) for name in READERS]
        if isinstance(ring, RefusingRing)
        else []
    )

    def publish() -> None:
        assert victims.produce(ring.address, records, 1) == 1
        for gate in gates:
            assert gate.poll() > 0

    publish()
    with started("observer", kind, tmp_path) as process:
        until(lambda: tally["handled"] == ring.published_cells)
        stop(process)
        while ring.published_cells < 5 * CAPACITY:
            publish()
        process.send_signal(signal.SIGCONT)
        until(lambda: tally["handled"] + tally["lost"] == ring.published_cells)
    assert ring.refusals == {"size": 0, "full": 0, "fenced": 0}
    assert tally["lost"] > 3 * CAPACITY
    assert tally["bad"] == 0
