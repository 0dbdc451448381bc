"""What a codec counts, and the bounded tallies of message types it does not turn into records.

The counters of a codec are an int64 array indexed by ``Count``; kernels add to them in place. From
``RECORDS_OF_KIND`` on there is one counter for each ``UpdateKind``: records given out.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.records import UpdateKind

RECORDS_OF_KIND: Final = 32
COUNTS_SIZE: Final = 64
TYPES_MAX: Final = 64  # distinct type names kept by a tally; the rest go under OTHER_TYPES
TYPE_NAME_CHARS_MAX: Final = 48
OTHER_TYPES: Final = "(others)"


@unique
class Count(IntEnum):
    """Index of a counter."""

    FRAMES = 0
    FAST = 1  # frames decided by the compiled parser
    FALLBACK = (
        2  # frames the compiled parser was not sure about, or does not know: decided by the general one
    )
    IGNORED = 3  # frames or messages of a known type that carries no market data
    UNKNOWN_TYPE = 4
    REJECTED = 5  # frames that could not be read; the books they may have concerned are in doubt
    UNKNOWN_MARKET = 6  # entries or messages about a symbol nobody registered
    DUPLICATES = 7  # frames that repeat the last sequence number: dropped
    SEQ_GAPS = 8
    SEQ_RESTARTS = 9  # sequence numbers that went back, or a subscription announced anew
    SIDLESS = 10  # book frames without a sid: continuity kept per connection and market
    UNSEQUENCED = 11  # book frames without a sequence number
    OLD_SHAPE = 12  # messages in a shape the venue has abandoned, translated
    SIZES_ROUNDED = 13  # sizes with more than six decimals, cut
    HASH_AGREES = 14
    HASH_DIFFERS = 15
    SIBLING_LEVELS = 16  # level records of the other token of a mirrored market
    VENUE_ERRORS = 17  # error frames
    OVERSIZE = 18  # frames beyond FRAME_BYTES_MAX
    RECORDS_BOUND = 19  # frames beyond FRAME_UPDATES_MAX records
    SUBSCRIPTIONS_BOUND = 20  # frames of a subscription or market that continuity has no room for
    DISCONNECTS = 21

    SNAPSHOTS = RECORDS_OF_KIND + UpdateKind.SNAPSHOT_BEGIN
    SNAPSHOT_LEVELS = RECORDS_OF_KIND + UpdateKind.SNAPSHOT_LEVEL
    SNAPSHOT_ENDS = RECORDS_OF_KIND + UpdateKind.SNAPSHOT_END
    LEVEL_SETS = RECORDS_OF_KIND + UpdateKind.LEVEL_SET
    LEVEL_ADDS = RECORDS_OF_KIND + UpdateKind.LEVEL_ADD
    DECLARED_TOPS = RECORDS_OF_KIND + UpdateKind.DECLARED_TOP
    TICKERS = RECORDS_OF_KIND + UpdateKind.TICKER
    TRADES = RECORDS_OF_KIND + UpdateKind.TRADE
    GRID_CHANGES = RECORDS_OF_KIND + UpdateKind.GRID_CHANGE
    DOUBTS = RECORDS_OF_KIND + UpdateKind.DOUBT
    MARKET_STATES = RECORDS_OF_KIND + UpdateKind.MARKET_STATE
    BOOK_HASHES = RECORDS_OF_KIND + UpdateKind.BOOK_HASH


if max(Count) >= COUNTS_SIZE:
    raise AssertionError("the counters do not fit")


def level_updates(counts: npt.NDArray[np.int64]) -> int:
    """Level writes given out, siblings included: snapshot levels, absolute sizes and changes."""
    return int(counts[Count.SNAPSHOT_LEVELS] + counts[Count.LEVEL_SETS] + counts[Count.LEVEL_ADDS])


class TypeTally(dict[str, int]):
    """How often each message type was seen; at most ``TYPES_MAX`` names, names cut to a bounded length."""

    def note(self, name: str) -> None:
        """Count one message of type ``name``."""
        key = name[:TYPE_NAME_CHARS_MAX]
        if key not in self and len(self) >= TYPES_MAX:
            key = OTHER_TYPES
        self[key] = self.get(key, 0) + 1
