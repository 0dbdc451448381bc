"""Money behind the matching: fees to the micro-dollar, finality, conversions, resolution."""

from __future__ import annotations

from dataclasses import fields as fields_of
from dataclasses import replace

import numpy as np
import pytest

from engine.catalog.market import GroupKind
from engine.ids import index_set
from engine.reasons import Reason
from engine.records import Direction, Outcome, ReportKind, RequestKind, Side, TimeInForce
from engine.sim.clearing import SettlementTimes
from engine.sim.faults import Fault, FaultPlan, FaultRates
from tests.engine.sim.world import (
    DOLLAR,
    FREE,
    KALSHI,
    ONE,
    POLY,
    Desk,
    S,
    kinds,
    level,
    neg_risk,
    snapshot,
    trade,
)

BUY, SELL, YES, NO = Direction.BUY, Direction.SELL, Outcome.YES, Outcome.NO
FILLED, CONFIRMED, FAILED, CONVERTED = (
    ReportKind.FILLED,
    ReportKind.CONFIRMED,
    ReportKind.FAILED,
    ReportKind.CONVERTED,
)


def fees(reports: list[np.void]) -> list[int]:
    return [int(r["fee_micros"]) for r in reports if int(r["kind"]) == FILLED]


@pytest.mark.parametrize(
    ("price", "lots", "fee"),
    [
        (5000, 1, 17_500),
        (5200, 1, 17_500),
        (5600, 10, 172_500),
        (5000, 100, 1_750_000),
        (500, 100, 332_500),
        (9700, 250, 509_300),
    ],
)
def test_kalshi_takers_pay_what_the_venue_documents(price: int, lots: int, fee: int) -> None:
    desk = Desk(KALSHI)
    desk.show(snapshot(0, asks=[(price, lots * ONE)]))
    assert fees(desk.buy(price, lots * ONE)) == [fee]
    assert desk.venue.cash_micros == 1_000 * DOLLAR - lots * price * 100 - fee


@pytest.mark.parametrize("name", ["final_min_ns", "final_max_ns", "convert_min_ns", "convert_max_ns"])
def test_settlement_takes_a_day_at_most(name: str) -> None:
    bounds = {field.name: dict(field.metadata) for field in fields_of(SettlementTimes)}
    assert bounds[name] == {"low": 0, "high": 86_400 * S}


def test_kalshi_keeps_one_rounding_account_per_order() -> None:
    """The venue's own example: four equal fills of one order pay what one fill of all would have paid."""
    fine = replace(KALSHI, price_ranges=((0, 10_000, 10),))
    desk = Desk(fine)
    size = 3_370_000
    desk.show(snapshot(0, asks=[(3310, size)]))
    request = desk.request(BUY, YES, 3310, 4 * size, TimeInForce.GTC)
    paid = fees(desk.send(request))
    for _ in range(3):  # what rests is filled as a maker; the account goes on
        desk.show(trade(0, Side.BID, 3310, size))
        paid += fees(desk.read())
    assert paid[0] == 52_330
    one = Desk(fine)
    one.show(snapshot(0, asks=[(3310, 4 * size)]))
    assert fees(one.buy(3310, 4 * size)) == [209_020]
    four = Desk(fine)
    for price in (3310, 3320, 3330):
        four.show(level(0, Side.ASK, price, ONE))
    total = fees(four.buy(3330, 3 * ONE))
    assert len(total) == 3
    assert (
        four.venue.cash_micros % 100 == 0
    )  # a direct member's balance is whole 1e-4 dollars after every fill


def test_kalshi_makers_pay_a_quarter_and_polymarket_makers_nothing() -> None:
    desk = Desk(KALSHI)
    desk.buy(5000, 100 * ONE, TimeInForce.GTC)
    desk.show(trade(0, Side.BID, 5000, 100 * ONE))
    assert fees(desk.read()) == [437_500]
    desk = Desk(POLY)
    desk.buy(5000, 100 * ONE, TimeInForce.GTC)
    desk.show(trade(0, Side.BID, 5000, 100 * ONE))
    assert fees(desk.read()) == [0]


def test_polymarket_takers_pay_the_curve_to_five_decimals() -> None:
    desk = Desk(POLY)
    desk.show(snapshot(0, asks=[(3000, 100 * ONE)]))
    reports = desk.buy(3000, 100 * ONE)
    assert fees(reports) == [840_000]
    assert desk.venue.cash_micros == 1_000 * DOLLAR - 30 * DOLLAR - 840_000


