"""Books, positions and decisions of a running engine, read from its run directory without asking anybody.

Whoever looks is an observer: it waits for nobody and nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from engine.records import (
    ACCOUNT_ROW,
    BOOK_ROW,
    DECISION,
    POSITION_ROW,
    WIDE_BYTES,
    DecisionStage,
    Venue,
)
from procs.catalog_segment import MARKET_NAME
from procs.decision_log import Funnel
from procs.disputes import DISPUTE_ROW
from procs.operator_refusals import RefusedByState
from shm.ring import Records, RefusingRing
from shm.table import Table

NAMES: Final = "catalog.names"
BOOKS: Final = "books"  # .VENUE
POSITIONS: Final = "positions"
ACCOUNTS: Final = "accounts"
DISPUTES: Final = "disputes"
DECISIONS: Final = "decisions"  # .STAGE
POLLS_MAX: Final = 1 << 10  # a producer may publish while we read: some time it is enough


@dataclass(frozen=True, slots=True)
class LiveMarket:
    """A market of the catalog. ``name`` is ``venue:symbol``."""

    slot: int
    generation: int
    venue: Venue
    symbol: str
    yes_token: str

    @property
    def name(self) -> str:
        """What it is called everywhere."""
        return f"{self.venue.name.lower()}:{self.symbol}"


class LiveView:
    """The engine in ``directory``; RefusedByState when none has its tables there."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def markets(self) -> list[LiveMarket]:
        """Markets of the catalog, by slot."""
        table = self._table(NAMES, MARKET_NAME)
        row: Records = np.zeros(1, MARKET_NAME)
        return [
            _market(slot, row[0])
            for slot in range(len(table))
            if table.version(slot) and table.read(slot, row) and int(row["generation"][0])
        ]

    def book(self, market: LiveMarket) -> np.void | None:
        """BOOK_ROW of a market; None when it has none, or its slot is another market's by now."""
        table = self._table(f"{BOOKS}.{market.venue.name.lower()}", BOOK_ROW)
        row: Records = np.zeros(1, BOOK_ROW)
        if not table.read(market.slot, row) or int(row["generation"][0]) != market.generation:
            return None
        found: np.void = row[0]
        return found

    def positions(self) -> Iterator[tuple[str, np.void]]:
        """Name of the market and POSITION_ROW of each position that was ever held, by slot."""
        return self._named(POSITIONS, POSITION_ROW)

    def disputes(self) -> Iterator[tuple[str, np.void]]:
        """Name of the market and DISPUTE_ROW of each settlement that a venue states otherwise, by slot."""
        return self._named(DISPUTES, DISPUTE_ROW)

    def _named(self, name: str, dtype: np.dtype[np.void]) -> Iterator[tuple[str, np.void]]:
        """Rows of a table by slot that were ever written, each with the name of its market."""
        table = self._table(name, dtype)
        names = {(market.slot, market.generation): market.name for market in self.markets()}
        row: Records = np.zeros(1, dtype)
        for slot in range(len(table)):
            if table.version(slot) and table.read(slot, row):
                key = (slot, int(row["generation"][0]))
                yield names.get(key, f"slot:{key[0]}.{key[1]}"), row[0].copy()

    def accounts(self) -> Iterator[tuple[Venue, np.void]]:
        """ACCOUNT_ROW of each venue that has an account."""
        table = self._table(ACCOUNTS, ACCOUNT_ROW)
        row: Records = np.zeros(1, ACCOUNT_ROW)
        for venue in Venue:
            if venue < len(table) and table.version(venue) and table.read(venue, row):
                yield venue, row[0].copy()

    def funnel(self) -> tuple[Funnel, int]:
        """Funnel of the decisions that the rings still hold, and how many there were before them."""
        names = [f"{DECISIONS}.{stage.name.lower()}" for stage in DecisionStage]
        there = [name for name in names if (self._directory / name).exists()]
        if not there:
            raise RefusedByState(f"{self._directory}: no engine runs here (no {DECISIONS})")
        funnel = Funnel()
        rings = [RefusingRing.attach(name, WIDE_BYTES, self._directory) for name in there]
        return funnel, sum(_count(ring, funnel) for ring in rings)

    def _table(self, name: str, dtype: np.dtype[np.void]) -> Table:
        try:
            return Table.attach(name, dtype, self._directory)
        except FileNotFoundError as error:
            raise RefusedByState(f"{self._directory}: no engine runs here (no {name})") from error


def _market(slot: int, row: np.void) -> LiveMarket:
    symbol, yes_token = (bytes(row[field]).decode() for field in ("symbol", "yes_token"))
    return LiveMarket(slot, int(row["generation"]), Venue(int(row["venue"])), symbol, yes_token)


def _count(ring: RefusingRing, funnel: Funnel) -> int:
    """Count what the ring holds, as far as it was published when we began; messages that came before."""
    observer = ring.observer()
    decisions = observer.records(DECISION)
    until = ring.published_cells
    for _ in range(POLLS_MAX):
        n_cells = observer.poll()
        for decision in decisions[:n_cells]:
            funnel.add(int(decision["stage"]), int(decision["kind"]), int(decision["reason"]))
        if not n_cells or int(observer.block["position"]) >= until:
            break
    return ring.published_messages - observer.received_messages
