"""``pr3dict funnel``: of a decision log at once, of a recording through one run."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.reasons import Reason
from engine.records import DECISION, DecisionStage, SignalKind
from procs.cli import funnel
from procs.cli import main as cli
from procs.decision_log import DecisionLog
from procs.paper import PaperOptions
from procs.paper_result import PaperResult
from procs.progress import OnProgress
from tests.procs.cli.paper_samples import RECORDED


def _log(*rows: tuple[DecisionStage, SignalKind, Reason]) -> bytes:
    sink = io.BytesIO()
    log = DecisionLog(sink, lambda slot, generation: f"kalshi:{slot}.{generation}")
    for stage, kind, reason in rows:
        decision = np.zeros(1, DECISION)[0]
        decision["stage"], decision["kind"], decision["reason"] = stage, kind, reason
        log.write(decision)
    return sink.getvalue()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A decision log of four lines."""
    path = tmp_path / "decisions.ndjson"
    cross, strategy = SignalKind.CROSS_VENUE, DecisionStage.STRATEGY
    path.write_bytes(
        _log(
            (strategy, cross, Reason.NO_EDGE),
            (strategy, cross, Reason.NO_EDGE),
            (strategy, cross, Reason.NONE),
            (DecisionStage.OPTIMIZER, cross, Reason.CASH_EXHAUSTED),
        )
    )
    return path


def test_a_decision_log_is_counted(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["funnel", str(log)]) == 0
    out, err = capsys.readouterr()
    rows = [line.split() for line in out.splitlines()]
    assert ["strategy", "3", "candidates", "1", "became", "signals", "33.3", "%"] in rows
    assert ["strategy", "cross_venue", "no_edge", "2", "66.7", "%"] in rows
    assert "no cash left at a venue that it needs" in out
    assert err == ""


def test_json_is_one_document(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["funnel", str(log), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["file"] == str(log)
    assert [row["count"] for row in document["funnel"]] == [2, 1, 1]
    assert [row["reason"] for row in document["why_not"]] == ["no_edge", "cash_exhausted"]


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        (b'{"pr3dict_decisions":99}\n', 2, "decision log version 99"),
        (b"", 1, "empty file"),
    ],
)
def test_a_log_of_another_version_or_an_empty_one_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, code: int, line: str
) -> None:
    path = tmp_path / "log.ndjson"
    path.write_bytes(content)
    assert cli.main(["funnel", str(path)]) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert line in err


@pytest.mark.parametrize("as_json", [True, False])
def test_a_torn_log_is_counted_as_far_as_it_is_whole(
    log: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    with log.open("ab") as file:
        file.write(b"{torn")
    assert cli.main(["funnel", str(log), *(["--json"] if as_json else [])]) == 1
    out, err = capsys.readouterr()
    assert err == f"pr3dict: {log}: line 6 is not a decision; 5 lines before it are whole\n"
    assert ("cash_exhausted" in out, "no_edge" in out) == (True, True)
    if as_json:
        assert json.loads(out)["faults"] == [err.removeprefix("pr3dict: ").rstrip()]


def test_only_what_had_an_edge_and_only_one_venue(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, left in ((["--venue", "kalshi"], 4), (["--venue", "polymarket"], 0), (["--edge", "net"], 0)):
        assert cli.main(["funnel", str(log), "--json", *options]) == 0
        rows = json.loads(capsys.readouterr().out)["funnel"]
        assert sum(row["count"] for row in rows) == left


def test_a_recording_has_no_lines_to_choose_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd")
    assert cli.main(["funnel", str(path), "--edge", "gross"]) == 2
    said = f"pr3dict: {path}: --edge and --venue need a decision log (paper --decisions LOG)\n"
    assert capsys.readouterr() == ("", said)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["funnel", str(tmp_path / "no")]) == 2
    assert capsys.readouterr().err == f"pr3dict: {tmp_path / 'no'}: No such file or directory\n"


@pytest.mark.parametrize("damage", [None, "a.zst line 3: torn"])
def test_a_recording_is_run_once_at_1x(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damage: str | None,
) -> None:
    asked: list[PaperOptions] = []

    def run_recordings(name: str, options: PaperOptions, on_progress: OnProgress) -> PaperResult:
        asked.append(options)
        return replace(RECORDED, name=name, damage=damage)

    monkeypatch.setattr(funnel, "run_recordings", run_recordings)
    path = tmp_path / "a.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd")
    code = cli.main(["funnel", str(path), "--set", "strategy.max_legs=3"])
    assert code == (0 if damage is None else 1)
    assert (asked[0].files, asked[0].latency_scales) == ((path,), (1,))
    assert asked[0].config.strategy.max_legs == 3
    out, err = capsys.readouterr()
    assert "edge_eaten_by_fees" in out
    assert err == ("" if damage is None else f"pr3dict: {damage}\n")
