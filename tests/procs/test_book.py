"""The book stage over real rings, tables and books: what it publishes, and what a lap does to trust."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.book.state import APPLY_UPDATES_MAX
from engine.book.store import BookStore
from engine.catalog.market import MarketRef
from engine.reasons import Reason
from engine.records import BOOK_ROW, BOOK_UPDATE, TOP, Side, Trust, UpdateFlag, UpdateKind, Venue
from procs.book import BookAgent
from procs.book_notes import BOOK_NOTE, NOTE_CELLS, NoteWriter
from shm.ring import OverwritingRing
from shm.table import Table

GRID = ((0, 10_000, 100),)
CONTRACT = 1_000_000
SNAPSHOT = (
    (UpdateKind.SNAPSHOT_BEGIN, Side.BID, 0, 2),
    (UpdateKind.SNAPSHOT_LEVEL, Side.BID, 4_000, 10 * CONTRACT),
    (UpdateKind.SNAPSHOT_LEVEL, Side.ASK, 4_100, 10 * CONTRACT),
    (UpdateKind.SNAPSHOT_END, Side.BID, 0, 0),
)


class Floor:
    """Two open markets behind a ring of 32 cells."""

    def __init__(self, cells: int = 32) -> None:
        self.updates = OverwritingRing.create(cells, BOOK_UPDATE.itemsize)
        tops = OverwritingRing.create(64, TOP.itemsize)
        notes = OverwritingRing.create(NOTE_CELLS, BOOK_NOTE.itemsize)
        self.ring, self.notes = notes, NoteWriter(notes)
        self.table = Table.create(3, BOOK_ROW)
        self.store = BookStore(3, 1, 64)
        for slot in (0, 1):
            self.store.open_market(slot, 1, Venue.KALSHI, GRID, mirror=True)
        self.agent = BookAgent(Venue.KALSHI, self.store, self.updates, notes, tops, self.table)
        self.tops = tops.reader()

    def say(self, slot: int, recv_ns: int, *what: tuple[UpdateKind, Side, int, int]) -> None:
        rows = np.zeros(len(what), BOOK_UPDATE)
        for row, (kind, side, price, size) in zip(rows, what, strict=True):
            row["kind"], row["side"], row["price_e4"], row["size_e6"] = kind, side, price, size
        rows["slot"], rows["generation"], rows["venue"], rows["recv_ns"] = slot, 1, Venue.KALSHI, recv_ns
        rows["flags"][-1] = UpdateFlag.LAST_OF_FRAME | UpdateFlag.LAST_OF_MARKET
        assert self.updates.publish(rows)

    def work(self, now_ns: int) -> list[tuple[int, int]]:
        """(slot, trust) of the tops that one call of the agent published."""
        self.agent.do_work(now_ns)
        n_tops = max(self.tops.poll(), 0)
        tops = self.tops.records(TOP)[:n_tops]
        return list(zip(tops["slot"].tolist(), tops["trust"].tolist(), strict=True))

    def row(self, slot: int) -> np.void:
        out = np.zeros(1, BOOK_ROW)
        assert self.table.read(slot, out)
        row: np.void = out[0]
        return row


def test_a_frame_gives_its_row_and_then_its_top() -> None:
    floor = Floor()
    floor.say(1, 10, *SNAPSHOT)
    assert floor.work(11) == [(1, Trust.LIVE)]
    assert (floor.row(1)["trust"], floor.row(1)["bid_e4"][0], floor.row(0)["generation"]) == (1, 4_000, 0)
    assert (floor.agent.applied, floor.agent.lost, floor.agent.laps) == (4, 0, 0)
    assert floor.work(12) == []


def test_a_backlog_longer_than_one_call_takes_is_applied_whole() -> None:
    floor = Floor(cells=1 << 18)
    floor.say(0, 10, *SNAPSHOT)
    floor.work(11)
    frames = np.zeros(APPLY_UPDATES_MAX + APPLY_UPDATES_MAX // 2, BOOK_UPDATE)
    frames["kind"], frames["side"], frames["price_e4"] = UpdateKind.LEVEL_SET, Side.BID, 3_900
    frames["size_e6"] = (np.arange(len(frames)) + 1) * CONTRACT
    frames["generation"], frames["venue"], frames["recv_ns"] = 1, Venue.KALSHI, 20
    frames["flags"][1::2] = UpdateFlag.LAST_OF_FRAME | UpdateFlag.LAST_OF_MARKET
    for first in range(0, len(frames), 2):  # a frame of two updates may not be torn
        assert floor.updates.publish(frames[first : first + 2])
    floor.work(30)
    assert (floor.agent.applied, floor.agent.lost) == (len(SNAPSHOT) + len(frames), 0)
    assert floor.row(0)["bid_size_e6"][1] == len(frames) * CONTRACT
    assert floor.row(0)["trust"] == Trust.LIVE


def test_a_frame_beyond_every_bound_is_a_doubt_of_all_books_and_not_the_end() -> None:
    floor = Floor(cells=1 << 18)
    floor.say(0, 10, *SNAPSHOT)
    floor.work(11)
    frame = np.zeros(APPLY_UPDATES_MAX + 1, BOOK_UPDATE)
    frame["generation"], frame["venue"], frame["recv_ns"] = 1, Venue.KALSHI, 20
    frame["flags"][-1] = UpdateFlag.LAST_OF_FRAME | UpdateFlag.LAST_OF_MARKET
    floor.agent.apply(frame, len(frame), 21)
    assert floor.row(0)["trust"] == Trust.SUSPECT
    floor.say(0, 30, *SNAPSHOT)
    floor.work(31)
    assert floor.row(0)["trust"] == Trust.LIVE


def test_a_lap_puts_every_book_in_doubt_before_anything_behind_it_is_applied() -> None:
    floor = Floor()
    for slot in (0, 1):
        floor.say(slot, 10, *SNAPSHOT)
    assert floor.work(11) == [(0, Trust.LIVE), (1, Trust.LIVE)]
    for frame in range(40):
        floor.say(0, 20 + frame, (UpdateKind.LEVEL_SET, Side.BID, 3_900, (frame + 1) * CONTRACT))
    seen = floor.work(100)
    assert seen[:2] == [(0, Trust.SUSPECT), (1, Trust.SUSPECT)]
    assert {trust for _, trust in seen} == {Trust.SUSPECT}
    assert (floor.agent.lost, floor.agent.laps) == (16, 1)
    for slot in (0, 1):
        assert floor.row(slot)["trust"] == Trust.SUSPECT
        assert floor.store.books[slot]["doubt"] == Reason.RING_LAPPED


def test_a_snapshot_from_behind_the_gap_brings_its_book_back() -> None:
    floor = Floor()
    for slot in (0, 1):
        floor.say(slot, 10, *SNAPSHOT)
    floor.work(11)
    for frame in range(28):
        floor.say(0, 20 + frame, (UpdateKind.LEVEL_SET, Side.BID, 3_900, CONTRACT))
    floor.say(0, 50, *SNAPSHOT)
    for frame in range(4):
        floor.say(0, 60 + frame, (UpdateKind.LEVEL_SET, Side.BID, 3_900, CONTRACT))
    floor.work(100)
    assert floor.agent.laps == 1
    assert floor.row(0)["trust"] == Trust.LIVE
    assert floor.row(1)["trust"] == Trust.SUSPECT
    floor.say(1, 70, *SNAPSHOT)
    assert floor.work(101) == [(1, Trust.LIVE)]


def test_a_request_for_a_book_in_doubt_is_shown_by_row_and_top() -> None:
    floor = Floor()
    floor.say(0, 1, *SNAPSHOT)
    floor.work(1)
    floor.notes.doubt(MarketRef(0, 1), Reason.FEED_SILENT, 1, 2)
    assert floor.work(2) == [(0, Trust.SUSPECT)]
    assert floor.row(0)["trust"] == Trust.SUSPECT
    floor.notes.resync_requested(MarketRef(0, 1), 3)
    assert floor.work(4) == [(0, Trust.RESYNC)]
    assert floor.row(0)["trust"] == Trust.RESYNC
    floor.say(0, 5, *SNAPSHOT)
    floor.work(5)
    assert floor.row(0)["trust"] == Trust.LIVE


def test_a_note_that_comes_late_changes_nothing() -> None:
    floor = Floor()
    floor.say(0, 1, *SNAPSHOT)
    floor.work(1)
    floor.notes.doubt(MarketRef(0, 2), Reason.FEED_SILENT, 1, 2)  # of another market
    assert floor.work(2) == []
    floor.say(0, 3, (UpdateKind.LEVEL_SET, Side.BID, 3_900, CONTRACT))
    floor.notes.doubt(MarketRef(0, 1), Reason.FEED_SILENT, 1, 2)  # heard of since
    assert floor.work(4) == [(0, Trust.LIVE)]


def test_a_snapshot_that_overtook_the_note_of_a_silence_is_newer_than_the_doubt() -> None:
    """The doubt counts from when it was found out, not from when the book stage came to read of it."""
    floor = Floor()
    floor.say(0, 1, *SNAPSHOT)
    floor.work(1)
    floor.notes.doubt(MarketRef(0, 1), Reason.FEED_SILENT, 1, 2)
    assert floor.work(10) == [(0, Trust.SUSPECT)]
    floor.say(0, 5, *SNAPSHOT)
    assert floor.work(11) == [(0, Trust.LIVE)]


def test_notes_for_the_books_of_an_earlier_stage_are_not_read() -> None:
    floor = Floor()
    for _ in range(3):
        floor.notes.resync_requested(MarketRef(0, 1), 1)
    late = BookAgent(
        Venue.KALSHI, floor.store, floor.updates, floor.ring, OverwritingRing.create(64, 112), floor.table
    )
    assert late.do_work(2) == 0


def test_the_first_books_of_another_feed_are_newer_than_the_doubt_about_the_one_before(
    tmp_path: Path,
) -> None:
    """The doubt counts from the receipt of its first frame, not from when the book stage came to read it."""
    tmp_path.chmod(0o700)
    floor = Floor()
    width = BOOK_UPDATE.itemsize
    floor.updates = OverwritingRing.create(32, width, name="updates", epoch=1, directory=tmp_path)
    tops = OverwritingRing.create(64, TOP.itemsize)
    agent = BookAgent(Venue.KALSHI, floor.store, floor.updates, floor.ring, tops, floor.table)
    floor.say(0, 10, *SNAPSHOT)
    floor.say(1, 10, *SNAPSHOT)
    agent.do_work(15)
    floor.updates.segment.close()
    floor.updates = OverwritingRing.adopt("updates", width, tmp_path, 2)
    floor.say(0, 20, *SNAPSHOT)
    agent.do_work(25)
    assert (floor.row(0)["trust"], floor.row(1)["trust"]) == (Trust.LIVE, Trust.SUSPECT)
