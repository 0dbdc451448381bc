"""Size moved between pairs: what it finds, what it leaves alone, and where it ends."""

from __future__ import annotations

import numpy as np
import pytest

from engine.optimizer import exchange as exchange_module
from engine.optimizer.batch import BATCH_LEGS_MAX, BUDGETS_MAX, Problem
from engine.optimizer.exchange import LEGS_TRIED_MAX, copy_fill, exchange
from engine.optimizer.fill import SIZE_E6, fill_batch, new_filling
from engine.optimizer.levels import Ints
from engine.units import SIZE_ONE_E6
from tests.engine.optimizer.test_fill import tie_world
from tests.plain_twin import PlainTwin

PLENTY = 10**12


def exchanged(
    problem: Problem, chosen: tuple[int, int] = (1, 1), enough: int = PLENTY, legs: int = LEGS_TRIED_MAX
) -> tuple[int, int, Ints, int]:
    """(worth before, worth after, sizes, legs left) of an exchange from a plain fill."""
    worth = int(fill_batch(2, 4, problem.batch, problem.fill))
    sizes = problem.fill.state[SIZE_E6, :2].copy()
    left = np.array([legs], np.int64)
    kept = new_filling(BATCH_LEGS_MAX, BUDGETS_MAX)
    marks = np.array(chosen, np.int64)
    found = exchange(2, 4, worth, enough, marks, sizes, left, problem.batch, problem.fill, kept)
    return worth, int(found), sizes, int(left[0])


def test_exchange_finds_the_split_that_uses_both_cashes() -> None:
    worth, found, sizes, _ = exchanged(tie_world())
    # .10 a + .60 b = 35 and .85 a + .35 b = 60: a = 50, b = 50
    assert [size / SIZE_ONE_E6 for size in sizes] == pytest.approx([50, 50], abs=0.2)
    assert found == pytest.approx(5_000_000, abs=2_000)
    assert found > worth


@pytest.mark.parametrize(("enough", "chosen"), [(0, (1, 1)), (PLENTY, (1, 0)), (PLENTY, (0, 0))])
def test_exchange_leaves_what_is_good_enough_or_not_chosen(enough: int, chosen: tuple[int, int]) -> None:
    problem = tie_world()
    before = exchanged(tie_world(), legs=0)[2]
    worth, found, sizes, _ = exchanged(problem, chosen, enough)
    assert found == worth
    assert (sizes == before).all()


@pytest.mark.parametrize(("legs", "wins"), [(0, False), (6, False), (6 * 40, False), (6 * 120, True)])
def test_no_cut_is_begun_that_might_need_more_legs_than_are_left(legs: int, wins: bool) -> None:
    """A cut of 60 contracts takes 45 trials of six legs and jobs at most."""
    worth, found, _, left = exchanged(tie_world(), legs=legs)
    assert (found > worth) == wins
    assert 0 <= left <= legs


def test_a_copy_of_a_fill_goes_on_where_the_fill_was() -> None:
    problem = tie_world()
    fill_batch(2, 4, problem.batch, problem.fill)
    kept = new_filling(BATCH_LEGS_MAX, BUDGETS_MAX)
    copy_fill(2, 4, problem.fill, kept)
    for name in ("n_budgets", "budget", "held", "used", "cursor", "state"):
        assert (getattr(kept, name) == getattr(problem.fill, name)).all(), name


@pytest.mark.long_plain
def test_compiled_equals_plain(plain_twin: PlainTwin) -> None:
    plain = plain_twin("engine.optimizer.exchange")
    twin_fill = plain_twin("engine.optimizer.fill")
    answers = []
    for module, types in ((exchange_module, None), (plain, twin_fill)):
        problem = tie_world()
        worth = int(fill_batch(2, 4, problem.batch, problem.fill))
        sizes = problem.fill.state[SIZE_E6, :2].copy()
        left, marks = np.array([LEGS_TRIED_MAX], np.int64), np.ones(2, np.int64)
        kept = new_filling(BATCH_LEGS_MAX, BUDGETS_MAX)
        batch = types.Batch(*problem.batch) if types else problem.batch
        fills = [types.Filling(*fill) if types else fill for fill in (problem.fill, kept)]
        found = int(module.exchange(2, 4, worth, PLENTY, marks, sizes, left, batch, *fills))
        answers.append((found, sizes.tolist(), left.tolist()))
    assert answers[0] == answers[1]
