"""A doorbell: how a process that sleeps is told that one of its rings has something new.

One bell a process, in a segment of its own. Whoever published something for that process rings it afterwards:
a fence and one load when its owner is awake, a system call when it sleeps. The owner goes to sleep in two
steps: ``prepare`` raises the flag, then it looks at all its inputs once more, and only when there is still
nothing, it sleeps.

No wake is lost. The owner stores its flag and then loads the rings; a producer stores into a ring and then
loads the flag; both pairs are sequentially consistent, so at least one of them sees the other's store. And a
bell that rings after ``prepare`` changes the word whose value ``sleep`` names.

A process sleeps in one of two ways. Most sleep on the word itself (a futex). One with an event loop sleeps in
the loop, which knows only descriptors: its bell has a FIFO beside the segment, ``descriptor`` is for the
loop, and ``answer`` is called when it becomes readable. A FIFO because it has a name (an eventfd has to be
handed over) and needs no bind or connect: both sides open it for reading and writing, so that neither has to
be there first, no write ends in SIGPIPE, and what was rung while its owner was restarted wakes the new one.
"""

from __future__ import annotations

import contextlib
import os
import stat
import weakref
from pathlib import Path
from typing import Final, Self

from shm.atomics import (
    address_of,
    fence_seq_cst,
    fetch_add,
    load_acquire,
    load_relaxed,
    read_word,
    store_release,
    store_seq_cst,
)
from shm.errors import LayoutMismatch, SegmentRefused
from shm.futex import futex_wait, futex_wake, timespec_of
from shm.jit import kernel
from shm.layout import DOORBELL, SegmentKind, layout_hash, offset_of
from shm.segment import Segment, create_or_adopt
from shm.segment_files import NOT_OWNER_BITS, OPEN_FLAGS, OWNER_ONLY

KIND: Final = SegmentKind.DOORBELL
SEQUENCE_AT: Final = offset_of(DOORBELL, "sequence")
SLEEPING_AT: Final = offset_of(DOORBELL, "sleeping")
EVERYBODY: Final = 1 << 30  # a bell has one owner; a second sleeper would be a defect, and is woken too
FIFO_SUFFIX: Final = ".fifo"
DRAIN_BYTES: Final = 1 << 16  # what a pipe holds


@kernel
def ring_bell(bell: int) -> int:
    """Wake the owner if it sleeps, or is about to; 1 when it was told, 0 when it is awake.

    The owner of a bell with a FIFO sleeps elsewhere: whoever gets a 1 for it calls ``Doorbell.tell``.
    """
    fence_seq_cst()
    if load_relaxed(bell + SLEEPING_AT) == 0:
        return 0
    fetch_add(bell + SEQUENCE_AT, 1)
    futex_wake(bell + SEQUENCE_AT, EVERYBODY)
    return 1


@kernel
def prepare(bell: int) -> int:
    """Say that the owner is about to sleep; answers the value to give to ``sleep``."""
    seen = load_acquire(bell + SEQUENCE_AT)
    store_seq_cst(bell + SLEEPING_AT, 1)
    fence_seq_cst()
    return seen


@kernel
def sleep(bell: int, seen: int, timespec: int) -> int:
    """Sleep until the bell rings or the time is over, then be awake; 1 when it has rung since ``prepare``."""
    if load_relaxed(bell + SEQUENCE_AT) == seen:  # saves a system call; who waits looks again
        futex_wait(bell + SEQUENCE_AT, seen, timespec)
    store_release(bell + SLEEPING_AT, 0)
    return 0 if load_acquire(bell + SEQUENCE_AT) == seen else 1


@kernel
def stay_awake(bell: int) -> None:
    """Take back ``prepare``: something was there after all."""
    store_release(bell + SLEEPING_AT, 0)


