"""What a feed finds out about books outside the stream of updates, and tells the book stage over a ring.

The feed sees the rows of all books in shared memory (``procs.doubt_watch``) and speaks to the venue; the
books are another stage's, maybe of another process. A note is moot when it comes late: one of another
generation of the slot, or of a silence that has ended since, changes nothing.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.catalog.market import MarketRef
from engine.reasons import Reason
from engine.records import SMALL_BYTES
from shm.ring import OverwritingRing, Records

NOTE_CELLS: Final = 1 << 14  # what is lapped was only shown, or is found out again

BOOK_NOTE: Final = np.dtype(
    [
        ("at_ns", "<i8"),  # when it was found out
        ("heard_ns", "<i8"),  # receipt of what the book had then
        ("slot", "<i4"),
        ("generation", "<i4"),
        ("reason", "<i4"),  # Reason of a doubt; NONE: a snapshot was asked for
        ("pad", "u1", (20,)),
    ]
)
assert BOOK_NOTE.itemsize == SMALL_BYTES


class NoteWriter:
    """The feed's end of ``ring`` (interface: ``procs.doubt_watch.Books``)."""

    def __init__(self, ring: OverwritingRing) -> None:
        self._ring = ring
        self._note: Records = np.zeros(1, BOOK_NOTE)

    def resync_requested(self, ref: MarketRef, now_ns: int) -> None:
        """A snapshot of a book in doubt was asked for."""
        self._write(ref, Reason.NONE, now_ns, now_ns)

    def doubt(self, ref: MarketRef, reason: Reason, heard_ns: int, now_ns: int) -> None:
        """A book that nothing was heard of since ``heard_ns`` falls into doubt."""
        self._write(ref, reason, heard_ns, now_ns)

    def _write(self, ref: MarketRef, reason: Reason, heard_ns: int, now_ns: int) -> None:
        note = self._note[0]
        note["at_ns"], note["heard_ns"] = now_ns, heard_ns
        note["slot"], note["generation"], note["reason"] = ref.slot, ref.generation, reason
        self._ring.publish(self._note)
