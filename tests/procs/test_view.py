from __future__ import annotations

import numpy as np
import pytest

from engine.records import BOOK_ROW, ORDER_EVENT, Direction, Outcome, Trust, Venue
from procs import view as view_module
from procs.view import BookView
from shm.atomics import address_of
from shm.table import Table, begin_row, end_row
from tests.plain_twin import PlainTwin

SLOT = 2


def row(epoch: int, ask_size_e6: int) -> np.ndarray:
    rows = np.zeros(1, BOOK_ROW)
    rows["slot"], rows["generation"], rows["epoch"], rows["trust"] = SLOT, 1, epoch, Trust.LIVE
    rows["n_asks"] = 1
    rows["ask_e4"][0, 0], rows["ask_size_e6"][0, 0] = 5_000, ask_size_e6
    return rows


def fill(size_e6: int) -> np.void:
    event: np.void = np.zeros(1, ORDER_EVENT)[0]
    event["slot"], event["generation"], event["venue"] = SLOT, 1, Venue.KALSHI
    event["direction"], event["outcome"] = Direction.BUY, Outcome.YES
    event["price_e4"], event["fill_size_e6"] = 5_000, size_e6
    return event


def test_a_row_is_fetched_from_its_own_venue() -> None:
    tables = {venue: Table.create(4, BOOK_ROW) for venue in Venue}
    tables[Venue.KALSHI].write(SLOT, row(7, 30))
    view = BookView(tables, 4)
    view.refresh(Venue.POLYMARKET, SLOT)
    assert int(view.rows[SLOT]["epoch"]) == 0
    view.refresh(Venue.KALSHI, SLOT)
    assert int(view.rows[SLOT]["epoch"]) == 7


def test_what_we_took_is_not_offered_again_until_the_level_changes() -> None:
    tables = {venue: Table.create(4, BOOK_ROW) for venue in Venue}
    tables[Venue.KALSHI].write(SLOT, row(7, 30))
    view = BookView(tables, 4)
    view.on_event(fill(20))
    assert int(view.rows[SLOT]["ask_size_e6"][0]) == 10
    tables[Venue.KALSHI].write(SLOT, row(7, 0))
    view.refresh(Venue.KALSHI, SLOT)
    tables[Venue.KALSHI].write(SLOT, row(7, 30))
    view.refresh(Venue.KALSHI, SLOT)
    assert int(view.rows[SLOT]["ask_size_e6"][0]) == 30


def test_an_event_without_a_fill_fetches_nothing() -> None:
    tables = {venue: Table.create(4, BOOK_ROW) for venue in Venue}
    tables[Venue.KALSHI].write(SLOT, row(7, 30))
    view = BookView(tables, 4)
    view.on_event(fill(0))
    assert int(view.rows[SLOT]["epoch"]) == 0


def test_a_row_that_is_being_written_is_not_trusted_and_counted() -> None:
    tables = {venue: Table.create(4, BOOK_ROW) for venue in Venue}
    table = tables[Venue.KALSHI]
    table.write(SLOT, row(7, 30))
    view = BookView(tables, 4)
    view.refresh(Venue.KALSHI, SLOT)
    begin_row(table.address, SLOT)
    view.refresh(Venue.KALSHI, SLOT)
    assert (view.stale_reads, int(view.rows[SLOT]["trust"])) == (1, Trust.SUSPECT)
    end_row(table.address, SLOT)
    view.refresh(Venue.KALSHI, SLOT)
    assert (view.stale_reads, int(view.rows[SLOT]["trust"])) == (1, Trust.LIVE)


def test_a_row_that_was_torn_at_every_try_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader's copy then mixes two writes under the epoch of one of them."""
    tables = {venue: Table.create(4, BOOK_ROW) for venue in Venue}
    view = BookView(tables, 4)

    def torn(table: Table, slot: int, out: np.ndarray) -> bool:
        out[:] = row(7, 30)
        return False

    monkeypatch.setattr(Table, "read", torn)
    view.refresh(Venue.KALSHI, SLOT)
    assert int(view.rows[SLOT]["trust"]) != Trust.LIVE


def test_a_row_that_nobody_wrote_since_is_not_fetched_again() -> None:
    tables = {venue: Table.create(4, BOOK_ROW) for venue in Venue}
    tables[Venue.KALSHI].write(SLOT, row(7, 30))
    view = BookView(tables, 4)
    view.refresh(Venue.KALSHI, SLOT)
    view.rows[SLOT]["epoch"] = 99  # to see it fetched
    view.refresh(Venue.KALSHI, SLOT)
    assert int(view.rows[SLOT]["epoch"]) == 99
    tables[Venue.KALSHI].write(SLOT, row(7, 30))
    view.refresh(Venue.KALSHI, SLOT)
    assert int(view.rows[SLOT]["epoch"]) == 7
    view.rows[SLOT]["epoch"] = 99
    view.on_event(fill(20))
    assert int(view.rows[SLOT]["epoch"]) == 7, "something else is ours now"
    assert int(view.rows[SLOT]["ask_size_e6"][0]) == 10
    view.refresh(Venue.KALSHI, SLOT)
    assert int(view.rows[SLOT]["ask_size_e6"][0]) == 10


@pytest.mark.compiled_only
def test_compiled_equals_plain(plain_twin: PlainTwin) -> None:
    table = Table.create(4, BOOK_ROW)
    table.write(SLOT, row(7, 30))
    found = []
    for module in (view_module, plain_twin("procs.view")):
        out = np.zeros(1, BOOK_ROW)
        answers = [module.fetch_newer(table.address, at, address_of(out), -1) for at in (-1, SLOT, 4)]
        answers.append(module.fetch_newer(table.address, SLOT, address_of(out), answers[1]))
        found.append((answers, out.tobytes()))
    assert found[0] == found[1]
    assert found[0][1] == row(7, 30).tobytes()
    assert found[0][0][1] == found[0][0][3] == 2
