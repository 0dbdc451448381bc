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

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from shm import cells, gating
from shm.atomics import address_of, compare_exchange, write_word
from shm.errors import RingRefused, ShmError
from shm.jit import kernel
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
    WORD_SHIFT,
    ReaderState,
    SegmentKind,
    Status,
    layout_hash,
)
from shm.segment import Segment

__all__ = [
    "OverwritingRing",
    "Reader",
    "RefusingRing",
    "cell_index",
    "message_cells",
    "message_flags",
    "ring_layout_hash",
    "warm",
]

Records = NDArray[np.void]
Words = NDArray[np.int64]

EVERY_MESSAGE: Final = 1 << 62
POSITION_WORD: Final = gating.POSITION_AT >> WORD_SHIFT
STATE_WORD: Final = gating.STATE_AT >> WORD_SHIFT
CELLS_WORD: Final = cells.CELLS_AT >> WORD_SHIFT
FENCED: Final = int(ReaderState.FENCED)
READ_BATCH_CELLS: Final = 256


@kernel
def change_state(cursor: int, expected: int, desired: int) -> int:
    """Compare-exchange a reader's state; 1 when it changed."""
    return compare_exchange(cursor + gating.STATE_AT, expected, desired)


def ring_layout_hash(payload_bytes: int) -> int:
    """Hash that both sides of a ring must agree on."""
    return layout_hash(RING, CELL, READER, payload_bytes)


class Reader:
    """One reader's place in a ring, with a buffer that holds the largest message the ring can carry.

    After ``poll`` the payloads are ``words`` (row by row) or ``records(dtype)``, and ``tags`` tells message
    boundaries. Loss counters move before the first record behind a gap is handed out.
    """

    def __init__(self, ring: _Ring, cursor: Words, block: np.void, batch_cells: int) -> None:
        room = max(batch_cells, int(ring.header["message_cells_max"]))
        self._ring = ring
        self._cursor = cursor
        self.block = block
        self.ring_address = ring.address
        self.address = address_of(cursor)
        self.room_cells = room
        self.words: Words = np.zeros(room * ring.payload_bytes >> WORD_SHIFT, np.int64)
        self.tags: Words = np.zeros(room, np.int64)
        self._words_address = address_of(self.words)
        self._tags_address = address_of(self.tags)
        self._place = cursor.data
        self._object = ring.segment.words().data
        self._mask = ring.capacity - 1
        self._cell_word_shift = int(ring.header["cell_shift"]) - WORD_SHIFT
        self._next_word = CELLS_WORD  # where the sequence of the next message will be, and what it will reach
        self._next_whole = 2

    def records(self, dtype: np.dtype[np.void]) -> Records:
        """View the buffer as records of ``dtype``; make it once, it shows what each poll brings."""
        self._ring.check_width(dtype)
        return self.words.view(dtype)

    def poll(self, messages_max: int = EVERY_MESSAGE) -> int:
        """Bring up to ``messages_max`` whole messages into the buffer: cells, 0, or Status.READER_FENCED.

        Most polls find nothing. Two plain loads say so for a fraction of the cost of a compiled call: the
        sequence of the cell where the next message begins has not come to it. What they see may be a moment
        old, so that they can only be late, and what there is to read the kernel acquires. A reader that was
        moved otherwise finds that sequence reached, and asks the kernel.
        """
        if self._object[self._next_word] < self._next_whole and self._place[STATE_WORD] != FENCED:
            return 0
        n_cells = cells.poll(
            self.ring_address,
            self.address,
            self._words_address,
            self._tags_address,
            self.room_cells,
            messages_max,
        )
        position = self._place[POSITION_WORD]
        self._next_word = CELLS_WORD + ((position & self._mask) << self._cell_word_shift)
        self._next_whole = 2 * position + 2
        return n_cells

    def read(self, out: Records, messages_max: int = EVERY_MESSAGE) -> int:
        """Copy whole messages into the first rows of ``out``; answers as ``poll``.

        Raises ValueError when the next message is larger than ``out``, or its records have another width.
        """
        self._ring.check_width(out.dtype)
        room = min(out.size, self.room_cells)
        n_cells = cells.poll(
            self.ring_address, self.address, address_of(out), self._tags_address, room, messages_max
        )
        if n_cells == Status.OUT_TOO_SMALL:
            raise ValueError(f"the next message has more than the {out.size} records there is room for")
        return n_cells

    def beat(self, now_ns: int) -> None:
        """Tell the producer that this reader lives; ``now_ns`` is of the clock the producer fences by."""
        write_word(self.address + gating.HEARTBEAT_AT, now_ns)

    def rejoin(self, now_ns: int) -> bool:
        """Come back after having been fenced, behind the newest message, counting what was missed.

        False when this reader is not fenced, or the producer was faster every time.
        """
        self.beat(now_ns)
        return cells.rejoin(self.ring_address, self.address) == 1

    @property
    def state(self) -> ReaderState:
        """State as this reader or the producer last set it."""
        return ReaderState(int(self.block["state"]))

    @property
    def lost_messages(self) -> int:
        """Messages overwritten before this reader came to them."""
        return int(self.block["lost_messages"])

    @property
    def lost_cells(self) -> int:
        """Cells of those messages."""
        return int(self.block["lost_cells"])

    @property
    def laps(self) -> int:
        """Times this reader was lapped."""
        return int(self.block["laps"])

    @property
    def received_messages(self) -> int:
        """Messages handed out since this reader joined; with ``lost_messages`` all that was sent."""
        return int(self.block["ordinal"]) - int(self.block["joined_ordinal"]) - self.lost_messages

    @property
    def received_cells(self) -> int:
        """Cells of the messages handed out."""
        return int(self.block["position"]) - int(self.block["joined_position"]) - self.lost_cells

    @property
    def lag_cells(self) -> int:
        """Cells published and not read yet."""
        return self._ring.published_cells - int(self.block["position"])


