from __future__ import annotations

from bisect import bisect_left

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.catalog.catalog import MarketFlag
from engine.optimizer.proof import NO_SET, SIZE_MAX_E6, WALK, Stand, is_proven, payoff_dollars
from engine.optimizer.verify import PlanCheck
from engine.records import LEGS_MAX, PLAN_HEAD, PLAN_LEG, TOP_LEVELS, Direction, Outcome, SignalKind, Venue
from tests.engine.optimizer.desk import CONTRACT, DOLLAR, Desk
from tests.engine.optimizer.test_verify import FAULTS, PAYOFFS, Proven, Sales, Shape
from tests.plain_twin import PlainTwin

AMOUNTS = ("cash_micros", "fee_micros", "limit_e4")
TOTALS = ("profit_micros", "bound_micros", "worst_loss_micros", "cash_micros")


def verdicts(plan: Proven) -> tuple[bool, str]:
    """What the compiled proof and the exact check say."""
    check = PlanCheck(plan.desk.books, plan.desk.markets, plan.worst_max)
    rest = plan.legs, plan.capital_ppm, plan.free
    return check.proves(plan.heads, *rest, plan.ours), check.exact_fault(plan.head, *rest, plan.ours.left_e6)


def stand(plan: Proven) -> Stand:
    free = np.zeros(max(Venue) + 1, np.int64)
    for venue, micros in plan.free.items():
        free[venue] = micros
    ours = np.zeros((LEGS_MAX, TOP_LEVELS), np.int64)
    return Stand(plan.desk.books, plan.desk.markets, ours, free, np.zeros(WALK, np.int64))


@given(
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from(AMOUNTS), st.integers(-2, 2)), max_size=2),
    st.lists(st.tuples(st.sampled_from(TOTALS), st.integers(-2, 2)), max_size=2),
    st.integers(0, 2),
    st.sampled_from([1, 3, 10, 100]),
)
def test_it_proves_what_the_exact_check_lets_pass_and_nothing_else(
    sells: bool, legs: list[tuple[int, str, int]], totals: list[tuple[str, int]], capital: int, depth: int
) -> None:
    plan = Sales() if sells else Proven()
    for number, name, change in legs:
        plan.legs[number][name] = int(plan.legs[number][name]) + change * (100 if name == "limit_e4" else 1)
    for name, change in totals:
        plan.head[name] = int(plan.head[name]) + change
    plan.capital_ppm = capital
    plan.worst_max += 1
    book = plan.desk.books[0]
    book["n_asks"] = book["n_bids"] = 2
    for side, step in (("ask", 100), ("bid", -100)):
        book[f"{side}_e4"][1] = book[f"{side}_e4"][0] + step
        book[f"{side}_size_e6"][0] = depth * CONTRACT
        book[f"{side}_size_e6"][1] = 60 * CONTRACT
    proven, said = verdicts(plan)
    assert proven == (said == "")


@given(st.integers(1, 100 * CONTRACT - 1))
@example(172_900)  # its account is two micro-dollars below a whole cent before it is rounded
def test_what_a_sale_of_odd_sizes_loses_is_proven_to_the_micro_dollar(first_e6: int) -> None:
    plan = Proven()
    plan.worst_max = 10 * DOLLAR
    plan.desk.offer(0, [(3_800, first_e6), (3_700, 100 * CONTRACT)], Direction.SELL, Outcome.NO, unit_e6=1)

    def passes(loss_micros: int) -> bool:
        plan.head["worst_loss_micros"] = loss_micros
        proven, said = verdicts(plan)
        assert proven == (said == "")
        return proven

    least = bisect_left(range(plan.worst_max + 1), x=True, key=passes)
    assert passes(least)
    assert not passes(least - 1)


def test_what_it_does_not_know_is_left_to_the_exact_check() -> None:
    plan = Proven()
    plan.desk.markets[1]["exponent_e3"] = 2_000  # a quarter of the fee
    assert verdicts(plan) == (False, "")
    plan = Proven()
    plan.desk.markets[1]["exponent_e3"], plan.desk.markets[1]["taker_rate_ppb"] = 2_000, 0  # no fee at all
    assert verdicts(plan) == (True, "")


@pytest.mark.parametrize(("size_e6", "proven"), [(SIZE_MAX_E6, True), (SIZE_MAX_E6 + 100 * CONTRACT, False)])
def test_the_largest_plan_it_looks_at(size_e6: int, proven: bool) -> None:
    plan = Proven()
    sets = size_e6 // (100 * CONTRACT)
    for book in plan.desk.books[:2]:
        book["ask_size_e6"][0] = book["bid_size_e6"][0] = size_e6
    plan.head["size_e6"] = plan.legs["size_e6"][:] = size_e6
    for name in ("profit_micros", "bound_micros", "cash_micros", "worst_loss_micros"):
        plan.head[name] = int(plan.head[name]) * sets
    for name in ("cash_micros", "fee_micros"):
        plan.legs[name] *= sets
    plan.free = dict.fromkeys(plan.free, 10**6 * DOLLAR)
    plan.worst_max = 10**6 * DOLLAR
    assert verdicts(plan) == (proven, "")


@pytest.mark.parametrize(("kind", "shapes", "relation", "flag", "payoff"), PAYOFFS)
def test_what_a_set_pays(
    kind: int, shapes: list[Shape], relation: int, flag: int, payoff: int | None
) -> None:
    desk = Desk()
    for slot in range(3):
        desk.market(slot, group=4, flags=MarketFlag.IN_USE | MarketFlag.OPEN | flag)
    record: np.void = np.zeros(1, PLAN_HEAD)[0]
    record["kind"], record["relation"], record["n_legs"] = kind, relation, len(shapes)
    legs = np.zeros(len(shapes), PLAN_LEG)
    for name in ("slot", "direction", "outcome", "convert"):
        legs[name] = desk.legs(*shapes)[name]
    assert payoff_dollars(record, legs, desk.markets) * DOLLAR == (payoff or NO_SET)
    record["n_legs"] += 1
    assert payoff_dollars(record, legs, desk.markets) == NO_SET


def test_one_leg_is_no_set_whoever_approves_it() -> None:
    desk = Desk()
    desk.market(0, group=4, flags=MarketFlag.IN_USE | MarketFlag.OPEN)
    record: np.void = np.zeros(1, PLAN_HEAD)[0]
    record["kind"], record["relation"], record["n_legs"] = SignalKind.PARTITION_BUY_YES, 0, 1
    legs = np.zeros(1, PLAN_LEG)
    legs["direction"], legs["outcome"] = Direction.BUY, Outcome.YES
    assert payoff_dollars(record, legs, desk.markets) == NO_SET


@pytest.mark.compiled_only
def test_compiled_equals_plain(plain_twin: PlainTwin) -> None:
    plain = plain_twin("engine.optimizer.proof")
    said = []
    for change, _ in FAULTS.values():
        altered = Proven()
        change(altered)
        for plan in (altered, Sales()):
            given = plan.heads, plan.legs, plan.capital_ppm, plan.worst_max
            said.append(bool(is_proven(*given, stand(plan))))
            assert said[-1] == bool(plain.is_proven(*given, plain.Stand(*stand(plan))))
    assert any(said)
    assert not all(said)
