"""Rings of fixed-size records with one producer: one kind that never waits, one that is never overwritten.

``OverwritingRing``: for market data. The producer never waits; a reader that falls a ring-full behind is
lapped, finds out by itself, counts exactly the messages and cells it lost, and goes on at the oldest message
that is safe to read. ``RefusingRing``: for decisions and order events. Gating readers are declared with the
ring; nothing is overwritten before all of them have read it, a publication without room is refused and
counted, and a gating reader whose heartbeat is silent past a limit is fenced by the producer. Observing
readers may be lapped, as above.

One thread publishes, one thread per reader reads. The compiled path uses ``address`` with the kernels of
``shm.cells``; the methods here are the same kernels, one call per method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from shm import adoption, cells, gating, sums
from shm.atomics import address_of, compare_exchange, read_word, write_word
from shm.errors import LayoutMismatch, RingRefused, ShmError
from shm.jit import direct, kernel
from shm.layout import (
    CAPACITY_CELLS_MAX,
    CAPACITY_CELLS_MIN,
    CELL,
    CELL_BYTES,
    COUNT_MASK,
    FLAGS_MASK,
    FLAGS_SHIFT,
    GATING_READERS_MAX,
    HOT_BYTES,
    INDEX_SHIFT,
    MESSAGE_CELLS_MAX,
    PAYLOAD_BYTES,
    READER,
    READER_NAME_BYTES,
    RING,
    SHARE_SHIFT,
    WORD_BYTES,
    ReaderState,
    SegmentKind,
    layout_hash,
)
from shm.reader import EVERY_MESSAGE, READ_BATCH_CELLS, Reader, Records, Words, mark_done, private_block
from shm.segment import Segment, create_or_adopt
from shm.segment_files import Claim

__all__ = [
    "EVERY_MESSAGE",
    "OverwritingRing",
    "Reader",
    "Records",
    "RefusingRing",
    "cell_index",
    "message_cells",
    "message_flags",
    "ring_layout_hash",
    "warm",
]


@kernel
def change_state(cursor: int, expected: int, desired: int) -> int:
    """Compare-exchange a reader's state; 1 when it changed."""
    return compare_exchange(cursor + gating.STATE_AT, expected, desired)


def ring_layout_hash(payload_bytes: int) -> int:
    """Hash that both sides of a ring must agree on."""
    return layout_hash(RING, CELL, READER, payload_bytes)


