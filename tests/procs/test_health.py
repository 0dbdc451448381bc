"""Health rows: written by one process each, and what a reader makes of processes that fell silent or died."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import ConfigError, LayoutMismatch
from procs import build_id as build_ids
from procs.build_id import build_id
from procs.health import (
    ERROR_BYTES,
    HEALTH,
    SILENT_NS_MAX,
    HealthTable,
    ProcessHealth,
    ProcessState,
    beat,
    is_running,
)
from shm.table import Table, begin_row
from tests.plain_twin import PlainTwin

NAMES = ("feed", "executor")
NOW_NS = 5_000_000_000


def started(directory: Path | None = None) -> HealthTable:
    table = HealthTable.create(NAMES, directory, 7)
    table.writer("feed").start(["feed", "book"], 7, "spin", NOW_NS)
    return table


def test_a_row_is_what_its_process_wrote() -> None:
    table = started()
    writer = table.writer("feed")
    assert writer is not None
    feed, executor = table.read()
    assert feed == ProcessHealth(
        name="feed",
        roles=("feed", "book"),
        state=ProcessState.STARTING,
        pid=os.getpid(),
        boot_epoch=7,
        build=build_id(),
        waiting="spin",
        started_ns=NOW_NS,
        heartbeat_ns=NOW_NS,
        passes=0,
        work=0,
        idle_sleeps=0,
        error="",
    )
    assert (executor.name, executor.state) == ("executor", ProcessState.ABSENT)
    assert (executor.pid, executor.roles) == (0, ())
    writer.set_state(ProcessState.READY)
    writer.beat(NOW_NS + 1, 10, 3, 2)
    counted = replace(feed, heartbeat_ns=NOW_NS + 1, passes=10, work=3, idle_sleeps=2)
    assert table.read() == [replace(counted, state=ProcessState.READY), executor]


def test_an_error_is_one_bounded_line_and_stays_until_the_next_start() -> None:
    table = started()
    writer = table.writer("feed")
    writer.set_state(ProcessState.DEGRADED, "socket 3:\n" + "ü" * 200)
    error = table.read()[0].error
    assert error.startswith("socket 3: ü")
    assert ERROR_BYTES - 2 < len(error.encode()) <= ERROR_BYTES
    writer.set_state(ProcessState.READY)
    assert table.read()[0].error == error
    writer.start(["feed"], 8, "park", NOW_NS)
    assert (table.read()[0].error, table.read()[0].boot_epoch) == ("", 8)


def test_another_process_attaches_and_reads(tmp_path: Path) -> None:
    table = started(tmp_path)
    other = HealthTable.attach(tmp_path, 7)
    assert other.read() == table.read()
    assert other.epoch == 7


@pytest.mark.parametrize("names", [("a", "a"), ("",), ("x" * 33,)])
def test_names_that_cannot_be_told_apart_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="each its own"):
        HealthTable.create(names, None, 1)


def test_an_unknown_process_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="no process 'book' in this engine: feed, executor"):
        started().writer("book")


def test_two_builds_do_not_run_together(monkeypatch: pytest.MonkeyPatch) -> None:
    table = started()
    monkeypatch.setattr("procs.health.build_id", lambda: "0" * 16)
    with pytest.raises(LayoutMismatch, match=rf"feed runs build {build_id()}, this is build 0+: stop"):
        table.writer("executor")
    table.writer("feed")  # its own row may be taken over by what replaces it
    table.table.rows[0]["pid"] = ended_pid()
    table.writer("executor")  # what has ended does not count


def ended_pid() -> int:
    """Number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_build_is_of_every_source(tmp_path: Path) -> None:
    for name in ("engine/a.py", "shm/b.py", "procs/c.py", "bench/d.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("X = 1\n")
    hashed = build_ids.build_id.__wrapped__
    first = hashed(tmp_path)
    assert len(first) == 16
    (tmp_path / "bench/d.py").write_text("X = 2\n")
    assert hashed(tmp_path) == first, "a bench runs in no engine"
    (tmp_path / "procs/c.py").write_text("X = 2\n")
    assert hashed(tmp_path) != first


@pytest.mark.parametrize(
    ("state", "age_ns", "told"),
    [
        (ProcessState.READY, 0, "ready"),
        (ProcessState.DEGRADED, SILENT_NS_MAX, "degraded"),
        (ProcessState.READY, SILENT_NS_MAX + 1, "silent"),
        (ProcessState.ABSENT, SILENT_NS_MAX + 1, "absent"),
        (ProcessState.STOPPED, SILENT_NS_MAX + 1, "stopped"),
        (ProcessState.STOPPING, 0, "stopping"),
    ],
)
def test_a_silent_process_is_told_by_its_heartbeat(state: ProcessState, age_ns: int, told: str) -> None:
    health = replace(started().read()[0], state=state)
    assert health.condition(NOW_NS + age_ns) == told


def test_a_process_that_died_is_gone_whatever_it_said() -> None:
    health = started().read()[0]
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert is_running(child.pid)
        assert replace(health, pid=child.pid).condition(NOW_NS) == "starting"
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and a zombie still
        assert replace(health, pid=child.pid).condition(NOW_NS) == "gone"
    finally:
        child.kill()
        child.communicate()
    assert not is_running(child.pid)
    assert not is_running(0)


def test_a_row_whose_writer_died_in_it_is_told_as_torn() -> None:
    table = started()
    begin_row(table.table.address, 0)
    feed, executor = table.read()
    assert (feed.name, feed.state, executor.state) == ("feed", ProcessState.DEGRADED, ProcessState.ABSENT)
    assert feed.error == "its row is torn: it died while it wrote."
    table.writer("feed").start(["feed"], 8, "spin", NOW_NS)
    assert table.read()[0].state == ProcessState.STARTING, "the next one takes it over"


@pytest.mark.compiled_only
def test_compiled_equals_plain(plain_twin: PlainTwin) -> None:
    plain = plain_twin("procs.health")
    tables = [Table.create(2, HEALTH) for _ in range(2)]
    for kernel, table in zip((beat, plain.beat), tables, strict=True):
        assert [kernel(table.address, row, 5, 6, 7, 8) for row in (-1, 0, 1, 2)] == [-6, 0, 0, -6]
    rows = [table.rows for table in tables]
    assert rows[0].tobytes() == rows[1].tobytes()
