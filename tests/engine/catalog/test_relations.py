from __future__ import annotations

from dataclasses import replace

import pytest

from engine.catalog.catalog import Catalog
from engine.catalog.relations import (
    Member,
    Relation,
    RelationBook,
    RelationKind,
    RelationTable,
    screen,
)
from engine.catalog.rules import fingerprint
from engine.errors import ConfigError
from engine.reasons import Reason
from engine.records import Venue
from tests.engine.catalog.specs import market

RULES = "Resolves YES if it rains in Oslo."
SYMBOLS = ("a", "b", "c", "d")


def member(symbol: str, rules: str = RULES, venue: Venue = Venue.KALSHI) -> Member:
    return Member(venue=venue, symbol=symbol, rules_sha256=fingerprint(rules))


def relation(name: str, *symbols: str, kind: RelationKind = RelationKind.SAME, **more: object) -> Relation:
    approved = {"approved_by": "reader", "approved_on": "2026-09-01"} | more
    members = tuple(member(symbol) for symbol in symbols)
    return Relation(name=name, kind=kind, member=members, **approved)  # type: ignore[arg-type]


@pytest.fixture
def catalog() -> Catalog:
    held = Catalog(8)
    for symbol in SYMBOLS:
        held.add_market(market(symbol, rules_text=RULES))
    return held


def test_an_approved_relation_with_unchanged_rules_passes(catalog: Catalog) -> None:
    screened = screen([relation("r", "a", "b")], catalog)
    assert screened.refused == ()
    assert [entry.relation.name for entry in screened.accepted] == ["r"]
    assert screened.accepted[0].members == (catalog.ref(0), catalog.ref(1))


def test_nobody_approved_it(catalog: Catalog) -> None:
    (refused,) = screen([relation("r", "a", "b", approved_by="", approved_on="")], catalog).refused
    assert (refused.reason, refused.detail) == (Reason.RELATION_UNAPPROVED, "nobody has approved it")


def test_a_member_that_is_not_here(catalog: Catalog) -> None:
    (refused,) = screen([relation("r", "a", "z")], catalog).refused
    assert (refused.reason, refused.detail) == (Reason.UNKNOWN_MARKET, "kalshi:z is not in the catalog")


def test_rules_that_changed_since(catalog: Catalog) -> None:
    assert screen([relation("r", "a", "b")], catalog).accepted
    catalog.update_market(1, replace(catalog.spec(1), rules_text=RULES + " Or snows."))
    (refused,) = screen([relation("r", "a", "b")], catalog).refused
    assert refused.reason is Reason.RELATION_STALE_RULES
    assert refused.detail == "the rules of kalshi:b are not those that were approved"


def test_rules_reworded_without_meaning_are_the_same(catalog: Catalog) -> None:
    catalog.update_market(1, replace(catalog.spec(1), rules_text=RULES.upper() + "\n"))
    assert screen([relation("r", "a", "b")], catalog).accepted


def test_an_approval_without_fingerprints_approves_nothing(catalog: Catalog) -> None:
    blank = replace(relation("r", "a", "b"), member=(member("a"), Member(venue=Venue.KALSHI, symbol="b")))
    (refused,) = screen([blank], catalog).refused
    assert refused.reason is Reason.RELATION_STALE_RULES


def test_a_market_without_rule_text_matches_no_approval(catalog: Catalog) -> None:
    catalog.update_market(0, replace(catalog.spec(0), rules_text=" "))
    blank = replace(relation("r", "a", "b"), member=(Member(venue=Venue.KALSHI, symbol="a"), member("b")))
    (refused,) = screen([blank], catalog).refused
    assert refused.detail == "kalshi:a has no rule text to compare"


NWS = "Settles by the National Weather Service, as recorded at the Central Park station."
PAGE = "Settles by Wunderground, as recorded at the LaGuardia station."
ELSEWHERE = "Settles by the National Weather Service, as recorded at the LaGuardia station."
KINDS = RelationKind.SAME, RelationKind.COMPLEMENT


