from __future__ import annotations

import io

import numpy as np
import pytest

from engine.catalog.catalog import Catalog
from engine.ledger.journal import LAYOUTS, EntryKind, Journal, read_journal
from engine.ledger.ledger import Ledger
from engine.reasons import Reason
from engine.records import (
    ACCOUNT_ROW,
    BOOK_ROW,
    ORDER_EVENT,
    ORDER_REQUEST,
    POSITION_ROW,
    VENUE_REPORT,
    Direction,
    Outcome,
    ReportKind,
    RequestKind,
    Trust,
    Venue,
)
from engine.risk.gate import Gate
from engine.risk.limits import gate_limits
from engine.sim.session.scenario import market
from engine.units import NS_PER_DAY, NS_PER_S
from procs.config_files import load_config
from procs.control_words import ControlWords, Word
from procs.desk import MARK_EVERY_NS, Desk, FreshGate
from procs.halt import HaltFollower
from procs.view import BookView
from procs.wires import Wires

CASH = 10_000_000_000
NOW = 1_793_534_400 * NS_PER_S
CONTRACT = 1_000_000


class Bench:
    """A desk over one Polymarket market with a live book: bid 0.48 x 100, ask 0.50 x 100."""

    def __init__(self) -> None:
        config = load_config()
        self.catalog = Catalog(4)
        self.ref = self.catalog.add_market(market("m", Venue.POLYMARKET, NOW * 2))
        self.wires = Wires.create(list(Venue), 4)
        self.view = BookView(self.wires.books, 4)
        venues = {Venue.POLYMARKET: config.venues.polymarket, Venue.KALSHI: config.venues.kalshi}
        self.gate = Gate(gate_limits(config.risk, venues), self.catalog.rows, self.view.rows)
        self.file = io.BytesIO()
        self.desk = Desk(Journal(self.file, lambda: None), self.gate, self.view, self.wires)
        self.desk.open({Venue.POLYMARKET: CASH, Venue.KALSHI: CASH}, NOW)
        self.quote(bid_e4=4_800)

    def quote(self, bid_e4: int, trust: Trust = Trust.LIVE) -> None:
        rows = np.zeros(1, BOOK_ROW)
        rows["slot"], rows["generation"] = self.ref
        rows["trust"], rows["recv_ns"], rows["epoch"] = trust, NOW, 3
        rows["n_bids"], rows["n_asks"] = 1, 1
        rows["bid_e4"][0, 0], rows["ask_e4"][0, 0] = bid_e4, 5_000
        rows["bid_size_e6"][0, 0] = rows["ask_size_e6"][0, 0] = 100 * CONTRACT
        self.wires.books[Venue.POLYMARKET].write(self.ref.slot, rows)

    def bought(self, contracts: int, cash: int, fee: int = 0, trade_id: int = 1) -> np.void:
        report: np.void = np.zeros(1, VENUE_REPORT)[0]
        report["kind"], report["venue"] = ReportKind.FILLED, Venue.POLYMARKET
        report["slot"], report["generation"] = self.ref
        report["direction"], report["outcome"] = Direction.BUY, Outcome.YES
        report["fill_size_e6"], report["cash_micros"] = contracts * CONTRACT, cash
        report["fee_micros"], report["trade_id"], report["order_id"] = fee, trade_id, 1
        return report


def test_a_report_is_journaled_then_moves_ledger_gate_and_tables() -> None:
    bench = Bench()
    seen: list[int] = []
    bench.desk.watch = lambda report: seen.append(int(report["trade_id"]))
    bench.desk.append(EntryKind.REPORT, bench.bought(100, 50_000_000, fee=1_000_000))
    kinds = [entry.kind for entry in read_journal(bench.file.getvalue())]
    assert kinds == [EntryKind.OPENING, EntryKind.OPENING, EntryKind.REPORT]
    assert seen == [1]
    cash = CASH - 51_000_000
    assert bench.desk.ledger.cash_micros(Venue.POLYMARKET) == cash
    assert int(bench.gate.state["cash_micros"][Venue.POLYMARKET]) == cash
    assert int(bench.gate.markets[bench.ref.slot]["held_e6"][0]) == 100 * CONTRACT
    position, account = np.zeros(1, POSITION_ROW), np.zeros(1, ACCOUNT_ROW)
    assert bench.wires.positions.read(bench.ref.slot, position)
    assert bench.wires.accounts.read(int(Venue.POLYMARKET), account)
    assert int(position["yes_e6"][0]) == 100 * CONTRACT
    assert int(position["cost_yes_micros"][0]) == 50_000_000
    assert (int(account["cash_micros"][0]), int(account["fees_micros"][0])) == (cash, 1_000_000)


