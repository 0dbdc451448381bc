from __future__ import annotations

import numpy as np

from engine.book.store import BookStore
from engine.catalog.catalog import Catalog
from engine.records import (
    BOOK_UPDATE,
    ORDER_REQUEST,
    VENUE_REPORT,
    Direction,
    MarketState,
    Outcome,
    ReportKind,
    RequestKind,
    Side,
    TimeInForce,
    UpdateFlag,
    UpdateKind,
    Venue,
)
from engine.sim.clearing import SettlementTimes
from engine.sim.latency import LatencyModel, Lognormal, Route
from engine.sim.session.scenario import market
from engine.sim.venue import SimVenue
from engine.units import NS_PER_MS, NS_PER_S
from procs.inline import InlineRunner, VirtualClock
from procs.lost_books import COMPARE_NS_MAX, LostBooks
from procs.sim_venue import SimVenueAgent, StoreBook
from procs.wires import UPDATE_CELLS, Wires, publish_each
from shm.ring import Records

NOW = 1_793_534_400 * NS_PER_S
CONTRACT = 1_000_000
SETTLE_NS = 60 * NS_PER_S


class Floor:
    """A simulated Kalshi with one market: 100 offered at 0.50, bid 0.48 x 100."""

    def __init__(self) -> None:
        self.catalog = Catalog(2)
        self.ref = self.catalog.add_market(market("m", Venue.KALSHI, NOW * 2))
        self.wires = Wires.create([Venue.KALSHI], 2)
        store = BookStore(2, 1, 64)
        spec = self.catalog.spec(self.ref.slot)
        store.open_market(self.ref.slot, self.ref.generation, Venue.KALSHI, spec.price_ranges, mirror=True)
        millisecond = Lognormal(NS_PER_MS, NS_PER_MS)
        self.lost = LostBooks(store, self.wires.books[Venue.KALSHI], self.wires.wanted[Venue.KALSHI])
        self.book = StoreBook(store, self.lost)
        sim = SimVenue(
            Venue.KALSHI,
            self.catalog,
            self.book,
            LatencyModel(1, Route(millisecond, millisecond)),
            1,
            cash_micros=1_000_000_000,
            times=SettlementTimes(0, 0, 0, 0),
        )
        self.agent = SimVenueAgent(Venue.KALSHI, sim, self.wires, SETTLE_NS, book=self.book)
        self.reports = self.wires.reports[Venue.KALSHI].reader("executor", 0)
        self.clock = VirtualClock(NOW)
        self.open_book()

    def open_book(self) -> None:
        """A snapshot of it."""
        self.say(
            [
                (UpdateKind.SNAPSHOT_BEGIN, Side.BID, 0, 2),
                (UpdateKind.SNAPSHOT_LEVEL, Side.BID, 4_800, 100 * CONTRACT),
                (UpdateKind.SNAPSHOT_LEVEL, Side.ASK, 5_000, 100 * CONTRACT),
                (UpdateKind.SNAPSHOT_END, Side.BID, 0, 0),
            ]
        )

    def say(self, updates: list[tuple[UpdateKind, Side, int, int]], aux: int = 0) -> None:
        rows = np.zeros(len(updates), BOOK_UPDATE)
        for row, (kind, side, price, size) in zip(rows, updates, strict=True):
            row["kind"], row["side"], row["price_e4"], row["size_e6"] = kind, side, price, size
        rows["slot"], rows["generation"] = self.ref
        rows["venue"], rows["recv_ns"], rows["aux"] = Venue.KALSHI, self.clock.now_ns, aux
        rows["flags"][-1] = UpdateFlag.LAST_OF_FRAME | UpdateFlag.LAST_OF_MARKET
        assert self.wires.updates[Venue.KALSHI].publish(rows)

    def order(self, contracts: int) -> None:
        row = np.zeros(1, ORDER_REQUEST)
        row["order_id"], row["kind"], row["venue"] = 1, RequestKind.NEW, Venue.KALSHI
        row["slot"], row["generation"] = self.ref
        row["direction"], row["outcome"], row["tif"] = Direction.BUY, Outcome.YES, TimeInForce.FAK
        row["price_e4"], row["size_e6"], row["identity"] = 5_000, contracts * CONTRACT, 7
        publish_each(self.wires.requests[Venue.KALSHI], row, "requests")

    def run(self) -> Records:
        InlineRunner([self.agent], self.clock).run()
        n_reports = max(self.reports.poll(), 0)
        return self.reports.records(VENUE_REPORT)[:n_reports].copy()


def test_a_request_is_matched_after_its_way_and_the_reports_come_back() -> None:
    floor = Floor()
    floor.order(30)
    reports = floor.run()
    fills = reports[reports["kind"] == ReportKind.FILLED]
    assert list(fills["fill_size_e6"]) == [30 * CONTRACT]
    assert list(fills["cash_micros"]) == [15_000_000]
    assert int(fills["venue_ns"][0]) == NOW + NS_PER_MS
    assert floor.clock.now_ns == NOW + 2 * NS_PER_MS


def test_a_market_that_settled_pays_later() -> None:
    floor = Floor()
    floor.order(30)
    floor.run()
    floor.say([(UpdateKind.MARKET_STATE, Side.BID, 10_000, 0)], aux=int(MarketState.SETTLED))
    before = floor.agent.sim.cash_micros
    reports = floor.run()
    settled = reports[reports["kind"] == ReportKind.SETTLED]
    assert list(settled["price_e4"]) == [10_000]
    assert floor.agent.sim.cash_micros == before + 30 * CONTRACT
    assert floor.clock.now_ns >= NOW + SETTLE_NS


def test_the_venue_trades_only_on_a_book_it_can_trust() -> None:
    floor = Floor()
    floor.run()
    book = floor.agent.sim._exchange._book
    assert book.is_tradable(floor.ref.slot)
    assert book.levels(floor.ref.slot, Side.ASK) == ([5_000], [100 * CONTRACT])
    floor.say([(UpdateKind.LEVEL_ADD, Side.BID, 5_100, 10 * CONTRACT)])
    floor.run()
    assert not book.is_tradable(floor.ref.slot)


def test_after_a_lap_a_book_that_missed_something_is_wanted_and_not_traded_on() -> None:
    floor = Floor()
    slot, wanted = floor.ref.slot, floor.wires.wanted[Venue.KALSHI].rows["wanted_ns"]
    floor.agent.do_work(NOW)
    assert floor.book.is_tradable(slot)
    for _ in range(UPDATE_CELLS // 1_000 + 1):
        floor.say([(UpdateKind.LEVEL_SET, Side.BID, 4_700, CONTRACT)] * 1_000)
    floor.agent.do_work(NOW + 1)
    assert not floor.book.is_tradable(slot), "whoever was lapped believes nothing until it was compared"
    assert floor.agent.next_due_ns() <= NOW + COMPARE_NS_MAX
    assert wanted[slot] == 0
    floor.agent.do_work(NOW + 1 + COMPARE_NS_MAX)
    assert (int(wanted[slot]), floor.lost.missed) == (NOW + 1 + COMPARE_NS_MAX, 1)
    assert not floor.book.is_tradable(slot)
    floor.clock.advance_to(NOW + 2 * COMPARE_NS_MAX)
    floor.open_book()
    floor.agent.do_work(NOW + 2 * COMPARE_NS_MAX)
    assert floor.book.is_tradable(slot)
