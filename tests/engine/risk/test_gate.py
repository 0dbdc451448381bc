from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.catalog.catalog import Catalog, MarketFlag
from engine.catalog.market import GroupKind, MarketSpec
from engine.reasons import Reason
from engine.records import (
    BOOK_ROW,
    ORDER_REQUEST,
    Direction,
    MarketState,
    Outcome,
    RequestKind,
    TopFlag,
    Trust,
    Venue,
)
from engine.risk.checks import check, on_grid
from engine.risk.gate import Gate
from engine.risk.limits import GATE_LIMITS
from engine.units import INT64_MAX, NS_PER_S

EPOCH, NOW = 77, 1_000 * NS_PER_S
DOLLAR = 1_000_000
CONTRACT = 1_000_000


def spec(symbol: str, group: str = "", **changes: object) -> MarketSpec:
    values: dict[str, object] = {
        "venue": Venue.POLYMARKET,
        "symbol": symbol,
        "price_ranges": ((0, 1_000, 10), (1_000, 9_000, 100), (9_000, 10_000, 10)),
        "lot_e6": 10_000,
        "min_size_e6": 5 * CONTRACT,
        "min_notional_micros": DOLLAR,
        "mirror": True,
        "group": group,
        "group_kind": GroupKind.EXACTLY_ONE if group else GroupKind.NONE,
    }
    return MarketSpec(**(values | changes))  # type: ignore[arg-type]


def limits(**changes: int) -> np.void:
    row: np.void = np.zeros(1, GATE_LIMITS)[0]
    values: dict[str, int] = {
        "order_size_max_e6": 1_000 * CONTRACT,
        "order_notional_max_micros": 500 * DOLLAR,
        "position_max_e6": 2_000 * CONTRACT,
        "market_exposure_max_micros": 600 * DOLLAR,
        "event_exposure_max_micros": 900 * DOLLAR,
        "heat_max_ppm": 500_000,
        "daily_loss_max_micros": 500 * DOLLAR,
        "drawdown_stop_ppm": 250_000,
        "open_orders_max": 20,
        "orders_per_second": 10,
        "orders_burst": 15,
        "book_age_max_ns": 5 * NS_PER_S,
    }
    for name, value in (values | changes).items():
        row[name] = value
    return row


class Desk:
    """A gate over three markets with live books; slots 0 and 1 are one event."""

    def __init__(self, **changes: int) -> None:
        self.catalog = Catalog(4)
        self.refs = [
            self.catalog.add_market(spec(name, group)) for name, group in (("a", "e"), ("b", "e"), ("c", ""))
        ]
        self.books = np.zeros(4, BOOK_ROW)
        for ref in self.refs:
            row = self.books[ref.slot]
            row["generation"], row["trust"], row["epoch"], row["recv_ns"] = (
                ref.generation,
                Trust.LIVE,
                EPOCH,
                NOW,
            )
        self.latched: list[Reason] = []
        self.gate = Gate(limits(**changes), self.catalog.rows, self.books, self.latched.append)
        self.gate.start_day(10_000 * DOLLAR)
        self.gate.set_cash(Venue.POLYMARKET, 10_000 * DOLLAR)
        self.next_id = 1

    def order(self, market: int = 2, **changes: int) -> np.void:
        row: np.void = np.zeros(1, ORDER_REQUEST)[0]
        values: dict[str, int] = {
            "order_id": self.next_id,
            "slot": self.refs[market].slot,
            "generation": self.refs[market].generation,
            "venue": Venue.POLYMARKET,
            "kind": RequestKind.NEW,
            "direction": Direction.BUY,
            "outcome": Outcome.YES,
            "price_e4": 5_000,
            "size_e6": 100 * CONTRACT,
        }
        for name, value in (values | changes).items():
            row[name] = value
        self.next_id += 1
        return row

    def ask(self, market: int = 2, worst: int | None = None, now_ns: int = NOW, **changes: int) -> Reason:
        request = self.order(market, **changes)
        cash = int(request["size_e6"]) * int(request["price_e4"]) // 10_000 if worst is None else worst
        return self.gate.check(request, EPOCH, cash, now_ns)


