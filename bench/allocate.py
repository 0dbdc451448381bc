"""A hundred signals that arrive together, on books that some share: which get how much of the cash.

Ours is the whole call of the optimizer's stage: books read, sizes found, the batch bounded, every plan priced
to the micro-dollar, its worst partial fill computed, and proven by the second check. ``the sizes alone`` is
what the peers do as well: what is dealt out, ours in whole lots and with the bound. Between two calls all
plans are done, which is not timed. What is missed is held against the optimum of OR-tools' linear model of
the same batches, where contracts are divisible and no fee is rounded; ours must never be above it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

import numpy as np

from bench._allocate_peers import Exact, Plain, greedy
from bench._opportunities import LIMITS, Opportunities
from bench._peers import named, peer
from bench._result import OURS, Result, claim
from bench._timing import Measure, interleave
from engine.optimizer.allocator import Allocator
from engine.optimizer.batch import Problem
from engine.optimizer.holds import Holds
from engine.optimizer.shadow import Shadows
from engine.optimizer.solve import solve
from engine.records import ORDER_EVENT, Venue
from engine.units import CASH_ONE_MICROS

SIGNALS: Final = 100
SEEDS: Final = range(4)
REPEATS: Final = 12  # of our calls in a run
AMPLE, HALF, TENTH = 2.0, 0.5, 0.1  # of the cash that the best plan of every signal takes
TAILS: Final = {"p50_ns": 0.5, "p99_ns": 0.99, "max_ns": 1.0}
GREEDY: Final = "greedy in Python"
WHAT: Final = f"{SIGNALS} signals, cash "
SIZES: Final = ", the sizes alone"
ONE: Final = "one signal"
MISSED: Final = ", profit missed"
P50_NS_MAX: Final = 20e6
SIZES_P50_NS_MAX: Final = 3e6
P99_NS_MAX: Final = 50e6
MISSED_MAX: Final = 0.01
DIVISIBLE: Final = named("ortools", "OR-tools GLOP, divisible contracts,")
WHOLE: Final = named("ortools", "OR-tools SCIP, whole contracts,")

Answer = TypeVar("Answer")


class Scarcity:
    """The same batches with some part of the cash they could use: ours and the peers on all of them."""

    def __init__(self, part: float, signals: int = SIGNALS) -> None:
        self.batches = [Opportunities(signals, seed, shared=True) for seed in SEEDS]
        self.cash = [
            {venue: int(micros * part) for venue, micros in batch.cash_for_all().items()}
            for batch in self.batches
        ]
        self.plain = [Plain(batch, cash) for batch, cash in zip(self.batches, self.cash, strict=True)]
        self.allocators = [batch.allocator(cash) for batch, cash in zip(self.batches, self.cash, strict=True)]

    def ours(self) -> dict[str, float]:
        """Times of whole calls."""
        return _tails([self._call(number)[0] for _ in range(REPEATS) for number in range(len(self.batches))])

    def sizes(self) -> dict[str, float]:
        """Times of finding the sizes of loaded batches."""
        problems = [_loaded(batch, cash) for batch, cash in zip(self.batches, self.cash, strict=True)]
        return _tails([_solved(problem) for _ in range(REPEATS) for problem in problems])

    def earned(self) -> list[float]:
        """Dollars that the plans of each batch earn."""
        return [self._call(number)[1] for number in range(len(self.batches))]

    def peers(self, way: Callable[[Plain], object]) -> dict[str, float]:
        """Times of a peer."""
        return _tails([_timed(partial(way, plain))[0] for plain in self.plain])

    def _call(self, number: int) -> tuple[int, float]:
        """(nanoseconds, dollars earned) of one call, whose plans are done afterwards."""
        batch, allocator = self.batches[number], self.allocators[number]
        took_ns, (n_plans, n_decisions) = _timed(partial(batch.allocate, allocator))
        if n_plans + n_decisions != batch.n or allocator.faults:
            raise RuntimeError(
                f"{n_plans} plans and {n_decisions} decisions of {batch.n}: {allocator.faults}"
            )
        plans = allocator.plan_heads[:n_plans]
        _end(allocator, plans["plan_id"].tolist())
        return took_ns, int(plans["profit_micros"].sum()) / CASH_ONE_MICROS


def _solved(problem: Problem) -> int:
    """Nanoseconds of one solution."""
    caps = problem.batch.jobs["cap_e6"][: problem.n_jobs].copy()
    took_ns, _ = _timed(partial(solve, problem, LIMITS.slots))
    problem.batch.jobs["cap_e6"][: problem.n_jobs] = caps
    return took_ns


def _timed(act: Callable[[], Answer]) -> tuple[int, Answer]:
    began_ns = time.perf_counter_ns()
    answer = act()
    return time.perf_counter_ns() - began_ns, answer


def _tails(taken_ns: list[int]) -> dict[str, float]:
    taken_ns.sort()
    return {name: float(taken_ns[int((len(taken_ns) - 1) * part)]) for name, part in TAILS.items()}


def _end(allocator: Allocator, plan_ids: list[int]) -> None:
    """Say of plans that they are done: what they hold is free again."""
    event = np.zeros(1, ORDER_EVENT)
    event["plan_done"] = 1
    for plan_id in plan_ids:
        event["plan_id"] = plan_id
        if not allocator.on_order_event(event[0]):
            raise RuntimeError(f"plan {plan_id} was not held")


def _loaded(batch: Opportunities, cash_micros: dict[Venue, int]) -> Problem:
    """A batch as the search takes it."""
    problem = Problem(batch.books, batch.markets, LIMITS.order, LIMITS.hold_at_limit)
    slots = len(batch.markets)
    holds = Holds(slots, LIMITS.slots)
    for venue, micros in cash_micros.items():
        holds.set_cash(venue, micros)
    first = 0
    for head in batch.heads:
        last = first + int(head["n_legs"])
        problem.add(int(head["payoff_micros"]), int(head["capital_cost_ppm"]), batch.legs[first:last])
        first = last
    problem.load(Shadows(slots, LIMITS.slots), holds)
    return problem


def _missed(earned: list[float], optimum: list[float]) -> dict[str, float]:
    """What is missed of the optima: of all batches together, and of the worst; RuntimeError above one."""
    parts = [1 - ours / best for ours, best in zip(earned, optimum, strict=True)]
    if min(parts) < -1e-4:
        raise RuntimeError(f"more than the optimum of the exact model: {earned} of {optimum}")
    return {"share": max(1 - sum(earned) / sum(optimum), 0.0), "worst_batch_share": max(parts)}


def measure(result: Result) -> None:
    """Times with ample and with scarce cash, then what each misses of the optimum, then a single signal."""
    helper = peer(result, "ortools.linear_solver.python.model_builder_helper", "ortools")
    exact = (
        {} if helper is None else {who: Exact(helper, is_whole=who == WHOLE) for who in (DIVISIBLE, WHOLE)}
    )
    for name, part in (("ample", AMPLE), ("for half", HALF), ("for a tenth", TENTH)):
        scene, what = Scarcity(part), WHAT + name
        interleave(result, what, {OURS: scene.ours})
        ways: dict[str, Measure] = {OURS: scene.sizes, GREEDY: partial(scene.peers, greedy)}
        ways |= {who: partial(scene.peers, way) for who, way in exact.items()}
        interleave(result, what + SIZES, ways)
        claim(result, what + SIZES, "p50_ns", SIZES_P50_NS_MAX)
        claim(result, what, "p50_ns", P50_NS_MAX)
        claim(result, what, "p99_ns", P99_NS_MAX)
        if exact:
            optimum = [exact[DIVISIBLE](plain) for plain in scene.plain]
            earned = {OURS: scene.earned(), GREEDY: [greedy(plain) for plain in scene.plain]}
            found = {who: partial(_missed, dollars, optimum) for who, dollars in earned.items()}
            interleave(result, what + MISSED, found, runs=1, warm=False)
            claim(result, what + MISSED, "share", MISSED_MAX)
    interleave(result, ONE, {OURS: Scarcity(AMPLE, 1).ours})
