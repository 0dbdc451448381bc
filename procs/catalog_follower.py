"""The catalog of a process that does not write it: brought up to date from the segment.

All processes begin with the same markets. One that was met later, and that nothing describes, gets its slot
from the process that met it; here it is added under the same defaults, and so into the same slot.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.errors import LayoutMismatch
from engine.records import Venue
from procs.catalog_segment import MARKET_NAME, CatalogSegment
from procs.registry import Registry
from shm.barrier import announced
from shm.ring import Records

VERSION_BEFORE_ANY: Final = 0


class CatalogFollower:
    """Adds to ``registry`` what ``segment`` has more. LayoutMismatch when a slot is another market here."""

    role = "catalog-follower"

    def __init__(self, segment: CatalogSegment, registry: Registry) -> None:
        self._segment = segment
        self._registry = registry
        self._seen = VERSION_BEFORE_ANY
        self._row: Records = np.zeros(1, MARKET_NAME)

    def on_start(self, now_ns: int) -> None:
        """Catch up."""
        del now_ns
        self.follow()

    def do_work(self, now_ns: int) -> int:
        """Take in what came; how many markets."""
        del now_ns
        return self.follow()

    def on_close(self) -> None:
        """Nothing to let go of."""

    def follow(self) -> int:
        """Take in what came; called before anything is read that may name a new slot."""
        version = announced(self._segment.barrier.address)
        if version == self._seen:
            return 0
        added = 0
        while self._follow_slot(len(self._registry.catalog)):
            added += 1
        self._seen = version
        return added

    def _follow_slot(self, slot: int) -> bool:
        if slot >= self._registry.catalog.capacity or not self._segment.names.read(slot, self._row):
            return False
        row = self._row[0]
        if int(row["generation"]) == 0:
            return False
        venue, symbol = Venue(int(row["venue"])), bytes(row["symbol"])
        self._registry.on_unknown(venue, symbol)
        ref = self._registry.catalog.find(venue, symbol.decode())
        if ref is None or ref.slot != slot:
            raise LayoutMismatch(f"slot {slot} of the catalog is {symbol.decode()}, and here it is {ref}")
        return True
