from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.execution.lay_out import Ints, Rows, lay_out
from engine.ledger.journal import KEPT_LEG
from engine.records import (
    LEGS_MAX,
    ORDER_EVENT,
    ORDER_REQUEST,
    PLAN_LEG,
    OrderStatus,
    RequestKind,
)
from engine.units import INT64_MAX
from tests.engine.execution.floor import NO, YES, Floor, cross
from tests.engine.execution.test_departure import plan_rows
from tests.engine.sim.world import KALSHI, ONE, POLY
from tests.plain_twin import PlainTwin

FIRST_ID = 700


def made(n_legs: int = 2) -> tuple[Rows, Rows, Rows, Ints]:
    sizes = (ORDER_REQUEST, ORDER_EVENT, KEPT_LEG)
    rows = [cast("Rows", np.zeros(n_legs, layout)) for layout in sizes]
    return rows[0], rows[1], rows[2], np.zeros(n_legs, np.int64)


def test_the_rows_of_each_leg() -> None:
    floor = cross()
    head, legs = plan_rows(floor)
    requests, events, kept, worst = rows = made()
    given_rows = floor.catalog.rows, floor.rows, head, legs
    assert lay_out(*given_rows, 2, FIRST_ID, floor.now_ns, *rows)
    assert requests["order_id"].tolist() == [FIRST_ID, FIRST_ID + 1]
    assert requests["price_e4"].tolist() == [5_000, 4_800]
    assert requests["expire_ns"].tolist() == [int(head["deadline_ns"][0])] * 2
    assert {*requests["kind"].tolist()} == {RequestKind.NEW}
    assert requests["leg"].tolist() == [0, 1]
    assert not requests["identity"].any()
    assert events["order_id"].tolist() == requests["order_id"].tolist()
    assert {*events["status"].tolist()} == {OrderStatus.SENT}
    assert {*events["signal_id"].tolist()} == {77}
    assert kept["exit_e4"].tolist() == [4_900, 4_700]
    assert (worst > 24 * ONE).all()


@pytest.mark.parametrize("n_legs", [-1, 0, 1, LEGS_MAX + 1, INT64_MAX])
def test_another_number_of_legs_than_the_head_says_is_not_laid_out(n_legs: int) -> None:
    floor = cross()
    head, legs = plan_rows(floor)
    assert not lay_out(floor.catalog.rows, floor.rows, head, legs, n_legs, 1, floor.now_ns, *made())


def test_a_plan_is_laid_out_until_its_deadline() -> None:
    floor = cross()
    head, legs = plan_rows(floor)
    deadline_ns = int(head["deadline_ns"][0])
    rows = floor.catalog.rows, floor.rows, head, legs, 2, 1
    assert lay_out(*rows, deadline_ns, *made())
    assert not lay_out(*rows, deadline_ns + 1, *made())


def test_the_grid_is_that_of_yes_for_either_outcome() -> None:
    """Below 0.10 its steps are a tenth of those above."""
    fine = replace(KALSHI, price_ranges=((0, 1_000, 10), (1_000, 10_000, 100)))
    floor = Floor(POLY, fine)
    head, legs = plan_rows(floor)
    laid = []
    for outcome, limit in ((NO, 9_550), (NO, 450), (YES, 450), (YES, 9_550)):
        legs[1]["outcome"], legs[1]["limit_e4"] = outcome, limit
        laid.append(lay_out(floor.catalog.rows, floor.rows, head, legs, 2, 1, floor.now_ns, *made()))
    assert laid == [True, False, True, False]


def test_a_plan_of_nothing_is_not_laid_out() -> None:
    """Also where the market has no smallest size."""
    floor = Floor(replace(POLY, min_size_e6=0, min_notional_micros=0), replace(KALSHI, min_size_e6=0))
    head, legs = plan_rows(floor)
    for size, is_laid in ((ONE, True), (0, False), (-ONE, False)):
        legs["size_e6"] = size
        rows = floor.catalog.rows, floor.rows, head, legs, 2, 1, floor.now_ns
        assert bool(lay_out(*rows, *made())) == is_laid


FIELDS = [name for name in PLAN_LEG.names or () if name not in ("pad", "reserved")]


@pytest.mark.compiled_only
@given(st.data())
def test_compiled_equals_plain_for_any_leg(plain_twin: PlainTwin, data: st.DataObject) -> None:
    plain = plain_twin("engine.execution.lay_out").lay_out
    floor: Floor = cross()
    head, legs = plan_rows(floor)
    name = data.draw(st.sampled_from(FIELDS))
    bounds = np.iinfo(PLAN_LEG[name])
    near = st.integers(-1, 12_000).filter(lambda value: bounds.min <= value <= bounds.max)
    legs[1][name] = data.draw(near | st.integers(int(bounds.min), int(bounds.max)))
    if data.draw(st.booleans()):
        size = data.draw(st.sampled_from([ONE, 5 * ONE, 10**14, 10**14 + ONE, INT64_MAX, -ONE]))
        legs["size_e6"] = size
    rows = floor.catalog.rows, floor.rows, head, legs, 2, FIRST_ID, floor.now_ns
    ours, theirs = made(), made()
    assert bool(lay_out(*rows, *ours)) == bool(plain(*rows, *theirs))
    if lay_out(*rows, *ours):
        assert all((one == other).all() for one, other in zip(ours, theirs, strict=True))
