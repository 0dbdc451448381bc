"""``pr3dict book`` on small recordings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import zstandard

from engine.errors import ConfigError, UnknownMarket
from procs.cli import main as cli
from procs.cli.book import find_book, moment_ns
from procs.recording import RECV_NS_MAX
from procs.replay import Replay
from tests.data import recordings as made

SECOND_NS = 1_000_000_000


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Kalshi changes after 0, 1 and 2 seconds; Polymarket has one book after 3."""
    event: dict[str, object] = {"event_type": "book", "market": "0xabc", "asset_id": made.YES_TOKEN}
    event |= {"bids": [{"price": "0.30", "size": "7"}], "asks": []}
    frames = [
        made.kalshi(made.snapshot(1, [["0.40", "5.00"], ["0.39", "1.00"]], [["0.50", "2.00"]])),
        made.kalshi(made.delta(2, "yes", "0.45", "1.50"), 1_000),
        made.kalshi(made.delta(3, "yes", "0.45", "-1.50"), 2_000),
        made.polymarket(event, 3_000),
    ]
    return made.write(tmp_path / "r.ndjson.zst", made.header("both"), frames)


def _book(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> dict[str, object]:
    assert cli.main(["book", *argv, "--json"]) == code
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def test_the_book_at_the_end_and_at_every_moment(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"kalshi:{made.TICKER}"
    assert _book(capsys, str(recording), name) == {
        "market": name,
        "at_ns": made.START_NS + 3 * SECOND_NS,
        "trust": "live",
        "bids": [["0.4", "5"], ["0.39", "1"]],
        "asks": [["0.5", "2"]],
    }
    for at in ("+1", "+1.999", str(made.START_NS + SECOND_NS), "2023-11-14T22:13:21.5"):
        book = _book(capsys, str(recording), name, "--at", at)
        assert book["bids"] == [["0.45", "1.5"], ["0.4", "5"], ["0.39", "1"]]
        assert book["at_ns"] == made.START_NS + SECOND_NS
    early = _book(capsys, str(recording), name, "--at", str(made.START_NS - 1))
    assert (early["trust"], early["bids"], early["at_ns"]) == ("unsynced", [], 0)


def test_a_table_for_people_has_the_best_first_and_so_many_levels(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["book", str(recording), made.TICKER, "--depth", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "live" in lines[0]
    assert lines[-1].split() == ["5", "0.4", "0.5", "2"]


def test_a_book_behind_frames_that_cannot_be_read_is_shown_and_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = made.kalshi(made.snapshot(1, [["0.40", "5.00"]], [["0.50", "2.00"]]))
    frames = [whole, made.kalshi(b'{"type":"orderbook_delta"', 1_000)]
    path = made.write(tmp_path / "r.ndjson.zst", made.header(), frames)
    assert cli.main(["book", str(path), made.TICKER, "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["bids"] == [["0.4", "5"]]
    assert err == f"pr3dict: {path}: 1 frame cannot be read\n"
    assert cli.main(["book", str(path), made.TICKER, "--at", "+0.5"]) == 0
    capsys.readouterr()
    assert cli.main(["book", str(path), "kalshi:NOBODY"]) == 2
    assert capsys.readouterr().err.splitlines()[0] == f"pr3dict: {path}: 1 frame cannot be read"


@pytest.mark.parametrize(
    "name", ["111", "polymarket:111", "0xabc", "polymarket:0xabc"], ids=["token", "full", "market", "log"]
)
def test_a_market_is_found_by_any_of_its_names(
    recording: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """The decision log names markets, the wire tokens."""
    book = _book(capsys, str(recording), name)
    assert (book["market"], book["bids"]) == (f"polymarket:{made.YES_TOKEN}", [["0.3", "7"]])
    assert _book(capsys, str(recording), made.NO_TOKEN)["bids"] == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("KXTEST-26-B", f"near: kalshi:{made.TICKER}"),
        ("zzz", f"it has 2 markets, for example: kalshi:{made.TICKER}, polymarket:111, polymarket:222"),
    ],
)
def test_an_unknown_market_is_one_line_that_names_others(
    recording: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    assert cli.main(["book", str(recording), name]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"pr3dict: {recording}: no market '{name}'; {said}\n")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_damaged_recording_shows_the_book_as_far_as_it_is_whole(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    with zstandard.ZstdDecompressor().stream_reader(recording.read_bytes(), read_across_frames=True) as file:
        text = file.read()
    torn = made.write_lines(tmp_path / "torn.ndjson.zst", [*text.splitlines()[:3], b'{"nonsense":1}'])
    assert cli.main(["book", str(torn), made.TICKER, *(["--json"] if as_json else [])]) == 1
    out, err = capsys.readouterr()
    assert err == f"pr3dict: {torn} line 4: not a frame; the 2 frames before it are whole\n"
    assert made.TICKER in out
    assert "0.45" in out
    assert cli.main(["book", str(torn), made.TICKER, "--at", "+0"]) == 0  # the damage comes later


def test_damage_before_the_moment_shown_is_said_and_leaves_the_book_in_doubt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    level = [["0.40", "5.00"]]
    frames = [made.kalshi(made.snapshot(seq, level, []), at) for seq, at in ((1, 0), (9, 9_000))]
    delta = made.kalshi(made.delta(3, "yes", "0.41", "1.00"), 2_000)
    quote = made.kalshi(made.ticker("0.40", "0.60"), 500)  # what is lost was lost behind it, at the earliest
    lines = [made.line(frame) for frame in (frames[0], quote, delta, frames[1])]
    torn = made.write_lines(tmp_path / "torn", [made.header().to_line()[:-1], *lines[:2], b"{", *lines[2:]])
    for at, said, trust in (
        ("+0", "", "live"),
        ("+5", f"pr3dict: {torn} line 4: not a frame; frames are lost there\n", "suspect"),
        ("+10", f"pr3dict: {torn} line 4: not a frame; the 2 frames before it are whole, and so", "live"),
    ):
        assert cli.main(["book", str(torn), made.TICKER, "--at", at, "--json"]) == (1 if said else 0)
        out, err = capsys.readouterr()
        assert err.startswith(said)
        assert err.count("\n") == bool(said)
        assert json.loads(out)["trust"] == trust


@pytest.mark.parametrize("text", ["x", "+x", "+inf", "+nan", "+1e400", "-5", "2026-13-01", "²", "", "+"])
def test_what_is_no_time_is_said(text: str) -> None:
    with pytest.raises(ConfigError, match="not a time"):
        moment_ns(text, 0)


@pytest.mark.parametrize("text", [str(RECV_NS_MAX + 1), "+1e12", "+-1", "0001-01-01", "9999-12-31"])
def test_a_time_that_no_recording_can_hold_is_said(text: str) -> None:
    with pytest.raises(ConfigError, match="out of range"):
        moment_ns(text, 0)


def test_moments_in_every_spelling() -> None:
    assert moment_ns("0", 5) == 0
    assert moment_ns("+0.5", 5) == 500_000_005
    assert moment_ns("2026-01-01", 5) == 1_767_225_600 * SECOND_NS
    assert moment_ns("2026-01-01T01:00:00.25+01:00", 5) == 1_767_225_600 * SECOND_NS + 250_000_000
    assert moment_ns(str(RECV_NS_MAX), 5) == RECV_NS_MAX


def test_a_depth_that_shows_nothing_is_refused(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["book", str(recording), made.TICKER, "--depth", "0"])
    assert ended.value.code == 2
    assert "argument --depth: expected a whole number above 0, got '0'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", ":", "kalshi:", "polymarket:0xabd", "KALSHI"])
def test_part_of_a_name_is_no_name(name: str) -> None:
    with pytest.raises(
        UnknownMarket, match=r"no market .*; (near|it has 2 markets, for example): (kalshi|polymarket):"
    ):
        find_book(Replay(made.header("both").markets), name, Path("r"))
