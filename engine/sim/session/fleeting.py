"""Opportunities that do not last: there is time for every order at the latency assumed, not at five times it.

They are what makes profit depend on latency. Nine outcomes of one event at one venue: nine orders have to be
there before the first of them is gone. An order that comes too late is refused, and what the others bought is
sold again, four cents lower.
"""

from __future__ import annotations

from typing import Final

from engine.catalog.market import GroupKind
from engine.catalog.relations import RelationKind
from engine.records import Direction, Outcome, SignalKind, Venue
from engine.sim.session.planted import TIERS, Tier
from engine.sim.session.scenario import (
    Expected,
    Leg,
    Scenario,
    SessionRelation,
    market,
    optimum_of,
    plant,
    quiet_book,
    round_trip_of,
)
from engine.units import CASH_ONE_MICROS, NS_PER_MS, PRICE_ONE_E4, SIZE_ONE_E6

OUTCOMES: Final = 9
ASK_E4: Final = 1_000
STEP_E4: Final = 100
LASTS_NS: Final = 250 * NS_PER_MS  # the slowest order of the default configuration takes 218 ms


def partition(tier: Tier, close_ns: int) -> Scenario:
    """Exactly one of nine wins, and for a moment all nine YES together cost less than a dollar."""
    label, sizes = tier
    names = tuple(f"f-{label}-{index}" for index in range(OUTCOMES))
    scenario = Scenario(f"fleeting-{label}", Expected(()), lasts_ns=LASTS_NS)
    for name in names:
        scenario.markets[name] = market(
            name,
            Venue.POLYMARKET,
            close_ns,
            group=f"f-{label}",
            group_kind=GroupKind.EXACTLY_ONE,
            group_size=OUTCOMES,
        )
        scenario.quotes[name] = quiet_book(ASK_E4 - 400, ASK_E4 + 1_500)
        scenario.settles_at_e4[name] = 0
    scenario.settles_at_e4[names[-1]] = PRICE_ONE_E4
    scenario.relations.append(SessionRelation(RelationKind.PARTITION, names, exhaustive=True))
    levels = tuple((ASK_E4 + index * STEP_E4, size * SIZE_ONE_E6) for index, size in enumerate(sizes))
    whole = ((ASK_E4, sum(sizes) * SIZE_ONE_E6),)
    legs = [
        Leg(name, Direction.BUY, Outcome.YES, whole if index else levels) for index, name in enumerate(names)
    ]
    optimum = optimum_of(scenario, legs, CASH_ONE_MICROS)
    scenario.expected = Expected(
        (SignalKind.PARTITION_BUY_YES,),
        optimum,
        payoff_micros=CASH_ONE_MICROS,
        round_trips=tuple(round_trip_of(scenario, leg, optimum.size_e6) for leg in legs),
    )
    plant(scenario, legs)
    return scenario


def fleeting_scenarios(close_ns: int) -> list[Scenario]:
    """One of each size."""
    return [partition(tier, close_ns) for tier in TIERS]
