"""The opportunities a session plants: each kind, in three sizes, with its known optimum.

Every planted level is at least two cents inside break-even and the levels behind it lose, so the best size is
known by construction and ``optimum`` only has to confirm it. The leg of several levels comes first and the
last leg is one level, so that the edge appears whole, with the last frame, and never in part before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from engine.catalog.market import GroupKind
from engine.catalog.relations import RelationKind
from engine.records import Direction, Outcome, SignalKind, Venue
from engine.sim.session.optimum import Level
from engine.sim.session.scenario import (
    Expected,
    Leg,
    Scenario,
    SessionRelation,
    market,
    optimum_of,
    plant,
    quiet_book,
)
from engine.units import CASH_ONE_MICROS, PRICE_ONE_E4, SIZE_ONE_E6

Tier = tuple[str, tuple[int, ...]]
TIERS: Final[tuple[Tier, ...]] = (("small", (20,)), ("medium", (110,)), ("deep", (60, 90, 150)))

_BUY_YES: Final = (Direction.BUY, Outcome.YES)
_BUY_NO: Final = (Direction.BUY, Outcome.NO)
_SELL_YES: Final = (Direction.SELL, Outcome.YES)


def _levels(best_e4: int, sizes: tuple[int, ...], step_e4: int = 100) -> tuple[Level, ...]:
    """Levels from the best price outwards, one cent worse each."""
    return tuple((best_e4 + index * step_e4, size * SIZE_ONE_E6) for index, size in enumerate(sizes))


def _whole(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """One level as deep as all of ``sizes``: the other legs of a deep opportunity."""
    return (sum(sizes),)


def _finish(scenario: Scenario, legs: list[Leg], payoff_micros: int, *kinds: SignalKind) -> Scenario:
    scenario.expected = Expected(
        kinds, optimum_of(scenario, legs, payoff_micros), payoff_micros=payoff_micros
    )
    plant(scenario, legs)
    return scenario


def cross_venue(tier: Tier, close_ns: int, *, yes_at: Venue) -> Scenario:
    """YES cheap at one venue, NO cheap at the other, joined by an approved relation."""
    label, sizes = tier
    no_at = Venue.KALSHI if yes_at is Venue.POLYMARKET else Venue.POLYMARKET
    names = f"x-{yes_at.name.lower()}-{label}-yes", f"x-{yes_at.name.lower()}-{label}-no"
    rules = f"Pair {names[0]}."
    scenario = Scenario(f"cross-venue-{yes_at.name.lower()}-{label}", Expected(()))
    for name, venue, (bid, ask) in zip(names, (yes_at, no_at), ((4_700, 5_800), (5_200, 6_300)), strict=True):
        scenario.markets[name] = market(name, venue, close_ns, rules=rules)
        scenario.quotes[name] = quiet_book(bid, ask)
        scenario.settles_at_e4[name] = PRICE_ONE_E4
    scenario.relations.append(SessionRelation(RelationKind.SAME, names))
    legs = [
        Leg(names[0], *_BUY_YES, _levels(5_000, sizes)),
        Leg(names[1], *_BUY_NO, _levels(4_000, _whole(sizes))),
    ]
    return _finish(scenario, legs, CASH_ONE_MICROS, SignalKind.CROSS_VENUE)


def complement_buy(tier: Tier, close_ns: int) -> Scenario:
    """Two tokens of one question with books of their own: both asks together under a dollar."""
    label, sizes = tier
    names = f"c-{label}-a", f"c-{label}-b"
    scenario = Scenario(f"complement-buy-{label}", Expected(()))
    for name, (bid, ask) in zip(names, ((4_200, 6_300), (4_400, 6_300)), strict=True):
        scenario.markets[name] = market(name, Venue.POLYMARKET, close_ns, single_token=True)
        scenario.quotes[name] = quiet_book(bid, ask)
    scenario.settles_at_e4 = {names[0]: PRICE_ONE_E4, names[1]: 0}
    scenario.relations.append(SessionRelation(RelationKind.COMPLEMENT, names))
    legs = [
        Leg(names[0], *_BUY_YES, _levels(4_300, sizes)),
        Leg(names[1], *_BUY_YES, _levels(4_800, _whole(sizes))),
    ]
    return _finish(scenario, legs, CASH_ONE_MICROS, SignalKind.COMPLEMENT_BUY)


def complement_sell(bought: Scenario) -> Scenario:
    """The pair of a ``complement_buy`` scenario, held from it, while both bids together are over a dollar."""
    names = tuple(bought.markets)
    size = bought.expected.optimum.size_e6 if bought.expected.optimum else 0
    scenario = Scenario(bought.name.replace("buy", "sell"), Expected(()))
    scenario.markets, scenario.quotes = bought.markets, bought.quotes
    legs = [
        Leg(names[0], Direction.SELL, Outcome.YES, ((5_600, size),)),
        Leg(names[1], Direction.SELL, Outcome.YES, ((5_500, size),)),
    ]
    return _finish(scenario, legs, -CASH_ONE_MICROS, SignalKind.COMPLEMENT_SELL)


def partition_buy_yes(tier: Tier, close_ns: int, venue: Venue) -> Scenario:
    """Exactly one of three wins, and all three YES together cost less than a dollar."""
    label, sizes = tier
    names = tuple(f"y-{venue.name.lower()}-{label}-{index}" for index in range(3))
    scenario = Scenario(f"partition-buy-yes-{venue.name.lower()}-{label}", Expected(()))
    asks = (2_700, 3_000, 3_100)
    for name, ask in zip(names, asks, strict=True):
        scenario.markets[name] = market(
            name,
            venue,
            close_ns,
            group=f"y-{venue.name.lower()}-{label}",
            group_kind=GroupKind.EXACTLY_ONE,
            group_size=3,
        )
        scenario.quotes[name] = quiet_book(ask - 400, ask + 1_500)
        scenario.settles_at_e4[name] = 0
    scenario.settles_at_e4[names[1]] = PRICE_ONE_E4
    scenario.relations.append(SessionRelation(RelationKind.PARTITION, names, exhaustive=True))
    legs = [Leg(names[0], *_BUY_YES, _levels(asks[0], sizes))]
    legs += [
        Leg(name, *_BUY_YES, _levels(ask, _whole(sizes)))
        for name, ask in zip(names[1:], asks[1:], strict=True)
    ]
    return _finish(scenario, legs, CASH_ONE_MICROS, SignalKind.PARTITION_BUY_YES)


def partition_buy_no(tier: Tier, close_ns: int) -> Scenario:
    """At most one of three wins, and all three NO together cost less than two dollars."""
    label, sizes = tier
    names = tuple(f"n-{label}-{index}" for index in range(3))
    scenario = Scenario(f"partition-buy-no-{label}", Expected(()))
    asks = (6_400, 6_200, 5_900)
    for name, ask in zip(names, asks, strict=True):
        scenario.markets[name] = market(
            name, Venue.KALSHI, close_ns, group=f"n-{label}", group_kind=GroupKind.AT_MOST_ONE, group_size=3
        )
        scenario.quotes[name] = quiet_book(PRICE_ONE_E4 - ask - 1_500, PRICE_ONE_E4 - ask + 400)
        scenario.settles_at_e4[name] = 0
    scenario.settles_at_e4[names[0]] = PRICE_ONE_E4
    scenario.relations.append(SessionRelation(RelationKind.PARTITION, names))
    legs = [Leg(names[0], *_BUY_NO, _levels(asks[0], sizes))]
    legs += [
        Leg(name, *_BUY_NO, _levels(ask, _whole(sizes)))
        for name, ask in zip(names[1:], asks[1:], strict=True)
    ]
    return _finish(scenario, legs, 2 * CASH_ONE_MICROS, SignalKind.PARTITION_BUY_NO)


def neg_risk_convert(tier: Tier, close_ns: int) -> Scenario:
    """Two NO tokens of three cost little more than a dollar.

    Converted they are a dollar and the third YES.
    """
    label, sizes = tier
    names = tuple(f"v-{label}-{index}" for index in range(3))
    scenario = Scenario(f"neg-risk-convert-{label}", Expected(()))
    for name, (bid, ask) in zip(names, ((3_000, 4_400), (3_000, 4_400), (1_800, 3_200)), strict=True):
        scenario.markets[name] = market(
            name,
            Venue.POLYMARKET,
            close_ns,
            group=f"v-{label}",
            group_kind=GroupKind.EXACTLY_ONE,
            group_size=3,
            neg_risk=True,
        )
        scenario.quotes[name] = quiet_book(bid, ask)
        scenario.settles_at_e4[name] = 0
    scenario.settles_at_e4[names[2]] = PRICE_ONE_E4
    scenario.relations.append(SessionRelation(RelationKind.PARTITION, names, exhaustive=True))
    legs = [
        Leg(names[0], *_BUY_NO, _levels(6_000, sizes)),
        Leg(names[1], *_BUY_NO, _levels(6_000, _whole(sizes))),
        Leg(names[2], *_SELL_YES, ((3_100, sum(sizes) * SIZE_ONE_E6),)),
    ]
    return _finish(scenario, legs, CASH_ONE_MICROS, SignalKind.NEG_RISK_CONVERT)


def implication(tier: Tier, close_ns: int) -> Scenario:
    """A implies B: NO of A and YES of B pay at least a dollar between them."""
    label, sizes = tier
    names = f"i-{label}-a", f"i-{label}-b"
    scenario = Scenario(f"implication-{label}", Expected(()))
    for name, (bid, ask) in zip(names, ((3_000, 4_600), (3_300, 4_800)), strict=True):
        scenario.markets[name] = market(name, Venue.KALSHI, close_ns)
        scenario.quotes[name] = quiet_book(bid, ask)
        scenario.settles_at_e4[name] = 0
    scenario.relations.append(SessionRelation(RelationKind.IMPLICATION, names))
    legs = [
        Leg(names[1], *_BUY_YES, _levels(3_500, sizes)),
        Leg(names[0], *_BUY_NO, _levels(5_500, _whole(sizes))),
    ]
    return _finish(scenario, legs, CASH_ONE_MICROS, SignalKind.IMPLICATION)


Builder = Callable[[Tier, int], Scenario]
BUILDERS: Final[tuple[Builder, ...]] = (
    lambda tier, close_ns: cross_venue(tier, close_ns, yes_at=Venue.POLYMARKET),
    lambda tier, close_ns: cross_venue(tier, close_ns, yes_at=Venue.KALSHI),
    complement_buy,
    lambda tier, close_ns: partition_buy_yes(tier, close_ns, Venue.POLYMARKET),
    lambda tier, close_ns: partition_buy_yes(tier, close_ns, Venue.KALSHI),
    partition_buy_no,
    neg_risk_convert,
    implication,
)


def planted_scenarios(close_ns: int) -> list[Scenario]:
    """Every kind in every size; each complement purchase is followed by its sale from inventory."""
    scenarios = []
    for build in BUILDERS:
        for tier in TIERS:
            scenario = build(tier, close_ns)
            scenarios.append(scenario)
            if scenario.expected.kinds == (SignalKind.COMPLEMENT_BUY,):
                scenarios.append(complement_sell(scenario))
    return scenarios
