"""What the simulated venues play: recordings merged by time, or the session of a seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from engine.catalog.market import MarketSpec
from engine.errors import ConfigError
from engine.records import Venue
from engine.sim.session.build import build_session
from engine.venues.workspace import CONNS_MAX
from procs.importers import open_source
from procs.recording import BOTH, VENUE_OF_NAME, Provenance, RecordingHeader
from procs.recording_frames import Frame, FrameBatch, pack
from procs.recording_merge import FrameSource, Run, common_start, merge

_WITHOUT_FRAMES: Final = "metadata"  # the kind of a recording that only names markets


class Tape:
    """Frames of all sources in time order, once.

    ``specs`` names each market once, as the first source has it; ``venues`` are those that frames come from.
    ``align_start`` moves the sources in time until all of them start when the latest one does.
    """

    def __init__(self, sources: Sequence[FrameSource], *, align_start: bool = False) -> None:
        self.name = ", ".join(source.name for source in sources)
        self.specs = _distinct(spec for source in sources for spec in source.header.markets)
        self.venues = frozenset(venue for source in sources for venue in _venues(source.header))
        self._sources = sources
        self._shifts_ns = common_start(sources) if align_start else [0] * len(sources)

    def runs(self) -> Iterator[Run]:
        """Slices of frames; connections of different sources have different numbers.

        Raises RecordingDamaged after all that is whole, ConfigError beyond CONNS_MAX connections.
        """
        numbers: dict[tuple[int, int], int] = {}
        for run in merge(self._sources, self._shifts_ns):
            yield run._replace(batch=_renumbered(run.file, run.batch, numbers))


def _renumbered(file: int, batch: FrameBatch, numbers: dict[tuple[int, int], int]) -> FrameBatch:
    conns, places = np.unique(batch.conns, return_inverse=True)
    given = [numbers.setdefault((file, conn), len(numbers)) for conn in conns.tolist()]
    if len(numbers) > CONNS_MAX:
        raise ConfigError(f"the recordings have more than {CONNS_MAX} connections together")
    return replace(batch, conns=np.array(given, np.int64)[places])


def _distinct(specs: Iterable[MarketSpec]) -> tuple[MarketSpec, ...]:
    found: dict[tuple[Venue, str], MarketSpec] = {}
    for spec in specs:
        found.setdefault((spec.venue, spec.symbol), spec)
    return tuple(found.values())


def _venues(header: RecordingHeader) -> tuple[Venue, ...]:
    if header.kind == _WITHOUT_FRAMES:
        return ()
    return tuple(Venue) if header.venue == BOTH else (VENUE_OF_NAME[header.venue],)


class _Seeded:
    """The synthetic session of a seed, in the shape of a recording."""

    def __init__(self, seed: int) -> None:
        self.name = f"seeded session {seed}"
        self._frames = build_session(seed)
        self.header = RecordingHeader(
            venue=BOTH,
            kind="stream",
            start_ns=self._frames.frames[0].recv_ns,
            markets=tuple(self._frames.markets),
            provenance=Provenance(self.name, "", ""),
            synthetic=True,
        )

    def batches(self) -> Iterator[FrameBatch]:
        """All frames of the session."""
        return pack(
            Frame(frame.recv_ns, frame.venue, frame.conn, frame.raw.encode()) for frame in self._frames.frames
        )


def seeded_tape(seed: int) -> Tape:
    """The synthetic session of ``seed``."""
    return Tape([_Seeded(seed)])


def recorded_tape(paths: Sequence[Path], opened: ExitStack, *, align_start: bool = False) -> Tape:
    """The recordings in ``paths``; ``opened`` closes them. Raises as ``open_source`` does."""
    sources = []
    for path in paths:
        source = open_source(path)
        opened.callback(source.close)
        sources.append(source)
    return Tape(sources, align_start=align_start)
