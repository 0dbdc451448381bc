"""Rings, tables, the catalog, control words and the journal as one agent meets them through a tape.

Each is what it stands for, by type and by behaviour: no agent knows of it. When the tape records, the real
one is asked and told; when it plays, what lies beneath is empty memory of this process and is left alone.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.ledger.journal import ByteSink, Entry, Journal, read_journal
from engine.reasons import Reason
from engine.records import Venue
from procs.catalog_segment import CatalogSegment, CatalogView
from procs.control_words import ControlWords, Word
from procs.halt import HaltSwitch
from procs.journal_file import JournalFile
from procs.tape import Tape
from procs.wires import Wires
from shm.layout import WORD_SHIFT
from shm.ring import EVERY_MESSAGE, OverwritingRing, Reader, Records, RefusingRing
from shm.segment_files import Claim
from shm.table import Table

Words = NDArray[np.int64]

_NUMBER: Final = struct.Struct("<q")
_POLLED: Final = struct.Struct("<qqqq")  # cells, and the reader's lost messages, lost cells and laps after it
_ROW: Final = struct.Struct("<I")
_LOSSES: Final = ("lost_messages", "lost_cells", "laps")
_YES: Final = b"\1"
_NO: Final = b"\0"


class TapedReader(Reader):
    """A reader whose polls are answered through the tape."""

    def __init__(
        self,
        ring: OverwritingRing | RefusingRing,
        place: Words,
        batch_cells: int,
        claim: Claim | None,
        keeps: bool,
        tape: Tape,
        name: str,
    ) -> None:
        super().__init__(ring, place, batch_cells, claim, keeps=keeps)
        self._tape = tape
        self._source = tape.source(name)
        self._cell_words = ring.payload_bytes >> WORD_SHIFT

    def poll(self, messages_max: int = EVERY_MESSAGE) -> int:
        """As every reader's; what it brought is the answer."""
        answer = self._tape.take(self._source, lambda: self._fetch(messages_max))
        if answer is None:
            return 0
        n_cells, *losses = _POLLED.unpack_from(answer)
        if self._tape.plays:
            self._put(int(n_cells), losses, answer[_POLLED.size :])
        return int(n_cells)

    def entered_epoch(self) -> bool:
        """As every reader's."""
        fetch = super().entered_epoch
        return self._tape.take(self._source, lambda: _YES if fetch() else None) is not None

    def _fetch(self, messages_max: int) -> bytes | None:
        n_cells = super().poll(messages_max)
        if n_cells == 0:
            return None
        head = _POLLED.pack(n_cells, *(int(self.block[name]) for name in _LOSSES))
        if n_cells < 0:
            return head
        return head + self.words[: n_cells * self._cell_words].tobytes() + self.tags[:n_cells].tobytes()

    def _put(self, n_cells: int, losses: Sequence[int], brought: bytes) -> None:
        for name, value in zip(_LOSSES, losses, strict=True):
            self.block[name] = value
        if n_cells > 0:
            n_words = n_cells * self._cell_words
            found = np.frombuffer(brought, np.int64)
            self.words[:n_words] = found[:n_words]
            self.tags[:n_cells] = found[n_words:]


class _Written:
    """The writing end of a ring: what is published, and whether there was room."""

    def __init__(self, tape: Tape, name: str) -> None:
        self.tape = tape
        self._source = tape.source(name)

    def whole(self, publish: Callable[[], bool], *parts: Records) -> bool:
        """Publish one message of these parts; whether it went in."""
        self.tape.give(self._source, b"".join(part.tobytes() for part in parts))
        return self.tape.take(self._source, lambda: None if publish() else _NO) is None

    def each(self, publish: Callable[[], int], records: Records) -> int:
        """Publish every row; how many went in."""
        self.tape.give(self._source, records.tobytes())

        def fetch() -> bytes | None:
            sent = publish()
            return None if sent == records.size else _NUMBER.pack(sent)

        answer = self.tape.take(self._source, fetch)
        return int(records.size) if answer is None else int(_NUMBER.unpack(answer)[0])


class TapedOverwritingRing(OverwritingRing):
    """``ring`` through the tape."""

    def __init__(self, ring: OverwritingRing, tape: Tape, name: str) -> None:
        super().__init__(ring.segment, ring.payload_bytes)
        self._tape, self._name = tape, name
        self._written = _Written(tape, name)

    def reader_at(
        self, place: Words, batch_cells: int, claim: Claim | None = None, *, keeps: bool = False
    ) -> Reader:
        """Make a reader that reads through the tape."""
        return TapedReader(self, place, batch_cells, claim, keeps, self._tape, self._name)

    def publish(self, records: Records, tail: Records | None = None, flags: int = 0) -> bool:
        """As every ring's."""
        parts = (records,) if tail is None else (records, tail)
        real = super().publish
        return self._written.whole(lambda: real(records, tail, flags), *parts)

    def publish_each(self, records: Records, flags: int = 0) -> int:
        """As every ring's."""
        real = super().publish_each
        return self._written.each(lambda: real(records, flags), records)


