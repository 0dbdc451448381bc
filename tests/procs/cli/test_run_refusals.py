"""What ``pr3dict run`` refuses when its processes have begun already."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from engine.records import Venue
from engine.sim.session.planted import partition_buy_yes
from procs.run_directory import living
from tests.procs.planted_session import CLOSE_NS, session_of
from tests.procs.test_paper_processes import recorded

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
