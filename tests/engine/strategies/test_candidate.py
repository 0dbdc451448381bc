from __future__ import annotations

from engine.records import Direction, Outcome
from engine.strategies.candidate import NO_RELATION, buy_no, buy_yes, sell_yes


def test_the_three_legs_there_are() -> None:
    assert buy_yes(3) == (3, Direction.BUY, Outcome.YES)
    assert buy_no(4) == (4, Direction.BUY, Outcome.NO)
    assert sell_yes(5) == (5, Direction.SELL, Outcome.YES)


def test_no_relation_is_what_records_say() -> None:
    assert NO_RELATION == -1
