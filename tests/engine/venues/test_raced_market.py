"""The merged stream of a market against plain books: any interleaving, losses, gaps, and one whole socket."""

from __future__ import annotations

import itertools
import random

import pytest

from engine.venues.race import LEG_CONNS
from engine.venues.raced_market import HELD_MAX, OWED_MAX, RECENT_MAX, Place
from tests.engine.venues.race_model import MS, Step, TwoSockets, random_steps, whole

SEED = 20_261_128
RUNS = 60
STEPS = 40
LEFT, RIGHT = 0, 1


def two(steps: list[Step]) -> TwoSockets:
    both = TwoSockets(steps)
    both.connect(LEFT)
    both.connect(RIGHT)
    return both


def rising(count: int) -> list[Step]:
    """Every change makes a book that never was before."""
    return [Step(0, 4_000, number + 1, False, (number + 1) * MS) for number in range(count)]


def met(steps: list[Step]) -> TwoSockets:
    """Both have brought the first change."""
    both = two(steps)
    both.bring(LEFT)
    both.bring(RIGHT)
    return both


def places(both: TwoSockets) -> tuple[Place, Place]:
    market = both.race._markets[0].book
    return market.legs[0].place, market.legs[1].place


def shows(both: TwoSockets, at: int) -> bool:
    return both.shown.is_live and both.shown.book == both.books[at]


@pytest.mark.parametrize("is_added", [False, True])
def test_every_interleaving_of_five_changes_shows_each_book_at_its_first_copy(is_added: bool) -> None:
    steps = random_steps(random.Random(SEED), 5, is_added=is_added)
    for order in set(itertools.permutations([LEFT] * 5 + [RIGHT] * 5)):
        both = two(steps)
        for leg in order:
            both.bring(leg)
            assert shows(both, both.happened), order
        assert both.shown.doubts == 0
        assert places(both) == (Place.JOINED, Place.JOINED)


def act_at_random(both: TwoSockets, draw: random.Random, leg: int) -> None:
    """Something happens to a connection."""
    at, chance = both.at[leg], draw.random()
    if at is None:
        both.connect(leg)
    elif at < STEPS and chance < 0.8:
        both.bring(leg)
    elif chance < 0.87:
        both.ask(leg)
    elif chance < 0.94 and at < STEPS:
        both.gap(leg, draw.randrange(1, 4))
    else:
        both.die(leg)


@pytest.mark.parametrize("is_added", [False, True])
@pytest.mark.long_plain
def test_whatever_happens_a_book_that_may_be_traded_on_is_one_of_the_venues(is_added: bool) -> None:
    doubts = 0
    for seed in range(RUNS):
        draw = random.Random(f"{SEED} {seed}")
        both = two(random_steps(draw, STEPS, is_added=is_added))
        try:
            for _ in range(4 * STEPS):
                act_at_random(both, draw, draw.choice([LEFT, RIGHT]))
                both.look()
            for leg in (LEFT, RIGHT):
                while both.at[leg] != STEPS:
                    both.connect(leg) if both.at[leg] is None else both.bring(leg)
                    both.look()
            if not both.shown.is_live:
                both.ask(draw.choice([LEFT, RIGHT]))
            assert shows(both, STEPS)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        doubts += both.shown.doubts
    assert doubts  # or nothing of this was tried


@pytest.mark.parametrize("whole_leg", [LEFT, RIGHT])
@pytest.mark.long_plain
def test_while_one_connection_is_whole_nothing_the_other_does_puts_a_book_in_doubt(whole_leg: int) -> None:
    for seed in range(RUNS):
        draw = random.Random(f"{SEED} {seed}")
        both = two(rising(STEPS))
        for _ in range(6 * STEPS):
            chance = draw.random()
            if chance < 0.4 and both.at[whole_leg] != STEPS:
                both.bring(whole_leg)
            elif chance < 0.45:
                both.ask(whole_leg)
            else:
                act_at_random(both, draw, 1 - whole_leg)
            shown = both.look()
            assert shown is not None, f"seed {seed}: in doubt"
            assert shown >= (both.at[whole_leg] or 0), f"seed {seed}: behind"
        assert (both.shown.doubts, both.race.counts.mismatch) == (0, 0), f"seed {seed}"
        assert both.race.counts.spared


