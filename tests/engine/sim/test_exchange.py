from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.reasons import Reason
from engine.records import Direction, MarketState, Outcome, ReportKind, Side, TimeInForce, UpdateKind
from engine.sim import resting
from tests.engine.sim.world import (
    DOLLAR,
    KALSHI,
    MS,
    ONE,
    POLY,
    Desk,
    S,
    constant,
    frame,
    kinds,
    level,
    snapshot,
    trade,
    update,
)

FILLED, CANCELLED, REJECTED, ACKED = (
    ReportKind.FILLED,
    ReportKind.CANCELLED,
    ReportKind.REJECTED,
    ReportKind.ACKED,
)
GTC, FOK, POST = TimeInForce.GTC, TimeInForce.FOK, TimeInForce.GTC_POST_ONLY


@pytest.fixture
def desk() -> Desk:
    made = Desk(KALSHI)
    made.show(
        snapshot(0, bids=[(4800, 30 * ONE), (4700, 50 * ONE)], asks=[(5000, 10 * ONE), (5100, 20 * ONE)])
    )
    return made


def sizes(reports: list[np.void]) -> list[tuple[int, int]]:
    return [(int(r["price_e4"]), int(r["fill_size_e6"])) for r in reports if int(r["kind"]) == FILLED]


def test_a_taker_walks_levels_best_first_and_gets_the_better_price(desk: Desk) -> None:
    reports = desk.buy(5100, 25 * ONE)
    assert sizes(reports) == [(5000, 10 * ONE), (5100, 15 * ONE)]
    assert [int(r["remaining_e6"]) for r in reports] == [15 * ONE, 0]
    assert len({int(r["trade_id"]) for r in reports}) == 2
    assert [int(r["cash_micros"]) for r in reports] == [5_000_000, 7_650_000]


def test_fak_cancels_the_rest_and_answers_no_match_when_there_is_none(desk: Desk) -> None:
    assert kinds(desk.buy(5000, 25 * ONE)) == [FILLED, CANCELLED]
    [nothing] = desk.buy(4900, ONE)
    assert (int(nothing["kind"]), int(nothing["reason"])) == (REJECTED, Reason.FAK_NO_MATCH)


def test_fok_is_all_or_nothing(desk: Desk) -> None:
    [refused] = desk.buy(5100, 31 * ONE, FOK)
    assert int(refused["reason"]) == Reason.FOK_UNFILLED
    assert desk.venue.position_e6(0) == (0, 0)
    assert sizes(desk.buy(5100, 30 * ONE, FOK)) == [(5000, 10 * ONE), (5100, 20 * ONE)]


def test_no_meets_the_yes_bids_at_one_minus_price(desk: Desk) -> None:
    reports = desk.buy_no(5300, 40 * ONE)
    assert sizes(reports) == [(5200, 30 * ONE), (5300, 10 * ONE)]
    assert desk.venue.position_e6(0) == (0, 40 * ONE)


def test_what_we_took_stays_taken_however_often_the_level_is_repeated(desk: Desk) -> None:
    assert sizes(desk.buy(5000, 10 * ONE)) == [(5000, 10 * ONE)]
    for _ in range(3):
        desk.show(level(0, Side.ASK, 5000, 10 * ONE))
        assert sizes(desk.buy(5000, ONE)) == []
    desk.show(snapshot(0, asks=[(5000, 10 * ONE)]))
    assert sizes(desk.buy(5000, ONE)) == []


def test_a_level_that_grows_gives_what_it_grew_by_and_a_new_one_gives_all(desk: Desk) -> None:
    desk.buy(5000, 10 * ONE)
    desk.show(level(0, Side.ASK, 5000, 14 * ONE))
    assert sizes(desk.buy(5000, 10 * ONE)) == [(5000, 4 * ONE)]
    desk.show(level(0, Side.ASK, 5000, 6 * ONE))  # others left; ours stays taken
    assert sizes(desk.buy(5000, ONE)) == []
    desk.show(level(0, Side.ASK, 5000, 0))
    desk.show(level(0, Side.ASK, 5000, 6 * ONE))
    assert sizes(desk.buy(5000, 10 * ONE)) == [(5000, 6 * ONE)]


