"""A running engine's tables and rings as an observer reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.catalog.catalog import Catalog
from engine.catalog.market import MarketRef
from engine.reasons import Reason
from engine.records import (
    ACCOUNT_ROW,
    BOOK_ROW,
    DECISION,
    POSITION_ROW,
    WIDE_BYTES,
    DecisionStage,
    SignalKind,
    Trust,
    Venue,
)
from procs.catalog_segment import CatalogSegment
from procs.disputes import DISPUTE_ROW
from procs.live_view import LiveView
from procs.operator_refusals import RefusedByState
from shm.ring import RefusingRing
from shm.table import Table
from tests.engine.catalog.specs import market
from tests.procs.served import run_directory

SLOTS = 4
RING_CELLS = 64


class LiveEngine:
    """The tables of a small engine: two markets, a book, a position, decisions."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.catalog = Catalog(SLOTS)
        self.kalshi = self.catalog.add_market(market("KXFED-HOLD", Venue.KALSHI))
        self.poly = self.catalog.add_market(market("0xabc", Venue.POLYMARKET))
        self.segment = CatalogSegment.create(SLOTS, ("optimizer",), directory=directory)
        self.segment.publish(self.catalog, range(SLOTS))
        self.books = {
            venue: Table.create(SLOTS, BOOK_ROW, name=f"books.{venue.name.lower()}", directory=directory)
            for venue in Venue
        }
        self.positions = Table.create(SLOTS, POSITION_ROW, name="positions", directory=directory)
        self.accounts = Table.create(max(Venue) + 1, ACCOUNT_ROW, name="accounts", directory=directory)
        self.disputes = Table.create(SLOTS, DISPUTE_ROW, name="disputes", directory=directory)
        self.ring = RefusingRing.create(
            RING_CELLS, WIDE_BYTES, ("log",), name="decisions.strategy", directory=directory
        )
        self.log = self.ring.reader("log", 0)

    def quote(self, venue: Venue, ref: MarketRef) -> None:
        row = np.zeros(1, BOOK_ROW)
        row["slot"], row["generation"], row["trust"] = *ref, Trust.LIVE
        row["recv_ns"], row["n_bids"], row["n_asks"] = 1_700_000_000_000_000_000, 2, 1
        row["bid_e4"][0, :2], row["bid_size_e6"][0, :2] = (4_000, 3_900), (5_000_000, 1_000_000)
        row["ask_e4"][0, 0], row["ask_size_e6"][0, 0] = 5_000, 2_500_000
        self.books[venue].write(ref.slot, row)

    def hold(self, ref: MarketRef, yes_e6: int) -> None:
        row = np.zeros(1, POSITION_ROW)
        row["slot"], row["generation"] = ref
        row["yes_e6"], row["cost_yes_micros"], row["realised_micros"] = yes_e6, 1_200_000, -50_000
        self.positions.write(ref.slot, row)

    def dispute(self, ref: MarketRef, stated_micros: int, expected_micros: int) -> None:
        row = np.zeros(1, DISPUTE_ROW)
        row[0] = (*ref, stated_micros, expected_micros)
        self.disputes.write(ref.slot, row)

    def decide(self, reason: Reason, times: int) -> None:
        decision = np.zeros(1, DECISION)
        decision["stage"], decision["kind"] = DecisionStage.STRATEGY, SignalKind.CROSS_VENUE
        decision["reason"] = reason
        for _ in range(times):
            while not self.ring.publish(decision):
                self.log.poll()


@pytest.fixture
def live() -> Iterator[LiveEngine]:
    with run_directory() as directory:
        yield LiveEngine(directory)


def test_markets_are_those_of_the_catalog(live: LiveEngine) -> None:
    view = LiveView(live.directory)
    assert [found.name for found in view.markets()] == ["kalshi:KXFED-HOLD", "polymarket:0xabc"]
    live.catalog.remove_market(live.kalshi.slot)
    live.segment.publish(live.catalog, range(SLOTS))
    assert [found.slot for found in view.markets()] == [live.poly.slot]


def test_a_book_is_that_of_its_generation(live: LiveEngine) -> None:
    view = LiveView(live.directory)
    kalshi, poly = view.markets()
    assert view.book(kalshi) is None
    live.quote(Venue.KALSHI, live.kalshi)
    row = view.book(kalshi)
    assert row is not None
    assert row["bid_e4"][:2].tolist() == [4_000, 3_900]
    live.quote(Venue.POLYMARKET, MarketRef(live.poly.slot, live.poly.generation + 1))
    assert view.book(poly) is None, "of the market that has the slot now"


def test_disputes_are_those_that_were_written(live: LiveEngine) -> None:
    view = LiveView(live.directory)
    assert list(view.disputes()) == []
    live.dispute(live.poly, 31, 30)
    [(name, row)] = view.disputes()
    assert (name, int(row["stated_micros"]), int(row["expected_micros"])) == ("polymarket:0xabc", 31, 30)


def test_positions_and_accounts_are_those_that_were_written(live: LiveEngine) -> None:
    view = LiveView(live.directory)
    assert list(view.positions()) == []
    assert list(view.accounts()) == []
    live.hold(live.poly, 3_000_000)
    live.hold(MarketRef(3, 9), 1)
    live.accounts.write(Venue.KALSHI, np.array([(7_000_000, 20_000)], ACCOUNT_ROW))
    assert [(name, int(row["yes_e6"])) for name, row in view.positions()] == [
        ("polymarket:0xabc", 3_000_000),
        ("slot:3.9", 1),
    ]
    assert [(venue, int(row["cash_micros"])) for venue, row in view.accounts()] == [(Venue.KALSHI, 7_000_000)]


def test_the_funnel_is_of_what_the_rings_hold(live: LiveEngine) -> None:
    view = LiveView(live.directory)
    assert view.funnel()[0].counts == {}
    live.decide(Reason.NO_EDGE, 3)
    live.decide(Reason.NONE, 1)
    funnel, before = view.funnel()
    assert (funnel.total("strategy"), before) == (4, 0)
    assert funnel.counts["strategy", "cross_venue", "no_edge"] == 3
    live.decide(Reason.NO_EDGE, 200)
    funnel, before = view.funnel()
    assert funnel.total("strategy") + before == 204
    assert 0 < funnel.total("strategy") <= RING_CELLS
    assert live.ring.refusals["fenced"] == 0
    assert view.funnel()[1] == before, "nobody waited for us"


def test_where_no_engine_is_it_says_so(tmp_path: Path) -> None:
    view = LiveView(tmp_path)
    reads = (view.markets, lambda: list(view.positions()), lambda: list(view.accounts()), view.funnel)
    for read in reads:
        with pytest.raises(RefusedByState, match=r"no engine runs here \(no [a-z.]+\)"):
            read()