def test_an_order_within_every_limit_passes_and_is_reserved() -> None:
    desk = Desk()
    assert desk.ask() is Reason.NONE
    assert desk.gate.reserved_micros(Venue.POLYMARKET) == 50 * DOLLAR
    assert int(desk.gate.state["exposure_micros"]) == 50 * DOLLAR
    assert desk.gate.denials == {}


Change = Callable[[Desk], None]


def halt(desk: Desk) -> None:
    desk.gate.halt(Reason.DRAWDOWN)


def book(name: str, value: int) -> Change:
    def change(desk: Desk) -> None:
        desk.books[desk.refs[2].slot][name] = value

    return change


def closed(desk: Desk) -> None:
    desk.catalog.set_open(desk.refs[2].slot, is_open=False)


def equity(dollars: int) -> Change:
    return lambda desk: desk.gate.set_equity(dollars * DOLLAR)


def in_doubt(dollars: int) -> Change:
    return lambda desk: desk.gate.set_equity(dollars * DOLLAR, sure=False)


def cash(dollars: int) -> Change:
    return lambda desk: desk.gate.set_cash(Venue.POLYMARKET, dollars * DOLLAR)


def nothing(desk: Desk) -> None:
    del desk


REFUSALS: list[tuple[Reason, Change, dict[str, int], dict[str, int]]] = [
    (Reason.HALTED, halt, {}, {}),
    (Reason.PAUSED, lambda desk: desk.gate.pause(paused=True), {}, {}),
    (Reason.UNKNOWN_MARKET, nothing, {"generation": 2}, {}),
    (Reason.UNKNOWN_MARKET, nothing, {"slot": -1}, {}),
    (Reason.UNKNOWN_MARKET, nothing, {"slot": 4}, {}),
    (Reason.UNKNOWN_MARKET, nothing, {"venue": 3}, {}),
    (Reason.UNKNOWN_MARKET, closed, {}, {}),
    (Reason.DUPLICATE_INTENT, nothing, {"order_id": 0}, {}),
    (Reason.DUPLICATE_INTENT, nothing, {"kind": RequestKind.CANCEL}, {}),
    (Reason.DEADLINE, nothing, {"expire_ns": NOW - 1}, {}),
    (Reason.BOOK_NOT_LIVE, book("trust", Trust.SUSPECT), {}, {}),
    (Reason.BOOK_NOT_LIVE, book("generation", 9), {}, {}),
    (Reason.TOP_DISAGREES, book("flags", TopFlag.DECLARED), {}, {}),
    (Reason.MARKET_CLOSED, book("market_state", MarketState.PAUSED), {}, {}),
    (Reason.MARKET_CLOSED, book("market_state", MarketState.SETTLED), {}, {}),
    (Reason.STALE_EPOCH, book("epoch", EPOCH + 1), {}, {}),
    (Reason.BOOK_STALE, book("recv_ns", NOW - 5 * NS_PER_S - 1), {}, {}),
    (Reason.BOOK_STALE, book("recv_ns", NOW + 5 * NS_PER_S + 1), {}, {}),
    (Reason.BOOK_STALE, book("recv_ns", NOW - 2**63), {}, {}),  # one bit is another: the age passes 2**63
    (Reason.BOOK_STALE, book("recv_ns", NOW | 2**62), {}, {}),
    (Reason.PRICE_OFF_GRID, nothing, {"price_e4": 5_050}, {}),
    (Reason.PRICE_OFF_GRID, nothing, {"price_e4": 0}, {}),
    (Reason.PRICE_OFF_GRID, nothing, {"price_e4": 10_000}, {}),
    (Reason.SIZE_OFF_LOT, nothing, {"size_e6": 100 * CONTRACT + 1}, {}),
    (Reason.SIZE_OFF_LOT, nothing, {"size_e6": -CONTRACT}, {}),
    (Reason.BELOW_MINIMUM_SIZE, nothing, {"size_e6": 4 * CONTRACT}, {}),
    (Reason.NOTIONAL_TOO_SMALL, nothing, {"size_e6": 5 * CONTRACT, "price_e4": 1_900}, {}),
    (Reason.ORDER_SIZE_LIMIT, nothing, {"size_e6": 1_000 * CONTRACT + 10_000, "price_e4": 100}, {}),
    (
        Reason.ORDER_NOTIONAL_LIMIT,
        nothing,
        {"size_e6": 100 * CONTRACT},
        {"order_notional_max_micros": 50 * DOLLAR - 1},
    ),
    (Reason.NAKED_SALE, nothing, {"direction": Direction.SELL}, {}),
    (Reason.POSITION_LIMIT, nothing, {}, {"position_max_e6": 100 * CONTRACT - 1}),
    (Reason.MARKET_EXPOSURE_LIMIT, nothing, {}, {"market_exposure_max_micros": 50 * DOLLAR - 1}),
    (Reason.EVENT_EXPOSURE_LIMIT, nothing, {}, {"event_exposure_max_micros": 50 * DOLLAR - 1}),
    (Reason.PORTFOLIO_HEAT, nothing, {}, {"heat_max_ppm": 4_999}),
    (Reason.PORTFOLIO_HEAT, in_doubt(0), {}, {}),
    (Reason.DAILY_LOSS, equity(9_500), {}, {}),
    (Reason.DRAWDOWN, equity(7_500), {}, {"daily_loss_max_micros": 10**12}),
    (Reason.OPEN_ORDER_LIMIT, nothing, {}, {"open_orders_max": 0}),
    (Reason.ORDER_RATE, nothing, {}, {"orders_burst": 0}),
    (Reason.CASH_UNAVAILABLE, cash(49), {}, {}),
]


