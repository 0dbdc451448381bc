"""Did every frame of a subscription arrive, and which books are in doubt when one did not.

A *tracker* is one subscription: (connection, sid), its last sequence number and the markets whose books came
through it. Kalshi numbers the frames of a sid across all its markets, so a number that is missing puts all of
them in doubt. Book frames of recordings that lost the sid are tracked per connection and market; Polymarket
has no numbers, and one tracker per connection that only knows the markets.

A number, given the last one (NONE: not known yet, 0: subscribed and nothing received):

=================== ============ ==================================================================
last                number       verdict
=================== ============ ==================================================================
NONE                any          next
n                   n + 1        next
n                   n            duplicate: the frame is dropped and counted
n                   above n + 1  gap: SEQUENCE_GAP for every market of the subscription
n                   below n      restart: SEQUENCE_RESTART for every market, except that an opening
                                 snapshot (number 1) does not put its own market in doubt
=================== ============ ==================================================================

A snapshot in mid-stream is a frame like any other: it takes a number and resets nothing. Doubts come before
the records of the frame, so that a snapshot heals its own market.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from engine.jit import inlined, kernel
from engine.reasons import Reason
from engine.venues.counts import Count
from engine.venues.emit import make_room, put_doubt
from engine.venues.subscriptions import (
    LAST,
    TRACKERS_END,
    count_members,
    doubt_members,
    drop_tracker,
    find_tracker,
    forget_members,
    is_tracker_of,
    join,
    open_tracker,
)
from engine.venues.symbols import GENERATION, SLOT, TRAITS, TRAITS_SIBLING
from engine.venues.workspace import (
    ACTION,
    BODY_RECORDS_MAX,
    COUNTS_AT,
    NONE,
    REASON,
    RECORDS,
    ROW,
    ROW_WORDS,
    ROWS_AT,
    SEQ,
    SID,
    SKIPPED,
    SPARED,
    TOUCHED,
    TOUCHED_ROW,
    TRACKER_WORDS,
    TRACKERS_AT,
    Records,
    Words,
)


class Action(IntEnum):
    """What a frame means to its subscription."""

    PASS = 0  # nothing: it belongs to none
    SEQUENCED = 1  # takes a number
    DELTA = 2  # changes a book: takes a number, and its market belongs to the subscription
    SNAPSHOT = 3  # replaces a book
    OPENED = 4  # the subscription begins
    ENDED = 5  # the subscription is over: REASON
    UNREADABLE = 6  # takes a number if it has one, and may have changed any of the books: REASON


_PASS: Final = int(Action.PASS)
_DELTA: Final = int(Action.DELTA)
_SNAPSHOT: Final = int(Action.SNAPSHOT)
_OPENED: Final = int(Action.OPENED)
_ENDED: Final = int(Action.ENDED)
_UNREADABLE: Final = int(Action.UNREADABLE)

_GAP: Final = int(Reason.SEQUENCE_GAP)
_RESTART: Final = int(Reason.SEQUENCE_RESTART)
_NO_ROOM: Final = int(Reason.SUBSCRIPTION_ERROR)

_UNKNOWN_MARKET: Final = int(Count.UNKNOWN_MARKET)
_DUPLICATES: Final = int(Count.DUPLICATES)
_SEQ_GAPS: Final = int(Count.SEQ_GAPS)
_SEQ_RESTARTS: Final = int(Count.SEQ_RESTARTS)
_SIDLESS: Final = int(Count.SIDLESS)
_UNSEQUENCED: Final = int(Count.UNSEQUENCED)
_RECORDS_BOUND: Final = int(Count.RECORDS_BOUND)
_SUBSCRIPTIONS_BOUND: Final = int(Count.SUBSCRIPTIONS_BOUND)

_UNNUMBERED_SID: Final = 0  # the one subscription of a connection whose frames have no numbers

NEXT: Final = 0
DUPLICATE: Final = -1


@inlined
def verdict(last: int, seq: int) -> int:
    """NEXT, DUPLICATE, or the Reason of the doubt (table above)."""
    if last == NONE or seq == last + 1:
        return NEXT
    if seq == last:
        return DUPLICATE
    return _GAP if seq > last else _RESTART


@inlined
def sidless(row: int) -> int:
    """Stand-in for the sid of a book frame that has none: below every sid."""
    return -2 - row


@inlined
def _count(words: Words, counter: int) -> None:
    words[COUNTS_AT + counter] += 1


@kernel
def _append_doubt(words: Words, table: Words, out: Records, at: int, reason: int) -> None:
    """Write a DOUBT about the frame's own market."""
    row = int(words[ROW])
    put_doubt(out, at, int(table[row, SLOT]), int(table[row, GENERATION]), reason, int(words[SEQ]))