def test_polymarket_tokens_can_be_sold_only_when_the_trade_is_final() -> None:
    desk = Desk(POLY, times=SettlementTimes(final_min_ns=2 * S, final_max_ns=5 * S))
    desk.show(snapshot(0, bids=[(4900, 100 * ONE)], asks=[(5000, 10 * ONE)]))
    desk.buy(5000, 10 * ONE)
    assert desk.venue.position_e6(0) == (10 * ONE, 0)
    assert desk.venue.free_e6(0, YES) == 0
    [early] = desk.sell(4900, 10 * ONE)
    assert int(early["reason"]) == Reason.VENUE_INSUFFICIENT_CASH
    assert desk.read(2 * S - 1) == []
    [final] = desk.read(3 * S + 1)
    assert int(final["kind"]) == CONFIRMED
    assert (int(final["trade_id"]), int(final["fill_size_e6"])) == (1, 10 * ONE)
    assert kinds(desk.sell(4900, 10 * ONE)) == [FILLED]
    free = desk.venue.free_cash_micros
    assert free == desk.venue.cash_micros - 4_900_000 + 99_960  # the proceeds are not ours yet
    desk.read(5 * S)
    assert desk.venue.free_cash_micros == desk.venue.cash_micros


def test_finality_is_spread_over_its_window() -> None:
    desk = Desk(POLY, cash_micros=10_000 * DOLLAR)
    desk.show(snapshot(0, asks=[(100 * cents, 5 * ONE) for cents in range(10, 90)]))
    desk.buy(8900, 400 * ONE)
    start = desk.now_ns
    waits = {int(r["venue_ns"]) - start for r in desk.read(10 * S)}
    assert min(waits) >= 2 * S
    assert max(waits) <= 5 * S
    assert max(waits) - min(waits) > 2 * S


def test_a_failed_trade_is_taken_back_whole() -> None:
    faults = FaultPlan(1, FaultRates(), {1: Fault.FAIL_TRADE, 2: Fault.NONE, 3: Fault.FAIL_TRADE})
    desk = Desk(POLY, faults=faults)
    desk.show(snapshot(0, bids=[(4900, 100 * ONE)], asks=[(5000, 50 * ONE)]))
    desk.buy(5000, 10 * ONE)
    [void] = desk.read(5 * S)
    assert (int(void["kind"]), int(void["reason"])) == (FAILED, Reason.SETTLEMENT_FAILED)
    assert (int(void["cash_micros"]), int(void["fee_micros"])) == (5_000_000, 100_000)
    assert desk.venue.cash_micros == desk.venue.free_cash_micros == 1_000 * DOLLAR
    assert desk.venue.position_e6(0) == (0, 0)
    desk.buy(5000, 10 * ONE)
    desk.read(5 * S)
    cash = desk.venue.cash_micros
    desk.sell(4900, 10 * ONE)
    assert kinds(desk.read(5 * S)) == [FAILED]
    assert desk.venue.cash_micros == desk.venue.free_cash_micros == cash
    assert desk.venue.free_e6(0, YES) == 10 * ONE
    assert (desk.venue._clearing.trades, desk.venue._clearing.failed) == (3, 2)


def test_cash_is_enforced_at_the_limit_with_fees() -> None:
    desk = Desk(KALSHI, cash_micros=5 * DOLLAR)
    desk.show(snapshot(0, asks=[(4000, 100 * ONE)]))
    [refused] = desk.buy(5000, 10 * ONE)
    assert int(refused["reason"]) == Reason.VENUE_INSUFFICIENT_CASH
    assert kinds(desk.buy(5000, 9 * ONE)) == [FILLED]
    assert desk.venue.cash_micros == desk.venue.free_cash_micros > 0


def convert(
    desk: Desk, members: list[int], size: int, slot: int = 0, kind: RequestKind = RequestKind.CONVERT
) -> list[np.void]:
    request = desk.request(BUY, NO, 0, size, slot=slot, kind=kind)
    if kind == RequestKind.CONVERT:
        request["identity"] = np.frombuffer(index_set(members), np.uint8)
    return desk.send(request)


