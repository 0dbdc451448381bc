from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.execution.plan import LegUse
from engine.optimizer import adversary, verify
from engine.records import BOOK_ROW, SIGNAL_LEG, Direction, Outcome, SignalKind
from engine.strategies.arbitrage.partition import (
    FOR_CONVERSION,
    FROM_CONVERSION,
    SALES_MAX_E4,
    choose_sales,
    drop_without_bid,
    of_set,
)


def legs_of(bids: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """BUY NO legs of markets with these bids (0: no bid), and one scratch record."""
    books = np.zeros(len(bids), BOOK_ROW)
    legs = np.zeros(len(bids) + 1, SIGNAL_LEG)
    for slot, bid in enumerate(bids):
        books[slot]["n_bids"] = 1 if bid else 0
        books[slot]["bid_e4"][0] = bid
        legs[slot]["slot"], legs[slot]["outcome"] = slot, Outcome.NO
    return legs, books


def test_a_set_gives_yes_and_no_or_the_conversion() -> None:
    def kinds(*, converts: bool, mirrored: bool) -> list[SignalKind]:
        found = of_set((1, 2, 3), 0, exhaustive=True, converts=converts, mirrored=mirrored)
        return [candidate.kind for candidate in found]

    assert kinds(converts=False, mirrored=True) == [SignalKind.PARTITION_BUY_YES, SignalKind.PARTITION_BUY_NO]
    assert kinds(converts=True, mirrored=True) == [SignalKind.PARTITION_BUY_YES, SignalKind.NEG_RISK_CONVERT]
    assert kinds(converts=False, mirrored=False) == [SignalKind.PARTITION_BUY_YES]


def test_legs_of_a_conversion_are_marked_as_execution_and_optimizer_read_them() -> None:
    assert (FOR_CONVERSION, FROM_CONVERSION) == (LegUse.TO_CONVERT, LegUse.FROM_CONVERSION)
    assert (verify._FOR_CONVERSION, verify._FROM_CONVERSION) == (FOR_CONVERSION, FROM_CONVERSION)
    assert adversary.FROM_CONVERSION == FROM_CONVERSION


def test_yes_of_all_is_bought_or_no_of_all() -> None:
    yes, no = of_set((1, 2, 3), 0, exhaustive=True, converts=False, mirrored=True)
    for candidate, outcome in ((yes, Outcome.YES), (no, Outcome.NO)):
        assert candidate.legs == tuple((slot, Direction.BUY, outcome) for slot in (1, 2, 3))
    assert (yes.payoff_micros, no.payoff_micros) == (1_000_000, 2_000_000)


def test_members_without_a_bid_are_left_out_in_order() -> None:
    legs, books = legs_of([40, 0, 30, 0, 20])
    assert drop_without_bid(legs, 5, books) == 3
    assert list(legs["slot"][:3]) == [0, 2, 4]


@pytest.mark.parametrize(
    ("bids", "sold"),
    [
        ([4_000, 4_000, 3_100], [2]),
        ([4_000, 3_600, 3_501], []),
        ([5_000, 1_700, 1_800], [2, 1]),
        ([5_000, 1_700, 1_801], [1]),
        ([300, 200, 100], [1, 2]),
    ],
)
def test_the_lowest_bids_are_sold_up_to_what_may_slip(bids: list[int], sold: list[int]) -> None:
    legs, books = legs_of(bids)
    bought = choose_sales(legs, len(bids), books, np.zeros(len(bids) + 1, np.int64))
    assert bought == len(bids) - len(sold)
    assert sorted(int(slot) for slot in legs["slot"][bought : len(bids)]) == sorted(sold)


@given(st.lists(st.integers(1, 9_999), min_size=2, max_size=8))
def test_any_choice_keeps_every_member_once_and_at_least_one_purchase(bids: list[int]) -> None:
    legs, books = legs_of(bids)
    n_legs = len(bids)
    bought = choose_sales(legs, n_legs, books, np.zeros(n_legs + 1, np.int64))
    assert 1 <= bought <= n_legs
    assert sorted(legs["slot"][:n_legs].tolist()) == list(range(n_legs))
    sales = [bids[slot] for slot in legs["slot"][bought:n_legs]]
    kept = [bids[slot] for slot in legs["slot"][:bought]]
    assert sum(sales) <= SALES_MAX_E4
    assert max(sales, default=0) <= min(kept)
    for index in range(n_legs):
        leg = legs[index]
        is_sale = index >= bought
        assert int(leg["convert"]) == (FROM_CONVERSION if is_sale else FOR_CONVERSION)
        assert int(leg["direction"]) == (Direction.SELL if is_sale else Direction.BUY)
        assert int(leg["outcome"]) == (Outcome.YES if is_sale else Outcome.NO)
