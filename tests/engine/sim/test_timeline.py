from __future__ import annotations

import pytest

from engine.sim import timeline
from engine.sim.timeline import Timeline
from engine.units import INT64_MAX


def test_actions_run_in_time_then_in_order_of_planning_and_may_plan_more() -> None:
    plan = Timeline()
    seen: list[tuple[str, int]] = []
    plan.at(5, lambda at: seen.append(("b", at)))

    def first(at_ns: int) -> None:
        seen.append(("a", at_ns))
        plan.at(4, lambda at: seen.append(("new", at)))

    plan.at(3, first)
    plan.at(5, lambda at: seen.append(("c", at)))
    plan.at(9, lambda at: seen.append(("late", at)))
    assert plan.next_ns() == 3
    assert plan.run_until(5) == 4
    assert seen == [("a", 3), ("new", 4), ("b", 5), ("c", 5)]
    assert plan.next_ns() == 9
    assert plan.run_until(9) == 1
    assert plan.next_ns() == INT64_MAX


def test_the_agenda_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "EVENTS_MAX", 1)
    plan = Timeline()
    plan.at(1, lambda at: None)
    with pytest.raises(OverflowError, match="more than 1 events"):
        plan.at(1, lambda at: None)
