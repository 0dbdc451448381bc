"""What a session plants to be left alone: each looks like an opportunity and fails for one reason only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from engine.catalog.market import GroupKind
from engine.catalog.relations import RelationKind
from engine.reasons import Reason
from engine.records import Direction, Outcome, Side, SignalKind, Venue
from engine.sim.session.scenario import (
    Expected,
    Leg,
    Scenario,
    SessionRelation,
    market,
    plant,
    quiet_book,
)
from engine.sim.session.wire import LevelSet
from engine.units import NS_PER_DAY, PRICE_ONE_E4, SIZE_ONE_E6

YEARS_NS: Final = 5 * 365 * NS_PER_DAY

_CROSS: Final = (SignalKind.CROSS_VENUE,)
_BUY_YES: Final = (Direction.BUY, Outcome.YES)
_BUY_NO: Final = (Direction.BUY, Outcome.NO)


def _contracts(count: int) -> int:
    return count * SIZE_ONE_E6


_HUNDRED: Final = _contracts(100)
_NEAR: Final = (
    (4_700, 5_800),
    (5_200, 6_300),
)  # quiet best prices: the levels behind a planted one lose a little
_FAR: Final = ((3_000, 7_000), (3_000, 7_000))  # they lose more than the planted ones gain


def _pair(
    name: str,
    close_ns: int,
    reasons: tuple[Reason, ...],
    relation: SessionRelation | None = None,
    quiet: tuple[tuple[int, int], ...] = _NEAR,
) -> Scenario:
    """A cross-venue pair with quiet books, YES at Polymarket and NO at Kalshi."""
    names = f"{name}-p", f"{name}-k"
    scenario = Scenario(name, Expected(_CROSS, reasons=reasons))
    for market_name, venue, (bid, ask) in zip(names, (Venue.POLYMARKET, Venue.KALSHI), quiet, strict=True):
        scenario.markets[market_name] = market(market_name, venue, close_ns, rules=f"Pair {name}.")
        scenario.quotes[market_name] = quiet_book(bid, ask)
        scenario.settles_at_e4[market_name] = PRICE_ONE_E4
    scenario.relations.append(relation or SessionRelation(RelationKind.SAME, names))
    return scenario


def _legs(
    scenario: Scenario,
    yes_e4: int,
    no_e4: int,
    yes_size_e6: int = _HUNDRED,
    no_size_e6: int = _HUNDRED,
) -> Scenario:
    yes, no = scenario.markets
    plant(
        scenario,
        [
            Leg(yes, *_BUY_YES, ((yes_e4, yes_size_e6),)),
            Leg(no, *_BUY_NO, ((no_e4, no_size_e6),)),
        ],
    )
    return scenario


def fees(close_ns: int) -> Scenario:
    """Two cents before fees, less than nothing after them."""
    return _legs(_pair("miss-fees", close_ns, (Reason.EDGE_EATEN_BY_FEES,)), 5_300, 4_500)


def below_minimum_edge(close_ns: int) -> Scenario:
    """Positive after fees, by less than the configured minimum: .7 x p(1-p) leaves 0.2 of 3 cents."""
    scenario = _pair("miss-thin", close_ns, (Reason.EDGE_BELOW_MINIMUM,))
    return _legs(scenario, 5_300, 4_400)


def depth(close_ns: int) -> Scenario:
    """Seven cents on half a contract, which is not worth an order; what lies behind it loses more."""
    return _legs(
        _pair("miss-depth", close_ns, (Reason.DEPTH_TOO_SMALL,), quiet=_FAR),
        5_000,
        4_000,
        _contracts(100),
        SIZE_ONE_E6 // 2,
    )


def minimum_size(close_ns: int) -> Scenario:
    """Two contracts on offer where the venue's smallest order is five; what lies behind them is dear."""
    scenario = _pair("miss-minimum-size", close_ns, (Reason.BELOW_MINIMUM_SIZE,), quiet=_FAR)
    return _legs(scenario, 5_000, 4_000, _contracts(2), _contracts(100))


