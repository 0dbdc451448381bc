"""What a check counts, and the closed list of rules that may explain a disagreement, each verified by code.

A declaration that disagrees with a LIVE book waits in a bounded list until a rule is verified on what
follows, or can no longer be; then it is a mismatch. Nothing is explained by exclusion.

=====================  ======================================================================================
rule                   verified when
=====================  ======================================================================================
NEXT_FRAME_SAME_MS     the declaration equals our best after a later frame of the same venue millisecond
CROSSED_IN_BURST       our book was crossed after the frame, and within 250 ms, when it is first not, its best
                       equals the declaration
BEYOND_DEPTH           the recording lacks book_depth, and each side that differs is declared worse than every
                       level of the last snapshot, while ours is empty or worse still
=====================  ======================================================================================
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.records import NO_PRICE
from engine.units import NS_PER_MS, NS_PER_S, PRICE_ONE_E4

PENDING_MAX: Final = 4_096  # declarations and tickers that wait at the same time
BREAKS_MAX: Final = 10_000  # sequence breaks whose place is kept
BURST_NS: Final = 250 * NS_PER_MS
TICKER_WAIT_NS: Final = NS_PER_S

Longs = npt.NDArray[np.int64]


@unique
class Found(IntEnum):
    """Position of each counter in ``Tally.counts``."""

    FRAMES_WITH_RECORDS = 0
    CROSSED = 1  # frames that wrote a book and left its best bid above its best ask
    LOCKED = 2  # ... equal to its best ask
    TOB_CHECKED = 3  # declarations compared on LIVE books
    TOB_AGREE = 4
    TOB_MISMATCH = 5
    TOB_UNSYNCED = 6  # declarations on books that never had a snapshot
    TOB_UNSYNCED_AGREE = 7
    TOB_DOUBTED = 8  # declarations on books in doubt
    NEXT_FRAME_SAME_MS = 9
    CROSSED_IN_BURST = 10
    BEYOND_DEPTH = 11
    TICKER_AGREE = 12
    TICKER_LATE = 13
    TICKER_NEVER = 14
    TICKER_UNSYNCED = 15
    RESYNCS = 16  # returns to LIVE after a doubt, and snapshots over another connection
    SNAPSHOTS = 17
    PENDING_LOST = 18  # no room in the list: counted as mismatch or never
    BREAKS = 19  # sequence gaps and restarts, one a frame
    MIRROR_BROKEN = 20  # LIVE books of two tokens that disagreed for more than one frame


RULES: Final = (Found.NEXT_FRAME_SAME_MS, Found.CROSSED_IN_BURST, Found.BEYOND_DEPTH)

# columns of a waiting declaration
P_SLOT, P_BID, P_ASK, P_RECV, P_MS, P_KIND = range(6)
P_COLUMNS: Final = 6
DECLARED_KIND, CROSSED_KIND, TICKER_KIND = range(3)

# columns of a sequence break
B_RECV, B_SLOT, B_SEQ, B_REASON = range(4)
B_COLUMNS: Final = 4

# columns of what is kept for each slot
S_UPDATES, S_CONN, S_TOUCHED, S_DEEP_BID, S_DEEP_ASK = range(5)
S_COLUMNS: Final = 5

# single numbers
N_PENDING, N_BREAKS, N_CLOCK, N_DIGEST, N_TRUNCATED = range(5)
N_COLUMNS: Final = 5


class Tally(NamedTuple):
    """Memory of a check: ``counts`` by Found; the rest by the columns above."""

    counts: Longs
    slots: Longs
    pending: Longs
    breaks: Longs
    numbers: Longs


def make_tally(slots: int, *, is_truncated: bool) -> Tally:
    """Memory for a check of ``slots`` books; ``is_truncated``: the recording lacks levels beyond a depth."""
    by_slot = np.zeros((slots, S_COLUMNS), np.int64)
    by_slot[:, S_CONN] = -1
    by_slot[:, S_DEEP_BID] = PRICE_ONE_E4 + 1
    by_slot[:, S_DEEP_ASK] = NO_PRICE
    numbers = np.zeros(N_COLUMNS, np.int64)
    numbers[N_TRUNCATED] = int(is_truncated)
    return Tally(
        np.zeros(len(Found), np.int64),
        by_slot,
        np.zeros((PENDING_MAX, P_COLUMNS), np.int64),
        np.zeros((BREAKS_MAX, B_COLUMNS), np.int64),
        numbers,
    )


def finish(tally: Tally) -> None:
    """The recording is over: what still waits was never verified."""
    waiting = int(tally.numbers[N_PENDING])
    kinds = tally.pending[:waiting, P_KIND]
    tickers = int(np.count_nonzero(kinds == TICKER_KIND))
    tally.counts[Found.TICKER_NEVER] += tickers
    tally.counts[Found.TOB_MISMATCH] += waiting - tickers
    tally.numbers[N_PENDING] = 0
