"""Catalog stage: publishes markets that came, changed or went, and frees what its readers have let go of."""

from __future__ import annotations

from engine.catalog.catalog import Catalog
from procs.catalog_segment import CatalogSegment


class CatalogAgent:
    """The writer of ``segment``. ``freed`` counts slots that every reader has let go of."""

    role = "catalog"

    def __init__(self, catalog: Catalog, segment: CatalogSegment) -> None:
        self.freed = 0
        self._catalog = catalog
        self._segment = segment
        self._reader = catalog.register_reader()  # all of the segment's readers: it holds what they hold
        self._published = 0
        self._passed = 0

    def on_start(self, now_ns: int) -> None:
        """Publish what is known beforehand."""
        self.do_work(now_ns)

    def do_work(self, now_ns: int) -> int:
        """Publish changes, and tell the catalog what its readers have passed; how many slots changed."""
        del now_ns
        changed = self.publish()
        if self._passed != self._published:
            self._passed = self._segment.barrier.passed()
            self._catalog.confirm(self._reader, self._passed)
            self.freed += self._catalog.barrier()
        return changed

    def publish(self) -> int:
        """Publish what has changed since; how many slots."""
        if self._catalog.version == self._published:
            return 0
        changed = self._segment.publish(self._catalog, self._catalog.take_changed())
        self._published = self._catalog.version
        return changed

    def on_close(self) -> None:
        """Nothing to let go of."""