def test_an_order_meets_the_book_of_its_arrival_not_of_its_sending() -> None:
    desk = Desk(KALSHI, latency=constant(50 * MS, 20 * MS))
    desk.show(snapshot(0, asks=[(5000, 10 * ONE)]))
    request = desk.request(Direction.BUY, Outcome.YES, 5000, 10 * ONE)
    desk.venue.on_request(request, desk.now_ns)
    desk.show(level(0, Side.ASK, 5000, 3 * ONE), after_ns=49 * MS)
    desk.show(level(0, Side.ASK, 5000, 0), after_ns=2 * MS)  # too late to matter: it arrived before
    assert desk.venue.next_due_ns() == S + 70 * MS
    assert desk.read(18 * MS) == []
    reports = desk.read(1 * MS)
    assert sizes(reports) == [(5000, 3 * ONE)]
    assert [int(r["venue_ns"]) for r in reports] == [S + 50 * MS] * 2
    assert [int(r["recv_ns"]) for r in reports] == [S + 70 * MS] * 2


def test_a_book_that_is_not_trusted_gives_no_liquidity(desk: Desk) -> None:
    desk.book.untrusted.add(0)
    assert kinds(desk.buy(9900, ONE)) == [REJECTED]
    desk.book.untrusted.clear()
    assert kinds(desk.buy(9900, ONE)) == [FILLED]


def test_post_only_is_refused_when_it_would_take_and_rests_otherwise(desk: Desk) -> None:
    [refused] = desk.buy(5000, ONE, POST)
    assert int(refused["reason"]) == Reason.POST_ONLY_CROSSES
    assert kinds(desk.buy(4900, ONE, POST)) == [ACKED]
    assert desk.venue.resting_orders() == 1


def test_gtc_takes_what_it_can_and_rests_with_the_remainder(desk: Desk) -> None:
    reports = desk.buy(5000, 25 * ONE, GTC)
    assert kinds(reports) == [FILLED, ACKED]
    assert int(reports[-1]["remaining_e6"]) == 15 * ONE
    desk.show(trade(0, Side.BID, 5000, 4 * ONE))
    [fill] = desk.read()
    assert (int(fill["fill_size_e6"]), int(fill["maker"]), int(fill["remaining_e6"])) == (
        4 * ONE,
        1,
        11 * ONE,
    )


def test_a_resting_order_waits_behind_the_level_and_is_served_by_trades(desk: Desk) -> None:
    desk.buy(4800, 5 * ONE, GTC)
    desk.show(trade(0, Side.BID, 4800, 28 * ONE))
    desk.show(level(0, Side.BID, 4800, 2 * ONE))
    assert desk.read() == []
    desk.show(trade(0, Side.BID, 4800, 4 * ONE))
    assert sizes(desk.read()) == [(4800, 2 * ONE)]
    desk.show(trade(0, Side.BID, 4800, 10 * ONE))
    assert sizes(desk.read()) == [(4800, 3 * ONE)]
    assert desk.venue.resting_orders() == 0


def test_a_trade_through_our_price_fills_us_for_no_more_than_it_was(desk: Desk) -> None:
    desk.buy(4800, 5 * ONE, GTC)
    desk.show(trade(0, Side.BID, 4700, 2 * ONE))
    assert sizes(desk.read()) == [(4800, 2 * ONE)]
    desk.show(trade(0, Side.ASK, 5000, 20 * ONE))  # the other side: not us
    assert desk.read() == []


def test_the_market_coming_onto_our_price_fills_us_and_uses_up_what_came(desk: Desk) -> None:
    desk.buy(4900, 5 * ONE, GTC)
    desk.show(snapshot(0, bids=[(4700, ONE)], asks=[(4900, 3 * ONE)]))
    assert sizes(desk.read()) == [(4900, 3 * ONE)]
    assert sizes(desk.buy(4900, ONE)) == []
    desk.show(level(0, Side.ASK, 4850, 100 * ONE))
    assert sizes(desk.read()) == [(4900, 2 * ONE)]  # at our price: the newcomer is the taker


