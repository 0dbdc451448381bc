from __future__ import annotations

from engine.records import Direction, Outcome
from engine.strategies.arbitrage.implication import of_pair


def test_it_needs_no_of_the_premise() -> None:
    (found,) = of_pair(1, 2, 0, premise_mirrors=True)
    assert set(found.legs) == {(1, Direction.BUY, Outcome.NO), (2, Direction.BUY, Outcome.YES)}
    assert list(of_pair(1, 2, 0, premise_mirrors=False)) == []
