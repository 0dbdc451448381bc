"""Every agent of a run alone on what it read: the same to the byte, and where it is not, the difference."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from engine.config import Role
from engine.errors import ConfigError, RecordingDamaged, RecordingFormat
from engine.records import Venue
from engine.sim.session.build import Session
from engine.sim.session.planted import partition_buy_yes
from procs import input_log
from procs.cli.main import main
from procs.config_files import load_config
from procs.control_words import ControlWords
from procs.halt import HaltSwitch
from procs.inline import InlineRunner, VirtualClock
from procs.inputs import named_input
from procs.journal_file import JournalFile
from procs.parts import VENUES, EngineParts
from procs.replay_inputs import logs_of, play_log
from procs.run_directory import DESCRIPTION, Description, InputNamed
from procs.source import SourceAgent
from procs.stages import Stages
from procs.tapes import RecordingTapes
from procs.wires import Wires
from tests.procs.planted_session import CLOSE_NS, frames_of, session_of
from tests.procs.test_paper_processes import recorded

pytestmark = pytest.mark.compiled_only

EVERY = {f"{stage}-{venue.name.lower()}" for stage in ("feed", "book", "venue") for venue in VENUES} | {
    "strategy",
    "optimizer",
    "executor",
}


@dataclass(frozen=True)
class Ran:
    """Logs of a run, and how many orders it sent."""

    folder: Path
    orders: int


def run(
    folder: Path,
    session: Session,
    known: Callable[[Session], Session] = lambda session: session,
    journal_at: Path | None = None,
    stop_at: int = 0,
) -> Ran:
    """Run ``session`` in this process; the header names the markets of ``known``.

    The journal is new, or that of an earlier run; at the step ``stop_at`` the engine is told to end.
    """
    config = load_config(assignments=["engine.market_slots=64"])
    recording = recorded(known(session), folder / "session.ndjson.zst")
    description = Description(
        build="of this test",
        boot_epoch=1,
        state_dir=str(folder),
        config=config,
        input=InputNamed(name="made", files=(str(recording),)),
    )
    given = named_input(description.input, config)
    wires = Wires.create(VENUES, config.engine.market_slots)
    start_ns = given.scene.start_ns
    tapes = RecordingTapes(wires, folder / "inputs", description, "all", 1, start_ns)
    parts = EngineParts(config, given.scene, wires, tuple(Role), 1, tapes)
    journal = JournalFile(journal_at or folder / "journal")
    halt = HaltSwitch(folder, ControlWords.create(None))
    stages = Stages(parts, tuple(Role), journal=journal, halt=halt)
    source = SourceAgent(frames_of(session), stages.sinks())
    runner = InlineRunner([source, *stages.in_order()], VirtualClock(start_ns))
    runner.start()
    steps = 0
    while runner.step():
        steps += 1
        if steps == stop_at:
            stages.stop(start_ns)
    runner.close()
    tapes.close()
    journal.close()
    assert stages.executor is not None
    return Ran(folder / "inputs", stages.executor.orders)


@pytest.fixture(scope="module")
def session() -> Session:
    return session_of(partition_buy_yes(("medium", (110,)), CLOSE_NS, Venue.POLYMARKET))


@pytest.fixture(scope="module")
def ran(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """In blocks so small that every log has many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(input_log, "BLOCK_BYTES", 2_048)
        return run(tmp_path_factory.mktemp("ran"), session)


def test_every_agent_does_alone_what_it_did(ran: Ran) -> None:
    assert ran.orders > 0
    played = [play_log(path) for path in logs_of(ran.folder)]
    assert {one.agent for one in played} == EVERY
    assert [(one.difference, one.end) for one in played] == [("", "")] * len(played)
    assert all(one.outputs for one in played if one.agent in ("strategy", "optimizer", "executor"))
    [strategy] = [play_log(path) for path in logs_of(ran.folder, "strategy")]
    assert strategy.inputs > 100


def test_markets_that_nobody_described_come_when_they_came(session: Session, tmp_path: Path) -> None:
    ran = run(tmp_path, session, lambda session: replace(session, markets=session.markets[:2]))
    played = [play_log(path) for path in logs_of(ran.folder)]
    assert [one.difference for one in played] == [""] * len(EVERY)
    book = next(one for one in played if one.agent == "book-polymarket")
    assert book.outputs > 0