def test_a_no_order_rests_on_the_ask_side(desk: Desk) -> None:
    assert kinds(desk.buy_no(5000, 5 * ONE, GTC)) == [ACKED]
    desk.show(trade(0, Side.ASK, 5000, 10 * ONE))
    assert desk.read() == []
    desk.show(trade(0, Side.ASK, 5000, 4 * ONE))
    [fill] = desk.read()
    assert (int(fill["outcome"]), int(fill["price_e4"]), int(fill["cash_micros"])) == (1, 5000, 2_000_000)


def test_our_own_orders_never_trade_with_each_other(desk: Desk) -> None:
    desk.buy(4900, 5 * ONE, GTC)
    assert kinds(desk.sell(4800, 40 * ONE)) == [REJECTED]  # ours would be met first
    desk.buy_no(5200, ONE, GTC)
    assert desk.venue.position_e6(0) == (0, 0)
    assert desk.venue.resting_orders() == 1


def test_a_taker_stops_before_its_own_order_and_the_rest_is_cancelled(desk: Desk) -> None:
    desk.sell(5100, 5 * ONE, GTC)
    reports = desk.buy(5100, 25 * ONE, GTC)
    assert kinds(reports) == [FILLED, CANCELLED]
    assert sizes(reports) == [(5000, 10 * ONE)]


def test_cancel_and_expiry_free_what_was_set_aside(desk: Desk) -> None:
    before = desk.venue.free_cash_micros
    request = desk.request(Direction.BUY, Outcome.YES, 4900, 10 * ONE, GTC, expire_ns=3 * S)
    desk.send(request)
    assert desk.venue.free_cash_micros < before
    assert kinds(desk.read(2 * S)) == [ReportKind.EXPIRED]
    assert desk.venue.free_cash_micros == before
    request = desk.request(Direction.BUY, Outcome.YES, 4900, 10 * ONE, GTC)
    desk.send(request)
    request["kind"] = 2  # CANCEL
    assert kinds(desk.send(request)) == [ACKED, CANCELLED]
    assert kinds(desk.send(request)) == [ACKED, CANCELLED]  # asked again, told again
    assert desk.venue.free_cash_micros == before


def test_the_taker_delay_matches_later_and_cannot_be_cancelled() -> None:
    desk = Desk(replace(POLY, taker_delay_ns=3 * S))
    desk.show(snapshot(0, asks=[(5000, 100 * ONE)]))
    request = desk.request(Direction.BUY, Outcome.YES, 5000, 10 * ONE)
    assert kinds(desk.send(request)) == [ACKED]
    cancel = np.array([request])[0]
    cancel["kind"] = 2
    refused = desk.send(cancel)
    assert kinds(refused) == [ACKED, ACKED]
    assert int(refused[-1]["reason"]) == Reason.VENUE_REJECTED
    desk.show(level(0, Side.ASK, 5000, 4 * ONE), after_ns=S)
    desk.show(level(0, Side.ASK, 5000, 90 * ONE), after_ns=3 * S)  # after the match
    assert sizes(desk.read()) == [(5000, 4 * ONE)]
    resting = desk.buy(4900, 10 * ONE, GTC)  # takes nothing, so it is not delayed
    assert kinds(resting) == [ACKED]


def test_a_closed_market_refuses_and_drops_what_rests(desk: Desk) -> None:
    desk.buy(4900, ONE, GTC)
    desk.show(frame(update(UpdateKind.MARKET_STATE, 0, aux=MarketState.CLOSED)))
    [dropped] = desk.read()
    assert (int(dropped["kind"]), int(dropped["reason"])) == (CANCELLED, Reason.VENUE_CLOSED)
    [refused] = desk.buy(5000, ONE)
    assert int(refused["reason"]) == Reason.VENUE_CLOSED
    desk.show(frame(update(UpdateKind.MARKET_STATE, 0, aux=MarketState.OPEN)))
    assert kinds(desk.buy(5000, ONE)) == [FILLED]