def event(faults: FaultPlan | None = None) -> Desk:
    members = [neg_risk(name, fee=FREE) for name in "abc"]
    desk = Desk(
        *members, times=SettlementTimes(0, 0, 5 * S, 30 * S), faults=faults or FaultPlan(1, FaultRates())
    )
    for slot in range(3):
        desk.show(snapshot(slot, bids=[(4000, 100 * ONE)]))
    for slot in (0, 1):
        desk.send(desk.request(BUY, NO, 6000, 10 * ONE, slot=slot))
    desk.read(1)
    return desk


def test_a_conversion_is_late_and_gives_k_minus_one_dollars_and_yes_of_the_others() -> None:
    desk = event()
    cash = desk.venue.cash_micros
    assert kinds(convert(desk, [0, 1], 10 * ONE)) == [ReportKind.ACKED]
    assert desk.venue.free_e6(0, NO) == 0
    assert desk.read(5 * S - 1) == []
    lines = desk.read(30 * S)
    assert kinds(lines) == [CONVERTED] * 3
    assert [(int(r["slot"]), int(r["direction"]), int(r["outcome"])) for r in lines] == [
        (0, SELL, NO),
        (1, SELL, NO),
        (2, BUY, YES),
    ]
    assert [int(r["cash_micros"]) for r in lines] == [5 * DOLLAR, 5 * DOLLAR, 0]
    assert {int(r["remaining_e6"]) for r in lines} == {3}
    assert len({int(r["trade_id"]) for r in lines}) == 3
    assert desk.venue.cash_micros == cash + 10 * DOLLAR
    assert [desk.venue.position_e6(slot) for slot in range(3)] == [(0, 0), (0, 0), (10 * ONE, 0)]


@pytest.mark.parametrize("members", [[], [0, 1, 2, 3], [0, 2]])
def test_a_conversion_needs_its_tokens_and_its_members(members: list[int]) -> None:
    desk = event()
    [refused] = convert(desk, members, 10 * ONE)
    assert int(refused["kind"]) == ReportKind.REJECTED
    assert desk.venue.free_e6(0, NO) == 10 * ONE


def test_a_conversion_needs_a_neg_risk_event_and_can_be_refused() -> None:
    desk = Desk(POLY)
    assert kinds(convert(desk, [0], ONE)) == [ReportKind.REJECTED]
    desk = Desk(KALSHI)
    assert kinds(convert(desk, [0], ONE)) == [ReportKind.REJECTED]
    desk = event(FaultPlan(1, FaultRates(), {3: Fault.FAIL_CONVERT}))
    assert kinds(convert(desk, [0, 1], ONE)) == [ReportKind.REJECTED]
    assert kinds(convert(desk, [0, 1], ONE)) == [ReportKind.ACKED]


def test_nothing_is_converted_into_a_market_that_is_resolved() -> None:
    """It pays once, when every conversion that touches it is final; who asks later is refused."""
    desk = event()
    desk.venue.settle(2, 10_000, desk.now_ns + 1)
    assert kinds(convert(desk, [0, 1], 4 * ONE)) == [ReportKind.ACKED]  # there before it, which waits
    cash = desk.venue.cash_micros
    assert sorted(kinds(desk.read(40 * S))) == [CONVERTED] * 3 + [ReportKind.SETTLED]
    assert desk.venue.cash_micros == cash + 4 * DOLLAR + 4 * DOLLAR
    [refused] = convert(desk, [0, 1], 4 * ONE)
    assert int(refused["reason"]) == Reason.VENUE_CLOSED
    assert desk.venue.free_e6(0, NO) == 6 * ONE
    assert desk.venue.position_e6(2) == (0, 0)


