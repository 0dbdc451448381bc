from __future__ import annotations

from math import gcd, lcm

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.execution.semantics import lot_at_e6, takes_bids, yes_price_e4
from engine.execution.terms import common_multiple, order_lot_e6, own_price, side_taken
from engine.facts import market_facts
from engine.records import Direction, Outcome, Side, TimeInForce, Venue
from engine.units import SIDE_SIZE_MAX_E6
from tests.engine.optimizer.desk import BUY, CONTRACT, NO, POLITICS, SELL, YES, Desk
from tests.plain_twin import PlainTwin


@pytest.mark.parametrize(
    ("direction", "outcome", "side"),
    [(BUY, YES, Side.ASK), (SELL, YES, Side.BID), (BUY, NO, Side.BID), (SELL, NO, Side.ASK)],
)
def test_the_side_a_leg_takes(direction: Direction, outcome: Outcome, side: Side) -> None:
    assert side_taken(int(direction), int(outcome)) == side


@given(st.integers(0, 10_000))
def test_a_price_of_no_is_one_dollar_less_that_of_yes(price: int) -> None:
    assert own_price(int(YES), price) == price
    assert own_price(int(NO), price) == 10_000 - price
    assert own_price(int(NO), own_price(int(NO), price)) == price


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_common_multiples(a: int, b: int) -> None:
    assert common_multiple(a, b) == (lcm(a, b) if a and b else 0)


def test_a_multiple_beyond_every_book_is_none() -> None:
    assert common_multiple(SIDE_SIZE_MAX_E6, 1) == SIDE_SIZE_MAX_E6
    assert common_multiple(SIDE_SIZE_MAX_E6, 7) == 0
    largest = SIDE_SIZE_MAX_E6 // 11
    assert common_multiple(largest, 11) == 11 * largest
    assert common_multiple(largest + 1, 11) == 0
    assert common_multiple(10**15, 10**15 - 1) == 0


@given(st.integers(1, 9_999), st.sampled_from([10_000, 100_000, 250_000, CONTRACT]))
def test_purchases_on_polymarket_are_the_smallest_step_that_costs_whole_cents(price: int, lot: int) -> None:
    desk = Desk()
    desk.market(0, venue=Venue.POLYMARKET, lot_e6=lot)
    step = order_lot_e6(desk.markets[0], int(BUY), price)
    assert step % lot == 0
    assert step % 10_000 == 0
    assert step * price % 10**8 == 0  # e6 x e4 to whole cents
    finest = lcm(lot, 10_000)
    assert step == finest * (10**8 // gcd(finest * price, 10**8))


def test_other_orders_only_keep_the_markets_lot() -> None:
    desk = Desk()
    desk.market(0, venue=Venue.POLYMARKET, lot_e6=10_000)
    desk.market(1, venue=Venue.KALSHI, lot_e6=10_000)
    assert order_lot_e6(desk.markets[0], int(SELL), 3_333) == 10_000
    assert order_lot_e6(desk.markets[1], int(BUY), 3_333) == 10_000
    assert order_lot_e6(desk.markets[0], int(BUY), 3_300) == CONTRACT
    assert order_lot_e6(desk.markets[0], int(BUY), 5_000) == 20_000


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("outcome", list(Outcome))
def test_kernels_say_what_the_semantics_of_venues_say(direction: Direction, outcome: Outcome) -> None:
    of_asks = side_taken(int(direction), int(outcome)) == Side.ASK
    assert of_asks != takes_bids(direction, outcome)
    assert own_price(int(outcome), 3_700) == yes_price_e4(3_700, outcome)
    desk = Desk()
    desk.market(0, venue=Venue.POLYMARKET, lot_e6=10_000)
    desk.market(1, venue=Venue.KALSHI, lot_e6=CONTRACT)
    for slot in (0, 1):
        known = market_facts(desk.markets[slot])
        for price in (1, 16, 37, 2_500, 3_333, 9_999):
            for tif in (TimeInForce.FOK, TimeInForce.FAK):
                lot = lot_at_e6(known, direction, tif, price)
                assert order_lot_e6(desk.markets[slot], int(direction), price) == lot


def test_lots_compiled_and_plain_agree(plain_twin: PlainTwin) -> None:
    plain = plain_twin("engine.execution.terms")
    desk = Desk()
    desk.market(0, venue=Venue.POLYMARKET, **POLITICS)
    for price in range(0, 10_001, 37):
        compiled = order_lot_e6(desk.markets[0], int(BUY), price)
        assert plain.order_lot_e6(desk.markets[0], int(BUY), price) == compiled
