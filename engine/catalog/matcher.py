"""Pairs of markets of two venues that may be the same, and every attribute in which they are not.

The matcher never approves: a pair without a difference becomes an unapproved relation for a person to read.
Two markets on different rulers (station, source, bin edges, units) are shown with the attribute that differs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final, NamedTuple

from engine.catalog.catalog import Catalog
from engine.catalog.market import MarketRef, MarketSpec
from engine.catalog.proposition import WEATHER_SUBJECT, Proposition, read_proposition
from engine.catalog.relations import Member, Relation, RelationKind
from engine.catalog.rules import fingerprint
from engine.records import Venue

CANDIDATES_MAX: Final = 100_000
COMPARED: Final = ("subject", "place", "day", "bounds", "unit", "source", "station")
RULES: Final = "rules"

# What both must state, and state alike. Elsewhere two silences agree.
_STATED: Final[Mapping[bool, frozenset[str]]] = {
    True: frozenset(COMPARED),  # weather: every ruler counts
    False: frozenset({"day", "source"}),
}


class Difference(NamedTuple):
    """One attribute in which two markets differ; "" on a side that does not state it."""

    attribute: str
    left: str
    right: str


class Candidate(NamedTuple):
    """Two markets that speak of the same subject; the same proposition only if nothing differs."""

    left: MarketRef
    right: MarketRef
    differences: tuple[Difference, ...]

    @property
    def may_be_same(self) -> bool:
        """Whether nothing that could be read tells them apart."""
        return not self.differences


class Matched(NamedTuple):
    """Candidates in catalog order; ``refused`` counts those beyond CANDIDATES_MAX."""

    candidates: tuple[Candidate, ...]
    refused: int


class _Entry(NamedTuple):
    ref: MarketRef
    spec: MarketSpec
    proposition: Proposition


def match(catalog: Catalog, left: Venue = Venue.KALSHI, right: Venue = Venue.POLYMARKET) -> Matched:
    """Candidate pairs of two venues: half of their words shared; for weather the same place and day."""
    lefts, rights = _entries(catalog, left), _entries(catalog, right)
    by_word: dict[str, list[int]] = defaultdict(list)
    for number, entry in enumerate(rights):
        for word in entry.proposition.words:
            by_word[word].append(number)
    found: list[Candidate] = []
    refused = 0
    for entry in lefts:
        shared = Counter(number for word in entry.proposition.words for number in by_word.get(word, ()))
        for number in sorted(shared):
            other = rights[number]
            if not _comparable(entry.proposition, other.proposition, shared[number]):
                continue
            if len(found) == CANDIDATES_MAX:
                refused += 1
                continue
            found.append(Candidate(entry.ref, other.ref, compare(entry, other)))
    return Matched(tuple(found), refused)


def compare(left: _Entry, right: _Entry) -> tuple[Difference, ...]:
    """Every attribute in which two markets differ, or which they had to state and did not."""
    a, b = left.proposition, right.proposition
    stated = _STATED[WEATHER_SUBJECT in (a.subject, b.subject)]
    differences = [
        Difference(name, getattr(a, name), getattr(b, name))
        for name in COMPARED
        if _differs(name, a, b) or (name in stated and _is_vague(getattr(a, name)))
    ]
    if not (fingerprint(left.spec.rules_text) and fingerprint(right.spec.rules_text)):
        differences.append(Difference(RULES, left.spec.rules_text, right.spec.rules_text))
    return tuple(differences)


def proposal(candidate: Candidate, catalog: Catalog) -> Relation:
    """Unapproved SAME relation of a candidate, with the fingerprints of the rules as they are now.

    Raises ValueError for a candidate with differences: those are not the same.
    """
    if candidate.differences:
        names = ", ".join(difference.attribute for difference in candidate.differences)
        raise ValueError(f"not the same proposition: {names}")
    specs = [catalog.spec(ref.slot) for ref in (candidate.left, candidate.right)]
    return Relation(
        name=" = ".join(f"{spec.venue.name.lower()}:{spec.symbol}" for spec in specs),
        kind=RelationKind.SAME,
        member=tuple(
            Member(venue=spec.venue, symbol=spec.symbol, rules_sha256=fingerprint(spec.rules_text))
            for spec in specs
        ),
        note="proposed by the matcher; read both rule texts before approving",
    )


def _entries(catalog: Catalog, venue: Venue) -> list[_Entry]:
    slots = [slot for (held, _), slot in catalog.symbols.items() if held is venue]
    events: dict[str, list[str]] = defaultdict(list)
    for slot in slots:
        events[_event(catalog.spec(slot))].append(catalog.spec(slot).symbol)
    entries = []
    for slot in slots:
        spec = catalog.spec(slot)
        entries.append(_Entry(catalog.ref(slot), spec, read_proposition(spec, events[_event(spec)])))
    return entries


def _event(spec: MarketSpec) -> str:
    """Key of the markets of one event; without a group, the ticker up to its strike."""
    return spec.group or spec.symbol.rpartition("-")[0]


def _comparable(a: Proposition, b: Proposition, shared: int) -> bool:
    """Whether two propositions are close enough to be shown at all."""
    if WEATHER_SUBJECT in (a.subject, b.subject):
        return a.subject == b.subject and a.place == b.place and a.day[-5:] == b.day[-5:]
    return 2 * shared >= len(a.words | b.words)


def _is_vague(value: str) -> bool:
    return not value or value.startswith("?")  # nothing, or a day without its year


def _differs(name: str, a: Proposition, b: Proposition) -> bool:
    if name == "subject" and WEATHER_SUBJECT not in (a.subject, b.subject):
        return False  # words were compared by how many are shared
    return bool(getattr(a, name) != getattr(b, name))
