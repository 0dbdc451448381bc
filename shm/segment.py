"""Memory with a header that says what it is: private to this process, or a file that others attach.

A file segment lives in a private tmpfs directory, is allocated in full when it is created (a full file system
is an error then, never a SIGBUS later), belongs to this user alone (mode 0600), and is locked by its owner
for as long as the owner lives; the kernel drops the lock with the process, so a crash leaves nothing to
guess.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import re
import stat
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shm.atomics import add_word, address_of, read_word, write_word
from shm.errors import LayoutMismatch, SegmentExists, SegmentRefused
from shm.layout import LAYOUT_VERSION, SEGMENT, SEGMENT_MAGIC, WORD_SHIFT, SegmentKind, offset_of

SEGMENT_BYTES_MAX: Final = 1 << 34
OWNER_ONLY: Final = 0o600
NOT_OWNER_BITS: Final = 0o077
MAGIC_AT: Final = offset_of(SEGMENT, "magic") - SEGMENT.itemsize  # from the object
ATTACHED_AT: Final = offset_of(SEGMENT, "attached") - SEGMENT.itemsize

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")


class Segment:
    """Mapped memory: ``SEGMENT`` header, then ``size`` bytes of one object at ``address``.

    The mapping lives as long as this object or any array made from it; ``close`` gives up the lock and the
    file descriptor, ``unlink`` removes the name.
    """

    def __init__(self, mapping: mmap.mmap, path: Path | None, descriptor: int | None) -> None:
        self._bytes: NDArray[np.uint8] = np.frombuffer(mapping, np.uint8)
        self._descriptor = descriptor
        self.path = path
        self.header = self._bytes[: SEGMENT.itemsize].view(SEGMENT)[0]
        self.address = address_of(self._bytes) + SEGMENT.itemsize

    @classmethod
    def create(
        cls,
        name: str | None,
        size: int,
        kind: SegmentKind,
        layout_hash: int,
        epoch: int,
        directory: Path | None = None,
    ) -> Segment:
        """Make a zeroed segment of ``size`` object bytes; private when ``directory`` is None, else a file.

        Nobody can attach before ``seal``: whoever makes an object in it first writes what a reader needs.
        Raises ValueError for a size out of bounds, SegmentExists for a taken name, SegmentRefused for an
        unusable one, OSError when the file system cannot hold it.
        """
        if not 0 < size <= SEGMENT_BYTES_MAX:
            raise ValueError(f"a segment has 1 to {SEGMENT_BYTES_MAX} bytes, not {size}")
        total = SEGMENT.itemsize + size
        if directory is None:
            segment = cls(
                mmap.mmap(-1, total, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE), None, None
            )
        else:
            segment = _create_file(segment_path(directory, name), total)
        header = segment.header
        header["version"] = LAYOUT_VERSION
        header["kind"] = kind
        header["layout_hash"] = layout_hash
        header["epoch"] = epoch
        header["size_bytes"] = total
        header["owner_pid"] = os.getpid()
        return segment

    def seal(self) -> None:
        """Say that the object is complete, and let others attach: the magic, written last, by a release."""
        write_word(self.address + MAGIC_AT, SEGMENT_MAGIC)

    @classmethod
    def attach(
        cls, name: str, kind: SegmentKind, layout_hash: int, directory: Path, epoch: int | None = None
    ) -> Segment:
        """Map a segment another process created; raises LayoutMismatch, SegmentRefused, FileNotFoundError."""
        path = segment_path(directory, name)
        descriptor = _open_checked(path)
        try:
            found = os.fstat(descriptor).st_size
            if found < SEGMENT.itemsize:
                raise LayoutMismatch(f"{path}: {found} bytes are too few for a segment header")
            segment = cls(_map(descriptor, found), path, None)
        finally:
            os.close(descriptor)
        segment._check(kind, layout_hash, found, epoch)
        add_word(segment.address + ATTACHED_AT, 1)
        return segment

    def _check(self, kind: SegmentKind, layout_hash: int, found: int, epoch: int | None) -> None:
        """Raise LayoutMismatch naming the first header field that is not as expected."""
        expected = {
            "version": LAYOUT_VERSION,
            "kind": int(kind),
            "layout_hash": layout_hash,
            "size_bytes": found,
            "epoch": int(self.header["epoch"]) if epoch is None else epoch,
        }
        magic = read_word(self.address + MAGIC_AT)
        if magic != SEGMENT_MAGIC:
            raise LayoutMismatch(f"{self.path}: not one of our segments, or not finished (magic {magic:#x})")
        for field, value in expected.items():
            if int(self.header[field]) != value:
                raise LayoutMismatch(f"{self.path}: {field} is {int(self.header[field])}, expected {value}")

    def words(self) -> NDArray[np.int64]:
        """Whole words of the object, without the header."""
        object_bytes = self._bytes[SEGMENT.itemsize :]
        return object_bytes[: object_bytes.size >> WORD_SHIFT << WORD_SHIFT].view(np.int64)

    def bytes_at(self, offset: int, size: int) -> NDArray[np.uint8]:
        """``size`` bytes of the object from ``offset``; raises ValueError past its end."""
        start = SEGMENT.itemsize + offset
        if offset < 0 or size < 0 or start + size > self._bytes.size:
            raise ValueError(f"{offset}+{size} is outside the object")
        return self._bytes[start : start + size]

    @property
    def attached(self) -> int:
        """Times another mapping of this segment was made."""
        return read_word(self.address + ATTACHED_AT)

    @property
    def epoch(self) -> int:
        """Epoch the owner gave it."""
        return int(self.header["epoch"])

    def close(self) -> None:
        """Give up the owner's lock; the memory goes with the last array over it."""
        if self._descriptor is not None:
            fcntl.flock(
                self._descriptor, fcntl.LOCK_UN
            )  # the mapping keeps a duplicate, and with it the lock
            os.close(self._descriptor)
            self._descriptor = None

    def unlink(self) -> None:
        """Remove the file, if there is one; processes that mapped it keep their memory."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
        self.close()


def segment_path(directory: Path, name: str | None) -> Path:
    """Path of a segment file; raises SegmentRefused for a name not of ``[a-z0-9][a-z0-9_.-]*``, up to 63."""
    if name is None or not _NAME.fullmatch(name):
        raise SegmentRefused(f"a segment file needs a plain lower-case name, not {name!r}")
    return directory / name


def owner_alive(path: Path) -> bool:
    """Whether some process holds the owner's lock; raises SegmentRefused or FileNotFoundError."""
    descriptor = _open_checked(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)  # and with it the lock, if we got it
    return False


