"""``pr3dict check``: exit codes, one document, damage in one file of several, and the dump."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from procs.check import CheckReport, SequenceBreak
from procs.cli import main as cli
from procs.cli.check import UNKNOWN, UNREADABLE, notes
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
    out, err = capsys.readouterr()
    assert [line.split()[3] for line in out.splitlines() if " stream " in line] == ["0", "1"]
    assert "bad.ndjson.zst: rejected:" in out
    [line] = err.splitlines()
    said = "1 frame cannot be read, the last at line 4, for kalshi frame 3: not JSON: "
    assert line.startswith(f"pr3dict: {bad}: {said}")


def test_a_best_price_that_nothing_explains_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = {
        "event_type": "book",
        "asset_id": made.YES_TOKEN,
        "market": "0xabc",
        "bids": [{"price": "0.4", "size": "5"}],
        "asks": [{"price": "0.6", "size": "5"}],
        "timestamp": "1",
        "hash": "",
    }
    declared = {
        "event_type": "price_change",
        "market": "0xabc",
        "timestamp": "2",
        "price_changes": [
            {
                "asset_id": made.YES_TOKEN,
                "price": "0.1",
                "size": "7",
                "side": "BUY",
                "hash": "",
                "best_bid": "0.3",
                "best_ask": "0.6",
            }
        ],
    }
    path = tmp_path / "differs.ndjson.zst"
    made.write(path, made.header("polymarket"), [made.polymarket(book), made.polymarket(declared, 1)])
    assert cli.main(["check", str(path)]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line == f"pr3dict: {path}: no rule explains 1 best prices that are not those of the book"


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


def test_a_file_that_only_names_a_book_takes_nothing_from_those_before(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trade = {"type": "trade", "sid": 1, "seq": 1, "msg": {"market_ticker": made.TICKER}}
    told = made.kalshi(made.ticker("0.45", "0.50"))
    named = made.write(tmp_path / "named.ndjson.zst", made.header(), [told, made.kalshi(trade, 1)])
    out = tmp_path / "dump.json"
    books = []
    for files in ([good, named], [named, good]):
        cli.main(["check", *map(str, files), "--dump", str(out)])
        books.append(json.loads(out.read_bytes()))
    assert books[0] == books[1]
    assert books[0][f"kalshi:{made.TICKER}"]["trust"] == "live"
    cli.main(["check", str(named), "--dump", str(out)])
    assert json.loads(out.read_bytes())[f"kalshi:{made.TICKER}"] == {
        "trust": "unsynced",
        "bids": [],
        "asks": [],
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


def test_a_break_has_the_line_of_its_file_or_else_its_frame() -> None:
    found = SequenceBreak(4, 5, made.START_NS, "kalshi:KXA", 7, "sequence_gap")
    report = CheckReport(
        "a", "stream", breaks=[found, replace(found, line=0), replace(found, line=0, frame=0)]
    )
    assert list(notes(report)) == [
        "sequence_gap at line 5, seq 7, kalshi:KXA",
        "sequence_gap at frame 4, seq 7, kalshi:KXA",
        "sequence_gap at a frame that cannot be told, seq 7, kalshi:KXA",
    ]
    assert list(notes(CheckReport("a", "stream", "row", breaks=[found]))) == [
        "sequence_gap at row 5, seq 7, kalshi:KXA"
    ]
