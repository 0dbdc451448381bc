"""Which books missed something when a reader of updates was lapped, and asking the feed for these alone.

What was overwritten may have been of any market, so after a lap no book of that reader is believed. Once it
has caught up, each is held against the row of the book stage, which has read everything: with the same last
frame and as many level writes it missed nothing. The others are in doubt, and their rows of ``wanted`` say
when a snapshot was asked for last. The feed asks the venue (``procs.doubt_watch``); its answer comes the way
of all updates.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.book.store import BookStore
from engine.reasons import Reason
from engine.records import BOOK_ROW, Trust
from engine.units import NS_PER_S
from procs.agent import NEVER_NS
from shm.ring import Records
from shm.table import Table

WANTED_ROW: Final = np.dtype([("wanted_ns", "<i8")])  # when a snapshot of a slot was wanted last
COMPARE_NS_MAX: Final = NS_PER_S  # a book whose last frame is not that of its row for so long has missed it
AGAIN_NS: Final = 2 * NS_PER_S  # a snapshot that did not come is wanted again
LOOK_NS: Final = 10_000_000


class LostBooks:
    """Books of ``store``. ``told``: BOOK_ROW by slot, of the book stage; ``wanted``: WANTED_ROW, our wishes.

    ``missed`` counts books that had missed something.
    """

    def __init__(self, store: BookStore, told: Table, wanted: Table) -> None:
        self.missed = 0
        self._store = store
        self._told = told
        self._wanted = wanted
        self._undecided: set[int] = set()
        self._waiting: dict[int, int] = {}  # slot to when its snapshot is wanted again
        self._caught_up_ns = NEVER_NS  # when the reader first had read everything since the lap
        self._next_ns = 0  # of the next comparison
        self._row: Records = np.zeros(1, BOOK_ROW)
        self._wish: Records = np.zeros(1, WANTED_ROW)

    def lapped(self, now_ns: int) -> None:
        """Believe no book until it was compared."""
        self._undecided = set(np.flatnonzero(self._store.books["is_open"]).tolist())
        self._caught_up_ns, self._next_ns = NEVER_NS, now_ns

    def is_undecided(self, slot: int) -> bool:
        """Whether a book may have missed something."""
        return slot in self._undecided

    def look(self, now_ns: int) -> int:
        """Compare what can be compared, and want again what did not come; how many books that concerned.

        For a reader that has caught up.
        """
        if now_ns < self.next_due_ns():
            return 0
        self._caught_up_ns = min(self._caught_up_ns, now_ns)
        decided = [slot for slot in self._undecided if self._decide(slot, now_ns)]
        self._undecided.difference_update(decided)
        self._next_ns = now_ns + LOOK_NS
        due = [slot for slot, at_ns in self._waiting.items() if at_ns <= now_ns]
        for slot in due:
            if self._store.rows[slot]["trust"] in (Trust.LIVE, Trust.DEAD):
                del self._waiting[slot]
            else:
                self._want(slot, now_ns)
        return len(decided) + len(due)

    def next_due_ns(self) -> int:
        """When ``look`` has something to do."""
        waited_ns = min(self._waiting.values(), default=NEVER_NS)
        return min(self._next_ns, waited_ns) if self._undecided else waited_ns

    def _decide(self, slot: int, now_ns: int) -> bool:
        """Whether it is known by now what a book missed."""
        own, told = self._store.rows[slot], self._row[0]
        is_same_frame = self._told.read(slot, self._row) and told["recv_ns"] == own["recv_ns"]
        if not is_same_frame and now_ns - self._caught_up_ns < COMPARE_NS_MAX:
            return False
        is_same_trust = (told["trust"] == Trust.LIVE) == (own["trust"] == Trust.LIVE)
        if not (is_same_frame and is_same_trust and told["update_count"] == own["update_count"]):
            self.missed += 1
            self._store.doubt(slot, Reason.RING_LAPPED, now_ns)
            self._want(slot, now_ns)
        return True

    def _want(self, slot: int, now_ns: int) -> None:
        self._wish["wanted_ns"] = now_ns
        self._wanted.write(slot, self._wish)
        self._waiting[slot] = now_ns + AGAIN_NS
