"""Checks of damaged recordings, and the places of what is wrong."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import zstandard

from procs.check import Check, CheckReport
from tests.data import foreign
from tests.data import recordings as made
from tests.procs.test_check import KALSHI_NAME, book_event


def _damaged(path: Path, cut: bytes) -> CheckReport:
    path.write_bytes(cut)
    return Check(path).run()


def test_a_truncated_recording_is_processed_as_far_as_it_is_whole(tmp_path: Path) -> None:
    frames = [made.kalshi(made.snapshot(1, [["0.40", "5.00"]], []))]
    frames += [
        made.kalshi(made.delta(at, "yes", "0.40", f"{at * 7919 % 977}.00"), at) for at in range(2, 20_000)
    ]
    path = made.write(tmp_path / "r", made.header(), frames)
    whole = path.read_bytes()
    report = _damaged(path, whole[: len(whole) // 2])
    assert report.failed
    assert 0 < report.frames < len(frames)
    assert f"line {report.frames + 2}: truncated" in str(report.damage)
    assert report.updates == report.frames
    assert report.trust["live"] == 1


def test_behind_a_damaged_block_no_book_is_trusted_until_it_is_told_anew(tmp_path: Path) -> None:
    other = "KXTEST-26-B"
    level = [["0.40", "5.00"]]
    books = [made.snapshot(1, level, []), made.snapshot(2, level, [], other)]
    tokens = [book_event(token, [("0.40", "5")], []) for token in (made.YES_TOKEN, made.NO_TOKEN)]
    head = [made.kalshi(book) for book in books] + [made.polymarket(token, 1) for token in tokens]
    tail = [made.kalshi(made.snapshot(9, [["0.41", "5.00"]], []), 7), made.polymarket(tokens[0], 8)]
    lost = [made.kalshi(made.delta(3, "yes", "0.40", "1.00"), 2)]
    specs = (made.kalshi_spec(), made.kalshi_spec(other), made.polymarket_spec())
    blocks = [[made.header("both", markets=specs).to_line()[:-1]]]
    blocks += [[made.line(frame) for frame in frames] for frames in (head, lost, tail)]
    whole = Check(made.write_lines(tmp_path / "whole", itertools.chain(*blocks)))
    assert whole.run().damage is None
    assert {name: book["trust"] for name, book in whole.dump().items()} == {
        f"kalshi:{other}": "suspect",  # 3 to 9 is a gap for every book of the subscription
        KALSHI_NAME: "live",
        f"polymarket:{made.YES_TOKEN}": "live",
        f"polymarket:{made.NO_TOKEN}": "live",
    }
    check = Check(made.write_blocks(tmp_path / "torn", blocks, damaged=2))
    report = check.run()
    assert report.failed
    assert "torn line 6: corrupt" in str(report.damage)
    assert str(report.damage).endswith("; the 4 frames before it are whole, and so are 2 behind it")
    assert (report.frames, report.rejected, report.last_error, report.seq_gaps) == (6, 0, None, 1)
    assert {name: book["trust"] for name, book in check.dump().items()} == {
        f"kalshi:{other}": "suspect",
        KALSHI_NAME: "live",
        f"polymarket:{made.YES_TOKEN}": "live",
        f"polymarket:{made.NO_TOKEN}": "suspect",  # nobody said how it was changed meanwhile
    }


@pytest.mark.parametrize(
    ("name", "old", "new", "frame", "line"),
    [
        ("kalshi_wire", b'"seq":3', b'"seq":9', 4, 7),
        ("kalshi_capture", b'"sequence_number":2', b'"sequence_number":9', 4, 6),
    ],
)
def test_a_break_in_a_text_of_others_has_its_line(
    tmp_path: Path, name: str, old: bytes, new: bytes, frame: int, line: int
) -> None:
    path = foreign.BUILDERS[name](tmp_path / "x")
    text = zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read()
    path.write_bytes(text.replace(old, new, 1))
    (found,) = Check(path).run().breaks
    assert (found.frame, found.line, found.reason) == (frame, line, "sequence_gap")


def test_blank_lines_count(tmp_path: Path) -> None:
    path = foreign.kalshi_capture(tmp_path / "x")
    text = zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read()
    path.write_bytes(text.replace(b"\n", b"\n\n").replace(b'"sequence_number":2', b'"sequence_number":9', 1))
    (found,) = Check(path).run().breaks
    assert (found.frame, found.line) == (4, 11)


def test_a_break_in_a_table_of_others_has_its_row(tmp_path: Path) -> None:
    rows = [foreign.kalshi_row("snapshot", 2, "yes", price, 50, 1) for price in (1, 2)]
    rows += [foreign.kalshi_row("delta", seq, "yes", 1, 5, seq) for seq in (3, 5)]
    report = Check(foreign.write_parquet(tmp_path / "x", rows)).run()
    (found,) = report.breaks
    assert report.unit == "row"
    assert (found.frame, found.line, found.reason) == (3, 4, "sequence_gap")