@pytest.mark.parametrize("kind", [ReportKind.ACKED, ReportKind.UNKNOWN, ReportKind.CONFIRMED])
def test_a_report_that_moves_nothing_is_journaled_all_the_same(kind: ReportKind) -> None:
    bench = Bench()
    report = bench.bought(100, 50_000_000)
    report["kind"] = kind
    bench.desk.append(EntryKind.REPORT, report)
    assert len(list(read_journal(bench.file.getvalue()))) == 3
    assert bench.desk.ledger.cash_micros(Venue.POLYMARKET) == CASH


def test_the_journal_alone_gives_the_accounts() -> None:
    bench = Bench()
    for trade in range(1, 4):
        bench.desk.append(EntryKind.REPORT, bench.bought(10, 5_000_000, fee=7, trade_id=trade))
    again = Ledger()
    again.replay(read_journal(bench.file.getvalue()))
    assert again.accounts == bench.desk.ledger.accounts
    assert again.positions == bench.desk.ledger.positions


def test_equity_is_cash_and_what_the_position_would_bring_now() -> None:
    bench = Bench()
    bench.desk.append(EntryKind.REPORT, bench.bought(100, 50_000_000))
    bench.desk.mark(NOW)
    assert int(bench.gate.state["equity_micros"]) == 2 * CASH - 50_000_000 + 48_000_000
    bench.quote(bid_e4=4_000)
    bench.desk.mark(NOW + MARK_EVERY_NS - 1)
    assert int(bench.gate.state["equity_micros"]) == 2 * CASH - 2_000_000
    bench.desk.mark(NOW + MARK_EVERY_NS)
    assert int(bench.gate.state["equity_micros"]) == 2 * CASH - 10_000_000


def test_without_positions_and_news_nothing_is_marked() -> None:
    bench = Bench()
    bench.desk.mark(NOW)
    bench.desk.mark(NOW + 5 * MARK_EVERY_NS)
    assert bench.desk.marked_ns == NOW


def test_what_we_have_taken_is_no_bid_for_what_we_still_hold() -> None:
    bench = Bench()
    bench.desk.append(EntryKind.REPORT, bench.bought(100, 50_000_000))
    event: np.void = np.zeros(1, ORDER_EVENT)[0]
    event["slot"], event["generation"] = bench.ref
    event["venue"], event["direction"], event["price_e4"] = Venue.POLYMARKET, Direction.SELL, 4_800
    event["fill_size_e6"] = 70 * CONTRACT
    bench.desk.on_event(event)
    bench.desk.mark(NOW)
    assert bench.desk.equity_micros() == 2 * CASH - 50_000_000 + 30 * 480_000


def test_a_loss_stops_at_the_next_mark_and_a_book_in_doubt_does_not() -> None:
    bench = Bench()
    bench.desk.append(EntryKind.REPORT, bench.bought(2_000, 600_000_000))
    bench.quote(bid_e4=4_800, trust=Trust.SUSPECT)
    bench.desk.mark(NOW)
    assert int(bench.gate.state["equity_micros"]) == 2 * CASH - 600_000_000
    assert not bench.gate.state["stopped"]
    bench.quote(bid_e4=4_800)
    bench.desk.mark(NOW + MARK_EVERY_NS)
    assert bench.gate.stopped_by is Reason.DAILY_LOSS


def test_a_day_of_losses_begins_at_midnight() -> None:
    bench = Bench()
    bench.desk.append(EntryKind.REPORT, bench.bought(900, 490_000_000))
    bench.quote(bid_e4=100)
    midnight = NOW // NS_PER_DAY * NS_PER_DAY + NS_PER_DAY
    bench.desk.mark(midnight - 1)
    lost = 2 * CASH - 490_000_000 + 1_000_000
    assert int(bench.gate.state["day_start_micros"]) == 2 * CASH
    bench.desk.mark(midnight)
    assert int(bench.gate.state["day_start_micros"]) == int(bench.gate.state["equity_micros"]) == lost
    assert bench.gate.stopped_by is Reason.NONE


def test_a_day_that_begins_in_doubt_begins_with_what_was_believed_before() -> None:
    bench = Bench()
    bench.desk.append(EntryKind.REPORT, bench.bought(100, 50_000_000))
    bench.desk.mark(NOW)
    bench.quote(bid_e4=4_800, trust=Trust.SUSPECT)
    bench.desk.mark(NOW + NS_PER_DAY)
    assert int(bench.gate.state["equity_micros"]) == 2 * CASH - 50_000_000
    assert int(bench.gate.state["day_start_micros"]) == 2 * CASH - 2_000_000


def test_the_gate_reads_the_book_anew_for_each_order() -> None:
    bench = Bench()
    fresh = FreshGate(bench.gate, bench.view)
    request: np.void = np.zeros(1, ORDER_REQUEST)[0]
    request["slot"], request["generation"] = bench.ref
    request["venue"], request["kind"], request["order_id"] = Venue.POLYMARKET, RequestKind.NEW, 1
    request["price_e4"], request["size_e6"] = 5_000, 10 * CONTRACT
    assert fresh.check(request, 3, 5_000_000, NOW) is Reason.NONE
    fresh.on_fill(1, 4 * CONTRACT)
    assert bench.gate.reserved_micros(Venue.POLYMARKET) == 3_000_000
    fresh.release(1)
    assert bench.gate.reserved_micros(Venue.POLYMARKET) == 0
    request["order_id"] = 2
    assert fresh.check(request, 4, 5_000_000, NOW) is Reason.STALE_EPOCH
    bench.gate.halt(Reason.DAILY_LOSS)
    assert fresh.halted


