"""Subscriptions and the markets whose books came through them: a hash table and lists in a codec's memory.

Trackers are found by (connection, sid) with open addressing. A tracker's markets are a list of members from
one pool; a member is a symbol row together with the (slot, generation) it meant when it joined, so that a row
that has been given to another market since is no longer one. Everything is bounded: TRACKERS_MAX
subscriptions, SIDS_PER_CONN_MAX of one connection (those that stand in for a lost sid not counted),
MARKETS_PER_SID_MAX markets of one, MEMBERS_MAX in all.
"""

from __future__ import annotations

from typing import Final

from engine.jit import inlined, kernel
from engine.venues.emit import put_doubt
from engine.venues.symbols import GENERATION, LENGTH, SLOT
from engine.venues.workspace import (
    HOME_GENERATION,
    HOME_SERIAL,
    HOME_SLOT,
    MARKETS_PER_SID_MAX,
    MEMBER_FREE,
    NONE,
    REASON,
    ROW_WORDS,
    ROWS_AT,
    SEQ,
    SERIAL,
    SIDS_PER_CONN_MAX,
    SPARED,
    TRACKER_WORDS,
    TRACKERS_AT,
    TRACKERS_MAX,
    Records,
    Words,
)

# fields of a tracker
STATE: Final = 0
CONN: Final = 1
TRACKED_SID: Final = 2
LAST: Final = 3  # last sequence number; NONE: not known yet, 0: subscribed and nothing received
HEAD: Final = 4  # first and last member, NONE when there is none
TAIL: Final = 5
MEMBERS: Final = 6
SERIAL_NUMBER: Final = 7  # never given twice, so that a row's home cannot be mistaken for a later tracker

EMPTY: Final = 0  # values of STATE
USED: Final = 1
DROPPED: Final = 2  # was used: a search goes on behind it

# fields of a member
MEMBER_ROW: Final = 0
MEMBER_SLOT: Final = 1
MEMBER_GENERATION: Final = 2
MEMBER_NEXT: Final = 3

TRACKERS_END: Final = TRACKERS_AT + TRACKER_WORDS * TRACKERS_MAX
_MASK: Final = TRACKERS_MAX - 1

if TRACKERS_MAX & _MASK:
    raise AssertionError("TRACKERS_MAX is not a power of two")


@inlined
def _first_place(conn: int, sid: int) -> int:
    """Index where the search for (conn, sid) begins."""
    mixed = (conn & 0xFFFFF) * 0x9E3779B1 + (sid & 0x7FFFFFFF) * 0x2545F491
    return ((mixed >> 15) ^ mixed) & _MASK


@inlined
def find_tracker(words: Words, conn: int, sid: int) -> int:
    """Offset of the subscription, NONE when there is none."""
    index = _first_place(conn, sid)
    for _ in range(TRACKERS_MAX):
        tracker = TRACKERS_AT + TRACKER_WORDS * index
        used = int(words[tracker + STATE])
        if used == EMPTY:
            return NONE
        if used == USED and int(words[tracker + CONN]) == conn and int(words[tracker + TRACKED_SID]) == sid:
            return tracker
        index = (index + 1) & _MASK
    return NONE


@inlined
def is_tracker_of(words: Words, tracker: int, conn: int) -> bool:
    """Whether the place at offset ``tracker`` holds a subscription of ``conn``."""
    return int(words[tracker + STATE]) == USED and int(words[tracker + CONN]) == conn


@kernel
def _has_room(words: Words, conn: int, sid: int) -> bool:
    """Whether one more subscription is within the bounds."""
    used = 0
    of_conn = 0
    for tracker in range(TRACKERS_AT, TRACKERS_END, TRACKER_WORDS):
        if int(words[tracker + STATE]) == USED:
            used += 1
        if is_tracker_of(words, tracker, conn) and int(words[tracker + TRACKED_SID]) >= 0:
            of_conn += 1
    return used < TRACKERS_MAX and (sid < 0 or of_conn < SIDS_PER_CONN_MAX)


@kernel
def _make_tracker(words: Words, conn: int, sid: int) -> int:
    """Offset of a new subscription; NONE when there is no room for it."""
    if not _has_room(words, conn, sid):
        return NONE
    index = _first_place(conn, sid)
    tracker = TRACKERS_AT + TRACKER_WORDS * index
    while int(words[tracker + STATE]) == USED:
        index = (index + 1) & _MASK
        tracker = TRACKERS_AT + TRACKER_WORDS * index
    words[SERIAL] += 1
    words[tracker + STATE] = USED
    words[tracker + CONN] = conn
    words[tracker + TRACKED_SID] = sid
    words[tracker + LAST] = NONE
    words[tracker + HEAD] = NONE
    words[tracker + TAIL] = NONE
    words[tracker + MEMBERS] = 0
    words[tracker + SERIAL_NUMBER] = words[SERIAL]
    return tracker


@inlined
def open_tracker(words: Words, conn: int, sid: int) -> int:
    """Offset of the subscription, made when there is none; NONE when there is no room for it."""
    tracker = find_tracker(words, conn, sid)
    return tracker if tracker != NONE else _make_tracker(words, conn, sid)


@kernel
def forget_members(words: Words, tracker: int) -> None:
    """Give the subscription's members back to the pool."""
    if int(words[tracker + HEAD]) != NONE:
        words[int(words[tracker + TAIL]) + MEMBER_NEXT] = words[MEMBER_FREE]
        words[MEMBER_FREE] = words[tracker + HEAD]
    words[SERIAL] += 1
    words[tracker + SERIAL_NUMBER] = words[SERIAL]
    words[tracker + HEAD] = NONE
    words[tracker + TAIL] = NONE
    words[tracker + MEMBERS] = 0


