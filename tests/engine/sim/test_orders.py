from __future__ import annotations

import pytest

from engine.records import Direction, Outcome, TimeInForce
from engine.sim.orders import VenueOrder, VenueState
from tests.engine.sim.world import KALSHI, ONE, Desk

DESK = Desk(KALSHI)


def order(direction: Direction, outcome: Outcome, tif: TimeInForce = TimeInForce.FAK) -> VenueOrder:
    return VenueOrder(DESK.request(direction, outcome, 4800, 10 * ONE, tif), 1, 1, 0, 7 * ONE)


@pytest.mark.parametrize(
    ("direction", "outcome", "yes_limit", "takes_bids"),
    [
        (Direction.BUY, Outcome.YES, 4800, False),
        (Direction.SELL, Outcome.YES, 4800, True),
        (Direction.BUY, Outcome.NO, 5200, True),
        (Direction.SELL, Outcome.NO, 5200, False),
    ],
)
def test_an_order_in_yes_terms(
    direction: Direction, outcome: Outcome, yes_limit: int, takes_bids: bool
) -> None:
    one = order(direction, outcome)
    assert (one.yes_limit_e4, one.takes_bids, one.buys) == (yes_limit, takes_bids, direction == Direction.BUY)
    assert (one.slot, one.outcome, one.state) == (0, outcome, VenueState.ARRIVED)
    assert one.accumulator_micros == 0


def test_what_is_left_was_not_filled() -> None:
    one = order(Direction.BUY, Outcome.YES)
    assert int(one.request["size_e6"]) - one.left_e6 == 3 * ONE


@pytest.mark.parametrize("tif", list(TimeInForce))
def test_only_good_till_cancelled_rests(tif: TimeInForce) -> None:
    expected = tif in (TimeInForce.GTC, TimeInForce.GTC_POST_ONLY)
    assert order(Direction.BUY, Outcome.YES, tif).rests is expected


def test_two_orders_are_never_the_same_one() -> None:
    one, other = order(Direction.BUY, Outcome.YES), order(Direction.BUY, Outcome.YES)
    assert one != other
    assert [one, other].index(other) == 1
