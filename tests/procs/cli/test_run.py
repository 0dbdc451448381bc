"""``pr3dict run`` against simulated venues on real sockets, looked at and steered from outside."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from engine.records import Venue
from engine.sim.session.planted import partition_buy_yes
from tests.procs.planted_session import CLOSE_NS, session_of
from tests.procs.test_paper_processes import recorded

pytestmark = pytest.mark.compiled_only

PATIENCE_S = 120.0


def command(*argv: str) -> list[str]:
    return [sys.executable, "-m", "procs.cli.main", *argv]


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that another process does."""
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, f"waited for {what}"
        time.sleep(0.05)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A session; the venues play it at its own speed, so that its books stay."""
    session = session_of(partition_buy_yes(("medium", (110,)), CLOSE_NS, Venue.POLYMARKET))
    return recorded(session, tmp_path / "session.ndjson.zst")


@pytest.fixture
def venues(recording: Path) -> Iterator[dict[str, str]]:
    """Addresses of both venues."""
    with subprocess.Popen(
        command("venue-sim", str(recording), "--speed", "1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as sim:
        try:
            yield _first_line(sim.stdout)["endpoints"]
        finally:
            sim.terminate()
            sim.communicate()


def _first_line(stream: IO[bytes] | None) -> dict[str, Any]:
    assert stream is not None
    said: dict[str, Any] = json.loads(stream.readline())
    return said


def test_an_engine_is_looked_at_halted_and_shut_down(
    recording: Path, venues: dict[str, str], tmp_path: Path
) -> None:
    folders = ["--run-dir", str(tmp_path / "run"), "--state-dir", str(tmp_path / "state")]
    urls = ["--polymarket-url", venues["polymarket"], "--kalshi-url", venues["kalshi"]]
    engine = command("run", "--markets", str(recording), *folders, *urls, "--port", "0", "--json")

    def ask(*argv: str) -> tuple[int, dict[str, Any]]:
        done = subprocess.run(command(*argv, *folders, "--json"), capture_output=True, check=False)
        return done.returncode, json.loads(done.stdout) if done.stdout else {}

    with subprocess.Popen(engine, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        try:
            until(lambda: ask("health")[0] == 0, "an engine that is fit")
            status = ask("status")[1]
            assert {process["name"] for process in status["processes"]} == {"market", "trade", "venues"}
            again = subprocess.run(engine, capture_output=True, check=False)
            assert (again.returncode, again.stderr.count(b"\n")) == (5, 1), again.stderr
            assert ask("halt", "--text", "a test")[0] == 0
            until(lambda: bool(ask("status")[1]["halted"]), "a halted engine")
            assert ask("shutdown", "--confirm")[0] == 0
            out, err = running.communicate(timeout=PATIENCE_S)
        finally:
            running.send_signal(signal.SIGTERM)
    assert running.returncode == 0, err
    [result] = json.loads(out)["inputs"]
    assert result["books_by_trust"].get("live", 0) > 0
    assert (tmp_path / "state" / "halt.json").exists()
    assert {left.suffix for left in (tmp_path / "run").iterdir()} == {".lock"}
