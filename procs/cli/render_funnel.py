"""The funnel: how many candidates went how far, and in words why the others did not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

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
OTHER_STAGE: Final = ("decision", "passed")


class Step(NamedTuple):
    """One stage: how many came to it, and how many it stopped for each reason, most frequent first."""

    stage: str
    came: int
    stopped: list[tuple[str, int]]

    @property
    def through(self) -> int:
        """How many it let through."""
        return self.came - sum(times for _, times in self.stopped)


def steps_of(funnel: Funnel) -> list[Step]:
    """Stages in pipeline order; those that nothing came to are left out."""
    found: list[Step] = []
    for stage in dict.fromkeys([*STAGES, *(stage for stage, _, _, _ in funnel.rows())]):
        counts: dict[str, int] = {}
        for where, _, reason, times in funnel.rows():
            if where == stage and reason != PASSED:
                counts[reason] = counts.get(reason, 0) + times
        if came := funnel.total(stage):
            found.append(Step(stage, came, sorted(counts.items(), key=lambda item: (-item[1], item[0]))))
    return found


def steps(funnel: Funnel) -> RenderableType:
    """One line a stage: how many it decided about, how many it let through."""
    rows = []
    for step in steps_of(funnel):
        what, passed = STAGES.get(step.stage, OTHER_STAGE)
        through = f"{count(step.through)} {passed}"
        rows.append((step.stage, plural(step.came, what), through, share(step.through, step.came)))
    return table((Column("stage"), right("decided about"), right("of which"), right("share")), rows)


def reasons(funnel: Funnel) -> RenderableType:
    """Every reason with its count, its share of the stage and its sentence."""
    columns = (Column("stage"), Column("reason"), right("times"), right("share"), wrapping("in words"))
    rows = [
        (step.stage, reason, count(times), share(times, step.came), sentence_of(reason))
        for step in steps_of(funnel)
        for reason, times in step.stopped
    ]
    return table(columns, rows) if rows else paragraph("Nothing stood in the way of anything.")


def kinds(funnel: Funnel) -> RenderableType:
    """The same split by kind of opportunity."""
    columns = (Column("stage"), Column("kind"), Column("reason"), right("times"), right("share"))
    came = {step.stage: step.came for step in steps_of(funnel)}
    rows = [
        (stage, kind, reason, count(times), share(times, came[stage]))
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
    told = [_told(step) for step in steps_of(funnel) if step.stage in STAGES]
    if not told:
        told = ["No candidate was looked at.", NEEDS]
    refused = [
        f"{plural(times, 'relation')} never reached a strategy: {sentence_of(reason)} ({reason})."
        for reason, times in relations_refused.items()
    ]
    return " ".join([*told, *refused, CALM])


def _told(step: Step) -> str:
    """What became of everything that one stage decided about."""
    what, passed = STAGES[step.stage]
    said = [
        f"in {share(times, step.came)} {sentence_of(reason)} ({reason})"
        for reason, times in step.stopped[:STORY_REASONS_MAX]
    ]
    rest = sum(times for _, times in step.stopped[STORY_REASONS_MAX:])
    if rest:
        said.append(f"in {share(rest, step.came)} it was something else")
    said.append(f"{count(step.through) if step.through else 'none'} {passed}")
    return f"Of {plural(step.came, what)}: " + "; ".join(said) + "."