class _Ring:
    """What both kinds of ring share: the segment, the producer's side, and observing readers."""

    KIND: SegmentKind

    def __init__(self, segment: Segment, payload_bytes: int) -> None:
        self.segment = segment
        self.payload_bytes = payload_bytes
        self.address = segment.address
        self.header = segment.bytes_at(0, RING.itemsize).view(RING)[0]
        self._publish = direct(cells.publish, 0, 0, 0, 0)
        self._publish_parts = direct(cells.publish_parts, 0, 0, 0, 0, 0, 0)
        self._publish_each = direct(cells.publish_each, 0, 0, 0, 0)

    @classmethod
    def _create(
        cls,
        capacity: int,
        payload_bytes: int,
        message_cells_max: int | None,
        n_gating: int,
        where: tuple[str | None, int, Path | None],
        *,
        checked: bool = False,
    ) -> Self:
        """Check the declaration and make the segment, not sealed yet; raises RingRefused."""
        largest = message_bound(capacity, None)
        bound = message_bound(capacity, message_cells_max)
        if payload_bytes not in PAYLOAD_BYTES:
            raise RingRefused(f"records are of {PAYLOAD_BYTES} bytes, not {payload_bytes}")
        if not CAPACITY_CELLS_MIN <= capacity <= CAPACITY_CELLS_MAX or capacity & (capacity - 1):
            raise RingRefused(
                f"{capacity} cells: not a power of two from {CAPACITY_CELLS_MIN} to {CAPACITY_CELLS_MAX}"
            )
        if not 1 <= bound <= largest:
            raise RingRefused(f"messages of {bound} cells: a ring of {capacity} carries 1 to {largest}")
        name, epoch, directory = where
        cell_bytes = CELL_BYTES[PAYLOAD_BYTES.index(payload_bytes)]
        sums_at = RING.itemsize + capacity * cell_bytes
        size = sums_at + checked * capacity * WORD_BYTES
        segment = Segment.create(name, size, cls.KIND, ring_layout_hash(payload_bytes), epoch, directory)
        ring = cls(segment, payload_bytes)
        ring.header["kind"] = cls.KIND
        ring.header["capacity"] = capacity
        ring.header["cell_shift"] = cell_bytes.bit_length() - 1
        ring.header["message_cells_max"] = bound
        ring.header["n_gating"] = n_gating
        ring.header["sums_at"] = checked * sums_at
        return ring

    @classmethod
    def _adopt(
        cls, name: str, payload_bytes: int, directory: Path, epoch: int, declared: Mapping[str, object]
    ) -> Self:
        """Become the producer of a ring whose producer is gone, if it is as ``declared``."""

        def fits(segment: Segment) -> None:
            found = cls(segment, payload_bytes).declared()
            for what, value in declared.items():
                if found[what] != value:
                    raise LayoutMismatch(f"{segment.path}: {what} is {found[what]}, expected {value}")

        kind, expected = cls.KIND, ring_layout_hash(payload_bytes)
        ring = cls(Segment.adopt(name, kind, expected, directory, epoch, fits), payload_bytes)
        adoption.repair(ring.address)
        adoption.begin_epoch(ring.address)
        return ring

    @classmethod
    def adopt(cls, name: str, payload_bytes: int, directory: Path, epoch: int) -> Self:
        """Become the producer of a ring whose producer is gone, and go on behind what it published.

        Readers keep their places, and are told by ``Reader.entered_epoch``. Raises SegmentExists for a living
        producer, LayoutMismatch also for an ``epoch`` that is not newer, SegmentRefused, FileNotFoundError.
        """
        return cls._adopt(name, payload_bytes, directory, epoch, {})

    def declared(self) -> dict[str, object]:
        """What the ring was declared with: capacity, largest message, gating readers, if it is checked."""
        return {
            "capacity": self.capacity,
            "message_cells_max": int(self.header["message_cells_max"]),
            "gating_readers": self.gating_readers,
            "checked": bool(self.header["sums_at"]),
        }

    @property
    def gating_readers(self) -> tuple[str, ...]:
        """Names of the readers this ring waits for, in the order they were declared in."""
        blocks = self.header["readers"]["name"][: int(self.header["n_gating"])]
        return tuple(bytes(name).decode() for name in blocks)

    @classmethod
    def attach(cls, name: str, payload_bytes: int, directory: Path, epoch: int | None = None) -> Self:
        """Map a ring another process created; raises LayoutMismatch, SegmentRefused or FileNotFoundError."""
        segment = Segment.attach(name, cls.KIND, ring_layout_hash(payload_bytes), directory, epoch)
        return cls(segment, payload_bytes)

    def check_width(self, dtype: np.dtype[np.void]) -> None:
        """Raise ValueError unless records of ``dtype`` fill a cell of this ring exactly."""
        if dtype.itemsize != self.payload_bytes:
            raise ValueError(
                f"records are {dtype.itemsize} bytes wide, cells of this ring carry {self.payload_bytes}"
            )

    def publish(self, records: Records, tail: Records | None = None, flags: int = 0) -> bool:
        """Publish the rows of ``records``, and of ``tail`` behind them, as one message.

        False when it was refused: larger than the bound, or (refusing rings) no room. Never waits.
        """
        self.check_width(records.dtype)
        head = address_of(records)
        if tail is None:
            return self._publish(self.address, head, records.size, flags) > 0
        self.check_width(tail.dtype)
        parts = head, records.size, address_of(tail), tail.size
        return self._publish_parts(self.address, *parts, flags) > 0

    def publish_each(self, records: Records, flags: int = 0) -> int:
        """Publish every row as a message of its own; how many, up to the first refusal."""
        self.check_width(records.dtype)
        return self._publish_each(self.address, address_of(records), records.size, flags)

    def observer(self, *, from_oldest: bool = True, batch_cells: int = READ_BATCH_CELLS) -> Reader:
        """Make a reader nobody waits for, at the oldest safe message or behind the newest.

        Raises ShmError when the producer overtakes it at every try.
        """
        cursor = private_block()
        if cells.join(self.address, address_of(cursor), int(from_oldest)) != 1:
            raise ShmError("the producer overtook a reader that tried to join")
        return self.reader_at(cursor, batch_cells)

    def reader_at(
        self, place: Words, batch_cells: int, claim: Claim | None = None, *, keeps: bool = False
    ) -> Reader:
        """Make the reader whose place is ``place``, whatever way it joined."""
        return Reader(self, place, batch_cells, claim, keeps=keeps)

    @property
    def capacity(self) -> int:
        """Cells in the ring."""
        return int(self.header["capacity"])

    @property
    def published_cells(self) -> int:
        """Cells published since the ring was made."""
        return int(self.header["head"])

    @property
    def published_messages(self) -> int:
        """Messages published since the ring was made."""
        return int(self.header["messages"])

    @property
    def refusals(self) -> dict[str, int]:
        """Publications refused, by cause: size, full, fenced."""
        return {cause: int(self.header[f"refused_{cause}"]) for cause in ("size", "full", "fenced")}