@kernel
def _prepend_doubts(words: Words, table: Words, out: Records, start: int, count: int, tracker: int) -> int:
    """Put the subscription's markets in doubt in front of the frame's records; -> number of records.

    A frame too large to go with its doubts is dropped, its own market in doubt with the others.
    """
    doubts = count_members(words, table, tracker)
    if doubts + count > BODY_RECORDS_MAX:
        _count(words, _RECORDS_BOUND)
        count = 0
        words[SPARED] = NONE
    make_room(out, start, count, doubts)
    written = doubt_members(words, table, out, start, tracker)
    if written < doubts:  # one was spared: close the hole
        for at in range(count):
            out[start + written + at] = out[start + doubts + at]
    return written + count


@inlined
def _advance(words: Words, tracker: int) -> int:
    """Take the frame's number into account; -> NEXT, DUPLICATE, or the Reason of the doubt."""
    seq = int(words[SEQ])
    found = verdict(int(words[tracker + LAST]), seq)
    if found == DUPLICATE:
        words[COUNTS_AT + _DUPLICATES] += 1
        return found
    words[tracker + LAST] = seq
    if found != NEXT:
        words[COUNTS_AT + (_SEQ_GAPS if found == _GAP else _SEQ_RESTARTS)] += 1
        opening = found == _RESTART and seq == 1 and int(words[ACTION]) == _SNAPSHOT
        words[REASON] = found
        words[SPARED] = words[ROW] if opening else NONE
    return found


@kernel
def _opened(words: Words, table: Words, out: Records, start: int, conn: int) -> int:
    """Begin a subscription; one that is announced again has lost what it had."""
    tracker = open_tracker(words, conn, int(words[SID]))
    if tracker == NONE:
        _count(words, _SUBSCRIPTIONS_BOUND)
        return 0
    written = 0
    if int(words[tracker + LAST]) > 0:
        _count(words, _SEQ_RESTARTS)
        words[REASON] = _RESTART
        words[SPARED] = NONE
        written = doubt_members(words, table, out, start, tracker)
        forget_members(words, tracker)
    words[tracker + LAST] = 0
    return written


@kernel
def doubt_conn(words: Words, table: Words, out: Records, start: int, conn: int, drop: bool) -> int:
    """Put every market of a connection in doubt (REASON), forget its subscriptions if asked; -> records."""
    written = 0
    words[SPARED] = NONE
    for tracker in range(TRACKERS_AT, TRACKERS_END, TRACKER_WORDS):
        if is_tracker_of(words, tracker, conn):
            written += doubt_members(words, table, out, start + written, tracker)
            if drop:
                drop_tracker(words, tracker)
    return written


@kernel
def _over(words: Words, table: Words, out: Records, start: int, conn: int) -> int:
    """A subscription ended, or a frame could not be read: all it may concern is in doubt."""
    reason = int(words[REASON])
    if int(words[SID]) == NONE:
        return doubt_conn(words, table, out, start, conn, False)
    tracker = find_tracker(words, conn, int(words[SID]))
    if tracker == NONE:
        return 0
    if int(words[SEQ]) != NONE and _advance(words, tracker) == DUPLICATE:
        return 0
    words[REASON] = reason
    words[SPARED] = NONE
    written = doubt_members(words, table, out, start, tracker)
    if int(words[ACTION]) == _ENDED:
        drop_tracker(words, tracker)
    return written


