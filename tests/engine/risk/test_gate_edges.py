"""The gate at its edges: one micro-dollar, one nanosecond, one step to either side of each limit."""

from __future__ import annotations

import numpy as np
import pytest

from engine.catalog.catalog import Catalog
from engine.reasons import Reason
from engine.records import BOOK_ROW, Direction, Outcome, Trust, Venue
from engine.risk.checks import _check_shape, check, on_grid, rate_ready_ns
from engine.risk.gate import Gate
from engine.risk.limits import GATE_LIMITS, GATE_STATE, TOKEN_ONE
from engine.units import INT64_MAX, MULDIV_OVERFLOW, NS_PER_MS, NS_PER_S
from tests.engine.risk.test_gate import CONTRACT, DOLLAR, EPOCH, NOW, Desk, limits, spec

FINE = {"lot_e6": 1, "min_size_e6": 1, "min_notional_micros": 0}
PEAK = 10_000 * DOLLAR


def desk_over(catalog: Catalog, **changes: int) -> Desk:
    """A desk whose markets are those of ``catalog``, every book live."""
    desk = Desk(**changes)
    desk.catalog = catalog
    desk.refs = [catalog.ref(slot) for slot in range(len(catalog))]
    desk.books = np.zeros(catalog.capacity, BOOK_ROW)
    for ref in desk.refs:
        row = desk.books[ref.slot]
        row["generation"], row["trust"], row["epoch"], row["recv_ns"] = ref.generation, Trust.LIVE, EPOCH, NOW
    desk.gate = Gate(limits(**changes), catalog.rows, desk.books, desk.latched.append)
    desk.gate.start_day(PEAK)
    desk.gate.set_cash(Venue.POLYMARKET, PEAK)
    return desk


def fine_desk(**changes: int) -> Desk:
    """A desk over one market whose lot is a millionth of a contract."""
    catalog = Catalog(1)
    catalog.add_market(spec("fine", "", **FINE))
    return desk_over(catalog, **changes)


@pytest.mark.parametrize(
    ("ranges", "on", "off"),
    [
        (((0, 10_000, 1),), (1, 9_999), (0, 10_000)),
        (((200, 9_700, 100),), (200, 300, 9_700), (100, 250, 9_800)),
        (((100, 500, 50), (1_000, 2_000, 250)), (100, 150, 500, 1_000, 1_250, 2_000), (550, 900, 1_050)),
    ],
)
def test_a_range_holds_both_its_ends_and_its_steps_count_from_its_start(
    ranges: tuple[tuple[int, int, int], ...], on: tuple[int, ...], off: tuple[int, ...]
) -> None:
    catalog = Catalog(1)
    row = catalog.rows[catalog.add_market(spec("x", price_ranges=ranges)).slot]
    assert [price for price in (*on, *off) if on_grid(row, price)] == list(on)


def test_no_is_turned_before_it_is_held_against_a_grid_that_is_not_symmetric() -> None:
    catalog = Catalog(1)
    catalog.add_market(spec("x", price_ranges=((0, 1_000, 10), (1_000, 10_000, 100))))
    desk = desk_over(catalog)
    small = {"market": 0, "size_e6": 10 * CONTRACT}
    assert desk.ask(**small, outcome=Outcome.NO, price_e4=9_110) is Reason.NONE
    assert desk.ask(**small, outcome=Outcome.YES, price_e4=9_110) is Reason.PRICE_OFF_GRID
    assert desk.ask(**small, outcome=Outcome.NO, price_e4=890) is Reason.PRICE_OFF_GRID


@pytest.mark.parametrize("direction", Direction)
def test_an_order_of_nothing_is_no_order(direction: Direction) -> None:
    assert Desk().ask(size_e6=0, direction=direction) is Reason.SIZE_OFF_LOT


def test_the_smallest_lot_can_be_bought_and_sold() -> None:
    desk = fine_desk()
    assert desk.ask(0, size_e6=1) is Reason.NONE
    desk.gate.set_position(0, 1, 0, 1)
    assert desk.ask(0, size_e6=1, direction=Direction.SELL, worst=0) is Reason.NONE


def test_a_fraction_of_a_micro_dollar_is_over_the_notional_limit() -> None:
    desk = fine_desk(order_notional_max_micros=50 * DOLLAR)
    assert desk.ask(0, size_e6=100 * CONTRACT + 1, price_e4=5_000) is Reason.ORDER_NOTIONAL_LIMIT
    assert desk.ask(0, size_e6=100 * CONTRACT, price_e4=5_000) is Reason.NONE


