"""The rings and tables that join the stages of one engine, each with its one writer.

====================  ==============  =====================  ==============================================
ring or table         message         written by             read by
====================  ==============  =====================  ==============================================
updates[venue]        BOOK_UPDATE     feed of the venue      book of the venue, simulated venue (overwriting)
tops[venue]           TOP             book of the venue      strategy (overwriting)
books[venue]          BOOK_ROW        book of the venue      strategy, optimizer, executor (table by slot)
signals               SIGNAL          strategy               optimizer
plans                 PLAN            optimizer              executor
requests[venue]       ORDER_REQUEST   executor               the venue
reports[venue]        VENUE_REPORT    the venue              executor
events                ORDER_EVENT     executor               strategy, optimizer
positions             POSITION_ROW    executor               optimizer, strategy (table by slot)
accounts              ACCOUNT_ROW     executor               optimizer (table by venue)
catalog               MARKET_ROW      catalog                optimizer, executor, log (segment by slot)
decisions[stage]      DECISION        each deciding stage    decision log
====================  ==============  =====================  ==============================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

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
from procs.catalog_segment import CatalogSegment
from shm.layout import Status
from shm.ring import EVERY_MESSAGE, OverwritingRing, Reader, Records, RefusingRing
from shm.table import Table

UPDATE_CELLS: Final = 1 << 18  # a quarter of it holds the largest frame
TOP_CELLS: Final = 1 << 14
DECISION_CELLS: Final = 1 << 14
ORDER_CELLS: Final = 1 << 12  # signals, plans, requests, reports, events

LOG_READER: Final = "log"
CATALOG_READERS: Final = ("optimizer", "executor")


class RingFull(Pr3dictError):
    """A ring of decisions or order events has no room: its reader has stopped, and so does its writer."""


class ReaderFenced(Pr3dictError):
    """A stage was silent for so long that its writer stopped waiting: what it missed it does not know."""


@dataclass(frozen=True, slots=True)
class Wires:
    """All rings and tables of one engine."""

    updates: dict[Venue, OverwritingRing]
    tops: dict[Venue, OverwritingRing]
    books: dict[Venue, Table]
    signals: RefusingRing
    plans: RefusingRing
    requests: dict[Venue, RefusingRing]
    reports: dict[Venue, RefusingRing]
    events: RefusingRing
    positions: Table
    accounts: Table
    catalog: CatalogSegment
    decisions: dict[DecisionStage, RefusingRing]

    @classmethod
    def private(cls, venues: Sequence[Venue], slots: int) -> Self:
        """Rings and tables in the memory of this process, for ``slots`` markets."""
        return cls(
            updates={venue: OverwritingRing.create(UPDATE_CELLS, SMALL_BYTES) for venue in venues},
            tops={venue: OverwritingRing.create(TOP_CELLS, WIDE_BYTES) for venue in venues},
            books={venue: Table.create(slots, BOOK_ROW) for venue in venues},
            signals=_orders("optimizer"),
            plans=_orders("executor"),
            requests={venue: _orders("venue") for venue in venues},
            reports={venue: _orders("executor") for venue in venues},
            events=_orders("strategy", "optimizer"),
            positions=Table.create(slots, POSITION_ROW),
            accounts=Table.create(max(Venue) + 1, ACCOUNT_ROW),
            catalog=CatalogSegment.create(slots, CATALOG_READERS),
            decisions={
                stage: RefusingRing.create(DECISION_CELLS, WIDE_BYTES, (LOG_READER,))
                for stage in (DecisionStage.STRATEGY, DecisionStage.OPTIMIZER, DecisionStage.EXECUTION)
            },
        )


def _orders(*readers: str) -> RefusingRing:
    return RefusingRing.create(ORDER_CELLS, WIDE_BYTES, readers)


def publish_each(ring: RefusingRing, records: Records, what: str) -> int:
    """Publish every row as a message of its own; RingFull unless all of them went in."""
    sent = ring.publish_each(records)
    if sent != records.size:
        raise RingFull(f"{what}: the ring took {sent} of {records.size} messages")
    return sent


def take(reader: Reader, what: str, messages_max: int = EVERY_MESSAGE) -> int:
    """Bring waiting messages into a gating reader's buffer: cells, 0 for none; ReaderFenced.

    A fenced stage must not go on as if nothing had come: it knows neither orders nor positions any more.
    """
    n_cells = reader.poll(messages_max)
    if n_cells == Status.READER_FENCED:
        raise ReaderFenced(f"{what}: this reader was silent for too long and nobody waits for it any more")
    return n_cells


def publish(ring: RefusingRing, head: Records, legs: Records, what: str) -> None:
    """Publish a head and its legs as one message; RingFull when there is no room."""
    if not ring.publish(head, legs):
        raise RingFull(f"{what}: the ring has no room for {legs.size} legs")