@kernel
def _unsequenced(words: Words, table: Words, out: Records, start: int, count: int) -> int:
    """A book frame without a number: of a change nothing shows that the one before it arrived; -> records."""
    _count(words, _UNSEQUENCED)
    if int(words[ACTION]) != _DELTA:
        return count
    make_room(out, start, count, 1)
    _append_doubt(words, table, out, start, _GAP)
    return count + 1


@inlined
def _numbered(words: Words, table: Words, out: Records, start: int, tracker: int) -> int:
    """A frame that takes a number; -> records of it and of its doubts, DUPLICATE when it is to be dropped."""
    count = int(words[RECORDS])
    found = _advance(words, tracker)
    if found == NEXT:
        return count
    return found if found == DUPLICATE else _prepend_doubts(words, table, out, start, count, tracker)


@inlined
def _book(words: Words, table: Words, out: Records, start: int, tracker: int) -> int:
    """A frame that changes or replaces a book; -> number of records."""
    if int(words[SEQ]) == NONE:
        count = _unsequenced(words, table, out, start, int(words[RECORDS]))
    else:
        count = _numbered(words, table, out, start, tracker)
    if count != DUPLICATE and not join(words, table, tracker, int(words[ROW])):
        _count(words, _SUBSCRIPTIONS_BOUND)
        _append_doubt(words, table, out, start + count, _NO_ROOM)
        count += 1
    return max(count, 0)


@inlined
def _tracked(words: Words, table: Words, out: Records, start: int, conn: int, is_book: bool) -> int:
    """A frame of a subscription; -> number of records."""
    sid = int(words[SID])
    if sid == NONE:
        _count(words, _SIDLESS)
        sid = sidless(int(words[ROW]))
    tracker = open_tracker(words, conn, sid)
    if tracker == NONE:
        _count(words, _SUBSCRIPTIONS_BOUND)
        if is_book:
            _append_doubt(words, table, out, start + int(words[RECORDS]), _NO_ROOM)
        return int(words[RECORDS]) + is_book
    if is_book:
        return _book(words, table, out, start, tracker)
    return max(_numbered(words, table, out, start, tracker), 0)


@kernel
def commit(words: Words, table: Words, out: Records, start: int, conn: int) -> int:
    """Take the frame described in ``words`` into account; -> records at ``start``, doubts included.

    Both parsers end here, so that a frame has the same effect whichever of them read it. The records of the
    frame lie at ``start``, BODY_RECORDS_MAX at most.
    """
    words[COUNTS_AT + _UNKNOWN_MARKET] += words[SKIPPED]
    action = int(words[ACTION])
    if action == _OPENED:
        return _opened(words, table, out, start, conn)
    if action in (_ENDED, _UNREADABLE):
        return _over(words, table, out, start, conn)
    is_book = action in (_DELTA, _SNAPSHOT)
    if is_book or (action != _PASS and int(words[SID]) != NONE and int(words[SEQ]) != NONE):
        return _tracked(words, table, out, start, conn, is_book)
    return int(words[RECORDS])


@kernel
def commit_unnumbered(words: Words, table: Words, out: Records, start: int, conn: int) -> int:
    """As ``commit`` for a venue without sequence numbers: the books a frame touched belong to its connection.

    Records and touched markets together are at most BODY_RECORDS_MAX.
    """
    if int(words[ACTION]) == _UNREADABLE:
        return doubt_conn(words, table, out, start, conn, False)
    words[COUNTS_AT + _UNKNOWN_MARKET] += words[SKIPPED]
    count = int(words[RECORDS])
    tracker = open_tracker(words, conn, _UNNUMBERED_SID)
    for index in range(int(words[TOUCHED])):
        row = int(words[ROWS_AT + ROW_WORDS * index + TOUCHED_ROW])
        if int(table[row, TRAITS]) == TRAITS_SIBLING:
            continue  # never applied to a book: what is lost of it puts none in doubt
        if tracker == NONE or not join(words, table, tracker, row):
            _count(words, _SUBSCRIPTIONS_BOUND)
            words[ROW] = row
            _append_doubt(words, table, out, start + count, _NO_ROOM)
            count += 1
    return count
