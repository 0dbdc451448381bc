from __future__ import annotations

from dataclasses import replace

from engine.execution.naming import MarketNames
from engine.ledger.journal import EntryKind
from tests.engine.execution.floor import FoldingJournal
from tests.engine.sim.world import KALSHI, POLY, catalog_of, neg_risk


def named(journal: FoldingJournal) -> list[tuple[int, str]]:
    return [(int(row["slot"]), bytes(row["symbol"]).decode()) for row in journal.of(EntryKind.MARKET)]


def test_each_market_is_named_once() -> None:
    catalog, journal = catalog_of(POLY, KALSHI), FoldingJournal()
    names = MarketNames(catalog, journal)
    names.name([0])
    assert names.knows([0])
    assert not names.knows([1, 0])
    names.name([1, 0])
    names.name([0])
    assert named(journal) == [(0, POLY.symbol), (1, KALSHI.symbol)]


def test_what_an_earlier_run_has_named_is_not_named_again() -> None:
    catalog, journal = catalog_of(POLY, KALSHI), FoldingJournal()
    names = MarketNames(catalog, journal)
    names.restore([(1, 0, 1)])
    names.name([0, 1])
    assert named(journal) == [(1, KALSHI.symbol)]


def test_a_group_is_named_whole_and_again_when_it_has_grown() -> None:
    specs = [neg_risk(name) for name in "abc"]
    catalog, journal = catalog_of(*specs), FoldingJournal()
    names = MarketNames(catalog, journal)
    names.name([1])
    assert [slot for slot, _ in named(journal)] == [0, 1, 2]
    catalog.remove_market(2)
    catalog.add_market(replace(specs[2], symbol="another"))  # in the same slot
    names.name([1])
    assert named(journal)[3:] == [(2, "another")]
    assert int(journal.of(EntryKind.MARKET)[3]["generation"]) == 2
    names.name([1])
    assert len(named(journal)) == 4
