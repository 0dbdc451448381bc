"""Kernels that move messages through the cells of a ring: publish, poll, and find the place after a lap.

They take addresses only (of the ring, of a reader block, of contiguous records), so that a process can
compose them into one compiled call (parse and publish, read and apply); an array argument would cost two
locked instructions. Inside a kernel the address of an array is ``array.ctypes.data``.

Writing (``publish_parts``): every cell of the message is marked odd; a release fence; headers and payloads;
the sequences of the continuation cells; last, by a release, the sequence of the first. Until that store a
reader sees nothing of the message, after it all. Reading (``poll``): acquire the first cell's sequence, copy,
acquire fence, look at the sequence again. The writer marks the first cell of what it overwrites before it
touches any other, so one sequence vouches for the whole message.
"""

from __future__ import annotations

from typing import Final

from shm.atomics import (
    compare_exchange,
    fence_acquire,
    fence_release,
    load_acquire,
    load_relaxed,
    store_relaxed,
    store_release,
)
from shm.gating import (
    CAPACITY_AT,
    FENCED,
    HEAD_AT,
    JOINED,
    MESSAGE_CELLS_MAX_AT,
    POSITION_AT,
    STATE_AT,
    admit,
)
from shm.jit import kernel
from shm.layout import (
    CELL_HEADER_BYTES,
    COUNT_MASK,
    EPOCHS_KEPT,
    FLAGS_MASK,
    FLAGS_SHIFT,
    INDEX_SHIFT,
    ORDINAL_MASK,
    ORDINAL_SHIFT,
    READER,
    RING,
    SHARE_SHIFT,
    WORD_BYTES,
    WORD_SHIFT,
    ReaderState,
    Status,
    offset_of,
)
from shm.sums import copy_summed, sum_of

CELL_SHIFT_AT: Final = offset_of(RING, "cell_shift")
MESSAGES_AT: Final = offset_of(RING, "messages")
ADOPTIONS_AT: Final = offset_of(RING, "adoptions")
EPOCH_BEGINS_AT: Final = offset_of(RING, "epoch_begins")
SUMS_AT: Final = offset_of(RING, "sums_at")
CELLS_AT: Final = RING.itemsize
TAG_AT: Final = WORD_BYTES
ORDINAL_AT: Final = offset_of(READER, "ordinal")
JOINED_POSITION_AT: Final = offset_of(READER, "joined_position")
JOINED_ORDINAL_AT: Final = offset_of(READER, "joined_ordinal")
LOST_CELLS_AT: Final = offset_of(READER, "lost_cells")
LOST_MESSAGES_AT: Final = offset_of(READER, "lost_messages")
LAPS_AT: Final = offset_of(READER, "laps")
GARBLED_AT: Final = offset_of(READER, "garbled")
OUT_TOO_SMALL: Final = int(Status.OUT_TOO_SMALL)
READER_FENCED: Final = int(Status.READER_FENCED)
GARBLED: Final = int(Status.GARBLED)
OBSERVING: Final = int(ReaderState.OBSERVING)

STEP_BYTES: Final = 4 * WORD_BYTES  # of ``copy_words``
HEADER_WORDS: Final = CELL_HEADER_BYTES >> WORD_SHIFT
LAPPED: Final = -100  # between the kernels of this module only
UNRESOLVED: Final = -1
JUMPS_MAX: Final = 4  # of one poll; a reader lapped that often in a row comes back empty-handed
JOIN_TRIES_MAX: Final = 1024
NEVER: Final = 1 << 62


@kernel
def copy_words(into: int, source: int, n_words: int) -> None:
    """Copy ``n_words`` words between two addresses, each word whole, in no promised order.

    Four a step, because the compiler leaves a loop of such loads as it is: two instructions in five were the
    loop's own.
    """
    at, end = 0, n_words * WORD_BYTES
    steps_end = end & ~(STEP_BYTES - 1)
    while at < steps_end:
        first, second = load_relaxed(source + at), load_relaxed(source + at + WORD_BYTES)
        third, fourth = load_relaxed(source + at + 2 * WORD_BYTES), load_relaxed(source + at + 3 * WORD_BYTES)
        store_relaxed(into + at, first)
        store_relaxed(into + at + WORD_BYTES, second)
        store_relaxed(into + at + 2 * WORD_BYTES, third)
        store_relaxed(into + at + 3 * WORD_BYTES, fourth)
        at += STEP_BYTES
    while at < end:
        store_relaxed(into + at, load_relaxed(source + at))
        at += WORD_BYTES


