"""A venue stage behind a ring that has lapped it: what it missed, what it asks for, when it trades again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from engine.book.store import BookStore
from engine.reasons import Reason
from engine.records import BOOK_ROW, BOOK_UPDATE, Side, Trust, UpdateFlag, UpdateKind, Venue
from procs.agent import NEVER_NS
from procs.lost_books import AGAIN_NS, COMPARE_NS_MAX, LOOK_NS, WANTED_ROW, LostBooks
from shm.table import Table

NOW = 1_793_534_400_000_000_000
SLOTS = 4
CENTS = ((0, 10_000, 100),)


class Books:
    """A store of its own, the row that the book stage shows of each market, and what may be lost between."""

    def __init__(self) -> None:
        self.own, self.stage = BookStore(SLOTS, 1, 16), BookStore(SLOTS, 2, 16)
        self.told, self.wanted = Table.create(SLOTS, BOOK_ROW), Table.create(SLOTS, WANTED_ROW)
        self.lost = LostBooks(self.own, self.told, self.wanted)
        for slot in (1, 2):
            for store in (self.own, self.stage):
                store.open_market(slot, 1, Venue.KALSHI, CENTS, mirror=True)
            self.snapshot(slot, NOW)

    def snapshot(self, slot: int, at_ns: int) -> None:
        """A book of one level, which both take in."""
        kinds = (UpdateKind.SNAPSHOT_BEGIN, UpdateKind.SNAPSHOT_LEVEL, UpdateKind.SNAPSHOT_END)
        self._say((self.stage, self.own), slot, at_ns, [(kind, 1) for kind in kinds])

    def change(self, slot: int, at_ns: int, size: int, *, missed: bool = False, late: bool = False) -> None:
        """A change that both take in, or the stage alone, or, when it had it already, the other."""
        stores = (*(() if late else (self.stage,)), *(() if missed else (self.own,)))
        self._say(stores, slot, at_ns, [(UpdateKind.LEVEL_SET, size)])

    def _say(
        self, stores: Sequence[BookStore], slot: int, at_ns: int, said: list[tuple[UpdateKind, int]]
    ) -> None:
        rows = np.zeros(len(said), BOOK_UPDATE)
        rows["slot"], rows["generation"], rows["recv_ns"], rows["venue"] = slot, 1, at_ns, Venue.KALSHI
        rows["side"], rows["price_e4"] = Side.BID, 4_000
        rows["kind"], rows["size_e6"] = zip(*said, strict=True)
        rows["flags"][-1] = UpdateFlag.LAST_OF_FRAME | UpdateFlag.LAST_OF_MARKET
        for store in stores:
            store.apply(rows, len(rows), at_ns)
        self.told.write(slot, self.stage.rows[slot : slot + 1])

    def wishes(self) -> list[int]:
        """When a snapshot was wanted last, by slot."""
        return [int(wanted_ns) for wanted_ns in self.wanted.rows["wanted_ns"]]

    def trust(self, slot: int) -> Trust:
        return Trust(int(self.own.rows[slot]["trust"]))


def test_without_a_lap_there_is_nothing_to_do() -> None:
    books = Books()
    assert books.lost.look(NOW + 10) == 0
    assert books.lost.next_due_ns() == NEVER_NS
    assert not books.lost.is_undecided(1)


def test_only_the_book_that_missed_a_change_is_wanted_and_comes_back() -> None:
    books = Books()
    books.change(1, NOW + 1, 7, missed=True)
    books.change(1, NOW + 2, 8)
    books.change(2, NOW + 3, 9)
    books.lost.lapped(NOW + 4)
    assert books.lost.is_undecided(1)
    assert books.lost.is_undecided(2)
    assert not books.lost.is_undecided(3), "no market is open there"
    assert books.lost.look(NOW + 4) == 2
    assert (books.trust(1), books.trust(2)) == (Trust.SUSPECT, Trust.LIVE)
    assert (books.wishes(), books.lost.missed) == ([0, NOW + 4, 0, 0], 1)
    assert not books.lost.is_undecided(1)
    books.snapshot(1, NOW + 5)
    assert books.trust(1) is Trust.LIVE
    assert books.lost.look(NOW + 4 + AGAIN_NS) == 1
    assert books.wishes() == [0, NOW + 4, 0, 0]
    assert books.lost.next_due_ns() == NEVER_NS


def test_a_snapshot_that_does_not_come_is_wanted_again() -> None:
    books = Books()
    books.change(1, NOW + 1, 7, missed=True)
    books.change(1, NOW + 2, 8)
    books.lost.lapped(NOW)
    books.lost.look(NOW)
    assert books.lost.next_due_ns() == NOW + AGAIN_NS
    assert books.lost.look(NOW + AGAIN_NS - 1) == 0
    assert books.lost.look(NOW + AGAIN_NS) == 1
    assert books.wishes() == [0, NOW + AGAIN_NS, 0, 0]


def test_a_book_whose_last_frame_was_lost_is_waited_for_and_then_wanted() -> None:
    """The row may be of a frame that is still on its way here."""
    books = Books()
    books.change(1, NOW + 1, 7, missed=True)
    books.lost.lapped(NOW)
    assert books.lost.look(NOW) == 1, "the other one"
    assert books.lost.is_undecided(1)
    assert books.lost.next_due_ns() == NOW + LOOK_NS
    assert books.lost.look(NOW + LOOK_NS - 1) == 0
    assert books.lost.look(NOW + COMPARE_NS_MAX - 1) == 0
    assert books.trust(1) is Trust.LIVE
    assert books.lost.look(NOW + COMPARE_NS_MAX + LOOK_NS) == 1
    assert (books.trust(1), books.wishes()) == (Trust.SUSPECT, [0, NOW + COMPARE_NS_MAX + LOOK_NS, 0, 0])


def test_a_frame_that_was_only_late_costs_nothing() -> None:
    books = Books()
    books.change(1, NOW + 1, 7, missed=True)
    books.lost.lapped(NOW)
    books.lost.look(NOW)
    books.change(1, NOW + 1, 7, late=True)
    assert books.lost.look(NOW + LOOK_NS) == 1
    assert (books.trust(1), books.wishes()) == (Trust.LIVE, [0, 0, 0, 0])


@pytest.mark.parametrize("known_to", ["stage", "own"])
def test_a_doubt_that_only_one_of_them_knows_counts_as_missed(known_to: str) -> None:
    books = Books()
    store = books.stage if known_to == "stage" else books.own
    store.doubt(1, Reason.SEQUENCE_GAP, NOW)
    books.told.write(1, books.stage.rows[1:2])
    books.lost.lapped(NOW)
    books.lost.look(NOW)
    assert (books.trust(1), books.wishes()) == (Trust.SUSPECT, [0, NOW, 0, 0])
