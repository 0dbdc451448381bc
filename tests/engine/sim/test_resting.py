from __future__ import annotations

import pytest

from engine.records import Direction, Outcome, Side, TimeInForce
from engine.sim import resting
from engine.sim.orders import VenueOrder
from engine.sim.queue import QueuePlace
from engine.sim.resting import RestingOrders
from tests.engine.sim.world import KALSHI, Desk

desk = Desk(KALSHI)


def order(direction: Direction, price: int, size: int, ahead: int = 0, number: int = 1) -> VenueOrder:
    request = desk.request(direction, Outcome.YES, price, size, TimeInForce.GTC)
    return VenueOrder(request, number, number, 0, size, place=QueuePlace(ahead))


def bid(price: int, size: int, ahead: int = 0) -> VenueOrder:
    return order(Direction.BUY, price, size, ahead)


def test_better_price_first_then_earlier() -> None:
    orders = RestingOrders()
    made = [bid(4800, 1), bid(4900, 1), bid(4800, 2), bid(4700, 1)]
    assert all(orders.add(one) for one in made)
    assert list(orders.of(0, Side.BID)) == [made[1], made[0], made[2], made[3]]
    asks = [order(Direction.SELL, price, 1) for price in (5200, 5100, 5200)]
    assert all(orders.add(one) for one in asks)
    assert list(orders.of(0, Side.ASK)) == [asks[1], asks[0], asks[2]]
    assert sorted(set(orders.slots())) == [0]
    for one in made + asks:
        orders.remove(one)
    assert (len(orders), list(orders.slots())) == (0, [])


def test_one_trade_is_shared_out_once() -> None:
    orders = RestingOrders()
    first, second, third = bid(4900, 3), bid(4800, 4, ahead=2), bid(4800, 5, ahead=2)
    for one in (third, first):
        orders.add(one)
    orders.add(second)
    fills = orders.on_trade(0, Side.BID, 4800, 10, 0)
    assert fills == [(first, 3), (third, 5)]  # 3 through, 2 ahead, then the earlier one
    assert orders.on_trade(0, Side.BID, 4850, 10, 0) == [(first, 3)]
    assert orders.on_trade(0, Side.ASK, 4800, 10, 0) == []
    assert orders.on_trade(0, Side.BID, 5000, 10, 0) == []


def test_a_second_order_at_the_price_gets_what_the_first_leaves() -> None:
    orders = RestingOrders()
    first, second = bid(4800, 4, ahead=2), bid(4800, 5, ahead=2)
    orders.add(first)
    orders.add(second)
    assert orders.on_trade(0, Side.BID, 4800, 9, 0) == [(first, 4), (second, 3)]


def test_who_would_be_met() -> None:
    orders = RestingOrders()
    orders.add(bid(4800, 1))
    assert orders.met_by(order(Direction.SELL, 4800, 1)) == 4800
    assert orders.met_by(order(Direction.SELL, 4900, 1)) is None
    assert orders.met_by(bid(4900, 1)) is None


def test_the_bound_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resting, "RESTING_MAX", 1)
    orders = RestingOrders()
    assert orders.add(bid(4800, 1))
    assert not orders.add(bid(4800, 1))


def test_a_level_that_is_gone_has_nobody_ahead() -> None:
    orders = RestingOrders()
    waiting = bid(4800, 4, ahead=2)
    assert orders.add(waiting)
    orders.on_levels(0, Side.BID, {4900: 7}, 5)
    assert waiting.place is not None
    assert waiting.place.ahead_e6 == 0