@pytest.mark.parametrize(
    ("reason", "change", "order", "limit"), REFUSALS, ids=[f"{i}-{r[0].name}" for i, r in enumerate(REFUSALS)]
)
def test_each_reason_is_given_and_nothing_is_reserved(
    reason: Reason, change: Change, order: dict[str, int], limit: dict[str, int]
) -> None:
    desk = Desk(**limit)
    change(desk)
    assert desk.ask(**order) is reason
    assert desk.gate.denials == {reason: 1}
    assert desk.gate.reserved_micros(Venue.POLYMARKET) == 0
    assert int(desk.gate.state["open_orders"]) == 0


EDGES: list[tuple[Change, dict[str, int], dict[str, int]]] = [
    (nothing, {"expire_ns": NOW}, {}),
    (book("recv_ns", NOW - 5 * NS_PER_S), {}, {}),
    (nothing, {"size_e6": 5 * CONTRACT, "price_e4": 2_000}, {}),
    (nothing, {"size_e6": 1_000 * CONTRACT, "price_e4": 100}, {}),
    (nothing, {}, {"order_notional_max_micros": 50 * DOLLAR}),
    (nothing, {}, {"position_max_e6": 100 * CONTRACT}),
    (nothing, {}, {"market_exposure_max_micros": 50 * DOLLAR}),
    (nothing, {}, {"event_exposure_max_micros": 50 * DOLLAR}),
    (nothing, {}, {"heat_max_ppm": 5_000}),
    (equity(9_501), {}, {}),
    (equity(7_501), {}, {"daily_loss_max_micros": 10**12}),
    (nothing, {}, {"open_orders_max": 1}),
    (nothing, {}, {"orders_burst": 1}),
    (cash(50), {}, {}),
]


@pytest.mark.parametrize(("change", "order", "limit"), EDGES)
def test_exactly_at_the_limit_passes(change: Change, order: dict[str, int], limit: dict[str, int]) -> None:
    desk = Desk(**limit)
    change(desk)
    assert desk.ask(**order) is Reason.NONE


def test_what_is_in_flight_counts_as_filled() -> None:
    desk = Desk(market_exposure_max_micros=120 * DOLLAR)
    assert desk.ask() is Reason.NONE
    assert desk.ask() is Reason.NONE
    assert desk.ask() is Reason.MARKET_EXPOSURE_LIMIT
    desk.gate.release(1)
    assert desk.ask() is Reason.NONE


