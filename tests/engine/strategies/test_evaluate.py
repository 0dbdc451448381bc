from __future__ import annotations

from dataclasses import replace

import pytest

from engine.catalog.market import FeeKind, FeeSpec, GroupKind
from engine.catalog.relations import RelationKind
from engine.reasons import Reason
from engine.records import Outcome, SignalKind, TopFlag, Trust, Venue
from engine.sim.session.scenario import market
from engine.strategies.candidates import CandidateTable
from engine.strategies.evaluate import (
    GROSS,
    LOCKED,
    N_LEGS,
    NET,
    PROFIT,
    SIZE_E6,
    Desk,
    evaluate,
    new_desk,
)
from engine.strategies.filters import State, terms_of
from engine.units import NS_PER_DAY, NS_PER_S, SIZE_ONE_E6
from tests.engine.strategies.stage import CLOSE, NOW, Levels, Stage, config

CENT = 10_000  # micro-dollars


class Trial:
    """One candidate of a stage, evaluated; the desk is left as evaluate left it."""

    def __init__(self, stage: Stage, kind: SignalKind, *, nth: int = 0, **changes: int) -> None:
        self.stage = stage
        self.table = CandidateTable(stage.catalog, stage.relations())
        numbers = [n for n, row in enumerate(self.table.rows) if int(row["kind"]) == kind]
        self.number = numbers[nth]
        self.state = State(stage.catalog.rows, stage.books, terms_of(config(**changes)))
        self.desk: Desk = new_desk(stage.catalog.capacity)

    def run(self, now_ns: int = NOW) -> Reason:
        found = evaluate(self.table.rows[self.number], self.table.legs, self.state, self.desk, now_ns)
        return Reason(int(found[0]))

    def number_of(self, column: int) -> int:
        return int(self.desk.numbers[column])


def cross(ask_p: Levels = ((5_500, 100),), bid_k: Levels = ((6_000, 100),), close_ns: int = CLOSE) -> Stage:
    """The documented pair: YES .55 at Polymarket (.04), YES bid .60 at Kalshi (.07)."""
    stage = Stage()
    stage.add("p", close_ns=close_ns)
    stage.add("k", Venue.KALSHI, close_ns=close_ns)
    stage.relate(RelationKind.SAME, "p", "k")
    stage.quote("p", [(5_300, 100)], ask_p)
    stage.quote("k", bid_k, [(6_400, 100)])
    return stage


def free(stage: Stage, name: str, venue: Venue = Venue.POLYMARKET, **group: object) -> None:
    """A market without fees."""
    spec = market(name, venue, CLOSE, **group)  # type: ignore[arg-type]
    stage.add_spec(name, replace(spec, fee=FeeSpec(FeeKind.POLYMARKET_CURVE, 0, unit_micros=10)))


def test_the_documented_cross_venue_pair() -> None:
    """Hand-checked: 5 cents gross, 1.68 + .99 dollars of fees on 100 contracts, 2.33 dollars net."""
    trial = Trial(cross(), SignalKind.CROSS_VENUE, capital_cost_rate_ppm=0)
    assert trial.run() is Reason.NONE
    assert trial.number_of(GROSS) == 5 * CENT
    assert trial.number_of(NET) == 23_300
    assert trial.number_of(SIZE_E6) == 100 * SIZE_ONE_E6
    assert trial.number_of(PROFIT) == 2_330_000


