"""Memory with a header that says what it is: private to this process, or a file that others attach.

A file segment lives in a private tmpfs directory, is allocated in full when it is created (a full file system
is an error then, never a SIGBUS later), belongs to this user alone (mode 0600), and is locked by its owner
for as long as the owner lives; the kernel drops the lock with the process, so a crash leaves nothing to
guess.

A segment outlives its owner: readers keep their mapping and their place, and the next owner adopts it. It
takes the lock, holds the header against what it expects, gives it a new epoch, and repairs what the dead one
left half done (rings, tables and barriers each know how).
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from shm.atomics import add_word, address_of, read_word, write_word
from shm.errors import LayoutMismatch, SegmentExists, ShmError
from shm.layout import LAYOUT_VERSION, SEGMENT, SEGMENT_MAGIC, WORD_BYTES, WORD_SHIFT, SegmentKind, offset_of
from shm.segment_files import (
    Claim,
    Identity,
    create_locked,
    identity_of,
    is_at,
    lock_as_owner,
    open_checked,
    owner_alive,
    segment_path,
)

__all__ = ["Segment", "create_or_adopt", "owner_alive", "segment_path"]

SEGMENT_BYTES_MAX: Final = 1 << 34
MAGIC_AT: Final = offset_of(SEGMENT, "magic") - SEGMENT.itemsize  # from the object
ATTACHED_AT: Final = offset_of(SEGMENT, "attached") - SEGMENT.itemsize
EPOCH_AT: Final = offset_of(SEGMENT, "epoch") - SEGMENT.itemsize
START_TRIES_MAX: Final = 3
EPOCH_WORD: Final = offset_of(SEGMENT, "epoch") >> WORD_SHIFT

T = TypeVar("T")


class Segment:
    """Mapped memory: ``SEGMENT`` header, then ``size`` bytes of one object at ``address``.

    The mapping lives as long as this object or any array made from it; ``close`` gives up the lock and the
    file descriptor, ``unlink`` removes the name.
    """

    def __init__(
        self, mapping: mmap.mmap, path: Path | None, descriptor: int | None, identity: Identity | None
    ) -> None:
        self._bytes: NDArray[np.uint8] = np.frombuffer(mapping, np.uint8)
        self._descriptor = descriptor
        self._identity = identity
        self.path = path
        self.header = self._bytes[: SEGMENT.itemsize].view(SEGMENT)[0]
        self.size_bytes = self._bytes.size
        self._header_words = self._bytes[: SEGMENT.itemsize].view(np.int64).data
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
        unusable name or directory and for a file system without room.
        """
        if not 0 < size <= SEGMENT_BYTES_MAX:
            raise ValueError(f"a segment has 1 to {SEGMENT_BYTES_MAX} bytes, not {size}")
        total = SEGMENT.itemsize + size
        if directory is None:
            private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
            segment = cls(mmap.mmap(-1, total, private), None, None, None)
        else:
            path = segment_path(directory, name)
            descriptor = create_locked(path, total)
            segment = cls(_map(descriptor, total), path, descriptor, identity_of(descriptor))
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
        descriptor = open_checked(path)
        try:
            segment = cls._mapped(path, descriptor, None)
            _check_header(segment, kind, layout_hash, epoch)
        finally:
            os.close(descriptor)
        add_word(segment.address + ATTACHED_AT, 1)
        return segment

    @classmethod
    def adopt(
        cls,
        name: str,
        kind: SegmentKind,
        layout_hash: int,
        directory: Path,
        epoch: int,
        fits: Callable[[Segment], None],
    ) -> Segment:
        """Become the owner of a segment whose owner is gone, in ``epoch``, newer than its last one.

        ``fits`` raises LayoutMismatch for an object that is not as it was declared; nothing is changed
        before. What died before it was finished is removed, for nobody can have attached to it. Raises
        SegmentExists for a living owner, and as ``attach``.
        """
        path = segment_path(directory, name)
        descriptor = lock_as_owner(path)
        try:
            segment = cls._mapped(path, descriptor, descriptor)
            _check_header(segment, kind, layout_hash, None)
            fits(segment)
            if epoch <= segment.epoch:
                raise LayoutMismatch(f"{path}: epoch {epoch} is not newer than {segment.epoch}, its last one")
        except (ShmError, OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # as in ``close``
            os.close(descriptor)
            raise
        segment.header["owner_pid"] = os.getpid()
        write_word(segment.address + EPOCH_AT, epoch)
        return segment

    @classmethod
    def _mapped(cls, path: Path, descriptor: int, owned: int | None) -> Segment:
        found = os.fstat(descriptor).st_size
        if owned is not None and _is_unfinished(descriptor):
            path.unlink()
            raise FileNotFoundError(f"{path}: its owner died before it was finished; removed")
        if found < SEGMENT.itemsize:
            raise LayoutMismatch(f"{path}: {found} bytes are too few for a segment header")
        return cls(_map(descriptor, found), path, owned, identity_of(descriptor))

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
        """Epoch of its present owner; another number than before means that another one took it over."""
        return int(self._header_words[EPOCH_WORD])

    def is_current(self) -> bool:
        """Whether the file under the path is still the memory that is mapped: not removed, not replaced.

        A system call: for once a second. Private memory is always current.
        """
        return self.path is None or self._identity is None or is_at(self.path, self._identity)

    def claim(self, offset: int, size: int) -> Claim | None:
        """Claim the right to be the reader whose block is here; None in private memory, which nobody shares.

        Raises RingRefused when a living process has it, or when this is no longer the file under the path.
        """
        if self.path is None or self._identity is None:
            return None
        return Claim(self.path, self._identity, SEGMENT.itemsize + offset, size)

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


def _check_header(segment: Segment, kind: SegmentKind, layout_hash: int, epoch: int | None) -> None:
    """Raise LayoutMismatch naming the first header field that is not as expected."""
    header, path = segment.header, segment.path
    expected = {
        "version": LAYOUT_VERSION,
        "kind": int(kind),
        "layout_hash": layout_hash,
        "size_bytes": segment.size_bytes,
    }
    if epoch is not None:  # otherwise any: its owner may be taking it over at this moment
        expected["epoch"] = epoch
    magic = read_word(segment.address + MAGIC_AT)
    if magic != SEGMENT_MAGIC:
        raise LayoutMismatch(f"{path}: not one of our segments, or not finished (magic {magic:#x})")
    for field, value in expected.items():
        if int(header[field]) != value:
            raise LayoutMismatch(f"{path}: {field} is {int(header[field])}, expected {value}")


def _is_unfinished(descriptor: int) -> bool:
    """Whether the magic was never written."""
    return os.pread(descriptor, WORD_BYTES, offset_of(SEGMENT, "magic")).strip(b"\0") == b""


def _map(descriptor: int, total: int) -> mmap.mmap:
    """Shared mapping with its pages present: the first touch of a page costs microseconds."""
    return mmap.mmap(descriptor, total, mmap.MAP_SHARED | mmap.MAP_POPULATE)


def create_or_adopt(create: Callable[[], T], adopt: Callable[[], T]) -> T:
    """What a process does that starts: go on with what its predecessor left, or begin.

    Of two that start at once one is refused by SegmentExists; all else that they raise is raised.
    """
    for _ in range(START_TRIES_MAX):
        try:
            return adopt()
        except FileNotFoundError:
            pass
        try:
            return create()
        except (SegmentExists, FileNotFoundError):
            continue  # another one was faster: ask it
    return adopt()