def test_the_markets_of_one_event_share_its_limit_and_others_do_not() -> None:
    desk = Desk(event_exposure_max_micros=80 * DOLLAR)
    assert desk.ask(market=0) is Reason.NONE
    assert desk.ask(market=1) is Reason.EVENT_EXPOSURE_LIMIT
    assert desk.ask(market=2) is Reason.NONE


def test_cash_is_promised_once() -> None:
    desk = Desk()
    desk.gate.set_cash(Venue.POLYMARKET, 99 * DOLLAR)
    assert desk.ask() is Reason.NONE
    assert desk.ask() is Reason.CASH_UNAVAILABLE


def test_the_same_order_id_never_passes_twice() -> None:
    desk = Desk()
    request = desk.order()
    assert desk.gate.check(request, EPOCH, 0, NOW) is Reason.NONE
    assert desk.gate.check(request, EPOCH, 0, NOW) is Reason.DUPLICATE_INTENT
    desk.gate.release(1)
    assert desk.gate.check(request, EPOCH, 0, NOW) is Reason.DUPLICATE_INTENT


def test_another_epoch_than_the_decision_is_refused() -> None:
    desk = Desk()
    assert desk.gate.check(desk.order(), EPOCH - 1, 0, NOW) is Reason.STALE_EPOCH


def test_a_sale_of_what_is_held_skips_pause_exposure_and_losses_but_not_a_halt() -> None:
    desk = Desk(market_exposure_max_micros=0)
    desk.gate.set_position(desk.refs[2].slot, 100 * CONTRACT, 0, 60 * DOLLAR)
    desk.gate.set_equity(5_000 * DOLLAR)
    desk.gate.pause(paused=True)
    assert desk.ask(direction=Direction.SELL, worst=0, size_e6=60 * CONTRACT) is Reason.NONE
    assert desk.ask(direction=Direction.SELL, worst=0, size_e6=60 * CONTRACT) is Reason.NAKED_SALE
    assert desk.ask(direction=Direction.SELL, worst=0, size_e6=40 * CONTRACT) is Reason.NONE
    desk.gate.halt(Reason.DAILY_LOSS)
    assert desk.ask(direction=Direction.SELL, worst=0, size_e6=10 * CONTRACT) is Reason.HALTED


def test_a_sale_may_be_smaller_than_the_minimum_purchase() -> None:
    desk = Desk()
    desk.gate.set_position(desk.refs[2].slot, CONTRACT, 0, DOLLAR)
    assert desk.ask(direction=Direction.SELL, worst=0, size_e6=CONTRACT) is Reason.NONE


def test_a_halt_latches_once_and_nothing_clears_it() -> None:
    desk = Desk()
    desk.gate.halt(Reason.DAILY_LOSS)
    desk.gate.halt(Reason.DRAWDOWN)
    desk.gate.pause(paused=False)
    assert desk.latched == [Reason.DAILY_LOSS]
    assert desk.gate.halted
    assert desk.ask(slot=-1) is Reason.HALTED


@pytest.mark.parametrize(
    ("dollars", "reason"), [(9_500, Reason.DAILY_LOSS), (7_500, Reason.DRAWDOWN), (0, Reason.DRAWDOWN)]
)
def test_a_loss_limit_once_reached_stops_what_opens_exposure_and_nothing_resumes_it(
    dollars: int, reason: Reason
) -> None:
    desk = Desk(daily_loss_max_micros=10**12 if reason is Reason.DRAWDOWN else 500 * DOLLAR)
    desk.gate.set_position(desk.refs[2].slot, 100 * CONTRACT, 0, 60 * DOLLAR)
    desk.gate.set_equity(dollars * DOLLAR)
    desk.gate.set_equity(20_000 * DOLLAR)
    desk.gate.start_day(20_000 * DOLLAR)
    assert (desk.gate.stopped_by, desk.latched) == (reason, [reason])
    assert desk.ask() is reason
    assert desk.ask(direction=Direction.SELL, worst=0, size_e6=60 * CONTRACT) is Reason.NONE
    assert not desk.gate.halted


