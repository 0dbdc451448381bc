from __future__ import annotations

from fractions import Fraction

import pytest

from engine.records import Direction, Venue
from engine.sim.session.optimum import PlantedLeg, best_size, fee_micros, leg_fills, outcome_at

CONTRACT = 1_000_000
KALSHI, POLYMARKET = Fraction(7, 100), Fraction(4, 100)


def leg(
    venue: Venue, levels: list[tuple[int, int]], rate: Fraction, direction: Direction = Direction.BUY
) -> PlantedLeg:
    return PlantedLeg("m", venue, direction, tuple((price, size * CONTRACT) for price, size in levels), rate)


@pytest.mark.parametrize(
    ("price_e4", "size_e6", "rate", "net_micros"),
    [
        (5_000, 1 * CONTRACT, KALSHI, 17_500),
        (5_200, 1 * CONTRACT, KALSHI, 17_500),
        (5_600, 10 * CONTRACT, KALSHI, 172_500),
        (5_000, 100 * CONTRACT, KALSHI, 1_750_000),
        (500, 100 * CONTRACT, KALSHI, 332_500),
        (9_700, 250 * CONTRACT, KALSHI, 509_300),
        (5_000, 100 * CONTRACT, Fraction(175, 10_000), 437_500),
        (5_001, 1, KALSHI, 100),  # of a cent fraction paid, 0.5001, too
        (5_000, 28_600, KALSHI, 600),  # 500.5: up to a micro-dollar, and then to the next 1e-4
    ],
)
def test_kalshi_fees_are_those_of_the_venue_reference(
    price_e4: int, size_e6: int, rate: Fraction, net_micros: int
) -> None:
    planted = PlantedLeg("m", Venue.KALSHI, Direction.BUY, (), rate)
    assert fee_micros(planted, [(price_e4, size_e6)]) == net_micros


def test_kalshi_rounding_is_given_back_over_the_fills_of_one_order() -> None:
    planted = PlantedLeg("m", Venue.KALSHI, Direction.BUY, (), KALSHI)
    assert fee_micros(planted, [(3_310, 3_370_000)] * 4) == 52_330 + 3 * 52_230


@pytest.mark.parametrize(
    ("price_e4", "shares", "rate", "fee"),
    [
        (5_000, 100, Fraction(7, 100), 1_750_000),
        (5_000, 100, Fraction(5, 100), 1_250_000),
        (3_000, 100, Fraction(4, 100), 840_000),
        (9_500, 100, Fraction(7, 100), 332_500),
        (10, 1, Fraction(4, 100), 40),
    ],
)
def test_polymarket_fees_are_those_of_the_venue_reference(
    price_e4: int, shares: int, rate: Fraction, fee: int
) -> None:
    planted = PlantedLeg("m", Venue.POLYMARKET, Direction.BUY, (), rate)
    assert fee_micros(planted, [(price_e4, shares * CONTRACT)]) == fee


def test_a_cross_venue_pair_is_worth_what_was_computed_by_hand() -> None:
    """Hand-checked: YES .55 at Polymarket (.04), NO .40 at Kalshi, 100 lots: 5.00 - 1.68 - .99 = 2.33."""
    legs = [
        leg(Venue.POLYMARKET, [(5_500, 100)], POLYMARKET),
        leg(Venue.KALSHI, [(4_000, 100)], KALSHI),
    ]
    best = best_size(legs, CONTRACT, CONTRACT)
    assert (best.size_e6, best.profit_micros, best.fees_micros) == (100 * CONTRACT, 2_330_000, 2_670_000)
    assert best.cash_micros == (55_000_000, 40_000_000)


def test_depth_is_taken_as_far_as_it_pays() -> None:
    """Hand-checked without fees: YES .46x100 .47x200 .49x500; NO .50x150 .51x300: 8.50 at 300 or more."""
    free = Fraction(0)
    legs = [
        leg(Venue.POLYMARKET, [(4_600, 100), (4_700, 200), (4_900, 500)], free),
        leg(Venue.POLYMARKET, [(5_000, 150), (5_100, 300)], free),
    ]
    best = best_size(legs, CONTRACT, CONTRACT)
    assert (best.size_e6, best.profit_micros) == (300 * CONTRACT, 8_500_000)


def test_a_sale_brings_cash_and_no_edge_means_no_size() -> None:
    sale = leg(Venue.POLYMARKET, [(5_600, 10)], Fraction(0), Direction.SELL)
    other = leg(Venue.POLYMARKET, [(5_500, 10)], Fraction(0), Direction.SELL)
    assert outcome_at([sale, other], -CONTRACT, 10 * CONTRACT).profit_micros == 1_100_000
    assert best_size([sale], -CONTRACT, CONTRACT).size_e6 == 0


def test_more_than_the_depth_is_refused() -> None:
    with pytest.raises(ValueError, match="1000000 beyond the depth"):
        leg_fills(leg(Venue.KALSHI, [(5_000, 1)], KALSHI), 2 * CONTRACT)


def test_cash_and_payoff_are_rounded_against_us() -> None:
    free = Fraction(0)
    bought = leg(Venue.POLYMARKET, [(3_333, 1)], free)
    sold = leg(Venue.POLYMARKET, [(3_333, 1)], free, Direction.SELL)
    assert outcome_at([bought], 0, 3).cash_micros == (1,)  # 0.9999
    assert outcome_at([sold], 0, 3).cash_micros == (0,)
    assert outcome_at([], 3, 500_000).profit_micros == 1
