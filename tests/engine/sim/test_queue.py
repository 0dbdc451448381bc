"""Queue places against a true first-in-first-out list of the others' orders."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.sim.queue import PRINT_LAG_NS, QueuePlace
from tests.engine.sim.world import S


def test_trades_serve_those_ahead_first() -> None:
    place = QueuePlace(10)
    assert place.on_trade(4, 0) == 0
    assert place.ahead_e6 == 6
    assert place.on_trade(9, 0) == 3
    assert place.on_trade(5, 0) == 5


def test_a_shrinking_level_only_moves_us_when_fewer_are_left_than_were_ahead() -> None:
    place = QueuePlace(10)
    place.on_level(12, 0)
    place.on_level(10, 0)
    assert place.ahead_e6 == 10
    place.on_level(7, 0)
    assert place.ahead_e6 == 7
    place.on_level(9, 0)
    assert place.ahead_e6 == 7


def test_a_trade_and_its_shrinking_count_once_in_either_order() -> None:
    trade_first, level_first = QueuePlace(10), QueuePlace(10)
    assert trade_first.on_trade(4, 0) == 0
    trade_first.on_level(6, 0)
    level_first.on_level(6, 0)
    assert level_first.on_trade(4, 0) == 0
    assert trade_first.ahead_e6 == level_first.ahead_e6 == 6
    assert trade_first.on_trade(8, 1) == level_first.on_trade(8, 1) == 2


def test_a_trade_long_after_the_shrinking_is_another_one() -> None:
    place = QueuePlace(10)
    place.on_level(6, 0)
    assert place.on_trade(4, PRINT_LAG_NS) == 0
    assert place.ahead_e6 == 6
    place.on_level(3, S)
    assert place.on_trade(4, S + PRINT_LAG_NS + 1) == 1
    place = QueuePlace(10)
    place.on_level(6, 0)
    place.on_level(5, PRINT_LAG_NS + 1)  # what was owed before is forgotten
    assert place.owed_e6 == 1


def test_a_trade_through_clears_the_way() -> None:
    place = QueuePlace(10)
    place.on_level(4, 0)
    place.on_trade_through()
    assert place.on_trade(3, 0) == 3


steps = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.integers(1, 9)),
        st.tuples(st.just("trade"), st.integers(1, 12)),
        st.tuples(st.just("leave"), st.integers(0, 5)),
    ),
    max_size=25,
)


def replay(
    ahead: list[int], want: int, script: list[tuple[str, int]], *, level_first: bool
) -> tuple[int, int]:
    """Our fill in the true queue, and our fill as the queue place judges it from public messages alone."""
    others = list(ahead)  # the recording: the others alone, in order of arrival
    truth = [[size, False] for size in ahead] + [[want, True]]  # the same with us in it
    place, judged = QueuePlace(sum(ahead)), 0
    for at, (what, number) in enumerate(script):
        now = at * 10 * S
        if what == "join":
            others.append(number)
            truth.append([number, False])
        elif what == "leave" and number < len(others):
            mine = [index for index, (_, ours) in enumerate(truth) if not ours]
            gone = min(others[number], truth[mine[number]][0])
            truth[mine[number]][0] -= gone
            others[number] = 0
        elif what == "trade":
            size = min(number, sum(others))  # what was printed without us
            left = size
            for index in range(len(others)):
                used = min(others[index], left)
                others[index] -= used
                left -= used
            left = size
            for entry in truth:
                used = min(entry[0], left)
                entry[0] -= used
                left -= used
            if size and level_first:
                place.on_level(sum(others), now)
            if size:
                judged += place.on_trade(size, now)
        place.on_level(sum(others), now)
    ours = next(size for size, is_ours in truth if is_ours)
    return want - ours, min(judged, want)


@given(st.lists(st.integers(1, 9), max_size=5), st.integers(1, 20), steps, st.booleans())
def test_we_are_never_served_before_the_true_queue_serves_us(
    ahead: list[int], want: int, script: list[tuple[str, int]], level_first: bool
) -> None:
    true, judged = replay(ahead, want, script, level_first=level_first)
    assert judged <= true


@given(st.lists(st.integers(1, 9), max_size=5), st.integers(1, 20), steps, st.booleans())
def test_without_cancels_we_are_served_exactly_as_the_true_queue_does(
    ahead: list[int], want: int, script: list[tuple[str, int]], level_first: bool
) -> None:
    kept = [step for step in script if step[0] != "leave"]
    true, judged = replay(ahead, want, kept, level_first=level_first)
    assert judged == true


def test_nothing_is_owed_to_a_new_place() -> None:
    place = QueuePlace(10)
    assert (place.owed_e6, place.owed_ns) == (0, 0)
