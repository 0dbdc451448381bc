"""Both books that tests and stages hand to the venue fit its port."""

from __future__ import annotations

from engine.book.store import BookStore
from engine.records import Side
from engine.sim.ports import PublicBook
from procs.sim_venue import StoreBook
from tests.engine.sim.world import ONE, ListBook, snapshot


def test_a_public_book_shows_levels_best_first() -> None:
    listed = ListBook()
    book: PublicBook = listed
    frame = snapshot(0, bids=[(4700, ONE), (4800, 2 * ONE)], asks=[(5100, ONE), (5000, 3 * ONE)])
    assert book.apply(frame, len(frame), 1) == len(frame)
    assert book.levels(0, Side.BID) == ([4800, 4700], [2 * ONE, ONE])
    assert book.levels(0, Side.ASK) == ([5000, 5100], [3 * ONE, ONE])
    assert book.is_tradable(0)


def test_the_stage_adapter_is_one_too() -> None:
    book: PublicBook = StoreBook(BookStore(1, 1, 64))
    assert not book.is_tradable(0)
