from __future__ import annotations

import pytest

from engine.sim import consumed
from engine.sim.consumed import ConsumedLiquidity

SLOT, ASK, BID = 3, 1, 0


def test_available_is_recorded_less_consumed_and_never_negative() -> None:
    taken = ConsumedLiquidity()
    taken.take(SLOT, ASK, 5000, 60)
    assert taken.available_e6(SLOT, ASK, 5000, 100) == 40
    assert taken.available_e6(SLOT, ASK, 5000, 50) == 0
    assert taken.available_e6(SLOT, BID, 5000, 100) == 100
    assert taken.available_e6(SLOT + 1, ASK, 5000, 100) == 100


def test_repetition_gives_nothing_growth_gives_itself_shrinking_keeps_disappearing_forgets() -> None:
    taken = ConsumedLiquidity()
    taken.take(SLOT, ASK, 5000, 60)
    for size, left in ((100, 40), (130, 70), (80, 20), (50, 0), (90, 40)):
        taken.on_book(SLOT, ASK, {5000: size})
        assert taken.available_e6(SLOT, ASK, 5000, size) == left
    taken.on_book(SLOT, ASK, {})
    assert len(taken) == 0
    assert taken.available_e6(SLOT, ASK, 5000, 100) == 100
    assert list(taken.slots()) == []


def test_another_side_or_market_changes_nothing() -> None:
    taken = ConsumedLiquidity()
    taken.take(SLOT, ASK, 5000, 60)
    taken.take(SLOT, ASK, 5100, 5)
    taken.on_book(SLOT, BID, {})
    taken.on_book(SLOT + 1, ASK, {})
    taken.on_book(SLOT, ASK, {5000: 100})
    assert len(taken) == 1
    assert taken.available_e6(SLOT, ASK, 5000, 100) == 40
    taken.forget(SLOT + 1)
    assert list(taken.slots()) == [SLOT]
    taken.forget(SLOT)
    assert (len(taken), list(taken.slots())) == (0, [])


def test_beyond_the_bound_nothing_new_is_given_and_it_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumed, "ENTRIES_MAX", 1)
    taken = ConsumedLiquidity()
    taken.take(SLOT, ASK, 5000, 1)
    assert taken.available_e6(SLOT, ASK, 5000, 10) == 9
    assert taken.available_e6(SLOT, ASK, 5100, 10) == 0
    assert taken.refused == 1
