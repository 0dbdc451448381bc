"""One reader's place in a ring, and the buffer its messages come into.

An observer's place is its own memory. A gating reader's lies in the segment, where the producer sees how far
it is, and where it outlives the process: the next one goes on there.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from shm import cells, gating
from shm.atomics import address_of, load_relaxed, store_relaxed, store_release, write_word
from shm.jit import direct, kernel
from shm.layout import HOT_BYTES, READER, WORD_SHIFT, ReaderState, Status
from shm.segment import Segment
from shm.segment_files import Claim

Records = NDArray[np.void]
Words = NDArray[np.int64]

EVERY_MESSAGE: Final = 1 << 62
POSITION_WORD: Final = gating.POSITION_AT >> WORD_SHIFT
STATE_WORD: Final = gating.STATE_AT >> WORD_SHIFT
HEAD_WORD: Final = gating.HEAD_AT >> WORD_SHIFT
CELLS_WORD: Final = cells.CELLS_AT >> WORD_SHIFT
ADOPTIONS_WORD: Final = cells.ADOPTIONS_AT >> WORD_SHIFT
FENCED: Final = int(ReaderState.FENCED)
READER_FENCED: Final = int(Status.READER_FENCED)
READ_BATCH_CELLS: Final = 256


@kernel
def mark_done(shared: int, private: int) -> None:
    """Move the place others see to the reader's own: the count first, as a poll does."""
    store_relaxed(shared + cells.ORDINAL_AT, load_relaxed(private + cells.ORDINAL_AT))
    store_release(shared + gating.POSITION_AT, load_relaxed(private + gating.POSITION_AT))


class ReadableRing(Protocol):
    """What a reader needs of its ring."""

    segment: Segment
    address: int
    header: np.void
    payload_bytes: int

    @property
    def capacity(self) -> int:
        """Cells in the ring."""

    @property
    def published_cells(self) -> int:
        """Cells published since the ring was made."""

    def check_width(self, dtype: np.dtype[np.void]) -> None:
        """Raise ValueError unless records of ``dtype`` fill a cell exactly."""


