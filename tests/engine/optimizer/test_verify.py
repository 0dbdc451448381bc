from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.catalog.catalog import MarketFlag
from engine.catalog.market import FeeKind
from engine.fees import estimate_taker_fee_micros
from engine.optimizer.shadow import BookSide
from engine.optimizer.verify import PlanCheck, _Level, model_fee, order_fee_micros, payoff_micros
from engine.records import (
    PLAN_HEAD,
    PLAN_LEG,
    Direction,
    Outcome,
    Side,
    SignalKind,
    TopFlag,
    Trust,
    Venue,
)
from tests.engine.optimizer.desk import BUY, CENTS, CONTRACT, DOLLAR, NO, POLITICS, SELL, YES, Desk

NO_LEG, YES_LEG = 0, 1  # of the plan below: NO on Kalshi at 40 cents, YES on Polymarket at 55


class Ours:
    """Contracts of a level that are not to be had, by side and YES price; of every level when ``every``."""

    def __init__(self, taken: dict[tuple[BookSide, int], int] | None = None, *, every: bool = False) -> None:
        self.taken = taken or {}
        self.every = every

    def covers(self, side: BookSide) -> bool:
        return self.every or any(side == level[0] for level in self.taken)

    def left_e6(self, side: BookSide, price_e4: int, size_e6: int) -> int:
        return 0 if self.every else size_e6 - self.taken.get((side, price_e4), 0)