def stale(close_ns: int) -> Scenario:
    """One leg has not been heard of for a long time."""
    scenario = _pair("miss-stale", close_ns, (Reason.BOOK_STALE,))
    yes, no = scenario.markets
    scenario.silent = frozenset({no})
    scenario.quotes[no].set(LevelSet(Side.BID, 6_000, _contracts(100)))
    plant(scenario, [Leg(yes, *_BUY_YES, ((5_000, _contracts(100)),))])
    # without it the pair would show no edge before the change, but the book is read as old from the start
    scenario.quotes[yes].levels[Side.ASK].clear()
    scenario.quotes[yes].set(LevelSet(Side.ASK, 6_400, _contracts(400)))
    return scenario


def unapproved(close_ns: int) -> Scenario:
    """Nobody has approved the relation: it must not even be looked at."""
    names = ("miss-unapproved-p", "miss-unapproved-k")
    relation = SessionRelation(RelationKind.SAME, names, approved=False)
    return _legs(_pair("miss-unapproved", close_ns, (), relation), 5_000, 4_000)


def wrong_rules(close_ns: int) -> Scenario:
    """The rules are not those that were approved."""
    names = ("miss-rules-p", "miss-rules-k")
    relation = SessionRelation(RelationKind.SAME, names, stale_rules=True)
    return _legs(_pair("miss-rules", close_ns, (), relation), 5_000, 4_000)


def no_close_time(close_ns: int) -> Scenario:
    """Nobody knows when the money comes back."""
    del close_ns
    return _legs(_pair("miss-no-close", 0, (Reason.CLOSE_TIME_UNKNOWN,)), 5_000, 4_000)


def capital_cost(close_ns: int) -> Scenario:
    """Four cents net, in five years: the money costs more."""
    scenario = _pair("miss-capital", close_ns + YEARS_NS, (Reason.CAPITAL_COST,))
    return _legs(scenario, 5_200, 4_100)


def mirror(close_ns: int) -> Scenario:
    """One mirrored book crossed for a moment: YES and NO look cheap together and are the same book."""
    name = "miss-mirror"
    kinds = (SignalKind.COMPLEMENT_BUY,)
    scenario = Scenario(name, Expected(kinds, reasons=(Reason.BOOK_CROSSED,)))
    scenario.markets[name] = market(name, Venue.POLYMARKET, close_ns)
    scenario.quotes[name] = quiet_book(4_400, 4_800)
    scenario.settles_at_e4[name] = 0
    plant(scenario, [Leg(name, *_BUY_NO, ((4_600, _contracts(100)),))])
    return scenario


def not_exhaustive(close_ns: int) -> Scenario:
    """Three YES for 88 cents, of a group in which none may win."""
    scenario = Scenario(
        "miss-not-exhaustive", Expected((SignalKind.PARTITION_BUY_YES,), reasons=(Reason.NOT_EXHAUSTIVE,))
    )
    names = tuple(f"miss-open-{index}" for index in range(3))
    for name, ask in zip(names, (2_700, 3_000, 3_100), strict=True):
        scenario.markets[name] = market(
            name, Venue.KALSHI, close_ns, group="miss-open", group_kind=GroupKind.AT_MOST_ONE, group_size=3
        )
        scenario.quotes[name] = quiet_book(ask - 400, ask + 1_500)
        scenario.settles_at_e4[name] = 0
        plant(scenario, [Leg(name, *_BUY_YES, ((ask, _contracts(100)),))])
    scenario.relations.append(SessionRelation(RelationKind.PARTITION, names))
    return scenario


def untrusted(close_ns: int) -> Scenario:
    """A frame of the subscription was lost: every book of it may be wrong.

    Last in a session: nothing heals it.
    """
    scenario = _pair("miss-untrusted", close_ns, (Reason.BOOK_NOT_LIVE,))
    scenario.opens_with_gap = True
    return _legs(scenario, 5_000, 4_000)


BUILDERS: Final[tuple[Callable[[int], Scenario], ...]] = (
    fees,
    below_minimum_edge,
    depth,
    minimum_size,
    stale,
    unapproved,
    wrong_rules,
    no_close_time,
    capital_cost,
    mirror,
    not_exhaustive,
    untrusted,
)


def near_misses(close_ns: int) -> list[Scenario]:
    """Every near miss once; the one that loses a frame is last and has to stay last."""
    return [build(close_ns) for build in BUILDERS]