class _Ring:
    """What both kinds of ring share: the segment, the producer's side, and observing readers."""

    KIND: SegmentKind

    def __init__(self, segment: Segment, payload_bytes: int) -> None:
        self.segment = segment
        self.payload_bytes = payload_bytes
        self.address = segment.address
        self.header = segment.bytes_at(0, RING.itemsize).view(RING)[0]

    @classmethod
    def _create(
        cls,
        capacity: int,
        payload_bytes: int,
        message_cells_max: int | None,
        n_gating: int,
        where: tuple[str | None, int, Path | None],
    ) -> Self:
        """Check the declaration and make the segment, not sealed yet; raises RingRefused."""
        largest = min(capacity >> SHARE_SHIFT, MESSAGE_CELLS_MAX)
        bound = largest if message_cells_max is None else message_cells_max
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
        size = RING.itemsize + capacity * cell_bytes
        segment = Segment.create(name, size, cls.KIND, ring_layout_hash(payload_bytes), epoch, directory)
        ring = cls(segment, payload_bytes)
        ring.header["kind"] = cls.KIND
        ring.header["capacity"] = capacity
        ring.header["cell_shift"] = cell_bytes.bit_length() - 1
        ring.header["message_cells_max"] = bound
        ring.header["n_gating"] = n_gating
        return ring

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
            return cells.publish(self.address, head, records.size, flags) > 0
        self.check_width(tail.dtype)
        return cells.publish_parts(self.address, head, records.size, address_of(tail), tail.size, flags) > 0

    def publish_each(self, records: Records, flags: int = 0) -> int:
        """Publish every row as a message of its own; how many, up to the first refusal."""
        self.check_width(records.dtype)
        return cells.publish_each(self.address, address_of(records), records.size, flags)

    def observer(self, *, from_oldest: bool = True, batch_cells: int = READ_BATCH_CELLS) -> Reader:
        """Make a reader nobody waits for, at the oldest safe message or behind the newest.

        Raises ShmError when the producer overtakes it at every try.
        """
        cursor = _private_block()
        reader = Reader(self, cursor, cursor.view(READER)[0], batch_cells)
        if cells.join(self.address, reader.address, int(from_oldest)) != 1:
            raise ShmError("the producer overtook a reader that tried to join")
        return reader

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
    ) -> Self:
        """Make a ring that waits for ``gating_readers`` (1 to 8 names), from its first message on.

        Raises RingRefused for no reader, too many, or names that repeat or do not fit.
        """
        names = list(dict.fromkeys(gating_readers))
        if len(names) != len(gating_readers) or not 1 <= len(names) <= GATING_READERS_MAX:
            raise RingRefused(f"a refusing ring waits for 1 to {GATING_READERS_MAX} readers, each named once")
        if not all(name and name.isascii() and len(name) <= READER_NAME_BYTES for name in names):
            raise RingRefused(f"names of readers are 1 to {READER_NAME_BYTES} ASCII characters")
        ring = cls._create(capacity, payload_bytes, message_cells_max, len(names), (name, epoch, directory))
        for index, reader in enumerate(names):
            ring.header["readers"]["name"][index] = reader.encode()
            ring.header["readers"]["state"][index] = ReaderState.DECLARED
        ring.segment.seal()
        return ring

    def reader(self, name: str, now_ns: int, *, batch_cells: int = READ_BATCH_CELLS) -> Reader:
        """Join as the declared gating reader ``name``; one that was fenced must still ``rejoin``.

        Raises RingRefused for a name that was not declared, and for one whose reader has joined and is not
        fenced.
        """
        names = [
            bytes(block).decode() for block in self.header["readers"]["name"][: int(self.header["n_gating"])]
        ]
        if name not in names:
            raise RingRefused(f"{name!r} is not a gating reader of this ring; declared: {', '.join(names)}")
        start = gating.READERS_AT + names.index(name) * HOT_BYTES
        block = self.segment.bytes_at(start, HOT_BYTES)
        reader = Reader(self, block.view(np.int64), block.view(READER)[0], batch_cells)
        if reader.state == ReaderState.FENCED:
            return reader
        if reader.state == ReaderState.DECLARED:  # else the beat would keep a dead reader from being fenced
            reader.beat(now_ns)
            if change_state(reader.address, ReaderState.DECLARED, ReaderState.JOINED) == 1:
                return reader
        raise RingRefused(f"{name!r} has joined already; fence it first if it is dead")

    def fence_silent(self, now_ns: int, silent_ns_max: int) -> int:
        """Fence joined gating readers that have not beaten for ``silent_ns_max``; how many. Producer only."""
        return gating.fence_silent(self.address, now_ns, silent_ns_max)

    @property
    def fenced(self) -> int:
        """Times a gating reader was fenced."""
        return int(self.header["fenced"])


def _private_block() -> Words:
    """Zeroed reader block in memory of our own, on a hot boundary: no other thread writes near it."""
    room: Words = np.zeros(2 * HOT_BYTES >> WORD_SHIFT, np.int64)
    start = -address_of(room) % HOT_BYTES >> WORD_SHIFT
    return room[start : start + (HOT_BYTES >> WORD_SHIFT)]


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
