"""The catalog as other stages see it: rows and names by slot in shared memory, and a barrier to free slots.

One writer. What changed is written first and then announced by a version; a reader takes in the rows that
moved and confirms the version, after which it holds no reference to what was removed before. Only when every
reader has confirmed does the catalog hand a slot out again, under the next generation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np

from engine.catalog.catalog import MARKET_ROW, Catalog, MarketRows
from engine.errors import ConfigError, UnknownMarket
from engine.records import Venue
from engine.venues.symbols import SYMBOL_BYTES_MAX
from shm.barrier import Barrier
from shm.mirror import Mirror
from shm.ring import Records
from shm.table import Table

_SYMBOL: Final = f"S{SYMBOL_BYTES_MAX}"
MARKET_NAME: Final = np.dtype(
    [
        ("generation", "<i4"),  # 0: nothing is here
        ("venue", "u1"),
        ("pad", "u1", (3,)),
        ("symbol", _SYMBOL),
        ("yes_token", _SYMBOL),
        ("no_token", _SYMBOL),
    ]
)


@dataclass(frozen=True, slots=True)
class CatalogSegment:
    """``rows``: MARKET_ROW by slot; ``names``: MARKET_NAME by slot; ``barrier``: versions of the catalog."""

    rows: Table
    names: Table
    barrier: Barrier

    @classmethod
    def create(
        cls, slots: int, readers: Sequence[str], *, directory: Path | None = None, epoch: int = 0
    ) -> Self:
        """Make an empty one for ``slots`` markets: private memory, or files that ``attach`` finds."""
        return cls(
            rows=Table.create(slots, MARKET_ROW, name="catalog.rows", epoch=epoch, directory=directory),
            names=Table.create(slots, MARKET_NAME, name="catalog.names", epoch=epoch, directory=directory),
            barrier=Barrier.create(readers, name="catalog.barrier", epoch=epoch, directory=directory),
        )

    @classmethod
    def join(cls, directory: Path, epoch: int = 0, *, writes: bool = False) -> Self:
        """Map that of an engine; ``writes``: and become its writer from ``epoch`` on, where one has gone.

        Raises LayoutMismatch, SegmentRefused or FileNotFoundError; SegmentExists where its writer lives.
        """
        if writes:
            return cls(
                rows=Table.adopt("catalog.rows", MARKET_ROW, directory, epoch),
                names=Table.adopt("catalog.names", MARKET_NAME, directory, epoch),
                barrier=Barrier.adopt("catalog.barrier", directory, epoch),
            )
        return cls(
            rows=Table.attach("catalog.rows", MARKET_ROW, directory),
            names=Table.attach("catalog.names", MARKET_NAME, directory),
            barrier=Barrier.attach("catalog.barrier", directory),
        )

    def view(self, reader: str) -> CatalogView:
        """A reader's copy of the rows."""
        return CatalogView(self, reader)

    def release(self) -> None:
        """Give up the writer's locks, so that another process can take them."""
        for segment in (self.rows.segment, self.names.segment, self.barrier.segment):
            segment.close()

    def publish(self, catalog: Catalog, slots: Iterable[int]) -> int:
        """Write what is in ``slots`` now, then announce the catalog's version; how many slots. Writer only.

        ConfigError for a symbol that no frame could carry.
        """
        written = 0
        for slot in slots:
            self.names.write(slot, _name_row(catalog, slot))
            self.rows.write(slot, catalog.rows[slot : slot + 1])
            written += 1
        self.barrier.announce(catalog.version)
        return written


def _name_row(catalog: Catalog, slot: int) -> Records:
    row: Records = np.zeros(1, MARKET_NAME)
    try:
        spec, ref = catalog.spec(slot), catalog.ref(slot)
    except UnknownMarket:  # removed
        return row
    row["generation"], row["venue"] = ref.generation, spec.venue
    for field in ("symbol", "yes_token", "no_token"):
        symbol = getattr(spec, field).encode()
        if len(symbol) > SYMBOL_BYTES_MAX:
            raise ConfigError(f"{field} of {spec.symbol} is longer than {SYMBOL_BYTES_MAX} bytes")
        row[field] = symbol
    return row


class CatalogView:
    """A reader's copy of the rows, for kernels. ``reader`` is one of those declared with the segment."""

    def __init__(self, segment: CatalogSegment, reader: str) -> None:
        self._mirror = Mirror(segment.rows)
        self._reader = segment.barrier.resume(reader)
        self.rows: MarketRows = self._mirror.rows
        self.version = 0  # confirmed

    def refresh(self) -> bool:
        """Take in what the catalog announced, and confirm it; whether there was something.

        A row that its writer is at is left for the next time, and nothing is confirmed before.
        """
        if not self._reader.has_news(self.version):
            return False
        version = self._reader.announced()
        if self._mirror.refresh() and self._reader.confirm(version):
            self.version = version
        return True


class MarketNames:
    """Names of markets for people, as the catalog has published them."""

    def __init__(self, segment: CatalogSegment) -> None:
        self._names = segment.names
        self._row: Records = np.zeros(1, MARKET_NAME)

    def name(self, slot: int, generation: int) -> str:
        """``kalshi:TICKER``, ``polymarket:SYMBOL``; one that is gone keeps its number."""
        found = self._names.read(slot, self._row) and int(self._row["generation"][0]) == generation
        if not found:
            return f"slot:{slot}.{generation}"
        return f"{Venue(int(self._row['venue'][0])).name.lower()}:{bytes(self._row['symbol'][0]).decode()}"
