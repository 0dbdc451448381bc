"""The nursery: children that begin clean, say how they ended, and end with their owner or outlive it."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from procs.cli.exit_codes import ExitCode
from procs.control_wire import CONTROL_SOCKET
from procs.nursery import ENDED_BADLY, Nursery, NurseryGone

PATIENCE_S = 60.0

# Owns a nursery whose two children serve until told to end; says their pids and waits to be killed.
OWNER = """
import sys
from pathlib import Path
from procs.nursery import Nursery

folder = Path(sys.argv[1])
nursery = Nursery()
for name, outlives in (("stays", True), ("goes", False)):
    argv = ["control", "--run-dir", str(folder / name), "--state-dir", str(folder / name)]
    print(nursery.begin(argv, folder / f"{name}.stderr", outlives=outlives)[0], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


def has_ended(descriptor: int, within_s: float = PATIENCE_S) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(within_s * 1000))


def serving(folder: Path) -> list[str]:
    """Arguments of a process that serves until it is told to end."""
    return ["control", "--run-dir", str(folder), "--state-dir", str(folder)]


def until_serving(folder: Path, descriptor: int) -> None:
    """Its socket is there only when it listens for signals, too."""
    end_s = time.monotonic() + PATIENCE_S
    while not (folder / CONTROL_SOCKET).exists():
        assert not has_ended(descriptor, 0.01), "it ended"
        assert time.monotonic() < end_s, "it never served"


def test_children_say_how_they_ended(nursery: Nursery, tmp_path: Path) -> None:
    said = tmp_path / "stderr"
    said.write_text("of before\n")
    ends = [(["no-such-command"], ExitCode.USAGE), (["--version"], 0)]
    born = [(nursery.begin(argv, said, outlives=False), code) for argv, code in ends]
    for (pid, descriptor, code_of), code in reversed(born):
        assert has_ended(descriptor)
        assert code_of(pid) == code
        os.close(descriptor)
    status = Path(f"/proc/{nursery._pid}/status").read_text()
    assert "Threads:\t1\n" in status, "a lock that another thread holds would be held for ever in a child"
    assert said.read_text().startswith("of before\n")
    assert "no-such-command" in said.read_text()


def test_a_child_has_nothing_of_the_owners(tmp_path: Path) -> None:
    handled: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: handled.append(number))
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    nursery = Nursery()
    try:
        pid, descriptor, code_of = nursery.begin(serving(tmp_path / "run"), tmp_path / "said", outlives=False)
        os.close(lock)
        again = os.open(tmp_path / "lock", os.O_RDWR)
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody else holds it
        os.close(again)
        until_serving(tmp_path / "run", descriptor)
        assert Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"pr3dict control --run-dir ")
        os.kill(pid, signal.SIGTERM)
        assert has_ended(descriptor)
        assert code_of(pid) == 0, (tmp_path / "said").read_text()
        assert not handled
    finally:
        nursery.close()
        signal.signal(signal.SIGTERM, before)


def test_without_its_nursery(tmp_path: Path) -> None:
    nursery = Nursery()
    pid, descriptor, code_of = nursery.begin(serving(tmp_path / "run"), tmp_path / "said", outlives=False)
    until_serving(tmp_path / "run", descriptor)
    nursery.close()
    assert has_ended(descriptor), "it ends with those it came from"
    assert code_of(pid) == ENDED_BADLY
    with pytest.raises(NurseryGone):
        nursery.begin(["--version"], tmp_path / "said", outlives=False)


def test_who_outlives_the_owner(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        stays, goes = (os.pidfd_open(int(owner.stdout.readline())) for _ in range(2))
        try:
            for name, descriptor in (("stays", stays), ("goes", goes)):
                until_serving(tmp_path / name, descriptor)
            owner.kill()
            assert has_ended(goes)
            assert not has_ended(stays, 0)
            signal.pidfd_send_signal(stays, signal.SIGTERM)
            assert has_ended(stays), "it is told by nobody but us"
        finally:
            for descriptor in (stays, goes):
                if not has_ended(descriptor, 0):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                os.close(descriptor)
