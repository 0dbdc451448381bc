"""Trust of a book as a table of transitions, and the epochs that a book lives through.

A book is traded in LIVE only. Whatever raises a doubt takes it out; a snapshot that is newer than the doubt
brings it back, in a new epoch, so that nothing decided before can be sent after. UNSYNCED is a book that
never had an opening snapshot: it is applied, checked and shown, and a doubt about it changes nothing.
DEAD is final: a market that opens again comes back under a new generation of its slot.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np

from engine.jit import inlined, kernel
from engine.records import Trust

__all__ = [
    "BOOT_EPOCH_MAX",
    "EPOCH_COUNTER_MAX",
    "NO_EPOCH",
    "TRANSITIONS",
    "TrustEvent",
    "diagram",
    "epoch_of",
    "step",
]

EPOCH_COUNTER_BITS: Final = 32
EPOCH_COUNTER_MAX: Final = 2**EPOCH_COUNTER_BITS - 1
BOOT_EPOCH_MAX: Final = 2**31 - 1
NO_EPOCH: Final = -1


class TrustEvent(IntEnum):
    """What happens to a book's trust."""

    SNAPSHOT_NEWER = 0  # a whole snapshot, received at or after the last doubt
    SNAPSHOT_OLDER = 1  # a whole snapshot from before it
    DOUBT = 2  # gap, restart, lap, disagreement, crossed too long, mirror broken, off the grid, ...
    GRID_CHANGED = 3  # the book was dropped: its prices may not exist any more
    DISCONNECTED = 4
    RESYNC_REQUESTED = 5
    RESYNC_FAILED = 6  # refused, lost, or not answered in time
    MARKET_CLOSED = 7


_U, _L, _S, _R, _D = Trust.UNSYNCED, Trust.LIVE, Trust.SUSPECT, Trust.RESYNC, Trust.DEAD

TRANSITIONS: Final[dict[TrustEvent, tuple[Trust, Trust, Trust, Trust, Trust]]] = {
    # in state                  UNSYNCED  LIVE  SUSPECT  RESYNC  DEAD
    TrustEvent.SNAPSHOT_NEWER: (_L, _L, _L, _L, _D),
    TrustEvent.SNAPSHOT_OLDER: (_U, _L, _S, _R, _D),
    TrustEvent.DOUBT: (_U, _S, _S, _S, _D),
    TrustEvent.GRID_CHANGED: (_U, _S, _S, _S, _D),
    TrustEvent.DISCONNECTED: (_U, _S, _S, _S, _D),
    TrustEvent.RESYNC_REQUESTED: (_U, _L, _R, _R, _D),
    TrustEvent.RESYNC_FAILED: (_U, _L, _S, _S, _D),
    TrustEvent.MARKET_CLOSED: (_D, _D, _D, _D, _D),
}

_TABLE: Final = np.array([TRANSITIONS[event] for event in TrustEvent], dtype=np.int64)


@inlined
def step(state: int, event: int) -> int:
    """Trust after ``event`` (TrustEvent) in ``state`` (Trust)."""
    return int(_TABLE[event, state])


@kernel
def epoch_of(boot_epoch: int, counter: int) -> int:
    """64-bit epoch of the ``counter``-th book life since this boot; NO_EPOCH when the counter has run out.

    ``boot_epoch`` (0..BOOT_EPOCH_MAX) is never used by two boots, so no epoch is ever used twice.
    """
    if counter > EPOCH_COUNTER_MAX:
        return NO_EPOCH
    return (boot_epoch << EPOCH_COUNTER_BITS) | counter


def diagram() -> str:
    """Transitions as a Mermaid state diagram, for the documentation; what changes nothing is left out."""
    lines = ["stateDiagram-v2", f"    [*] --> {Trust.UNSYNCED.name}: OPENED"]
    for state in Trust:
        reached: dict[Trust, list[str]] = {}
        for event, after in TRANSITIONS.items():
            if after[state] is not state:
                reached.setdefault(after[state], []).append(event.name)
        lines += [f"    {state.name} --> {target.name}: {', '.join(by)}" for target, by in reached.items()]
    return "\n".join([*lines, f"    {Trust.DEAD.name} --> [*]"]) + "\n"