def test_split_and_merge_are_each_others_reverse() -> None:
    desk = Desk(POLY)
    assert kinds(convert(desk, [], 10 * ONE + 1, kind=RequestKind.SPLIT)) == [ReportKind.ACKED]
    assert desk.venue.free_cash_micros == 990 * DOLLAR - 1
    reports = desk.read(60 * S)
    assert kinds(reports) == [CONVERTED] * 2
    assert [int(report["cash_micros"]) for report in reports] == [5 * DOLLAR, 5 * DOLLAR + 1]
    assert desk.venue.position_e6(0) == (10 * ONE + 1, 10 * ONE + 1)
    assert desk.venue.cash_micros == desk.venue.free_cash_micros == 990 * DOLLAR - 1
    assert kinds(convert(desk, [], 10 * ONE + 2, kind=RequestKind.MERGE)) == [ReportKind.REJECTED]
    convert(desk, [], 10 * ONE + 1, kind=RequestKind.MERGE)
    desk.read(60 * S)
    assert desk.venue.position_e6(0) == (0, 0)
    assert desk.venue.cash_micros == 1_000 * DOLLAR
    assert kinds(convert(desk, [], 1_000 * ONE + 1, kind=RequestKind.SPLIT)) == [ReportKind.REJECTED]
    assert kinds(convert(desk, [], 1_000 * ONE, kind=RequestKind.SPLIT)) == [ReportKind.ACKED]
    assert kinds(convert(desk, [], 0, kind=RequestKind.SPLIT)) == [ReportKind.REJECTED]


@pytest.mark.parametrize("value", [0, 3_333, 5_000, 10_000])
def test_settlement_pays_any_fraction_late_and_once(value: int) -> None:
    desk = Desk(POLY)
    desk.show(snapshot(0, bids=[(4000, 7 * ONE)], asks=[(5000, 10 * ONE + 3)]))
    desk.buy(5000, 10 * ONE)
    desk.buy_no(6000, 6 * ONE)
    cash = desk.venue.cash_micros
    desk.venue.settle(0, value, desk.now_ns + S)  # before the trades are final: it waits for them
    desk.venue.settle(0, value, desk.now_ns + 2 * S)
    reports = desk.read(20 * S)
    assert sorted(kinds(reports)) == [CONFIRMED, CONFIRMED, ReportKind.SETTLED]
    paid = 10 * value * 100 + 6 * (10_000 - value) * 100
    assert (int(reports[-1]["cash_micros"]), int(reports[-1]["price_e4"])) == (paid, value)
    assert desk.venue.cash_micros == cash + paid
    assert desk.venue.position_e6(0) == (0, 0)
    [refused] = desk.buy(5000, 10 * ONE)
    assert int(refused["reason"]) == Reason.VENUE_CLOSED


def test_settlement_cancels_what_rests_and_a_value_outside_is_refused() -> None:
    desk = Desk(KALSHI)
    desk.buy(5000, ONE, TimeInForce.GTC)
    desk.venue.settle(0, 10_000, desk.now_ns + S)
    assert kinds(desk.read(2 * S)) == [ReportKind.CANCELLED, ReportKind.SETTLED]
    for value in (-1, 10_001):
        with pytest.raises(ValueError, match="settlement value"):
            desk.venue.settle(0, value, 0)


def test_times_must_be_in_order() -> None:
    with pytest.raises(ValueError, match="a minimum is above"):
        SettlementTimes(final_min_ns=2, final_max_ns=1)


def test_an_event_of_which_none_may_win_does_not_convert() -> None:
    members = [replace(neg_risk(name), group_kind=GroupKind.AT_MOST_ONE) for name in "ab"]
    desk = Desk(*members)
    assert kinds(convert(desk, [0], ONE)) == [ReportKind.REJECTED]


def test_what_comes_to_a_slot_later_is_another_market() -> None:
    desk = Desk(POLY, times=SettlementTimes(0, 0))
    desk.show(snapshot(0, asks=[(5000, 100 * ONE)]))
    desk.buy(5000, 10 * ONE)
    desk.venue.settle(0, 10_000, desk.now_ns + S)
    desk.catalog.remove_market(0)
    assert desk.catalog.add_market(replace(POLY, symbol="next")) == (0, 2)
    assert desk.venue.position_e6(0) == (0, 0)
    cash = desk.venue.cash_micros
    assert kinds(desk.buy(5000, 10 * ONE)) == [FILLED, CONFIRMED]
    paid = desk.read(2 * S)[-1]
    assert (int(paid["kind"]), int(paid["generation"])) == (ReportKind.SETTLED, 1)
    assert desk.venue.cash_micros == cash + 10 * DOLLAR - 5 * DOLLAR - 100_000
    assert desk.venue.position_e6(0) == (10 * ONE, 0)
    assert kinds(desk.buy(5000, 10 * ONE)) == [FILLED, CONFIRMED]  # it is open still
