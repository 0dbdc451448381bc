"""``pr3dict paper``: recordings or a seeded session through the whole engine, against simulated venues.

The first run, at 1x latency, is the one that is reported: its decisions, orders, books. The others repeat
it with every simulated way stretched, and give their profit and loss only; they are spared when the first
sent no order, for then they cannot differ.
"""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from engine.catalog.defaults import FeeTable, with_fee_of_date
from engine.catalog.market import MarketSpec
from engine.catalog.relations import Relation
from engine.config import Config
from engine.errors import ConfigError, RecordingDamaged
from engine.ledger.journal import read_journal
from engine.ledger.ledger import Ledger
from engine.records import OrderStatus, Trust, Venue
from engine.sim.session.build import Session, build_session
from engine.venues.counts import Count
from engine.venues.workspace import CONNS_MAX
from procs.config_files import load_fee_table, load_relations
from procs.importers import Source, open_source
from procs.inline_engine import VENUES, InlineEngine, Scene
from procs.journal_file import JournalFile
from procs.paper_result import DataSeen, Outcome, PaperResult, PlantedOutcome, VenueAccount
from procs.progress import OnProgress, Progress
from procs.recording import RecordingHeader
from procs.recording_frames import Frame
from procs.recording_merge import common_start, merge
from procs.session_watch import SessionWatch
from procs.source import SourceAgent

LATENCY_SCALES: Final = (1, 2, 5)
PROGRESS_EVERY: Final = 1 << 10  # steps; when paced each one, since they may be far apart
PAUSE_S_MAX: Final = 60.0
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


@dataclass(slots=True)
class _Input:
    """One input, to be run once for each latency."""

    name: str
    synthetic: bool
    scene: Scene
    files: tuple[str, ...]
    lacks: tuple[str, ...]
    frames: Callable[[ExitStack], Iterator[Frame]]
    session: Session | None = None
    damage: RecordingDamaged | None = None


def run_recordings(name: str, options: PaperOptions, on_progress: OnProgress) -> PaperResult:
    """Run the recordings of ``options.files``, merged by time. Raises as ``open_source`` does.

    A damaged recording is run as far as it is whole; the damage stands in ``PaperResult.damage``.
    """
    with ExitStack() as stack:
        sources = [_open(path, stack) for path in options.files]
        shifts = common_start(sources) if options.align_start else [0] * len(sources)
    fees = load_fee_table(options.config)
    markets = [spec for source in sources for spec in _markets(source.header, fees, options.config)]
    _refuse_crowd(markets, options.config)
    start_ns = min(source.header.start_ns + shift for source, shift in zip(sources, shifts, strict=True))
    scene = Scene(markets, load_relations(options.config).relation, fees, start_ns)
    given = _Input(
        name=name,
        synthetic=all(source.header.synthetic for source in sources),
        scene=scene,
        files=tuple(str(path) for path in options.files),
        lacks=tuple(sorted({lack for source in sources for lack in source.header.lacks})),
        frames=lambda opened: _merged([_open(path, opened) for path in options.files], shifts),
    )
    return _run(given, options, on_progress)


def _markets(header: RecordingHeader, fees: FeeTable, config: Config) -> Iterator[MarketSpec]:
    """Markets of one recording; those without a fee schedule pay that of its own date, not of the first's."""
    for spec in header.markets:
        direct_member = config.venues.of(spec.venue).direct_member
        yield with_fee_of_date(spec, fees, header.start_ns, direct_member)


def _refuse_crowd(markets: Sequence[MarketSpec], config: Config) -> None:
    """ConfigError when there is no room for all markets that are known beforehand."""
    named = len({(spec.venue, spec.symbol) for spec in markets})
    if named > config.engine.market_slots:
        raise ConfigError(f"engine.market_slots: {named} markets, room for {config.engine.market_slots}")


def run_session(seed: int, options: PaperOptions, on_progress: OnProgress) -> PaperResult:
    """Run the synthetic session of ``seed``."""
    session = build_session(seed)
    _refuse_crowd(session.markets, options.config)
    fees = load_fee_table(options.config)
    relations: Sequence[Relation] = session.relations
    scene = Scene(session.markets, relations, fees, session.frames[0].recv_ns)
    given = _Input(
        name=f"seeded session {seed}",
        synthetic=True,
        scene=scene,
        files=(),
        lacks=(),
        frames=lambda _opened: (
            Frame(frame.recv_ns, frame.venue, frame.conn, frame.raw.encode()) for frame in session.frames
        ),
        session=session,
    )
    return _run(given, options, on_progress)


