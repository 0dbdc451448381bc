"""Memory of one codec: one array for the frame and all state, records for the answer.

Everything a kernel needs lies in a single int64 array, ``words``: each array handed to a kernel costs some
30 ns from Python and some nanoseconds from another kernel, and a parser calls many. Kernels address it as C
would: an *offset* is a handle, a field is ``words[offset + FIELD]``, and a byte of the frame is
``words[at >> 3] >> 8 * (at & 7)``::

    0            the frame's bytes, little-endian, sealed with zeros
    FRAME        what the frame at hand turned out to be, and scratch (fields below)
    SPANS        where the fields of the object at hand lie in the frame: (kind, start, end) each
    UNKNOWN      symbols of the frame nobody registered: (start, end) each
    COUNTS       counters, by engine.venues.counts.Count
    NAMES        tables of field and type names, each with the members that are usual (engine.venues.keys)
    YES_SCALE    per connection: 1 when its Kalshi no side comes as YES prices
    RECENT       rows of symbols found lately, by their beginnings and ends (engine.venues.symbols)
    SEEN         hash set of the slots of a frame: (stamp, slot) each
    TRACKERS     hash table of subscriptions (fields in engine.venues.subscriptions)
    MEMBERS      pool of the subscriptions' markets, linked lists
    ROWS         per row of the symbol table: where it is a member, and its declared best prices in this frame
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.records import BOOK_UPDATE, FRAME_UPDATES_MAX
from engine.venues.counts import COUNTS_SIZE

Words = npt.NDArray[np.int64]
FrameBytes = npt.NDArray[np.uint8]
Records = npt.NDArray[np.void]

FRAME_BYTES_MAX: Final = 4 << 20  # the opening array of 200 deep books is about a quarter of this
SENTINEL_WORDS: Final = 4  # of zeros behind the frame: no scan runs past them
BODY_RECORDS_MAX: Final = FRAME_UPDATES_MAX - 1  # of a frame; the last one is for the doubt it may bring
OUT_RECORDS: Final = 2 * FRAME_UPDATES_MAX  # one frame always fits behind a batch that is half full
OUT_WORDS: Final = OUT_RECORDS * BOOK_UPDATE.itemsize // 8

CONNS_MAX: Final = 1_024
TRACKERS_MAX: Final = 4_096
SIDS_PER_CONN_MAX: Final = 256
MARKETS_PER_SID_MAX: Final = 4_096
MEMBERS_MAX: Final = 16_384
SEEN_MAX: Final = 65_536
RECENT_MAX: Final = 512
UNKNOWN_MAX: Final = 64
FIELDS_MAX: Final = 32
NAME_TABLES_MAX: Final = 4

SPAN_WORDS: Final = 3
NAME_INDEX_WORDS: Final = 160
USUAL_WORDS: Final = 8
USUAL_MEMBERS_MAX: Final = 24
NAME_TABLE_WORDS: Final = NAME_INDEX_WORDS + USUAL_WORDS * USUAL_MEMBERS_MAX
TRACKER_WORDS: Final = 8
MEMBER_WORDS: Final = 4
ROW_WORDS: Final = 8

FRAME_AT: Final = FRAME_BYTES_MAX // 8 + SENTINEL_WORDS + 1  # a partial word, the sentinel, and then

# the frame, between parsing and continuity
ACTION: Final = FRAME_AT + 0  # engine.venues.continuity.Action
SID: Final = FRAME_AT + 1  # NONE when the frame has none
SEQ: Final = FRAME_AT + 2  # NONE when the frame has none
ROW: Final = FRAME_AT + 3  # symbol row of a book frame
RECORDS: Final = FRAME_AT + 4
SKIPPED: Final = FRAME_AT + 5  # entries of unknown markets
FIELDS_SEEN: Final = FRAME_AT + 6  # bits of the fields met in the object at hand
TOUCHED: Final = FRAME_AT + 7  # how many symbol rows this frame changed (list in ROWS)
UNKNOWN_COUNT: Final = FRAME_AT + 8
REASON: Final = FRAME_AT + 9  # Reason of the doubts that are written
SPARED: Final = FRAME_AT + 10  # symbol row they leave out, or NONE

# scratch and bookkeeping
STAMP: Final = FRAME_AT + 11  # grows with each use of SEEN
FRAME_STAMP: Final = FRAME_AT + 12  # grows with each parse
MEMBER_FREE: Final = FRAME_AT + 13  # offset of the first free member
SERIAL: Final = FRAME_AT + 14  # last serial number given to a tracker
CHECK_HASH: Final = FRAME_AT + 15  # 1: books that can be hashed are left to the general parser
VENUE_NS: Final = FRAME_AT + 16  # time of the last message read

SPANS_AT: Final = FRAME_AT + 24
UNKNOWN_AT: Final = SPANS_AT + SPAN_WORDS * FIELDS_MAX
COUNTS_AT: Final = UNKNOWN_AT + 2 * UNKNOWN_MAX
NAMES_AT: Final = COUNTS_AT + COUNTS_SIZE
YES_SCALE_AT: Final = NAMES_AT + NAME_TABLE_WORDS * NAME_TABLES_MAX
RECENT_AT: Final = YES_SCALE_AT + CONNS_MAX
SEEN_AT: Final = RECENT_AT + RECENT_MAX
TRACKERS_AT: Final = SEEN_AT + 2 * SEEN_MAX
MEMBERS_AT: Final = TRACKERS_AT + TRACKER_WORDS * TRACKERS_MAX
ROWS_AT: Final = MEMBERS_AT + MEMBER_WORDS * MEMBERS_MAX

# fields of a row of ROWS
HOME_SERIAL: Final = 0  # tracker that this symbol, as (slot, generation), is known to be a member of
HOME_SLOT: Final = 1
HOME_GENERATION: Final = 2
TOP_STAMP: Final = 3  # FRAME_STAMP of the frame that touched the row
TOP_STATE: Final = 4
TOP_BID: Final = 5
TOP_ASK: Final = 6
TOUCHED_ROW: Final = 7  # the n-th row of ROWS also holds the n-th touched symbol row

NONE: Final = -1
SCRATCH_WORDS: Final = 64
_TEXT_WORDS: Final = 128  # of most frames

if MEMBERS_MAX > FRAME_UPDATES_MAX or SEEN_MAX <= FRAME_UPDATES_MAX:
    raise AssertionError("a doubt for every market must fit in one frame, and a frame's slots in SEEN")


class Verdict(IntEnum):
    """Negative answers of a parser; zero and more are numbers of records."""

    UNSURE = -1
    UNKNOWN_SYMBOL = -2


class Workspace:
    """Buffers and state of one codec over a symbol table of ``rows`` rows, with its tables of names."""

    def __init__(self, rows: int, names: Words) -> None:
        words = ROWS_AT + rows * ROW_WORDS
        self.all_words: Words = np.zeros(words + OUT_WORDS, np.int64)
        self.words: Words = self.all_words[:words]
        self.memory = self.words.view(np.uint8).data[:FRAME_BYTES_MAX]
        self.out_words: Words = self.all_words[words:]
        self.out: Records = self.out_words.view(BOOK_UPDATE)
        self.counts: Words = self.words[COUNTS_AT : COUNTS_AT + COUNTS_SIZE]
        self.words[NAMES_AT : NAMES_AT + names.size] = names
        self._chain_members()

    def _chain_members(self) -> None:
        pool = self.words[MEMBERS_AT:ROWS_AT].reshape(MEMBERS_MAX, MEMBER_WORDS)
        pool[:, MEMBER_WORDS - 1] = np.arange(MEMBERS_AT + MEMBER_WORDS, ROWS_AT + MEMBER_WORDS, MEMBER_WORDS)
        pool[-1, MEMBER_WORDS - 1] = NONE
        self.words[MEMBER_FREE] = MEMBERS_AT

    def scratch(self) -> list[Words]:
        """Memory that every frame works on, whatever market it is about: in pieces of SCRATCH_WORDS."""
        pieces = ((0, _TEXT_WORDS), (FRAME_AT, YES_SCALE_AT), (RECENT_AT, SEEN_AT))
        starts = (at for first, end in pieces for at in range(first, end, SCRATCH_WORDS))
        return [*(self.words[at : at + SCRATCH_WORDS] for at in starts), self.out_words[:SCRATCH_WORDS]]

    def unknown_symbols(self) -> list[bytes]:
        """Symbols that stopped the compiled parser, each once, in the order of the frame."""
        spans = self.words[UNKNOWN_AT : UNKNOWN_AT + 2 * int(self.words[UNKNOWN_COUNT])].reshape(-1, 2)
        return list(dict.fromkeys(bytes(self.memory[start:end]) for start, end in spans.tolist()))