class Doorbell:
    """One process's bell. Its owner calls ``prepare`` and what follows; all others only ``ring``."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.address = segment.address
        self.descriptor: int | None = None  # for the owner's event loop
        if segment.path is not None and _has_fifo(segment):
            self.descriptor = _open_fifo(segment.path.with_name(segment.path.name + FIFO_SUFFIX))
            weakref.finalize(self, os.close, self.descriptor)

    @classmethod
    def create(
        cls,
        *,
        name: str | None = None,
        epoch: int = 0,
        directory: Path | None = None,
        for_event_loop: bool = False,
    ) -> Self:
        """Make a bell, its owner awake; raises as ``Segment.create``.

        In private memory, which only threads share, there is no FIFO: ValueError.
        """
        if for_event_loop and directory is None:
            raise ValueError("a bell for an event loop needs a directory for its FIFO")
        segment = Segment.create(name, DOORBELL.itemsize, KIND, layout_hash(DOORBELL), epoch, directory)
        segment.bytes_at(0, DOORBELL.itemsize).view(DOORBELL)["by_pipe"] = for_event_loop
        segment.seal()
        return cls(segment)

    @classmethod
    def create_or_adopt(cls, *, name: str, epoch: int, directory: Path, for_event_loop: bool = False) -> Self:
        """Make the bell, or take over that of a process that died; its owner is awake.

        Raises as ``create`` and ``Segment.adopt``, and LayoutMismatch when it slept in the other way.
        """

        def fits(segment: Segment) -> None:
            found, expected = int(_has_fifo(segment)), int(for_event_loop)
            if found != expected:
                raise LayoutMismatch(f"{segment.path}: by_pipe is {found}, expected {expected}")

        bell = create_or_adopt(
            lambda: cls.create(name=name, epoch=epoch, directory=directory, for_event_loop=for_event_loop),
            lambda: cls(Segment.adopt(name, KIND, layout_hash(DOORBELL), directory, epoch, fits)),
        )
        bell.stay_awake()
        return bell

    @classmethod
    def attach(cls, name: str, directory: Path, epoch: int | None = None) -> Self:
        """Map another process's bell; raises LayoutMismatch, SegmentRefused or FileNotFoundError."""
        return cls(Segment.attach(name, KIND, layout_hash(DOORBELL), directory, epoch))

    def ring(self) -> bool:
        """Wake the owner if it sleeps; whether it had to be told."""
        if ring_bell(self.address) == 0:
            return False
        self.tell()
        return True

    def tell(self) -> None:
        """Wake the owner's event loop, if it has one; for who called the kernel ``ring_bell`` and got a 1."""
        if self.descriptor is not None:
            with contextlib.suppress(BlockingIOError):  # full of rings not answered yet: it will wake
                os.write(self.descriptor, b"\0")

    def answer(self) -> None:
        """Take the rings out of the FIFO, and be awake: for the owner's event loop."""
        if self.descriptor is not None:
            with contextlib.suppress(BlockingIOError):
                os.read(self.descriptor, DRAIN_BYTES)
        stay_awake(self.address)

    def prepare(self) -> int:
        """First step to sleep; look at every input again before the second."""
        return prepare(self.address)

    def sleep(self, seen: int, timeout_ns: int) -> bool:
        """Second step: whether the bell has rung since ``prepare``. Bounded by ``futex.WAIT_NS_MAX``."""
        timespec = timespec_of(timeout_ns)
        return sleep(self.address, seen, address_of(timespec)) == 1

    def stay_awake(self) -> None:
        """Take back ``prepare``."""
        stay_awake(self.address)

    @property
    def sleeping(self) -> bool:
        """Whether the owner sleeps or is about to."""
        return read_word(self.address + SLEEPING_AT) != 0

    @property
    def rung(self) -> int:
        """Times a sleeper was told."""
        return read_word(self.address + SEQUENCE_AT)


def _has_fifo(segment: Segment) -> bool:
    return bool(segment.bytes_at(0, DOORBELL.itemsize).view(DOORBELL)["by_pipe"].item())


def _open_fifo(path: Path) -> int:
    """Descriptor of the FIFO at ``path``, made if need be; SegmentRefused for what is not ours alone."""
    with contextlib.suppress(FileExistsError):
        os.mkfifo(path, OWNER_ONLY)
    try:
        descriptor = os.open(path, OPEN_FLAGS | os.O_NONBLOCK)
    except OSError as error:
        raise SegmentRefused(f"{path}: {error.strerror}") from error
    found = os.fstat(descriptor)
    if not stat.S_ISFIFO(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & NOT_OWNER_BITS:
        os.close(descriptor)
        raise SegmentRefused(f"{path}: not a FIFO of this user alone (mode {stat.S_IMODE(found.st_mode):o})")
    return descriptor


def warm() -> None:
    """Compile the kernels of this module."""
    bell = Doorbell.create()
    bell.ring()
    seen = bell.prepare()
    bell.stay_awake()
    bell.sleep(seen, 1)