@kernel
def _publish_one(cells: int, mask: int, shift: int, ring: int, position: int, record: int, flags: int) -> int:
    """Publish a message of one cell in a ring without checksums; 1.

    What most messages are: without the loops of ``publish_parts``, and in the same order.
    """
    cell = cells + ((position & mask) << shift)
    store_relaxed(cell, 2 * position + 1)
    fence_release()
    messages = load_relaxed(ring + MESSAGES_AT)
    store_relaxed(
        cell + TAG_AT, 1 | (flags & FLAGS_MASK) << FLAGS_SHIFT | (messages & ORDINAL_MASK) << ORDINAL_SHIFT
    )
    copy_words(cell + CELL_HEADER_BYTES, record, (1 << (shift - WORD_SHIFT)) - HEADER_WORDS)
    store_release(cell, 2 * position + 2)
    store_relaxed(ring + MESSAGES_AT, messages + 1)
    store_release(ring + HEAD_AT, position + 1)
    return 1


@kernel
def publish_parts(ring: int, head: int, n_head: int, tail: int, n_tail: int, flags: int) -> int:
    """Publish one message: ``n_head`` (at least 1) records at address ``head``, then ``n_tail`` at ``tail``.

    Records lie side by side and fill a cell each. Answers the cells published, or a refusal below zero
    (counted).
    """
    n_cells = n_head + n_tail
    position = admit(ring, n_cells)
    if position < 0:
        return position
    cells = ring + CELLS_AT
    mask = load_relaxed(ring + CAPACITY_AT) - 1
    shift = load_relaxed(ring + CELL_SHIFT_AT)
    sums = load_relaxed(ring + SUMS_AT)
    if n_cells == 1 and sums == 0:
        return _publish_one(cells, mask, shift, ring, position, head if n_head == 1 else tail, flags)
    n_words = (1 << (shift - WORD_SHIFT)) - HEADER_WORDS
    even = odd = position
    for cell in range(position, position + n_cells):
        store_relaxed(cells + ((cell & mask) << shift), 2 * cell + 1)
    fence_release()
    messages = load_relaxed(ring + MESSAGES_AT)
    tag = n_cells | (flags & FLAGS_MASK) << FLAGS_SHIFT | (messages & ORDINAL_MASK) << ORDINAL_SHIFT
    for index in range(n_cells):
        cell = cells + (((position + index) & mask) << shift)
        part = head + index * n_words * WORD_BYTES
        if index >= n_head:
            part = tail + (index - n_head) * n_words * WORD_BYTES
        store_relaxed(cell + TAG_AT, tag | index << INDEX_SHIFT)
        if sums == 0:
            copy_words(cell + CELL_HEADER_BYTES, part, n_words)
        else:
            even, odd = copy_summed(
                cell + CELL_HEADER_BYTES, part, n_words, even ^ tag ^ index << INDEX_SHIFT, odd
            )
    if sums != 0:
        store_relaxed(ring + sums + ((position & mask) << WORD_SHIFT), sum_of(even, odd))
    for cell in range(position + 1, position + n_cells):
        store_release(cells + ((cell & mask) << shift), 2 * cell + 2)
    store_release(cells + ((position & mask) << shift), 2 * position + 2)
    store_relaxed(ring + MESSAGES_AT, messages + 1)
    store_release(ring + HEAD_AT, position + n_cells)
    return n_cells


@kernel
def publish(ring: int, records: int, n_cells: int, flags: int) -> int:
    """Publish the ``n_cells`` records at address ``records`` as one message; answers as ``publish_parts``."""
    return publish_parts(ring, records, n_cells, records, 0, flags)


@kernel
def publish_each(ring: int, records: int, n_messages: int, flags: int) -> int:
    """Publish ``n_messages`` records as messages of one cell; answers how many, up to a refusal."""
    record_bytes = (1 << load_relaxed(ring + CELL_SHIFT_AT)) - CELL_HEADER_BYTES
    for message in range(n_messages):
        if publish_parts(ring, records + message * record_bytes, 1, records, 0, flags) < 0:
            return message
    return n_messages


