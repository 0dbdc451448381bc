"""The operator's commands against a control process of its own, alive, killed, and back again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from procs.cli.main import main
from procs.control_words import ControlWords, Word
from procs.halt import HaltSwitch
from procs.health import HealthTable, ProcessState
from procs.run_directory import FolderLock
from tests.procs.served import EPOCH, run_directory, serving

ROOT = Path(__file__).resolve().parents[3]
END_S = 60.0


class Engine:
    """Words and health rows as a supervisor makes them, and a control process."""

    def __init__(self, run_dir: Path, state_dir: Path) -> None:
        self.run_dir = run_dir
        self.state_dir = state_dir
        self.dirs = ["--run-dir", str(run_dir), "--state-dir", str(state_dir)]
        self.processes: list[subprocess.Popen[str]] = []

    def start(self) -> None:
        """As a start of the engine does it."""
        for name in ("control", "health"):
            (self.run_dir / name).unlink(missing_ok=True)
        self.switch = HaltSwitch.create(self.run_dir, self.state_dir, EPOCH)
        self.health = HealthTable.create(("feed",), self.run_dir, EPOCH)

    def control(self) -> subprocess.Popen[str]:
        """A control process that has said where it serves."""
        command = [sys.executable, "-m", "procs.cli.main", "control", *self.dirs, "--epoch", str(EPOCH)]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        if line:
            assert json.loads(line)["control"] == f"{self.run_dir}/control.sock"
        return process

    def words(self) -> ControlWords:
        return ControlWords.attach(self.run_dir)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with run_directory() as directory:
        engine = Engine(directory, tmp_path / "state")
        engine.start()
        try:
            yield engine
        finally:
            for process in engine.processes:
                process.kill()
                process.communicate()


@pytest.mark.soak
def test_a_killed_control_takes_nothing_with_it(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    first = engine.control()
    assert main(["pause", *engine.dirs]) == 0
    assert capsys.readouterr().out == "paused\n"
    assert engine.words().is_set(Word.PAUSED)
    first.kill()
    first.wait()

    assert main(["pause", *engine.dirs]) == 3
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"pr3dict: {engine.run_dir}/control.sock: control did not answer 'pause'")

    assert main(["halt", *engine.dirs, "--text", "control is dead", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == {
        "ok": True,
        "latch": f"{engine.state_dir}/halt.json",
        "engine": True,
        "control": False,
    }
    assert told.err == "pr3dict: control does not answer; the halt is in force without it\n"
    assert engine.words().is_set(Word.HALTED)

    assert main(["status", *engine.dirs, "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["control"], status["halted"]) == (False, True)
    assert status["halts"][0]["text"] == "control is dead"

    engine.control()
    assert main(["resume", *engine.dirs, "--reason", "operator"]) == 0
    assert capsys.readouterr().out == "lifted: halt by operator and pause\n"
    assert engine.words().bits() == 0


def test_a_halt_survives_the_engine_and_is_lifted_by_name_only(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    control = engine.control()
    assert main(["halt", *engine.dirs]) == 0
    assert "lift it with: pr3dict resume --reason operator" in capsys.readouterr().out
    control.kill()
    control.wait()
    engine.start()
    assert engine.words().is_set(Word.HALTED)
    engine.control()
    assert main(["resume", *engine.dirs]) == 4
    assert "halted by operator: name each with --reason" in capsys.readouterr().err
    assert main(["health", *engine.dirs]) == 1
    assert capsys.readouterr().out.startswith("halted\n")
    assert main(["resume", *engine.dirs, "--reason", "operator", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "lifted": ["operator"], "unpaused": False}
    assert main(["resume", *engine.dirs]) == 5
    assert capsys.readouterr().err == "pr3dict: neither halted nor paused: nothing to resume\n"


def test_a_corrupted_latch_is_a_halt(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    (engine.state_dir / "halt.json").write_bytes(b'{"reason": "oper')
    engine.start()
    assert engine.words().is_set(Word.HALTED)
    assert main(["status", *engine.dirs]) == 0
    said = capsys.readouterr().out
    assert "HALTED: no order leaves" in said
    assert "unreadable" in said
    with serving(engine.run_dir, engine.state_dir):
        assert main(["resume", *engine.dirs, "--reason", "operator"]) == 4
        assert main(["resume", *engine.dirs, "--reason", "unreadable"]) == 0
    assert not engine.words().is_set(Word.HALTED)


def test_shutdown_and_health(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    writer = engine.health.writer("feed")
    writer.start(["feed", "book"], EPOCH, "spin", 0)
    writer.set_state(ProcessState.READY, "one socket was slow")
    with serving(engine.run_dir, engine.state_dir):
        assert main(["health", *engine.dirs]) == 1, "its heartbeat is of long ago"
        assert "silent" in capsys.readouterr().out
        assert main(["status", *engine.dirs]) == 0
        said = capsys.readouterr().out
        for word in ("running, epoch 7", "answers", "feed, book", "spin", "one socket was slow"):
            assert word in said
        assert "gone: it ends by itself" in said, "nobody owns it"
        owner = FolderLock(engine.run_dir / "engine.lock", "an engine")
        assert main(["status", *engine.dirs]) == 0
        assert "gone: it ends by itself" not in capsys.readouterr().out
        owner.release()
        assert main(["shutdown", *engine.dirs]) == 4
        assert main(["shutdown", *engine.dirs, "--confirm", "--expected-epoch", "6"]) == 5
        assert not engine.words().is_set(Word.STOPPING)
        assert main(["shutdown", *engine.dirs, "--confirm"]) == 0
        assert engine.words().is_set(Word.STOPPING)
        capsys.readouterr()
        assert main(["status", *engine.dirs]) == 0
        assert "shutting down; since" in capsys.readouterr().out


@pytest.mark.soak
def test_shutdown_reaches_an_engine_that_has_lost_owner_and_control(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    confirmed = ["shutdown", *engine.dirs, "--confirm"]
    owner = FolderLock(engine.run_dir / "engine.lock", "an engine")
    feed = FolderLock(engine.run_dir / "feed.lock", "process feed")
    assert main(confirmed) == 3, "an owner lives: it is for control to say"
    owner.release()
    assert main(["shutdown", *engine.dirs]) == 4
    assert main([*confirmed, "--expected-epoch", "6"]) == 5
    assert not engine.words().is_set(Word.STOPPING)
    assert "it was started again" in capsys.readouterr().err
    assert main([*confirmed, "--expected-epoch", str(EPOCH)]) == 0
    assert capsys.readouterr().out == "shutting down\n"
    assert engine.words().is_set(Word.STOPPING)
    feed.release()
    assert main(confirmed) == 3, "nobody is left to end"


def test_tail_prints_what_changes(engine: Engine) -> None:
    engine.control()
    command = [sys.executable, "-m", "procs.cli.main", "tail", *engine.dirs]
    tail = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    engine.processes.append(tail)
    assert tail.stdout is not None
    paused = threading.Event()

    def toggle() -> None:  # until the subscription has arrived and something is heard
        while not paused.wait(0.05):
            words = engine.words()
            if not words.set(Word.PAUSED):
                words.clear(Word.PAUSED, words.read(Word.PAUSED))

    toggler = threading.Thread(target=toggle)
    toggler.start()
    line = json.loads(tail.stdout.readline())
    paused.set()
    toggler.join()
    assert (line["event"] in ("pause", "resume"), line["word"], line["lost"]) == (True, "paused", 0)
    tail.send_signal(signal.SIGTERM)
    tail.communicate(timeout=END_S)
    assert tail.returncode == 0


def test_a_second_control_process_is_refused_in_one_line(engine: Engine) -> None:
    engine.control()
    second = engine.control()
    _, err = second.communicate(timeout=END_S)
    assert second.returncode == 5
    assert err == f"pr3dict: {engine.run_dir}: another control process serves this directory\n"


def test_a_signal_ends_control_and_its_sockets(engine: Engine) -> None:
    process = engine.control()
    process.terminate()
    out, err = process.communicate(timeout=END_S)
    assert (process.returncode, out, err) == (0, "", "")
    assert not (engine.run_dir / "control.sock").exists()


def test_where_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dirs = ["--run-dir", str(tmp_path / "none"), "--state-dir", str(tmp_path / "state")]
    assert main(["status", *dirs]) == 0
    assert "not running" in capsys.readouterr().out
    for verb in (["pause"], ["resume"], ["health"], ["shutdown", "--confirm"]):
        assert main([*verb, *dirs]) == 5
        assert capsys.readouterr().err == f"pr3dict: {tmp_path}/none: no engine runs here\n"
    assert main(["halt", *dirs]) == 0
    said = capsys.readouterr()
    assert (said.out.startswith("halted (latch; no engine runs here"), said.err) == (True, "")
    assert json.loads((tmp_path / "state" / "halt.json").read_text())["pid"] == os.getpid()


def test_a_halt_that_finds_no_words_where_processes_run_does_not_say_that_none_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir(mode=0o700)
    held = FolderLock(run_dir / "trade.lock", "process trade")
    dirs = ["--run-dir", str(run_dir), "--state-dir", str(tmp_path / "state")]
    assert main(["halt", *dirs]) == 1
    said = capsys.readouterr().err
    assert "no control words, and trade run here: latched only, what runs there goes on" in said
    assert (tmp_path / "state" / "halt.json").exists()
    held.release()


def test_a_halt_of_an_engine_of_another_layout_latches_and_says_what_goes_on(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.switch.words.segment.header["layout_hash"] += 1  # type: ignore[union-attr]
    assert main(["halt", *engine.dirs]) == 1
    said = capsys.readouterr().err
    assert "layout_hash is" in said
    assert "latched only, what runs there goes on: stop its processes" in said
    assert len(said.splitlines()) == 1
    assert (engine.state_dir / "halt.json").exists()
