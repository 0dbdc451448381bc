from __future__ import annotations

import io

import numpy as np
import orjson
import pytest

from engine.errors import RecordingDamaged, RecordingFormat
from engine.reasons import Reason
from engine.records import DECISION, DecisionStage, SignalKind
from procs.decision_log import (
    DecisionLog,
    Funnel,
    Keep,
    at_venue,
    is_decision_log,
    read_funnel,
    why_not,
    with_edge,
)


def decision(**changes: int) -> np.void:
    row: np.void = np.zeros(1, DECISION)[0]
    values = {
        "decided_ns": 1_780_795_851_472_000_000,
        "stage": DecisionStage.STRATEGY,
        "kind": SignalKind.CROSS_VENUE,
        "slot": 4,
        "generation": 2,
        "epoch": (1 << 32) | 7,
        "relation": 3,
        "edge_gross_micros": 50_000,
        "edge_net_micros": -2_500,
        "reason": Reason.EDGE_EATEN_BY_FEES,
    } | changes
    for name, value in values.items():
        row[name] = value
    return row


def written(*rows: np.void) -> list[bytes]:
    sink = io.BytesIO()
    names = ("first", "second", "third", "fourth")
    log = DecisionLog(sink, lambda slot, generation: f"kalshi:KX{slot}.{generation}", names)
    for row in rows:
        log.write(row)
    return sink.getvalue().splitlines()


def test_a_refusal_is_one_line_with_market_epoch_edges_and_reason() -> None:
    header, line = written(decision())
    assert is_decision_log(header)
    assert orjson.loads(line) == {
        "at_ns": 1_780_795_851_472_000_000,
        "stage": "strategy",
        "kind": "cross_venue",
        "market": "kalshi:KX4.2",
        "epoch": "1.7",
        "relation": "fourth",
        "edge_gross": "0.05",
        "edge_net": "-0.0025",
        "reason": "edge_eaten_by_fees",
    }


def test_what_was_done_names_signal_plan_size_and_profit() -> None:
    row = decision(reason=0, signal_id=12, plan_id=9, size_e6=20_500_000, profit_micros=1_464_000)
    line = orjson.loads(written(row)[1])
    assert (line["signal"], line["plan"], line["size"], line["profit"]) == (12, 9, "20.5", "1.464")
    assert line["reason"] == "none"


@pytest.mark.parametrize(("number", "said"), [(-1, None), (0, "first"), (4, 4)])
def test_a_relation_is_named(number: int, said: str | int | None) -> None:
    assert orjson.loads(written(decision(relation=number))[1])["relation"] == said


@pytest.mark.parametrize("stage", list(DecisionStage))
def test_edges_stand_where_they_were_worked_out(stage: DecisionStage) -> None:
    line = orjson.loads(written(decision(stage=stage))[1])
    worked_out = stage in {DecisionStage.STRATEGY, DecisionStage.OPTIMIZER}
    assert ("edge_gross" in line, "edge_net" in line) == (worked_out, worked_out)


def test_a_code_from_a_newer_build_keeps_its_number() -> None:
    line = orjson.loads(written(decision(stage=99, kind=98, reason=9_999))[1])
    assert (line["stage"], line["kind"], line["reason"]) == (
        "decisionstage_99",
        "signalkind_98",
        "reason_9999",
    )


def test_the_funnel_read_from_a_log_is_the_one_counted_while_writing() -> None:
    sink = io.BytesIO()
    log = DecisionLog(sink, lambda slot, generation: "m")
    for reason in (Reason.NO_EDGE, Reason.NO_EDGE, Reason.NONE):
        log.write(decision(reason=reason))
    log.write(decision(stage=DecisionStage.GATE, reason=Reason.HALTED))
    read, damage = read_funnel(sink.getvalue().splitlines(), "log")
    assert (read.counts, damage) == (log.funnel.counts, None)
    assert log.lines == 4
    assert log.funnel.total("strategy") == 3
    assert log.funnel.rows() == [
        ("strategy", "cross_venue", "no_edge", 2),
        ("strategy", "cross_venue", "none", 1),
        ("gate", "cross_venue", "halted", 1),
    ]
    assert why_not(log.funnel) == [("no_edge", 2), ("halted", 1)]


def test_without_a_file_decisions_are_counted_all_the_same() -> None:
    log = DecisionLog(None, lambda slot, generation: "m")
    log.write(decision())
    assert log.funnel.total("strategy") == 1


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"stage":"strategy"}', b"7"])
def test_a_line_that_is_no_decision_is_named(line: bytes) -> None:
    header, good = written(decision())
    funnel, damage = read_funnel([header, good, line, good], "log")
    assert str(damage) == "log: line 3 is not a decision; 2 lines before it are whole"
    assert isinstance(damage, RecordingDamaged)
    assert funnel.total("strategy") == 1


EDGES = {
    "gross and net": {"edge_gross_micros": 50_000, "edge_net_micros": 1},
    "gross": {"edge_gross_micros": 1, "edge_net_micros": 0},
    "nothing": {"edge_gross_micros": 0, "edge_net_micros": -1},
    "of another stage": {"stage": DecisionStage.EXECUTION, "edge_gross_micros": 5, "edge_net_micros": 5},
}


def test_a_funnel_of_what_had_an_edge_or_was_at_one_venue() -> None:
    lines = written(*(decision(slot=slot, **changes) for slot, changes in enumerate(EDGES.values())))

    def counted(*keep: Keep) -> int:
        return sum(read_funnel(lines, "log", keep)[0].counts.values())

    assert (counted(), counted(with_edge("gross")), counted(with_edge("net"))) == (4, 2, 1)
    assert (counted(at_venue("kalshi")), counted(at_venue("polymarket"))) == (4, 0)
    assert counted(with_edge("gross"), at_venue("polymarket")) == 0


def test_an_edge_that_is_no_number_is_damage() -> None:
    header, good = written(decision())
    bad = good.replace(b'"0.05"', b'"much"')
    assert bad != good
    _, damage = read_funnel([header, bad], "log", [with_edge("gross")])
    assert "line 2 is not a decision" in str(damage)


def test_another_version_is_refused() -> None:
    with pytest.raises(RecordingFormat, match="version 2, this build reads 1"):
        read_funnel([b'{"pr3dict_decisions":2}'], "log")
    assert not is_decision_log(b'{"pr3dict_recording":1}')


def test_an_empty_funnel_has_no_rows() -> None:
    assert Funnel().rows() == []
