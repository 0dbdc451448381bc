"""A version that one writer announces and every reader confirms: what was taken away before is out of use.

The writer changes something, announces a version by a release, and waits: once ``passed`` has reached it, no
reader holds anything older, and what was taken away may be used for something else. A reader acquires the
version, takes in what changed, and confirms. Readers are declared with the barrier and hold it back from the
beginning; one that is dropped (ended, or fenced) holds back nothing and is told so when it confirms.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import numpy as np

from shm.atomics import compare_exchange, load_acquire, load_relaxed, read_word, store_release
from shm.errors import LayoutMismatch, RingRefused
from shm.jit import kernel
from shm.layout import (
    BARRIER,
    BARRIER_READER,
    BARRIER_READERS_MAX,
    HOT_BYTES,
    READER_NAME_BYTES,
    WORD_BYTES,
    ReaderState,
    SegmentKind,
    layout_hash,
    offset_of,
)
from shm.segment import Segment, create_or_adopt
from shm.segment_files import Claim

KIND: Final = SegmentKind.BARRIER
N_READERS_AT: Final = offset_of(BARRIER, "n_readers")
VERSION_AT: Final = offset_of(BARRIER, "version")
READERS_AT: Final = offset_of(BARRIER, "readers")
CONFIRMED_AT: Final = offset_of(BARRIER_READER, "confirmed")
STATE_AT: Final = offset_of(BARRIER_READER, "state")
DECLARED: Final = int(ReaderState.DECLARED)
JOINED: Final = int(ReaderState.JOINED)
FENCED: Final = int(ReaderState.FENCED)


@kernel
def announce(barrier: int, version: int) -> None:
    """Say that the writer has come to ``version``; all it changed before is seen by whoever acquires it."""
    store_release(barrier + VERSION_AT, version)


@kernel
def announced(barrier: int) -> int:
    """Version the writer has come to."""
    return load_acquire(barrier + VERSION_AT)


@kernel
def change_state(reader: int, expected: int, desired: int) -> int:
    """Compare-exchange a reader's state; 1 when it changed."""
    return compare_exchange(reader + STATE_AT, expected, desired)


@kernel
def confirm(reader: int, version: int) -> int:
    """Say that this reader holds nothing older than ``version``; 0 when it was dropped."""
    if load_relaxed(reader + STATE_AT) != JOINED:
        return 0
    store_release(reader + CONFIRMED_AT, version)
    return 1


@kernel
def passed(barrier: int) -> int:
    """Version that every reader still waited for has confirmed; the writer's own when it waits for none."""
    oldest = load_relaxed(barrier + VERSION_AT)
    for number in range(load_relaxed(barrier + N_READERS_AT)):
        reader = barrier + READERS_AT + number * HOT_BYTES
        if load_relaxed(reader + STATE_AT) != FENCED:
            oldest = min(oldest, load_acquire(reader + CONFIRMED_AT))
    return oldest


class BarrierReader:
    """One reader's place at a barrier."""

    def __init__(self, barrier: Barrier, address: int, claim: Claim | None) -> None:
        self._barrier = barrier  # keeps the memory
        self._claim = claim
        self._address = address
        self._version = barrier.segment.bytes_at(VERSION_AT, WORD_BYTES).view(np.int64).data

    def has_news(self, version: int) -> bool:
        """Whether the writer has come to another version than this, by a plain load: late by a moment."""
        return bool(self._version[0] != version)

    def announced(self) -> int:
        """Version the writer has come to."""
        return announced(self._barrier.address)

    def confirm(self, version: int) -> bool:
        """Say that nothing older than ``version`` is held; False when nobody waits for this reader."""
        return confirm(self._address, version) == 1


