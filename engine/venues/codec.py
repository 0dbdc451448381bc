"""What the codecs of both venues share: bytes in, BOOK_UPDATE records out, every frame accounted for.

A frame goes to the compiled parser; what that is not sure about goes to the general one; both end in the same
kernels for continuity and marks, so the records are the same whichever read it. A frame nobody can read gives
DOUBT records about the books it may have changed, a counter and one line in ``last_error``: never an
exception, and never silence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, cast

import numpy as np

from engine.direct import direct
from engine.reasons import Reason
from engine.records import BOOK_UPDATE, Venue
from engine.venues.continuity import doubt_conn
from engine.venues.counts import Count, TypeTally
from engine.venues.emit import UNREADABLE, finish
from engine.venues.frame import GeneralFrame
from engine.venues.symbols import SymbolTable
from engine.venues.workspace import (
    ACTION,
    BODY_RECORDS_MAX,
    CONNS_MAX,
    FRAME_BYTES_MAX,
    NONE,
    REASON,
    RECORDS,
    ROW,
    ROW_WORDS,
    ROWS_AT,
    SEQ,
    SID,
    SKIPPED,
    TOUCHED,
    TOUCHED_ROW,
    FrameBytes,
    Records,
    Verdict,
    Words,
    Workspace,
)

UNKNOWN_ROUNDS_MAX: Final = 256  # times a frame is read again because symbols were registered meanwhile


class ReadOne(Protocol):
    """Kernel that reads the frame lying in ``words``."""

    def __call__(
        self,
        words: Words,
        table: Words,
        out_words: Words,
        start: int,
        length: int,
        recv_ns: int,
        conn: int,
        skip: bool,
    ) -> int:
        """Records from ``start`` on, or a Verdict."""


class ReadBytes(Protocol):
    """Kernel that copies a payload to where ``ReadOne`` wants it, and reads it."""

    def __call__(
        self, memory: Words, table: Words, payload: FrameBytes, recv_ns: int, conn: int, skip: bool
    ) -> int:
        """Records from the first on, or a Verdict; ``memory``: words, and the records behind them."""


class ReadMany(Protocol):
    """Kernel that reads frames of ``source`` until one needs Python."""

    def __call__(
        self,
        words: Words,
        table: Words,
        out_words: Words,
        start: int,
        source: FrameBytes,
        offsets: Words,
        lengths: Words,
        recv_ns: Words,
        conns: Words,
        count: int,
        skip: bool,
    ) -> tuple[int, int]:
        """Frames read, and records."""


ReadPayload = Callable[[Words, Words, bytes, int, int, bool], int]  # ReadBytes, from Python
Commit = Callable[[Words, Words, Records, int, int], int]


class Feed(Protocol):
    """Reads frames, one a call."""

    def __call__(self, payload: bytes | memoryview, recv_ns: int, conn: int) -> int:
        """Read a frame received at ``recv_ns`` on connection ``conn``; -> records in ``out``.

        Never raises for what is in a frame; ValueError for a connection that is not in 0..CONNS_MAX - 1.
        """


class MarketDataCodec:
    """Frames of one venue into records: ``n = feed(payload, recv_ns, conn)``, then read ``out[:n]``.

    A venue gives its kernels and ``general``. One thread owns a codec; ``out`` is overwritten by the next
    call.

    ``on_unknown(symbol) -> bool`` is asked about symbols nobody registered; True says that it registered it,
    and the frame is read again. Without it their entries are skipped and counted.
    """

    def __init__(
        self,
        venue: Venue,
        symbols: SymbolTable,
        names: Words,
        read_one: ReadOne,
        read_bytes: ReadBytes,
        read_many: ReadMany,
        commit: Commit,
    ) -> None:
        self.venue = venue
        self.symbols = symbols
        self.workspace = Workspace(symbols.table.shape[0], names)
        self.out: Records = self.workspace.out
        self.counts: Words = self.workspace.counts
        self.ignored_types = TypeTally()
        self.unknown_types = TypeTally()
        self.last_error = ""
        self.on_unknown: Callable[[bytes], bool] | None = None
        self.fast_enabled = True
        self._words = self.workspace.words
        self._memory = self.workspace.memory
        self._out_words = self.workspace.out_words
        self._table = symbols.table
        arrays = self._words, self._table, self._out_words
        self._read_one = direct(read_one, *arrays, 0, 0, 0, 0, True)
        like = self.workspace.all_words, self._table, b"", 0, 0, True
        self._read_bytes: ReadPayload = cast("ReadPayload", direct(read_bytes, *like))
        self._read_many = read_many
        self._commit = commit
        self.feed: Feed = self._feeding()

    def general(self, payload: bytes, conn: int) -> GeneralFrame:
        """Read a frame by the general parser; never raises."""
        raise NotImplementedError

    def _feeding(self) -> Feed:
        """``feed``, with what it needs at hand: to look it up again took a fifth of a short frame."""
        read, memory, table = self._read_bytes, self.workspace.all_words, self._table

        def feed(payload: bytes | memoryview, recv_ns: int, conn: int) -> int:
            if type(payload) is not bytes or not self.fast_enabled:
                return self._feed_otherwise(payload, recv_ns, conn)
            found = read(memory, table, payload, recv_ns, conn, self.on_unknown is None)
            return found if found >= 0 else self._feed_unsure(found, payload, recv_ns, conn)

        return feed

    def _feed_otherwise(self, payload: bytes | memoryview, recv_ns: int, conn: int) -> int:
        """A frame in other memory, or for the general parser alone."""
        length = len(payload)
        if length > FRAME_BYTES_MAX or not self.fast_enabled:
            return self._feed_unsure(Verdict.UNSURE, payload, recv_ns, conn)
        self._memory[:length] = payload
        skip = self.on_unknown is None
        found = self._read_one(self._words, self._table, self._out_words, 0, length, recv_ns, conn, skip)
        return found if found >= 0 else self._feed_unsure(found, payload, recv_ns, conn)

    def _feed_unsure(self, found: int, payload: bytes | memoryview, recv_ns: int, conn: int) -> int:
        """A frame that is too long, or of which the compiled parser is not sure: it said ``found``."""
        if len(payload) > FRAME_BYTES_MAX:
            return self._refuse_oversize(len(payload), recv_ns, conn)
        if found == Verdict.UNKNOWN_SYMBOL:
            found = self._read_again(len(payload), recv_ns, conn)
            if found >= 0:
                return found
        return self._decide(bytes(payload), recv_ns, conn)

    def feed_many(
        self, source: FrameBytes, offsets: Words, lengths: Words, recv_ns: Words, conns: Words, count: int
    ) -> tuple[int, int]:
        """Read up to ``count`` frames of ``source`` in one compiled call; -> (frames, records in ``out``).

        Frame k is ``source[offsets[k] : offsets[k] + lengths[k]]``. Stops before the first frame that needs
        Python: give that one to ``feed``. Also stops when ``out`` is half full. ``recv_ns`` and ``conns`` are
        per frame.
        """
        if not self.fast_enabled:
            return 0, 0
        skip = self.on_unknown is None
        return self._read_many(
            self._words,
            self._table,
            self._out_words,
            0,
            source,
            offsets,
            lengths,
            recv_ns,
            conns,
            count,
            skip,
        )

    def disconnect(self, conn: int, recv_ns: int) -> int:
        """A connection is gone: its markets are in doubt, its subscriptions forgotten; -> records."""
        self.counts[Count.DISCONNECTS] += 1
        self._words[REASON] = Reason.DISCONNECTED
        self._words[SEQ] = NONE
        count = doubt_conn(self._words, self._table, self.out, 0, conn, True)
        return finish(self._words, self.out, 0, count, recv_ns, self.venue)

    def _register(self, unknown: list[bytes]) -> bool:
        """Ask about unknown symbols; whether any was registered."""
        if self.on_unknown is None:
            return False
        registered = [self.on_unknown(symbol) for symbol in dict.fromkeys(unknown)]
        return any(registered)

    def _read_again(self, length: int, recv_ns: int, conn: int) -> int:
        """Read the frame in memory again while symbols are registered, then without those nobody wants."""
        for _ in range(UNKNOWN_ROUNDS_MAX):
            skip = not self._register(self.workspace.unknown_symbols())
            found = self._read_one(self._words, self._table, self._out_words, 0, length, recv_ns, conn, skip)
            if skip or found != Verdict.UNKNOWN_SYMBOL:
                return found
        return Verdict.UNSURE

    def _decide(self, payload: bytes, recv_ns: int, conn: int) -> int:
        """Read a frame by the general parser, and account for it; -> records in ``out``."""
        frame = self.general(payload, conn)
        rounds = 0
        while frame.unknown and rounds < UNKNOWN_ROUNDS_MAX and self._register(frame.unknown):
            frame = self.general(payload, conn)
            rounds += 1
        needed = len(frame.rows) + len(frame.touched)
        if needed > BODY_RECORDS_MAX:
            self.counts[Count.RECORDS_BOUND] += 1
            frame.refuse(f"room for {needed} records and books is needed, there is {BODY_RECORDS_MAX}")
            frame.reason = Reason.LEVEL_BOUND
        self._note(frame)
        return self._settle(frame, recv_ns, conn)

    def _note(self, frame: GeneralFrame) -> None:
        """Count what the general parser made of a frame."""
        counts = self.counts
        counts[Count.FRAMES] += 1
        counts[Count.FALLBACK] += 1
        counts[Count.IGNORED] += len(frame.ignored)
        counts[Count.UNKNOWN_TYPE] += len(frame.strange)
        counts[Count.OLD_SHAPE] += frame.old_shapes
        counts[Count.SIZES_ROUNDED] += frame.sizes_cut
        counts[Count.HASH_AGREES] += sum(frame.hashes)
        counts[Count.HASH_DIFFERS] += len(frame.hashes) - sum(frame.hashes)
        counts[Count.VENUE_ERRORS] += frame.venue_error
        for name in frame.ignored:
            self.ignored_types.note(name)
        for name in frame.strange:
            self.unknown_types.note(name)
        if frame.error:
            counts[Count.REJECTED] += 1
            self.last_error = f"{self.venue.name.lower()} frame {counts[Count.FRAMES]}: {frame.error}"

    def _settle(self, frame: GeneralFrame, recv_ns: int, conn: int) -> int:
        """Hand a frame to the kernels both parsers end in; -> records in ``out``."""
        words = self._words
        words[[ACTION, SID, SEQ, ROW]] = frame.action, frame.sid, frame.seq, frame.row
        words[[REASON, SKIPPED]] = frame.reason, len(frame.unknown)
        words[[RECORDS, TOUCHED]] = len(frame.rows), len(frame.touched)
        touched = ROWS_AT + ROW_WORDS * np.arange(len(frame.touched)) + TOUCHED_ROW
        words[touched] = frame.touched
        self.out[: len(frame.rows)] = np.array(frame.rows, BOOK_UPDATE)
        count = self._commit(words, self._table, self.out, 0, conn)
        return finish(words, self.out, 0, count, recv_ns, self.venue)

    def _refuse_oversize(self, length: int, recv_ns: int, conn: int) -> int:
        """Refuse a frame that does not fit in memory: it may concern any book of the connection."""
        self.counts[Count.OVERSIZE] += 1
        frame = GeneralFrame(reason=UNREADABLE)
        frame.refuse(f"{length} bytes, at most {FRAME_BYTES_MAX}")
        self._note(frame)
        return self._settle(frame, recv_ns, conn)


def checked_conn(conn: int) -> int:
    """A connection number within the bound; ValueError beyond."""
    if not 0 <= conn < CONNS_MAX:
        raise ValueError(f"connection {conn} is not between 0 and {CONNS_MAX - 1}")
    return conn
