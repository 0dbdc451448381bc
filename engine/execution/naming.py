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
        self._versions: dict[int, int] = {}  # of the catalog when a group was named, whole

    def restore(self, named: Iterable[Key]) -> None:
        """These were journaled by an earlier run."""
        self._named.update(named)

    def name(self, keys: Collection[Key]) -> None:
        """Journal the markets that the legs of a plan are about: (venue, slot, generation) of each."""
        version = self._catalog.version
        groups = {int(self._group_of[slot]) for _, slot, _ in keys} - {NO_GROUP}
        is_known = all(self._versions.get(group) == version for group in groups)
        if is_known and all(key in self._named for key in keys):
            return
        slots = {slot for _, slot, _ in keys}
        for group in groups:
            slots.update(self._catalog.group_members(group))
            self._versions[group] = version
        for slot in sorted(slots):
            row = self._catalog.rows[slot]
            key = int(row["venue"]), slot, int(row["generation"])
            if key not in self._named:
                self._named.add(key)
                self._journal.append(_MARKET, market_entry(row, slot, self._catalog.spec(slot).symbol))
