"""Catalog segments between a writer and readers that lag: in private memory and as files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.catalog.catalog import Catalog, MarketFlag
from engine.catalog.market import MarketRef
from engine.errors import ConfigError
from engine.records import Venue
from engine.venues.symbols import SYMBOL_BYTES_MAX
from procs.catalog_agent import CatalogAgent
from procs.catalog_segment import CatalogSegment, CatalogView, MarketNames
from shm.errors import LayoutMismatch, RingRefused, SegmentExists
from shm.table import begin_row, end_row
from tests.engine.catalog.specs import PLAIN, market, member

READERS = ("optimizer", "executor")


class Floor:
    """A catalog of three slots, its agent and its segment."""

    def __init__(self) -> None:
        self.catalog = Catalog(3)
        self.segment = CatalogSegment.create(3, READERS)
        self.agent = CatalogAgent(self.catalog, self.segment)


def test_a_view_is_what_the_catalog_says() -> None:
    floor = Floor()
    view = CatalogView(floor.segment, "optimizer")
    assert not view.refresh()
    floor.catalog.add_market(PLAIN)
    floor.catalog.add_market(member("a", size=2))
    assert floor.agent.do_work(0) == 2
    assert floor.agent.do_work(0) == 0
    assert view.refresh()
    assert not view.refresh()
    assert view.rows.tobytes() == floor.catalog.rows.tobytes()
    assert view.rows.flags.c_contiguous
    floor.catalog.add_market(member("b", size=2))
    assert floor.agent.do_work(0) == 2, "the other one is of an exhaustive group now"
    assert not int(view.rows[1]["flags"]) & MarketFlag.EXHAUSTIVE
    assert view.refresh()
    assert int(view.rows[1]["flags"]) & MarketFlag.EXHAUSTIVE
    assert view.version == floor.catalog.version


def test_what_is_known_beforehand_is_published_at_the_start() -> None:
    floor = Floor()
    ref = floor.catalog.add_market(PLAIN)
    floor.agent.on_start(0)
    assert MarketNames(floor.segment).name(*ref) == "kalshi:M"
    assert floor.agent.do_work(0) == 0


def test_a_slot_rests_until_every_reader_has_confirmed() -> None:
    floor = Floor()
    old = floor.catalog.add_market(market("a"))
    views = [CatalogView(floor.segment, name) for name in READERS]
    floor.agent.do_work(0)
    for view in views:
        view.refresh()
    floor.catalog.remove_market(old.slot)
    for symbol in ("b", "c"):
        floor.catalog.add_market(market(symbol))
    floor.agent.do_work(0)
    views[0].refresh()
    floor.agent.do_work(0)
    with pytest.raises(ConfigError, match="catalog is full: 3 slots, 1 retiring"):
        floor.catalog.add_market(market("d"))
    assert floor.agent.freed == 0
    views[1].refresh()
    floor.agent.do_work(0)
    assert floor.agent.freed == 1
    assert floor.catalog.add_market(market("d")) == MarketRef(old.slot, old.generation + 1)


def test_a_reader_that_has_not_joined_holds_back_and_a_dropped_one_does_not() -> None:
    floor = Floor()
    view = CatalogView(floor.segment, "optimizer")
    floor.catalog.remove_market(floor.catalog.add_market(PLAIN).slot)
    floor.agent.do_work(0)
    view.refresh()
    floor.agent.do_work(0)
    assert floor.agent.freed == 0
    floor.segment.barrier.drop("executor")
    floor.agent.do_work(0)
    assert floor.agent.freed == 1


def test_a_row_that_is_being_written_is_not_confirmed() -> None:
    floor = Floor()
    view = CatalogView(floor.segment, "optimizer")
    floor.catalog.add_market(PLAIN)
    floor.agent.do_work(0)
    begin_row(floor.segment.rows.address, 0)
    assert view.refresh()
    assert (view.version, int(view.rows[0]["generation"])) == (0, 0)
    end_row(floor.segment.rows.address, 0)
    assert view.refresh()
    assert (view.version, int(view.rows[0]["generation"])) == (floor.catalog.version, 1)


def test_readers_are_declared() -> None:
    floor = Floor()
    CatalogView(floor.segment, "optimizer")
    for name in ("optimizer", "monitor"):
        with pytest.raises(RingRefused, match=f"'{name}'"):
            CatalogView(floor.segment, name)


def test_names_of_both_venues_and_of_what_is_gone() -> None:
    floor = Floor()
    names = MarketNames(floor.segment)
    kalshi = floor.catalog.add_market(market("KX-A"))
    tokens = replace(market("0xabc", Venue.POLYMARKET), yes_token="1" * 78, no_token="2" * 78)
    polymarket = floor.catalog.add_market(tokens)
    assert names.name(*kalshi) == "slot:0.1", "not published yet"
    floor.agent.do_work(0)
    assert (names.name(*kalshi), names.name(*polymarket)) == ("kalshi:KX-A", "polymarket:0xabc")
    row = floor.segment.names.rows[polymarket.slot]
    assert (row["yes_token"], row["no_token"]) == (b"1" * 78, b"2" * 78)
    assert names.name(kalshi.slot, 2) == "slot:0.2"
    assert names.name(99, 1) == "slot:99.1"
    floor.catalog.remove_market(kalshi.slot)
    floor.agent.do_work(0)
    assert names.name(*kalshi) == "slot:0.1"


def test_a_symbol_is_never_cut() -> None:
    floor = Floor()
    ref = floor.catalog.add_market(market("x" * SYMBOL_BYTES_MAX))
    floor.agent.do_work(0)
    assert MarketNames(floor.segment).name(*ref) == "kalshi:" + "x" * SYMBOL_BYTES_MAX
    floor.catalog.add_market(market("y" * (SYMBOL_BYTES_MAX + 1)))
    with pytest.raises(ConfigError, match=r"symbol of y+ is longer than 96 bytes"):
        floor.agent.do_work(0)


def test_another_process_attaches(tmp_path: Path) -> None:
    mine = CatalogSegment.create(3, READERS, directory=tmp_path, epoch=6)
    catalog = Catalog(3)
    agent = CatalogAgent(catalog, mine)
    other = CatalogSegment.join(tmp_path)
    view = CatalogView(other, "executor")
    ref = catalog.add_market(PLAIN)
    agent.do_work(0)
    assert view.refresh()
    assert view.rows.tobytes() == catalog.rows.tobytes()
    assert MarketNames(other).name(*ref) == "kalshi:M"
    assert mine.barrier.passed() == 0, "the optimizer has not joined"
    with pytest.raises(SegmentExists, match="its owner lives"):
        CatalogSegment.join(tmp_path, 7, writes=True)
    mine.release()
    with pytest.raises(LayoutMismatch, match="epoch"):
        CatalogSegment.join(tmp_path, 6, writes=True)


def test_a_writer_that_comes_after_another_goes_on_where_readers_are(tmp_path: Path) -> None:
    first = CatalogSegment.create(3, READERS, directory=tmp_path, epoch=6)
    CatalogAgent(Catalog(3), first).on_start(0)
    view = CatalogView(CatalogSegment.join(tmp_path), "executor")
    first.release()
    second = CatalogSegment.join(tmp_path, 7, writes=True)
    catalog = Catalog(3)
    catalog.add_market(PLAIN)
    CatalogAgent(catalog, second).on_start(0)
    assert view.refresh()
    assert view.rows.tobytes() == catalog.rows.tobytes()


class Churn(RuleBasedStateMachine):
    """Markets come and go under two readers that lag: no reader meets a slot with another market in it."""

    def __init__(self) -> None:
        super().__init__()
        self.floor = Floor()
        self.views = [CatalogView(self.floor.segment, name) for name in READERS]
        self.count = 0
        self.held: set[MarketRef] = set()

    @rule()
    def add(self) -> None:
        self.count += 1
        free = [view.rows["flags"].copy() for view in self.views]
        try:
            ref = self.floor.catalog.add_market(market(f"m{self.count}"))
        except ConfigError:
            return
        self.held.add(ref)
        assert all(not flags[ref.slot] for flags in free), "a reader still holds what was here before"

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        ref = data.draw(st.sampled_from(sorted(self.held)))
        self.floor.catalog.remove_market(ref.slot)
        self.held.remove(ref)

    @rule()
    def publish(self) -> None:
        self.floor.agent.do_work(0)

    @rule(reader=st.integers(0, 1))
    def refresh(self, reader: int) -> None:
        self.views[reader].refresh()

    @invariant()
    def a_view_that_is_up_to_date_is_the_catalog(self) -> None:
        for view in self.views:
            if view.version == self.floor.catalog.version:
                assert view.rows.tobytes() == self.floor.catalog.rows.tobytes()
                assert {
                    MarketRef(slot, int(view.rows[slot]["generation"]))
                    for slot in np.flatnonzero(view.rows["flags"]).tolist()
                } == self.held


TestChurn = Churn.TestCase
