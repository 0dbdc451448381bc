"""The funnel: how many candidates went how far, and in words why the others did not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.console import RenderableType

from engine.reasons import Reason, label
from engine.records import DecisionStage
from procs.cli.render_reasons import sentence_of
from procs.cli.render_table import Column, paragraph, right, section, table, wrapping
from procs.cli.render_values import count, plural, share
from procs.decision_log import Funnel

PASSED: Final = label(Reason.NONE)
STORY_REASONS_MAX: Final = 4  # named in a sentence; the table has them all

NEEDS: Final = (
    "One is looked at when the best prices of a live book change and its market is joined to others: by a "
    "group of one event, by a second token, or by a relation that a person has approved."
)
CALM: Final = "To find nothing that is certain to pay is a result, not a fault."

# What a stage decides about, and what becomes of it when nothing stands in the way.
STAGES: Final[Mapping[str, tuple[str, str]]] = {
    DecisionStage.STRATEGY.name.lower(): ("candidate", "became signals"),
    DecisionStage.OPTIMIZER.name.lower(): ("signal", "became plans"),
    DecisionStage.GATE.name.lower(): ("order", "left"),
    DecisionStage.EXECUTION.name.lower(): ("plan", "ended as planned"),
}


def by_stage(funnel: Funnel) -> list[tuple[str, str, int]]:
    """(stage, reason, count) over all kinds, in pipeline order, most frequent first."""
    counts: dict[str, dict[str, int]] = {}
    for stage, _, reason, times in funnel.rows():
        of_stage = counts.setdefault(stage, {})
        of_stage[reason] = of_stage.get(reason, 0) + times
    return [
        (stage, reason, times)
        for stage, of_stage in counts.items()
        for reason, times in sorted(of_stage.items(), key=lambda item: (-item[1], item[0]))
    ]


def steps(funnel: Funnel) -> RenderableType:
    """One line a stage: how many it decided about, how many it let through."""
    rows = []
    for stage in dict.fromkeys(stage for stage, _, _, _ in funnel.rows()):
        what, passed = STAGES.get(stage, ("decision", "passed"))
        total = funnel.total(stage)
        through = sum(
            times for where, _, reason, times in funnel.rows() if (where, reason) == (stage, PASSED)
        )
        rows.append((stage, plural(total, what), f"{count(through)} {passed}", share(through, total)))
    return table((Column("stage"), right("decided about"), right("of which"), right("share")), rows)


def reasons(funnel: Funnel) -> RenderableType:
    """Every reason with its count, its share of the stage and its sentence."""
    columns = (Column("stage"), Column("reason"), right("times"), right("share"), wrapping("in words"))
    rows = [
        (stage, reason, count(times), share(times, funnel.total(stage)), sentence_of(reason))
        for stage, reason, times in by_stage(funnel)
        if reason != PASSED
    ]
    return table(columns, rows) if rows else paragraph("Nothing stood in the way of anything.")


def kinds(funnel: Funnel) -> RenderableType:
    """The same split by kind of opportunity."""
    columns = (Column("stage"), Column("kind"), Column("reason"), right("times"), right("share"))
    rows = [
        (stage, kind, reason, count(times), share(times, funnel.total(stage)))
        for stage, kind, reason, times in funnel.rows()
    ]
    return table(columns, rows)


def funnel_sections(funnel: Funnel, *, with_kinds: bool) -> list[RenderableType]:
    """The funnel as sections of a report."""
    if not funnel.counts:
        return [section("Why not", paragraph("Nothing was decided: no candidate was looked at."))]
    found: list[RenderableType] = [section("Funnel", steps(funnel)), section("Why not", reasons(funnel))]
    if with_kinds:
        found.append(section("By kind of opportunity", kinds(funnel)))
    return found


def story(funnel: Funnel, relations_refused: Mapping[str, int]) -> str:
    """Why nothing was traded, in sentences."""
    told = [_told(funnel, stage) for stage in STAGES if funnel.total(stage)]
    if not told:
        told = ["No candidate was looked at.", NEEDS]
    refused = [
        f"{plural(times, 'relation')} never reached a strategy: {sentence_of(reason)} ({reason})."
        for reason, times in relations_refused.items()
    ]
    return " ".join([*told, *refused, CALM])


def _told(funnel: Funnel, stage: str) -> str:
    """What became of everything that one stage decided about."""
    what, passed = STAGES[stage]
    total = funnel.total(stage)
    stopped = [(reason, times) for where, reason, times in by_stage(funnel) if where == stage]
    through = sum(times for reason, times in stopped if reason == PASSED)
    stopped = [(reason, times) for reason, times in stopped if reason != PASSED]
    said = [
        f"in {share(times, total)} {sentence_of(reason)} ({reason})"
        for reason, times in stopped[:STORY_REASONS_MAX]
    ]
    rest = sum(times for _, times in stopped[STORY_REASONS_MAX:])
    if rest:
        said.append(f"in {share(rest, total)} it was something else")
    said.append(f"{count(through) if through else 'none'} {passed}")
    return f"Of {plural(total, what)}: " + "; ".join(said) + "."
