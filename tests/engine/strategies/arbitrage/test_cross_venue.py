from __future__ import annotations

import pytest

from engine.records import Direction, Outcome
from engine.strategies.arbitrage.cross_venue import of_pair
from engine.strategies.candidate import CandidateLeg


@pytest.mark.parametrize(
    ("one_mirrors", "other_mirrors", "yes_at"),
    [(True, True, [1, 2]), (True, False, [2]), (False, True, [1]), (False, False, [])],
)
def test_no_is_for_sale_only_where_the_book_mirrors_it(
    one_mirrors: bool, other_mirrors: bool, yes_at: list[int]
) -> None:
    found = list(of_pair(1, 2, 0, one_mirrors=one_mirrors, other_mirrors=other_mirrors))
    assert [candidate.legs for candidate in found] == [
        (
            CandidateLeg(slot, Direction.BUY, Outcome.YES),
            CandidateLeg(3 - slot, Direction.BUY, Outcome.NO),
        )
        for slot in yes_at
    ]
