"""``pr3dict paper``: recordings or a seeded session through the whole engine, against simulated venues.

The first run, at 1x latency, is the one that is reported: its decisions, orders, books. The others repeat
it with every simulated way stretched, and give their profit and loss only; they are spared when the first
sent no order, for then they cannot differ. They run in this process whatever the topology: what comes out is
the same, and no process has to be begun again.
"""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from engine.catalog.relations import Screened
from engine.config import Config, Role
from engine.errors import ConfigError
from engine.units import NS_PER_S
from procs.decision_log import Funnel
from procs.findings import Findings, SourceFound, with_venues_word
from procs.inline_engine import InlineEngine
from procs.inputs import Input, UndamagedFrames, live_input, recorded_input, seeded_input
from procs.journal_file import JournalFile
from procs.pacer import Pacer
from procs.paper_processes import ProcessesRun, Seen, Where, run_processes
from procs.paper_result import DataSeen, Outcome, PaperResult, PlantedOutcome
from procs.progress import OnProgress, Progress
from procs.source import SourceAgent
from procs.venue_word import differences

INLINE: Final = "inline"
EPHEMERAL: Final = Where()
LATENCY_SCALES: Final = (1, 2, 5)
PROGRESS_EVERY: Final = 1 << 10  # steps; when paced each one, since they may be far apart
KIB: Final = 1024


@dataclass(frozen=True, slots=True)
class PaperOptions:
    """What the command asked for. ``speed`` None: as fast as possible; else a multiple of recorded time.

    ``decisions`` and ``journal`` receive those of the first run.
    """

    config: Config
    files: tuple[Path, ...] = ()
    align_start: bool = False
    speed: float | None = None
    decisions: BinaryIO | None = None
    journal: JournalFile | None = None
    latency_scales: tuple[int, ...] = LATENCY_SCALES
    where: Where = EPHEMERAL  # of several processes


def run_recordings(name: str, options: PaperOptions, on_progress: OnProgress) -> PaperResult:
    """Run the recordings of ``options.files``, merged by time. Raises as ``open_source`` does.

    A damaged recording is run as far as it is whole; the damage stands in ``PaperResult.damage``.
    """
    given = recorded_input(name, options.files, options.config, align_start=options.align_start)
    return _run(given, options, on_progress)


def run_session(seed: int, options: PaperOptions, on_progress: OnProgress) -> PaperResult:
    """Run the synthetic session of ``seed``."""
    return _run(seeded_input(seed, options.config), options, on_progress)


def refuse_missing_roles(config: Config) -> None:
    """ConfigError for a topology that leaves a stage out: no run is whole without all of them."""
    name = config.engine.topology
    placed = {role for process in config.topologies[name].processes for role in process.roles}
    missing = [role.name.lower() for role in Role if role not in placed]
    if missing:
        raise ConfigError(
            f"engine.topology: paper needs every role, {name} has none for {', '.join(missing)}"
        )


def run_live(
    files: Sequence[Path],
    options: PaperOptions,
    start_ns: int,
    is_over: Callable[[], bool],
    on_progress: OnProgress,
) -> PaperResult:
    """Trade on paper on what the venues themselves say, until ``is_over``; ``files`` name the markets."""
    given = live_input("live", files, options.config, start_ns)
    first = _processes_pass(given, options, 1, None, on_progress, is_over)
    return _result(given, options, first, [first.outcome])


@dataclass(slots=True)
class _Pass:
    """One run at one latency, finished."""

    found: Findings
    relations_refused: dict[str, int]
    planted: tuple[PlantedOutcome, ...]
    outcome: Outcome
    frames: int
    first_ns: int
    last_ns: int
    wall_s: float
    damage: str | None


def _run(given: Input, options: PaperOptions, on_progress: OnProgress) -> PaperResult:
    """Run at the first latency; at the others too when an order was sent, since nothing else takes time."""
    first = _pass(given, options, options.latency_scales[0], None, on_progress)
    outcomes = [first.outcome]
    frames = first.frames
    for scale in options.latency_scales[1:]:
        if first.outcome.orders:
            outcomes.append(_pass(given, options, scale, frames, on_progress).outcome)
        else:
            outcomes.append(replace(first.outcome, latency_scale=scale))
    return _result(given, options, first, outcomes)


def _pass(
    given: Input, options: PaperOptions, scale: int, frames_total: int | None, on_progress: OnProgress
) -> _Pass:
    first = scale == options.latency_scales[0]
    if first and options.config.engine.topology != INLINE:
        return _processes_pass(given, options, scale, frames_total, on_progress)
    pace = Pacer(options.speed) if first and options.speed is not None else None
    engine = InlineEngine(
        options.config,
        given.scene,
        latency_scale=scale,
        decisions=options.decisions if first else None,
        pace=pace,
        plantings=given.plantings,
        journal=options.journal if first else None,
    )
    steps = 0
    progress_every = PROGRESS_EVERY if pace is None else 1

    def on_step(source: SourceAgent, now_ns: int) -> None:
        nonlocal steps
        steps += 1
        if steps % progress_every == 0:
            on_progress(_progress(engine, source, scale, frames_total, now_ns))

    start = time.perf_counter()
    with ExitStack() as opened:
        frames = UndamagedFrames(given.frames(opened))
        source = engine.run(frames, on_step=on_step)
    wall_s = time.perf_counter() - start
    on_progress(_progress(engine, source, scale, source.frames, source.last_ns))
    found, planted = engine.findings(), engine.watch.outcomes()
    return _Pass(
        found=found,
        relations_refused=_refused(engine.screened),
        planted=planted,
        outcome=_outcome(found, planted, options.config, scale, engine.stages.journal_content()),
        frames=source.frames,
        first_ns=source.first_ns,
        last_ns=source.last_ns,
        wall_s=wall_s,
        damage=None if frames.damage is None else str(frames.damage),
    )


