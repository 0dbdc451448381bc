"""``pr3dict proc``: what is refused, each in one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from procs.cli import main as cli
from procs.run_directory import RunDirectory
from tests.procs.test_run_directory import description

Say = Callable[[], tuple[str, str]]


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """Where an engine is described, and nothing of it runs."""
    directory = RunDirectory.claim(tmp_path / "run")
    directory.describe(description())
    return directory.path


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    code = cli.main(["proc", *argv])
    return code, capsys.readouterr().err


def test_a_name_that_is_not_there(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = refused(capsys, "markets", "--run-dir", str(run_dir))
    assert (code, said) == (2, "pr3dict: no process 'markets' in topology two: market, trade, venues\n")


def test_no_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = refused(capsys, "market", "--run-dir", str(tmp_path))
    assert (code, said) == (2, f"pr3dict: {tmp_path}: no engine is described here (no engine.json)\n")


def test_one_that_runs(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = RunDirectory.join(run_dir, "market")
    code, said = refused(capsys, "market", "--run-dir", str(run_dir))
    held.lock.release()
    assert (code, said) == (5, f"pr3dict: {run_dir}/market.lock: process market is running already\n")


def test_another_build(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = RunDirectory(run_dir, RunDirectory.join(run_dir, "venues").lock)
    again.describe(replace(description(), build="0" * 16))
    code, said = refused(capsys, "market", "--run-dir", str(run_dir))
    assert code == 5
    assert said.startswith(f"pr3dict: {run_dir}: its owner runs build 0000000000000000, this is build ")
