"""Ladders against plain dictionaries: any writes, on both sides, sparse and dense, to every bound."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.book import ladder as lad
from engine.book.ladder import ALL_CHANGED, Status
from engine.book.pool import BEST, CHANGED, CHANGES, NO_TICK, TOTAL, UNKNOWN, Ladders, make_ladders
from engine.units import LEVEL_SIZE_MAX_E6, SIDE_SIZE_MAX_E6

TICKS = 10_001
Levels = dict[int, int | None]


def levels_of(ladders: Ladders, ladder: int) -> list[tuple[int, int]]:
    ticks, sizes = np.zeros(TICKS, np.int32), np.zeros(TICKS, np.int64)
    n = lad.copy_levels(ladders, ladder, ticks, sizes)
    return list(zip(ticks[:n].tolist(), sizes[:n].tolist(), strict=True))


def ranked(levels: Levels, ladder: int) -> list[int]:
    return sorted(levels, reverse=ladder % 2 == 0)


class Model:
    """A dictionary beside the ladder; every write goes to both and every answer is compared."""

    def __init__(self, pages: int = 400) -> None:
        self.ladders = make_ladders(2, pages)
        self.levels: tuple[Levels, Levels] = ({}, {})

    def write(self, side: int, how: str, tick: int, amount: int) -> None:
        levels = self.levels[side]
        if how == "set":
            assert lad.set_level(self.ladders, side, tick, amount) == Status.OK
            levels[tick] = amount
        elif how == "unknown":
            assert lad.set_unknown(self.ladders, side, tick) == Status.OK
            levels[tick] = None
        else:
            old = levels.get(tick, 0)
            below = old is not None and old + amount < 0
            want = Status.NEGATIVE_LEVEL if below else Status.OK
            assert lad.add_level(self.ladders, side, tick, amount) == want
            if old is not None:
                levels[tick] = max(old + amount, 0)
        if levels[tick] == 0:
            del levels[tick]

    def compare(self, side: int) -> None:
        levels, row = self.levels[side], self.ladders.sides[side]
        order = ranked(levels, side)
        assert levels_of(self.ladders, side) == [(tick, levels[tick] or 0) for tick in order]
        assert row[BEST] == (order[0] if order else NO_TICK)
        assert row[TOTAL] == sum(size or 0 for size in levels.values())
        assert row[UNKNOWN] == sum(size is None for size in levels.values())

    def compare_around(self, side: int, tick: int) -> None:
        levels = self.levels[side]
        order = ranked(levels, side)
        before = [at for at in order if (at > tick if side == 0 else at < tick)]
        from_here = order[len(before) :]
        worse = [at for at in from_here if at != tick]
        assert lad.next_worse(self.ladders, side, tick) == (worse[0] if worse else NO_TICK)
        assert lad.next_better(self.ladders, side, tick) == (before[-1] if before else NO_TICK)
        assert lad.at_or_worse(self.ladders, side, tick) == (from_here[0] if from_here else NO_TICK)
        assert lad.has_level(self.ladders, side, tick) == (tick in levels)
        assert lad.level_size(self.ladders, side, tick) == (levels.get(tick) or 0)


NEAR = st.one_of(st.integers(0, 140), st.sampled_from([0, 63, 64, 127, 128, 4_095, 4_096, 9_999, 10_000]))
WRITES = st.tuples(
    st.integers(0, 1), st.sampled_from(["set", "set", "add", "unknown"]), NEAR, st.integers(-3, 9)
)


@settings(max_examples=60)
@given(st.lists(WRITES, max_size=80))
def test_any_writes(writes: list[tuple[int, str, int, int]]) -> None:
    model = Model()
    for side, how, tick, amount in writes:
        model.write(side, how, tick, max(amount, 0) if how == "set" else amount)
        model.compare(side)
        model.compare_around(side, tick)


@pytest.mark.parametrize("span", [70, 1_001, TICKS])
def test_long_run(span: int) -> None:
    chance = Random(span)
    model = Model()
    for step in range(1_500):
        side, tick = chance.randrange(2), chance.randrange(span)
        model.write(side, "set", tick, chance.choice((0, 0, 1, chance.randrange(10**9))))
        if step % 10 == 0:
            model.compare(side)
            model.compare_around(side, chance.randrange(span))
    for side in (0, 1):
        lad.clear(model.ladders, side)
        model.levels[side].clear()
        model.compare(side)


@pytest.mark.long_plain
def test_every_tick_at_once_and_every_tick_away() -> None:
    model = Model()
    for side in (0, 1):
        for tick in range(TICKS):
            model.write(side, "set", tick, tick + 1)
        model.compare(side)
        for tick in range(0, TICKS, 2):
            model.write(side, "set", tick, 0)
        model.compare(side)


def test_size_bounds() -> None:
    ladders = make_ladders(2, 20)
    assert lad.set_level(ladders, 0, 5, LEVEL_SIZE_MAX_E6) == Status.OK
    assert lad.set_level(ladders, 0, 6, LEVEL_SIZE_MAX_E6 + 1) == Status.LEVEL_BOUND
    assert lad.add_level(ladders, 0, 5, 1) == Status.LEVEL_BOUND
    assert lad.add_level(ladders, 0, 7, 2**63 - 1) == Status.LEVEL_BOUND
    assert lad.set_level(ladders, 0, 5, -1) == Status.NEGATIVE_LEVEL
    assert levels_of(ladders, 0) == [(5, LEVEL_SIZE_MAX_E6)]
    for tick in range(10, 19):
        assert lad.set_level(ladders, 0, tick, LEVEL_SIZE_MAX_E6) == Status.OK
    assert ladders.sides[0, TOTAL] == SIDE_SIZE_MAX_E6
    assert lad.set_level(ladders, 0, 20, 1) == Status.LEVEL_BOUND
    assert lad.add_level(ladders, 0, 5, -(2**62)) == Status.NEGATIVE_LEVEL
    assert lad.set_level(ladders, 0, 20, 1) == Status.OK


def test_changes_are_remembered_from_the_best() -> None:
    for side, best, worst in ((0, 90, 10), (1, 10, 90)):
        ladders = make_ladders(2, 4)
        assert ladders.sides[side, CHANGES] == 0
        for tick in (worst, 50):
            lad.set_level(ladders, side, tick, 1)
        assert (ladders.sides[side, CHANGES], ladders.sides[side, CHANGED]) == (2, 50)
        lad.set_level(ladders, side, best, 0)  # nothing there: no change
        assert ladders.sides[side, CHANGES] == 2
        ladders.sides[side, CHANGES] = 0
        lad.set_level(ladders, side, worst, 3)
        assert (ladders.sides[side, CHANGES], ladders.sides[side, CHANGED]) == (1, worst)
        lad.clear(ladders, side)
        assert ladders.sides[side, CHANGES] == ALL_CHANGED


def test_an_unknown_size_stays_unknown_until_it_is_said() -> None:
    ladders = make_ladders(2, 4)
    lad.set_unknown(ladders, 1, 9)
    assert lad.add_level(ladders, 1, 9, 5) == Status.OK
    assert lad.add_level(ladders, 1, 9, -5) == Status.OK
    assert lad.has_level(ladders, 1, 9)
    assert lad.level_size(ladders, 1, 9) == 0
    lad.set_unknown(ladders, 1, 9)
    assert ladders.sides[1, UNKNOWN] == 1
    lad.set_level(ladders, 1, 9, 4)
    assert ladders.sides[1, UNKNOWN] == 0
    lad.set_unknown(ladders, 1, 9)
    lad.set_level(ladders, 1, 9, 0)
    assert ladders.sides[1, UNKNOWN] == 0
    assert levels_of(ladders, 1) == []


def test_the_better_tick() -> None:
    assert lad.is_better(0, 5, 4)
    assert not lad.is_better(0, 4, 4)
    assert lad.is_better(1, 4, 5)
    assert not lad.is_better(1, 5, 5)