class OverwritingRing(_Ring):
    """A ring whose producer never waits."""

    KIND = SegmentKind.OVERWRITING_RING

    @classmethod
    def create(
        cls,
        capacity: int,
        payload_bytes: int,
        *,
        message_cells_max: int | None = None,
        name: str | None = None,
        epoch: int = 0,
        directory: Path | None = None,
    ) -> Self:
        """Make a ring of ``capacity`` cells (a power of two) with 48 or 112 bytes of payload each.

        ``message_cells_max`` is a quarter of the ring unless it is told. Raises RingRefused.
        """
        ring = cls._create(capacity, payload_bytes, message_cells_max, 0, (name, epoch, directory))
        ring.segment.seal()
        return ring

    @classmethod
    def create_or_adopt(
        cls,
        capacity: int,
        payload_bytes: int,
        *,
        name: str,
        epoch: int,
        directory: Path,
        message_cells_max: int | None = None,
    ) -> Self:
        """Make the ring, or become its producer where one has died; raises as ``create`` and ``adopt``."""
        declared = {"capacity": capacity, "message_cells_max": message_bound(capacity, message_cells_max)}
        return create_or_adopt(
            lambda: cls.create(
                capacity,
                payload_bytes,
                message_cells_max=message_cells_max,
                name=name,
                epoch=epoch,
                directory=directory,
            ),
            lambda: cls._adopt(name, payload_bytes, directory, epoch, declared),
        )

    def reader(self, *, from_oldest: bool = True, batch_cells: int = READ_BATCH_CELLS) -> Reader:
        """Make a reader; all readers of this ring observe."""
        return self.observer(from_oldest=from_oldest, batch_cells=batch_cells)