def ruled(
    texts: tuple[str, str], rulers: tuple[str, str] = ("", ""), kind: RelationKind = RelationKind.SAME
) -> list[Reason]:
    """Why an approved relation between markets of two rule texts is refused; empty when it is not."""
    held = Catalog(8)
    for symbol, text in zip("ab", texts, strict=True):
        held.add_market(market(symbol, rules_text=text))
    members = tuple(
        replace(member(symbol, text), ruler=ruler)
        for symbol, text, ruler in zip("ab", texts, rulers, strict=True)
    )
    return [
        entry.reason
        for entry in screen([replace(relation("r", "a", "b", kind=kind), member=members)], held).refused
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("texts", [(NWS, PAGE), (PAGE, NWS), (NWS, ELSEWHERE)])
def test_different_rulers_are_refused_whoever_approved(kind: RelationKind, texts: tuple[str, str]) -> None:
    assert ruled(texts, kind=kind) == [Reason.RELATION_OTHER_RULER]


@pytest.mark.parametrize("kind", [kind for kind in RelationKind if kind not in KINDS])
def test_what_joins_different_questions_of_a_venue_may_have_different_rulers(kind: RelationKind) -> None:
    assert ruled((NWS, PAGE), kind=kind) == []


OTHER_KINDS = [kind for kind in RelationKind if kind not in KINDS]


def across(kind: RelationKind, texts: tuple[str, str], other_rulers: str = "") -> list[Reason]:
    """Why an approved relation between a market of each venue is refused; empty when it is not."""
    held = Catalog(8)
    for symbol, venue, text in zip("ab", Venue, texts, strict=True):
        held.add_market(market(symbol, venue, rules_text=text))
    members = tuple(
        replace(member(symbol, text), venue=venue)
        for symbol, venue, text in zip("ab", Venue, texts, strict=True)
    )
    made = replace(relation("r", "a", "b", kind=kind), member=members, other_rulers=other_rulers)
    return [entry.reason for entry in screen([made], held).refused]


@pytest.mark.parametrize("kind", OTHER_KINDS)
@pytest.mark.parametrize("texts", [(NWS, PAGE), (NWS, ELSEWHERE)])
def test_across_venues_every_kind_needs_one_ruler_or_says_why_not(
    kind: RelationKind, texts: tuple[str, str]
) -> None:
    assert across(kind, texts) == [Reason.RELATION_OTHER_RULER]
    assert across(kind, texts, " ") == [Reason.RELATION_OTHER_RULER], "blank is no reason"
    assert across(kind, texts, "two degrees of room between them") == []


@pytest.mark.parametrize("kind", OTHER_KINDS)
@pytest.mark.parametrize("texts", [(NWS, NWS), (NWS, RULES), (RULES, RULES)])
def test_across_venues_one_ruler_or_none_named_needs_no_waiver(
    kind: RelationKind, texts: tuple[str, str]
) -> None:
    assert across(kind, texts) == []


@pytest.mark.parametrize("kind", KINDS)
def test_one_proposition_cannot_waive_its_ruler(kind: RelationKind) -> None:
    with pytest.raises(ValueError, match=f"r: other_rulers: {kind.name.lower()} has one ruler, always"):
        replace(relation("r", "a", "b", kind=kind), other_rulers="close enough")


@pytest.mark.parametrize(
    ("texts", "rulers", "refused"),
    [
        ((NWS, NWS), ("", ""), False),
        ((RULES, RULES), ("", ""), False),
        ((NWS, RULES), ("", ""), False),
        ((NWS, RULES), ("", "National  Weather Service"), False),
        ((NWS, RULES), ("", "Wunderground"), True),
        ((RULES, RULES), ("the Met Office", "MeteoSwiss"), True),
        ((RULES, RULES), ("the Met Office", "the met office"), False),
        ((RULES, RULES), ("the Met Office", ""), False),
        ((NWS, PAGE), ("same", "same"), True),
    ],
)
def test_a_ruler_that_nobody_names_is_not_held_against_it(
    texts: tuple[str, str], rulers: tuple[str, str], refused: bool
) -> None:
    assert ruled(texts, rulers) == [Reason.RELATION_OTHER_RULER] * refused


def test_the_refusal_names_both_rulers() -> None:
    held = Catalog(8)
    for symbol, text in (("a", NWS), ("b", PAGE)):
        held.add_market(market(symbol, rules_text=text))
    pair = replace(relation("r", "a", "b"), member=(member("a", NWS), member("b", PAGE)))
    (refused,) = screen([pair], held).refused
    assert refused.detail == "settled kalshi:a by national weather service, kalshi:b by wunderground"


def test_every_relation_ends_on_one_side(catalog: Catalog) -> None:
    relations = [
        relation("1", "a", "b"),
        relation("2", "a", "z"),
        relation("3", "c", "d", approved_by="", approved_on=""),
    ]
    screened = screen(relations, catalog)
    assert [entry.relation.name for entry in screened.accepted] == ["1"]
    assert [entry.relation.name for entry in screened.refused] == ["2", "3"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"member": (member("a"),)}, "same has 2 members, not 1"),
        ({"member": (member("a"), member("b"), member("c"))}, "same has 2 members, not 3"),
        ({"kind": RelationKind.PARTITION, "member": (member("a"),)}, "1 members, expected 2..256"),
        ({"exhaustive": True}, "only a partition can be exhaustive"),
        ({"member": (member("a"), member("a"))}, "a market is a member twice"),
        ({"approved_on": ""}, "approved_by and approved_on go together"),
        ({"approved_on": "yesterday"}, "yesterday"),
    ],
)
def test_a_relation_that_contradicts_itself(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(relation("r", "a", "b"), **change)  # type: ignore[arg-type]


def test_the_same_symbol_at_two_venues_is_two_markets() -> None:
    pair = (member("a"), member("a", venue=Venue.POLYMARKET))
    assert replace(relation("r", "a", "b"), member=pair).member == pair


def tree(**change: object) -> dict[str, object]:
    entry = {
        "name": "r",
        "kind": "implication",
        "approved_by": "reader",
        "approved_on": "2026-09-01",
        "member": [
            {"venue": "kalshi", "symbol": "a", "rules_sha256": fingerprint(RULES)},
            {"venue": "kalshi", "symbol": "b", "rules_sha256": fingerprint(RULES)},
        ],
    }
    return {"relation": [entry | change]}


def test_a_file_is_read(catalog: Catalog) -> None:
    book = RelationBook.from_tree(tree(), "relations.toml")
    assert book.relation[0].kind is RelationKind.IMPLICATION
    assert len(screen(book.relation, catalog).accepted) == 1


def test_an_empty_file_has_no_relations() -> None:
    assert RelationBook.from_tree({}, "relations.toml").relation == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"kind": "equal"},
            r"relations.toml: relation\[0\].kind: expected one of same, complement, partition",
        ),
        ({"aproved_by": "x"}, r"relation\[0\].aproved_by: unknown key \(did you mean approved_by\?\)"),
        ({"member": [{"venue": "kalshi"}]}, r"relation\[0\].member\[0\].symbol: missing"),
        (
            {"member": [{"venue": "kalshi", "symbol": "a", "rules_sha256": "abc"}]},
            r"member\[0\]: rules_sha256",
        ),
        ({"exhaustive": "yes"}, r"relation\[0\].exhaustive: expected true or false"),
        ({"exhaustive": True}, r"relation\[0\]: r: only a partition"),
    ],
)
def test_mistakes_in_a_file_name_their_place(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RelationBook.from_tree(tree(**change), "relations.toml")


def test_a_name_stands_once() -> None:
    with pytest.raises(ValueError, match="relation r stands twice"):
        RelationBook(relation=(relation("r", "a", "b"), relation("r", "c", "d")))


def test_the_table_lays_members_side_by_side(catalog: Catalog) -> None:
    relations = [
        relation("pair", "b", "a"),
        relation("bins", "a", "c", "d", kind=RelationKind.PARTITION, exhaustive=True),
        relation("then", "d", "b", kind=RelationKind.IMPLICATION),
    ]
    table = RelationTable(screen(relations, catalog).accepted, catalog)
    assert len(table) == 3
    assert table.names == ("pair", "bins", "then")
    assert table.version == catalog.version
    assert [tuple(row)[:4] for row in table.rows.tolist()] == [(0, 2, 1, 0), (2, 3, 3, 1), (5, 2, 4, 0)]
    assert table.members["slot"].tolist() == [1, 0, 0, 2, 3, 3, 1]
    assert table.members["relation"].tolist() == [0, 0, 1, 1, 1, 2, 2]
    assert set(table.members["generation"].tolist()) == {1}
    assert set(table.members["venue"].tolist()) == {Venue.KALSHI}


def test_the_table_knows_what_a_change_touches(catalog: Catalog) -> None:
    relations = [
        relation("pair", "b", "a"),
        relation("bins", "a", "c", "d", kind=RelationKind.PARTITION),
        relation("then", "d", "b", kind=RelationKind.IMPLICATION),
    ]
    table = RelationTable(screen(relations, catalog).accepted, catalog)
    touched = [
        table.touching[table.touching_from[slot] : table.touching_from[slot + 1]].tolist()
        for slot in range(catalog.capacity)
    ]
    assert touched == [[0, 1], [0, 2], [1], [1, 2], [], [], [], []]


def test_a_table_of_nothing(catalog: Catalog) -> None:
    table = RelationTable((), catalog)
    assert len(table) == 0
    assert table.touching_from.tolist() == [0] * (catalog.capacity + 1)