class Proven:
    """A plan with true numbers: a hundred sets of O3, which can be undone at 38 and 53 cents."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.desk.market(0, venue=Venue.KALSHI, **CENTS)
        self.desk.market(1, venue=Venue.POLYMARKET, **POLITICS)
        self.desk.offer(0, [(4_000, 100)], BUY, NO)
        self.desk.offer(0, [(3_800, 100)], SELL, NO)
        self.desk.offer(1, [(5_500, 100)], BUY, YES)
        self.desk.offer(1, [(5_300, 100)], SELL, YES)
        self.heads = np.zeros(1, PLAN_HEAD)
        self.head: np.void = self.heads[0]
        self.legs = np.zeros(2, PLAN_LEG)
        for name, value in {
            "size_e6": 100 * CONTRACT,
            "profit_micros": 2_330_000,
            "bound_micros": 2_330_000,
            "worst_loss_micros": 5_330_000,  # NO: paid 41.68, back 38.00 less 1.65
            "cash_micros": 97_670_000,
            "n_legs": 2,
            "kind": SignalKind.CROSS_VENUE,
        }.items():
            self.head[name] = value
        self.fill_leg(NO_LEG, NO, 4_000, 40_000_000, 1_680_000)
        self.fill_leg(YES_LEG, YES, 5_500, 55_000_000, 990_000)
        self.free = {int(Venue.KALSHI): 41_680_000, int(Venue.POLYMARKET): 55_990_000}
        self.worst_max = 5_330_000
        self.capital_ppm = 0
        self.ours = Ours()

    def fill_leg(self, leg: int, outcome: Outcome, limit: int, cash: int, fee: int) -> None:
        signal = self.desk.leg(leg, BUY, outcome)
        record = self.legs[leg]
        for name in ("slot", "generation", "venue", "direction", "outcome", "epoch", "update_count"):
            record[name] = signal[name]
        record["size_e6"] = self.head["size_e6"]
        record["limit_e4"], record["cash_micros"], record["fee_micros"] = limit, cash, fee

    def fault(self) -> str:
        """What is wrong in the end, which is what the exact check says: the proof lets nothing else pass."""
        check = PlanCheck(self.desk.books, self.desk.markets, self.worst_max)
        plan = self.legs, self.capital_ppm, self.free
        said = check.exact_fault(self.head, *plan, self.ours.left_e6)
        assert check.proves(self.heads, *plan, self.ours) == (said == "")
        assert check.fault(self.heads, *plan, self.ours) == said
        return said


def test_a_plan_with_true_numbers_is_proven() -> None:
    assert Proven().fault() == ""


def test_what_was_ours_with_one_plan_is_not_with_the_next() -> None:
    plan = Proven()
    check = PlanCheck(plan.desk.books, plan.desk.markets, plan.worst_max)
    given_ = (plan.heads, plan.legs, plan.capital_ppm, plan.free)
    for _ in range(2):
        assert not check.proves(*given_, Ours(every=True))
        assert check.proves(*given_, Ours())
        assert not check.proves(*given_, Ours({(BookSide(1, 1, Side.ASK), 5_500): 1}))
        assert check.proves(*given_, Ours())


Change = Callable[[Proven], None]


def head(name: str, change: int) -> Change:
    def alter(plan: Proven) -> None:
        plan.head[name] = int(plan.head[name]) + change

    return alter


def leg(number: int, name: str, change: int) -> Change:
    def alter(plan: Proven) -> None:
        plan.legs[number][name] = int(plan.legs[number][name]) + change

    return alter


def book(slot: int, name: str, value: int) -> Change:
    def alter(plan: Proven) -> None:
        plan.desk.books[slot][name] = value

    return alter


def market(slot: int, name: str, value: int) -> Change:
    def alter(plan: Proven) -> None:
        plan.desk.markets[slot][name] = value

    return alter


def free(venue: Venue, micros: int) -> Change:
    def alter(plan: Proven) -> None:
        plan.free[int(venue)] += micros

    return alter


def no_venue(plan: Proven) -> None:
    del plan.free[int(Venue.KALSHI)]


def worst_max(plan: Proven) -> None:
    plan.worst_max -= 1


def capital(plan: Proven) -> None:
    plan.capital_ppm = 1


def taken_already(plan: Proven) -> None:
    plan.ours = Ours({(BookSide(1, 1, Side.ASK), 5_500): 1})


def all_taken(plan: Proven) -> None:
    plan.ours = Ours(every=True)


def part_of_a_cent(plan: Proven) -> None:
    for slot in (0, 1):
        plan.desk.markets[slot]["lot_e6"] = CONTRACT // 2
    plan.head["size_e6"] = plan.legs["size_e6"][:] = 50_500_000


def no_size(plan: Proven) -> None:
    plan.head["size_e6"] = plan.legs["size_e6"][:] = 0


OPEN_ONLY, IN_USE_ONLY = int(MarketFlag.OPEN), int(MarketFlag.IN_USE)
FAULTS: dict[str, tuple[Change, str]] = {
    "cash of NO": (leg(NO_LEG, "cash_micros", -1), "cash 39999999 is better than 40000000"),
    "cash of YES": (leg(YES_LEG, "cash_micros", -1), "cash 54999999 is better than 55000000"),
    "fee of NO": (leg(NO_LEG, "fee_micros", -1), "fee 1679999 is below 1680000"),
    "fee of YES": (leg(YES_LEG, "fee_micros", -1), "fee 989999 is below 990000"),
    "limit of NO": (leg(NO_LEG, "limit_e4", -100), "limit 3900 does not reach 4000"),
    "limit of YES": (leg(YES_LEG, "limit_e4", -100), "limit 5400 does not reach 5500"),
    "limit off the grid": (leg(YES_LEG, "limit_e4", 50), "limit 5550 is not on the grid"),
    "limit of a dollar": (leg(YES_LEG, "limit_e4", 4_500), "limit 10000 is not on the grid"),
    "limit beyond the ranges": (market(1, "n_ranges", 0), "limit 5500 is not on the grid"),
    "size of a leg": (leg(YES_LEG, "size_e6", CONTRACT), "size 101000000 is not 100000000"),
    "size of the head": (head("size_e6", CONTRACT), "size 100000000 is not 101000000"),
    "lot": (market(0, "lot_e6", 30 * CONTRACT), "in whole lots"),
    "no size": (no_size, "size 0 is not 0"),
    "minimum size": (market(0, "min_size_e6", 100 * CONTRACT + 1), "below the venue's minimum"),
    "minimum notional": (market(1, "min_notional_micros", 55 * DOLLAR + 1), "below the venue's minimum"),
    "part of a cent": (part_of_a_cent, "50500000 at 5500 does not cost whole cents"),
    "profit": (head("profit_micros", 1), "profit 2330001"),
    "no profit": (head("profit_micros", -2_330_000), "profit 0"),
    "bound": (head("bound_micros", -1), "the bound is below the profit"),
    "cash of the plan": (head("cash_micros", -1), "it costs more than the cash it holds"),
    "worst loss": (head("worst_loss_micros", -1), "worst loss 5329999"),
    "worst loss allowed": (worst_max, "worst loss 5330000 is not within 5330000..5329999"),
    "cost of capital": (capital, "profit 2330000"),
    "cash at Kalshi": (free(Venue.KALSHI, -1), "venue 2 has not the cash"),
    "cash at Polymarket": (free(Venue.POLYMARKET, -1), "venue 1 has not the cash"),
    "no balance": (no_venue, "venue 2 has not the cash"),
    "kind": (head("kind", int(SignalKind.PARTITION_BUY_YES) - int(SignalKind.CROSS_VENUE)), "not make a set"),
    "relation": (head("relation", -1), "not make a set"),
    "legs": (head("n_legs", 1), "not make a set"),
    "direction": (leg(NO_LEG, "direction", 1), "not make a set"),
    "outcome": (leg(NO_LEG, "outcome", -1), "slot 0"),
    "slot": (leg(NO_LEG, "slot", 1), "not make a set"),
    "epoch": (leg(NO_LEG, "epoch", 1), "not the one that was read"),
    "update count": (leg(YES_LEG, "update_count", -1), "not the one that was read"),
    "generation": (leg(YES_LEG, "generation", 1), "not the one that was read"),
    "trust": (book(1, "trust", Trust.SUSPECT), "the book is not to be traded"),
    "crossed": (book(1, "flags", TopFlag.CROSSED), "the book is not to be traded"),
    "unknown size": (book(0, "flags", TopFlag.SIZE_UNKNOWN), "the book is not to be traded"),
    "closed": (market(0, "flags", IN_USE_ONLY), "the market is not open"),
    "removed": (market(0, "flags", OPEN_ONLY), "the market is not open"),
    "recycled": (market(1, "generation", 2), "the market is not open"),
    "ours already": (taken_already, "slot 1: 1 are not there"),
    "all ours": (all_taken, "slot 0: 100000000 are not there"),
    "no fee schedule": (market(0, "fee_kind", FeeKind.UNKNOWN), "fee 1680000 is below None"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_whatever_is_altered_is_noticed(name: str) -> None:
    change, said = FAULTS[name]
    plan = Proven()
    change(plan)
    assert said in plan.fault()


def test_a_plan_may_be_worse_than_the_truth() -> None:
    plan = Proven()
    for name, change in {"profit_micros": -500, "cash_micros": 7, "worst_loss_micros": 7}.items():
        plan.head[name] += change
    plan.legs[NO_LEG]["cash_micros"] += 3
    plan.legs[YES_LEG]["fee_micros"] += 4
    plan.free = dict.fromkeys(plan.free, 10**9)
    plan.worst_max = 10**9
    assert plan.fault() == ""


def test_a_limit_may_be_worse_than_the_walk_needs() -> None:
    plan = Proven()
    plan.legs[NO_LEG]["limit_e4"] = 4_100
    assert plan.fault() == ""


def test_depth_that_is_missing_on_the_way_back_is_worth_nothing() -> None:
    plan = Proven()
    plan.desk.offer(0, [(3_800, 50)], SELL, NO)
    plan.worst_max = 10**9
    plan.head["worst_loss_micros"] = (
        41_680_000 - 19_000_000 + 830_000 - 1
    )  # fee of 50 at 38: .8246, to a cent
    assert "worst loss" in plan.fault()
    plan.head["worst_loss_micros"] += 1
    assert plan.fault() == ""


class Sales(Proven):
    """Both tokens of a split sold at 48 and 54 cents, which can be bought back at 50 and 56; no fees."""

    def __init__(self) -> None:
        super().__init__()
        for slot, (price, outcome) in enumerate([(4_800, YES), (5_400, NO)]):
            self.desk.market(slot)
            self.desk.offer(slot, [(price, 60), (price - 100, 40)], SELL, outcome)
            self.desk.offer(slot, [(price + 200, 100)], BUY, outcome)
            self.fill_leg(slot, outcome, price - 100, price * 10_000 - 400_000, 0)
            self.legs[slot]["direction"] = SELL
        self.legs["venue"] = Venue.KALSHI
        self.head["kind"] = SignalKind.COMPLEMENT_SELL
        self.head["profit_micros"] = self.head["bound_micros"] = 1_200_000
        self.head["worst_loss_micros"] = self.worst_max = 2_400_000
        self.head["cash_micros"] = 0
        self.free = {}


def test_sales_are_proven_and_their_worst_is_buying_back() -> None:
    assert Sales().fault() == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (leg(0, "cash_micros", 1), "cash 47600001 is better than 47600000"),
        (leg(0, "limit_e4", 100), "limit 4800 does not reach 4700"),
        (leg(1, "fee_micros", -1), "fee -1 is below 0"),
        (head("profit_micros", 1), "profit 1200001"),
        (head("worst_loss_micros", -1), "worst loss 2399999"),
    ],
)
def test_altered_sales_are_noticed(change: Change, said: str) -> None:
    plan = Sales()
    change(plan)
    assert said in plan.fault()


def test_what_cannot_be_bought_back_costs_a_dollar() -> None:
    plan = Sales()
    plan.desk.offer(0, [(5_000, 99)], BUY, YES)
    plan.worst_max = 10**9
    plan.head["worst_loss_micros"] = 2_899_999  # 49.50 and a dollar, less 47.60
    assert "worst loss" in plan.fault()
    plan.head["worst_loss_micros"] = 2_900_000
    assert plan.fault() == ""


def test_sales_after_a_conversion_may_find_nobody() -> None:
    """Two NO at 60 and 62 cents become a dollar and a YES, which is to be sold at 25: O7."""
    plan = Proven()
    shapes = [(BUY, NO, 6_000, 1), (BUY, NO, 6_200, 1), (SELL, YES, 2_500, 2)]
    plan.legs = np.zeros(3, PLAN_LEG)
    for slot, (direction, outcome, price, convert) in enumerate(shapes):
        plan.desk.market(slot, group=4, flags=MarketFlag.IN_USE | MarketFlag.OPEN | MarketFlag.NEG_RISK)
        plan.desk.books[slot]["n_asks"] = plan.desk.books[slot]["n_bids"] = 0
        plan.desk.offer(slot, [(price, 100)], direction, outcome)
        if direction == BUY:
            plan.desk.offer(slot, [(price - 100, 100)], SELL, outcome)
        plan.fill_leg(slot, outcome, price, price * 10_000, 0)
        plan.legs[slot]["direction"], plan.legs[slot]["convert"] = direction, convert
    plan.head["kind"], plan.head["n_legs"], plan.head["relation"] = SignalKind.NEG_RISK_CONVERT, 3, -1
    plan.head["profit_micros"] = plan.head["bound_micros"] = 3_000_000
    plan.head["cash_micros"], plan.free = 122_000_000, {int(Venue.KALSHI): 122_000_000}
    plan.worst_max = 10**9
    for bids, worst in (
        ([(5_900, 100)], 22_000_000),  # 25.00 that was to make 3.00
        ([(3_000, 100)], 62_000_000),  # refused, and both are sold at 30 cents
        (
            [(3_000, 70)],
            122_000_000 - 42_000_000 - 30_000_000,
        ),  # thirty sets find nobody, and pay a dollar each
        ([], 62_000_000),  # one misses, and the other is stuck
    ):
        for slot in (0, 1):
            plan.desk.offer(slot, bids, SELL, NO)
        plan.head["worst_loss_micros"] = worst
        assert plan.fault() == ""
        plan.head["worst_loss_micros"] -= 1
        assert "worst loss" in plan.fault()


Shape = tuple[int, Direction, Outcome, int]
BUY_YES: list[Shape] = [(0, BUY, YES, 0), (1, BUY, YES, 0), (2, BUY, YES, 0)]
BUY_NO: list[Shape] = [(0, BUY, NO, 0), (1, BUY, NO, 0), (2, BUY, NO, 0)]
CONVERT: list[Shape] = [(0, BUY, NO, 1), (1, BUY, NO, 1), (2, SELL, YES, 2)]
WHOLE, ONE, RISK = MarketFlag.EXHAUSTIVE, MarketFlag.AT_MOST_ONE, MarketFlag.NEG_RISK
PAYOFFS = [
    (SignalKind.COMPLEMENT_BUY, BUY_YES[:2], 0, 0, DOLLAR),
    (SignalKind.IMPLICATION, BUY_NO[:2], 0, 0, DOLLAR),
    (SignalKind.CROSS_VENUE, BUY_YES, 0, 0, None),
    (SignalKind.CROSS_VENUE, BUY_YES[:2], -1, 0, None),
    (SignalKind.COMPLEMENT_SELL, [(0, SELL, YES, 0), (1, SELL, NO, 0)], 0, 0, -DOLLAR),
    (SignalKind.COMPLEMENT_SELL, BUY_YES[:2], 0, 0, None),
    (SignalKind.PARTITION_BUY_YES, BUY_YES, 0, 0, DOLLAR),
    (SignalKind.PARTITION_BUY_YES, BUY_YES, -1, WHOLE, DOLLAR),
    (SignalKind.PARTITION_BUY_YES, BUY_YES, -1, ONE, None),
    (SignalKind.PARTITION_BUY_YES, BUY_YES[:2], -1, WHOLE, None),  # the third may win
    (SignalKind.PARTITION_BUY_YES, BUY_NO, -1, WHOLE, None),
    (SignalKind.PARTITION_BUY_NO, BUY_NO, -1, ONE, 2 * DOLLAR),
    (SignalKind.PARTITION_BUY_NO, BUY_NO[:2], -1, ONE, DOLLAR),
    (SignalKind.PARTITION_BUY_NO, BUY_NO, 0, 0, 2 * DOLLAR),
    (SignalKind.PARTITION_BUY_NO, BUY_NO, -1, 0, None),
    (SignalKind.PARTITION_BUY_NO, BUY_YES, -1, ONE, None),
    (SignalKind.NEG_RISK_CONVERT, CONVERT, -1, RISK, DOLLAR),
    (SignalKind.NEG_RISK_CONVERT, CONVERT, 0, 0, None),  # only the venue can say that it converts
    (SignalKind.NEG_RISK_CONVERT, BUY_NO, -1, RISK, None),
    (SignalKind.NEG_RISK_CONVERT, [(0, SELL, YES, 2), (2, SELL, YES, 2)], -1, RISK, None),
    (SignalKind.CROSS_VENUE, BUY_YES[:1], 0, 0, None),
    (SignalKind.CROSS_VENUE, [BUY_YES[0], BUY_NO[0]], 0, 0, None),
    (0, BUY_YES, 0, WHOLE, None),
]


@pytest.mark.parametrize(("kind", "shapes", "relation", "flag", "payoff"), PAYOFFS)
def test_what_a_set_pays(
    kind: int, shapes: list[Shape], relation: int, flag: int, payoff: int | None
) -> None:
    desk = Desk()
    for slot in range(3):
        desk.market(slot, group=4, flags=MarketFlag.IN_USE | MarketFlag.OPEN | flag)
    record: np.void = np.zeros(1, PLAN_HEAD)[0]
    record["kind"], record["relation"], record["n_legs"] = kind, relation, len(shapes)
    legs = desk.legs(*shapes)
    assert payoff_micros(record, legs, desk.markets) == payoff
    record["n_legs"] += 1
    assert payoff_micros(record, legs, desk.markets) is None


def test_markets_of_two_groups_are_no_partition() -> None:
    desk = Desk()
    for slot in range(3):
        desk.market(slot, group=4 + slot // 2, flags=MarketFlag.IN_USE | WHOLE | ONE)
    record: np.void = np.zeros(1, PLAN_HEAD)[0]
    record["kind"], record["relation"], record["n_legs"] = SignalKind.PARTITION_BUY_NO, -1, 3
    assert payoff_micros(record, desk.legs(*BUY_NO), desk.markets) is None


@pytest.mark.parametrize(("exponent", "power"), [(0, 0.0), (500, 0.5), (1_000, 1.0), (2_000, 2.0)])
def test_the_fee_curves(exponent: int, power: float) -> None:
    desk = Desk()
    desk.market(0, exponent_e3=exponent, **POLITICS)
    fee = model_fee(desk.markets[0], 3_000)
    assert abs(float(fee) - 40_000 * 0.21**power) < 1e-3
    if exponent == 500:
        assert fee <= Fraction(40_000 * sqrt(0.21))


def test_an_order_pays_a_fee_for_every_fill_and_kalshi_aligns_the_balance_once() -> None:
    desk = Desk()
    desk.market(0, venue=Venue.POLYMARKET, **POLITICS)
    desk.market(1, **CENTS)
    taken = [_Level(5_000, CONTRACT // 3), _Level(5_100, CONTRACT)]
    polymarket = ceil(Fraction(333_333, 10**6) * 10_000 / 10) * 10 + ceil(0.04 * 0.51 * 0.49 * 10**5) * 10
    assert order_fee_micros(desk.markets[0], taken, received=False) == polymarket
    trade = ceil(Fraction(333_333, 10**6) * 17_500) + 17_493
    bought = -(-(166_667 + 510_000 + trade) // 10_000) * 10_000 - (166_667 + 510_000)
    assert order_fee_micros(desk.markets[1], taken, received=False) == bought
    sold = 166_666 + 510_000 - (166_666 + 510_000 - trade) // 10_000 * 10_000
    assert order_fee_micros(desk.markets[1], taken, received=True) == sold
    desk.market(1, fee_kind=FeeKind.UNKNOWN)
    assert order_fee_micros(desk.markets[1], taken, received=True) is None


@given(
    st.sampled_from([POLITICS, CENTS]),
    st.lists(st.tuples(st.integers(1, 9_999), st.integers(1, 10**9)), min_size=1, max_size=4),
    st.booleans(),
)
def test_the_estimates_of_the_optimizer_never_fall_short(
    fees: dict[str, int], fills: list[tuple[int, int]], received: bool
) -> None:
    desk = Desk()
    desk.market(0, **fees)
    estimated = sum(estimate_taker_fee_micros(desk.markets[0], price, size) for price, size in fills)
    least = order_fee_micros(desk.markets[0], [_Level(*fill) for fill in fills], received)
    assert least is not None
    assert estimated >= least
