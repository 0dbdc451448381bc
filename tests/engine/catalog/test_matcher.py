from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from engine.catalog import matcher
from engine.catalog.catalog import Catalog
from engine.catalog.defaults import day_ns
from engine.catalog.market import MarketRef, MarketSpec
from engine.catalog.matcher import Candidate, Difference, match, proposal
from engine.catalog.relations import Member, Relation, RelationKind, screen
from engine.catalog.rules import fingerprint
from engine.reasons import Reason
from engine.records import Venue
from tests.engine.catalog.specs import market

RULES = "Resolves YES if the Federal Reserve cuts its target rate at the September 17, 2026 meeting."
TITLE = "Will the Fed cut rates on September 17, 2026?"


def pair(**changed: object) -> Catalog:
    """The same proposition at both venues, but for what is changed at Polymarket."""
    catalog = Catalog(8)
    catalog.add_market(market("KXFED-26SEP17-CUT", rules_text=RULES, title=TITLE))
    other = market("0xfed", Venue.POLYMARKET, rules_text=RULES, title=TITLE)
    catalog.add_market(replace(other, **changed))  # type: ignore[arg-type]
    return catalog


def only(catalog: Catalog) -> Candidate:
    (candidate,) = match(catalog).candidates
    return candidate


def names(candidate: Candidate) -> set[str]:
    return {difference.attribute for difference in candidate.differences}


def test_nothing_that_can_be_read_tells_them_apart() -> None:
    candidate = only(pair())
    assert candidate.may_be_same
    assert (candidate.left, candidate.right) == (MarketRef(0, 1), MarketRef(1, 1))


def test_a_proposal_is_not_an_approval() -> None:
    catalog = pair()
    relation = proposal(only(catalog), catalog)
    assert (relation.approved_by, relation.approved_on) == ("", "")
    assert relation.name == "kalshi:KXFED-26SEP17-CUT = polymarket:0xfed"
    assert [member.rules_sha256 for member in relation.member] == [fingerprint(RULES)] * 2
    (refused,) = screen([relation], catalog).refused
    assert refused.reason is Reason.RELATION_UNAPPROVED
    read = replace(relation, approved_by="reader", approved_on="2026-09-01")
    assert screen([read], catalog).accepted


@pytest.mark.parametrize(
    ("changed", "attribute"),
    [
        ({"title": "Will the Fed cut rates on September 18, 2026?"}, "day"),
        ({"title": "Will the Fed cut rates on September 17?"}, "day"),  # which year?
        ({"title": "Will the Fed cut rates above 25 on September 17, 2026?"}, "bounds"),
        ({"rules_text": "Resolves by Associated Press reports."}, "source"),
        ({"rules_text": "Resolves as everyone knows."}, "source"),
        ({"rules_text": ""}, "rules"),
    ],
)
def test_what_differs_is_named(changed: dict[str, object], attribute: str) -> None:
    catalog = pair(**changed)
    candidate = only(catalog)
    assert attribute in names(candidate)
    with pytest.raises(ValueError, match=f"not the same proposition: .*{attribute}"):
        proposal(candidate, catalog)


def test_a_year_that_neither_states_is_a_difference() -> None:
    catalog = Catalog(2)
    for venue in Venue:
        catalog.add_market(market("KXFED", venue, RULES, "Will the Fed cut rates on September 17?"))
    (difference,) = only(catalog).differences
    assert difference == Difference("day", "?-09-17", "?-09-17")


def test_different_subjects_are_not_shown() -> None:
    assert match(pair(title="Will Portugal win the final on September 17, 2026?")).candidates == ()


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Will the Fed cut rates twice on September 17, 2026?", True),  # three of four words
        ("Fed cut, hike on September 17, 2026?", True),  # two of four
        ("Fed cut, hike, pause on September 17, 2026?", False),  # two of five
    ],
)
def test_half_of_the_words_are_shared(title: str, shown: bool) -> None:
    assert bool(match(pair(title=title)).candidates) is shown


@pytest.mark.parametrize(
    ("question", "shown"),
    [
        ("Will the highest temperature in Los Angeles be between 74-75°F on August 8?", 1),
        ("Will the highest temperature in Austin be between 74-75°F on August 8?", 0),
        ("Will the highest temperature in Los Angeles be between 74-75°F on August 9?", 0),
    ],
)
def test_weather_is_compared_within_one_place_and_day(question: str, shown: int) -> None:
    catalog = Catalog(2)
    catalog.add_market(market("KXHIGHLAX-26AUG08-B74.5"))
    catalog.add_market(market("0xla", Venue.POLYMARKET, title=question))
    assert len(match(catalog).candidates) == shown


