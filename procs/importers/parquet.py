"""Parquet files as rows.

Few files are Parquet, and the library takes a twentieth of a start to load, with threads of its own that no
process of an engine should have. So it is imported where a file of this kind is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.errors import RecordingDamaged
from procs.importers.reading import JsonObject

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

PARQUET_MAGIC: Final = b"PAR1"
_ROWS: Final = 4096


def parquet_columns(path: Path) -> frozenset[str]:
    """Column names of a Parquet file; empty when the file is none. RecordingDamaged when it is not whole."""
    with path.open("rb") as file:
        if file.read(len(PARQUET_MAGIC)) != PARQUET_MAGIC:
            return frozenset()
    return frozenset(str(name) for name in _opened(path).schema_arrow.names)


def _opened(path: Path) -> pq.ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise RecordingDamaged(f"{path}: not a whole Parquet file ({error})") from error


def parquet_rows(path: Path) -> Iterator[JsonObject]:
    """Rows of a Parquet file as mappings of plain Python values; points in time are integer ns since 1970."""
    import pyarrow as pa

    file = _opened(path)
    read = 0
    try:
        for batch in file.iter_batches(batch_size=_ROWS):
            rows: list[JsonObject] = _times_as_ns(batch).to_pylist()
            yield from rows
            read += len(rows)
    except (pa.ArrowInvalid, OSError) as error:
        raise RecordingDamaged(f"{path} row {read + 1}: corrupt Parquet data ({error})") from error


def _times_as_ns(batch: pa.RecordBatch) -> pa.RecordBatch:
    import pyarrow as pa

    columns = [
        column.cast(pa.timestamp("ns")).cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
