"""What an engine is run on: recordings or a seeded session, named so that every process can open them anew.

An input says which markets, relations and fees its engine needs before the first frame, and gives its frames
as often as it is asked to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from engine.catalog.defaults import FeeTable, with_fee_of_date
from engine.catalog.market import MarketSpec
from engine.config import Config
from engine.errors import ConfigError, RecordingDamaged
from engine.records import Venue
from engine.sim.session.build import Planting, build_session
from engine.venues.workspace import CONNS_MAX
from procs.config_files import load_fee_table, load_relations
from procs.importers import Source, open_source
from procs.parts import Scene
from procs.recording import RecordingHeader
from procs.recording_frames import Frame
from procs.recording_merge import common_start, merge
from procs.run_directory import InputNamed
from procs.venue_sim.tape import Tape, recorded_tape, seeded_tape


@dataclass(frozen=True, slots=True)
class Input:
    """One input. ``frames`` opens what it reads on the stack it is given."""

    name: str
    synthetic: bool
    scene: Scene
    files: tuple[str, ...]
    lacks: tuple[str, ...]
    frames: Callable[[ExitStack], Iterator[Frame]]
    named: InputNamed
    plantings: Sequence[Planting] = ()


class UndamagedFrames:
    """Frames of recordings that may be damaged; ``damage`` says at their end where that was."""

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


def named_input(named: InputNamed, config: Config) -> Input:
    """The input that a description names."""
    files = [Path(file) for file in named.files]
    if named.live:
        return live_input(named.name, files, config, named.start_ns)
    if files:
        return recorded_input(named.name, files, config, align_start=named.align_start)
    return seeded_input(named.seed, config)


def open_tape(named: InputNamed, opened: ExitStack) -> Tape:
    """The same input as simulated venues play it."""
    if named.files:
        return recorded_tape([Path(file) for file in named.files], opened, align_start=named.align_start)
    return seeded_tape(named.seed)


def recorded_input(name: str, files: Sequence[Path], config: Config, *, align_start: bool) -> Input:
    """Recordings, merged by time; ``align_start`` moves them to a common start. Raises as ``open_source``."""
    with ExitStack() as stack:
        sources = [_open(path, stack) for path in files]
        shifts = common_start(sources) if align_start else [0] * len(sources)
    fees = load_fee_table(config)
    markets = [spec for source in sources for spec in _markets(source.header, fees, config)]
    _refuse_crowd(markets, config)
    start_ns = min(source.header.start_ns + shift for source, shift in zip(sources, shifts, strict=True))
    return Input(
        name=name,
        synthetic=all(source.header.synthetic for source in sources),
        scene=Scene(markets, load_relations(config).relation, fees, start_ns),
        files=tuple(str(path) for path in files),
        lacks=tuple(sorted({lack for source in sources for lack in source.header.lacks})),
        frames=lambda opened: _merged([_open(path, opened) for path in files], shifts),
        named=InputNamed(
            name=name, files=tuple(str(path.resolve()) for path in files), align_start=align_start
        ),
    )


def live_input(name: str, files: Sequence[Path], config: Config, start_ns: int) -> Input:
    """The venues themselves: markets as the headers of ``files`` name them, at the fees of ``start_ns``."""
    fees = load_fee_table(config)
    specs = [spec for path in files for spec in open_source(path).header.markets]
    if not specs:
        raise ConfigError("no market: the recordings that were named to take markets from have none")
    markets = [
        with_fee_of_date(spec, fees, start_ns, config.venues.of(spec.venue).direct_member) for spec in specs
    ]
    _refuse_crowd(markets, config)
    return Input(
        name=name,
        synthetic=False,
        scene=Scene(markets, load_relations(config).relation, fees, start_ns),
        files=tuple(str(path) for path in files),
        lacks=(),
        frames=lambda _opened: iter(()),
        named=InputNamed(
            name=name, files=tuple(str(path.resolve()) for path in files), live=True, start_ns=start_ns
        ),
    )


def session_name(seed: int) -> str:
    """What a session is called."""
    return f"seeded session {seed}"


def seeded_input(seed: int, config: Config) -> Input:
    """The synthetic session of ``seed``."""
    session = build_session(seed)
    _refuse_crowd(session.markets, config)
    fees = load_fee_table(config)
    return Input(
        name=session_name(seed),
        synthetic=True,
        scene=Scene(session.markets, session.relations, fees, session.frames[0].recv_ns),
        files=(),
        lacks=(),
        frames=lambda _opened: (
            Frame(frame.recv_ns, frame.venue, frame.conn, frame.raw.encode()) for frame in session.frames
        ),
        named=InputNamed(name=session_name(seed), seed=seed),
        plantings=session.plantings,
    )


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