class TapedRefusingRing(RefusingRing):
    """``ring`` through the tape."""

    def __init__(self, ring: RefusingRing, tape: Tape, name: str) -> None:
        super().__init__(ring.segment, ring.payload_bytes)
        self._tape, self._name = tape, name
        self._written = _Written(tape, name)

    def reader_at(
        self, place: Words, batch_cells: int, claim: Claim | None = None, *, keeps: bool = False
    ) -> Reader:
        """Make a reader that reads through the tape."""
        return TapedReader(self, place, batch_cells, claim, keeps, self._tape, self._name)

    def publish(self, records: Records, tail: Records | None = None, flags: int = 0) -> bool:
        """As every ring's."""
        parts = (records,) if tail is None else (records, tail)
        real = super().publish
        return self._written.whole(lambda: real(records, tail, flags), *parts)

    def publish_each(self, records: Records, flags: int = 0) -> int:
        """As every ring's."""
        real = super().publish_each
        return self._written.each(lambda: real(records, flags), records)


class TapedTable(Table):
    """``table`` through the tape. A row that is what it was when it was read last is no news."""

    def __init__(self, table: Table, tape: Tape, name: str) -> None:
        super().__init__(table.segment, table.dtype)
        self._tape = tape
        self._source = tape.source(name)
        self._unread = _YES + bytes(table.dtype.itemsize)
        self._last: dict[int, bytes] = {}  # by row: whether it was whole, and what was read

    def read(self, row: int, out: Records) -> bool:
        """As every table's; of a row that could not be read whole also what is left in ``out``."""
        real = super().read

        def fetch() -> bytes | None:
            read = (_YES if real(row, out) else _NO) + out[:1].tobytes()
            return None if read == self._last.get(row, self._unread) else read

        answer = self._tape.take(self._source, fetch)
        if answer is not None:
            self._last[row] = answer
        read = self._last.get(row, self._unread)
        if self._tape.plays:
            out[0] = np.frombuffer(read, out.dtype, 1, offset=1)[0]
        return read[:1] == _YES

    def write(self, row: int, record: Records) -> bool:
        """As every table's."""
        real = super().write
        self._tape.give(self._source, _ROW.pack(row) + record[:1].tobytes())
        return self._tape.take(self._source, lambda: None if real(row, record) else _NO) is None

    def version(self, row: int) -> int:
        """As every table's."""
        real = super().version
        answer = self._tape.take(self._source, lambda: _NUMBER.pack(real(row)) if real(row) else None)
        return 0 if answer is None else int(_NUMBER.unpack(answer)[0])


class TapedCatalogView(CatalogView):
    """A reader's copy of the catalog's rows, brought up to date through the tape."""

    def __init__(self, segment: CatalogSegment, reader: str, tape: Tape) -> None:
        super().__init__(segment, reader)
        self._tape = tape
        self._source = tape.source("catalog")

    def refresh(self) -> bool:
        """As every view's."""
        answer = self._tape.take(self._source, self._fetch)
        if answer is not None and self._tape.plays:
            (n_rows,) = _NUMBER.unpack_from(answer)
            slots = np.frombuffer(answer, np.int64, n_rows, _NUMBER.size)
            self.rows[slots] = np.frombuffer(answer, self.rows.dtype, n_rows, _NUMBER.size + slots.nbytes)
        return answer is not None

    def _fetch(self) -> bytes | None:
        if not super().refresh():
            return None
        slots = self._mirror.changed
        return _NUMBER.pack(len(slots)) + slots.tobytes() + self.rows[slots].tobytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class TapedCatalog(CatalogSegment):
    """The catalog's segment, its views through the tape."""

    tape: Tape

    def view(self, reader: str) -> CatalogView:
        """A reader's copy of the rows."""
        return TapedCatalogView(self, reader, self.tape)


