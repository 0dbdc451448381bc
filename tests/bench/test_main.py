"""Benches are found by name, run in turn, and a claim that does not hold is passed on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import _kept
from bench.__main__ import bench_names, main
from procs.cli import main as cli

BENCH = """
from bench._result import OURS, Claim, Row

def measure(result{args}):
    result.rows.append(Row("work", OURS, [{{"ns": {ns}}}], [0]))
    result.claims.append(Claim("work, ns", {ns}, 10, at_least=False))
"""
OPTIONS = """
def add_arguments(parser):
    parser.add_argument("--times", type=int, default=1)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with a bench whose claim holds, one whose does not, one with options, a private module."""
    folder = tmp_path / "some_benches"
    folder.mkdir()
    for name, ns in {"holds": "1", "fails": "11", "_shared": "0", "__main__": "0"}.items():
        (folder / f"{name}.py").write_text(BENCH.format(args="", ns=ns))
    (folder / "varied.py").write_text(BENCH.format(args=", args", ns="args.times") + OPTIONS)
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(_kept.save, "__defaults__", (tmp_path / "results",))
    return "some_benches"


def test_private_modules_are_no_benches(package: str) -> None:
    assert bench_names(package) == ["fails", "holds", "varied"]


@pytest.mark.parametrize(
    ("argv", "code", "ran"),
    [
        (["holds"], 0, ["holds"]),
        (["holds", "fails"], 1, ["holds", "fails"]),
        ([], 1, ["fails", "holds", "varied"]),
        (["other"], 2, []),
        (["varied", "--times", "5"], 0, ["varied"]),
        (["varied", "--", "--times", "50"], 1, ["varied"]),
        (["varied", "--tomes", "5"], 2, []),
        (["holds", "--times", "5"], 2, []),
        (["holds", "--compare", "nothing.json"], 2, []),
        (["holds", "varied", "--times", "5"], 2, []),
        (["--times", "5"], 2, []),
    ],
)
def test_runs_what_is_named(
    package: str, capsys: pytest.CaptureFixture[str], argv: list[str], code: int, ran: list[str]
) -> None:
    assert main(argv, package) == code
    said = capsys.readouterr()
    assert [line.removeprefix("== ") for line in said.out.splitlines() if line.startswith("==")] == ran
    assert (code == 2) == (said.err.count("\n") == 1)


def test_json_is_one_document_and_what_is_kept_can_be_compared(
    package: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["varied", "--json", "--save"], package) == 0
    [document] = json.loads(capsys.readouterr().out)
    assert document["bench"] == "varied"
    assert document["rows"] == [{"what": "work", "who": "pr3dict", "runs": [{"ns": 1}], "switches": [0]}]
    assert document["machine"]["cores"] > 0
    [kept] = (tmp_path / "results").iterdir()
    assert main(["varied", "--compare", str(kept), "--times", "2"], package) == 0
    assert "work | ns: 1 ns -> 2 ns (+100%)" in capsys.readouterr().out


def test_the_command_refuses_a_name_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "nothing"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("pr3dict: no bench named nothing; there are: ")