def test_a_loss_on_books_in_doubt_refuses_only_while_it_lasts() -> None:
    desk = Desk()
    desk.gate.set_equity(9_500 * DOLLAR, sure=False)
    assert desk.ask() is Reason.DAILY_LOSS
    assert (desk.gate.stopped_by, desk.latched, desk.gate.drawdown_max_ppm) == (Reason.NONE, [], 0)
    desk.gate.set_equity(9_501 * DOLLAR)
    assert desk.ask() is Reason.NONE
    assert desk.gate.drawdown_max_ppm == 49_900


def test_the_deepest_fall_from_the_highest_equity_is_remembered() -> None:
    desk = Desk()
    for dollars in (12_000, 11_700, 11_994):
        desk.gate.set_equity(dollars * DOLLAR)
    assert desk.gate.drawdown_max_ppm == 25_000
    assert desk.gate.stopped_by is Reason.NONE


def test_heat_beyond_what_can_be_counted_is_over_every_limit() -> None:
    """A micro-dollar of equity under ten million dollars of exposure: the quotient passes int64."""
    desk = Desk(heat_max_ppm=INT64_MAX, daily_loss_max_micros=INT64_MAX, drawdown_stop_ppm=2_000_000)
    desk.gate.set_equity(1)
    desk.gate.state["exposure_micros"] = 9_300_000 * DOLLAR
    assert desk.ask() is Reason.PORTFOLIO_HEAT
    desk.gate.state["exposure_micros"] = 9_000_000 * DOLLAR
    assert desk.ask() is Reason.NONE


def test_a_latch_that_fails_leaves_the_gate_halted() -> None:
    desk = Desk()

    def failing(reason: Reason) -> None:
        raise OSError(reason.name)

    gate = Gate(limits(), desk.catalog.rows, desk.books, failing)
    with pytest.raises(OSError, match="DAILY_LOSS"):
        gate.stop(Reason.DAILY_LOSS)
    assert gate.stopped_by is Reason.DAILY_LOSS
    with pytest.raises(OSError, match="DRAWDOWN"):
        gate.halt(Reason.DRAWDOWN)
    assert gate.halted


def test_the_rate_bucket_empties_and_refills_with_time() -> None:
    desk = Desk(orders_burst=2, orders_per_second=10)
    small = {"size_e6": 10 * CONTRACT}
    assert [desk.ask(**small) for _ in range(3)] == [Reason.NONE, Reason.NONE, Reason.ORDER_RATE]
    tenth = NS_PER_S // 10
    assert desk.ask(now_ns=NOW + tenth - 1_000, **small) is Reason.ORDER_RATE
    assert desk.ask(now_ns=NOW + tenth, **small) is Reason.NONE
    assert desk.ask(now_ns=NOW - tenth, **small) is Reason.ORDER_RATE
    later = [desk.ask(now_ns=NOW + 4 * NS_PER_S, **small) for _ in range(3)]
    assert later == [
        Reason.NONE,
        Reason.NONE,
        Reason.ORDER_RATE,
    ]  # no more than the burst however long it waited


def test_no_is_checked_on_the_yes_grid() -> None:
    desk = Desk()
    assert desk.ask(outcome=Outcome.NO, price_e4=9_110, size_e6=10 * CONTRACT) is Reason.NONE
    assert desk.ask(outcome=Outcome.NO, price_e4=8_910, size_e6=10 * CONTRACT) is Reason.PRICE_OFF_GRID


@given(st.integers(-10, 10_010))
def test_the_grid_kernel_agrees_with_the_catalog(price_e4: int) -> None:
    desk = Desk()
    assert on_grid(desk.catalog.rows[desk.refs[0].slot], price_e4) == spec("x").on_grid(price_e4)


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(0, 2), st.integers(1, 900), st.integers(1, 99), st.integers(0, 100)
    ),
    max_size=40,
)


