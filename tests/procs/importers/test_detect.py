"""Which importer takes a file: by content, whatever the file is called."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard

from engine.errors import RecordingDamaged, RecordingFormat
from procs.importers import IMPORTERS, open_source
from procs.importers.source import Imported, Sample
from procs.recording_reader import RecordingReader
from tests.data import foreign
from tests.data import recordings as made

PARQUET = ("kalshi_rows", "polymarket_ticks", "polymarket_lists", "polymarket_wide", "metadata")


@pytest.mark.parametrize("name", foreign.BUILDERS)
def test_exactly_one_importer_knows_each_shape(tmp_path: Path, name: str) -> None:
    path = foreign.BUILDERS[name](tmp_path / "some_file")
    assert [importer.name for importer in IMPORTERS if importer.matches(Sample.of(path))] == [name]
    source = open_source(path)
    assert isinstance(source, Imported)
    assert source.importer.name == name


def test_every_importer_has_a_shape() -> None:
    assert {importer.name for importer in IMPORTERS} == set(foreign.BUILDERS)


@pytest.mark.parametrize("name", [name for name in foreign.BUILDERS if name not in PARQUET])
def test_uncompressed_text_is_known_too(tmp_path: Path, name: str) -> None:
    packed = foreign.BUILDERS[name](tmp_path / "same_name")
    plain = tmp_path / "other" / "same_name"
    plain.parent.mkdir()
    plain.write_bytes(zstandard.ZstdDecompressor().decompress(packed.read_bytes()))
    source = open_source(plain)
    assert isinstance(source, Imported)
    assert [frame.raw for frame in source.frames()] == [frame.raw for frame in open_source(packed).frames()]


def test_a_recording_is_read_as_one(tmp_path: Path) -> None:
    source = open_source(made.write(tmp_path / "x", made.header(), [made.kalshi({})]))
    assert isinstance(source, RecordingReader)
    assert len(list(source.frames())) == 1


def test_nothing_else_is_guessed(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"")
    with pytest.raises(RecordingDamaged, match="empty file"):
        open_source(path)
    for text in (b"hello", b"\x00\x01\x02", b'{"a":1}\n', b"a,b,c\n1,2,3\n", b"[1,2]"):
        path.write_bytes(text)
        with pytest.raises(RecordingFormat, match="neither a recording nor"):
            open_source(path)
    path.write_bytes(b"\x28\xb5\x2f\xfd\xff\xff\xff")
    with pytest.raises(RecordingDamaged, match="nothing in it can be decompressed"):
        open_source(path)
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(RecordingDamaged, match="not a whole Parquet file"):
        open_source(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_source(tmp_path / "none")
