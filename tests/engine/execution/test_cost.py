from __future__ import annotations

from dataclasses import replace

import pytest

from engine.catalog.market import FeeKind, FeeSpec, MarketSpec
from engine.execution.cost import FILLS_MAX, worst_cash_micros
from engine.fees import FEE_UNKNOWN
from engine.records import Direction, Venue
from tests.engine.sim.world import DOLLAR, KALSHI, ONE, POLY, catalog_of
from tests.plain_twin import PlainTwin


def cost(spec: MarketSpec, direction: Direction, price: int, size: int) -> int:
    return worst_cash_micros(catalog_of(spec).rows, 0, price, size, direction == Direction.SELL)


def test_the_worst_cash_is_rounded_up() -> None:
    free = replace(POLY, fee=FeeSpec(FeeKind.POLYMARKET_CURVE, 0))
    assert [cost(free, Direction.BUY, 1, size) for size in (1, 10_000, 10_001)] == [
        FILLS_MAX + 1,
        FILLS_MAX + 1,
        FILLS_MAX + 2,
    ]


def test_the_worst_cash_covers_many_small_trades_and_a_sale_costs_nothing() -> None:
    for spec in (POLY, KALSHI):
        worst = cost(spec, Direction.BUY, 5000, 100 * ONE)
        fee = {Venue.POLYMARKET: 1_000_000, Venue.KALSHI: 1_750_000}[spec.venue]
        assert 50 * DOLLAR + fee < worst < 50 * DOLLAR + fee + 2_000
        assert cost(spec, Direction.SELL, 5000, 100 * ONE) == 0
        assert cost(replace(spec, fee=None), Direction.SELL, 5000, ONE) == FEE_UNKNOWN
        assert cost(replace(spec, fee=None), Direction.BUY, 5000, ONE) == FEE_UNKNOWN


@pytest.mark.compiled_only
def test_compiled_equals_plain(plain_twin: PlainTwin) -> None:
    plain = plain_twin("engine.execution.cost")
    for spec in (POLY, KALSHI, replace(POLY, fee=None)):
        rows = catalog_of(spec).rows
        for number in range(1, 100):
            args = (rows, 0, 100 * number, number * ONE // 3, number % 5 == 0)
            assert worst_cash_micros(*args) == plain.worst_cash_micros(*args)
