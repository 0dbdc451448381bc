"""``pr3dict journal`` and ``pr3dict paper --journal``: a journal on disk, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.execution.recovery import recover
from engine.ledger.journal import Journal
from engine.records import Venue
from engine.sim.session.planted import TIERS, cross_venue
from procs.cli import main as cli
from procs.cli.exit_codes import ExitCode
from procs.cli.journal import journal_document
from procs.journal_file import JournalFile, read_entries
from tests.engine.execution.floor import CROSS, cross
from tests.engine.sim.world import KALSHI, ONE, POLY
from tests.procs.planted_session import CLOSE_NS, engine_for, frames_of, session_of
from tests.procs.test_disputes import PAID, Holder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def interrupted(path: Path) -> None:
    """The journal of an executor that died when its orders had just been sent."""
    floor = cross()
    floor.plan(CROSS, 50 * ONE)
    file = JournalFile(path)
    journal: Journal = file.writer()
    for entry in floor.journal.entries:
        journal.append(entry.kind, entry.record)
    file.close()


def test_what_an_interrupted_journal_says(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    interrupted(path)
    assert cli.main(["journal", str(path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["entries"], said["torn_bytes"], said["boot_epoch"]) == (11, 0, 3)
    assert said["accounts"]["kalshi"]["cash_micros"] == 100_000_000_000
    assert (said["open_plans"], said["positions"]) == ([1], [])
    [poly, kalshi] = said["orders_in_doubt"]
    assert (poly["market"], kalshi["market"]) == (POLY.symbol, KALSHI.symbol)
    assert (poly["venue"], poly["direction"], poly["outcome"]) == ("polymarket", "buy", "yes")
    assert (kalshi["size_e6"], kalshi["filled_e6"], kalshi["status"]) == (50 * ONE, 0, "sent")
    assert not said["halted"]


def test_a_settlement_that_differs_is_shown(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    holder = Holder(tmp_path)
    holder.settle(PAID - 3)
    path.write_bytes(holder.file.getvalue())
    assert cli.main(["journal", str(path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["halted"]
    [dispute] = said["disputes"]
    assert (dispute["venue"], dispute["market"]) == ("polymarket", holder.catalog.spec(0).symbol)
    amounts = dispute["stated_micros"], dispute["expected_micros"], dispute["believed_micros"]
    assert amounts == (PAID - 3, PAID, PAID - 3)
    assert cli.main(["journal", str(path)]) == 0
    assert "Settlements that differ" in capsys.readouterr().out


def test_people_read_the_same(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    interrupted(path)
    with path.open("r+b") as file:
        content = file.read()
        file.seek(len(content.rstrip(b"\0")) + 24)
        file.write(b"\x18")
    assert cli.main(["journal", str(path)]) == 0
    said = capsys.readouterr().out
    assert "11 entries, boot epoch 3" in said
    assert "are no whole entry: a crash left them" in said
    assert "Orders in doubt" in said
    assert "the venue's word" in said
    assert "1, 1 not done" in said


def test_a_damaged_journal_is_refused_in_one_line(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    interrupted(path)
    content = bytearray(path.read_bytes())
    content[30] ^= 1
    path.write_bytes(content)
    assert cli.main(["journal", str(path)]) == ExitCode.REFUSED
    assert capsys.readouterr().err == (
        f"pr3dict: {path}: journal: entry at byte 0 is damaged (checksum or length)\n"
    )
    assert cli.main(["journal", str(path.with_name("none"))]) == ExitCode.USAGE


@pytest.mark.compiled_only
def test_a_run_into_a_file_is_the_run_it_was_and_survives_it(path: Path) -> None:
    session = session_of(cross_venue(TIERS[0], CLOSE_NS, yes_at=Venue.KALSHI))
    plain = engine_for(session)
    plain.run(frames_of(session))
    file = JournalFile(path)
    engine = engine_for(session, journal=file)
    engine.run(frames_of(session))
    assert engine.stages.journal_content() == plain.stages.journal_content() == file.content()
    file.close()
    past = recover(read_entries(path)[0])
    assert past.ledger.accounts == engine.desk.ledger.accounts
    document = journal_document(str(path), past, 0)
    assert (document["open_plans"], document["orders_in_doubt"]) == ([], [])


def test_paper_refuses_the_journal_of_another_run(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    interrupted(path)
    before = path.read_bytes()
    assert cli.main(["paper", "--journal", str(path), "--json"]) == ExitCode.REFUSED
    assert capsys.readouterr().err.endswith(
        f"pr3dict: {path}: it is the journal of another run, and the simulated venues begin anew\n"
    )
    assert path.read_bytes() == before
