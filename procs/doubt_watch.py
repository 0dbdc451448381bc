"""Books of one venue that wait for a snapshot, and asking for it.

A book in doubt, and one that never had a snapshot, is named to the feed, which asks within its budget and not
twice. Looking costs a comparison over all rows, and a call for each book that waits, every LOOK_EVERY_NS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from engine.catalog.market import MarketRef, MarketSpec
from engine.records import Trust
from procs.registry import market_symbols
from shm.ring import Records

LOOK_EVERY_NS: Final = 50_000_000

_WAITING: Final = np.zeros(max(Trust) + 1, np.bool_)
_WAITING[[Trust.UNSYNCED, Trust.SUSPECT, Trust.RESYNC]] = True


class Want(Protocol):
    """How to ask for a book (``procs.feed_shell.FeedShell.want_snapshot``)."""

    def __call__(self, symbol: str, *, urgent: bool = False) -> bool:
        """Whether it will be asked for now."""
        ...


class DoubtWatch:
    """Asks for books in doubt. ``rows``: BOOK_ROW by slot; ``has_orders``: whether we have some in a slot."""

    def __init__(
        self,
        rows: Records,
        want: Want,
        requested: Callable[[int, int], None],
        has_orders: Callable[[int], bool] | None = None,
    ) -> None:
        self.asked = 0
        self._rows = rows
        self._want = want
        self._requested = requested
        self._has_orders = has_orders
        self._symbols: dict[int, tuple[str, ...]] = {}
        self._slots = np.empty(0, np.int64)
        self._next_ns = 0

    def add(self, ref: MarketRef, spec: MarketSpec) -> None:
        """Watch a market; one that had the slot before is forgotten."""
        self._symbols[ref.slot] = tuple(symbol.decode() for symbol, _, _ in market_symbols(spec))
        self._slots = np.array(sorted(self._symbols), np.int64)

    def look(self, now_ns: int) -> int:
        """Ask for what waits, if it is time to; how many books were newly asked for."""
        if 0 < self._next_ns - now_ns <= LOOK_EVERY_NS:  # further off: the clock stepped back
            return 0
        self._next_ns = now_ns + LOOK_EVERY_NS
        asked = 0
        for slot in self._slots[_WAITING[self._rows["trust"][self._slots]]].tolist():
            urgent = self._has_orders is not None and self._has_orders(slot)
            wanted = [self._want(symbol, urgent=urgent) for symbol in self._symbols[slot]]
            if any(wanted):
                asked += 1
                self._requested(slot, now_ns)
        self.asked += asked
        return asked
