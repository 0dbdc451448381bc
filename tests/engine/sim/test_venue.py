"""The venue from outside: identities, questions, lost messages, determinism, the real book store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.book.store import BookStore
from engine.reasons import Reason
from engine.records import (
    ORDER_REQUEST,
    Direction,
    Outcome,
    ReportKind,
    RequestKind,
    Side,
    TimeInForce,
    Trust,
    Venue,
)
from engine.sim import venue as venue_module
from engine.sim.faults import Fault, FaultPlan, FaultRates
from engine.sim.latency import LatencyModel, Lognormal, Route
from engine.sim.venue import SimVenue
from engine.units import INT64_MAX
from procs.sim_venue import StoreBook
from tests.engine.sim.world import DOLLAR, KALSHI, MS, ONE, POLY, Desk, S, constant, kinds, level, snapshot

BUY, YES = Direction.BUY, Outcome.YES
REJECTED, UNKNOWN, FILLED, ACKED = (
    ReportKind.REJECTED,
    ReportKind.UNKNOWN,
    ReportKind.FILLED,
    ReportKind.ACKED,
)


def deep(spec: object = KALSHI, **more: object) -> Desk:
    desk = Desk(spec, **more)  # type: ignore[arg-type]
    desk.show(snapshot(0, bids=[(4900, 1_000 * ONE)], asks=[(5000, 1_000 * ONE)]))
    return desk


def cancel(request: np.void) -> np.void:
    copy: np.void = np.array([request])[0]
    copy["kind"] = RequestKind.CANCEL
    return copy


def test_an_identity_works_once_even_under_another_order_id() -> None:
    desk = deep()
    request = desk.request(BUY, YES, 5000, ONE)
    assert kinds(desk.send(request)) == [FILLED]
    [again] = desk.send(request)
    assert (int(again["kind"]), int(again["reason"])) == (REJECTED, Reason.VENUE_DUPLICATE)
    request["order_id"] += 1_000
    [again] = desk.send(request)
    assert int(again["reason"]) == Reason.VENUE_DUPLICATE
    assert desk.venue.position_e6(0) == (ONE, 0)
    assert desk.venue.repeated == 2
    assert desk.venue.taken() == [int(request["order_id"]) - 1_000], "each order once"
    assert desk.venue.held_e6() == [(0, 1, YES, ONE)]


def test_a_refused_order_was_taken_and_holds_nothing() -> None:
    desk = deep(faults=FaultPlan(1, FaultRates(), {1: Fault.REJECT}))
    request = desk.request(BUY, YES, 5000, ONE)
    desk.send(request)
    assert desk.venue.taken() == [int(request["order_id"])]
    assert (desk.venue.held_e6(), desk.venue.repeated) == ([], 0)


@pytest.mark.parametrize(
    ("field", "value"), [("slot", -1), ("slot", 99), ("slot", 3), ("generation", 2), ("slot", 1)]
)
def test_a_market_that_is_not_here_is_unknown(field: str, value: int) -> None:
    desk = Desk(KALSHI, replace(POLY, symbol="other venue"))
    request = desk.request(BUY, YES, 5000, ONE)
    request[field] = value
    [refused] = desk.send(request)
    assert int(refused["reason"]) == Reason.VENUE_UNKNOWN


def test_closed_in_the_catalog_and_no_fee_schedule_are_refused() -> None:
    desk = deep()
    desk.catalog.set_open(0, False)
    assert int(desk.buy(5000, ONE)[0]["reason"]) == Reason.VENUE_CLOSED
    desk = deep(replace(KALSHI, fee=None))
    assert int(desk.buy(5000, ONE)[0]["reason"]) == Reason.VENUE_REJECTED


def test_a_question_about_an_order_never_seen_says_so() -> None:
    desk = deep()
    [answer] = desk.send(cancel(desk.request(BUY, YES, 5000, ONE)))
    assert (int(answer["kind"]), int(answer["reason"])) == (REJECTED, Reason.VENUE_UNKNOWN)
    assert int(answer["remaining_e6"]) == ONE


def test_a_lost_request_is_unknown_and_never_happens() -> None:
    desk = deep(faults=FaultPlan(1, FaultRates(silence_ns=S), {1: Fault.LOSE_REQUEST}))
    request = desk.request(BUY, YES, 5000, ONE)
    assert desk.send(request) == []
    [report] = desk.read(S)
    assert (int(report["kind"]), int(report["venue_ns"])) == (UNKNOWN, 0)
    assert desk.venue.position_e6(0) == (0, 0)
    assert int(desk.send(cancel(request))[0]["reason"]) == Reason.VENUE_UNKNOWN


def test_a_lost_answer_is_unknown_and_can_be_asked_for() -> None:
    desk = deep(faults=FaultPlan(1, FaultRates(silence_ns=S), {1: Fault.LOSE_REPORT}))
    request = desk.request(BUY, YES, 5000, ONE)
    assert desk.send(request) == []
    assert kinds(desk.read(S)) == [UNKNOWN]
    assert desk.venue.position_e6(0) == (ONE, 0)
    assert kinds(desk.send(cancel(request))) == [FILLED]


def test_a_rejected_order_leaves_nothing_and_its_identity_is_used_up() -> None:
    desk = deep(faults=FaultPlan(1, FaultRates(), {1: Fault.REJECT}))
    request = desk.request(BUY, YES, 5000, ONE)
    assert int(desk.send(request)[0]["reason"]) == Reason.VENUE_REJECTED
    assert desk.venue.free_cash_micros == 1_000 * DOLLAR
    assert int(desk.send(request)[0]["reason"]) == Reason.VENUE_DUPLICATE


def test_partial_leaves_only_part_for_us() -> None:
    desk = deep(faults=FaultPlan(1, FaultRates(), {1: Fault.PARTIAL, 2: Fault.PARTIAL, 3: Fault.PARTIAL}))
    reports = desk.buy(5000, 100 * ONE)
    assert kinds(reports) == [FILLED, ReportKind.CANCELLED]
    assert 0 < int(reports[0]["fill_size_e6"]) < 100 * ONE
    assert int(desk.buy(5000, 100 * ONE, TimeInForce.FOK)[0]["reason"]) == Reason.FOK_UNFILLED
    assert kinds(desk.buy(5000, 100 * ONE, TimeInForce.GTC)) == [FILLED]


@pytest.mark.parametrize(("before_ns", "fills"), [(0, False), (1, True)])
def test_an_order_meets_the_book_as_it_was_when_it_came(before_ns: int, fills: bool) -> None:
    """A frame comes before orders of its own nanosecond, and after all earlier ones."""
    desk = deep(latency=constant(5 * MS, 0))
    desk.buy(5000, ONE)
    desk.show(snapshot(0, bids=[(4900, ONE)]), after_ns=5 * MS + before_ns)
    assert (FILLED in kinds(desk.read(MS))) is fills


def test_a_late_frame_is_counted() -> None:
    desk = deep()
    desk.venue.on_update(level(0, Side.ASK, 5000, ONE), 1, desk.now_ns - 1)
    assert desk.venue.late_updates == 1


def test_requests_and_cancels_are_counted_apart() -> None:
    desk = deep()
    request = desk.request(BUY, YES, 5000, ONE)
    desk.send(request)
    desk.send(cancel(request))
    desk.send(cancel(request))
    assert (desk.venue.requests, desk.venue.cancels, desk.venue.late_updates) == (1, 2, 0)


def test_orders_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venue_module, "ORDERS_MAX", 1)
    desk = deep()
    desk.buy(5000, ONE)
    assert int(desk.buy(5000, ONE)[0]["reason"]) == Reason.VENUE_RATE_LIMITED


def test_nothing_is_due_when_nothing_is_pending() -> None:
    desk = deep(latency=constant(5 * MS, 6 * MS))
    assert desk.venue.next_due_ns() == INT64_MAX
    desk.venue.on_request(desk.request(BUY, YES, 5000, ONE), desk.now_ns)
    assert desk.venue.next_due_ns() == desk.now_ns + 5 * MS
    desk.read(5 * MS)
    assert desk.venue.next_due_ns() == desk.now_ns + 6 * MS


def session(scale: int) -> list[tuple[int, ...]]:
    jitter = Route(Lognormal(20 * MS, 200 * MS), Lognormal(10 * MS, 90 * MS))
    desk = Desk(POLY, latency=LatencyModel(3, jitter, scale=scale))
    desk.show(snapshot(0, asks=[(5000, 100 * ONE)]))
    told: list[tuple[int, ...]] = []
    for turn in range(12):
        desk.venue.on_request(desk.request(BUY, YES, 5000, 6 * ONE), desk.now_ns)
        desk.show(level(0, Side.ASK, 5000, (90 - 5 * turn) * ONE), after_ns=30 * MS)
        told += [
            tuple(int(r[name]) for name in ("kind", "recv_ns", "trade_id", "fill_size_e6"))
            for r in desk.read()
        ]
    told += [
        tuple(int(r[name]) for name in ("kind", "recv_ns", "trade_id", "fill_size_e6"))
        for r in desk.read(60 * S)
    ]
    return told


def test_the_same_seed_tells_the_same_story_and_slower_is_another() -> None:
    assert session(1) == session(1)
    assert session(1) != session(5)


def test_it_runs_on_the_real_book_store() -> None:
    catalog = Desk(KALSHI).catalog
    store = BookStore(4, 1, 256)
    store.open_market(0, 1, Venue.KALSHI, KALSHI.price_ranges, mirror=True)
    book = StoreBook(store)
    sim = SimVenue(Venue.KALSHI, catalog, book, constant(0, 0), 1, cash_micros=100 * DOLLAR)
    hand = Desk(KALSHI)
    assert not book.is_tradable(0)
    frame = snapshot(0, bids=[(4800, 5 * ONE)], asks=[(5000, 10 * ONE), (5100, ONE)])
    frame["flags"][-1] = 1 | 8  # LAST_OF_FRAME, LAST_OF_MARKET
    frame["venue"], frame["recv_ns"] = Venue.KALSHI, S
    frame["size_e6"][0] = 3
    sim.on_update(frame, len(frame), S)
    assert int(store.rows[0]["trust"]) == Trust.LIVE
    sim.on_request(hand.request(BUY, YES, 5100, 11 * ONE), S)
    reports = sim.advance(S)
    assert [(int(r["price_e4"]), int(r["fill_size_e6"])) for r in reports] == [(5000, 10 * ONE), (5100, ONE)]
    sim.on_request(hand.request(Direction.SELL, YES, 4800, ONE), S)
    assert [int(r["price_e4"]) for r in sim.advance(S)] == [4800]


def query(number: int) -> np.void:
    request: np.void = np.zeros(1, ORDER_REQUEST)[0]
    request["kind"], request["venue"], request["order_id"] = RequestKind.QUERY, Venue.KALSHI, number
    request["slot"] = -1
    return request


def test_a_query_is_answered_with_cash_and_every_holding() -> None:
    desk = deep()
    desk.send(desk.request(BUY, YES, 5000, 3 * ONE))
    cash = desk.venue.cash_micros
    lines = desk.send(query(9))
    assert kinds(lines) == [ReportKind.BALANCE] * 2
    assert [(int(r["order_id"]), int(r["trade_id"]), int(r["remaining_e6"])) for r in lines] == [
        (9, 1, 2),
        (9, 2, 2),
    ]
    assert (int(lines[0]["slot"]), int(lines[0]["cash_micros"])) == (-1, cash)
    held = lines[1]
    names = ("slot", "generation", "outcome", "fill_size_e6")
    assert [int(held[name]) for name in names] == [0, 1, Outcome.YES, 3 * ONE]
    assert desk.venue.queries == 1


def test_a_query_repeats_every_payment_before_the_statement() -> None:
    desk = deep()
    desk.send(desk.request(BUY, YES, 5000, 3 * ONE))
    desk.venue.settle(0, 10_000, desk.now_ns)
    desk.now_ns += S
    [paid] = np.array(desk.venue.advance(desk.now_ns))
    again, cash = desk.send(query(9))
    for name in ("kind", "slot", "generation", "price_e4", "cash_micros", "venue_ns"):
        assert again[name] == paid[name], name
    assert (int(cash["kind"]), int(cash["remaining_e6"])) == (ReportKind.BALANCE, 1)
    assert int(cash["cash_micros"]) == desk.venue.cash_micros


def test_a_statement_says_how_many_orders_rest() -> None:
    desk = deep()
    desk.send(desk.request(BUY, YES, 4000, 3 * ONE, tif=TimeInForce.GTC))
    [cash] = desk.send(query(9))
    assert (int(cash["fill_size_e6"]), int(cash["slot"])) == (1, -1)
