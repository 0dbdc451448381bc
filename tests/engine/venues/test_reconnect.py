from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.units import NS_PER_S, PPM
from engine.venues.reconnect import MINUTE_NS, AttemptBudget, Backoff, SlidingWindow

MS = 1_000_000


def backoff() -> Backoff:
    return Backoff(base_ns=100 * MS, max_ns=1_000 * MS, hold_ns=5 * NS_PER_S)


def test_after_a_connection_that_held_the_first_try_comes_at_once() -> None:
    waits = backoff()
    assert waits.delay_ns(held_ns=5 * NS_PER_S, random_ppm=PPM) == 0
    assert waits.delay_ns(held_ns=5 * NS_PER_S - 1, random_ppm=PPM) == 100 * MS


def test_the_bound_doubles_with_each_failure_up_to_the_largest() -> None:
    waits = backoff()
    bounds = [waits.delay_ns(held_ns=0, random_ppm=PPM) // MS for _ in range(6)]
    assert bounds == [100, 200, 400, 800, 1_000, 1_000]
    assert waits.failures == 6
    waits.delay_ns(held_ns=6 * NS_PER_S, random_ppm=PPM)
    assert waits.failures == 0


@given(st.integers(0, PPM), st.integers(0, 200))
def test_the_delay_is_drawn_evenly_below_the_bound(random_ppm: int, failures: int) -> None:
    waits = backoff()
    waits.failures = failures
    bound = min(1_000 * MS, 100 * MS * 2**failures)
    assert waits.delay_ns(held_ns=0, random_ppm=random_ppm) == bound * random_ppm // PPM


def test_one_attempt_is_under_way_at_a_time() -> None:
    budget = AttemptBudget(10)
    assert budget.begin(0)
    assert not budget.begin(1)
    budget.end()
    assert budget.begin(2)


@given(st.lists(st.integers(0, 10 * NS_PER_S), max_size=80), st.integers(1, 5))
def test_no_minute_has_more_attempts_than_the_budget(gaps: list[int], per_minute: int) -> None:
    budget = AttemptBudget(per_minute)
    now, begun = 0, []
    for gap in gaps:
        now += gap
        if budget.begin(now):
            begun.append(now)
            budget.end()
    for at in begun:
        assert sum(at <= other < at + MINUTE_NS for other in begun) <= per_minute


def test_a_used_up_budget_comes_back_with_time() -> None:
    budget = AttemptBudget(2)
    for now in (0, 1):
        assert budget.begin(now)
        budget.end()
    assert not budget.begin(60 * NS_PER_S - 1)
    assert budget.begin(60 * NS_PER_S)


def test_a_window_forgets() -> None:
    window = SlidingWindow(2, 10)
    window.note(0)
    assert not window.is_full(0)
    window.note(5)
    assert window.is_full(9)
    assert not window.is_full(10)
    window.note(11)
    assert window.is_full(14)
    window.clear()
    assert not window.is_full(14)


def test_a_delay_is_whole_nanoseconds_and_stays_below_its_bound() -> None:
    assert Backoff(base_ns=7, max_ns=7, hold_ns=1).delay_ns(held_ns=0, random_ppm=500_000) == 3
