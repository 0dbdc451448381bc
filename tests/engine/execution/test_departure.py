"""A plan that leaves the short way does, byte for byte, what the long way does with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from engine.execution.config import ExecutionConfig, LegOrder
from engine.execution.departure import BUFFER_BYTES, Departure
from engine.execution.executor import Executor
from engine.execution.lay_out import Rows
from engine.ids import IdSource
from engine.ledger.journal import HEAD_BYTES, KEPT_LEG, EntryKind, Journal
from engine.reasons import Reason
from engine.records import LEGS_MAX, ORDER_REQUEST, PLAN_HEAD, PLAN_LEG, OrderStatus, TimeInForce
from engine.units import INT64_MAX
from tests.engine.execution.floor import CROSS, SELL, YES, Floor, cross
from tests.engine.execution.test_ports import floor_with, generous
from tests.engine.execution.test_random_runs import play
from tests.engine.sim.world import ONE, POLY, S
from tests.plain_twin import kernels_are_plain

SEEDS = range(900, 912 if kernels_are_plain() else 940)

Edit = Callable[[Rows, Rows], None]  # of PLAN_HEAD rows and PLAN_LEG rows


class LongFloor(Floor):
    """Its gate never says of several orders at once that they may leave."""

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)  # type: ignore[arg-type]
        self.gate.check_together = lambda *asked: False  # type: ignore[method-assign]


def traces(floor: Floor) -> list[list[bytes]]:
    """All that an executor leaves behind, and what its gate still holds."""
    said = [floor.requests, floor.events, floor.decisions]
    written = [bytes([entry.kind]) + entry.record.tobytes() for entry in floor.journal.entries]
    kept = [f"{floor.gate.open} {floor.gate.asked}".encode(), str(floor.results).encode()]
    return [[record.tobytes() for record in records] for records in said] + [written, kept]


def plan_rows(floor: Floor) -> tuple[Rows, Rows]:
    head: Rows = np.zeros(1, PLAN_HEAD)
    head["plan_id"], head["signal_id"], head["size_e6"], head["n_legs"] = 1, 77, 50 * ONE, 2
    head["deadline_ns"], head["recv_ns"], head["plan_ns"] = floor.now_ns + S, floor.now_ns, floor.now_ns
    legs: Rows = np.zeros(2, PLAN_LEG)
    for leg, (slot, direction, outcome, limit) in zip(legs, CROSS, strict=True):
        leg["slot"], leg["generation"], leg["venue"], leg["epoch"] = (
            slot,
            1,
            floor.specs[slot].venue,
            5 + slot,
        )
        leg["direction"], leg["outcome"], leg["limit_e4"] = direction, outcome, limit
        leg["size_e6"], leg["tif"] = 50 * ONE, TimeInForce.FAK
    return head, legs


def of_leg(index: int, **values: int) -> Edit:
    def edit(_: Rows, legs: Rows) -> None:
        for name, value in values.items():
            legs[index][name] = value

    return edit


def of_head(**values: int) -> Edit:
    def edit(head: Rows, _: Rows) -> None:
        for name, value in values.items():
            head[name] = value

    return edit


def of_both(**values: int) -> Edit:
    def edit(_: Rows, legs: Rows) -> None:
        for name, value in values.items():
            legs[name] = value

    return edit


WRONG: list[Edit] = [
    *(of_leg(1, slot=slot) for slot in (-1, 3, 4, 2**31 - 1)),
    *(of_leg(0, venue=venue) for venue in (0, 2, 3, 255)),
    *(of_leg(1, generation=generation) for generation in (0, 2)),
    *(of_leg(0, direction=value) for value in (2, 255)),
    *(of_leg(1, outcome=value) for value in (2, 255)),
    *(of_leg(0, tif=value) for value in (0, 9, 255)),
    *(of_leg(0, limit_e4=price) for price in (-1, 0, 1, 9_999, 10_000, 10_001, -(2**31))),
    *(of_leg(0, size_e6=size) for size in (-ONE, 0, 1, 60 * ONE, INT64_MAX)),
    *(of_both(size_e6=size) for size in (-ONE, 0, ONE, INT64_MAX, -INT64_MAX)),
    *(of_leg(0, convert=use) for use in (1, 2, 3, 255)),
    *(of_head(n_legs=number) for number in (-1, 0, 1, 3)),
    of_head(deadline_ns=0),
]
ROUNDED: list[Edit] = [
    of_leg(0, limit_e4=5_055),
    of_leg(1, limit_e4=4_845),
    of_both(size_e6=50 * ONE + 5_000),
    of_both(size_e6=50 * ONE + 5),
    of_leg(1, size_e6=40 * ONE),
    *(of_both(tif=tif) for tif in (TimeInForce.GTC, TimeInForce.GTC_POST_ONLY)),
]
WHOLE: list[Edit] = [
    of_both(),
    of_both(tif=TimeInForce.FOK),
    of_leg(0, direction=SELL),
    of_leg(1, outcome=YES),
    of_leg(1, slot=0, venue=POLY.venue, outcome=YES),
    of_leg(0, epoch=2**60),
    of_head(deadline_ns=INT64_MAX),
]


def test_the_buffer_has_room_for_the_longest_plan() -> None:
    heads = (1 + 3 * LEGS_MAX) * HEAD_BYTES
    needed = heads + PLAN_HEAD.itemsize + LEGS_MAX * (KEPT_LEG.itemsize + 2 * ORDER_REQUEST.itemsize)
    assert needed <= BUFFER_BYTES < needed + 1_024


def outcome_of(edit: Edit, kind: type[Floor]) -> tuple[Floor, bool]:
    """What becomes of a plan that was edited, and whether it left the short way."""
    floor = kind(*cross().specs)
    floor.show(0, bids=[(4900, 500 * ONE)], asks=[(5000, 100 * ONE)])
    floor.show(1, bids=[(5200, 100 * ONE)], asks=[(5300, 500 * ONE)])
    head, legs = plan_rows(floor)
    edit(head, legs)
    floor.executor.begin_plan(head[0], legs, floor.now_ns)
    floor._deliver()
    is_short = floor.executor.open_plans == 0 and floor.executor.out.n_requests > 0
    floor.executor.end_plan()
    floor.run()
    return floor, is_short


@pytest.mark.parametrize("edit", WHOLE + ROUNDED + WRONG)
def test_both_ways_do_the_same_with_any_plan(edit: Edit) -> None:
    (short, _), (long, was_long) = outcome_of(edit, Floor), outcome_of(edit, LongFloor)
    assert not was_long
    assert traces(short) == traces(long)


@pytest.mark.parametrize(
    "wrong", [{"n_ranges": 17}, {"n_ranges": 255}, {"range_step_e4": 0}, {"range_step_e4": -100}]
)
@pytest.mark.parametrize("kind", [Floor, LongFloor])
def test_on_a_grid_that_is_garbage_nothing_leaves(wrong: dict[str, int], kind: type[Floor]) -> None:
    floor = kind(*cross().specs)
    for name, value in wrong.items():
        floor.catalog.rows[name][1] = value
    head, legs = plan_rows(floor)
    floor._call(partial(floor.executor.on_plan, head[0], legs, floor.now_ns))
    assert floor.requests == []
    assert int(floor.decisions[-1]["reason"]) == Reason.PRICE_OFF_GRID


@pytest.mark.parametrize(("edits", "is_short"), [(WHOLE, True), (ROUNDED, False), (WRONG, False)])
def test_what_needs_no_rounding_leaves_the_short_way(edits: list[Edit], is_short: bool) -> None:
    assert [outcome_of(edit, Floor)[1] for edit in edits] == [is_short] * len(edits)


class GatheredJournal(Journal):
    """As the desk has it: what a call wrote is made durable behind it, in one piece."""

    def append(self, kind: int, record: np.void) -> None:
        self.gather(kind, record)

    def append_laid(self, content: bytes, n_entries: int) -> None:
        self.gather_laid(content, n_entries)


def journaled(edits: list[Edit], *, is_long: bool) -> tuple[list[object], list[int]]:
    """Plans with the real gate and the real journal; what they leave, and how many orders each sent."""
    limits = generous()
    limits["event_exposure_max_micros"] = 300 * ONE
    floor, gate, content = floor_with(limits)
    if is_long:
        gate.check_together = lambda *asked: False  # type: ignore[method-assign]
    journal = GatheredJournal(content, lambda: None)
    parts = floor.catalog, gate, journal, IdSource(1), ExecutionConfig(), floor.rows
    floor.executor = Executor(*parts)
    orders = []
    for number, edit in enumerate(edits, 1):
        head, legs = plan_rows(floor)
        legs["epoch"] = 1
        head["plan_id"] = number
        edit(head, legs)
        floor._call(partial(floor.executor.on_plan, head[0], legs, floor.now_ns))
        journal.commit()
        orders.append(floor.executor.out.n_requests)
    gate._keep()
    kept = sorted(gate._open.items()), gate._group_micros.tolist(), gate.denials
    said = [record.tobytes() for record in (*floor.requests, *floor.events, *floor.decisions)]
    return [content.getvalue(), gate.state.tobytes(), gate.markets.tobytes(), kept, *said], orders


def test_both_ways_write_the_same_journal_and_reserve_the_same_at_the_real_gate() -> None:
    edits = [edit for one, other in zip(WHOLE * 7, ROUNDED + WRONG, strict=False) for edit in (one, other)]
    short, long = (journaled(edits, is_long=is_long) for is_long in (False, True))
    assert short == long
    assert short[1].count(2) > 8
    assert 0 in short[1]


@pytest.mark.parametrize("seed", SEEDS)
def test_both_ways_live_through_the_same_days(seed: int) -> None:
    settles = seed % 2 == 0
    short, long = (play(seed, settles=settles, kind=kind) for kind in (Floor, LongFloor))
    assert traces(short) == traces(long)


def test_the_days_took_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[bool] = []
    leave = Departure.leave

    def counted(*args: object) -> bool:
        answers.append(leave(*args))  # type: ignore[arg-type]
        return answers[-1]

    monkeypatch.setattr(Departure, "leave", counted)
    for seed in SEEDS[:10]:
        play(seed, settles=False)
    assert answers.count(True) > len(SEEDS[:10])
    assert answers.count(False) > 1


def test_an_order_that_may_not_leave_takes_no_id_and_leaves_no_trace() -> None:
    floor = cross()
    head, legs = plan_rows(floor)
    floor.gate.answer = lambda request: Reason.NONE if int(request["leg"]) == 0 else Reason.DRAWDOWN
    coming = floor.executor._departure._ids.coming_id
    assert not floor.executor._departure.leave(head[0].tobytes(), legs, floor.now_ns)
    assert floor.executor._departure._ids.coming_id == coming
    assert floor.journal.of(EntryKind.PLAN) == []
    assert floor.gate.open == {}
    assert floor.executor._departure.plan() is None
    floor.executor.on_plan(head[0], legs, floor.now_ns)
    floor._deliver()
    assert floor.result().reason == Reason.DRAWDOWN
    assert {int(event["status"]) for event in floor.events if int(event["order_id"])} == {OrderStatus.DENIED}


def test_what_is_not_remembered_yet_is_when_the_next_thing_happens() -> None:
    floor = cross()
    head, legs = plan_rows(floor)
    floor.executor.begin_plan(head[0], legs, floor.now_ns)
    floor._deliver()
    assert floor.executor.open_plans == 0
    floor.executor.on_time(floor.now_ns)
    assert (floor.executor.open_plans, floor.executor.open_orders) == (1, 2)
    assert floor.executor.next_due_ns() > floor.now_ns
    floor.run()
    floor.assert_done()


def test_a_plan_that_came_before_is_refused_the_long_way() -> None:
    floor = cross()
    head, legs = plan_rows(floor)
    for _ in range(2):
        floor._call(lambda: floor.executor.on_plan(head[0], legs, floor.now_ns))
    assert len(floor.orders()) == 2
    assert int(floor.decisions[-1]["reason"]) == Reason.DUPLICATE_INTENT


@pytest.mark.parametrize("order", list(LegOrder))
def test_legs_that_wait_for_each_other_go_the_long_way(order: LegOrder) -> None:
    floor = cross(config=ExecutionConfig(leg_order=order))
    head, legs = plan_rows(floor)
    floor._call(lambda: floor.executor.begin_plan(head[0], legs, floor.now_ns))
    assert floor.executor.open_plans == (order != LegOrder.ALL_AT_ONCE)


def test_the_books_of_the_legs_are_fetched_before_they_are_read() -> None:
    floor = cross()
    head, legs = plan_rows(floor)
    fetched: list[tuple[int, int]] = []
    floor.executor._departure._refresh = lambda venue, slot: fetched.append((venue, slot))
    floor.executor.on_plan(head[0], legs, floor.now_ns)
    assert fetched[:2] == [(1, 0), (2, 1)]


def test_the_way_back_is_kept_with_each_leg() -> None:
    floor = cross()
    floor.plan(CROSS, 50 * ONE)
    kept = floor.journal.of(EntryKind.PLAN_LEG)
    assert [(int(leg["limit_e4"]), int(leg["exit_e4"])) for leg in kept] == [(5_000, 4_900), (4_800, 4_700)]
    assert [int(leg["leg"]["slot"]) for leg in kept] == [0, 1]
    [plan] = floor.executor._plans.values()
    assert [leg.exit_e4 for leg in plan.legs] == [4_900, 4_700]
    assert plan.is_at_once
