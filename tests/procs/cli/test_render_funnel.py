"""The funnel as tables and as sentences."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest

from engine.reasons import Reason
from engine.records import DecisionStage, SignalKind
from procs.cli.render_funnel import CALM, NEEDS, STAGES, funnel_sections, steps_of, story
from procs.cli.render_reasons import sentence_of
from procs.cli.render_table import WIDTH_MAX, show
from procs.decision_log import Funnel
from tests.procs.cli.paper_samples import RECORDED, SESSION, funnel_of


def _shown(funnel: Funnel, *, with_kinds: bool = False) -> str:
    stream = io.StringIO()
    show(funnel_sections(funnel, with_kinds=with_kinds), stream)
    return stream.getvalue()


def _row(text: str, *cells: str) -> str:
    """The line that has ``cells`` in this order."""
    pattern = re.compile(r"\s+".join(map(re.escape, cells)))
    found = [line for line in text.splitlines() if pattern.search(line)]
    assert len(found) == 1, f"{cells} in {len(found)} lines of\n{text}"
    return found[0]


def test_stages_are_those_of_the_pipeline() -> None:
    assert list(STAGES) == [stage.name.lower() for stage in DecisionStage]


def test_kinds_are_added_up_within_a_stage() -> None:
    funnel = funnel_of(
        (DecisionStage.GATE, SignalKind.CROSS_VENUE, Reason.HALTED, 1),
        (DecisionStage.STRATEGY, SignalKind.CROSS_VENUE, Reason.NO_EDGE, 3),
        (DecisionStage.STRATEGY, SignalKind.IMPLICATION, Reason.NO_EDGE, 4),
        (DecisionStage.STRATEGY, SignalKind.IMPLICATION, Reason.NONE, 9),
    )
    strategy, gate = steps_of(funnel)
    assert (strategy.stage, strategy.came, strategy.through) == ("strategy", 16, 9)
    assert strategy.stopped == [("no_edge", 7)]
    assert (gate.stage, gate.came, gate.through, gate.stopped) == ("gate", 1, 0, [("halted", 1)])


def test_each_stage_says_how_many_it_let_through() -> None:
    text = _shown(SESSION.funnel)
    _row(text, "strategy", "1,251 candidates", "3 became signals", "0.2 %")
    _row(text, "optimizer", "3 signals", "3 became plans", "100.0 %")
    _row(text, "gate", "6 orders", "6 left", "100.0 %")
    _row(text, "execution", "3 plans", "2 ended as planned", "66.7 %")


def test_each_reason_has_its_count_its_share_of_the_stage_and_its_sentence() -> None:
    text = _shown(RECORDED.funnel)
    _row(text, "strategy", "no_edge", "80,000", "80.0 %", sentence_of("no_edge"))
    _row(text, "strategy", "one_sided", "10", "< 0.1 %")
    _row(text, "optimizer", "book_moved", "2", "100.0 %", sentence_of("book_moved"))
    assert text.index("no_edge") < text.index("edge_eaten_by_fees") < text.index("book_not_live")
    assert " none " not in text
    assert max(map(len, text.splitlines())) <= WIDTH_MAX


def test_kinds_are_shown_when_asked_for() -> None:
    text = _shown(RECORDED.funnel, with_kinds=True)
    _row(text, "strategy", "partition_buy_no", "none", "2", "< 0.1 %")
    assert "partition_buy_no" not in _shown(RECORDED.funnel)


def test_an_empty_funnel_and_one_without_refusals_are_said_in_words() -> None:
    assert "no candidate was looked at" in _shown(Funnel())
    passed = funnel_of((DecisionStage.STRATEGY, SignalKind.CROSS_VENUE, Reason.NONE, 1))
    assert "Nothing stood in the way" in _shown(passed)


def test_a_stage_of_another_build_is_shown_too() -> None:
    funnel = Funnel()
    funnel.add_words(("stage_9", "kind_8", "reason_999"), 2)
    text = _shown(funnel, with_kinds=True)
    _row(text, "stage_9", "2 decisions", "0 passed")
    _row(text, "stage_9", "kind_8", "reason_999")


def test_the_story_names_what_dominated_at_every_stage() -> None:
    told = story(RECORDED.funnel, RECORDED.relations_refused)
    assert told.startswith(f"Of 100,000 candidates: in 80.0 % {sentence_of('no_edge')} (no_edge); in 10.0 %")
    assert "in < 0.1 % it was something else; 2 became signals." in told
    assert f"Of 2 signals: in 100.0 % {sentence_of('book_moved')} (book_moved); none became plans." in told
    assert f"4 relations never reached a strategy: {sentence_of('relation_unapproved')}" in told
    assert told.endswith(CALM)


def test_the_story_of_nothing_says_what_a_candidate_needs() -> None:
    told = story(Funnel(), {})
    assert told == f"No candidate was looked at. {NEEDS} {CALM}"


@pytest.mark.parametrize("times", [1, 2])
def test_one_relation_and_several(times: int) -> None:
    told = story(Funnel(), {"relation_stale_rules": times})
    assert f"{times} relation{'s' if times > 1 else ''} never reached a strategy" in told


def test_samples_are_consistent() -> None:
    assert SESSION.as_expected
    assert not replace(SESSION, planted=(replace(SESSION.planted[0], as_expected=False),)).as_expected
