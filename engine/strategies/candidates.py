"""Every candidate as arrays, with an index from a market to the candidates that its book concerns.

Candidates come from approved relations, from the venues' own groups, and from each mirrored market by itself.
A group whose markets are exactly those of an approved partition is not tried twice: the relation stands, and
it is exhaustive when either says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from engine.catalog.catalog import Catalog, MarketFlag
from engine.catalog.market import GroupKind
from engine.catalog.relations import RelationKind, RelationTable
from engine.optimizer.levels import Ints, Rows
from engine.strategies.arbitrage import complement, cross_venue, implication, partition
from engine.strategies.candidate import NO_RELATION, Candidate, CandidateLeg

CANDIDATES_MAX: Final = 1 << 20
PER_MARKET_MAX: Final = 1_024  # candidates of one market; beyond it they are counted in ``refused``

CANDIDATE: Final = np.dtype(
    [
        ("payoff_micros", "<i8"),  # of one set with all its legs
        ("first", "<i8"),  # of its legs
        ("n_legs", "<i8"),
        ("relation", "<i8"),
        ("kind", "<i8"),  # SignalKind
        ("locks", "<i8"),  # capital waits for the close
        ("certain", "<i8"),
        ("is_mirror", "<i8"),
    ]
)
CANDIDATE_LEG: Final = np.dtype(
    [("slot", "<i8"), ("generation", "<i8"), ("venue", "<i8"), ("direction", "<i8"), ("outcome", "<i8")]
)


class Identity(NamedTuple):
    """What makes a candidate the same one in another table."""

    kind: int
    relation: int
    legs: tuple[CandidateLeg, ...]


class CandidateTable:
    """All candidates: ``rows`` (CANDIDATE) and ``legs`` (CANDIDATE_LEG).

    ``touching[touching_from[slot] : touching_from[slot + 1]]`` are those that a change in ``slot`` concerns,
    in order.
    """

    def __init__(self, catalog: Catalog, relations: RelationTable) -> None:
        self.version = catalog.version
        self.refused = 0
        found = self._bounded(find_candidates(catalog, relations))
        self.identities = tuple(Identity(one.kind, one.relation, one.legs) for one in found)
        self.rows: Rows = np.zeros(len(found), CANDIDATE)
        self.legs: Rows = np.zeros(sum(len(one.legs) for one in found), CANDIDATE_LEG)
        first = 0
        for row, one in zip(self.rows, found, strict=True):
            for name in ("payoff_micros", "relation", "kind", "locks", "certain", "is_mirror"):
                row[name] = getattr(one, name)
            row["first"], row["n_legs"] = first, len(one.legs)
            for leg in one.legs:
                market = catalog.rows[leg.slot]
                self.legs[first] = (
                    leg.slot,
                    market["generation"],
                    market["venue"],
                    leg.direction,
                    leg.outcome,
                )
                first += 1
        self._index(catalog.capacity)

    def __len__(self) -> int:
        """Candidates in the table."""
        return len(self.rows)

    def _bounded(self, candidates: Iterator[Candidate]) -> list[Candidate]:
        """Those within CANDIDATES_MAX, and within PER_MARKET_MAX for each of their markets."""
        kept: list[Candidate] = []
        of_market: Counter[int] = Counter()
        for one in candidates:
            slots = {leg.slot for leg in one.legs}
            full = any(of_market[slot] >= PER_MARKET_MAX for slot in slots)
            if full or len(kept) == CANDIDATES_MAX:
                self.refused += 1
                continue
            kept.append(one)
            of_market.update(slots)
        return kept

    def _index(self, capacity: int) -> None:
        owners = np.repeat(np.arange(len(self.rows), dtype=np.int64), self.rows["n_legs"])
        pairs = np.unique(
            np.stack([self.legs["slot"], owners], axis=1), axis=0
        )  # a mirror names its slot twice
        self.touching: Ints = np.ascontiguousarray(pairs[:, 1])
        self.touching_from: Ints = np.zeros(capacity + 1, np.int64)
        self.touching_from[1:] = np.cumsum(np.bincount(pairs[:, 0], minlength=capacity))


def find_candidates(catalog: Catalog, relations: RelationTable) -> Iterator[Candidate]:
    """All candidates: relations in their order, then groups, then single markets.

    A relation one of whose members has left the catalog is passed over until it is screened again.
    """
    partitions: set[frozenset[int]] = set()
    for number, row in enumerate(relations.rows):
        first = int(row["first_member"])
        members = relations.members[first : first + int(row["n_members"])]
        slots = tuple(int(slot) for slot in members["slot"])
        if (catalog.rows["generation"][list(slots)] != members["generation"]).any():
            continue
        kind = RelationKind(int(row["kind"]))
        if kind is RelationKind.PARTITION:
            partitions.add(frozenset(slots))
            yield from _of_set(catalog, slots, number, exhaustive=bool(row["exhaustive"]))
        else:
            yield from _of_pair(catalog, kind, slots, number)
    for group in catalog.groups():
        slots = catalog.group_members(group)
        known = len(slots) < 2 or frozenset(slots) in partitions
        if not known and catalog.group_kind(group) is not GroupKind.NONE:
            yield from _of_set(catalog, slots, NO_RELATION, exhaustive=False)
    for slot in catalog.symbols.values():
        if _all_have(catalog, (slot,), MarketFlag.MIRROR):
            yield complement.of_market(slot)


def _of_pair(catalog: Catalog, kind: RelationKind, slots: Sequence[int], number: int) -> Iterator[Candidate]:
    one, other = slots
    mirrors = [_all_have(catalog, (slot,), MarketFlag.MIRROR) for slot in slots]
    if kind is RelationKind.SAME:
        yield from cross_venue.of_pair(one, other, number, one_mirrors=mirrors[0], other_mirrors=mirrors[1])
    elif kind is RelationKind.COMPLEMENT:
        yield from complement.of_pair(one, other, number, mirrored=all(mirrors))
    else:
        yield from implication.of_pair(one, other, number, premise_mirrors=mirrors[0])


def _of_set(
    catalog: Catalog, slots: Sequence[int], relation: int, *, exhaustive: bool
) -> Iterator[Candidate]:
    """A partition; the venue's own word on the whole group counts beside the relation's."""
    groups = {int(catalog.rows["group"][slot]) for slot in slots}
    members = catalog.group_members(groups.pop())
    whole = not groups and set(members) == set(slots) and _all_have(catalog, slots, MarketFlag.EXHAUSTIVE)
    yield from partition.of_set(
        slots,
        relation,
        exhaustive=exhaustive or whole,
        converts=whole and _all_have(catalog, slots, MarketFlag.NEG_RISK),
        mirrored=_all_have(catalog, slots, MarketFlag.MIRROR),
    )


def _all_have(catalog: Catalog, slots: Sequence[int], flag: MarketFlag) -> bool:
    return all(int(catalog.rows["flags"][slot]) & flag for slot in slots)
