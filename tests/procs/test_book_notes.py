from __future__ import annotations

from engine.catalog.market import MarketRef
from engine.reasons import Reason
from procs.book_notes import BOOK_NOTE, NOTE_CELLS, NoteWriter
from shm.ring import OverwritingRing


def test_what_was_found_out_about_a_book_is_one_record() -> None:
    ring = OverwritingRing.create(NOTE_CELLS, BOOK_NOTE.itemsize)
    reader = ring.reader()
    rows = reader.records(BOOK_NOTE)
    writer = NoteWriter(ring)
    writer.resync_requested(MarketRef(3, 2), 50)
    writer.doubt(MarketRef(4, 1), Reason.FEED_SILENT, 10, 60)
    assert reader.poll() == 2
    fields = ["slot", "generation", "reason", "heard_ns", "at_ns"]
    assert rows[fields][:2].tolist() == [(3, 2, Reason.NONE, 50, 50), (4, 1, Reason.FEED_SILENT, 10, 60)]
