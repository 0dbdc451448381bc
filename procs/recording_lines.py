"""One compiled pass from the text of a recording to the frames in it.

The kernel knows exactly the spelling that RecordingWriter has::

    {"recv_ns":DIGITS,"venue":"kalshi","conn":DIGITS,"raw":"..."}

and takes the escapes out of ``raw`` as it copies it into the arena. Where a line is spelled otherwise it
stops and says so; the reader then takes that line through a general JSON parser. Nothing is guessed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from engine.jit import kernel
from engine.records import Venue
from engine.units import TIME_MAX_NS
from engine.venues.workspace import CONNS_MAX

Bytes = npt.NDArray[np.uint8]
Longs = npt.NDArray[np.int64]

LINES_END: Final = 0  # what is left is not a whole line
LINES_FULL: Final = 1  # the arrays are full
LINES_UNSURE: Final = 2  # the line at the returned position is not in our own spelling

_POLYMARKET: Final = int(Venue.POLYMARKET)
_KALSHI: Final = int(Venue.KALSHI)
_QUOTE: Final = 34
_BACKSLASH: Final = 92
_ZERO: Final = 48
_NINE: Final = 57
_CONN_MAX: Final = CONNS_MAX - 1
_INTEGER_MAX: Final = TIME_MAX_NS // 10 - 1  # one more digit cannot pass it; the rest is read the other way
_MISMATCH: Final = -1
_SHORT: Final = -2  # ran out of bytes before anything contradicted

# Literal parts of a line, as arrays that kernels freeze.
_HEAD: Final = np.frombuffer(b'{"recv_ns":', np.uint8)
_VENUE: Final = np.frombuffer(b',"venue":"', np.uint8)
_CONN: Final = np.frombuffer(b'","conn":', np.uint8)
_RAW: Final = np.frombuffer(b',"raw":"', np.uint8)
_TAIL: Final = np.frombuffer(b"}\n", np.uint8)
_NAME_KALSHI: Final = np.frombuffer(b"kalshi", np.uint8)
_NAME_POLYMARKET: Final = np.frombuffer(b"polymarket", np.uint8)

# 1: a byte that does not stand for itself in a string: a quote, a backslash, a control character.
_STOPS: Final = np.array([byte < 32 or byte in (_QUOTE, _BACKSLASH) for byte in range(256)], np.uint8)

# Character after a backslash to the character it stands for; 0: not a simple escape.
_SIMPLE: Final = np.zeros(256, np.uint8)
for _escape, _meant in zip(b'"\\/bfnrt', b'"\\/\b\f\n\r\t', strict=True):
    _SIMPLE[_escape] = _meant


@kernel
def _expect(source: Bytes, at: int, end: int, literal: Bytes) -> int:
    """Position after ``literal``, or _MISMATCH, or _SHORT."""
    for index in range(literal.size):
        if at + index >= end:
            return _SHORT
        if source[at + index] != literal[index]:
            return _MISMATCH
    return at + literal.size


@kernel
def _integer(source: Bytes, at: int, end: int) -> tuple[int, int]:
    """Value and position after the digits at ``at``; position _MISMATCH or _SHORT when there are none."""
    value = 0
    start = at
    while at < end and _ZERO <= source[at] <= _NINE:
        if value > _INTEGER_MAX:
            return 0, _MISMATCH
        value = value * 10 + (int(np.int64(source[at])) - _ZERO)  # int64 first: an unsigned one would spread
        at += 1
    if at >= end:
        return 0, _SHORT
    return value, at if at > start else _MISMATCH


@kernel
def _venue(source: Bytes, at: int, end: int) -> tuple[int, int]:
    """Venue number and position after its name."""
    after = _expect(source, at, end, _NAME_KALSHI)
    if after != _MISMATCH:
        return _KALSHI, after
    return _POLYMARKET, _expect(source, at, end, _NAME_POLYMARKET)


@kernel
def _unescape(source: Bytes, at: int, end: int, arena: Bytes, used: int) -> tuple[int, int]:
    """Copy a JSON string's content up to its quote; new arena length, and position after the quote.

    Positions are unsigned in here: the compiler then need not ask at every byte whether they count from the
    end. One look into a table lets five of six bytes pass.
    """
    read, filled, last, one = np.uint64(at), np.uint64(used), np.uint64(end), np.uint64(1)
    while read < last:
        byte = source[read]
        if _STOPS[byte] != 0:
            if byte == _QUOTE:
                return int(np.int64(filled)), int(np.int64(read)) + 1
            if byte != _BACKSLASH:
                return used, _MISMATCH
            read += one
            if read >= last:
                return used, _SHORT
            byte = _SIMPLE[source[read]]
            if byte == 0:
                return used, _MISMATCH
        arena[filled] = byte
        filled += one
        read += one
    return used, _SHORT


@kernel
def _prefix(source: Bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """Receive time, venue, connection and the position of the raw text; a negative position is a failure."""
    at = _expect(source, at, end, _HEAD)
    if at < 0:
        return 0, 0, 0, at
    recv_ns, at = _integer(source, at, end)
    if at < 0:
        return 0, 0, 0, at
    at = _expect(source, at, end, _VENUE)
    if at < 0:
        return 0, 0, 0, at
    venue, at = _venue(source, at, end)
    if at < 0:
        return 0, 0, 0, at
    at = _expect(source, at, end, _CONN)
    if at < 0:
        return 0, 0, 0, at
    conn, at = _integer(source, at, end)
    if at < 0:
        return 0, 0, 0, at
    return recv_ns, venue, conn, _expect(source, at, end, _RAW)


@kernel
def split_lines(
    source: Bytes,
    start: int,
    arena: Bytes,
    used: int,
    count: int,
    offsets: Longs,
    lengths: Longs,
    recv_ns: Longs,
    conns: Longs,
    venues: Bytes,
) -> tuple[int, int, int, int]:
    """Append the whole lines of ``source`` from ``start`` on to the arrays, which hold ``count`` already.

    ``arena`` has room for the rest of ``source``. Answers (count, arena bytes used, position of the first
    line not taken, status); status is LINES_END, LINES_FULL or LINES_UNSURE.
    """
    end = source.size
    while start < end:
        if count >= offsets.size:
            return count, used, start, LINES_FULL
        time_ns, venue, conn, at = _prefix(source, start, end)
        filled = used
        if at >= 0:
            filled, at = _unescape(source, at, end, arena, used)
        if at >= 0:
            at = _expect(source, at, end, _TAIL)
        if at == _SHORT:
            return count, used, start, LINES_END
        if at == _MISMATCH or conn > _CONN_MAX:
            return count, used, start, LINES_UNSURE
        recv_ns[count] = time_ns
        venues[count] = venue
        conns[count] = conn
        offsets[count] = used
        lengths[count] = filled - used
        used = filled
        count += 1
        start = at
    return count, used, start, LINES_END


def warm() -> None:
    """Compile every kernel here."""
    source = np.frombuffer(b'{"recv_ns":1,"venue":"kalshi","conn":0,"raw":"x"}\n', np.uint8)
    arena, venues = np.zeros(source.size, np.uint8), np.zeros(1, np.uint8)
    offsets, lengths, recv_ns, conns = np.zeros((4, 1), np.int64)
    split_lines(source, 0, arena, 0, 0, offsets, lengths, recv_ns, conns, venues)