@given(STEPS)
def test_reservations_follow_a_plain_model(steps: list[tuple[int, int, int, int, int]]) -> None:
    """Orders, fills and releases at random: what is reserved is what a dictionary says."""
    desk = Desk(orders_burst=10**6, open_orders_max=10)
    live: dict[int, list[Fraction]] = {}
    for action, market, contracts, cents, share in steps:
        if action == 0:
            number = desk.next_id
            answer = desk.ask(market, size_e6=contracts * CONTRACT, price_e4=cents * 100)
            if answer is Reason.NONE:
                live[number] = [Fraction(contracts * CONTRACT), Fraction(contracts * cents * 10_000)]
        elif live:
            number = sorted(live)[market % len(live)]
            if action == 1:
                size, money = live[number]
                filled = int(size) * share // 100
                desk.gate.on_fill(number, filled)
                if filled:
                    live[number] = [size - filled, money - int(money) * filled // int(size)]
            else:
                desk.gate.release(number)
                del live[number]
        assert desk.gate.reserved_micros(Venue.POLYMARKET) == sum(money for _, money in live.values())
        assert int(desk.gate.markets["buying_e6"].sum()) == sum(size for size, _ in live.values())
        assert int(desk.gate.state["open_orders"]) == len(live)
        assert int(desk.gate.state["exposure_micros"]) == sum(money for _, money in live.values())
    for number in list(live):
        desk.gate.release(number)
        desk.gate.release(number)
    assert int(desk.gate.state["exposure_micros"]) == 0
    assert int(desk.gate.markets["reserved_micros"].sum()) == 0


def test_fills_of_orders_unknown_or_done_change_nothing() -> None:
    desk = Desk()
    desk.gate.on_fill(99, CONTRACT)
    assert desk.ask() is Reason.NONE
    desk.gate.on_fill(1, 100 * CONTRACT)
    desk.gate.on_fill(1, CONTRACT)
    assert desk.gate.reserved_micros(Venue.POLYMARKET) == 0


def test_the_largest_order_does_not_wrap_around() -> None:
    desk = Desk(order_size_max_e6=INT64_MAX, position_max_e6=INT64_MAX, order_notional_max_micros=INT64_MAX)
    size = 10**15
    assert desk.ask(size_e6=size, price_e4=9_900, worst=size) is Reason.MARKET_EXPOSURE_LIMIT


def test_the_kernel_answers_the_same_as_plain_python() -> None:
    desk = Desk()
    plain = getattr(check, "py_func", check)
    slot = desk.refs[2].slot
    for number in range(1, 200):
        request = desk.order(price_e4=number * 50, size_e6=number * CONTRACT // 2, order_id=number)
        args = (
            desk.gate.limits,
            desk.gate.state,
            desk.catalog.rows[slot],
            desk.gate.markets[slot],
            desk.books[slot],
            request,
            EPOCH,
            number * DOLLAR,
            0,
            NOW,
        )
        assert check(*args) == plain(*args)


def test_a_removed_market_is_unknown() -> None:
    desk = Desk()
    desk.catalog.remove_market(desk.refs[2].slot)
    assert not int(desk.catalog.rows[desk.refs[2].slot]["flags"]) & MarketFlag.IN_USE
    assert desk.ask() is Reason.UNKNOWN_MARKET


def test_a_gate_without_a_latch_still_stops_and_halts() -> None:
    desk = Desk()
    gate = Gate(limits(), desk.catalog.rows, desk.books)
    gate.stop(Reason.DAILY_LOSS)
    gate.halt(Reason.DRAWDOWN)
    assert (gate.stopped_by, gate.halted) == (Reason.DAILY_LOSS, True)


def test_the_first_limit_that_was_reached_stays_the_reason() -> None:
    desk = Desk()
    desk.gate.stop(Reason.DAILY_LOSS)
    desk.gate.stop(Reason.DRAWDOWN)
    assert (desk.gate.stopped_by, desk.latched) == (Reason.DAILY_LOSS, [Reason.DAILY_LOSS])