def _processes_pass(
    given: Input,
    options: PaperOptions,
    scale: int,
    frames_total: int | None,
    on_progress: OnProgress,
    is_over: Callable[[], bool] = lambda: False,
) -> _Pass:
    """The same with a process for each of the topology's."""

    def on_look(seen: Seen, total: int | None = frames_total) -> None:
        on_progress(
            Progress(
                phase="live" if given.named.live else f"{scale}x latency",
                frames=seen.frames,
                frames_total=total,
                now_ns=seen.now_ns,
                plans=seen.plans,
                fills=seen.fills,
                realised_micros=seen.realised_micros,
            )
        )

    run = run_processes(
        options.config, given, scale, options.decisions, on_look, options.where, is_over, options.speed
    )
    source = run.found.source or _heard(run, given)
    on_look(_whole(run, source), source.frames)
    if options.journal is not None:
        options.journal.write(run.journal)
        options.journal.sync()
    return _Pass(
        found=run.found,
        relations_refused=_refused(run.screened),
        planted=run.planted,
        outcome=_outcome(run.found, run.planted, options.config, scale, run.journal),
        frames=source.frames,
        first_ns=source.first_ns,
        last_ns=source.last_ns,
        wall_s=run.wall_s,
        damage=source.damage or None,
    )


def _whole(run: ProcessesRun, source: SourceFound) -> Seen:
    """How far they had come when all were done: the last look may have been before that."""
    desk = run.found.desk
    assert desk is not None
    return Seen(source.frames, source.last_ns, desk.plans, desk.fills, desk.realised_micros)


def _heard(run: ProcessesRun, given: Input) -> SourceFound:
    """What stands for a recording where the venues themselves were heard."""
    frames = run.found.feed.frames if run.found.feed else 0
    start_ns = given.scene.start_ns
    return SourceFound(frames, start_ns, start_ns + int(run.wall_s * NS_PER_S), "")


def _refused(screened: Screened) -> dict[str, int]:
    return dict(Counter(refused.reason.name.lower() for refused in screened.refused))


def _progress(
    engine: InlineEngine, source: SourceAgent, scale: int, frames_total: int | None, now_ns: int
) -> Progress:
    ledger = engine.desk.ledger
    return Progress(
        phase=f"{scale}x latency",
        frames=source.frames,
        frames_total=frames_total,
        now_ns=now_ns,
        plans=len(engine.executor.results),
        fills=ledger.fills,
        realised_micros=ledger.realised_micros(),
    )


def _outcome(
    found: Findings, planted: Sequence[PlantedOutcome], config: Config, scale: int, journal: bytes
) -> Outcome:
    """Profit and loss at one latency; every part of ``found`` is there."""
    assert found.desk is not None
    desk = found.desk
    return Outcome(
        latency_scale=scale,
        orders=desk.orders,
        fills=desk.fills,
        fees_micros=desk.fees_micros,
        realised_micros=desk.realised_micros,
        marked_micros=desk.marked_micros,
        cost_held_micros=desk.cost_held_micros,
        accounts=with_venues_word(desk.accounts, found.venues or {}),
        plantings_wrong=tuple(one.name for one in planted if not one.as_expected),
        late_legs=sum(one.late_legs for one in planted),
        drawdown_ppm=desk.drawdown_ppm,
        drawdown_warns=desk.drawdown_ppm >= config.risk.drawdown_warn_ppm,
        stopped_by=desk.stopped_by,
        differences=differences(journal, found.venues or {}),
    )


def _result(given: Input, options: PaperOptions, first: _Pass, outcomes: Sequence[Outcome]) -> PaperResult:
    found = first.found
    assert found.book is not None
    assert found.desk is not None
    assert found.log is not None
    funnel = Funnel()
    for stage, kind, reason, times in found.log.funnel:
        funnel.add_words((stage, kind, reason), times)
    return PaperResult(
        name=given.name,
        synthetic=given.synthetic,
        data=_data_seen(given, options, first),
        books_by_trust=found.book.by_trust,
        kinds=found.log.kinds,
        funnel=funnel,
        relations_refused=first.relations_refused,
        order_statuses=found.desk.statuses,
        outcomes=tuple(outcomes),
        planted=first.planted,
        decisions=found.log.lines,
        wall_s=first.wall_s,
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB,
        damage=first.damage,
        books_digest=found.book.digest,
        is_live=given.named.live,
    )


def _data_seen(given: Input, options: PaperOptions, done: _Pass) -> DataSeen:
    feed = done.found.feed
    assert feed is not None
    return DataSeen(
        files=given.files,
        frames=done.frames,
        level_writes=feed.level_writes,
        markets=feed.markets,
        first_ns=done.first_ns,
        last_ns=done.last_ns,
        rejected_frames=feed.rejected,
        ignored_frames=feed.ignored,
        seq_gaps=feed.seq_gaps,
        lacks=given.lacks,
        defaulted=feed.defaulted,
        aligned=options.align_start,
    )
