"""What lies in a run directory, read by somebody who declared none of it: a monitor, a person.

Only what is a whole, sealed segment of this layout and this user is taken; the rest is counted. Counters and
histograms say themselves who they are; of a ring only the header is mapped, so that looking at one costs no
memory.
"""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

import numpy as np

from shm.counters import Counters
from shm.errors import ShmError
from shm.histogram import Histograms
from shm.layout import (
    LAYOUT_VERSION,
    PAYLOAD_BYTES,
    RING,
    SEGMENT,
    SEGMENT_MAGIC,
    ReaderState,
    SegmentKind,
)
from shm.ring import ring_layout_hash

T = TypeVar("T")

NOT_OWNER_BITS: Final = 0o077
RINGS: Final = (SegmentKind.OVERWRITING_RING, SegmentKind.REFUSING_RING)
_RING_HASHES: Final = frozenset(ring_layout_hash(payload) for payload in PAYLOAD_BYTES)


@dataclass(frozen=True, slots=True)
class FoundSegment:
    """A segment file and what its header says. ``inode`` changes when another takes its name."""

    path: Path
    inode: int
    kind: SegmentKind
    layout_hash: int
    epoch: int
    size_bytes: int

    @property
    def name(self) -> str:
        """Name in the run directory."""
        return self.path.name


@dataclass(frozen=True, slots=True)
class ReaderNumbers:
    """A gating reader of a ring, as its block says."""

    name: str
    state: ReaderState
    lag_cells: int
    lost_cells: int
    lost_messages: int
    laps: int
    garbled: int


@dataclass(frozen=True, slots=True)
class RingNumbers:
    """A ring, as its header says; each number is whole, together they are not of one instant."""

    name: str
    capacity_cells: int
    cells: int
    messages: int
    refusals: dict[str, int]
    fenced: int
    readers: tuple[ReaderNumbers, ...]


def found_segments(directory: Path) -> list[FoundSegment]:
    """Sealed segments of this user in ``directory``, by name; none when it is not there."""
    try:
        entries = sorted(directory.iterdir())
    except OSError:
        return []
    return [found for path in entries if (found := _read_header(path)) is not None]


def _read_header(path: Path) -> FoundSegment | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # a socket, or gone
        return None
    try:
        status = os.fstat(descriptor)
        ours = status.st_uid == os.geteuid() and not status.st_mode & NOT_OWNER_BITS
        if not stat.S_ISREG(status.st_mode) or not ours or status.st_size < SEGMENT.itemsize:
            return None
        header = np.frombuffer(os.pread(descriptor, SEGMENT.itemsize, 0), SEGMENT)[0]
    finally:
        os.close(descriptor)
    known = header["magic"] == SEGMENT_MAGIC and header["version"] == LAYOUT_VERSION
    if not known or header["size_bytes"] != status.st_size or header["kind"] not in list(SegmentKind):
        return None
    return FoundSegment(
        path,
        status.st_ino,
        SegmentKind(int(header["kind"])),
        int(header["layout_hash"]),
        int(header["epoch"]),
        status.st_size,
    )


class Attached(Generic[T]):
    """Segments of one kind, attached when they appear and let go when their file is another one."""

    def __init__(self, kind: SegmentKind, attach: Callable[[str, Path], T]) -> None:
        self._kind = kind
        self._attach = attach
        self._held: dict[tuple[str, int], T] = {}
        self.failures = 0

    def refresh(self, segments: list[FoundSegment]) -> Iterator[tuple[str, T]]:
        """Name and object of each segment of this kind; one that cannot be attached is counted."""
        wanted = {(found.name, found.inode): found for found in segments if found.kind == self._kind}
        self._held = {key: held for key, held in self._held.items() if key in wanted}
        for key, found in wanted.items():
            if key not in self._held:
                try:
                    self._held[key] = self._attach(found.name, found.path.parent)
                except (ShmError, OSError):
                    self.failures += 1
                    continue
            yield found.name, self._held[key]


def attached_counters() -> Attached[Counters]:
    """Counters of a run directory."""
    return Attached(SegmentKind.COUNTERS, Counters.attach)


def attached_histograms() -> Attached[Histograms]:
    """Histograms of a run directory."""
    return Attached(SegmentKind.HISTOGRAMS, Histograms.attach)


def ring_numbers(segments: list[FoundSegment]) -> Iterator[RingNumbers]:
    """Numbers of every ring among these segments; one that has gone meanwhile is left out."""
    for found in segments:
        if found.kind in RINGS and found.layout_hash in _RING_HASHES:
            header = _ring_header(found.path)
            if header is not None:
                yield _numbers(found.name, header)


def _ring_header(path: Path) -> np.void | None:
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), SEGMENT.itemsize + RING.itemsize, access=mmap.ACCESS_READ) as mapping,
        ):
            header: np.void = np.frombuffer(mapping[SEGMENT.itemsize :], RING)[0]
            return header
    except (OSError, ValueError):  # replaced by something shorter
        return None


def _numbers(name: str, header: np.void) -> RingNumbers:
    head = int(header["head"])
    return RingNumbers(
        name=name,
        capacity_cells=int(header["capacity"]),
        cells=head,
        messages=int(header["messages"]),
        refusals={cause: int(header[f"refused_{cause}"]) for cause in ("size", "full", "fenced")},
        fenced=int(header["fenced"]),
        readers=tuple(
            ReaderNumbers(
                name=bytes(block["name"]).decode(errors="replace"),
                state=ReaderState(int(block["state"])),
                lag_cells=max(head - int(block["position"]), 0),
                lost_cells=int(block["lost_cells"]),
                lost_messages=int(block["lost_messages"]),
                laps=int(block["laps"]),
                garbled=int(block["garbled"]),
            )
            for block in header["readers"][: int(header["n_gating"])]
        ),
    )
