"""What tests ask of an imported file."""

from __future__ import annotations

from pathlib import Path

import orjson

from procs.importers import open_source
from procs.importers.source import Imported
from procs.recording_frames import Frame


def opened(path: Path) -> Imported:
    """The file as an importer reads it."""
    source = open_source(path)
    assert isinstance(source, Imported)
    return source


def frames(path: Path) -> list[Frame]:
    """All frames."""
    return list(opened(path).frames())


def texts(path: Path) -> list[str]:
    """All frames' text."""
    return [frame.raw.decode() for frame in frames(path)]


def trees(path: Path) -> list[object]:
    """All frames' JSON."""
    return [orjson.loads(frame.raw) for frame in frames(path)]