@pytest.mark.parametrize(
    ("notional_micros", "reason"), [(MULDIV_OVERFLOW, Reason.ORDER_NOTIONAL_LIMIT), (0, Reason.NONE)]
)
def test_a_notional_that_does_not_fit_is_over_every_limit(notional_micros: int, reason: Reason) -> None:
    desk = fine_desk()
    market = desk.catalog.rows[0]
    assert (
        _check_shape(desk.gate.limits, market, desk.order(0, direction=Direction.SELL), notional_micros)
        == reason
    )


def test_heat_and_drawdown_round_against_us() -> None:
    """4,999 and 249,999 parts per million and a fraction count as one part more."""
    desk = Desk(heat_max_ppm=4_999)
    assert desk.ask(worst=49_990_001) is Reason.PORTFOLIO_HEAT
    assert desk.ask(worst=49_990_000) is Reason.NONE
    desk = Desk(daily_loss_max_micros=10**12)
    desk.gate.set_equity(PEAK - 2_499_990_001, sure=False)
    assert desk.ask() is Reason.DRAWDOWN
    desk.gate.set_equity(PEAK - 2_499_990_000)
    assert desk.ask() is Reason.NONE


def test_equity_of_a_micro_dollar_is_equity() -> None:
    desk = Desk()
    gate = Gate(limits(), desk.catalog.rows, desk.books)
    gate.start_day(1)
    gate.set_cash(Venue.POLYMARKET, DOLLAR)
    assert gate.check(desk.order(), EPOCH, 0, NOW) is Reason.NONE


def test_equity_at_its_peak_is_no_drawdown() -> None:
    assert Desk(drawdown_stop_ppm=1).ask() is Reason.NONE


def test_equity_that_never_peaked_has_fallen_by_nothing() -> None:
    desk = Desk(drawdown_stop_ppm=0)
    desk.gate.state["equity_peak_micros"] = 0
    assert desk.ask() is Reason.DRAWDOWN


def test_an_order_that_costs_nothing_adds_no_exposure() -> None:
    desk = Desk(market_exposure_max_micros=0, event_exposure_max_micros=0)
    desk.gate.set_cash(Venue.POLYMARKET, 0)
    assert desk.ask(worst=0) is Reason.NONE
    assert desk.gate.reserved_micros(Venue.POLYMARKET) == 0
    assert desk.ask(worst=1) is Reason.MARKET_EXPOSURE_LIMIT


def test_an_order_that_could_only_gain_reserves_nothing_and_frees_nothing() -> None:
    desk = Desk(market_exposure_max_micros=50 * DOLLAR)
    desk.gate.set_position(desk.refs[2].slot, 0, 0, 50 * DOLLAR + 1)
    assert desk.ask(worst=-5) is Reason.MARKET_EXPOSURE_LIMIT
    desk = Desk()
    assert desk.ask(worst=-5) is Reason.NONE
    assert desk.gate.reserved_micros(Venue.POLYMARKET) == 0
    assert int(desk.gate.state["exposure_micros"]) == 0


def test_cash_that_is_overdrawn_buys_nothing_however_little_it_costs() -> None:
    desk = Desk()
    desk.gate.set_cash(Venue.POLYMARKET, -1)
    assert desk.ask(worst=-5) is Reason.CASH_UNAVAILABLE
    assert desk.ask(worst=0) is Reason.CASH_UNAVAILABLE


def test_an_event_whose_exposure_cannot_be_known_is_full() -> None:
    desk = Desk()
    slot = desk.refs[2].slot
    rows = desk.catalog.rows[slot], desk.gate.markets[slot], desk.books[slot]
    for event_micros, reason in ((-1, Reason.EVENT_EXPOSURE_LIMIT), (0, Reason.NONE)):
        assert (
            check(desk.gate.limits, desk.gate.state, *rows, desk.order(), EPOCH, 0, event_micros, NOW)
            == reason
        )


def test_an_event_is_filled_to_its_last_micro_dollar() -> None:
    exact = Desk(event_exposure_max_micros=100 * DOLLAR)
    assert [exact.ask(market=0), exact.ask(market=1)] == [Reason.NONE, Reason.NONE]
    assert exact.ask(market=0, worst=1) is Reason.EVENT_EXPOSURE_LIMIT
    single = Desk(event_exposure_max_micros=50 * DOLLAR)
    assert single.ask(market=0) is Reason.NONE
    assert single.ask(market=1, worst=1) is Reason.EVENT_EXPOSURE_LIMIT
    assert Desk(event_exposure_max_micros=50 * DOLLAR - 1).ask(market=0) is Reason.EVENT_EXPOSURE_LIMIT


def test_no_venue_and_a_slot_before_the_first_are_unknown() -> None:
    catalog = Catalog(1)
    catalog.add_market(spec("only"))
    desk = desk_over(catalog)
    assert desk.ask(0, slot=-1) is Reason.UNKNOWN_MARKET
    assert desk.ask(0, venue=0) is Reason.UNKNOWN_MARKET
    assert desk.ask(0, slot=0) is Reason.NONE