class TapedWords(ControlWords):
    """Control words as a gate that follows them reads and sets them."""

    def __init__(self, words: ControlWords, tape: Tape) -> None:
        super().__init__(words.segment)
        self._tape = tape
        self._source = tape.source("control words")
        self._last = _NUMBER.pack(0)

    def bits(self) -> int:
        """Which words are set."""
        real = super().bits

        def fetch() -> bytes | None:
            bits = _NUMBER.pack(real())
            return None if bits == self._last else bits

        self._last = self._tape.take(self._source, fetch) or self._last
        return int(_NUMBER.unpack(self._last)[0])

    def read(self, word: Word) -> int:
        """The word as it is."""
        real = super().read
        answer = self._tape.take(self._source, lambda: _NUMBER.pack(real(word)))
        return 0 if answer is None else int(_NUMBER.unpack(answer)[0])

    def set(self, word: Word, code: int = 1) -> bool:
        """Set a word; whether it was not set before."""
        real = super().set
        self._tape.give(self._source, bytes([word]) + _NUMBER.pack(code))
        return self._tape.take(self._source, lambda: _YES if real(word, code) else None) is not None


class TapedSwitch(HaltSwitch):
    """The halt as an executor sets and follows it; the latch on disk is ``switch``'s."""

    def __init__(self, switch: HaltSwitch, tape: Tape) -> None:
        super().__init__(switch.path.parent, switch.words and TapedWords(switch.words, tape))
        self._switch = switch
        self._tape = tape
        self._source = tape.source("halt latch")

    def latch(self, reason: Reason, who: str = "gate", text: str = "") -> None:
        """Make a halt durable."""
        self._tape.give(self._source, _NUMBER.pack(reason))
        if not self._tape.plays:
            self._switch.latch(reason, who, text)


class TapedJournal:
    """The journal's file through the tape: what it had is an answer, what is written to it is written."""

    def __init__(self, file: JournalFile | None, memory: ByteSink, tape: Tape) -> None:
        self._file = file
        self._sink: ByteSink = memory if file is None else file
        self._tape = tape
        self._source = tape.source("journal")
        content = tape.take(self._source, lambda: None if file is None else file.content() or None)
        self.entries: list[Entry] = list(read_journal(content or b""))

    def writer(self) -> Journal:
        """The journal that goes on behind ``entries``."""
        return Journal(self, self.sync, next_sequence=len(self.entries) + 1)

    def write(self, data: bytes, /) -> int | None:
        """Append."""
        self._tape.give(self._source, data)
        return len(data) if self._tape.plays else self._sink.write(data)

    def flush(self) -> None:
        """Nothing waits here."""

    def sync(self) -> None:
        """Make it durable."""
        if self._file is not None:
            self._file.sync()

    def is_full(self) -> bool:
        """Whether there is no more room to come."""
        file = self._file
        answer = self._tape.take(self._source, lambda: _YES if file is not None and file.is_full else None)
        return answer is not None


def taped_wires(wires: Wires, tape: Tape) -> Wires:
    """All rings and tables of an engine, as one agent meets them through ``tape``."""

    def overwriting(rings: Mapping[Venue, OverwritingRing], name: str) -> dict[Venue, OverwritingRing]:
        return {venue: TapedOverwritingRing(ring, tape, _of(name, venue)) for venue, ring in rings.items()}

    def refusing(rings: Mapping[Venue, RefusingRing], name: str) -> dict[Venue, RefusingRing]:
        return {venue: TapedRefusingRing(ring, tape, _of(name, venue)) for venue, ring in rings.items()}

    def tables(rows: Mapping[Venue, Table], name: str) -> dict[Venue, Table]:
        return {venue: TapedTable(table, tape, _of(name, venue)) for venue, table in rows.items()}

    return Wires(
        updates=overwriting(wires.updates, "updates"),
        notes=overwriting(wires.notes, "notes"),
        tops=overwriting(wires.tops, "tops"),
        books=tables(wires.books, "books"),
        wanted=tables(wires.wanted, "wanted"),
        signals=TapedRefusingRing(wires.signals, tape, "signals"),
        plans=TapedRefusingRing(wires.plans, tape, "plans"),
        requests=refusing(wires.requests, "requests"),
        reports=refusing(wires.reports, "reports"),
        events=TapedRefusingRing(wires.events, tape, "events"),
        positions=TapedTable(wires.positions, tape, "positions"),
        accounts=TapedTable(wires.accounts, tape, "accounts"),
        disputes=TapedTable(wires.disputes, tape, "disputes"),
        catalog=TapedCatalog(
            rows=wires.catalog.rows, names=wires.catalog.names, barrier=wires.catalog.barrier, tape=tape
        ),
        decisions={
            stage: TapedRefusingRing(ring, tape, _of("decisions", stage))
            for stage, ring in wires.decisions.items()
        },
        alarm=wires.alarm,
    )


def _of(name: str, member: IntEnum) -> str:
    return f"{name}.{member.name.lower()}"