class Reader:
    """One reader's place in a ring, with a buffer that holds the largest message the ring can carry.

    After ``poll`` the payloads are ``words`` (row by row) or ``records(dtype)``, and ``tags`` tells message
    boundaries. Loss counters move before the first record behind a gap is handed out, and ``entered_epoch``
    tells when what was brought is the first of another producer.

    ``claim`` is what keeps a second process from being the same reader; None where nobody else could be.

    A reader that ``keeps`` reads ahead of the place others see: what it was handed counts as read, for the
    producer and for whoever resumes, only by ``done``. Handed out and not done is handed out again.
    """

    def __init__(
        self,
        ring: ReadableRing,
        place: Words,
        batch_cells: int,
        claim: Claim | None = None,
        *,
        keeps: bool = False,
    ) -> None:
        room = max(batch_cells, int(ring.header["message_cells_max"]))
        cursor = place
        if keeps:
            cursor = private_block()
            cursor[:] = place
        self._ring = ring
        self._shared = place
        self._keeps = keeps
        self._cursor = cursor
        self._claim = claim
        self.block = cursor.view(READER)[0]
        self.ring_address = ring.address
        self.address = address_of(cursor)
        self.shared_address = address_of(place)
        self.room_cells = room
        self.words: Words = np.zeros(room * ring.payload_bytes >> WORD_SHIFT, np.int64)
        self.tags: Words = np.zeros(room, np.int64)
        self._words_address = address_of(self.words)
        self._tags_address = address_of(self.tags)
        self._place = cursor.data
        self._state = place.data
        self._object = ring.segment.words().data
        self._mask = ring.capacity - 1
        self._cell_word_shift = int(ring.header["cell_shift"]) - WORD_SHIFT
        # Where a word will have reached what when there is another message: the sequence of its first cell,
        # or the head of a checked ring, whose sequences may be garbled.
        self._is_checked = bool(ring.header["sums_at"])
        self._next_word = HEAD_WORD if self._is_checked else CELLS_WORD
        self._next_least = 1 if self._is_checked else 2
        self._batch_cells = 0
        self._poll = direct(cells.poll, 0, 0, 0, 0, 0, 0)
        self._epoch = cells.epoch_number(self.ring_address, int(self.block["position"]))

    def records(self, dtype: np.dtype[np.void]) -> Records:
        """View the buffer as records of ``dtype``; make it once, it shows what each poll brings."""
        self._ring.check_width(dtype)
        return self.words.view(dtype)

    def poll(self, messages_max: int = EVERY_MESSAGE) -> int:
        """Bring up to ``messages_max`` whole messages into the buffer: cells, 0, READER_FENCED or GARBLED.

        GARBLED (checked rings): the message that came next is not what was published; it was passed over.
        Most polls find nothing. Two plain loads say so for a fraction of the cost of a compiled call: the
        sequence of the cell where the next message begins, or the head, has not come to it. What they see may
        be a moment old, so that they can only be late, and what there is to read the kernel acquires. A
        reader that was moved otherwise finds that sequence reached, and asks the kernel.
        """
        if self._object[self._next_word] < self._next_least and self._state[STATE_WORD] != FENCED:
            self._batch_cells = 0
            return 0
        n_cells = self._poll(
            self.ring_address,
            self.address,
            self._words_address,
            self._tags_address,
            self.room_cells,
            messages_max,
        )
        if self._keeps and self._state[STATE_WORD] == FENCED:
            n_cells = READER_FENCED  # its own place was polled, which nobody fences
        position = self._place[POSITION_WORD]
        if self._is_checked:
            self._next_least = position + 1
        else:
            self._next_word = CELLS_WORD + ((position & self._mask) << self._cell_word_shift)
            self._next_least = 2 * position + 2
        self._batch_cells = n_cells
        return n_cells

    def entered_epoch(self) -> bool:
        """Whether another producer has begun; asked after a poll, before what it brought is used.

        True once for each producer, and before its first message: what the batch holds, and all that comes,
        is its. Between the last message of the one that died and its first, anything may be missing. Also
        True without a message, once all that the dead one sent has been read. One plain load where nothing
        has happened.
        """
        if self._object[ADOPTIONS_WORD] == self._epoch:
            return False
        start = int(self.block["position"]) - max(self._batch_cells, 0)
        epoch = cells.epoch_number(self.ring_address, start)
        entered = epoch != self._epoch
        self._epoch = epoch
        return entered

    def read(self, out: Records, messages_max: int = EVERY_MESSAGE) -> int:
        """Copy whole messages into the first rows of ``out``; answers as ``poll``.

        Raises ValueError when the next message is larger than ``out``, or its records have another width.
        """
        self._ring.check_width(out.dtype)
        room = min(out.size, self.room_cells)
        n_cells = cells.poll(
            self.ring_address, self.address, address_of(out), self._tags_address, room, messages_max
        )
        if self._keeps and self._state[STATE_WORD] == FENCED:
            n_cells = READER_FENCED
        if n_cells == Status.OUT_TOO_SMALL:
            raise ValueError(f"the next message has more than the {out.size} records there is room for")
        self._batch_cells = n_cells
        return n_cells

    def done(self) -> None:
        """Count what was handed out as read, if this reader keeps: it is not handed out again."""
        if self._keeps:
            mark_done(self.shared_address, self.address)

    def beat(self, now_ns: int) -> None:
        """Tell the producer that this reader lives; ``now_ns`` is of the clock the producer fences by."""
        write_word(self.shared_address + gating.HEARTBEAT_AT, now_ns)

    def rejoin(self, now_ns: int) -> bool:
        """Come back after having been fenced, behind the newest message, counting what was missed.

        False when this reader is not fenced, or the producer was faster every time.
        """
        self.beat(now_ns)
        self._batch_cells = 0
        if cells.rejoin(self.ring_address, self.shared_address) != 1:
            return False
        if self._keeps:
            self._cursor[:] = self._shared
        return True

    @property
    def state(self) -> ReaderState:
        """State as this reader or the producer last set it."""
        return ReaderState(self._state[STATE_WORD])

    @property
    def lost_messages(self) -> int:
        """Messages overwritten before this reader came to them."""
        return int(self.block["lost_messages"])

    @property
    def lost_cells(self) -> int:
        """Cells of those messages."""
        return int(self.block["lost_cells"])

    @property
    def garbled(self) -> int:
        """Messages that were passed over because they were not what was published; they count as lost."""
        return int(self.block["garbled"])

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


def private_block() -> Words:
    """Zeroed reader block in memory of our own, on a hot boundary: no other thread writes near it."""
    room: Words = np.zeros(2 * HOT_BYTES >> WORD_SHIFT, np.int64)
    start = -address_of(room) % HOT_BYTES >> WORD_SHIFT
    return room[start : start + (HOT_BYTES >> WORD_SHIFT)]
