from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.optimizer.shadow import USED, BookSide, Shadows
from engine.records import TOP_LEVELS, Side

ASKS = BookSide(3, 1, Side.ASK)
BIDS = BookSide(3, 1, Side.BID)


def test_a_level_shows_what_no_plan_wants() -> None:
    shadows = Shadows(8, 4)
    shadows.take(1, ASKS, 4_800, shown_e6=100, taken_e6=30)
    assert shadows.left_e6(ASKS, 4_800, 100) == 70
    assert shadows.covers(ASKS)
    assert len(shadows) == 1


@pytest.mark.parametrize("side", [BIDS, BookSide(4, 1, Side.ASK), BookSide(3, 2, Side.ASK)])
def test_other_sides_slots_and_generations_are_not_in_its_shadow(side: BookSide) -> None:
    shadows = Shadows(8, 4)
    shadows.take(1, ASKS, 4_800, 100, 30)
    assert shadows.left_e6(side, 4_800, 100) == 100
    assert not shadows.covers(side)
    assert shadows.left_e6(ASKS, 4_900, 100) == 100


def test_plans_add_up_and_never_leave_less_than_nothing() -> None:
    shadows = Shadows(8, 4)
    shadows.take(1, ASKS, 4_800, 100, 30)
    shadows.take(2, ASKS, 4_800, 100, 60)
    assert shadows.left_e6(ASKS, 4_800, 100) == 10
    shadows.take(3, ASKS, 4_800, 100, 60)
    assert shadows.left_e6(ASKS, 4_800, 100) == 0


@pytest.mark.parametrize("shown", [70, 99, 101, 0])
def test_a_level_that_changed_leaves_the_shadow_for_good(shown: int) -> None:
    shadows = Shadows(8, 4)
    shadows.take(1, ASKS, 4_800, 100, 30)
    assert shadows.left_e6(ASKS, 4_800, shown) == shown
    assert not shadows.covers(ASKS)
    assert shadows.left_e6(ASKS, 4_800, 100) == 100


def test_the_end_of_a_plan_frees_what_it_took_and_no_more() -> None:
    shadows = Shadows(8, 4)
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
    shadows = Shadows(8, 4)
    shadows.take(1, ASKS, 4_800, 100, 30)
    shadows.take(2, ASKS, 4_900, 100, 30)
    shadows.release(1)
    assert shadows.covers(ASKS)
    shadows.release(2)
    assert not shadows.covers(ASKS)


def test_planning_again_on_a_level_that_changed_starts_anew() -> None:
    shadows = Shadows(8, 4)
    shadows.take(1, ASKS, 4_800, 100, 30)
    shadows.take(2, ASKS, 4_800, 80, 20)
    assert len(shadows) == 1
    shadows.release(1)  # its shadow is gone already; that of plan 2 stays
    assert shadows.left_e6(ASKS, 4_800, 80) == 60
    shadows.release(2)
    assert shadows.left_e6(ASKS, 4_800, 80) == 80


def test_room_is_used_again_and_never_short() -> None:
    orders = 3
    shadows = Shadows(8, orders)
    for plan_id in range(20):  # three plans in flight at a time, each an order that takes all levels it can
        for level in range(TOP_LEVELS):
            shadows.take(plan_id, ASKS, 4_000 + level, 100 * (plan_id + 1), 30)
        if plan_id >= orders - 1:
            shadows.release(plan_id - orders + 1)
    assert shadows.takes.state[USED] == orders * TOP_LEVELS == len(shadows.takes.take)
    assert len(shadows) == TOP_LEVELS  # of the last; the sizes of those before it have changed


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, 5), st.integers(0, 2), st.sampled_from([100, 90])),
        st.tuples(st.just("look"), st.just(0), st.integers(0, 2), st.sampled_from([100, 90])),
        st.tuples(st.just("end"), st.integers(0, 5), st.just(0), st.just(0)),
    ),
    max_size=30,
)


@given(CHANGES)
def test_what_is_left_is_the_plain_reckoning(changes: list[tuple[str, int, int, int]]) -> None:
    shadows = Shadows(8, 32)
    wanted: list[tuple[int, int, int]] = []  # plan, price, size seen: one contract each
    for what, plan_id, price, shown in changes:
        if what == "end":
            shadows.release(plan_id)
            wanted = [want for want in wanted if want[0] != plan_id]
            continue
        wanted = [want for want in wanted if want[1] != price or want[2] == shown]
        ours = sum(1 for want in wanted if want[1] == price)
        if what == "take":
            shadows.take(plan_id, ASKS, price, shown, 1)
            wanted.append((plan_id, price, shown))
        else:
            assert shadows.left_e6(ASKS, price, shown) == shown - ours
        assert len(shadows) == len(wanted)
    for plan_id in range(6):
        shadows.release(plan_id)
    assert (len(shadows), shadows.covers(ASKS)) == (0, False)