def _open(path: Path, stack: ExitStack) -> Source:
    source = open_source(path)
    close = getattr(source, "close", None)
    if close is not None:
        stack.callback(close)
    return source


def _merged(sources: Sequence[Source], shifts: Sequence[int]) -> Iterator[Frame]:
    numbers: dict[tuple[int, int], int] = {}  # files keep their connections apart
    for run in merge(sources, shifts):
        batch = run.batch
        for index in range(run.start, run.stop):
            conn = numbers.setdefault((run.file, int(batch.conns[index])), len(numbers))
            if conn >= CONNS_MAX:
                raise ConfigError(f"the recordings have more than {CONNS_MAX} connections together")
            venue = Venue(int(batch.venues[index]))
            yield Frame(int(run.clock_ns[index]), venue, conn, batch.raw(index))


@dataclass(slots=True)
class _Pass:
    """One run at one latency, finished."""

    engine: InlineEngine
    source: SourceAgent
    outcome: Outcome
    planted: tuple[PlantedOutcome, ...]
    wall_s: float
    damage: RecordingDamaged | None


def _run(given: _Input, options: PaperOptions, on_progress: OnProgress) -> PaperResult:
    """Run at the first latency; at the others too when an order was sent, since nothing else takes time."""
    first = _pass(given, options, options.latency_scales[0], None, on_progress)
    outcomes = [first.outcome]
    for scale in options.latency_scales[1:]:
        if first.outcome.orders:
            outcomes.append(_pass(given, options, scale, first.source.frames, on_progress).outcome)
        else:
            outcomes.append(replace(first.outcome, latency_scale=scale))
    return _result(given, options, first, outcomes)


def _pass(
    given: _Input, options: PaperOptions, scale: int, frames_total: int | None, on_progress: OnProgress
) -> _Pass:
    first = scale == options.latency_scales[0]
    pace = Pacer(options.speed) if first and options.speed is not None else None
    engine = InlineEngine(
        options.config,
        given.scene,
        latency_scale=scale,
        decisions=options.decisions if first else None,
        pace=pace,
        journal=options.journal if first else None,
    )
    watch = SessionWatch(given.session.plantings, engine.catalog) if given.session else None
    steps = 0
    progress_every = PROGRESS_EVERY if pace is None else 1

    def on_step(source: SourceAgent, now_ns: int) -> None:
        nonlocal steps
        steps += 1
        if steps % progress_every == 0:
            on_progress(_progress(engine, source, scale, frames_total, now_ns))

    start = time.perf_counter()
    damage = None
    with ExitStack() as opened:
        frames = _Whole(given.frames(opened))
        source = engine.run(
            frames,
            watch_decision=watch.on_decision if watch else None,
            watch_report=watch.on_report if watch else None,
            on_step=on_step,
        )
        damage = frames.damage
    wall_s = time.perf_counter() - start
    on_progress(_progress(engine, source, scale, source.frames, source.last_ns))
    planted = watch.outcomes() if watch else ()
    return _Pass(engine, source, _outcome(engine, scale, planted), planted, wall_s, damage)


