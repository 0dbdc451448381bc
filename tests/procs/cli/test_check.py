"""``pr3dict check``: exit codes, one document, damage in one file of several, and the dump."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import zstandard

from procs.cli import main as cli
from procs.cli.check import UNKNOWN, UNREADABLE
from procs.recording_frames import Frame
from tests.data import recordings as made


def _frames(*, rejected: bool = False) -> list[Frame]:
    frames = [
        made.kalshi(made.snapshot(1, [["0.40", "5.00"]], [["0.50", "2.00"]])),
        made.kalshi(made.delta(2, "yes", "0.45", "1.50"), 1),
    ]
    return [*frames, made.kalshi(b'{"type":"orderbook_delta"', 2)] if rejected else frames


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return made.write(tmp_path / "good.ndjson.zst", made.header(), _frames())


@pytest.fixture
def headless(good: Path) -> Path:
    """A recording whose header is damaged."""
    content = bytearray(good.read_bytes())
    content[20] ^= 0xFF
    path = good.with_name("headless.ndjson.zst")
    path.write_bytes(content)
    return path


def test_a_sound_file_ends_with_0_and_a_rejected_frame_with_1(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", str(good), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (report,) = document["files"]
    assert document["seconds"] > 0
    assert (report["path"], report["frames"], report["rejected"]) == (str(good), 2, 0)
    bad = made.write(tmp_path / "bad.ndjson.zst", made.header(), _frames(rejected=True))
    assert cli.main(["check", str(good), str(bad)]) == 1
    out = capsys.readouterr().out
    assert [line.split()[3] for line in out.splitlines() if " stream " in line] == ["0", "1"]
    assert "bad.ndjson.zst: rejected:" in out


def test_a_file_that_is_damaged_from_the_start_costs_only_itself(
    good: Path, headless: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", str(good), str(headless), str(good), "--json"]) == 1
    out, err = capsys.readouterr()
    reports = json.loads(out)["files"]
    assert [report["frames"] for report in reports] == [2, 0, 2]
    assert reports[1]["kind"] == UNREADABLE
    assert err == f"pr3dict: {reports[1]['damage']}\n"
    assert str(headless) in err
    assert cli.main(["check", str(headless)]) == 1
    assert UNREADABLE in capsys.readouterr().out


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_a_file_of_another_format_costs_only_itself(
    good: Path,
    headless: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    order: tuple[int, ...],
) -> None:
    """Exit 2 is said for it whatever else is wrong, and the others are checked."""
    later = tmp_path / "later.ndjson.zst"
    later.write_bytes(zstandard.compress(b'{"pr3dict_recording":2}\n'))
    strange = tmp_path / "strange.txt"
    strange.write_text("hello\n")
    files = [str((good, headless, later)[at]) for at in order]
    assert cli.main(["check", *files, str(strange), "--json"]) == 2
    out, err = capsys.readouterr()
    reports = {report["path"]: report for report in json.loads(out)["files"]}
    assert [reports[str(path)]["kind"] for path in (good, headless, later, strange)] == [
        "stream", UNREADABLE, UNKNOWN, UNKNOWN,
    ]  # fmt: skip
    assert reports[str(good)]["frames"] == 2
    assert "line 1: format version 2, this build reads 1" in reports[str(later)]["damage"]
    assert err.splitlines() == [
        f"pr3dict: {report['damage']}" for report in reports.values() if report["damage"]
    ]
    assert err.count("\n") == 3


def test_a_file_that_is_not_there_is_said_before_any_is_read(
    good: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("procs.cli.check.Check", None)
    assert cli.main(["check", str(good), "nowhere.zst"]) == 2
    assert capsys.readouterr().err == "pr3dict: nowhere.zst: No such file or directory\n"


def test_the_dump_has_the_books_of_every_file(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "dump.json"
    assert cli.main(["check", str(good), "--dump", str(out)]) == 0
    assert json.loads(out.read_bytes()) == {
        f"kalshi:{made.TICKER}": {
            "trust": "live",
            "bids": [["0.45", "1.5"], ["0.4", "5"]],
            "asks": [["0.5", "2"]],
        }
    }


def test_the_dump_never_takes_the_place_of_a_recording(
    good: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = good.read_bytes()
    assert cli.main(["check", str(good), "--dump", str(good)]) == 2
    assert capsys.readouterr().err == f"pr3dict: {good}: the dump would overwrite what it is made from\n"
    assert good.read_bytes() == before


@pytest.mark.parametrize(("where", "code"), [("none/dump.json", 2), (".", 2), ("/dev/full", 1)])
def test_a_dump_that_cannot_be_written_is_one_line_with_its_name(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str, code: int
) -> None:
    assert cli.main(["check", str(good), "--dump", str(tmp_path / where)]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"pr3dict: {tmp_path / where}: ")
    assert err.count("\n") == 1