def test_candidates_are_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher, "CANDIDATES_MAX", 1)
    catalog = pair()
    catalog.add_market(market("0xother", Venue.POLYMARKET, RULES, TITLE))
    matched = match(catalog)
    assert (len(matched.candidates), matched.refused) == (1, 1)


def test_equal_bins_on_different_thermometers() -> None:
    catalog = Catalog(8)
    rules = "Highest temperature recorded at the Los Angeles Airport Station. Source: {}."
    catalog.add_market(
        market(
            "KXHIGHLAX-26AUG08-B74.5",
            rules_text=rules.format("National Weather Service climatological report"),
        )
    )
    question = "Will the highest temperature in Los Angeles be between 74-75°F on August 8?"
    polymarket = market("0xla", Venue.POLYMARKET, rules.format("Wunderground"), question)
    catalog.add_market(replace(polymarket, close_ns=day_ns("2026-08-08")))
    (difference,) = only(catalog).differences
    assert difference == Difference("source", "national weather service", "wunderground")


def test_equal_numbers_in_different_units() -> None:
    catalog = Catalog(8)
    for venue, unit in ((Venue.KALSHI, "F"), (Venue.POLYMARKET, "C")):
        title = f"Will the highest temperature in Munich be between 31-32°{unit} on June 22?"
        rules = "Highest temperature recorded at the Munich Airport Station. Source: Wunderground."
        catalog.add_market(replace(market("m", venue, rules, title), close_ns=day_ns("2026-06-22")))
    (difference,) = only(catalog).differences
    assert difference == Difference("unit", "f", "c")


def weather_rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open("rb") as raw:
        text = zstandard.ZstdDecompressor().stream_reader(raw).read().decode()
    return iter(csv.DictReader(io.StringIO(text)))


def weather_spec(row: dict[str, str]) -> MarketSpec:
    if "ticker" in row:
        return market(row["ticker"])
    spec = market(row["condition_id"], Venue.POLYMARKET, title=row["question"])
    return replace(spec, close_ns=day_ns(row["end_date_iso"]))


@pytest.fixture(scope="module")
def weather(shared_data: Path) -> Catalog:
    """Every market of the recorded weather books of both venues."""
    catalog = Catalog(1_024)
    for path in sorted((shared_data / "cross_venue" / "weather_books").glob("*.csv.zst")):
        for row in weather_rows(path):
            spec = weather_spec(row)
            if catalog.find(spec.venue, spec.symbol) is None:
                catalog.add_market(spec)
    return catalog


@pytest.mark.shared_data
def test_recorded_weather_markets_are_shown_and_never_the_same(weather: Catalog) -> None:
    """Four cities, six days: each pair of bins of one city and day, with what differs."""
    matched = match(weather)
    assert len(weather) == 432
    assert (len(matched.candidates), matched.refused) == (1_584, 0)
    assert not any(candidate.may_be_same for candidate in matched.candidates)
    by_names = Counter(frozenset(names(candidate)) for candidate in matched.candidates)
    assert by_names == {
        frozenset({"bounds", "source", "station", "rules"}): 1_535,
        frozenset({"source", "station", "rules"}): 49,  # equal bins: only the ruler differs
    }


@pytest.mark.shared_data
def test_recorded_weather_markets_with_assumed_rules_still_differ_by_source(weather: Catalog) -> None:
    """Even if somebody filled in rule texts, the source keeps the equal bins apart."""
    for (venue, _), slot in weather.symbols.items():
        text = (
            "Wunderground" if venue is Venue.POLYMARKET else "National Weather Service climatological report"
        )
        rules = f"Highest temperature recorded at the Airport Station. Source: {text}."
        weather.update_market(slot, replace(weather.spec(slot), rules_text=rules))
    candidates = match(weather).candidates
    assert all("source" in names(candidate) for candidate in candidates)
    assert sum(names(candidate) == {"source"} for candidate in candidates) == 49


@pytest.mark.shared_data
def test_no_approval_joins_recorded_weather_markets(weather: Catalog) -> None:
    """The files have no rule text, so nothing that somebody claims to have read can be its fingerprint."""
    claimed: list[Relation] = []
    for candidate in match(weather).candidates:
        members = [
            Member(venue=spec.venue, symbol=spec.symbol, rules_sha256=fingerprint(RULES))
            for spec in (weather.spec(ref.slot) for ref in (candidate.left, candidate.right))
        ]
        claimed.append(
            Relation(
                name=f"{len(claimed)}",
                kind=RelationKind.SAME,
                member=tuple(members),
                approved_by="somebody",
                approved_on="2026-08-08",
            )
        )
    screened = screen(claimed, weather)
    assert screened.accepted == ()
    assert {refused.reason for refused in screened.refused} == {Reason.RELATION_STALE_RULES}
    assert len(screened.refused) == 1_584
