"""Parquet files: rows of plain values, damage in one line, the library only when it is needed."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import RecordingDamaged
from procs.importers.parquet import parquet_columns, parquet_rows
from procs.places import PACKAGES_ROOT
from tests.data import foreign


def test_rows_are_plain_values_and_times_are_ns(tmp_path: Path) -> None:
    when = dt.datetime(2026, 8, 3, 20, 47, 29, 428490, tzinfo=dt.UTC)
    path = foreign.write_parquet(tmp_path / "x", [{"a": "one", "at": when}, {"a": None, "at": None}])
    assert parquet_columns(path) == {"a", "at"}
    assert list(parquet_rows(path)) == [{"a": "one", "at": 1785790049428490000}, {"a": None, "at": None}]


def test_another_file_has_no_columns(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"PAR")
    assert parquet_columns(path) == frozenset()


def test_corrupt_parquet(tmp_path: Path) -> None:
    path = foreign.write_parquet(tmp_path / "x", [{"a": "text " * at} for at in range(500)])
    data = bytearray(path.read_bytes())
    data[20:60] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(RecordingDamaged, match=r"corrupt Parquet data|not a whole Parquet file"):
        next(parquet_rows(path))


def test_no_process_of_an_engine_loads_the_library() -> None:
    script = "import procs.cli.run, procs.cli.proc, sys; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=PACKAGES_ROOT, check=False).returncode == 0