@kernel
def _copy_message(
    cells: int, mask: int, shift: int, sums: int, position: int, out: int, tags: int, room: int
) -> int:
    """Copy the message at ``position`` to the addresses ``out`` and ``tags``, which have ``room`` cells.

    ``sums`` is where the ring has its checksums, 0 when it has none. Answers its cells, 0 when it is not
    published yet, LAPPED when the writer has been here since, OUT_TOO_SMALL, GARBLED.
    """
    first = cells + ((position & mask) << shift)
    whole = 2 * position + 2
    sequence = load_acquire(first)
    if sequence != whole:
        return LAPPED if sequence > whole else 0
    n_words = (1 << (shift - WORD_SHIFT)) - HEADER_WORDS
    # not vouched for yet: a writer may be replacing it, but any tag that was ever here is within the bounds
    tag = load_relaxed(first + TAG_AT)
    n_cells = tag & COUNT_MASK
    if n_cells == 1 and room > 0 and sums == 0:  # as most are
        store_relaxed(tags, tag)
        copy_words(out, first + CELL_HEADER_BYTES, n_words)
        fence_acquire()
        return 1 if load_relaxed(first) == whole else LAPPED
    even = odd = position
    if n_cells <= room:
        for index in range(n_cells):
            cell = cells + (((position + index) & mask) << shift)
            copy_words(tags + index * WORD_BYTES, cell + TAG_AT, 1)
            into = out + index * n_words * WORD_BYTES
            if sums == 0:
                copy_words(into, cell + CELL_HEADER_BYTES, n_words)
            else:
                even ^= load_relaxed(tags + index * WORD_BYTES)
                even, odd = copy_summed(into, cell + CELL_HEADER_BYTES, n_words, even, odd)
    said = 0 if sums == 0 else load_relaxed(sums + ((position & mask) << WORD_SHIFT))
    fence_acquire()
    if load_relaxed(first) != whole:
        return LAPPED
    if n_cells > room:
        return OUT_TOO_SMALL
    return n_cells if sums == 0 or (n_cells > 0 and said == sum_of(even, odd)) else GARBLED


@kernel
def resolve(ring: int, position: int) -> tuple[int, int]:
    """First message start at or after ``position`` and its number; (UNRESOLVED, 0) if overwritten meanwhile.

    ``position`` is below a head the caller has acquired. The cell holds the low bits of its message's number;
    the ring's own count, which cannot be more than one ring-full ahead while the cell is whole, gives the
    rest.
    """
    capacity = load_relaxed(ring + CAPACITY_AT)
    cell = ring + CELLS_AT + ((position & (capacity - 1)) << load_relaxed(ring + CELL_SHIFT_AT))
    whole = 2 * position + 2
    if load_acquire(cell) != whole:
        return UNRESOLVED, 0
    tag = load_relaxed(cell + TAG_AT)
    messages = load_relaxed(ring + MESSAGES_AT)
    fence_acquire()
    if load_relaxed(cell) != whole:
        return UNRESOLVED, 0
    ordinal = messages - ((messages - (tag >> ORDINAL_SHIFT)) & ORDINAL_MASK)
    index = (tag >> INDEX_SHIFT) & COUNT_MASK
    if index == 0:
        return position, ordinal
    return position - index + (tag & COUNT_MASK), ordinal + 1


@kernel
def _oldest_safe(ring: int) -> int:
    """Position a reader may go back to: all but the part of the ring nearest to being overwritten."""
    capacity = load_relaxed(ring + CAPACITY_AT)
    return load_acquire(ring + HEAD_AT) - (capacity - (capacity >> SHARE_SHIFT))


@kernel
def _lose(cursor: int, start: int, ordinal: int) -> None:
    """Move a reader forward to the message ``ordinal`` at ``start``, counting what lies between as lost."""
    lost_cells = start - load_relaxed(cursor + POSITION_AT)
    lost_messages = ordinal - load_relaxed(cursor + ORDINAL_AT)
    store_relaxed(cursor + LOST_CELLS_AT, load_relaxed(cursor + LOST_CELLS_AT) + lost_cells)
    store_relaxed(cursor + LOST_MESSAGES_AT, load_relaxed(cursor + LOST_MESSAGES_AT) + lost_messages)
    store_relaxed(cursor + ORDINAL_AT, ordinal)
    store_release(cursor + POSITION_AT, start)