def test_a_stop_is_a_call_like_any_other(session: Session, tmp_path: Path) -> None:
    ran = run(tmp_path, session, stop_at=2)
    played = {one.agent: one for one in map(play_log, logs_of(ran.folder))}
    assert {one.difference for one in played.values()} == {""}
    assert ran.orders == 0
    assert played["strategy"].outputs > 0, "it decided, and gave no signal"


def test_a_log_that_is_damaged_is_told_as_such(ran: Ran, tmp_path: Path) -> None:
    folder = tmp_path / "inputs"
    shutil.copytree(ran.folder, folder)
    [path] = logs_of(folder, "strategy")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x55
    path.write_bytes(content)
    with pytest.raises(RecordingDamaged):
        play_log(path)


def test_an_executor_that_comes_back_does_so_again(ran: Ran, session: Session, tmp_path: Path) -> None:
    """Its venues know nothing of what the journal says is held: it halts, word and latch, in the play too."""
    again = run(tmp_path, session, journal_at=ran.folder.parent / "journal")
    assert (tmp_path / "halt.json").exists()
    [executor] = [play_log(path) for path in logs_of(again.folder, "executor")]
    assert (executor.difference, executor.end) == ("", "")
    assert executor.outputs > 0


def test_what_paper_and_run_refuse_is_one_line(
    ran: Ran, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = str(ran.folder.parent / "session.ndjson.zst")
    paper = ["paper", "--replay", recording, "--record-inputs"]
    assert main([*paper, str(tmp_path / "new"), "--topology", "inline"]) == 2
    said = "--record-inputs: inline is one process, which its recording replays as it is"
    assert capsys.readouterr().err == f"pr3dict: {said}\n"
    folders = ["--run-dir", str(tmp_path / "run"), "--state-dir", str(tmp_path / "state")]
    live = ["run", "--markets", recording, *folders, "--record-inputs"]
    for command in ([*paper, str(ran.folder), "--topology", "two"], [*live, str(ran.folder)]):
        assert main(command) == 2
        said = f"{ran.folder}: not an empty folder; logs of inputs overwrite nothing"
        assert capsys.readouterr().err == f"pr3dict: {said}\n"


def test_the_first_difference_is_said_and_fails_the_command(
    ran: Ran, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Settings that a run did not have: its strategy would have decided otherwise, and its books the same."""
    for path in ran.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tree = json.loads((tmp_path / DESCRIPTION).read_bytes())
    tree["config"]["strategy"]["min_edge_micros"]["partition_buy_yes"] = 900_000
    (tmp_path / DESCRIPTION).write_text(json.dumps(tree))
    assert main(["replay-inputs", str(tmp_path), "--json"]) == 1
    written = capsys.readouterr()
    played = {one["agent"]: one for one in json.loads(written.out)["played"]}
    assert {agent for agent, one in played.items() if one["difference"]} == {"strategy"}
    assert "written to decisions.strategy differs: byte" in played["strategy"]["difference"]
    assert written.err == f"pr3dict: strategy of start 1: {played['strategy']['difference']}\n"
    assert main(["replay-inputs", str(tmp_path), "--agent", "strategy"]) == 1
    shown = capsys.readouterr().out
    assert "differs" in shown
    assert main(["replay-inputs", str(tmp_path), "--agent", "book-polymarket"]) == 0
    assert "the same" in capsys.readouterr().out


def test_a_torn_log_plays_as_far_as_it_is_whole(ran: Ran, tmp_path: Path) -> None:
    [whole] = logs_of(ran.folder, "executor")
    (tmp_path / DESCRIPTION).write_bytes((ran.folder / DESCRIPTION).read_bytes())
    torn = tmp_path / whole.name
    content = whole.read_bytes()
    torn.write_bytes(content[: len(content) // 2])
    played = play_log(torn)
    assert played.difference == ""
    assert 0 < played.calls < play_log(whole).calls


def test_what_cannot_be_played_is_refused_in_one_line(
    ran: Ran, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="no log of inputs of nobody; there are book-kalshi, book-poly"):
        logs_of(ran.folder, "nobody")
    assert main(["replay-inputs", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"pr3dict: {tmp_path}: no log of inputs\n"
    (tmp_path / DESCRIPTION).write_bytes((ran.folder / DESCRIPTION).read_bytes())
    (tmp_path / "strategy-000001.inputs").write_bytes(b"nothing of the kind")
    with pytest.raises(RecordingFormat, match="not a zstd file"):
        play_log(tmp_path / "strategy-000001.inputs")
