"""``pr3dict paper`` and ``funnel`` with the engine behind them, on a short recording written here."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from engine.sim.session.build import build_session
from procs.cli import main as cli
from procs.recording import BOTH, Provenance, RecordingHeader, RecordingWriter
from procs.recording_reader import RecordingReader
from tests.data import recordings as made

FRAMES = 600


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first frames of a synthetic session as a recording."""
    session = build_session(7)
    header = RecordingHeader(
        venue=BOTH,
        kind="stream",
        start_ns=session.frames[0].recv_ns,
        markets=tuple(session.markets),
        provenance=Provenance("a synthetic session", "ours", "2026-11-01"),
        synthetic=True,
    )
    path = tmp_path_factory.mktemp("recordings") / "short.ndjson.zst"
    with path.open("wb") as file, RecordingWriter(file, header) as writer:
        for frame in session.frames[:FRAMES]:
            writer.write(frame.recv_ns, frame.venue, frame.conn, frame.raw)
    return path


def test_a_recording_runs_to_its_summary(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["paper", "--topology", "inline", "--replay", str(recording)]) == 0
    out, err = capsys.readouterr()
    assert f"{FRAMES} (0 rejected" in " ".join(out.split())
    assert "SYNTHETIC" in out.splitlines()[1]
    assert "5x latency" in err


@pytest.mark.parametrize(
    "command", [["paper", "--topology", "inline", "--replay"], ["funnel"]], ids=lambda c: c[0]
)
def test_frames_that_cannot_be_read_end_a_run_with_1_behind_its_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    frames = [made.kalshi(made.snapshot(1, [], [])), made.kalshi(b'{"type":"orderbook_delta"', 1_000)]
    path = made.write(tmp_path / "r.ndjson.zst", made.header(), frames)
    assert cli.main([*command, str(path)]) == 1
    out, err = capsys.readouterr()
    assert out
    assert err.splitlines()[-1].endswith(": 1 frame cannot be read")


def test_the_decision_log_is_the_same_twice_and_the_funnel_says_what_it_says(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = [tmp_path / "a.ndjson", tmp_path / "b.ndjson"]
    documents = []
    for log in logs:
        assert (
            cli.main(
                [
                    "paper",
                    "--topology",
                    "inline",
                    "--replay",
                    str(recording),
                    "--decisions",
                    str(log),
                    "--json",
                ]
            )
            == 0
        )
        (one,) = json.loads(capsys.readouterr().out)["inputs"]
        documents.append(one)
    assert logs[0].read_bytes() == logs[1].read_bytes()
    assert logs[0].read_bytes().count(b"\n") == documents[0]["decisions"] + 1 > 1
    funnels = []
    for path in (logs[0], recording):
        assert cli.main(["funnel", str(path), "--json"]) == 0
        funnels.append(json.loads(capsys.readouterr().out)["funnel"])
    assert funnels[0] == funnels[1] == documents[0]["funnel"]
    assert documents[0]["data"] == documents[1]["data"]
    assert documents[0]["outcomes"] == documents[1]["outcomes"]


def test_a_torn_recording_is_shown_as_far_as_it_goes(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torn = tmp_path / "torn.ndjson.zst"
    torn.write_bytes(recording.read_bytes()[: recording.stat().st_size * 3 // 4])
    assert cli.main(["paper", "--topology", "inline", "--replay", str(torn), "--json"]) == 1
    out, err = capsys.readouterr()
    document = json.loads(out)
    frames = document["inputs"][0]["data"]["frames"]
    assert 0 < frames < FRAMES
    assert document["faults"] == [document["inputs"][0]["damage"]]
    assert err == f"pr3dict: {document['faults'][0]}\n"
    assert f"the {frames} frames before it are whole" in err


def test_what_is_whole_behind_a_damaged_block_is_traded(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RecordingReader(recording) as reader:
        lines = [made.line(frame) for frame in reader.frames()]
        head = reader.header.to_line()[:-1]
    cuts = (0, 200, 210, FRAMES)
    blocks = [[head], *(lines[start:stop] for start, stop in pairwise(cuts))]
    torn = made.write_blocks(tmp_path / "torn.ndjson.zst", blocks, damaged=2)
    assert cli.main(["paper", "--topology", "inline", "--replay", str(torn), "--json"]) == 1
    out, err = capsys.readouterr()
    said = f"the 200 frames before it are whole, and so are {FRAMES - 210} behind it"
    assert said in err
    assert err.count("\n") == 1
    (one,) = json.loads(out)["inputs"]
    assert one["damage"] in err
    stand_ins = one["data"]["rejected_frames"]
    assert 0 < stand_ins <= 2  # each venue has one connection
    assert one["data"]["frames"] == FRAMES - 10 + stand_ins


def test_another_version_and_another_kind_of_file_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for content in (b'{"pr3dict_recording":99}\n', b"not a recording at all"):
        path = tmp_path / "other.ndjson"
        path.write_bytes(content)
        for argv in (["paper", "--topology", "inline", "--replay", str(path)], ["funnel", str(path)]):
            assert cli.main(argv) == 2
            out, err = capsys.readouterr()
            assert (out, err.count("\n")) == ("", 1)
            assert str(path) in err
