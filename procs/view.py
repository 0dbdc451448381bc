"""A reader's own copy of the book rows it acts on: all venues in one array, without what we have just taken.

Strategies and the optimizer look at books through this. A row is fetched from its venue's table when
something says that it changed; what our own fills took since then is subtracted until the venue's book
shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.execution.own_takes import OwnTakes
from engine.records import BOOK_ROW, Trust, Venue
from shm.atomics import address_of, load_relaxed
from shm.jit import kernel
from shm.ring import Records
from shm.table import ROW_WORDS_AT, Table, fetch_row, row_address

_NOT_SEEN: Final = -1 << 62


@kernel
def fetch_newer(table: int, row: int, out: int, seen: int) -> int:
    """Copy a row to address ``out`` unless its sequence is ``seen``; its sequence.

    NO_SUCH_ROW, or ROW_BUSY: ``out`` is torn.
    """
    address = row_address(table, row)
    if address < 0:
        return address
    if load_relaxed(address) == seen:  # what is fetched is acquired below
        return seen
    sequence, _ = fetch_row(address, load_relaxed(table + ROW_WORDS_AT), out)
    return sequence


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
        self._tables = {int(venue): table for venue, table in tables.items()}
        self._first, self._step = address_of(self.rows), self.rows.itemsize
        self._seen = [_NOT_SEEN] * slots  # sequence of the row as it was fetched last

    def refresh(self, venue: int, slot: int) -> None:
        """Fetch a row, unless it is still the one that was fetched last.

        One that stays busy may be torn, and is SUSPECT here until it is fetched whole.
        """
        if not 0 <= slot < len(self._seen) or venue not in self._tables:
            raise ValueError(f"a message about a row that is not there: venue {venue}, slot {slot}")
        if not self._fetch(self._tables[venue], slot):
            return
        if len(self.takes):
            self.by_hand[slot] = self.takes.subtract(self.rows, slot)

    def _fetch(self, table: Table, slot: int) -> bool:
        """Whether another row than before was fetched, whole."""
        if type(table) is not Table:  # one through a tape: it answers each question
            is_whole = table.read(slot, self.rows[slot : slot + 1])
        else:
            seen = self._seen[slot]
            now = fetch_newer(table.address, slot, self._first + slot * self._step, seen)
            if now == seen:
                return False
            self._seen[slot] = now
            is_whole = now >= 0
        if not is_whole:
            self._seen[slot] = _NOT_SEEN
            self.stale_reads += 1
            self.rows[slot]["trust"] = Trust.SUSPECT
        return is_whole

    def on_event(self, event: np.void) -> None:
        """Take one ORDER_EVENT into account: what it filled is no longer on offer."""
        if int(event["fill_size_e6"]):
            slot = int(event["slot"])
            self.takes.on_fill(event)
            self.by_hand[slot] = 1  # until a whole row shows that it need not be
            self._seen[slot] = _NOT_SEEN
            self.refresh(int(event["venue"]), slot)


def warm() -> None:
    """Compile the kernel of this module."""
    BookView({venue: Table.create(1, BOOK_ROW) for venue in Venue}, 1).refresh(int(Venue.KALSHI), 0)
