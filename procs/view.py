"""A reader's own copy of the book rows it acts on: all venues in one array, without what we have just taken.

Strategies and the optimizer look at books through this. A row is fetched from its venue's table when
something says that it changed; what our own fills took since then is subtracted until the venue's book
shows it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from engine.execution.own_takes import OwnTakes
from engine.records import BOOK_ROW, Trust, Venue
from shm.ring import Records
from shm.table import Table


class BookView:
    """``rows``: BOOK_ROW by slot over all venues.

    ``stale_reads`` counts rows that could not be fetched whole. ``by_hand`` (uint8 by slot) marks those of
    which something is ours, that a reader without this class must not fetch.
    """

    def __init__(self, tables: Mapping[Venue, Table], slots: int) -> None:
        self.rows: Records = np.zeros(slots, BOOK_ROW)
        self.by_hand: npt.NDArray[np.uint8] = np.zeros(slots, np.uint8)
        self.takes = OwnTakes()
        self.stale_reads = 0
        self._tables = tables

    def refresh(self, venue: int, slot: int) -> None:
        """Fetch a row.

        One that stays busy may be torn, and is SUSPECT here until it is fetched whole.
        """
        if not 0 <= slot < len(self.rows) or venue not in self._tables:
            raise ValueError(f"a message about a row that is not there: venue {venue}, slot {slot}")
        row = self.rows[slot : slot + 1]
        if not self._tables[Venue(venue)].read(slot, row):
            self.stale_reads += 1
            row["trust"] = Trust.SUSPECT
            return
        if len(self.takes):
            self.takes.subtract(row[0])
            self.by_hand[slot] = self.takes.holds(slot, int(row[0]["generation"]))

    def on_event(self, event: np.void) -> None:
        """Take one ORDER_EVENT into account: what it filled is no longer on offer."""
        if int(event["fill_size_e6"]):
            self.takes.on_fill(event)
            self.by_hand[int(event["slot"])] = 1  # until a whole row shows that it need not be
            self.refresh(int(event["venue"]), int(event["slot"]))