class RefusingRing(_Ring):
    """A ring that refuses what a gating reader has no room for."""

    KIND = SegmentKind.REFUSING_RING

    @classmethod
    def create(
        cls,
        capacity: int,
        payload_bytes: int,
        gating_readers: Sequence[str],
        *,
        message_cells_max: int | None = None,
        name: str | None = None,
        epoch: int = 0,
        directory: Path | None = None,
        checked: bool = False,
    ) -> Self:
        """Make a ring that waits for ``gating_readers`` (1 to 8 names), from its first message on.

        ``checked``: every message carries a checksum, and none that is garbled is handed out. Raises
        RingRefused for no reader, too many, or names that repeat or do not fit.
        """
        names = list(dict.fromkeys(gating_readers))
        if len(names) != len(gating_readers) or not 1 <= len(names) <= GATING_READERS_MAX:
            raise RingRefused(f"a refusing ring waits for 1 to {GATING_READERS_MAX} readers, each named once")
        if not all(name and name.isascii() and len(name) <= READER_NAME_BYTES for name in names):
            raise RingRefused(f"names of readers are 1 to {READER_NAME_BYTES} ASCII characters")
        where = (name, epoch, directory)
        ring = cls._create(capacity, payload_bytes, message_cells_max, len(names), where, checked=checked)
        for index, reader in enumerate(names):
            ring.header["readers"]["name"][index] = reader.encode()
            ring.header["readers"]["state"][index] = ReaderState.DECLARED
        ring.segment.seal()
        return ring

    @classmethod
    def create_or_adopt(
        cls,
        capacity: int,
        payload_bytes: int,
        gating_readers: Sequence[str],
        *,
        name: str,
        epoch: int,
        directory: Path,
        message_cells_max: int | None = None,
        checked: bool = False,
    ) -> Self:
        """Make the ring, or become its producer where one has died; raises as ``create`` and ``adopt``."""
        declared = {
            "capacity": capacity,
            "message_cells_max": message_bound(capacity, message_cells_max),
            "gating_readers": tuple(gating_readers),
            "checked": checked,
        }
        return create_or_adopt(
            lambda: cls.create(
                capacity,
                payload_bytes,
                gating_readers,
                message_cells_max=message_cells_max,
                name=name,
                epoch=epoch,
                directory=directory,
                checked=checked,
            ),
            lambda: cls._adopt(name, payload_bytes, directory, epoch, declared),
        )

    def reader(
        self, name: str, now_ns: int, *, batch_cells: int = READ_BATCH_CELLS, keeps: bool = False
    ) -> Reader:
        """Join as the declared gating reader ``name``; one that was fenced must still ``rejoin``.

        Raises RingRefused for a name that was not declared, for one whose reader has joined and is not
        fenced, and for one whose reader lives.
        """
        block, claim = self._claimed(name)
        state = read_word(address_of(block) + gating.STATE_AT)
        if state == ReaderState.DECLARED:  # else the beat would keep a dead reader from being fenced
            write_word(address_of(block) + gating.HEARTBEAT_AT, now_ns)
            joined = change_state(address_of(block), ReaderState.DECLARED, ReaderState.JOINED) == 1
        else:
            joined = state == ReaderState.FENCED
        if not joined:
            raise RingRefused(f"{name!r} has joined already; fence it first if it is dead")
        return self.reader_at(block, batch_cells, claim, keeps=keeps)

    def resume(
        self, name: str, now_ns: int, *, batch_cells: int = READ_BATCH_CELLS, keeps: bool = False
    ) -> Reader:
        """Be the gating reader ``name`` from where the one before left off, or the first one of that name.

        Every message is handed out once: what the one before was handed it may have used, the rest comes
        here. Where both ``keeps``, what it had not called ``done`` comes here as well. One that was fenced
        must still ``rejoin``. Raises RingRefused for a name that was not declared, and for one whose reader
        lives; private memory outlives no reader, and this is ``reader`` there.
        """
        if self.segment.path is None:
            return self.reader(name, now_ns, batch_cells=batch_cells, keeps=keeps)
        block, claim = self._claimed(name)
        adoption.take_up(self.address, address_of(block))
        write_word(address_of(block) + gating.HEARTBEAT_AT, now_ns)
        change_state(address_of(block), ReaderState.DECLARED, ReaderState.JOINED)
        return self.reader_at(block, batch_cells, claim, keeps=keeps)

    def _claimed(self, name: str) -> tuple[Words, Claim | None]:
        """Block of a declared reader, and the right to be it; RingRefused."""
        if name not in self.gating_readers:
            declared = ", ".join(self.gating_readers)
            raise RingRefused(f"{name!r} is not a gating reader of this ring; declared: {declared}")
        start = gating.READERS_AT + self.gating_readers.index(name) * HOT_BYTES
        claim = self.segment.claim(start, HOT_BYTES)
        return self.segment.bytes_at(start, HOT_BYTES).view(np.int64), claim

    def fence_silent(self, now_ns: int, silent_ns_max: int) -> int:
        """Fence joined gating readers that have not beaten for ``silent_ns_max``; how many. Producer only."""
        return gating.fence_silent(self.address, now_ns, silent_ns_max)

    @property
    def fenced(self) -> int:
        """Times a gating reader was fenced."""
        return int(self.header["fenced"])


def message_bound(capacity: int, asked: int | None) -> int:
    """Cells of the largest message: what was asked for, else a quarter of the ring."""
    return min(capacity >> SHARE_SHIFT, MESSAGE_CELLS_MAX) if asked is None else asked


def message_cells(tag: int) -> int:
    """Cells of the message a tag belongs to."""
    return int(tag) & COUNT_MASK


def cell_index(tag: int) -> int:
    """Place of the cell in its message; 0 starts one."""
    return (int(tag) >> INDEX_SHIFT) & COUNT_MASK


def message_flags(tag: int) -> int:
    """Flags the publisher gave the message."""
    return (int(tag) >> FLAGS_SHIFT) & FLAGS_MASK


def warm() -> None:
    """Compile every kernel of the rings, with both kinds of call."""
    gating.warm()
    sums.warm()
    ring = RefusingRing.create(CAPACITY_CELLS_MIN, PAYLOAD_BYTES[0], ("warm",))
    records = np.zeros(1, np.dtype((np.void, PAYLOAD_BYTES[0])))
    reader = ring.reader("warm", 0)
    ring.publish(records)
    ring.publish(records, records)
    ring.publish_each(records)
    reader.poll()
    reader.beat(0)
    ring.fence_silent(1, 0)
    reader.rejoin(1)
    ring.observer()
    adoption.repair(ring.address)
    adoption.begin_epoch(ring.address)
    adoption.take_up(ring.address, reader.address)
    cells.epoch_number(ring.address, 0)
    mark_done(reader.address, reader.address)