class Barrier:
    """Versions of one writer, confirmed by declared readers.

    A writer that adopted the barrier counts its versions from where the one before it ended: readers never
    see a version twice, and the writer need not know. ``announce`` and ``passed`` speak of the writer's own.
    """

    def __init__(self, segment: Segment, before: int = 0) -> None:
        self._before = before
        self.segment = segment
        self.address = segment.address
        self.header = segment.bytes_at(0, BARRIER.itemsize).view(BARRIER)[0]

    @classmethod
    def create(
        cls,
        readers: Sequence[str],
        *,
        name: str | None = None,
        epoch: int = 0,
        directory: Path | None = None,
    ) -> Self:
        """Make a barrier at version 0; raises RingRefused for too many readers, or names that do not fit."""
        if len(set(readers)) != len(readers) or len(readers) > BARRIER_READERS_MAX:
            raise RingRefused(f"a barrier waits for up to {BARRIER_READERS_MAX} readers, each named once")
        if not all(reader and reader.isascii() and len(reader) <= READER_NAME_BYTES for reader in readers):
            raise RingRefused(f"names of readers are 1 to {READER_NAME_BYTES} ASCII characters")
        segment = Segment.create(name, BARRIER.itemsize, KIND, layout_hash(BARRIER), epoch, directory)
        barrier = cls(segment)
        barrier.header["n_readers"] = len(readers)
        for number, reader in enumerate(readers):
            barrier.header["readers"]["name"][number] = reader.encode()
            barrier.header["readers"]["state"][number] = DECLARED
        segment.seal()
        return barrier

    @classmethod
    def attach(cls, name: str, directory: Path, epoch: int | None = None) -> Self:
        """Map the barrier of another process; raises LayoutMismatch, SegmentRefused or FileNotFoundError."""
        return cls(Segment.attach(name, KIND, layout_hash(BARRIER), directory, epoch))

    @classmethod
    def adopt(cls, name: str, directory: Path, epoch: int, readers: Sequence[str] | None = None) -> Self:
        """Become the writer of a barrier whose writer is gone; its readers stay, and what they confirmed.

        Raises SegmentExists for a living writer, LayoutMismatch also for other ``readers`` and for an
        ``epoch`` that is not newer, SegmentRefused, FileNotFoundError.
        """

        def fits(segment: Segment) -> None:
            found = cls(segment).readers
            if readers is not None and found != tuple(readers):
                raise LayoutMismatch(f"{segment.path}: readers are {found}, expected {tuple(readers)}")

        segment = Segment.adopt(name, KIND, layout_hash(BARRIER), directory, epoch, fits)
        return cls(segment, before=announced(segment.address))

    @classmethod
    def create_or_adopt(cls, readers: Sequence[str], *, name: str, epoch: int, directory: Path) -> Self:
        """Make the barrier, or become its writer where one has died; raises as ``create`` and ``adopt``."""
        return create_or_adopt(
            lambda: cls.create(readers, name=name, epoch=epoch, directory=directory),
            lambda: cls.adopt(name, directory, epoch, readers),
        )

    @property
    def readers(self) -> tuple[str, ...]:
        """Names of the declared readers."""
        names = self.header["readers"]["name"][: int(self.header["n_readers"])]
        return tuple(bytes(name).decode() for name in names)

    def announce(self, version: int) -> None:
        """Come to ``version``. Writer only."""
        announce(self.address, self._before + version)

    def passed(self) -> int:
        """Version that every reader still waited for has confirmed; 0 when none of this writer's."""
        return max(passed(self.address) - self._before, 0)

    def reader(self, name: str) -> BarrierReader:
        """Join as a declared reader; raises RingRefused for another name, and for one not free."""
        address = self._reader_address(name)
        claim = self.segment.claim(address - self.address, HOT_BYTES)
        if change_state(address, DECLARED, JOINED) != 1:
            raise RingRefused(f"{name!r} has joined this barrier already, or was dropped")
        return BarrierReader(self, address, claim)

    def resume(self, name: str) -> BarrierReader:
        """Be the reader ``name`` in place of one that died, or the first one; it goes on holding things back.

        Raises RingRefused for another name, for one whose reader lives, and for one that was dropped; private
        memory outlives no reader, and this is ``reader`` there.
        """
        address = self._reader_address(name)
        if self.segment.path is None:
            return self.reader(name)
        claim = self.segment.claim(address - self.address, HOT_BYTES)
        change_state(address, DECLARED, JOINED)
        if read_word(address + STATE_AT) != JOINED:
            raise RingRefused(f"{name!r} was dropped from this barrier")
        return BarrierReader(self, address, claim)

    def drop(self, name: str) -> None:
        """Wait for a reader no more. Writer only; RingRefused for a name that was not declared."""
        address = self._reader_address(name)
        for state in (DECLARED, JOINED):
            change_state(address, state, FENCED)

    def _reader_address(self, name: str) -> int:
        if name not in self.readers:
            raise RingRefused(
                f"{name!r} is not a reader of this barrier; declared: {', '.join(self.readers)}"
            )
        return self.address + READERS_AT + self.readers.index(name) * HOT_BYTES


def warm() -> None:
    """Compile the kernels of this module."""
    barrier = Barrier.create(("warm",))
    reader = barrier.reader("warm")
    barrier.announce(reader.announced() + 1)
    reader.confirm(1)
    barrier.passed()
