from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.optimizer.allocator import Allocator
from engine.records import (
    DECISION,
    ORDER_EVENT,
    PLAN_HEAD,
    PLAN_LEG,
    DecisionStage,
    Venue,
)
from procs import wires
from procs.catalog_segment import CatalogView
from procs.optimizer import OptimizerAgent
from procs.view import BookView
from procs.wires import Outlet, ReaderFenced, RingFull, Wires, publish, publish_each
from shm.ring import message_cells
from tests.engine.optimizer.worlds import limits


def test_every_ring_is_read_by_those_it_is_declared_for() -> None:
    made = Wires.create(list(Venue), 8)
    events = np.zeros(3, ORDER_EVENT)
    events["order_id"] = (1, 2, 3)
    assert publish_each(made.events, events, "events") == 3
    for name in ("strategy", "optimizer"):
        reader = made.events.reader(name, 0)
        assert reader.poll() == 3
        assert list(reader.records(ORDER_EVENT)["order_id"][:3]) == [1, 2, 3]
    assert set(made.decisions) == {DecisionStage.STRATEGY, DecisionStage.OPTIMIZER, DecisionStage.EXECUTION}
    assert len(made.positions) == 8


def test_a_plan_travels_as_one_message() -> None:
    made = Wires.create(list(Venue), 8)
    head, legs = np.zeros(1, PLAN_HEAD), np.zeros(3, PLAN_LEG)
    head["plan_id"], legs["slot"] = 5, (1, 2, 3)
    publish(made.plans, head, legs, "plans")
    publish(made.plans, head, legs[:1], "plans")
    reader = made.plans.reader("executor", 0)
    assert reader.poll(1) == 4
    assert int(reader.records(PLAN_HEAD)["plan_id"][0]) == 5
    assert list(reader.records(PLAN_LEG)["slot"][1:4]) == [1, 2, 3]
    assert reader.poll(1) == 2


def test_a_fenced_stage_does_not_go_on_as_if_nothing_had_come() -> None:
    made = Wires.create(list(Venue), 8)
    strategy, optimizer = made.events.reader("strategy", 0), made.events.reader("optimizer", 950)
    assert made.take(strategy, "events") == 0
    assert publish_each(made.events, np.zeros(3, ORDER_EVENT), "events") == 3
    assert made.take(strategy, "events", 2) == 2
    assert made.events.fence_silent(1_000, 100) == 1
    with pytest.raises(ReaderFenced, match="events: this reader was silent for too long"):
        made.take(strategy, "events")
    assert made.take(optimizer, "events") == 3


@pytest.mark.parametrize(("name", "ring"), [("events", "events"), ("signals", "signals")])
def test_a_fenced_optimizer_ends_its_run(name: str, ring: str) -> None:
    """It once asked for signals until there were none, and an answer below zero is not none."""
    made = Wires.create(list(Venue), 8)
    view = BookView(made.books, 8)
    markets = CatalogView(made.catalog, "optimizer")
    agent = OptimizerAgent(Allocator(markets.rows, view.rows, limits()), view, markets, made)
    assert getattr(made, ring).fence_silent(1_000, 100) == 1
    with pytest.raises(ReaderFenced, match=name):
        agent.do_work(1_000)


def test_a_ring_without_room_stops_its_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wires, "ORDER_CELLS", 8)
    monkeypatch.setattr(wires, "DECISION_CELLS", 8)
    made = Wires.create(list(Venue), 8)
    with pytest.raises(RingFull, match="decisions: the ring took 8 of 9 messages"):
        publish_each(made.decisions[DecisionStage.STRATEGY], np.zeros(9, DECISION), "decisions")
    head, legs = np.zeros(1, PLAN_HEAD), np.zeros(1, PLAN_LEG)
    for _ in range(4):
        publish(made.plans, head, legs, "plans")
    with pytest.raises(RingFull, match="plans: the ring has no room for 1 legs"):
        publish(made.plans, head, legs, "plans")


def test_any_segment_that_is_gone_or_another_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    made = Wires.create(list(Venue), 8, tmp_path)
    assert made.lost() is None
    paths = [segment.path for segment in made.segments()]
    for path in reversed(paths):
        assert path is not None
        content = path.read_bytes()
        path.unlink()
        assert made.lost() == path
        path.write_bytes(content)
        assert made.lost() == path, "the same bytes in another file"
    made.release()


def test_rows_leave_from_wherever_they_lie_each_as_a_message_of_its_own() -> None:
    made = Wires.create(list(Venue), 8)
    events = np.zeros(wires.ORDER_CELLS + 2, ORDER_EVENT)
    events["order_id"] = np.arange(len(events))
    reader, slow = made.events.reader("strategy", 0), made.events.reader("optimizer", 0)
    outlet = Outlet(events, "events")
    assert outlet.publish(made.events, 2, 5) == 3
    assert outlet.publish(made.events, 0, 1) == 1
    assert reader.poll() == 4
    assert list(reader.records(ORDER_EVENT)["order_id"][:4]) == [2, 3, 4, 0]
    assert message_cells(int(reader.tags[0])) == 1
    with pytest.raises(RingFull, match=f"events: the ring took {wires.ORDER_CELLS - 4} of {len(events)}"):
        outlet.publish(made.events, 0, len(events))
    assert slow.poll() > 0
    with pytest.raises(ValueError, match="records are 48 bytes wide"):
        Outlet(np.zeros(1, np.dtype((np.void, 48))), "events").publish(made.events, 0, 1)
