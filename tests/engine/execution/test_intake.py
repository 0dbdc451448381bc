from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from engine.catalog.catalog import Catalog
from engine.catalog.market import GroupKind
from engine.execution.intake import index_of_conversion, leg_size_e6, read_legs
from engine.execution.plan import Leg
from engine.reasons import Reason
from engine.records import LEGS_MAX, PLAN_LEG, Direction, Outcome, TimeInForce
from tests.engine.sim.world import KALSHI, ONE, POLY, catalog_of, neg_risk

Rows = npt.NDArray[np.void]
BUY, SELL, YES, NO = Direction.BUY, Direction.SELL, Outcome.YES, Outcome.NO


def records(catalog: Catalog, *legs: tuple[int, int, int, int, int], size: int = 100 * ONE) -> Rows:
    """(slot, direction, outcome, limit, convert)"""
    rows: Rows = np.zeros(len(legs), PLAN_LEG)
    for row, (slot, direction, outcome, limit, convert) in zip(rows, legs, strict=True):
        row["slot"], row["direction"], row["outcome"], row["limit_e4"] = slot, direction, outcome, limit
        row["convert"], row["size_e6"], row["tif"], row["generation"] = convert, size, TimeInForce.FAK, 1
        row["venue"] = catalog.rows[min(max(slot, 0), catalog.capacity - 1)]["venue"]
    return rows


def read(catalog: Catalog, rows: Rows) -> tuple[Reason, list[Leg]]:
    legs: list[Leg] = []
    return read_legs(catalog, rows, legs), legs


TWO = catalog_of(POLY, KALSHI)


def test_legs_are_rounded_against_us_and_share_a_size() -> None:
    reason, legs = read(TWO, records(TWO, (0, BUY, YES, 5350, 0), (1, BUY, NO, 4799, 0), size=99_990_000))
    assert reason == Reason.NONE
    assert [leg.limit_e4 for leg in legs] == [5300, 4700]
    assert [leg.size_e6 for leg in legs] == [99 * ONE, 99 * ONE]  # whole cents at 0.53 are whole shares
    assert [leg.index for leg in legs] == [0, 1]


def test_the_records_are_copied() -> None:
    rows = records(TWO, (0, BUY, YES, 5000, 0))
    _, [leg] = read(TWO, rows)
    rows["slot"] = 3
    assert leg.slot == 0


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("slot", 9, Reason.UNKNOWN_MARKET),
        ("slot", -1, Reason.UNKNOWN_MARKET),
        ("slot", 2, Reason.UNKNOWN_MARKET),
        ("generation", 7, Reason.UNKNOWN_MARKET),
        ("outcome", 2, Reason.VERIFY_FAILED),
        ("direction", 2, Reason.VERIFY_FAILED),
        ("venue", 2, Reason.UNKNOWN_MARKET),
        ("limit_e4", 40, Reason.PRICE_OFF_GRID),
        ("size_e6", 4 * ONE, Reason.BELOW_MINIMUM_SIZE),
        ("size_e6", 0, Reason.BELOW_MINIMUM_SIZE),
        ("tif", 9, Reason.VENUE_REJECTED),
        ("convert", 2, Reason.BELOW_MINIMUM_SIZE),  # nothing left that makes a set
        ("convert", 1, Reason.NOT_EXHAUSTIVE),
    ],
)
def test_what_cannot_be_executed_is_refused(field: str, value: int, reason: Reason) -> None:
    rows = records(TWO, (0, BUY, YES, 5000, 0))
    rows[field] = value
    assert read(TWO, rows)[0] == reason


def test_a_removed_market_is_unknown() -> None:
    catalog = catalog_of(POLY)
    rows = records(catalog, (0, BUY, YES, 5000, 0))
    catalog.remove_market(0)
    assert read(catalog, rows)[0] == Reason.UNKNOWN_MARKET


def test_legs_are_counted() -> None:
    assert read(TWO, records(TWO))[0] == Reason.TOO_MANY_LEGS
    assert read(TWO, records(TWO, *[(0, BUY, YES, 5000, 0)] * (LEGS_MAX + 1)))[0] == Reason.TOO_MANY_LEGS
    assert read(TWO, records(TWO, *[(0, BUY, YES, 5000, 0)] * LEGS_MAX))[0] == Reason.NONE


EVENT = catalog_of(neg_risk("a"), neg_risk("b"), neg_risk("c"), POLY)
GOOD = ((2, BUY, NO, 6000, 1), (0, BUY, NO, 6000, 1), (1, SELL, YES, 2500, 2))


def test_a_conversion_names_the_members_it_gives() -> None:
    reason, legs = read(EVENT, records(EVENT, *GOOD))
    assert reason == Reason.NONE
    assert index_of_conversion(EVENT, legs) == (0, 2)


@pytest.mark.parametrize(
    "legs",
    [
        (GOOD[0], GOOD[1], (1, BUY, YES, 2500, 2)),
        (GOOD[0], (0, BUY, YES, 6000, 1), GOOD[2]),
        (GOOD[0], (0, SELL, NO, 6000, 1), GOOD[2]),
        (GOOD[0], (3, BUY, NO, 6000, 1), GOOD[2]),  # another event
        (GOOD[0], GOOD[0], GOOD[2]),
        (GOOD[0], GOOD[1], (0, SELL, YES, 2500, 2)),  # its own YES does not come of it
        (GOOD[0], GOOD[1], (1, BUY, NO, 6000, 0)),  # half of it is no conversion
        ((0, BUY, YES, 5000, 0), GOOD[2]),
    ],
)
def test_what_is_no_conversion_is_refused(legs: tuple[tuple[int, int, int, int, int], ...]) -> None:
    assert read(EVENT, records(EVENT, *legs))[0] == Reason.NOT_EXHAUSTIVE


def test_a_group_without_neg_risk_does_not_convert() -> None:
    plain = replace(POLY, symbol="d", group="E", group_kind=GroupKind.EXACTLY_ONE)
    catalog = catalog_of(plain, replace(plain, symbol="e"))
    assert read(catalog, records(catalog, (0, BUY, NO, 6000, 1)))[0] == Reason.NOT_EXHAUSTIVE


def test_a_smaller_size_is_rounded_again() -> None:
    _, [leg] = read(TWO, records(TWO, (0, BUY, YES, 5300, 0)))
    assert leg_size_e6(TWO, leg, 7_500_000) == 7 * ONE
    assert leg_size_e6(TWO, leg, 4_900_000) == 0