def test_a_frame_about_the_connection_names_no_market(desk: Desk) -> None:
    desk.buy(5000, ONE)
    desk.show(frame(update(UpdateKind.CONNECTED, -1)))
    assert sizes(desk.buy(5000, 20 * ONE)) == [(5000, 9 * ONE)]


def test_a_purchase_that_takes_for_less_than_a_dollar_is_refused_and_may_rest() -> None:
    desk = Desk(POLY)
    desk.show(snapshot(0, asks=[(1000, 100 * ONE)]))
    [refused] = desk.buy(1000, 9 * ONE)
    assert int(refused["reason"]) == Reason.VENUE_BAD_SIZE
    assert kinds(desk.buy(900, 9 * ONE, GTC)) == [ACKED]
    assert kinds(desk.buy(1000, 10 * ONE)) == [FILLED]


def test_trades_at_kalshi_are_whole_lots(desk: Desk) -> None:
    desk.buy(4850, 5 * ONE, GTC)
    desk.buy(4900, 5 * ONE, GTC)
    desk.show(trade(0, Side.BID, 4900, 5_000))
    assert desk.read() == []
    desk.show(trade(0, Side.BID, 4900, 25_000))
    assert sizes(desk.read()) == [(4900, 20_000)]


def test_what_rests_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resting, "RESTING_MAX", 1)
    free = desk.venue.free_cash_micros
    desk.buy(4900, ONE, GTC)
    [dropped] = desk.buy(4900, ONE, GTC)
    assert (int(dropped["kind"]), int(dropped["reason"])) == (CANCELLED, Reason.VENUE_RATE_LIMITED)
    assert desk.venue.free_cash_micros > free - DOLLAR


def test_an_order_resting_on_an_untrusted_book_is_behind_everything_it_will_show(desk: Desk) -> None:
    desk.book.untrusted.add(0)
    desk.buy(4800, 5 * ONE, GTC)
    desk.show(trade(0, Side.BID, 4800, 100 * ONE))
    assert desk.read() == []
    desk.book.untrusted.clear()
    desk.show(level(0, Side.BID, 4800, 30 * ONE))
    desk.show(trade(0, Side.BID, 4800, 33 * ONE), after_ns=2 * S)
    assert sizes(desk.read()) == [(4800, 3 * ONE)]


def test_a_market_that_closes_ends_an_order_inside_its_taker_delay() -> None:
    desk = Desk(replace(POLY, taker_delay_ns=3 * S))
    desk.show(snapshot(0, asks=[(5000, 100 * ONE)]))
    free = desk.venue.free_cash_micros
    desk.buy(5000, 10 * ONE)
    desk.show(frame(update(UpdateKind.MARKET_STATE, 0, aux=MarketState.CLOSED)), after_ns=S)
    [dropped] = desk.read()
    assert (int(dropped["kind"]), int(dropped["reason"])) == (CANCELLED, Reason.VENUE_CLOSED)
    assert desk.read(10 * S) == []
    assert desk.venue.free_cash_micros == free


def test_a_market_that_pauses_keeps_what_rests(desk: Desk) -> None:
    desk.buy(4900, ONE, GTC)
    desk.show(frame(update(UpdateKind.MARKET_STATE, 0, aux=MarketState.PAUSED)))
    assert desk.venue.resting_orders() == 1
    assert int(desk.buy(5000, ONE)[0]["reason"]) == Reason.VENUE_CLOSED


def test_a_market_without_ours_is_no_longer_watched(desk: Desk) -> None:
    desk.buy(5000, 10 * ONE)
    assert desk.venue._exchange._watched[0]
    desk.show(level(0, Side.ASK, 5000, 0))
    assert not desk.venue._exchange._watched[0]
    desk.buy(4900, ONE, GTC)
    desk.show(level(0, Side.ASK, 5200, ONE))
    assert desk.venue._exchange._watched[0]