def test_the_leader_dies_and_what_it_brought_first_is_not_applied_again() -> None:
    both = two(random_steps(random.Random(SEED), 10, is_added=True))
    for leg in [LEFT, RIGHT] + [LEFT] * 5:
        both.bring(leg)
    both.die(LEFT)
    assert shows(both, 6)
    for at in range(2, 11):
        both.bring(RIGHT)
        assert shows(both, max(6, at))
    assert both.shown.doubts == 0


def test_a_quiet_market_is_carried_by_the_other_connection_from_its_snapshot_on() -> None:
    both = two(rising(3))
    both.die(LEFT)
    assert shows(both, 0)
    both.bring(RIGHT)
    both.connect(LEFT)
    both.die(RIGHT)
    assert shows(both, 1)
    assert both.shown.doubts == 0


def test_both_lost_is_doubt_until_a_snapshot_and_what_comes_before_it_is_not_shown() -> None:
    both = two(rising(6))
    both.bring(LEFT)
    both.gap(RIGHT, 1)
    both.gap(LEFT, 1)
    assert not both.shown.is_live
    before = dict(both.shown.book)
    both.bring(LEFT)
    assert both.shown.book == before
    both.ask(LEFT)
    assert shows(both, 3)
    both.bring(LEFT)
    assert shows(both, 4)


def test_a_connection_that_skips_a_change_without_a_word_is_noticed() -> None:
    both = met(rising(6))
    both.bring(LEFT)
    both.at[RIGHT] = 2  # its copy of the second was lost, and nothing says so
    both.bring(LEFT)
    both.bring(RIGHT)
    assert not both.shown.is_live
    assert both.race.counts.mismatch == 1
    both.ask(RIGHT)
    assert shows(both, 3)


def test_changes_of_one_millisecond_may_come_in_either_order() -> None:
    steps = [Step(0, 4_000 + number, 5, False, MS) for number in range(3)] + [
        Step(0, 4_009, 1, False, 2 * MS)
    ]
    for order in itertools.permutations(range(3)):
        both = two(steps)
        both.bring(LEFT)
        both.bring(LEFT)
        for number in order:
            both.say(RIGHT, steps[number].record())
        both.bring(LEFT)
        assert both.shown.book == both.books[3]
        both.bring(LEFT)
        both.say(RIGHT, steps[3].record())
        assert shows(both, 4)
        assert both.shown.doubts == 0


def test_any_order_within_each_millisecond_ends_in_the_same_book_and_nothing_is_applied_twice() -> None:
    """Changes of sizes, of levels of their own within a millisecond: what is applied twice shows."""
    for seed in range(RUNS):
        draw = random.Random(f"{SEED} {seed}")
        groups = [
            [
                Step(0, 4_000 + level, 1 + draw.randrange(9), True, at * MS)
                for level in range(draw.randrange(1, 5))
            ]
            for at in range(1, 12)
        ]
        steps = [step for group in groups for step in group]
        both = two(steps)
        queues = [
            [step for group in groups for step in draw.sample(group, len(group))] for _ in (LEFT, RIGHT)
        ]
        while any(queues):
            leg = draw.choice([leg for leg in (LEFT, RIGHT) if queues[leg]])
            both.say(leg, queues[leg].pop(0).record())
        assert shows(both, len(steps)), f"seed {seed}"
        assert both.shown.doubts == 0, f"seed {seed}"


def test_what_the_other_never_brings_is_not_held_back_for_ever() -> None:
    both = met(rising(3))
    both.bring(LEFT)
    stranger = Step(1, 9_000, 1, False, 2 * MS)  # of the same millisecond
    both.say(RIGHT, stranger.record())
    assert shows(both, 2)
    both.bring(LEFT)
    assert not both.shown.is_live


def test_holding_back_is_bounded() -> None:
    both = met(rising(2))
    both.bring(LEFT)
    for number in range(HELD_MAX + 1):
        assert both.shown.is_live
        both.say(RIGHT, Step(1, 9_000 + number, 1, False, 2 * MS).record())
    assert not both.shown.is_live


