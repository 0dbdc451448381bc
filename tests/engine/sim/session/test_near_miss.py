from __future__ import annotations

import pytest

from engine.records import Direction, Outcome, Side, SignalKind
from engine.sim.session.near_miss import near_misses
from engine.sim.session.scenario import Leg, Scenario, optimum_of
from engine.units import CASH_ONE_MICROS, PRICE_ONE_E4, SIZE_ONE_E6

CLOSE = 1_793_793_600 * 10**9
MISSES = {scenario.name: scenario for scenario in near_misses(CLOSE)}


def worth(scenario: Scenario) -> tuple[int, int]:
    """Best size and profit of a pair if nothing stood in the way but depth and fees."""
    yes, no = scenario.markets
    levels = {name: scenario.quotes[name] for name in (yes, no)}
    for name, level in scenario.changes:
        levels[name].set(level)
    asks = sorted(levels[yes].levels[Side.ASK].items())
    bids = sorted(((10_000 - price, size) for price, size in levels[no].levels[Side.BID].items()))
    legs = [
        Leg(yes, Direction.BUY, Outcome.YES, tuple(asks)),
        Leg(no, Direction.BUY, Outcome.NO, tuple(bids)),
    ]
    best = optimum_of(scenario, legs, CASH_ONE_MICROS)
    return best.size_e6, best.profit_micros


@pytest.mark.parametrize(
    ("name", "contracts"),
    [
        ("miss-fees", 0),
        ("miss-depth", 0),
        ("miss-minimum-size", 2),
        ("miss-stale", 100),
        ("miss-unapproved", 100),
        ("miss-rules", 100),
        ("miss-no-close", 100),
        ("miss-capital", 100),
        ("miss-untrusted", 100),
    ],
)
def test_each_fails_for_its_reason_only(name: str, contracts: int) -> None:
    size, profit = worth(MISSES[name])
    assert len(MISSES[name].expected.reasons) <= 1, (
        "a planting that may fail for another reason proves nothing"
    )
    assert size == contracts * SIZE_ONE_E6
    assert (profit > 0) == (contracts > 0)


def test_the_thin_one_gains_less_than_the_least_edge() -> None:
    size, profit = worth(MISSES["miss-thin"])
    assert 0 < profit * SIZE_ONE_E6 // size < 5_000


def test_the_mirror_is_one_crossed_book() -> None:
    scenario = MISSES["miss-mirror"]
    ((name, planted),) = scenario.changes
    best_ask = scenario.quotes[name].best(Side.ASK)
    assert best_ask is not None
    assert planted.side is Side.BID
    assert planted.price_e4 >= best_ask
    assert scenario.expected.kinds == (SignalKind.COMPLEMENT_BUY,)


def test_traps_expect_nothing_to_be_said() -> None:
    silent = [name for name, scenario in MISSES.items() if not scenario.expected.reasons]
    assert silent == ["miss-unapproved", "miss-rules"]
    assert next(reversed(MISSES)) == "miss-untrusted"
    assert MISSES["miss-untrusted"].opens_with_gap


def test_every_market_settles_at_nothing_or_a_dollar() -> None:
    values = {value for scenario in MISSES.values() for value in scenario.settles_at_e4.values()}
    assert values == {0, PRICE_ONE_E4}