@kernel
def drop_tracker(words: Words, tracker: int) -> None:
    """Forget a subscription and its markets; dropped places at the end of a probe chain become empty."""
    forget_members(words, tracker)
    words[tracker + STATE] = DROPPED
    index = (tracker - TRACKERS_AT) // TRACKER_WORDS
    if int(words[TRACKERS_AT + TRACKER_WORDS * ((index + 1) & _MASK) + STATE]) != EMPTY:
        return
    while int(words[TRACKERS_AT + TRACKER_WORDS * index + STATE]) == DROPPED:
        words[TRACKERS_AT + TRACKER_WORDS * index + STATE] = EMPTY
        index = (index - 1) & _MASK


@inlined
def _is_current(words: Words, table: Words, member: int) -> bool:
    """Whether the member's row still means the market it joined as."""
    row = int(words[member + MEMBER_ROW])
    return (
        int(table[row, LENGTH]) > 0
        and int(table[row, SLOT]) == int(words[member + MEMBER_SLOT])
        and int(table[row, GENERATION]) == int(words[member + MEMBER_GENERATION])
    )


@kernel
def count_members(words: Words, table: Words, tracker: int) -> int:
    """Markets of the subscription that still exist."""
    count = 0
    member = int(words[tracker + HEAD])
    while member != NONE:
        if _is_current(words, table, member):
            count += 1
        member = int(words[member + MEMBER_NEXT])
    return count


@kernel
def doubt_members(words: Words, table: Words, out: Records, start: int, tracker: int) -> int:
    """Write a DOUBT (REASON) for each market of the subscription but that of row SPARED; -> records."""
    written = 0
    reason = int(words[REASON])
    spared = int(words[SPARED])
    member = int(words[tracker + HEAD])
    while member != NONE:
        if _is_current(words, table, member) and int(words[member + MEMBER_ROW]) != spared:
            slot = int(words[member + MEMBER_SLOT])
            generation = int(words[member + MEMBER_GENERATION])
            put_doubt(out, start + written, slot, generation, reason, int(words[SEQ]))
            written += 1
        member = int(words[member + MEMBER_NEXT])
    return written


@kernel
def _remove_members(words: Words, table: Words, tracker: int, row: int) -> None:
    """Take the members of symbol row ``row``, and those that no longer exist, out of the subscription."""
    before = NONE
    member = int(words[tracker + HEAD])
    while member != NONE:
        after = int(words[member + MEMBER_NEXT])
        if _is_current(words, table, member) and int(words[member + MEMBER_ROW]) != row:
            before = member
        else:
            if before == NONE:
                words[tracker + HEAD] = after
            else:
                words[before + MEMBER_NEXT] = after
            if after == NONE:
                words[tracker + TAIL] = before
            words[member + MEMBER_NEXT] = words[MEMBER_FREE]
            words[MEMBER_FREE] = member
            words[tracker + MEMBERS] -= 1
        member = after


@kernel
def leave(words: Words, table: Words, tracker: int, row: int) -> None:
    """Take the market of a symbol row out of the subscription."""
    _remove_members(words, table, tracker, row)
    words[ROWS_AT + ROW_WORDS * row + HOME_SERIAL] = 0


@kernel
def _is_member(words: Words, table: Words, tracker: int, row: int) -> bool:
    member = int(words[tracker + HEAD])
    while member != NONE:
        if int(words[member + MEMBER_ROW]) == row and _is_current(words, table, member):
            return True
        member = int(words[member + MEMBER_NEXT])
    return False


@kernel
def _add_member(words: Words, table: Words, tracker: int, row: int) -> bool:
    """Append a market to the subscription; False when a bound is reached."""
    member = int(words[MEMBER_FREE])
    if member == NONE or int(words[tracker + MEMBERS]) >= MARKETS_PER_SID_MAX:
        return False
    words[MEMBER_FREE] = words[member + MEMBER_NEXT]
    words[member + MEMBER_ROW] = row
    words[member + MEMBER_SLOT] = table[row, SLOT]
    words[member + MEMBER_GENERATION] = table[row, GENERATION]
    words[member + MEMBER_NEXT] = NONE
    if int(words[tracker + HEAD]) == NONE:
        words[tracker + HEAD] = member
    else:
        words[int(words[tracker + TAIL]) + MEMBER_NEXT] = member
    words[tracker + TAIL] = member
    words[tracker + MEMBERS] += 1
    return True


@inlined
def join(words: Words, table: Words, tracker: int, row: int) -> bool:
    """Make sure that the market of a symbol row is one of the subscription's; False when there is no room."""
    home = ROWS_AT + ROW_WORDS * row
    if (
        int(words[home + HOME_SERIAL]) == int(words[tracker + SERIAL_NUMBER])
        and int(words[home + HOME_SLOT]) == int(table[row, SLOT])
        and int(words[home + HOME_GENERATION]) == int(table[row, GENERATION])
    ):
        return True
    return _join_anew(words, table, tracker, row)


@kernel
def _join_anew(words: Words, table: Words, tracker: int, row: int) -> bool:
    """As ``join``, for a row that is not known to be at home there."""
    home = ROWS_AT + ROW_WORDS * row
    if not _is_member(words, table, tracker, row):
        if int(words[tracker + MEMBERS]) >= MARKETS_PER_SID_MAX or int(words[MEMBER_FREE]) == NONE:
            _remove_members(words, table, tracker, NONE)
        if not _add_member(words, table, tracker, row):
            return False
    words[home + HOME_SERIAL] = words[tracker + SERIAL_NUMBER]
    words[home + HOME_SLOT] = table[row, SLOT]
    words[home + HOME_GENERATION] = table[row, GENERATION]
    return True
