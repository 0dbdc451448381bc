"""Typed relations between markets, and the filter that lets only approved ones with unchanged rules through.

A relation says what a person found by reading the rules of every member. Its members carry the fingerprint of
the rule text that was read; when the venue changes that text, the relation is stale until someone reads it
again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from engine import typed_tree
from engine.catalog.catalog import Catalog
from engine.catalog.market import MarketRef, MarketSpec
from engine.catalog.proposition import read_proposition
from engine.catalog.rules import fingerprint, is_fingerprint, normalised
from engine.reasons import Reason
from engine.records import LEGS_MAX, Venue

RELATIONS_MAX: Final = 65_536

RELATION_ROW: Final = np.dtype(
    [
        ("first_member", "<i4"),  # index of its first row in the member array
        ("n_members", "<i4"),
        ("kind", "u1"),  # RelationKind
        ("exhaustive", "u1"),  # PARTITION: exactly one member wins; else at most one
        ("pad", "u1", (6,)),
    ]
)

RELATION_MEMBER: Final = np.dtype(
    [
        ("slot", "<i4"),
        ("generation", "<i4"),
        ("relation", "<i4"),
        ("venue", "u1"),
        ("pad", "u1", (3,)),
    ]
)

Rows = npt.NDArray[np.void]
Indices = npt.NDArray[np.int32]


class RelationKind(IntEnum):
    """What holds between the YES outcomes of the members, in their order."""

    SAME = 1  # two markets, one proposition
    COMPLEMENT = 2  # two books of their own, exactly one wins
    PARTITION = 3  # at most one wins; exactly one when exhaustive
    IMPLICATION = 4  # if the first wins, so does the second


# Members that must all win or lose by one measurement.
_ONE_RULER: Final = (RelationKind.SAME, RelationKind.COMPLEMENT)
_PAIRS: Final = (RelationKind.SAME, RelationKind.COMPLEMENT, RelationKind.IMPLICATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One market of a relation, and the fingerprint of the rules as they were read; "" not read yet.

    ``ruler``: whose word settles it, as a person found; counts where the rule text names nobody we know.
    """

    venue: Venue
    symbol: str
    rules_sha256: str = ""
    ruler: str = ""

    def __post_init__(self) -> None:
        if self.rules_sha256 and not is_fingerprint(self.rules_sha256):
            raise ValueError("rules_sha256 is not 64 lower-case hex digits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """One relation of relations.toml. Approved when ``approved_by`` and ``approved_on`` (ISO day) are set.

    ``other_rulers``: why it holds although markets of different venues are settled by different rulers; "" it
    does not. What is said to be one proposition has one ruler, and nobody can waive that.
    """

    name: str
    kind: RelationKind
    member: tuple[Member, ...]
    exhaustive: bool = False
    approved_by: str = ""
    approved_on: str = ""
    other_rulers: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if self.kind in _PAIRS and len(self.member) != 2:
            raise ValueError(f"{self.name}: {self.kind.name.lower()} has 2 members, not {len(self.member)}")
        if not 2 <= len(self.member) <= LEGS_MAX:
            raise ValueError(f"{self.name}: {len(self.member)} members, expected 2..{LEGS_MAX}")
        if self.exhaustive and self.kind is not RelationKind.PARTITION:
            raise ValueError(f"{self.name}: only a partition can be exhaustive")
        if len({(member.venue, member.symbol) for member in self.member}) != len(self.member):
            raise ValueError(f"{self.name}: a market is a member twice")
        if bool(self.approved_by) != bool(self.approved_on):
            raise ValueError(f"{self.name}: approved_by and approved_on go together")
        if self.other_rulers and self.kind in _ONE_RULER:
            raise ValueError(f"{self.name}: other_rulers: {self.kind.name.lower()} has one ruler, always")
        if self.approved_on:
            date.fromisoformat(self.approved_on)

    @property
    def needs_one_ruler(self) -> bool:
        """Whether one ruler has to settle its members: one proposition, or several venues and no waiver."""
        if self.kind in _ONE_RULER:
            return True
        return len({member.venue for member in self.member}) > 1 and not self.other_rulers.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationBook:
    """The content of relations.toml; names are unique."""

    relation: tuple[Relation, ...] = ()

    def __post_init__(self) -> None:
        if len(self.relation) > RELATIONS_MAX:
            raise ValueError(f"{len(self.relation)} relations, at most {RELATIONS_MAX}")
        seen: set[str] = set()
        for relation in self.relation:
            if relation.name in seen:
                raise ValueError(f"relation {relation.name} stands twice")
            seen.add(relation.name)

    @classmethod
    def from_tree(cls, tree: Mapping[str, object], source: str) -> RelationBook:
        """Relations of a parsed file; ConfigError naming file and key."""
        return typed_tree.build(cls, tree, source)


class Accepted(NamedTuple):
    """An approved relation and the references of its members, in order."""

    relation: Relation
    members: tuple[MarketRef, ...]


class Refused(NamedTuple):
    """A relation that no strategy may see, and why; ``detail`` names the member at fault."""

    relation: Relation
    reason: Reason
    detail: str


class Screened(NamedTuple):
    """Outcome of ``screen``."""

    accepted: tuple[Accepted, ...]
    refused: tuple[Refused, ...]


def screen(relations: Sequence[Relation], catalog: Catalog) -> Screened:
    """Part ``relations`` into those that may reach a strategy and those that may not.

    In this order: RELATION_UNAPPROVED, UNKNOWN_MARKET (a member is not in the catalog), RELATION_STALE_RULES
    (its rule text is absent or not the one that was read), RELATION_OTHER_RULER (two markets that are said to
    be one proposition, or markets of different venues in any relation that does not waive it, are settled by
    different sources, or at different stations; what nobody names is not held against them). Must run again
    whenever ``catalog.version`` changes.
    """
    accepted: list[Accepted] = []
    refused: list[Refused] = []
    for relation in relations:
        reason, detail = _objection(relation, catalog)
        if reason is Reason.NONE:
            found = (catalog.find(member.venue, member.symbol) for member in relation.member)
            accepted.append(Accepted(relation, tuple(ref for ref in found if ref is not None)))
        else:
            refused.append(Refused(relation, reason, detail))
    return Screened(tuple(accepted), tuple(refused))


def _objection(relation: Relation, catalog: Catalog) -> tuple[Reason, str]:
    if not relation.approved_by:
        return Reason.RELATION_UNAPPROVED, "nobody has approved it"
    for member in relation.member:
        ref = catalog.find(member.venue, member.symbol)
        place = f"{member.venue.name.lower()}:{member.symbol}"
        if ref is None:
            return Reason.UNKNOWN_MARKET, f"{place} is not in the catalog"
        now = fingerprint(catalog.spec(ref.slot).rules_text)
        if not now:
            return Reason.RELATION_STALE_RULES, f"{place} has no rule text to compare"
        if now != member.rules_sha256:
            return Reason.RELATION_STALE_RULES, f"the rules of {place} are not those that were approved"
    return _objection_to_rulers(relation, catalog) if relation.needs_one_ruler else (Reason.NONE, "")


def _objection_to_rulers(relation: Relation, catalog: Catalog) -> tuple[Reason, str]:
    """Whatever was approved: equal words measured by two thermometers are two propositions."""
    specs = [catalog.spec(catalog.symbols[member.venue, member.symbol]) for member in relation.member]
    for rulers in zip(*map(_rulers, relation.member, specs), strict=True):
        if len({ruler for ruler in rulers if ruler}) > 1:
            said = (
                f"{spec.venue.name.lower()}:{spec.symbol} by {ruler}"
                for spec, ruler in zip(specs, rulers, strict=True)
            )
            return Reason.RELATION_OTHER_RULER, f"settled {', '.join(said)}"
    return Reason.NONE, ""


def _rulers(member: Member, spec: MarketSpec) -> tuple[str, str]:
    """Source and station that decide a market; "" where neither the rules nor the relation name one."""
    found = read_proposition(spec)
    return found.source or normalised(member.ruler), found.station


class RelationTable:
    """Accepted relations as arrays for kernels. The number of a relation is its row.

    ``rows``: RELATION_ROW. ``members``: RELATION_MEMBER, those of one relation together, in order.
    ``touching[touching_from[slot]:touching_from[slot + 1]]``: relations that a change in ``slot`` concerns.
    """

    def __init__(self, accepted: Sequence[Accepted], catalog: Catalog) -> None:
        total = sum(len(entry.members) for entry in accepted)
        self.names = tuple(entry.relation.name for entry in accepted)
        self.version = catalog.version
        self.rows: Rows = np.zeros(len(accepted), RELATION_ROW)
        self.members: Rows = np.zeros(total, RELATION_MEMBER)
        self.touching_from: Indices = np.zeros(catalog.capacity + 1, np.int32)
        self.touching: Indices = np.zeros(total, np.int32)
        position = 0
        for number, entry in enumerate(accepted):
            row = self.rows[number]
            row["first_member"] = position
            row["n_members"] = len(entry.members)
            row["kind"] = entry.relation.kind
            row["exhaustive"] = entry.relation.exhaustive
            for ref, member in zip(entry.members, entry.relation.member, strict=True):
                self.members[position] = (ref.slot, ref.generation, number, member.venue, (0, 0, 0))
                position += 1
        self._index()

    def _index(self) -> None:
        """Sort the relations by the slots that touch them."""
        order = np.argsort(self.members["slot"], kind="stable")
        self.touching[:] = self.members["relation"][order]
        counts = np.bincount(self.members["slot"], minlength=len(self.touching_from) - 1)
        self.touching_from[1:] = np.cumsum(counts)

    def __len__(self) -> int:
        """Relations in the table."""
        return len(self.rows)
