"""Several foreign files into one recording of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from engine.errors import ConfigError, RecordingDamaged
from procs.importers.detect import open_source
from procs.importers.markets import MarketNotes
from procs.importers.source import Imported
from procs.recording import BOTH, LEVEL_DEFAULT, Provenance, RecordingHeader, RecordingWriter
from procs.recording_merge import merge

# The kind of a recording made of several: the first of these that one of its files is.
_KIND_ORDER = ("stream", "v1", "snapshots", "rest", "trades", "metadata")


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was written. ``damage`` is the first error of a source whose beginning was whole."""

    frames: int
    header: RecordingHeader
    clock_steps_back: int
    damage: RecordingDamaged | None


def open_imports(paths: Sequence[Path], category: str = "") -> list[Imported]:
    """Open files with one set of notes between them, so that metadata in one completes markets in another.

    ConfigError for a recording of ours: there is nothing to import in it.
    """
    notes = MarketNotes(category)
    opened: list[Imported] = []
    for path in paths:
        source = open_source(path, notes)
        if not isinstance(source, Imported):
            source.close()
            raise ConfigError(f"{path}: is a recording already")
        opened.append(source)
    return opened


def combined_header(sources: Sequence[Imported], provenance: Provenance) -> RecordingHeader:
    """Header of all sources together; the markets are those of the last, which had read the others' notes."""
    kinds = {source.importer.kind for source in sources}
    venues = {source.importer.venue for source in sources}
    last = sources[-1].header
    with_frames = [source.header.start_ns for source in sources if source.importer.kind != "metadata"]
    return replace(
        last,
        venue=last.venue if len(venues) == 1 else BOTH,
        kind=next(kind for kind in _KIND_ORDER if kind in kinds),
        start_ns=min(with_frames, default=0),
        provenance=provenance,
        lacks=tuple(sorted({name for source in sources for name in source.importer.lacks})),
    )


def convert(
    sources: Sequence[Imported],
    provenance: Provenance,
    out: BinaryIO,
    *,
    level: int = LEVEL_DEFAULT,
    frames_max: int | None = None,
) -> Conversion:
    """Write the frames of ``sources`` in the order of ``merge``, at most ``frames_max`` of them."""
    header = combined_header(sources, provenance)
    damage: RecordingDamaged | None = None
    steps_back = 0
    with RecordingWriter(out, header, level) as writer:
        try:
            for run in merge(sources):
                stop = run.stop
                if frames_max is not None:
                    stop = min(stop, run.start + frames_max - writer.frames)
                for index in range(run.start, stop):
                    frame = run.batch.frame(index)
                    steps_back += int(run.clock_ns[index]) != frame.recv_ns
                    writer.write(frame.recv_ns, frame.venue, frame.conn, frame.raw.decode())
                if writer.frames == frames_max:
                    break
        except RecordingDamaged as error:
            damage = error
    return Conversion(writer.frames, header, steps_back, damage)
