"""What ``pr3dict run`` refuses when its processes have begun already."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from engine.records import Venue
from engine.sim.session.planted import partition_buy_yes
from procs.cli.main import main
from procs.places import samples_dir
from procs.run_directory import living
from tests.procs.planted_session import CLOSE_NS, session_of
from tests.procs.test_paper_processes import recorded

NO_ROOM = ("/etc/hostname/pr3dict", "/proc/pr3dict")  # a file, and where nobody can make anything
NOBODY = "ws://127.0.0.1:1"


@pytest.mark.compiled_only
def test_a_taken_port_ends_it_in_one_line(tmp_path: Path) -> None:
    session = session_of(partition_buy_yes(("medium", (110,)), CLOSE_NS, Venue.POLYMARKET))
    recording = recorded(session, tmp_path / "session.ndjson.zst")
    folders = ["--run-dir", str(tmp_path / "run"), "--state-dir", str(tmp_path / "state")]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        argv = ["run", "--markets", str(recording), *folders, "--port", port]
        urls = ["--polymarket-url", NOBODY, "--kalshi-url", NOBODY]
        done = subprocess.run(
            [sys.executable, "-m", "procs.cli.main", *argv, *urls],
            capture_output=True,
            check=False,
            text=True,
        )
    assert done.returncode == 2, done.stderr
    *progress, line = done.stderr.splitlines()
    assert all(one.startswith("engine, live: 0 frames") for one in progress)
    assert line == f"pr3dict: monitor: 127.0.0.1:{port}: Address already in use"
    assert living(tmp_path / "run") == ()


@pytest.mark.compiled_only
@pytest.mark.parametrize("option", ["--run-dir", "--state-dir"])
@pytest.mark.parametrize("folder", NO_ROOM)
def test_a_directory_that_cannot_be_made_is_refused_in_one_line(
    folder: str, option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = {"--run-dir": str(tmp_path / "run"), "--state-dir": str(tmp_path / "state"), option: folder}
    markets = str(samples_dir() / "nhl_final_20260607.ndjson.zst")
    argv = [word for pair in folders.items() for word in pair]
    assert main(["run", "--markets", markets, *argv, "--port", "0"]) == 2
    out, err = capsys.readouterr()
    [line] = err.splitlines()
    assert out == ""
    assert line.startswith(f"pr3dict: {folder}: ")
    assert not (tmp_path / "run").exists() or living(tmp_path / "run") == ()
