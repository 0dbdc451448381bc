"""Which importer knows a file: decided by what is in it, never by its name alone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from engine.errors import RecordingDamaged, RecordingFormat
from procs.importers.kalshi_capture import KALSHI_CAPTURE
from procs.importers.kalshi_rest import KALSHI_REST
from procs.importers.kalshi_rows import KALSHI_ROWS
from procs.importers.kalshi_wire import KALSHI_WIRE
from procs.importers.markets import MarketNotes
from procs.importers.metadata import METADATA
from procs.importers.polymarket_books import (
    POLYMARKET_BEST,
    POLYMARKET_LISTS,
    POLYMARKET_TOKEN_ROWS,
    POLYMARKET_WIDE,
)
from procs.importers.polymarket_json import POLYMARKET_ARRAY_BOOKS, POLYMARKET_ARRAY_TRADES, POLYMARKET_REST
from procs.importers.polymarket_session import POLYMARKET_SESSION, POLYMARKET_V1
from procs.importers.polymarket_ticks import POLYMARKET_TICKS
from procs.importers.source import Imported, Importer, Sample
from procs.importers.weather import WEATHER_KALSHI, WEATHER_POLYMARKET
from procs.recording import VERSION_KEY
from procs.recording_reader import RecordingReader

IMPORTERS: Final[tuple[Importer, ...]] = (
    KALSHI_CAPTURE,
    KALSHI_WIRE,
    KALSHI_ROWS,
    KALSHI_REST,
    POLYMARKET_TICKS,
    POLYMARKET_V1,
    POLYMARKET_SESSION,
    POLYMARKET_LISTS,
    POLYMARKET_WIDE,
    POLYMARKET_TOKEN_ROWS,
    POLYMARKET_BEST,
    POLYMARKET_ARRAY_BOOKS,
    POLYMARKET_ARRAY_TRADES,
    POLYMARKET_REST,
    WEATHER_POLYMARKET,
    WEATHER_KALSHI,
    METADATA,
)

Source = RecordingReader | Imported  # both: header, name, frames(), batches()


def open_source(path: Path, notes: MarketNotes | None = None) -> Source:
    """Open a recording of ours, or a file of any kind in IMPORTERS; ``notes`` as for Imported.

    Raises OSError when it cannot be read, RecordingDamaged when it is empty or unreadable from the start,
    RecordingFormat when nothing here knows it.
    """
    if path.stat().st_size == 0:
        raise RecordingDamaged(f"{path}: empty file")
    sample = Sample.of(path)
    if sample.text.lstrip().startswith(b'{"' + VERSION_KEY.encode()) or VERSION_KEY in sample.first_object():
        return RecordingReader(path)
    for importer in IMPORTERS:
        if importer.matches(sample):
            return Imported(path, importer, MarketNotes() if notes is None else notes)
    if not sample.columns and not sample.text:
        raise RecordingDamaged(f"{path}: nothing in it can be decompressed")
    raise RecordingFormat(f"{path}: neither a recording nor a file that an importer knows")
