"""A run of several processes does what one process does, and ends with everything it started."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import orjson
import pytest

from engine.ids import counter_of
from engine.records import Venue
from engine.sim.session.build import Session
from engine.sim.session.planted import complement_buy, partition_buy_yes
from procs import paper_processes
from procs.config_files import load_config
from procs.paper import PaperOptions, run_recordings
from procs.paper_processes import Where
from procs.paper_result import PaperResult
from procs.places import samples_dir
from procs.progress import OnProgress, Progress, ignore
from procs.recording import Provenance, RecordingHeader, RecordingWriter
from procs.recording_reader import RecordingReader
from procs.replay_inputs import logs_of, play_log
from procs.run_directory import RunDirectory
from tests.data import recordings as made
from tests.procs.planted_session import CLOSE_NS, session_of

pytestmark = pytest.mark.compiled_only

REAL_FRAMES = 2_000
AGENTS = 9  # with a log: two feeds, books and venues, strategy, optimizer, executor
MADE = Provenance("made for this test", "none", "2026-10-12")


def recorded(session: Session, path: Path) -> Path:
    """The session as a recording."""
    header = RecordingHeader(
        venue="both",
        kind="stream",
        start_ns=session.frames[0].recv_ns,
        markets=tuple(session.markets),
        provenance=MADE,
        synthetic=True,
    )
    with path.open("wb") as file, RecordingWriter(file, header) as writer:
        for frame in session.frames:
            writer.write(frame.recv_ns, frame.venue, frame.conn, frame.raw)
    return path


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two opportunities at Polymarket."""
    session = session_of(
        partition_buy_yes(("medium", (110,)), CLOSE_NS, Venue.POLYMARKET),
        complement_buy(("medium", (110,)), CLOSE_NS),
    )
    return recorded(session, tmp_path_factory.mktemp("recording") / "session.ndjson.zst")


# A replay may stand still for longer than any venue would: what a live feed gives up on must not matter.
IMPATIENT = [
    f"venues.{venue}.feed.{name}=1_000_000"
    for venue in ("polymarket", "kalshi")
    for name in ("subscribe_max_ns", "pong_max_ns", "message_max_ns", "ping_every_ns")
]


def run(
    recording: Path, topology: str, where: Where | None = None, on_progress: OnProgress = ignore
) -> tuple[PaperResult, bytes]:
    decisions = io.BytesIO()
    options = PaperOptions(
        config=load_config(assignments=[f"engine.topology={topology}", "engine.market_slots=64", *IMPATIENT]),
        files=(recording,),
        decisions=decisions,
        latency_scales=(1,),
        where=where or Where(),
    )
    return run_recordings("made", options, on_progress), decisions.getvalue()


@pytest.fixture(scope="module")
def inline(recording: Path) -> tuple[PaperResult, bytes]:
    return run(recording, "inline")


def decided(log: bytes) -> list[tuple[object, ...]]:
    """Lines of a decision log, without the boot epochs that every process has its own of."""
    lines = [orjson.loads(line) for line in log.splitlines()[1:]]
    for line in lines:
        line["epoch"] = line["epoch"].split(".")[1]
        for name in {"signal", "plan"} & line.keys():
            line[name] = counter_of(line[name])
    return sorted(tuple(map(str, sorted(line.items()))) for line in lines)


@pytest.mark.parametrize("topology", ["one", "two"])
def test_feeds_and_books_that_are_one_decide_and_trade_as_two(
    topology: str, recording: Path, inline: tuple[PaperResult, bytes]
) -> None:
    """Without a log of inputs the two are one compiled call where they are of one process."""
    expected, log = inline
    told: list[Progress] = []
    result, lines = run(recording, topology, on_progress=told.append)
    outcome = expected.outcomes[0]
    assert outcome.fills > 0
    assert decided(lines) == decided(log)
    assert replace(result, wall_s=0, peak_rss_bytes=0) == replace(expected, wall_s=0, peak_rss_bytes=0)
    assert result.books_digest, "every level of every book was compared"
    last = told[-1]
    assert (last.frames, last.now_ns, last.fills) == (result.data.frames, result.data.last_ns, outcome.fills)
    assert last.frames_total == last.frames, "the end is shown however sparse progress is"


@pytest.mark.soak
@pytest.mark.parametrize("topology", ["two", "roles"])
def test_processes_decide_and_trade_as_one_process_does(
    topology: str, recording: Path, inline: tuple[PaperResult, bytes], tmp_path: Path
) -> None:
    """And each agent alone, on what it read in the processes, does what it did there."""
    expected, log = inline
    result, lines = run(recording, topology, Where(record_inputs=tmp_path))
    assert expected.outcomes[0].fills > 0
    assert decided(lines) == decided(log)
    assert replace(result, wall_s=0, peak_rss_bytes=0) == replace(expected, wall_s=0, peak_rss_bytes=0)
    played = [play_log(path) for path in logs_of(tmp_path)]
    assert [(one.difference, one.end) for one in played] == [("", "")] * AGENTS
    assert sum(one.outputs for one in played if one.agent == "executor") > expected.outcomes[0].fills


@pytest.mark.soak
@pytest.mark.parametrize("topology", ["two", "roles"])
def test_books_of_a_real_recording_end_as_in_one_process(topology: str, tmp_path: Path) -> None:
    """The first frames of a packaged one, both of whose tokens are deep."""
    path = tmp_path / "real.ndjson.zst"
    with RecordingReader(samples_dir() / "btc15m_20260928.ndjson.zst") as reader:
        frames = list(islice(reader.frames(), REAL_FRAMES))
        made.write(path, reader.header, frames)
    expected, log = run(path, "inline")
    result, lines = run(path, topology)
    assert result.data.frames == REAL_FRAMES
    assert result.books_by_trust["live"] > 0
    assert result.books_digest == expected.books_digest
    assert decided(lines) == decided(log)


def test_a_run_that_is_ended_leaves_nothing_behind(recording: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    command = ["paper", "--topology", "two", "--replay", str(recording)]
    endless = ["--set", "venues.polymarket.latency.settle_ns=1"]
    with subprocess.Popen(
        [sys.executable, "-m", "procs.cli.main", *command, *endless],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as paper:
        assert paper.stderr is not None
        said = paper.stderr.readline()  # progress: the processes have begun
        started = list(tmp_path.iterdir())
        paper.send_signal(signal.SIGTERM)
        code = paper.wait()
    assert started, said
    assert code in (0, 128 + signal.SIGTERM)  # or it was over already
    assert list(tmp_path.iterdir()) == []


def test_folders_of_owners_that_were_killed_go_with_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    names = ("killed", "empty", "owned", "alive", "young", "another")
    folders = {name: tmp_path / f"pr3dict-paper-{name}" for name in names}
    folders["another"] = tmp_path / "another"
    held = []
    for name, folder in folders.items():
        folder.mkdir(mode=0o700)
        if name != "empty":
            claimed = RunDirectory.claim(folder / "run")
            (claimed.path / "engine.json").write_bytes(b"x")
            if name == "alive":
                held.append(RunDirectory.join(claimed.path, "market").lock)
            if name != "owned":
                claimed.lock.release()
        if name != "young":
            os.utime(folder, (1, 1))
    ours = paper_processes._own_folder()
    left = {path.name for path in tmp_path.iterdir()} - {ours.name}
    assert left == {folders[name].name for name in ("owned", "alive", "young", "another")}
    assert held
