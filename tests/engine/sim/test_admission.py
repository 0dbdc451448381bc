from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.catalog.market import MarketSpec
from engine.reasons import Reason
from engine.records import ORDER_REQUEST, Direction, Outcome, TimeInForce
from engine.sim.admission import shape_fault, too_small_to_take
from tests.engine.sim.world import KALSHI, ONE, POLY, S, catalog_of

BUY, SELL, YES, NO = Direction.BUY, Direction.SELL, Outcome.YES, Outcome.NO
FAK, GTC = TimeInForce.FAK, TimeInForce.GTC


def fault(
    spec: MarketSpec, direction: int, outcome: int, price: int, size: int, tif: int = FAK, expire: int = 0
) -> Reason:
    row = catalog_of(spec).rows[0]
    request: np.void = np.zeros(1, ORDER_REQUEST)[0]
    request["direction"], request["outcome"], request["tif"] = direction, outcome, tif
    request["price_e4"], request["size_e6"], request["expire_ns"] = price, size, expire
    return shape_fault(row, request, 1_000 * S)


@pytest.mark.parametrize(
    ("spec", "direction", "outcome", "price", "size", "expected"),
    [
        (POLY, BUY, YES, 5000, 5 * ONE, Reason.NONE),
        (POLY, BUY, YES, 5000, 5 * ONE - 10_000, Reason.VENUE_BAD_SIZE),  # five shares at least
        (POLY, SELL, YES, 5000, 5 * ONE - 10_000, Reason.VENUE_BAD_SIZE),
        (POLY, BUY, YES, 5050, 6 * ONE, Reason.VENUE_BAD_PRICE),
        (POLY, BUY, NO, 5050, 6 * ONE, Reason.VENUE_BAD_PRICE),
        (POLY, BUY, NO, 5100, 6 * ONE, Reason.NONE),
        (POLY, BUY, YES, 0, 6 * ONE, Reason.VENUE_BAD_PRICE),
        (POLY, BUY, YES, 10_000, 6 * ONE, Reason.VENUE_BAD_PRICE),
        (POLY, BUY, YES, 5300, 5 * ONE + 10_000, Reason.VENUE_BAD_SIZE),  # 2.6553 dollars
        (POLY, SELL, YES, 5300, 5 * ONE + 10_000, Reason.NONE),
        (POLY, SELL, YES, 5300, 5 * ONE + 5_000, Reason.VENUE_BAD_SIZE),
        (replace(POLY, price_ranges=((0, 10_000, 1),)), SELL, YES, 1, 6 * ONE, Reason.NONE),
        (replace(POLY, price_ranges=((0, 10_000, 1),)), SELL, YES, 9_999, 6 * ONE, Reason.NONE),
        (KALSHI, BUY, YES, 5300, 10_000, Reason.NONE),
        (KALSHI, BUY, YES, 5300, 15_000, Reason.VENUE_BAD_SIZE),
        (KALSHI, BUY, YES, 5300, 0, Reason.VENUE_BAD_SIZE),
    ],
)
def test_shape(
    spec: MarketSpec, direction: int, outcome: int, price: int, size: int, expected: Reason
) -> None:
    assert fault(spec, direction, outcome, price, size) == expected


def test_the_cents_rule_is_for_orders_that_take() -> None:
    assert fault(POLY, BUY, YES, 5300, 5 * ONE + 10_000, GTC) == Reason.NONE


def test_expiry_is_bounded_below_by_the_venue_and_ignored_where_nothing_rests() -> None:
    now = 1_000 * S
    assert fault(POLY, BUY, YES, 5000, 6 * ONE, GTC, now + 180 * S) == Reason.NONE
    assert fault(POLY, BUY, YES, 5000, 6 * ONE, GTC, now + 179 * S) == Reason.VENUE_REJECTED
    assert fault(KALSHI, BUY, YES, 5000, 6 * ONE, GTC, now + S) == Reason.NONE
    assert fault(KALSHI, BUY, YES, 5000, 6 * ONE, GTC, now + S - 1) == Reason.VENUE_REJECTED
    assert fault(KALSHI, BUY, YES, 5000, 6 * ONE, FAK, now - S) == Reason.NONE


def test_an_unknown_life_is_refused() -> None:
    assert fault(KALSHI, BUY, YES, 5000, ONE, 9) == Reason.VENUE_REJECTED


def test_a_purchase_that_takes_costs_a_dollar() -> None:
    row = catalog_of(POLY).rows[0]
    request: np.void = np.zeros(1, ORDER_REQUEST)[0]
    request["price_e4"], request["size_e6"] = 1_000, 10 * ONE - 10_000
    assert too_small_to_take(row, request)
    request["size_e6"] = 10 * ONE
    assert not too_small_to_take(row, request)
    request["direction"], request["size_e6"] = SELL, 5 * ONE
    assert not too_small_to_take(row, request)
