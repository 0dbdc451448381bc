from __future__ import annotations

from fractions import Fraction

from engine.records import Direction, Outcome, Side, Venue
from engine.sim.session.scenario import (
    Expected,
    Leg,
    Scenario,
    fee_of,
    fee_rate,
    market,
    optimum_of,
    plant,
    quiet_book,
    token_id,
)
from engine.sim.session.wire import LevelSet

CONTRACT = 1_000_000


def scenario() -> Scenario:
    made = Scenario("x", Expected(()))
    made.markets["m"] = market("m", Venue.KALSHI, 1)
    made.quotes["m"] = quiet_book(4_500, 4_800, 7)
    return made


def test_a_leg_shows_where_it_takes() -> None:
    buys_no = Leg("m", Direction.BUY, Outcome.NO, ((4_000, CONTRACT),))
    sells_yes = Leg("m", Direction.SELL, Outcome.YES, ((4_600, CONTRACT),))
    buys_yes = Leg("m", Direction.BUY, Outcome.YES, ((4_700, CONTRACT),))
    assert buys_no.level_sets() == [LevelSet(Side.BID, 6_000, CONTRACT)]
    assert sells_yes.level_sets() == [LevelSet(Side.BID, 4_600, CONTRACT)]
    assert buys_yes.level_sets() == [LevelSet(Side.ASK, 4_700, CONTRACT)]


def test_what_is_planted_is_taken_out_again() -> None:
    made = scenario()
    plant(made, [Leg("m", Direction.BUY, Outcome.YES, ((4_600, CONTRACT), (4_800, 2 * CONTRACT)))])
    assert [level for _, level in made.changes] == [
        LevelSet(Side.ASK, 4_600, CONTRACT),
        LevelSet(Side.ASK, 4_800, 2 * CONTRACT),
    ]
    assert [level for _, level in made.restore] == [
        LevelSet(Side.ASK, 4_600, 0),
        LevelSet(Side.ASK, 4_800, 7 * CONTRACT),
    ]


def test_the_optimum_sees_the_quiet_levels_behind_the_planted_ones() -> None:
    made = scenario()
    leg = Leg("m", Direction.BUY, Outcome.YES, ((4_600, CONTRACT),))
    assert optimum_of(made, [leg], CONTRACT).size_e6 > CONTRACT
    assert optimum_of(made, [leg], 480_000).size_e6 == CONTRACT


def test_markets_obey_their_venue() -> None:
    pair = market("a", Venue.POLYMARKET, 1)
    alone = market("a", Venue.POLYMARKET, 1, single_token=True)
    assert pair.mirror
    assert not alone.mirror
    assert len({pair.yes_token, pair.no_token, alone.symbol}) == 3
    assert alone.symbol == token_id("a")
    assert pair.min_size_e6 == 5 * CONTRACT
    assert market("a", Venue.KALSHI, 1).symbol == "KXSIM-A"


def test_the_fraction_is_the_schedule() -> None:
    for venue in Venue:
        assert fee_rate(venue) == Fraction(fee_of(venue).rate_ppm, 10**6)
