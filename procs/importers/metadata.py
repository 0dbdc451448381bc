"""Market metadata without frames (`btc15m_*_markets.parquet`): names, windows, outcomes.

Imported together with the books of the same markets it completes their specs; alone it is a recording with
markets and no frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engine.units import NS_PER_MS
from procs.importers.markets import MarketNotes
from procs.importers.parquet import parquet_rows
from procs.importers.polymarket_books import outcome_of, stand_in_token
from procs.importers.source import Importer, Sample
from procs.recording_frames import Frame


def _matches(sample: Sample) -> bool:
    return sample.columns >= {
        "market_id",
        "slug",
        "question",
        "start_ts",
        "end_ts",
        "outcome_up",
        "outcome_down",
    }


def _frames(path: Path, notes: MarketNotes) -> Iterator[Frame]:
    for row in parquet_rows(path):
        market = str(row["market_id"])
        for side in ("up", "down"):
            word = str(row[f"outcome_{side}"])
            note = notes.token(stand_in_token(market, word), market, outcome_of(word))
            note.title = str(row["question"])
            note.category = str(row.get("category") or note.category)
            note.open_ns, note.close_ns = (_ns(row[f"{end}_ts"]) for end in ("start", "end"))
    yield from ()


def _ns(value: object) -> int:
    return value * NS_PER_MS if isinstance(value, int) else 0


METADATA: Final = Importer(
    "metadata", "polymarket", "metadata", ("fee_schedule", "price_grid", "token_id"), _matches, _frames
)
