"""Producers, writers of rows and readers killed with SIGKILL at random moments; who survives finds no fault.

Each run is one warm process that forks its victims (``spawn``: starts them anew), see ``tests.crash.kills``.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.compiled_only

ROOT = Path(__file__).resolve().parents[2]
TMPFS = Path("/dev/shm")
CAPACITY_CELLS = 1024

Report = dict[str, int]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A private folder in memory where there is one, on disk otherwise."""
    if not os.access(TMPFS, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=TMPFS) as folder:
        yield Path(folder)


def run(role: str, kind: str, directory: Path, rounds: int, how: str = "fork") -> Report:
    """What the survivor of ``rounds`` victims reports."""
    seed = 1 if how == "fork" and rounds <= 50 else random.SystemRandom().randrange(1 << 30)
    command = [
        sys.executable,
        "-m",
        "tests.crash.kills",
        role,
        kind,
        str(directory),
        str(rounds),
        str(seed),
        how,
    ]
    print("seed", seed, "of", *command[2:])
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    report: Report = json.loads(done.stdout)
    print(report)
    assert report["rounds"] == rounds
    return report


def rounds_of(normal: int, soak: int, spawned: int) -> pytest.MarkDecorator:
    """How many victims: a few in the ordinary suite, many in the soak, some as processes of their own."""
    long = (
        pytest.param(soak, "fork", marks=pytest.mark.soak),
        pytest.param(spawned, "spawn", marks=pytest.mark.soak),
    )
    return pytest.mark.parametrize(("rounds", "how"), [(normal, "fork"), *long])


@rounds_of(25, 250, 10)
@pytest.mark.parametrize("kind", ["overwriting", "refusing", "checked"])
def test_a_producer_killed_in_the_middle_of_a_message(
    directory: Path, kind: str, rounds: int, how: str
) -> None:
    """Half of the kills of the soak are here with one kind of ring, half with the other."""
    got = run("producer", kind, directory, rounds, how)
    assert got["mid_write"] > 0, "no kill came in the middle of a message: the run proves nothing"
    assert got["bad"] == 0, "a torn, foreign or incomplete message was accepted"
    assert got["received"] + got["lost"] + got["before_it_joined"] == got["published"]
    messages = got["received_messages"] + got["lost_messages"] + got["messages_before_it_joined"]
    assert messages == got["published_messages"]
    assert got["epochs_entered"] == rounds, "every takeover was noticed, once"
    assert got["received_messages"] > rounds
    assert got["garbled"] == 0, "a message of a dead producer was taken for garbage"
    if kind != "overwriting":
        assert (got["lost"], got["laps"]) == (0, 0)


@rounds_of(25, 250, 10)
def test_a_writer_killed_in_the_middle_of_a_row(directory: Path, rounds: int, how: str) -> None:
    got = run("writer", "-", directory, rounds, how)
    assert got["mid_write"] > 0, "no kill came in the middle of a row: the run proves nothing"
    assert got["lost_rows"] == got["mid_write"], "every row that somebody died in is counted, once"
    assert (got["torn"], got["unreadable"]) == (0, 0)
    assert got["read"] > rounds


@rounds_of(25, 250, 10)
@pytest.mark.parametrize("kind", ["takes", "keeps"])
def test_a_gating_reader_killed_in_the_middle_of_a_poll(
    directory: Path, kind: str, rounds: int, how: str
) -> None:
    """Each goes on where the one before was: nothing comes twice, nothing is missing, nobody was fenced.

    One that takes may die with a batch unused, once a death. One that keeps may have used a batch that its
    heir is handed again; unused is nothing.
    """
    got = run("reader", kind, directory, rounds, how)
    assert got["in_poll"] > 0, "no kill came in the middle of a poll: the run proves nothing"
    assert (got["bad"], got["misplaced"], got["lost"], got["fenced"]) == (0, 0, 0, 0)
    assert got["position"] == got["published"]
    assert got["received_messages"] == got["published_messages"] > rounds
    most = rounds * 2 * (CAPACITY_CELLS // 4)  # what one poll brings, at each death
    unused = got["handed_out_and_unused"]
    assert -most <= unused <= 0 if kind == "keeps" else 0 <= unused <= most
