"""A small stage for strategy tests: markets in a catalog, and the rows of their books as one sees them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.catalog.catalog import Catalog
from engine.catalog.market import GroupKind, MarketSpec
from engine.catalog.relations import Accepted, Member, Relation, RelationKind, RelationTable
from engine.config import MinEdges, StrategyConfig
from engine.records import BOOK_ROW, TOP, SignalKind, TopFlag, Trust, Venue
from engine.sim.session.scenario import market
from engine.units import NS_PER_DAY, NS_PER_S, SIZE_ONE_E6

NOW = 1_793_534_400 * NS_PER_S
CLOSE = NOW + 3 * NS_PER_DAY
EPOCH = 5

Levels = Sequence[tuple[int, int]]  # price_e4, contracts


def config(**changes: int) -> StrategyConfig:
    """Thresholds of a tenth of a cent, ten per cent a year, two seconds of age."""
    edges = {kind.name.lower(): 1_000 for kind in SignalKind}
    values = {
        "min_size_e6": SIZE_ONE_E6,
        "capital_cost_rate_ppm": 100_000,
        "max_legs": 64,
        "book_age_max_ns": 2 * NS_PER_S,
        "leg_skew_max_ns": NS_PER_S,
        "deadline_ns": NS_PER_S // 2,
    } | changes
    return StrategyConfig(min_edge_micros=MinEdges(**edges), **values)


class Stage:
    """Markets by name; every book is LIVE, heard of now, and empty until it is quoted."""

    def __init__(self, capacity: int = 16) -> None:
        self.catalog = Catalog(capacity)
        self.books = np.zeros(capacity, BOOK_ROW)
        self.slots: dict[str, int] = {}
        self._accepted: list[Accepted] = []

    def add(
        self,
        name: str,
        venue: Venue = Venue.POLYMARKET,
        *,
        close_ns: int = CLOSE,
        group: str = "",
        group_kind: GroupKind = GroupKind.NONE,
        group_size: int = 0,
        neg_risk: bool = False,
        single_token: bool = False,
    ) -> int:
        """Add a session market; its slot."""
        spec = market(
            name,
            venue,
            close_ns,
            group=group,
            group_kind=group_kind,
            group_size=group_size,
            neg_risk=neg_risk,
            single_token=single_token,
        )
        return self.add_spec(name, spec)

    def add_spec(self, name: str, spec: MarketSpec) -> int:
        """Add a market; its slot."""
        ref = self.catalog.add_market(spec)
        row = self.books[ref.slot]
        row["slot"], row["generation"] = ref
        row["trust"], row["venue"], row["epoch"], row["recv_ns"] = Trust.LIVE, spec.venue, EPOCH, NOW
        self.slots[name] = ref.slot
        return ref.slot

    def quote(self, name: str, bids: Levels = (), asks: Levels = ()) -> None:
        """Replace a book; sizes in contracts."""
        row = self.books[self.slots[name]]
        row["update_count"] += 1
        row["n_bids"], row["n_asks"] = len(bids), len(asks)
        for side, levels in (("bid", bids), ("ask", asks)):
            for index, (price, contracts) in enumerate(levels):
                row[f"{side}_e4"][index] = price
                row[f"{side}_size_e6"][index] = contracts * SIZE_ONE_E6

    def relate(self, kind: RelationKind, *names: str, exhaustive: bool = False) -> None:
        """Add an approved relation."""
        refs = tuple(self.catalog.ref(self.slots[name]) for name in names)
        specs = [self.catalog.spec(ref.slot) for ref in refs]
        members = tuple(Member(venue=spec.venue, symbol=spec.symbol) for spec in specs)
        relation = Relation(
            name=f"{kind.name}-{len(self._accepted)}",
            kind=kind,
            member=members,
            exhaustive=exhaustive,
            approved_by="test",
            approved_on="2026-11-01",
        )
        self._accepted.append(Accepted(relation, refs))

    def relations(self) -> RelationTable:
        """All relations so far."""
        return RelationTable(self._accepted, self.catalog)

    def top(self, name: str, *, best_changed: bool = True, prev_trust: Trust = Trust.LIVE) -> np.void:
        """The TOP that would announce the book's row."""
        slot = self.slots[name]
        top: np.void = np.zeros(1, TOP)[0]
        for field in ("recv_ns", "epoch", "slot", "generation", "venue", "trust"):
            top[field] = self.books[slot][field]
        top["prev_trust"] = prev_trust
        top["flags"] = TopFlag.BEST_CHANGED if best_changed else 0
        return top
