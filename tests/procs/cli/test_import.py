"""``pr3dict import``: what it writes, what it says, and that a file is whole or not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import zstandard

from procs.cli import main as cli
from procs.cli.exit_codes import ExitCode
from procs.recording import LACKS
from procs.recording_reader import RecordingReader
from procs.whole_file import PARTIAL_SUFFIX
from tests.data import foreign


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A capture of Kalshi's wire: four messages."""
    return foreign.kalshi_wire(tmp_path / "wire.jsonl.zst")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.ndjson.zst"


def test_a_recording_with_its_provenance_comes_out(
    source: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--source", "github.com/a/b", "--licence", "MIT", "--date", "2026-07-01", "--frames", "3"]
    assert cli.main(["import", str(source), str(out), *given]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0].startswith(f"{out}: 3 frames, 1 markets, ")
    with RecordingReader(out) as reader:
        assert len([*reader.frames()]) == 3
        header = reader.header
    assert (header.provenance.source, header.provenance.licence, header.provenance.date) == (
        "github.com/a/b",
        "MIT",
        "2026-07-01",
    )
    assert said.splitlines()[-len(header.lacks) :] == [
        f"the source lacks {name}: {LACKS[name]}" for name in header.lacks
    ]


def test_one_document_for_machines(source: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["import", str(source), str(out), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["out"], document["frames"], document["markets"]) == (str(out), 4, 1)
    assert (document["bytes"], document["damage"]) == (out.stat().st_size, None)


def test_a_damaged_source_is_written_as_far_as_it_is_whole(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = foreign.weather_kalshi(tmp_path / "whole.csv.zst").read_bytes()
    text = zstandard.ZstdDecompressor().decompressobj().decompress(whole)
    torn = foreign.write_text(tmp_path / "torn.csv.zst", text + b"1,2\n")
    assert cli.main(["import", str(torn), str(out), "--json"]) == 1
    said, err = capsys.readouterr()
    document = json.loads(said)
    assert document["frames"] == 3
    assert err == f"pr3dict: {document['damage']}\n"
    assert f"{torn} line 5: 2 fields, expected 7" in err
    assert out.exists()


def test_ctrl_c_leaves_what_was_there(
    source: Path, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out.write_bytes(b"before")

    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("procs.cli.import_.convert", interrupted)
    assert cli.main(["import", str(source), str(out)]) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err == "pr3dict: interrupted\n"
    assert out.read_bytes() == b"before"
    assert not out.with_name(out.name + PARTIAL_SUFFIX).exists()


def test_what_cannot_be_done_is_one_line_and_writes_nothing(
    source: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = source.read_bytes()
    assert cli.main(["import", str(source), str(out)]) == 0
    capsys.readouterr()
    for argv, said in (
        ([str(source), str(source)], f"{source}: the recording would overwrite what it is made from"),
        ([str(out), str(out.with_name("b"))], f"{out}: is a recording already"),
        (["nowhere", str(out)], "nowhere: No such file or directory"),
        ([str(source), str(out.parent)], f"{out.parent}: Is a directory"),
        ([str(source), str(out / "b")], f"{out / 'b'}: Not a directory"),
    ):
        assert cli.main(["import", *argv]) == 2
        assert capsys.readouterr() == ("", f"pr3dict: {said}\n")
    assert source.read_bytes() == before
    assert sorted(path.name for path in out.parent.iterdir()) == sorted([out.name, source.name])
