"""The rings and tables that join the stages of one engine, each with its one writer.

====================  ==============  =====================  ==============================================
ring or table         message         written by             read by
====================  ==============  =====================  ==============================================
updates[venue]        BOOK_UPDATE     feed of the venue      book, where it is not fused with the feed, and
                                                             simulated venue (overwriting)
notes[venue]          BOOK_NOTE       feed of the venue      book of the venue (overwriting)
tops[venue]           TOP             book of the venue      strategy (overwriting)
books[venue]          BOOK_ROW        book of the venue      strategy, optimizer, executor, feed (by slot)
wanted[venue]         WANTED_ROW      simulated venue        feed of the venue (table by slot)
signals               SIGNAL          strategy               optimizer
plans                 PLAN            optimizer              executor
requests[venue]       ORDER_REQUEST   executor               the venue
reports[venue]        VENUE_REPORT    the venue              executor
events                ORDER_EVENT     executor               strategy, optimizer
positions             POSITION_ROW    executor               optimizer, strategy (table by slot)
accounts              ACCOUNT_ROW     executor               optimizer (table by venue)
disputes              DISPUTE_ROW     executor               whoever looks (table by slot)
catalog               MARKET_ROW      catalog                optimizer, executor, log (segment by slot)
decisions[stage]      DECISION        each deciding stage    decision log
====================  ==============  =====================  ==============================================

Signals, plans, requests, reports and events are on the way of money: their rings are checked, every message
carries a checksum, and one that is garbled halts all orders (``procs.garbled``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np

from engine.config import Role
from engine.errors import Pr3dictError
from engine.records import (
    ACCOUNT_ROW,
    BOOK_ROW,
    POSITION_ROW,
    SMALL_BYTES,
    WIDE_BYTES,
    DecisionStage,
    Venue,
)
from procs.book_notes import NOTE_CELLS
from procs.catalog_segment import CatalogSegment
from procs.disputes import DISPUTE_ROW
from procs.garbled import GarbleAlarm
from procs.lost_books import WANTED_ROW
from shm import cells
from shm.atomics import address_of
from shm.layout import Status
from shm.ring import EVERY_MESSAGE, OverwritingRing, Reader, Records, RefusingRing
from shm.segment import Segment
from shm.table import Table

UPDATE_CELLS: Final = 1 << 18  # a quarter of it holds the largest frame
TOP_CELLS: Final = 1 << 14
DECISION_CELLS: Final = 1 << 14
ORDER_CELLS: Final = 1 << 12  # signals, plans, requests, reports, events
CELLS_MAX: Final = UPDATE_CELLS  # of any of them

LOG_READER: Final = "log"
_FENCED: Final = int(Status.READER_FENCED)
_GARBLED: Final = int(Status.GARBLED)
CATALOG_READERS: Final = ("optimizer", "executor")
DECIDING: Final = {
    DecisionStage.STRATEGY: Role.STRATEGY,
    DecisionStage.OPTIMIZER: Role.OPTIMIZER,
    DecisionStage.EXECUTION: Role.EXECUTOR,
}


class RingFull(Pr3dictError):
    """A ring of decisions or order events has no room: its reader has stopped, and so does its writer."""


class ReaderFenced(Pr3dictError):
    """A stage was silent for so long that its writer stopped waiting: what it missed it does not know."""


@dataclass(frozen=True, slots=True)
class Wires:
    """All rings and tables of one engine. ``alarm`` sounds when a message on the way of money is garbled."""

    updates: dict[Venue, OverwritingRing]
    notes: dict[Venue, OverwritingRing]
    tops: dict[Venue, OverwritingRing]
    books: dict[Venue, Table]
    wanted: dict[Venue, Table]
    signals: RefusingRing
    plans: RefusingRing
    requests: dict[Venue, RefusingRing]
    reports: dict[Venue, RefusingRing]
    events: RefusingRing
    positions: Table
    accounts: Table
    disputes: Table
    catalog: CatalogSegment
    decisions: dict[DecisionStage, RefusingRing]
    alarm: GarbleAlarm = field(default_factory=GarbleAlarm)

    @classmethod
    def create(
        cls,
        venues: Sequence[Venue],
        slots: int,
        directory: Path | None = None,
        epoch: int = 0,
        *,
        cells_max: int = CELLS_MAX,
    ) -> Self:
        """Rings and tables for ``slots`` markets: private memory, or files in ``directory``.

        No ring has more than ``cells_max`` cells, a power of two.
        """
        where = _Where(directory, epoch, cells_max)
        return cls(
            updates={v: where.overwriting(UPDATE_CELLS, SMALL_BYTES, f"updates.{_low(v)}") for v in venues},
            notes={v: where.overwriting(NOTE_CELLS, SMALL_BYTES, f"notes.{_low(v)}") for v in venues},
            tops={v: where.overwriting(TOP_CELLS, WIDE_BYTES, f"tops.{_low(v)}") for v in venues},
            books={v: where.table(slots, BOOK_ROW, f"books.{_low(v)}") for v in venues},
            wanted={v: where.table(slots, WANTED_ROW, f"wanted.{_low(v)}") for v in venues},
            signals=where.refusing("signals", "optimizer", checked=True),
            plans=where.refusing("plans", "executor", checked=True),
            requests={v: where.refusing(f"requests.{_low(v)}", "venue", checked=True) for v in venues},
            reports={v: where.refusing(f"reports.{_low(v)}", "executor", checked=True) for v in venues},
            events=where.refusing("events", "strategy", "optimizer", checked=True),
            positions=where.table(slots, POSITION_ROW, "positions"),
            accounts=where.table(max(Venue) + 1, ACCOUNT_ROW, "accounts"),
            disputes=where.table(slots, DISPUTE_ROW, "disputes"),
            catalog=CatalogSegment.create(slots, CATALOG_READERS, directory=directory, epoch=epoch),
            decisions={
                stage: where.refusing(f"decisions.{_low(stage)}", LOG_READER, cells=DECISION_CELLS)
                for stage in DECIDING
            },
        )

    @classmethod
    def join(cls, venues: Sequence[Venue], directory: Path, roles: Collection[Role], epoch: int) -> Self:
        """Map those of an engine, and become the writer of what these roles write, from ``epoch`` on.

        Raises SegmentExists where such a writer lives, LayoutMismatch, SegmentRefused or FileNotFoundError.
        """
        own = frozenset(roles)

        def overwriting(name: str, payload: int, writer: Role) -> OverwritingRing:
            if writer in own:
                return OverwritingRing.adopt(name, payload, directory, epoch)
            return OverwritingRing.attach(name, payload, directory)

        def refusing(name: str, writer: Role) -> RefusingRing:
            if writer in own:
                return RefusingRing.adopt(name, WIDE_BYTES, directory, epoch)
            return RefusingRing.attach(name, WIDE_BYTES, directory)

        def table(name: str, dtype: np.dtype[np.void], writer: Role) -> Table:
            if writer in own:
                return Table.adopt(name, dtype, directory, epoch)
            return Table.attach(name, dtype, directory)

        return cls(
            updates={v: overwriting(f"updates.{_low(v)}", SMALL_BYTES, Role.FEED) for v in venues},
            notes={v: overwriting(f"notes.{_low(v)}", SMALL_BYTES, Role.FEED) for v in venues},
            tops={v: overwriting(f"tops.{_low(v)}", WIDE_BYTES, Role.BOOK) for v in venues},
            books={v: table(f"books.{_low(v)}", BOOK_ROW, Role.BOOK) for v in venues},
            wanted={v: table(f"wanted.{_low(v)}", WANTED_ROW, Role.VENUE_SIM) for v in venues},
            signals=refusing("signals", Role.STRATEGY),
            plans=refusing("plans", Role.OPTIMIZER),
            requests={v: refusing(f"requests.{_low(v)}", Role.EXECUTOR) for v in venues},
            reports={v: refusing(f"reports.{_low(v)}", Role.VENUE_SIM) for v in venues},
            events=refusing("events", Role.EXECUTOR),
            positions=table("positions", POSITION_ROW, Role.EXECUTOR),
            accounts=table("accounts", ACCOUNT_ROW, Role.EXECUTOR),
            disputes=table("disputes", DISPUTE_ROW, Role.EXECUTOR),
            catalog=CatalogSegment.join(directory, epoch, writes=Role.FEED in own),
            decisions={stage: refusing(f"decisions.{_low(stage)}", role) for stage, role in DECIDING.items()},
        )

    def take(self, reader: Reader, what: str, messages_max: int = EVERY_MESSAGE) -> int:
        """Bring waiting messages into a gating reader's buffer: cells, 0 for none; ReaderFenced.

        A fenced stage must not go on as if nothing had come: it knows neither orders nor positions any more.
        What is garbled is passed over, and every order halted: MessageGarbled where that cannot be done.
        """
        return self.heard(reader.poll(messages_max), reader, what, messages_max)

    def heard(self, n_cells: int, reader: Reader, what: str, messages_max: int = EVERY_MESSAGE) -> int:
        """The same behind a poll that was made already and has answered ``n_cells``."""
        while n_cells == _GARBLED:
            self.alarm.sound(what, reader)
            n_cells = reader.poll(messages_max)
        if n_cells == _FENCED:
            raise fenced(what)
        return n_cells

    def release(self) -> None:
        """Give up the locks of all segments, so that their writers can take them."""
        for segment in self.segments():
            segment.close()
        self.catalog.release()

    def lost(self) -> Path | None:
        """Path of a segment that is no longer the file there: removed or replaced; a system call each."""
        return next((segment.path for segment in self.segments() if not segment.is_current()), None)

    def segments(self) -> list[Segment]:
        """Segments of all rings and tables but the catalog's."""
        rings: list[OverwritingRing | RefusingRing] = [*self.updates.values(), *self.notes.values()]
        rings += [*self.tops.values(), self.signals, self.plans, self.events]
        rings += [*self.requests.values(), *self.reports.values()]
        rings += self.decisions.values()
        tables = (*self.books.values(), *self.wanted.values(), self.positions, self.accounts, self.disputes)
        return [ring.segment for ring in rings] + [table.segment for table in tables]