@kernel
def _jump(ring: int, cursor: int) -> int:
    """Move a lapped reader forward to the oldest message start that is safe to read, counting what it lost.

    Answers 1 when it moved; 0 when the writer was faster again, or its new head is not visible yet.
    """
    position = load_relaxed(cursor + POSITION_AT)
    target = _oldest_safe(ring)
    if target <= position:
        return 0
    start, ordinal = resolve(ring, target)
    if start == UNRESOLVED:
        return 0
    store_relaxed(cursor + LAPS_AT, load_relaxed(cursor + LAPS_AT) + 1)
    _lose(cursor, start, ordinal)
    return 1


@kernel
def _recover(ring: int, cursor: int) -> int:
    """After a lap: 1 when the reader can go on from a new place, 0 when later, READER_FENCED when never.

    The fence: what showed the lap may have been a relaxed load, and who was overwritten because it was fenced
    must see that.
    """
    fence_acquire()
    if load_acquire(cursor + STATE_AT) == FENCED:
        return READER_FENCED
    return _jump(ring, cursor)


@kernel
def _pass_over(ring: int, cursor: int, status: int) -> int:
    """Find out why a reader of a checked ring got nothing, and move it behind what nobody can read.

    What was published before the head is whole, and is not overwritten before a gating reader has read it. So
    a message there that cannot be read (``status``: as ``_copy_message`` answers) is garbled: its sequence,
    its tag, or what the sum is over. An observer comes here with a wrong sum only; to it any sequence may be
    that of a lap. How long the message was cannot be known either: the next one begins where the next whole
    cell says that it is the first of its message. Answers GARBLED, READER_FENCED, or ``status`` when that is
    all there is to say.
    """
    fence_acquire()  # as in ``_recover``: what could not be read may have been overwritten behind a fence
    if load_acquire(cursor + STATE_AT) == FENCED:
        return READER_FENCED
    position = load_relaxed(cursor + POSITION_AT)
    head = load_acquire(ring + HEAD_AT)
    cell = ring + CELLS_AT
    cell += (position & (load_relaxed(ring + CAPACITY_AT) - 1)) << load_relaxed(ring + CELL_SHIFT_AT)
    if head <= position or (status == 0 and load_acquire(cell) == 2 * position + 2):
        return 0  # published between two looks
    n_cells = load_relaxed(cell + TAG_AT) & COUNT_MASK
    if status == OUT_TOO_SMALL and n_cells <= load_relaxed(ring + MESSAGE_CELLS_MAX_AT):
        return status
    # what was published is at most one ring-full ahead, whatever a garbled head says
    start = min(head, position + load_relaxed(ring + CAPACITY_AT))
    ordinal = load_relaxed(cursor + ORDINAL_AT) + 1
    for at in range(position + 1, start):
        found, number = resolve(ring, at)
        if found == at:
            start, ordinal = found, number
            break
    store_relaxed(cursor + GARBLED_AT, load_relaxed(cursor + GARBLED_AT) + 1)
    _lose(cursor, start, ordinal)
    return GARBLED


@kernel
def next_epoch(ring: int, position: int) -> int:
    """Where the first epoch behind ``position`` begins; NEVER when none does."""
    adoptions = load_acquire(ring + ADOPTIONS_AT)
    nearest = NEVER
    for number in range(max(adoptions - EPOCHS_KEPT, 0), adoptions):
        begins = load_relaxed(ring + EPOCH_BEGINS_AT + (number & (EPOCHS_KEPT - 1)) * WORD_BYTES)
        if position < begins < nearest:
            nearest = begins
    return nearest


@kernel
def epoch_number(ring: int, position: int) -> int:
    """Number of the epoch that a message at ``position`` belongs to: the takeovers of the ring before it.

    A takeover older than the EPOCHS_KEPT last ones counts as one before it.
    """
    adoptions = load_acquire(ring + ADOPTIONS_AT)
    number_here = adoptions
    for number in range(max(adoptions - EPOCHS_KEPT, 0), adoptions):
        if load_relaxed(ring + EPOCH_BEGINS_AT + (number & (EPOCHS_KEPT - 1)) * WORD_BYTES) > position:
            number_here -= 1
    return number_here


