from __future__ import annotations

import numpy as np
import pytest

from engine.ledger.ledger import Ledger, Position
from engine.ledger.marks import mark_ledger_micros, mark_position_micros
from engine.records import BOOK_ROW, TopFlag, Trust, Venue


def row(bids: list[tuple[int, int]], asks: list[tuple[int, int]], trust: Trust = Trust.LIVE) -> np.void:
    record: np.void = np.zeros(1, BOOK_ROW)[0]
    record["trust"], record["generation"] = trust, 1
    record["n_bids"], record["n_asks"] = len(bids), len(asks)
    for index, (price, size) in enumerate(bids):
        record["bid_e4"][index], record["bid_size_e6"][index] = price, size
    for index, (price, size) in enumerate(asks):
        record["ask_e4"][index], record["ask_size_e6"][index] = price, size
    return record


BIDS = [(4_800, 10_000_000), (4_700, 5_000_000)]
ASKS = [(5_000, 4_000_000), (5_500, 100_000_000)]


@pytest.mark.parametrize(
    ("yes_e6", "no_e6", "value_micros"),
    [
        (0, 0, 0),
        (10_000_000, 0, 4_800_000),
        (12_000_000, 0, 4_800_000 + 940_000),
        (99_000_000, 0, 4_800_000 + 2_350_000),  # beyond the depth we see: nothing
        (0, 4_000_000, 2_000_000),
        (0, 5_000_000, 2_000_000 + 450_000),
        (1, 1, 0 + 0),  # fractions of a micro-dollar are not ours
    ],
)
def test_a_position_is_marked_by_selling_it_into_the_book(yes_e6: int, no_e6: int, value_micros: int) -> None:
    assert mark_position_micros(Position(size_e6=[yes_e6, no_e6]), row(BIDS, ASKS)) == value_micros


@pytest.mark.parametrize("trust", [trust for trust in Trust if trust is not Trust.LIVE])
def test_a_book_that_is_not_live_marks_at_nothing(trust: Trust) -> None:
    assert mark_position_micros(Position(size_e6=[10**6, 10**6]), row(BIDS, ASKS, trust)) == 0


@pytest.mark.parametrize("flag", [TopFlag.CROSSED, TopFlag.SIZE_UNKNOWN])
def test_a_crossed_book_or_one_without_sizes_marks_at_nothing(flag: TopFlag) -> None:
    record = row(BIDS, ASKS)
    record["flags"] = flag
    assert mark_position_micros(Position(size_e6=[10**6, 0]), record) == 0


def test_a_recycled_slot_does_not_mark_the_market_that_was_there_before() -> None:
    ledger = Ledger()
    rows = np.zeros(2, BOOK_ROW)
    rows[1] = row(BIDS, ASKS)
    ledger.position(Venue.KALSHI, 1, 1).size_e6[0] = 1_000_000
    assert mark_ledger_micros(ledger, rows) == 480_000
    rows[1]["generation"] = 2
    assert mark_ledger_micros(ledger, rows) == 0


@pytest.mark.parametrize(("n_bids", "n_asks"), [(2, 1), (1, 2), (0, 2), (2, 0)])
def test_each_side_is_as_deep_as_its_own_count(n_bids: int, n_asks: int) -> None:
    record = row(BIDS, ASKS)
    record["n_bids"], record["n_asks"] = n_bids, n_asks
    yes, no = Position(size_e6=[12_000_000, 0]), Position(size_e6=[0, 5_000_000])
    assert mark_position_micros(yes, record) == (0, 4_800_000, 4_800_000 + 940_000)[n_bids]
    assert mark_position_micros(no, record) == (0, 2_000_000, 2_000_000 + 450_000)[n_asks]
