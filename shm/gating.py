"""Kernels that decide whether a ring has room, and for whom it waits.

The producer owns everything here but the readers' own words (position, heartbeat); ``state`` changes hands by
compare-exchange, so that a reader that joins and a producer that fences it agree on who was first.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from shm.atomics import (
    address_of,
    compare_exchange,
    fence_release,
    load_acquire,
    load_relaxed,
    store_relaxed,
)
from shm.jit import kernel
from shm.layout import HOT_BYTES, READER, RING, WORD_SHIFT, ReaderState, SegmentKind, Status, offset_of

KIND_AT: Final = offset_of(RING, "kind")
CAPACITY_AT: Final = offset_of(RING, "capacity")
MESSAGE_CELLS_MAX_AT: Final = offset_of(RING, "message_cells_max")
N_GATING_AT: Final = offset_of(RING, "n_gating")
HEAD_AT: Final = offset_of(RING, "head")
GATE_POSITION_AT: Final = offset_of(RING, "gate_position")
REFUSED_SIZE_AT: Final = offset_of(RING, "refused_size")
REFUSED_FULL_AT: Final = offset_of(RING, "refused_full")
REFUSED_FENCED_AT: Final = offset_of(RING, "refused_fenced")
FENCED_AT: Final = offset_of(RING, "fenced")
READERS_AT: Final = offset_of(RING, "readers")
POSITION_AT: Final = offset_of(READER, "position")
STATE_AT: Final = offset_of(READER, "state")
HEARTBEAT_AT: Final = offset_of(READER, "heartbeat_ns")

OVERWRITING: Final = int(SegmentKind.OVERWRITING_RING)
DECLARED: Final = int(ReaderState.DECLARED)
JOINED: Final = int(ReaderState.JOINED)
FENCED: Final = int(ReaderState.FENCED)
REFUSED_SIZE: Final = int(Status.REFUSED_SIZE)
REFUSED_FULL: Final = int(Status.REFUSED_FULL)
REFUSED_FENCED: Final = int(Status.REFUSED_FENCED)
NOBODY: Final = -1


@kernel
def gate_position(ring: int) -> int:
    """Oldest position a gating reader still needs; NOBODY when all of them are fenced.

    A declared reader that has not joined yet gates from the ring's beginning: nothing is lost while it
    starts.
    """
    oldest = NOBODY
    for reader in range(load_relaxed(ring + N_GATING_AT)):
        block = ring + READERS_AT + reader * HOT_BYTES
        if load_acquire(block + STATE_AT) == FENCED:
            continue
        position = load_acquire(block + POSITION_AT)
        if oldest == NOBODY or position < oldest:
            oldest = position
    return oldest


@kernel
def _refuse(counter: int, status: int) -> int:
    """Count a refusal in the word at ``counter`` and answer it."""
    store_relaxed(counter, load_relaxed(counter) + 1)
    return status


@kernel
def admit(ring: int, n_cells: int) -> int:
    """Position where a message of ``n_cells`` may be written now, or a refusal below zero, counted.

    The gate is looked at only when its last known position leaves no room: one shared line in a ring-full.
    """
    if n_cells < 1 or n_cells > load_relaxed(ring + MESSAGE_CELLS_MAX_AT):
        return _refuse(ring + REFUSED_SIZE_AT, REFUSED_SIZE)
    head = load_relaxed(ring + HEAD_AT)
    if load_relaxed(ring + KIND_AT) == OVERWRITING:
        return head
    past_room = head + n_cells - load_relaxed(ring + CAPACITY_AT)
    if past_room > load_relaxed(ring + GATE_POSITION_AT):
        gate = gate_position(ring)
        if gate == NOBODY:
            return _refuse(ring + REFUSED_FENCED_AT, REFUSED_FENCED)
        store_relaxed(ring + GATE_POSITION_AT, gate)
        if past_room > gate:
            return _refuse(ring + REFUSED_FULL_AT, REFUSED_FULL)
    return head


@kernel
def fence_silent(ring: int, now_ns: int, silent_ns_max: int) -> int:
    """Fence every joined gating reader whose heartbeat is older than ``silent_ns_max``; answer how many.

    Called by the producer only. A fenced reader gates no more and is told so at its next poll. The next
    message looks at the gate afresh, so that a ring without gating readers refuses at once.

    The state is acquired before the heartbeat is read: a reader beats and then joins, so one that is seen to
    have joined is never judged by a heartbeat from before. The fence behind the change makes whoever sees a
    cell of its overwritten also see that it was fenced.
    """
    n_fenced = 0
    for reader in range(load_relaxed(ring + N_GATING_AT)):
        block = ring + READERS_AT + reader * HOT_BYTES
        if load_acquire(block + STATE_AT) != JOINED:
            continue
        silent_ns = now_ns - load_relaxed(block + HEARTBEAT_AT)
        if silent_ns > silent_ns_max and compare_exchange(block + STATE_AT, JOINED, FENCED) == 1:
            n_fenced += 1
    if n_fenced > 0:
        fence_release()
        store_relaxed(ring + FENCED_AT, load_relaxed(ring + FENCED_AT) + n_fenced)
        head = load_relaxed(ring + HEAD_AT)
        store_relaxed(ring + GATE_POSITION_AT, head - load_relaxed(ring + CAPACITY_AT))
    return n_fenced


def warm() -> None:
    """Compile the kernels of this module."""
    words = np.zeros(RING.itemsize >> WORD_SHIFT, np.int64)
    ring = address_of(words)
    admit(ring, 1)
    gate_position(ring)
    fence_silent(ring, 0, 0)