class _Whole:
    """Frames up to where a recording is damaged; ``damage`` then says where that was."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        self.damage: RecordingDamaged | None = None
        self._frames = frames

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        try:
            return next(self._frames)
        except RecordingDamaged as error:
            self.damage = error
            raise StopIteration from error


class Pacer:
    """Waits so that recorded time passes ``speed`` times as fast as real time.

    A pause of the recordings, such as lies between two of different days, takes at most PAUSE_S_MAX.
    """

    def __init__(
        self,
        speed: float,
        clock_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._speed = speed
        self._clock_s = clock_s
        self._sleep = sleep
        self._origin: tuple[int, float] | None = None

    def __call__(self, recv_ns: int) -> None:
        """Return when it is time for what was received at ``recv_ns``; called with times that only grow."""
        now_s = self._clock_s()
        began_ns, began_s = self._origin or (recv_ns, now_s)
        due_s = began_s + (recv_ns - began_ns) / 1e9 / self._speed
        if due_s > now_s + PAUSE_S_MAX:
            due_s = now_s + PAUSE_S_MAX
            began_ns, began_s = recv_ns, due_s
        self._origin = began_ns, began_s
        if due_s > now_s:
            self._sleep(due_s - now_s)


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


def _outcome(engine: InlineEngine, scale: int, planted: Sequence[PlantedOutcome]) -> Outcome:
    gate, ledger = engine.desk.gate, engine.desk.ledger
    ledger.verify()
    _check_journal(engine, ledger)
    return Outcome(
        latency_scale=scale,
        orders=engine.executor.orders,
        fills=ledger.fills,
        fees_micros=ledger.fees_micros(),
        realised_micros=ledger.realised_micros(),
        marked_micros=engine.desk.holdings_micros(),
        cost_held_micros=ledger.locked_micros(),
        accounts={
            venue.name.lower(): VenueAccount(
                opening_micros=ledger.accounts[venue].opening_micros,
                closing_micros=ledger.accounts[venue].cash_micros,
                venue_says_micros=engine.venues[venue].sim.cash_micros,
                fees_micros=ledger.accounts[venue].fees_micros,
            )
            for venue in VENUES
        },
        plantings_wrong=tuple(one.name for one in planted if not one.as_expected),
        late_legs=sum(one.late_legs for one in planted),
        drawdown_ppm=gate.drawdown_max_ppm,
        drawdown_warns=gate.drawdown_max_ppm >= engine.config.risk.drawdown_warn_ppm,
        stopped_by=gate.stopped_by.name.lower() if gate.stopped_by else "",
    )


def _check_journal(engine: InlineEngine, ledger: Ledger) -> None:
    """The journal alone must give the accounts that the run ended with."""
    again = Ledger()
    again.replay(read_journal(engine.journal_content()))
    again.verify()
    if again.accounts != ledger.accounts or again.positions != ledger.positions:
        raise AssertionError("the journal does not give the accounts of the run")


def _result(given: _Input, options: PaperOptions, first: _Pass, outcomes: Sequence[Outcome]) -> PaperResult:
    engine = first.engine
    statuses = Counter(OrderStatus(status).name.lower() for status in engine.executor.order_statuses.values())
    refused = Counter(refused.reason.name.lower() for refused in engine.screened.refused)
    return PaperResult(
        name=given.name,
        synthetic=given.synthetic,
        data=_data_seen(given, options, first),
        books_by_trust=_books_by_trust(engine),
        kinds={kind.name.lower(): count for kind, count in sorted(engine.decisions.kinds.items())},
        funnel=engine.log.funnel,
        relations_refused=dict(refused),
        order_statuses=dict(statuses),
        outcomes=tuple(outcomes),
        planted=first.planted,
        decisions=engine.log.lines,
        wall_s=first.wall_s,
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB,
        damage=None if first.damage is None else str(first.damage),
    )


def _data_seen(given: _Input, options: PaperOptions, done: _Pass) -> DataSeen:
    counts = [engine_feed.codec.counts for engine_feed in done.engine.feeds.values()]

    def total(*what: Count) -> int:
        return sum(int(count[name]) for count in counts for name in what)

    return DataSeen(
        files=given.files,
        frames=done.source.frames,
        level_writes=total(Count.SNAPSHOT_LEVELS, Count.LEVEL_SETS, Count.LEVEL_ADDS),
        markets=len(done.engine.catalog),
        first_ns=done.source.first_ns,
        last_ns=done.source.last_ns,
        rejected_frames=total(Count.REJECTED),
        ignored_frames=total(Count.IGNORED, Count.UNKNOWN_TYPE),
        seq_gaps=total(Count.SEQ_GAPS),
        lacks=given.lacks,
        defaulted=tuple(f"{name} x{times}" for name, times in sorted(done.engine.registry.defaulted.items())),
        aligned=options.align_start,
    )


def _books_by_trust(engine: InlineEngine) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for venue in VENUES:
        books = engine.stores[venue].books
        for trust, times in zip(
            *np.unique(books["trust"][books["is_open"] == 1], return_counts=True), strict=True
        ):
            counts[Trust(int(trust)).name.lower()] += int(times)
    return dict(counts)
