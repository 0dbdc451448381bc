from __future__ import annotations

from engine.records import Direction, Outcome
from engine.strategies.candidate import buy_no, buy_yes, sell_yes


def test_the_three_legs_there_are() -> None:
    assert buy_yes(3) == (3, Direction.BUY, Outcome.YES)
    assert buy_no(4) == (4, Direction.BUY, Outcome.NO)
    assert sell_yes(5) == (5, Direction.SELL, Outcome.YES)
