"""Writing BOOK_UPDATE records in three strokes: what it says, whom it concerns, and the marks of the frame.

``put`` writes what one record says, ``address`` to which market a run of records belongs, ``finish`` the
receive time, the venue and the LAST marks once a frame is whole, and counts the records. The general parsers
write whole records (``row`` below) and share ``finish``.
"""

from __future__ import annotations

from typing import Final

from engine.jit import inlined, kernel
from engine.reasons import Reason
from engine.records import UpdateFlag, UpdateKind
from engine.venues.counts import RECORDS_OF_KIND, Count
from engine.venues.symbols import GENERATION, SLOT
from engine.venues.workspace import COUNTS_AT, SEEN_AT, SEEN_MAX, STAMP, Records, Words

SNAPSHOT_BEGIN: Final = int(UpdateKind.SNAPSHOT_BEGIN)
SNAPSHOT_LEVEL: Final = int(UpdateKind.SNAPSHOT_LEVEL)
SNAPSHOT_END: Final = int(UpdateKind.SNAPSHOT_END)
LEVEL_SET: Final = int(UpdateKind.LEVEL_SET)
LEVEL_ADD: Final = int(UpdateKind.LEVEL_ADD)
DECLARED_TOP: Final = int(UpdateKind.DECLARED_TOP)
TICKER: Final = int(UpdateKind.TICKER)
TRADE: Final = int(UpdateKind.TRADE)
GRID_CHANGE: Final = int(UpdateKind.GRID_CHANGE)
DOUBT: Final = int(UpdateKind.DOUBT)

SIBLING: Final = int(UpdateFlag.SIBLING)

# A frame that could not be read may have carried an update, as a gap in the numbers does.
UNREADABLE: Final = int(Reason.SEQUENCE_GAP)

_LAST_OF_FRAME: Final = int(UpdateFlag.LAST_OF_FRAME)
_LAST_OF_MARKET: Final = int(UpdateFlag.LAST_OF_MARKET)
_KINDS_AT: Final = COUNTS_AT + RECORDS_OF_KIND
_SIBLING_LEVELS: Final = COUNTS_AT + int(Count.SIBLING_LEVELS)

Row = tuple[int, int, int, int, int, int, int, int, int, int, int, int]  # a BOOK_UPDATE, field by field


@inlined
def put(out: Records, at: int, kind: int, side: int, price_e4: int, size_e6: int, aux: int) -> None:
    """Write what record ``at`` says."""
    out[at]["kind"] = kind
    out[at]["side"] = side
    out[at]["price_e4"] = price_e4
    out[at]["size_e6"] = size_e6
    out[at]["aux"] = aux
    out[at]["flags"] = 0


@inlined
def address(
    out: Records, start: int, end: int, table: Words, row: int, venue_ns: int, seq: int, flags: int
) -> None:
    """Write the market of a symbol row, the venue's time and sequence number into records [start, end)."""
    slot = int(table[row, SLOT])
    generation = int(table[row, GENERATION])
    for at in range(start, end):
        out[at]["slot"] = slot
        out[at]["generation"] = generation
        out[at]["venue_ns"] = venue_ns
        out[at]["wire_seq"] = seq & 0xFFFFFFFF
        out[at]["flags"] = flags


@inlined
def put_doubt(out: Records, at: int, slot: int, generation: int, reason: int, seq: int) -> None:
    """Write a DOUBT about a market; ``seq`` below 0: the frame has no number."""
    put(out, at, DOUBT, 0, 0, 0, reason)
    out[at]["slot"] = slot
    out[at]["generation"] = generation
    out[at]["venue_ns"] = 0
    out[at]["wire_seq"] = max(seq, 0) & 0xFFFFFFFF


@kernel
def make_room(out: Records, at: int, count: int, gap: int) -> None:
    """Move ``count`` records at ``at`` up by ``gap``."""
    for index in range(at + count - 1, at - 1, -1):
        out[index + gap] = out[index]


@inlined
def _first_sight(words: Words, slot: int) -> bool:
    """Whether ``slot`` was not seen since STAMP grew; remembers it."""
    stamp = int(words[STAMP])
    index = slot & (SEEN_MAX - 1)
    while int(words[SEEN_AT + 2 * index]) == stamp:
        if int(words[SEEN_AT + 2 * index + 1]) == slot:
            return False
        index = (index + 1) & (SEEN_MAX - 1)
    words[SEEN_AT + 2 * index] = stamp
    words[SEEN_AT + 2 * index + 1] = slot
    return True


@inlined
def finish(words: Words, out: Records, start: int, count: int, recv_ns: int, venue: int) -> int:
    """Mark the last record of the frame and of each market from ``start`` on, and count them; -> count."""
    words[STAMP] += 1
    previous = -1
    for at in range(start + count - 1, start - 1, -1):
        slot = int(out[at]["slot"])
        flags = int(out[at]["flags"])
        if at == start + count - 1:
            flags |= _LAST_OF_FRAME
        if slot != previous and (count == 1 or _first_sight(words, slot)):
            flags |= _LAST_OF_MARKET
        previous = slot
        out[at]["flags"] = flags
        out[at]["recv_ns"] = recv_ns
        out[at]["venue"] = venue
        kind = int(out[at]["kind"])
        words[_KINDS_AT + kind] += 1
        if flags & SIBLING and kind in (LEVEL_SET, SNAPSHOT_LEVEL, LEVEL_ADD):
            words[_SIBLING_LEVELS] += 1
    return count


def doubt_row(slot: int, generation: int, reason: int, seq: int) -> Row:
    """DOUBT about a market, as the general parsers write records."""
    return (0, 0, 0, slot, generation, 0, reason, max(seq, 0) & 0xFFFFFFFF, DOUBT, 0, 0, 0)