def test_a_connection_far_behind_leaves_and_joins_again_when_it_has_caught_up() -> None:
    both = two(rising(OWED_MAX + 2 * RECENT_MAX))
    for _ in range(OWED_MAX):
        both.bring(LEFT)
    assert places(both) == (Place.JOINED, Place.JOINED)
    both.bring(LEFT)
    assert places(both) == (Place.JOINED, Place.APART)
    for _ in range(OWED_MAX + 1 - RECENT_MAX):
        both.bring(RIGHT)
        assert places(both) == (Place.JOINED, Place.APART)
    both.bring(RIGHT)
    assert places(both) == (Place.JOINED, Place.JOINED)
    assert shows(both, OWED_MAX + 1)
    for _ in range(2 * RECENT_MAX - 1):
        both.bring(RIGHT)
    assert shows(both, OWED_MAX + RECENT_MAX + 1)


def test_a_connection_that_comes_back_ahead_brings_what_is_missing_at_once() -> None:
    both = two(rising(8))
    both.die(RIGHT)
    both.bring(LEFT)
    both.happened = 3
    both.connect(RIGHT)
    for _ in range(4):
        both.bring(RIGHT)
    assert shows(both, 1)  # nobody knows yet how it goes on from what is shown
    for at in (2, 3):
        both.bring(LEFT)
        assert shows(both, at)
    both.bring(LEFT)
    assert shows(both, 7)
    both.die(LEFT)
    assert shows(both, 7)


def test_a_book_that_returns_to_what_it_was_does_not_let_a_connection_join_in_the_wrong_place() -> None:
    there, back = Step(0, 4_000, 5, True, 2 * MS), Step(0, 4_000, -5, True, 3 * MS)
    steps = [Step(0, 4_100, 1, True, MS), there, back, Step(0, 4_200, 2, True, 4 * MS)]
    both = two(steps)
    both.bring(LEFT)
    both.bring(RIGHT)
    both.die(RIGHT)
    both.bring(LEFT)
    both.bring(LEFT)
    both.at[RIGHT] = 1  # the venue is slow: its snapshot is of two changes ago
    both.ask(RIGHT)
    for at in (2, 3):
        both.bring(RIGHT)
        assert shows(both, 3), at
    both.bring(RIGHT)
    assert shows(both, 4)
    assert both.shown.doubts == 0


def test_the_same_sizes_twice_count_once_and_the_same_changes_of_sizes_twice_count_twice() -> None:
    sizes = [Step(0, 4_000, 5, False, MS)]
    both = two(sizes)
    for _ in range(2):
        both.say(LEFT, sizes[0].record())
    both.say(RIGHT, sizes[0].record())
    both.say(LEFT, Step(0, 4_000, 6, False, 2 * MS).record())
    both.say(RIGHT, Step(0, 4_000, 6, False, 2 * MS).record())
    assert both.shown.book == {(0, 4_000): 6}
    changes = [Step(0, 4_000, 5, True, MS), Step(0, 4_000, 5, True, MS)]
    both = two(changes)
    for leg in (LEFT, LEFT, RIGHT, RIGHT):
        both.bring(leg)
    assert shows(both, 2)
    assert both.shown.doubts == 0


def test_without_the_venues_time_a_connection_joins_by_snapshots_alone() -> None:
    steps = [Step(0, 4_000, size, False, 0) for size in (1, 2, 1, 2, 3)]
    both = two(steps)
    both.bring(LEFT)
    both.bring(RIGHT)
    assert both.shown.doubts == 0
    assert places(both) == (Place.JOINED, Place.APART)  # it could be any change like it
    both.ask(RIGHT)
    assert places(both) == (Place.JOINED, Place.JOINED)
    assert shows(both, 1)


def test_a_snapshot_from_behind_is_followed_by_what_is_owed() -> None:
    both = two(rising(4))
    for leg in (LEFT, RIGHT, LEFT, LEFT):
        both.bring(leg)
    records = both.race.admit(whole(both.books[1], stamp_ns=9), RIGHT * LEG_CONNS)
    assert len(records) == 3 + 2
    both.shown.take(records)
    assert shows(both, 3)


def test_a_snapshot_that_says_something_else_is_the_venues_word_where_nothing_is_owed() -> None:
    both = two(rising(4))
    both.say(LEFT, whole({(1, 7_000): 9}))
    assert both.shown.book == {(1, 7_000): 9}
    assert both.shown.is_live
    assert places(both) == (Place.JOINED, Place.APART)
    both.say(RIGHT, whole({(1, 7_000): 9}))
    assert places(both) == (Place.JOINED, Place.JOINED)
