"""Benches are found by name, run in turn, and their failure is passed on."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.__main__ import bench_names, main


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with a bench that holds, one that fails, and a private module."""
    folder = tmp_path / "some_benches"
    folder.mkdir()
    for name, code in {"holds": 0, "fails": 1, "_shared": 0, "__main__": 0}.items():
        (folder / f"{name}.py").write_text(f"def main():\n    print('ran {name}')\n    return {code}\n")
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return "some_benches"


def test_private_modules_are_no_benches(package: str) -> None:
    assert bench_names(package) == ["fails", "holds"]


@pytest.mark.parametrize(
    ("argv", "code", "ran"),
    [
        (["holds"], 0, ["ran holds"]),
        (["fails", "holds"], 1, ["ran fails", "ran holds"]),
        ([], 1, ["ran fails", "ran holds"]),
        (["other"], 2, []),
    ],
)
def test_runs_what_is_named(
    package: str, capsys: pytest.CaptureFixture[str], argv: list[str], code: int, ran: list[str]
) -> None:
    assert main(argv, package) == code
    said = capsys.readouterr()
    assert [line for line in said.out.splitlines() if line.startswith("ran")] == ran
    assert ("no bench named other" in said.err) == (code == 2)