def test_a_halt_keeps_its_reason_and_needs_none() -> None:
    desk = Desk()
    desk.gate.halt(Reason.NONE)
    assert desk.gate.halted
    assert desk.latched == [Reason.NONE]
    desk = Desk()
    desk.gate.halt(Reason.DRAWDOWN)
    assert int(desk.gate.state["halted"]) == Reason.DRAWDOWN + 1


def test_the_bucket_gains_a_token_to_the_nanosecond() -> None:
    desk = Desk(orders_burst=1, orders_per_second=10)
    assert desk.ask() is Reason.NONE
    assert desk.ask(now_ns=NOW + NS_PER_S // 10 - 100) is Reason.ORDER_RATE
    assert desk.ask(now_ns=NOW + NS_PER_S // 10) is Reason.NONE


@pytest.mark.parametrize(("passed_ns", "reason"), [(99, Reason.ORDER_RATE), (100, Reason.NONE)])
def test_the_bucket_gains_no_part_before_its_time(passed_ns: int, reason: Reason) -> None:
    desk = Desk(orders_per_second=10)
    desk.gate.state["tokens"] = TOKEN_ONE - 1
    desk.gate.state["tokens_ns"] = NOW
    assert desk.ask(now_ns=NOW + passed_ns) is reason


def test_a_clock_that_steps_back_neither_fills_nor_empties_the_bucket() -> None:
    desk = Desk(orders_per_second=1_000)
    desk.gate.state["tokens_ns"] = NOW
    desk.gate.state["tokens"] = TOKEN_ONE - 1
    assert desk.ask(now_ns=NOW - NS_PER_MS) is Reason.ORDER_RATE
    desk.gate.state["tokens"] = TOKEN_ONE
    assert desk.ask(now_ns=NOW - NS_PER_MS) is Reason.NONE


def test_silence_refills_at_most_a_minute() -> None:
    desk = Desk(orders_burst=100, orders_per_second=1, book_age_max_ns=10**15, open_orders_max=1_000)
    desk.gate.state["tokens"] = 0
    desk.gate.state["tokens_ns"] = NOW
    small = {"size_e6": 5 * CONTRACT, "price_e4": 2_000, "now_ns": NOW + 99 * NS_PER_S}
    answers = [desk.ask(**small) for _ in range(61)]
    assert answers == [Reason.NONE] * 60 + [Reason.ORDER_RATE]


def test_what_stays_reserved_after_a_fill_is_rounded_up() -> None:
    desk = fine_desk()
    assert desk.ask(0, size_e6=3, worst=10) is Reason.NONE
    left = []
    for _ in range(3):
        desk.gate.on_fill(1, 1)
        left.append(desk.gate.reserved_micros(Venue.POLYMARKET))
    assert left == [7, 4, 0]
    assert int(desk.gate.markets[0]["buying_e6"][Outcome.YES]) == 0


def test_a_resume_lifts_the_halt_and_leaves_the_stop() -> None:
    desk = Desk()
    desk.gate.stop(Reason.DAILY_LOSS)
    desk.gate.halt(Reason.DRAWDOWN)
    desk.gate.resume()
    assert (desk.gate.stopped_by, desk.gate.halted) == (Reason.DAILY_LOSS, False)
    desk.gate.halt(Reason.HALTED)
    assert desk.latched == [Reason.DAILY_LOSS, Reason.DRAWDOWN, Reason.HALTED], "the next halt is a new one"


@pytest.mark.parametrize(
    ("rate", "burst", "orders", "ready_ns"),
    [
        (0, 2, 2, NOW),  # what has gathered may leave
        (0, 2, 3, INT64_MAX),
        (10, 0, 3, INT64_MAX),
        (10, 1, 2, NOW + NS_PER_S // 10),
        (10, 2, 2, NOW),
        (10, 2, 3, NOW + NS_PER_S // 10),
        (10, 2, 5, NOW + 3 * NS_PER_S // 10),
        (3, 2, 3, NOW + 333_333_334),  # not a moment too early
    ],
)
def test_when_a_rate_lets_more_orders_leave(rate: int, burst: int, orders: int, ready_ns: int) -> None:
    rates, state = np.zeros(1, GATE_LIMITS)[0], np.zeros(1, GATE_STATE)[0]
    rates["orders_per_second"][1], rates["orders_burst"][1] = rate, burst
    state["tokens"][1], state["tokens_ns"][1] = 2 * TOKEN_ONE, NOW
    if not burst:
        state["tokens"][1] = 0
    assert rate_ready_ns(rates, state, 1, orders, NOW) == ready_ns
