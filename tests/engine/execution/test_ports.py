"""The real neighbours fit the ports, and the executor works with them."""

from __future__ import annotations

import io

import numpy as np

from engine.execution import ports
from engine.execution.config import ExecutionConfig
from engine.execution.executor import Executor
from engine.ids import IdSource
from engine.ledger.journal import EntryKind, Journal, read_journal
from engine.reasons import Reason
from engine.records import BOOK_ROW, OrderStatus
from engine.risk.gate import Gate
from engine.risk.limits import GATE_LIMITS, VENUES
from tests.engine.execution.floor import BUY, NO, YES, Floor
from tests.engine.sim.world import DOLLAR, KALSHI, ONE, POLY, S

CROSS = [(0, BUY, YES, 5000), (1, BUY, NO, 4800)]


def generous() -> np.void:
    limits: np.void = np.zeros(1, GATE_LIMITS)[0]
    for name in GATE_LIMITS.names or ():
        limits[name] = 10**12
    limits["orders_per_second"] = limits["orders_burst"] = 100
    return limits


def real_gate(floor: Floor, limits: np.void) -> Gate:
    gate = Gate(limits, floor.catalog.rows, floor.rows)
    for venue in range(VENUES):
        gate.set_cash(venue, 1_000 * DOLLAR)
    gate.start_day(2_000 * DOLLAR)
    return gate


def floor_with(gate_limits: np.void) -> tuple[Floor, Gate, io.BytesIO]:
    floor = Floor(POLY, KALSHI)
    floor.show(0, bids=[(4900, 500 * ONE)], asks=[(5000, 100 * ONE)])
    floor.show(1, bids=[(5200, 100 * ONE)], asks=[(5300, 500 * ONE)])
    floor.rows["recv_ns"] = S
    gate, content = real_gate(floor, gate_limits), io.BytesIO()
    journal: ports.Journal = Journal(content, lambda: None)
    port: ports.Gate = gate
    ids: ports.Ids = IdSource(1)
    floor.executor = Executor(floor.catalog, port, journal, ids, ExecutionConfig(), floor.rows)
    return floor, gate, content


def test_a_plan_passes_the_real_gate_and_is_in_the_real_journal() -> None:
    floor, gate, content = floor_with(generous())
    floor.plan(CROSS, 50 * ONE)
    assert len(floor.orders()) == 2
    assert gate.reserved_micros(1) > 25 * DOLLAR
    floor.run()
    assert floor.result().reason == Reason.NONE
    assert [gate.reserved_micros(venue) for venue in (1, 2)] == [0, 0]
    kinds = [entry.kind for entry in read_journal(content.getvalue())]
    plan = [EntryKind.MARKET] * 2 + [EntryKind.PLAN, EntryKind.PLAN_LEG, EntryKind.PLAN_LEG]
    assert kinds[:5] == plan
    assert kinds[5:9] == [EntryKind.INTENT, EntryKind.INTENT, EntryKind.SENT, EntryKind.SENT]
    assert kinds.count(EntryKind.REPORT) == 3  # two fills, one confirmation
    assert kinds[-1] == EntryKind.EVENT


def test_the_real_gate_denies_and_nothing_leaves() -> None:
    limits = generous()
    limits["order_size_max_e6"] = ONE
    floor, gate, _ = floor_with(limits)
    floor.plan(CROSS, 50 * ONE)
    assert floor.requests == []
    assert {int(e["status"]) for e in floor.events if int(e["order_id"])} == {OrderStatus.DENIED}
    assert floor.result().reason == Reason.ORDER_SIZE_LIMIT
    assert gate.reserved_micros(1) == 0
    assert floor.rows.dtype == BOOK_ROW
