"""Book stage: BOOK_UPDATE messages of one venue in, TOP messages and book rows out.

One compiled call applies a batch of frames, and a long backlog takes several. Rows are published before the
tops that announce them, so that a reader of a top finds a row at least as new. What the feed finds out about
a book outside the stream comes in notes (``procs.book_notes``). Frames that were overwritten before they were
read may have changed any book: all of them are in doubt from the first frame behind the gap, until a newer
snapshot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from engine.book.state import APPLY_UPDATES_MAX
from engine.reasons import Reason
from engine.records import BOOK_UPDATE, Trust, UpdateFlag, Venue
from procs.agent import BOOK, NEVER_NS, Follow, role_at
from procs.book_notes import BOOK_NOTE
from procs.ladder import BookRung
from shm.ring import OverwritingRing, Reader, Records
from shm.table import Table

BATCH_CELLS: Final = 4_096


class Store(Protocol):
    """What the book stage needs of ``engine.book.store.BookStore``."""

    tops: Records
    rows: Records

    def apply(self, updates: Records, n: int, now_ns: int) -> int:
        """Apply ``updates[:n]``, whole frames; the number of TOP records in ``tops``."""
        ...

    def doubt_all(self, reason: Reason, at_ns: int, now_ns: int) -> int:
        """Doubt every open book since ``at_ns``; the number of TOP records in ``tops``."""
        ...

    def doubt(self, slot: int, reason: Reason, now_ns: int) -> int:
        """Doubt a book for a reason found outside the stream; the number of TOP records in ``tops``."""
        ...

    def resync_requested(self, slot: int, now_ns: int) -> int:
        """A snapshot of a book in doubt was asked for; the number of TOP records in ``tops``."""
        ...

    def on_time(self, now_ns: int) -> int:
        """Act by the clock (books crossed too long); the number of TOP records in ``tops``."""
        ...

    def next_due_ns(self) -> int:
        """When ``on_time`` has something to do."""
        ...


class BookAgent:
    """One venue's books.

    ``follow`` is called when there are updates, before they are applied: they may be of new markets. ``rung``
    stamps the tops that frames have brought. Without ``updates`` nothing is read: whoever has the frames
    hands over what they say (``procs.fused_feed``).
    """

    def __init__(
        self,
        venue: Venue,
        store: Store,
        updates: OverwritingRing | None,
        notes: OverwritingRing,
        tops: OverwritingRing,
        table: Table,
        follow: Follow | None = None,
        rung: BookRung | None = None,
    ) -> None:
        self.role = role_at(BOOK, venue)
        self.venue = venue
        self.store = store
        self._applied = 0
        self.applied_beside: Callable[[], int] = lambda: 0  # by who applies in the stage's place
        self.laps = 0
        self._follow = follow
        self._rung = rung
        self._tops = tops
        self._table = table
        # Where a stage before us has died, what it was sent is history: books come back by snapshots.
        is_first = not table.rows["epoch"].any()
        self._reader: Reader | None = None
        if updates is not None:
            self._reader = updates.reader(from_oldest=is_first, batch_cells=BATCH_CELLS)
            self._updates = self._reader.records(BOOK_UPDATE)
        self._notes = notes.reader(from_oldest=False)  # an older one was about the books of another stage
        self._note_rows = self._notes.records(BOOK_NOTE)

    @property
    def applied(self) -> int:
        """Update records applied."""
        return self._applied + self.applied_beside()

    @property
    def lost(self) -> int:
        """Update records overwritten before they were read."""
        return 0 if self._reader is None else self._reader.lost_cells

    @property
    def readers(self) -> list[Reader]:
        """Of updates, where they are read here, and of notes."""
        return [self._notes] if self._reader is None else [self._reader, self._notes]

    def on_start(self, now_ns: int) -> None:
        """Show every row as it is here: what an earlier writer of the table has left is not believed."""
        del now_ns
        for slot in np.flatnonzero(self.store.rows["epoch"]):
            self._table.write(int(slot), self.store.rows[slot : slot + 1])

    def do_work(self, now_ns: int) -> int:
        """Apply what the feed has published since, then its notes; then what is due by the clock."""
        work = 0 if self._reader is None else self._take_updates(self._reader, now_ns)
        n_notes = max(self._notes.poll(), 0)
        for index in range(n_notes):
            self._take_note(self._note_rows[index], now_ns)
        work += n_notes
        if self.store.next_due_ns() <= now_ns:
            work += 1
            self._publish(self.store.on_time(now_ns))
        return work

    def apply(self, updates: Records, n: int, now_ns: int) -> None:
        """Apply ``updates[:n]`` (BOOK_UPDATE), whole frames, and publish what they change.

        In as many calls as a backlog needs: each has a bound, and a frame is within it.
        """
        self._applied += n
        if n <= APPLY_UPDATES_MAX:
            self._publish(self.store.apply(updates, n, now_ns), self._rung)
            return
        ends = np.append(np.flatnonzero(updates["flags"][:n] & UpdateFlag.LAST_OF_FRAME) + 1, n)
        begin = 0
        while begin < n:
            first = int(ends[np.searchsorted(ends, begin, side="right")])
            end = int(ends[np.searchsorted(ends, begin + APPLY_UPDATES_MAX, side="right") - 1])
            if first - begin > APPLY_UPDATES_MAX:  # no frame of a venue is: two sockets' words in one
                at_ns = int(updates[begin]["recv_ns"])
                self._publish(self.store.doubt_all(Reason.LEVEL_BOUND, at_ns, now_ns))
                end = first
            else:
                self._publish(self.store.apply(updates[begin:end], end - begin, now_ns), self._rung)
            begin = end

    def on_close(self) -> None:
        """Nothing to let go of."""

    def next_due_ns(self) -> int:
        """When a book will have been crossed for too long."""
        return min(self.store.next_due_ns(), NEVER_NS)

    def _take_updates(self, reader: Reader, now_ns: int) -> int:
        """Apply what the feed has published since; how many updates that was."""
        n_updates = reader.poll()
        if n_updates > 0:
            if reader.entered_epoch():  # another feed: what the one before knew it does not
                self._doubt_before(Reason.DISCONNECTED, now_ns)
            if self._follow is not None:
                self._follow()
            self._follow_laps(reader.laps, now_ns)
            self.apply(self._updates, n_updates, now_ns)
        return n_updates

    def _take_note(self, note: np.void, now_ns: int) -> None:
        """Show what the feed did or missed, unless the book is another by now, or was heard of."""
        slot = int(note["slot"])
        row = self.store.rows[slot]
        if row["generation"] != note["generation"] or row["trust"] == Trust.DEAD:
            return
        if int(note["reason"]) == Reason.NONE:
            self._publish(self.store.resync_requested(slot, now_ns))
        elif row["recv_ns"] <= note["heard_ns"]:
            self._publish(self.store.doubt(slot, Reason(int(note["reason"])), int(note["at_ns"])))

    def _follow_laps(self, laps: int, now_ns: int) -> None:
        """Before anything from behind a gap is applied: it was received after all that is missing."""
        if laps != self.laps:
            self.laps = laps
            self._doubt_before(Reason.RING_LAPPED, now_ns)

    def _doubt_before(self, reason: Reason, now_ns: int) -> None:
        """Doubt every book until a snapshot at least as new as the first update that waits here."""
        self._publish(self.store.doubt_all(reason, int(self._updates[0]["recv_ns"]), now_ns))

    def _publish(self, n_tops: int, rung: BookRung | None = None) -> None:
        if not n_tops:
            return
        tops = self.store.tops[:n_tops]
        for slot in np.unique(tops["slot"]):
            self._table.write(int(slot), self.store.rows[slot : slot + 1])
        if rung is not None:
            rung.published(self.store.tops, n_tops)
        self._tops.publish_each(tops)
