"""Which markets the journal knows by name: before the first plan that can trade one, it is told."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from engine.catalog.catalog import NO_GROUP, Catalog
from engine.execution.outputs import market_entry
from engine.execution.ports import Journal
from engine.ledger.journal import EntryKind
from engine.ledger.ledger import Key

_MARKET: Final = EntryKind.MARKET


class MarketNames:
    """Journals each market once, with those of its group: a conversion can give us any of them."""

    def __init__(self, catalog: Catalog, journal: Journal) -> None:
        self._catalog = catalog
        self._group_of = catalog.rows["group"]
        self._journal = journal
        self._named: set[Key] = set()
        self._version = -1  # of the catalog, since when
        self._slots: set[int] = set()  # are named, each with all of its group

    def restore(self, named: Iterable[Key]) -> None:
        """These were journaled by an earlier run."""
        self._named.update(named)

    def knows(self, slots: Collection[int]) -> bool:
        """Whether the markets in these slots, and their groups, have been named as they are now."""
        return self._version == self._catalog.version and self._slots.issuperset(slots)

    def name(self, slots: Collection[int]) -> None:
        """Journal the markets that the legs of a plan are about, and those of their groups."""
        if self.knows(slots):
            return
        if self._version != self._catalog.version:
            self._version = self._catalog.version
            self._slots.clear()
        wanted = {*slots}
        for group in {int(self._group_of[slot]) for slot in slots} - {NO_GROUP}:
            wanted.update(self._catalog.group_members(group))
        for slot in sorted(wanted):
            row = self._catalog.rows[slot]
            key = int(row["venue"]), slot, int(row["generation"])
            if key not in self._named:
                self._named.add(key)
                self._journal.append(_MARKET, market_entry(row, slot, self._catalog.spec(slot).symbol))
        self._slots |= wanted
