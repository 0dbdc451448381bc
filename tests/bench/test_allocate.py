"""The bench of the optimizer: its batches are what they say, ours and the peers solve the same ones."""

from __future__ import annotations

import numpy as np
import pytest

from bench import allocate
from bench.__main__ import bench_names
from bench._allocate_peers import Exact, Plain, greedy
from bench._opportunities import Opportunities
from engine.records import Venue

pytestmark = pytest.mark.compiled_only
SIGNALS = 12


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocate, "SEEDS", range(2))
    monkeypatch.setattr(allocate, "REPEATS", 1)


def test_the_bench_is_found() -> None:
    assert "allocate" in bench_names("bench")


def test_the_same_seed_is_the_same_batch_and_some_books_are_shared() -> None:
    one, same, other = (Opportunities(60, seed, shared=True) for seed in (1, 1, 2))
    assert (one.legs == same.legs).all()
    assert (one.books == same.books).all()
    assert not (one.books == other.books).all()
    slots = one.legs["slot"][: one.n_legs]
    assert len(np.unique(slots)) < one.n_legs
    apart = Opportunities(60, 1, shared=False)
    assert len(np.unique(apart.legs["slot"][: apart.n_legs])) == apart.n_legs


def test_with_cash_for_all_greedy_and_ours_find_about_the_same(small: None) -> None:
    """Books of their own, cash for everything: nothing is to be chosen, only roundings differ."""
    batch = Opportunities(SIGNALS, 3, shared=False)
    cash = {venue: 2 * micros for venue, micros in batch.cash_for_all().items()}
    allocator = batch.allocator(cash)
    n_plans, _ = batch.allocate(allocator)
    ours = int(allocator.plan_heads[:n_plans]["profit_micros"].sum()) / 1e6
    assert 0 < ours <= greedy(Plain(batch, cash)) == pytest.approx(ours, rel=0.005)


def test_greedy_spends_no_more_than_there_is_and_half_the_cash_earns_less(small: None) -> None:
    batch = Opportunities(SIGNALS, 3, shared=True)
    cash = batch.cash_for_all()
    half = greedy(Plain(batch, {venue: micros // 2 for venue, micros in cash.items()}))
    assert 0 < half < greedy(Plain(batch, cash))
    assert greedy(Plain(batch, dict.fromkeys(Venue, 0))) == 0


def test_every_call_is_timed_and_plans_are_done_in_between(small: None) -> None:
    scene = allocate.Scarcity(allocate.HALF, SIGNALS)
    assert scene.earned() == scene.earned()
    assert all(len(allocator.holds) == 0 for allocator in scene.allocators)
    for figures in (scene.ours(), scene.sizes(), scene.peers(greedy)):
        assert 0 < figures["p50_ns"] <= figures["p99_ns"] <= figures["max_ns"]


def test_what_is_missed_of_the_exact_optimum(small: None) -> None:
    helper = pytest.importorskip("ortools.linear_solver.python.model_builder_helper")
    exact = Exact(helper, is_whole=False)
    scene = allocate.Scarcity(allocate.HALF, SIGNALS)
    optimum = [exact(plain) for plain in scene.plain]
    ours = allocate._missed(scene.earned(), optimum)
    assert 0 <= ours["share"] < 0.01
    whole = Exact(helper, is_whole=True)
    assert allocate._missed([whole(plain) for plain in scene.plain], optimum)["share"] < 0.05
    assert ours["share"] <= allocate._missed([greedy(plain) for plain in scene.plain], optimum)["share"]


def test_more_than_the_bound_ends_the_bench() -> None:
    assert allocate._missed([1.0, 3.0], [2.0, 3.0]) == pytest.approx({"share": 0.2, "worst_batch_share": 0.5})
    with pytest.raises(RuntimeError, match="more than the optimum"):
        allocate._missed([1.0], [0.9])
