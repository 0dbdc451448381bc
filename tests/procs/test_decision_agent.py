"""The log beside stages in a hurry: a few lines at a time, and never so few that its rings fill up."""

from __future__ import annotations

import io

import numpy as np

from engine.reasons import Reason
from engine.records import DECISION, DecisionStage, SignalKind, Venue
from procs.decision_agent import BACKLOG_CELLS, DecisionAgent
from procs.decision_log import DecisionLog
from procs.wires import DECISION_CELLS, Wires

AT_ONCE = 4


def stage() -> tuple[Wires, DecisionAgent, io.BytesIO]:
    wires, sink = Wires.create(list(Venue), 1), io.BytesIO()
    log = DecisionLog(sink, lambda slot, generation: f"kalshi:KX{slot}.{generation}", ())
    return wires, DecisionAgent(log, wires, at_once=AT_ONCE), sink


def decide(wires: Wires, times: int, made_by: DecisionStage = DecisionStage.STRATEGY) -> None:
    decisions = np.zeros(times, DECISION)
    decisions["stage"], decisions["kind"] = made_by, SignalKind.CROSS_VENUE
    decisions["reason"] = Reason.EDGE_EATEN_BY_FEES
    assert wires.decisions[made_by].publish_each(decisions) == times


def test_a_few_of_each_stage_are_written_in_one_go() -> None:
    wires, agent, sink = stage()
    decide(wires, 2 * AT_ONCE + 1)
    decide(wires, 1, DecisionStage.OPTIMIZER)
    written = [agent.do_work(0) for _ in range(4)]
    assert written == [AT_ONCE + 1, AT_ONCE, 1, 0]
    assert len(sink.getvalue().splitlines()) == 1 + 2 * AT_ONCE + 2  # behind a header


def test_a_backlog_is_worked_off_before_anything_else_is_decided() -> None:
    """Stages that decide as much in each of their turns as the ring has room for beyond the backlog."""
    wires, agent, _ = stage()
    [reader, *_] = agent.readers
    most = DECISION_CELLS - BACKLOG_CELLS
    for _ in range(5):
        decide(wires, most)
        agent.do_work(0)
        assert reader.lag_cells < BACKLOG_CELLS
    assert agent.kinds[SignalKind.CROSS_VENUE].candidates + reader.lag_cells == 5 * most
