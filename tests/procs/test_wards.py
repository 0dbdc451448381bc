"""Processes an owner looks after: found again by pid and start, never another one with the same number."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from procs.cli.exit_codes import ExitCode
from procs.config_files import load_config
from procs.nursery import ENDED_BADLY, Nursery
from procs.wards import (
    FOUND_SUFFIX,
    JOURNAL_SUFFIX,
    Running,
    Wardship,
    end,
    started_at,
)

CONFIG = load_config().supervisor
WAITS = "import sys; sys.stdin.read()"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until it is ended."""
    with subprocess.Popen([sys.executable, "-c", WAITS], stdin=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def note(directory: Path, pid: int, started: int) -> None:
    (directory / "trade.ward").write_bytes(orjson.dumps({"pid": pid, "started": started}))


def test_a_living_process_is_adopted(child: subprocess.Popen[bytes], tmp_path: Path) -> None:
    note(tmp_path, child.pid, started_at(child.pid))
    ward = Wardship(tmp_path, CONFIG).find("trade", ("proc", "trade"), lambda: False)
    assert ward is not None
    assert (ward.name, ward.process.pid, ward.process.poll()) == ("trade", child.pid, None)
    with pytest.raises(subprocess.TimeoutExpired):
        ward.process.wait(0)
    end(ward.process)
    assert child.wait() == -signal.SIGTERM
    assert ward.process.poll() == ENDED_BADLY
    ward.process.send_signal(signal.SIGKILL)  # to nobody: the number may be another's by now


def test_what_one_left_at_its_end_is_not_taken_for_the_next_ones(tmp_path: Path) -> None:
    for suffix in (FOUND_SUFFIX, JOURNAL_SUFFIX):
        (tmp_path / f"trade{suffix}").write_bytes(b"of before")
    (tmp_path / "trade.stderr").write_bytes(b"what it died of\n")
    ward = Wardship(tmp_path, CONFIG).begin("trade", ("no-such-command",))
    assert ward.process.wait(60) != 0
    assert not any((tmp_path / f"trade{suffix}").exists() for suffix in (FOUND_SUFFIX, JOURNAL_SUFFIX))
    assert ward.said.read_bytes().startswith(b"what it died of\n")
    assert "what it died of" not in ward.last_line()
    ward.said_before = ward.said.stat().st_size
    assert ward.last_line() == "it said nothing", "of this life"


def test_without_a_nursery_a_process_starts_by_itself(tmp_path: Path) -> None:
    nursery = Nursery()
    nursery.close()
    ward = Wardship(tmp_path, CONFIG, nursery).begin("trade", ("no-such-command",))
    assert ward.process.wait(60) == ExitCode.USAGE
    assert "no-such-command" in ward.last_line()


def test_one_that_said_so_ended_well(child: subprocess.Popen[bytes]) -> None:
    adopted = Running.adopt(child.pid, started_at(child.pid), lambda: True)
    adopted.send_signal(signal.SIGKILL)
    assert adopted.wait() == 0


def test_another_process_with_the_number_is_not_it(child: subprocess.Popen[bytes], tmp_path: Path) -> None:
    with pytest.raises(ProcessLookupError):
        Running.adopt(child.pid, started_at(child.pid) - 1, lambda: True)
    note(tmp_path, child.pid, started_at(child.pid) - 1)
    wardship = Wardship(tmp_path, CONFIG)
    assert wardship.find("trade", (), lambda: True) is None
    assert wardship.find("market", (), lambda: True) is None, "nobody has noted one"


def test_a_dead_one_is_not_found(child: subprocess.Popen[bytes], tmp_path: Path) -> None:
    note(tmp_path, child.pid, started_at(child.pid))
    child.kill()
    wardship = Wardship(tmp_path, CONFIG)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is not reaped yet
    assert wardship.find("trade", (), lambda: True) is None
    child.wait()
    assert wardship.find("trade", (), lambda: True) is None
    assert started_at(child.pid) == 0


def test_who_falls_soon_is_begun_again_later_each_time(
    child: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    config = replace(CONFIG, restart_min_ns=10**9, restart_max_ns=3 * 10**9, settled_ns=60 * 10**9)
    note(tmp_path, child.pid, started_at(child.pid))
    ward = Wardship(tmp_path, config).find("trade", (), lambda: True)
    assert ward is not None
    ward.began_s = 100.0
    delays = []
    for _ in range(3):
        ward.restarts += 1
        ward.fell(101.0, config)
        delays.append(ward.due_s - 101.0)
    assert delays == [1.0, 2.0, 3.0]
    ward.fell(161.0, config)
    assert (ward.due_s, ward.restarts) == (162.0, 0)
