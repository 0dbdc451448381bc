from __future__ import annotations

import pytest

from engine.optimizer import shadow
from engine.optimizer.shadow import BookSide, Shadows
from engine.records import Side

ASKS = BookSide(3, 1, Side.ASK)
BIDS = BookSide(3, 1, Side.BID)


def test_a_level_shows_what_no_plan_wants() -> None:
    shadows = Shadows()
    shadows.take(1, ASKS, 4_800, shown_e6=100, taken_e6=30)
    assert shadows.left_e6(ASKS, 4_800, 100) == 70
    assert shadows.covers(ASKS)
    assert len(shadows) == 1


@pytest.mark.parametrize("side", [BIDS, BookSide(4, 1, Side.ASK), BookSide(3, 2, Side.ASK)])
def test_other_sides_slots_and_generations_are_not_in_its_shadow(side: BookSide) -> None:
    shadows = Shadows()
    shadows.take(1, ASKS, 4_800, 100, 30)
    assert shadows.left_e6(side, 4_800, 100) == 100
    assert not shadows.covers(side)
    assert shadows.left_e6(ASKS, 4_900, 100) == 100


def test_plans_add_up_and_never_leave_less_than_nothing() -> None:
    shadows = Shadows()
    shadows.take(1, ASKS, 4_800, 100, 30)
    shadows.take(2, ASKS, 4_800, 100, 60)
    assert shadows.left_e6(ASKS, 4_800, 100) == 10
    shadows.take(3, ASKS, 4_800, 100, 60)
    assert shadows.left_e6(ASKS, 4_800, 100) == 0


@pytest.mark.parametrize("shown", [70, 99, 101, 0])
def test_a_level_that_changed_leaves_the_shadow_for_good(shown: int) -> None:
    shadows = Shadows()
    shadows.take(1, ASKS, 4_800, 100, 30)
    assert shadows.left_e6(ASKS, 4_800, shown) == shown
    assert not shadows.covers(ASKS)
    assert shadows.left_e6(ASKS, 4_800, 100) == 100


def test_the_end_of_a_plan_frees_what_it_took_and_no_more() -> None:
    shadows = Shadows()
    shadows.take(1, ASKS, 4_800, 100, 30)
    shadows.take(1, ASKS, 4_900, 50, 50)
    shadows.take(2, ASKS, 4_800, 100, 5)
    shadows.release(1)
    assert shadows.left_e6(ASKS, 4_800, 100) == 95
    assert shadows.left_e6(ASKS, 4_900, 50) == 50
    assert len(shadows) == 1
    shadows.release(1)
    assert shadows.left_e6(ASKS, 4_800, 100) == 95
    shadows.release(2)
    assert len(shadows) == 0
    assert not shadows.covers(ASKS)
    shadows.release(77)  # not ours


def test_a_side_is_covered_as_long_as_one_of_its_levels_is() -> None:
    shadows = Shadows()
    shadows.take(1, ASKS, 4_800, 100, 30)
    shadows.take(2, ASKS, 4_900, 100, 30)
    shadows.release(1)
    assert shadows.covers(ASKS)
    shadows.release(2)
    assert not shadows.covers(ASKS)


def test_planning_again_on_a_level_that_changed_starts_anew() -> None:
    shadows = Shadows()
    shadows.take(1, ASKS, 4_800, 100, 30)
    shadows.take(2, ASKS, 4_800, 80, 20)
    assert len(shadows) == 1
    shadows.release(1)  # its shadow is gone already; that of plan 2 stays
    assert shadows.left_e6(ASKS, 4_800, 80) == 60
    shadows.release(2)
    assert shadows.left_e6(ASKS, 4_800, 80) == 80


def test_beyond_the_bound_the_oldest_is_forgotten_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "SHADOWS_MAX", 3)
    shadows = Shadows()
    for number in range(5):
        shadows.take(number, ASKS, 4_000 + number, 100, 30)
    assert (len(shadows), shadows.forgotten) == (3, 2)
    left = [shadows.left_e6(ASKS, 4_000 + number, 100) for number in range(5)]
    assert left == [100, 100, 70, 70, 70]
    for number in range(5):
        shadows.release(number)
    assert len(shadows) == 0