class _Where(NamedTuple):
    """Where the rings and tables of one engine are made."""

    directory: Path | None
    epoch: int
    cells_max: int

    def overwriting(self, cells: int, payload_bytes: int, name: str) -> OverwritingRing:
        return OverwritingRing.create(
            min(cells, self.cells_max), payload_bytes, name=name, epoch=self.epoch, directory=self.directory
        )

    def refusing(self, name: str, *readers: str, cells: int = 0, checked: bool = False) -> RefusingRing:
        return RefusingRing.create(
            min(cells or ORDER_CELLS, self.cells_max),
            WIDE_BYTES,
            readers,
            name=name,
            epoch=self.epoch,
            directory=self.directory,
            checked=checked,
        )

    def table(self, n_rows: int, dtype: np.dtype[np.void], name: str) -> Table:
        return Table.create(n_rows, dtype, name=name, epoch=self.epoch, directory=self.directory)


def _low(member: IntEnum) -> str:
    return member.name.lower()


def publish_each(ring: RefusingRing, records: Records, what: str) -> int:
    """Publish every row as a message of its own; RingFull unless all of them went in."""
    sent = ring.publish_each(records)
    if sent != records.size:
        raise RingFull(f"{what}: the ring took {sent} of {records.size} messages")
    return sent


class Outlet:
    """Rows of one array, each published as a message of its own. ``rows`` stay where they are."""

    def __init__(self, rows: Records, what: str) -> None:
        self._rows, self._what = rows, what
        self._first, self._step = address_of(rows), rows.itemsize

    def publish(self, ring: RefusingRing, start: int, end: int) -> int:
        """Publish the rows from ``start`` to ``end``; RingFull unless all of them went in."""
        if type(ring) is not RefusingRing:  # one through a tape: it wants to see them
            return publish_each(ring, self._rows[start:end], self._what)
        ring.check_width(self._rows.dtype)
        sent = cells.publish_each(ring.address, self._first + start * self._step, end - start, 0)
        if sent != end - start:
            raise RingFull(f"{self._what}: the ring took {sent} of {end - start} messages")
        return sent


def fenced(what: str) -> ReaderFenced:
    """What a stage has to say whose writer has stopped waiting."""
    return ReaderFenced(f"{what}: this reader was silent for too long and nobody waits for it any more")


def publish(ring: RefusingRing, head: Records, legs: Records, what: str) -> None:
    """Publish a head and its legs as one message; RingFull when there is no room."""
    if not ring.publish(head, legs):
        raise RingFull(f"{what}: the ring has no room for {legs.size} legs")
