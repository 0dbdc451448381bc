"""Several files into one recording."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from engine.errors import ConfigError
from procs.importers.convert import combined_header, convert, open_imports
from procs.recording import Provenance
from procs.recording_reader import RecordingReader
from tests.data import foreign
from tests.data import recordings as made

WHO = Provenance("somewhere", "MIT", "2026-01-01")


def _convert(paths: list[Path], out: Path, frames_max: int | None = None) -> RecordingReader:
    with out.open("wb") as file:
        convert(open_imports(paths, "misc"), WHO, file, frames_max=frames_max)
    return RecordingReader(out)


def test_metadata_completes_the_books(tmp_path: Path) -> None:
    books, meta = foreign.polymarket_lists(tmp_path / "b"), foreign.metadata(tmp_path / "m")
    with _convert([meta, books], tmp_path / "o") as reader:
        (spec,) = reader.header.markets
        assert (spec.title, spec.category) == ("Bitcoin Up or Down", "crypto")
        assert spec.yes_token == "0xm:UP"
        assert (reader.header.kind, reader.header.venue) == ("snapshots", "polymarket")
        assert reader.header.start_ns == 1790585112649000000
        assert len(list(reader.frames())) == 2


def test_both_venues_merge_in_time(tmp_path: Path) -> None:
    paths = [foreign.weather_polymarket(tmp_path / "p"), foreign.weather_kalshi(tmp_path / "k")]
    with _convert(paths, tmp_path / "o") as reader:
        assert (reader.header.venue, reader.header.provenance) == ("both", WHO)
        frames = list(reader.frames())
        assert [frame.recv_ns for frame in frames] == sorted(frame.recv_ns for frame in frames)
        assert len(frames) == 6
        assert len(reader.header.markets) == 6
        assert {"sizes", "sid", "hash"} <= set(reader.header.lacks)


def test_same_files_same_bytes(tmp_path: Path) -> None:
    path = foreign.polymarket_ticks(tmp_path / "x")
    outs = [io.BytesIO(), io.BytesIO()]
    for out in outs:
        assert convert(open_imports([path]), WHO, out).frames == 5
    assert outs[0].getvalue() == outs[1].getvalue()


def test_only_the_first_frames(tmp_path: Path) -> None:
    path = foreign.polymarket_ticks(tmp_path / "x")
    with _convert([path], tmp_path / "o", frames_max=2) as reader:
        assert len(list(reader.frames())) == 2


def test_damage_is_reported_and_the_beginning_written(tmp_path: Path) -> None:
    good = foreign.capture_event("orderbook_snapshot", 5, {"market_ticker": "KXT-A"}, 1)
    path = foreign.write_json_lines(tmp_path / "x", [good, good, {}])
    out = io.BytesIO()
    done = convert(open_imports([path]), WHO, out)
    assert done.frames == 2
    assert "line 3" in str(done.damage)


def test_steps_back_are_counted_and_kept(tmp_path: Path) -> None:
    event = [
        foreign.capture_event("orderbook_snapshot", at, {"market_ticker": "A"}, 1) for at in (5, 3, 4, 9)
    ]
    path = foreign.write_json_lines(tmp_path / "x", event)
    done = convert(open_imports([path]), WHO, io.BytesIO())
    assert done.clock_steps_back == 2


def test_a_recording_is_refused(tmp_path: Path) -> None:
    path = made.write(tmp_path / "r", made.header(), [])
    with pytest.raises(ConfigError, match="is a recording already"):
        open_imports([path])


def test_metadata_alone(tmp_path: Path) -> None:
    sources = open_imports([foreign.metadata(tmp_path / "m")])
    assert combined_header(sources, WHO).kind == "metadata"
    assert combined_header(sources, WHO).start_ns == 0