def test_legs_show_the_best_price_and_size_they_would_take() -> None:
    trial = Trial(cross(((5_500, 90),), ((6_000, 80),)), SignalKind.CROSS_VENUE)
    trial.run()
    shown = {(int(leg["best_e4"]), int(leg["best_size_e6"]) // SIZE_ONE_E6) for leg in trial.desk.legs[:2]}
    assert shown == {(5_500, 90), (4_000, 80)}


def test_the_edge_shown_is_net_of_fees_rounded_up() -> None:
    """9,899.6 micro-dollars at Polymarket and 16,800 at Kalshi."""
    trial = Trial(cross(ask_p=((5_501, 100),)), SignalKind.CROSS_VENUE, capital_cost_rate_ppm=0)
    trial.run()
    assert trial.number_of(GROSS) == 49_900
    assert trial.number_of(NET) == 49_900 - 26_700


def test_money_that_is_locked_and_its_cost_are_rounded_up() -> None:
    """.5501 and .40 with fees of 9,899.6 and 16,800 micro-dollars; three days of ten per cent a year."""
    trial = Trial(cross(ask_p=((5_501, 100),)), SignalKind.CROSS_VENUE, capital_cost_rate_ppm=100_000)
    found = evaluate(trial.table.rows[trial.number], trial.table.legs, trial.state, trial.desk, NOW)
    assert trial.number_of(LOCKED) == 976_800  # 976,799.6
    assert int(found[2]) == 822  # 821.9


@pytest.mark.parametrize(("least_micros", "reason"), [(22_497, Reason.NONE), (22_498, Reason.CAPITAL_COST)])
def test_the_edge_is_judged_after_a_cost_of_capital_rounded_up(least_micros: int, reason: Reason) -> None:
    """2.33 cents net of which 976,700 x 822 ppm, 802.8 micro-dollars, go to the money."""
    trial = Trial(cross(), SignalKind.CROSS_VENUE, capital_cost_rate_ppm=100_000)
    trial.state.terms[0]["min_edge_micros"][:] = least_micros
    assert trial.run() is reason


def test_the_other_way_round_has_no_edge() -> None:
    trial = Trial(cross(), SignalKind.CROSS_VENUE, nth=1)
    assert trial.run() is Reason.NO_EDGE
    assert trial.number_of(GROSS) == 1_000_000 - 640_000 - 470_000


@pytest.mark.parametrize(("rate_ppm", "reason"), [(100_000, Reason.NONE), (3_000_000, Reason.CAPITAL_COST)])
def test_money_that_waits_costs_its_rate(rate_ppm: int, reason: Reason) -> None:
    """97.67 cents locked for 3 days: 0.08 cents at 10 % a year, 2.4 cents at 300 %."""
    trial = Trial(cross(), SignalKind.CROSS_VENUE, capital_cost_rate_ppm=rate_ppm)
    assert trial.run() is reason


def test_a_year_at_ten_per_cent_eats_two_cents() -> None:
    stage = cross(close_ns=NOW + 365 * NS_PER_DAY)
    assert Trial(stage, SignalKind.CROSS_VENUE).run() is Reason.CAPITAL_COST


@pytest.mark.parametrize(
    ("yes", "no", "gross", "reason"),
    [
        ((4_600,), (5_000,), 4 * CENT, Reason.NONE),
        ((4_800,), (5_400,), -2 * CENT, Reason.NO_EDGE),
        ((5_000,), (5_000,), 0, Reason.NO_EDGE),
    ],
)
def test_complement_of_two_tokens(yes: tuple[int], no: tuple[int], gross: int, reason: Reason) -> None:
    stage = Stage()
    for name, (ask,) in (("a", yes), ("b", no)):
        free(stage, name, single_token=True)
        stage.quote(name, [(100, 10)], [(ask, 50)])
    stage.relate(RelationKind.COMPLEMENT, "a", "b")
    trial = Trial(stage, SignalKind.COMPLEMENT_BUY)
    assert trial.run() is reason
    assert trial.number_of(GROSS) == gross


def test_a_sale_needs_inventory_of_both() -> None:
    stage = Stage()
    for name, bid in (("a", 4_800), ("b", 5_400)):
        free(stage, name, single_token=True)
        stage.quote(name, [(bid, 50)], [(9_000, 10)])
    stage.relate(RelationKind.COMPLEMENT, "a", "b")
    trial = Trial(stage, SignalKind.COMPLEMENT_SELL)
    assert trial.run() is Reason.NO_INVENTORY
    trial.desk.held[stage.slots["a"], Outcome.YES] = 80 * SIZE_ONE_E6
    assert trial.run() is Reason.NO_INVENTORY
    trial.desk.held[stage.slots["b"], Outcome.YES] = 30 * SIZE_ONE_E6
    assert trial.run() is Reason.NONE
    assert trial.number_of(GROSS) == 2 * CENT
    assert trial.number_of(SIZE_E6) == 30 * SIZE_ONE_E6


def partition(asks: tuple[int, ...], kind: GroupKind, *, neg_risk: bool = False) -> Stage:
    """Markets of one group without fees; the bid is two cents under the ask."""
    stage = Stage()
    for index, ask in enumerate(asks):
        free(
            stage,
            f"m{index}",
            group="g",
            group_kind=kind,
            group_size=len(asks),
            neg_risk=neg_risk,
        )
        stage.quote(f"m{index}", [(ask - 200, 100)], [(ask, 100)])
    return stage


def test_all_yes_of_exactly_one() -> None:
    trial = Trial(partition((3_000, 3_300, 3_400), GroupKind.EXACTLY_ONE), SignalKind.PARTITION_BUY_YES)
    assert trial.run() is Reason.NONE
    assert trial.number_of(GROSS) == 3 * CENT
    assert trial.number_of(SIZE_E6) == 100 * SIZE_ONE_E6


@pytest.mark.parametrize(
    ("kind", "group", "asks", "net_micros", "reason"),
    [
        (SignalKind.PARTITION_BUY_YES, GroupKind.EXACTLY_ONE, (3_000, 3_300, 3_400), 3_780, Reason.NONE),
        (
            SignalKind.PARTITION_BUY_NO,
            GroupKind.AT_MOST_ONE,
            (3_400, 3_600, 3_800),
            -6_896,
            Reason.EDGE_EATEN_BY_FEES,
        ),
    ],
)
def test_documented_partitions_with_fees_of_four_per_cent(
    kind: SignalKind, group: GroupKind, asks: tuple[int, ...], net_micros: int, reason: Reason
) -> None:
    """Hand-checked: fees of .0084 + .008844 + .008976, and of .008704 + .008976 + .009216 dollars a set."""
    stage = Stage()
    for index, ask in enumerate(asks):
        stage.add(f"m{index}", group="g", group_kind=group, group_size=3)
        stage.quote(f"m{index}", [(ask - 200, 100)], [(ask, 100)])
    trial = Trial(stage, kind)
    assert trial.run() is reason
    assert trial.number_of(NET) == net_micros


def test_a_documented_sale_of_both_outcomes_keeps_a_hundredth_of_a_cent() -> None:
    """Hand-checked: bids of .48 and .54 with fees of four per cent leave .00008 dollars a set."""
    stage = Stage()
    for name, bid in (("a", 4_800), ("b", 5_400)):
        stage.add(name, single_token=True)
        stage.quote(name, [(bid, 50)], [(9_000, 10)])
    stage.relate(RelationKind.COMPLEMENT, "a", "b")
    trial = Trial(stage, SignalKind.COMPLEMENT_SELL)
    assert trial.run() is Reason.EDGE_BELOW_MINIMUM
    assert trial.number_of(NET) == 80


def test_all_yes_of_at_most_one_is_no_arbitrage() -> None:
    trial = Trial(partition((3_000, 3_300, 3_400), GroupKind.AT_MOST_ONE), SignalKind.PARTITION_BUY_YES)
    assert trial.run() is Reason.NOT_EXHAUSTIVE


def test_all_no_of_at_most_one_pays_all_but_one() -> None:
    """NO at .68, .66 and .64: cost 1.98, two dollars come back."""
    trial = Trial(partition((3_400, 3_600, 3_800), GroupKind.AT_MOST_ONE), SignalKind.PARTITION_BUY_NO)
    assert trial.run() is Reason.NONE
    assert trial.number_of(GROSS) == 2 * CENT


def test_all_no_leaves_out_a_member_without_a_bid() -> None:
    stage = partition((5_400, 5_000, 300), GroupKind.AT_MOST_ONE)
    stage.quote("m2", [], [(300, 100)])
    trial = Trial(stage, SignalKind.PARTITION_BUY_NO)
    assert trial.run() is Reason.NO_EDGE
    assert trial.number_of(N_LEGS) == 2
    assert trial.number_of(GROSS) == 0
    stage.quote("m1", [], [(300, 100)])
    assert trial.run() is Reason.ONE_SIDED


def test_conversion_buys_the_dear_and_sells_the_cheap() -> None:
    """Hand-checked: NO .60 and .62, YES of the third sold at .25: three cents."""
    stage = partition((4_200, 4_000, 2_700), GroupKind.EXACTLY_ONE, neg_risk=True)
    trial = Trial(stage, SignalKind.NEG_RISK_CONVERT)
    assert trial.run() is Reason.NONE
    assert trial.number_of(GROSS) == 3 * CENT
    assert [int(leg["convert"]) for leg in trial.desk.legs[:3]] == [1, 1, 2]
    assert int(trial.desk.legs[2]["slot"]) == stage.slots["m2"]
    found = evaluate(trial.table.rows[trial.number], trial.table.legs, trial.state, trial.desk, NOW)
    assert int(found[2]) == 0, "what locks nothing costs no capital"


def test_implication() -> None:
    """Hand-checked: YES of B .35 and NO of A .60: five cents."""
    stage = Stage()
    free(stage, "a")
    free(stage, "b")
    stage.quote("a", [(4_000, 100)], [(5_000, 100)])
    stage.quote("b", [(3_000, 100)], [(3_500, 100)])
    stage.relate(RelationKind.IMPLICATION, "a", "b")
    trial = Trial(stage, SignalKind.IMPLICATION)
    assert trial.run() is Reason.NONE
    assert (trial.number_of(GROSS), trial.number_of(SIZE_E6)) == (5 * CENT, 100 * SIZE_ONE_E6)


def test_one_mirrored_book_is_counted_with_its_spread() -> None:
    stage = Stage()
    stage.add("m")
    stage.quote("m", [(4_600, 10)], [(4_800, 10)])
    trial = Trial(stage, SignalKind.COMPLEMENT_BUY)
    assert trial.run() is Reason.MIRROR_BOOK
    assert trial.number_of(GROSS) == -2 * CENT


@pytest.mark.parametrize(
    ("ask_p", "bid_k", "reason"),
    [
        (((5_700, 100),), ((6_000, 100),), Reason.EDGE_BELOW_MINIMUM),
        (((5_800, 100),), ((6_000, 100),), Reason.EDGE_EATEN_BY_FEES),
        (((5_500, 100),), (), Reason.ONE_SIDED),
        (((5_500, 2), (9_500, 100)), ((6_000, 100),), Reason.BELOW_MINIMUM_SIZE),
    ],
)
def test_what_stands_in_the_way_of_a_pair(ask_p: Levels, bid_k: Levels, reason: Reason) -> None:
    trial = Trial(cross(ask_p, bid_k), SignalKind.CROSS_VENUE)
    trial.state.terms["min_edge_micros"] = 5_000
    assert trial.run() is reason


def test_less_than_our_own_minimum_is_too_little_depth() -> None:
    stage = cross(ask_p=((5_500, 6), (9_500, 100)))
    trial = Trial(stage, SignalKind.CROSS_VENUE, min_size_e6=20 * SIZE_ONE_E6)
    assert trial.run() is Reason.DEPTH_TOO_SMALL


def test_reasons_come_in_their_order() -> None:
    """Everything is wrong at once; what is mended one by one uncovers the next."""
    stage = cross(close_ns=0)
    trial = Trial(stage, SignalKind.CROSS_VENUE, max_legs=2)
    books, slots = stage.books, stage.slots
    books[slots["p"]]["trust"] = Trust.SUSPECT
    books[slots["k"]]["market_state"] = 1
    books[slots["k"]]["flags"] = TopFlag.CROSSED | TopFlag.SIZE_UNKNOWN
    books[slots["k"]]["recv_ns"] = NOW - 60 * NS_PER_S
    seen = [trial.run()]
    books[slots["p"]]["trust"] = Trust.LIVE
    seen.append(trial.run())
    books[slots["k"]]["market_state"] = 0
    seen.append(trial.run())
    books[slots["k"]]["flags"] = TopFlag.SIZE_UNKNOWN
    seen.append(trial.run())
    books[slots["k"]]["recv_ns"] = NOW - NS_PER_S - 1
    seen.append(trial.run())
    books[slots["k"]]["recv_ns"] = NOW
    seen.append(trial.run())
    books[slots["k"]]["flags"] = 0
    seen.append(trial.run())
    assert seen == [
        Reason.BOOK_NOT_LIVE,
        Reason.MARKET_CLOSED,
        Reason.BOOK_CROSSED,
        Reason.BOOK_STALE,
        Reason.LEGS_TOO_FAR_APART,
        Reason.SIZE_UNKNOWN,
        Reason.CLOSE_TIME_UNKNOWN,
    ]


def test_too_many_legs_and_an_unknown_fee() -> None:
    stage = partition((3_000, 3_300, 3_400), GroupKind.EXACTLY_ONE)
    assert Trial(stage, SignalKind.PARTITION_BUY_YES, max_legs=2).run() is Reason.TOO_MANY_LEGS
    unknown = Stage()
    for name, ask in (("a", 4_000), ("b", 5_000)):
        unknown.add_spec(name, replace(market(name, Venue.POLYMARKET, CLOSE, single_token=True), fee=None))
        unknown.quote(name, [(100, 10)], [(ask, 50)])
    unknown.relate(RelationKind.COMPLEMENT, "a", "b")
    assert Trial(unknown, SignalKind.COMPLEMENT_BUY).run() is Reason.FEE_SCHEDULE_UNKNOWN
