"""What a dead engine left in a run directory: removed before the next one starts, and nothing else."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path
from typing import NamedTuple

from shm.doorbell import FIFO_SUFFIX
from shm.errors import SegmentExists, SegmentRefused
from shm.layout import SEGMENT, SEGMENT_MAGIC, WORD_BYTES, offset_of
from shm.segment_files import check_directory, lock_as_owner


class Cleaned(NamedTuple):
    """Names of what was removed, of what a living process owns, and a line for each file that is not ours."""

    removed: tuple[str, ...]
    alive: tuple[str, ...]
    refused: tuple[str, ...]


def clean(directory: Path) -> Cleaned:
    """Remove every segment of ``directory`` whose owner is gone, of whatever version, and the FIFO beside it.

    For a start from nothing: a process that goes on where its predecessor died adopts instead. Processes that
    still map what is removed keep their memory, and find out by ``Segment.is_current``. Sockets, FIFOs and
    folders are passed over. Raises SegmentRefused for a directory that is not this user's alone.
    """
    check_directory(directory)
    removed, alive, refused = [], [], []
    for path in sorted(directory.iterdir()):
        try:
            if not _may_be_segment(path):
                continue
            if _remove(path):
                removed.append(path.name)
            else:
                refused.append(f"{path}: not a segment")
        except FileNotFoundError:
            continue  # the FIFO of a bell that was just removed, or somebody else removes things too
        except SegmentExists:
            alive.append(path.name)
        except SegmentRefused as error:
            refused.append(str(error))
    return Cleaned(tuple(removed), tuple(alive), tuple(refused))


def _may_be_segment(path: Path) -> bool:
    mode = path.lstat().st_mode
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)  # what is behind a link is refused, not passed over


def _remove(path: Path) -> bool:
    """Remove a segment nobody owns; False when the file is none. Raises as ``lock_as_owner``."""
    descriptor = lock_as_owner(path)
    try:
        if not _is_segment(descriptor):
            return False
        path.unlink()
        path.with_name(path.name + FIFO_SUFFIX).unlink(missing_ok=True)
        return True
    finally:
        os.close(descriptor)


def _is_segment(descriptor: int) -> bool:
    """Whether the file is a segment, or one whose owner died between making and sealing it."""
    header = os.pread(descriptor, SEGMENT.itemsize, 0)
    if len(header) < SEGMENT.itemsize:
        return False
    magic, size = (_word(header, field) for field in ("magic", "size_bytes"))
    return magic == SEGMENT_MAGIC or (magic == 0 and size == os.fstat(descriptor).st_size)


def _word(header: bytes, field: str) -> int:
    start = offset_of(SEGMENT, field)
    return int(struct.unpack("<q", header[start : start + WORD_BYTES])[0])