def _open_checked(path: Path) -> int:
    """Open a file of ours: regular, owned by this user, closed to all others, not reached through a link."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SegmentRefused(f"{path}: {error.strerror}") from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & NOT_OWNER_BITS:
        os.close(descriptor)
        raise SegmentRefused(
            f"{path}: not a regular file of this user alone (mode {stat.S_IMODE(found.st_mode):o})"
        )
    return descriptor


def _create_file(path: Path, total: int) -> Segment:
    """New locked file of ``total`` bytes, all of them allocated."""
    try:
        descriptor = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, OWNER_ONLY
        )
    except FileExistsError as error:
        holder = "its owner lives" if owner_alive(path) else "its owner is gone"
        raise SegmentExists(f"{path}: already there, {holder}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # only a passing ``owner_alive`` can hold it
        os.fchmod(descriptor, OWNER_ONLY)
        os.posix_fallocate(descriptor, 0, total)
        return Segment(_map(descriptor, total), path, descriptor)
    except OSError:
        os.close(descriptor)
        path.unlink()
        raise


def _map(descriptor: int, total: int) -> mmap.mmap:
    """Shared mapping with its pages present: the first touch of a page costs microseconds."""
    return mmap.mmap(descriptor, total, mmap.MAP_SHARED | mmap.MAP_POPULATE)
