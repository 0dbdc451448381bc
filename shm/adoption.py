"""Kernels that put right what a process left half done when it died: its ring, or its place in one.

A producer dies between any two stores of ``shm.cells.publish_parts``. A message whose first cell is whole was
published: readers may have it already, so the head moves over it. Anything else of it was never seen and
never will be: its cells are marked odd again, because the next message may be shorter, and a whole cell
behind it would be taken for a message of its own.

All of it can be done twice, for who repairs may die as well. What the dead one wrote is read without an order
of its own: taking the owner's lock, which the kernel took from it, has ordered it. What readers follow is
released.
"""

from __future__ import annotations

from shm.atomics import load_relaxed, store_relaxed, store_release
from shm.cells import (
    ADOPTIONS_AT,
    CELL_SHIFT_AT,
    CELLS_AT,
    EPOCH_BEGINS_AT,
    JOIN_TRIES_MAX,
    MESSAGES_AT,
    ORDINAL_AT,
    TAG_AT,
    UNRESOLVED,
    resolve,
)
from shm.gating import CAPACITY_AT, GATE_POSITION_AT, HEAD_AT, MESSAGE_CELLS_MAX_AT, POSITION_AT
from shm.jit import kernel
from shm.layout import COUNT_MASK, EPOCHS_KEPT, ORDINAL_MASK, ORDINAL_SHIFT, WORD_BYTES


@kernel
def _cell(ring: int, position: int) -> int:
    """Address of the cell at ``position``."""
    mask = load_relaxed(ring + CAPACITY_AT) - 1
    return ring + CELLS_AT + ((position & mask) << load_relaxed(ring + CELL_SHIFT_AT))


@kernel
def _messages_before(ring: int, head: int) -> int:
    """Messages published before ``head``: what the newest one says, for the count may be one ahead of it."""
    if head == 0:
        return 0
    messages = load_relaxed(ring + MESSAGES_AT)
    tag = load_relaxed(_cell(ring, head - 1) + TAG_AT)
    return messages - ((messages - (tag >> ORDINAL_SHIFT)) & ORDINAL_MASK) + 1


@kernel
def repair(ring: int) -> int:
    """Take over the ring of a producer that is gone; answers the cells of a message it had just published."""
    head = load_relaxed(ring + HEAD_AT)
    messages = _messages_before(ring, head)
    rolled = 0
    if load_relaxed(_cell(ring, head)) == 2 * head + 2:
        rolled = load_relaxed(_cell(ring, head) + TAG_AT) & COUNT_MASK
        messages += 1
    store_relaxed(ring + MESSAGES_AT, messages)
    store_release(ring + HEAD_AT, head + rolled)
    head += rolled
    for position in range(head, head + load_relaxed(ring + MESSAGE_CELLS_MAX_AT)):
        if load_relaxed(_cell(ring, position)) == 2 * position + 2:
            store_relaxed(_cell(ring, position), 2 * position + 1)
    store_relaxed(ring + GATE_POSITION_AT, head - load_relaxed(ring + CAPACITY_AT))  # ask the gate afresh
    return rolled


@kernel
def begin_epoch(ring: int) -> int:
    """Say that all messages from here on are of another producer; answers how many there were before it."""
    adoptions = load_relaxed(ring + ADOPTIONS_AT)
    place = (adoptions & (EPOCHS_KEPT - 1)) * WORD_BYTES
    store_relaxed(ring + EPOCH_BEGINS_AT + place, load_relaxed(ring + HEAD_AT))
    store_release(ring + ADOPTIONS_AT, adoptions + 1)
    return adoptions


@kernel
def take_up(ring: int, cursor: int) -> int:
    """Count anew the messages before a gating reader's position, which its process may have left uncounted.

    A poll stores the count and then the position; whoever died in between got none of those messages. 1 when
    the count is right; 0 when the cells that tell it were overwritten, so that the reader was not waited for.
    """
    position = load_relaxed(cursor + POSITION_AT)
    for _ in range(JOIN_TRIES_MAX):
        start, ordinal = resolve(ring, position)
        if start == UNRESOLVED and position > 0:  # nothing new is there: then the newest message is behind it
            start, ordinal = resolve(ring, position - 1)
            if start == position - 1:
                start, ordinal = position, ordinal + 1
        if position == 0:
            start, ordinal = 0, 0
        if start == position:
            store_relaxed(cursor + ORDINAL_AT, ordinal)
            return 1
    return 0
