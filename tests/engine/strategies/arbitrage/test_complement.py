from __future__ import annotations

from engine.records import Direction, Outcome, SignalKind
from engine.strategies.arbitrage.complement import of_market, of_pair


def test_both_sides_of_one_mirrored_market() -> None:
    found = of_market(4)
    assert found.is_mirror
    assert found.legs == ((4, Direction.BUY, Outcome.YES), (4, Direction.BUY, Outcome.NO))


def test_a_pair_whose_books_mirror_has_a_second_purchase() -> None:
    plain = list(of_pair(1, 2, 9, mirrored=False))
    both = list(of_pair(1, 2, 9, mirrored=True))
    assert [found.kind for found in plain] == [SignalKind.COMPLEMENT_BUY, SignalKind.COMPLEMENT_SELL]
    assert len(both) == 3
    assert [found.legs for found in both] == [
        tuple((slot, direction, outcome) for slot in (1, 2))
        for direction, outcome in (
            (Direction.BUY, Outcome.YES), (Direction.BUY, Outcome.NO), (Direction.SELL, Outcome.YES)
        )
    ]  # fmt: skip
    assert {found.relation for found in both} == {9}
