"""``pr3dict run`` against simulated venues on real sockets, looked at and steered from outside."""

from __future__ import annotations

import json
import os
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

pytestmark = [pytest.mark.compiled_only, pytest.mark.soak]

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


class Engine:
    """A running ``pr3dict run``, and the commands that speak to it."""

    def __init__(self, recording: Path, venues: dict[str, str], tmp_path: Path, *more: str) -> None:
        self.folders = ["--run-dir", str(tmp_path / "run"), "--state-dir", str(tmp_path / "state")]
        urls = ["--polymarket-url", venues["polymarket"], "--kalshi-url", venues["kalshi"]]
        self.argv = command(
            *("run", "--markets", str(recording), *self.folders, *urls, "--port", "0", "--json"), *more
        )
        self.process = subprocess.Popen(self.argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def ask(self, *argv: str) -> tuple[int, dict[str, Any]]:
        done = subprocess.run(command(*argv, *self.folders, "--json"), capture_output=True, check=False)
        return done.returncode, json.loads(done.stdout) if done.stdout else {}

    def is_fit(self) -> bool:
        return self.ask("health")[0] == 0

    def pids(self) -> dict[str, int]:
        return {row["name"]: row["pid"] for row in self.ask("status")[1]["processes"]}

    def end(self) -> dict[str, Any]:
        """Shut down; the result."""
        assert self.ask("shutdown", "--confirm")[0] == 0
        out, err = self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 0, err
        [result] = json.loads(out)["inputs"]
        assert isinstance(result, dict)
        return result


@pytest.fixture
def engine(recording: Path, venues: dict[str, str], tmp_path: Path) -> Iterator[Engine]:
    """A fit engine on live books."""
    started = Engine(recording, venues, tmp_path)
    try:
        until(started.is_fit, "an engine that is fit")
        yield started
    finally:
        started.process.terminate()
        started.process.communicate()


def test_an_engine_is_killed_in_parts_halted_and_shut_down(engine: Engine, tmp_path: Path) -> None:
    """One engine for all of it: a start takes seconds."""
    assert set(engine.pids()) == {"market", "trade", "venues"}
    for name in ("market", "trade"):
        before = engine.pids()[name]
        os.kill(before, signal.SIGKILL)
        until(lambda old=before, of=name: engine.pids()[of] != old, f"another {name}")  # type: ignore[misc]
        until(engine.is_fit, f"a {name} that is fit")
    again = subprocess.run(engine.argv, capture_output=True, check=False)
    assert (again.returncode, again.stderr.count(b"\n")) == (5, 1), again.stderr
    assert engine.ask("halt", "--text", "a test")[0] == 0
    until(lambda: bool(engine.ask("status")[1]["halted"]), "a halted engine")
    result = engine.end()
    assert result["books_by_trust"].get("live", 0) > 0
    assert (tmp_path / "state" / "halt.json").exists()
    assert {left.suffix for left in (tmp_path / "run").iterdir()} == {".lock"}