@kernel
def poll(ring: int, cursor: int, out: int, tags: int, room: int, messages_max: int) -> int:
    """Copy up to ``messages_max`` whole messages, at most ``room`` cells, to addresses ``out`` and ``tags``.

    ``out`` gets payloads side by side, ``tags`` one header word a cell. Answers the cells copied (0: nothing
    new), OUT_TOO_SMALL, READER_FENCED or GARBLED. A poll never spans a loss: the reader's loss counters move
    before the first record behind the gap is handed out. Nor does it span two epochs, not even when the
    second begins while it runs: who sees a message of the second also sees that there was a takeover.
    """
    if load_acquire(cursor + STATE_AT) == FENCED:
        return READER_FENCED
    cells = ring + CELLS_AT
    mask = load_relaxed(ring + CAPACITY_AT) - 1
    shift = load_relaxed(ring + CELL_SHIFT_AT)
    record_bytes = (1 << shift) - CELL_HEADER_BYTES
    sums = load_relaxed(ring + SUMS_AT)
    position = load_relaxed(cursor + POSITION_AT)
    if sums == 0 and load_relaxed(cells + ((position & mask) << shift)) < 2 * position + 2:
        return 0  # as most polls of who waits; who finds something acquires it below
    gates = sums != 0 and load_relaxed(cursor + STATE_AT) != OBSERVING
    if sums != 0:
        sums += ring
    adoptions = load_relaxed(ring + ADOPTIONS_AT)
    epoch_end = next_epoch(ring, position)
    taken = 0
    messages = 0
    status = 0
    jumps = 0
    while messages < messages_max:
        into = out + taken * record_bytes
        tag = tags + taken * WORD_BYTES
        status = _copy_message(cells, mask, shift, sums, position, into, tag, room - taken)
        if status > 0:
            if taken > 0 and (position >= epoch_end or load_relaxed(ring + ADOPTIONS_AT) != adoptions):
                break
            position += status
            taken += status
            messages += 1
            continue
        if status != LAPPED or taken > 0 or gates:
            break
        status = _recover(ring, cursor) if jumps < JUMPS_MAX else 0
        if status != 1:
            break
        jumps += 1
        position = load_relaxed(cursor + POSITION_AT)
        epoch_end = next_epoch(ring, position)
    if taken == 0:
        return _pass_over(ring, cursor, status) if gates or status == GARBLED else status
    store_relaxed(cursor + ORDINAL_AT, load_relaxed(cursor + ORDINAL_AT) + messages)
    store_release(cursor + POSITION_AT, position)
    return taken


@kernel
def _behind_newest(ring: int) -> tuple[int, int]:
    """Position and number of the next message to come; (UNRESOLVED, 0) when the writer was faster."""
    head = load_acquire(ring + HEAD_AT)
    if head == 0:
        return 0, 0
    start, ordinal = resolve(ring, head - 1)
    if start == head - 1:  # the newest message is this one cell
        return head, ordinal + 1
    return start, ordinal


@kernel
def _oldest(ring: int) -> tuple[int, int]:
    """Position and number of the oldest safe message; (UNRESOLVED, 0) when the writer was faster."""
    target = _oldest_safe(ring)
    if target <= 0:
        return 0, 0
    return resolve(ring, target)


@kernel
def join(ring: int, cursor: int, oldest: int) -> int:
    """Place a reader at the oldest safe message (``oldest`` 1) or behind the newest (0); 1 when placed."""
    for _ in range(JOIN_TRIES_MAX):
        start, ordinal = _oldest(ring) if oldest == 1 else _behind_newest(ring)
        if start != UNRESOLVED:
            store_relaxed(cursor + ORDINAL_AT, ordinal)
            store_relaxed(cursor + JOINED_ORDINAL_AT, ordinal)
            store_relaxed(cursor + JOINED_POSITION_AT, start)
            store_release(cursor + POSITION_AT, start)
            return 1
    return 0


@kernel
def rejoin(ring: int, cursor: int) -> int:
    """Bring a fenced gating reader back behind the newest message, counting what it missed; 1 if it is back.

    The position is announced before the state: the producer never gates on a place the reader has left. A
    producer that looks at the gate in between may lap the reader once more, which the next poll counts.
    """
    for _ in range(JOIN_TRIES_MAX):
        if load_acquire(cursor + STATE_AT) != FENCED:
            return 0
        start, ordinal = _behind_newest(ring)
        if start != UNRESOLVED:
            _lose(cursor, start, ordinal)
            return compare_exchange(cursor + STATE_AT, FENCED, JOINED)
    return 0