def test_no_check_passes_once_the_halt_word_is_stored() -> None:
    bench = Bench()
    words = ControlWords.create(None)
    fresh = FreshGate(bench.gate, bench.view, HaltFollower(words, bench.gate))
    request: np.void = np.zeros(1, ORDER_REQUEST)[0]
    request["slot"], request["generation"] = bench.ref
    request["venue"], request["kind"], request["order_id"] = Venue.POLYMARKET, RequestKind.NEW, 1
    request["price_e4"], request["size_e6"] = 5_000, 10 * CONTRACT
    assert fresh.check(request, 3, 5_000_000, NOW) is Reason.NONE
    words.set(Word.HALTED, Reason.HALTED + 1)
    request["order_id"] = 2
    assert fresh.check(request, 3, 5_000_000, NOW) is Reason.HALTED, "between two orders of one plan"
    assert fresh.halted
    words.clear(Word.HALTED, words.read(Word.HALTED))
    assert not fresh.halted
    assert fresh.check(request, 3, 5_000_000, NOW) is Reason.NONE


def test_the_row_of_a_position_shows_what_orders_in_flight_may_cost() -> None:
    bench = Bench()
    request: np.void = np.zeros(1, ORDER_REQUEST)[0]
    event: np.void = np.zeros(1, ORDER_EVENT)[0]
    for record in (request, event):
        record["slot"], record["generation"] = bench.ref
        record["venue"], record["order_id"] = Venue.POLYMARKET, 1
    request["kind"], request["price_e4"], request["size_e6"] = RequestKind.NEW, 5_000, 10 * CONTRACT
    row = bench.wires.positions.rows[bench.ref.slot]
    version = bench.wires.positions.version(bench.ref.slot)
    assert FreshGate(bench.gate, bench.view).check(request, 3, 5_000_000, NOW) is Reason.NONE
    bench.desk.on_event(event)
    assert (int(row["reserved_micros"]), int(row["generation"])) == (5_000_000, bench.ref.generation)
    bench.desk.on_event(event)
    assert bench.wires.positions.version(bench.ref.slot) == version + 1, "nothing new was to be told"
    bench.desk.append(EntryKind.REPORT, bench.bought(4, 2_000_000))
    bench.gate.on_fill(1, 4 * CONTRACT)
    bench.desk.on_event(event)
    assert (int(row["reserved_micros"]), int(row["yes_e6"])) == (3_000_000, 4 * CONTRACT)
    bench.gate.release(1)
    bench.desk.on_event(event)
    assert (int(row["reserved_micros"]), int(row["yes_e6"])) == (0, 4 * CONTRACT)
    assert set(bench.desk.ledger.positions) == {(Venue.POLYMARKET, *bench.ref)}


def test_an_order_alone_makes_no_position_in_the_ledger() -> None:
    bench = Bench()
    event: np.void = np.zeros(1, ORDER_EVENT)[0]
    event["slot"], event["generation"] = bench.ref
    event["venue"], event["order_id"] = Venue.POLYMARKET, 1
    bench.gate.markets[bench.ref.slot]["reserved_micros"] = 7
    bench.desk.on_event(event)
    assert int(bench.wires.positions.rows[bench.ref.slot]["reserved_micros"]) == 7
    assert bench.desk.ledger.positions == {}


def test_only_what_others_see_later_waits_for_the_next_that_is_written() -> None:
    bench = Bench()
    before = len(bench.file.getvalue())
    for kind, layout in LAYOUTS.items():
        if kind not in (EntryKind.REPORT, EntryKind.OPENING, EntryKind.BOOT, EntryKind.RISK):
            bench.desk.append(kind, np.zeros(1, layout)[0])
            assert len(bench.file.getvalue()) == before, "nobody has seen anything of it"
    bench.desk.append(EntryKind.REPORT, bench.bought(1, 500_000))
    after = len(bench.file.getvalue())
    kinds = [entry.kind for entry in read_journal(bench.file.getvalue())]
    assert kinds[2:-1] == [
        EntryKind.PLAN,
        EntryKind.INTENT,
        EntryKind.SENT,
        EntryKind.EVENT,
        EntryKind.PLAN_LEG,
        EntryKind.MARKET,
    ]
    assert kinds[-1] == EntryKind.REPORT, "a report moves tables: it is there before they are"
    bench.desk.append(EntryKind.EVENT, np.zeros(1, ORDER_EVENT)[0])
    bench.desk.hand_over()
    assert len(bench.file.getvalue()) > after
