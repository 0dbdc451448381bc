"""One scenario of a session: its markets, the quiet books, what is planted in them, what must follow."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, NamedTuple

from engine.catalog.market import FeeKind, FeeSpec, GroupKind, MarketSpec
from engine.catalog.relations import RelationKind
from engine.reasons import Reason
from engine.records import Direction, Outcome, Side, SignalKind, Venue
from engine.sim.session.optimum import Level, Optimum, PlantedLeg, best_size, outcome_at
from engine.sim.session.wire import LevelSet, Quotes
from engine.units import PPM, PRICE_ONE_E4, SIZE_ONE_E6

CENT_GRID: Final = ((0, PRICE_ONE_E4, 100),)
LOT_E6: Final = 10_000
POLYMARKET_MIN_E6: Final = 5 * SIZE_ONE_E6
POLYMARKET_MIN_NOTIONAL_MICROS: Final = 1_000_000
POLYMARKET_RATE_PPM: Final = 40_000
KALSHI_RATE_PPM: Final = 70_000
FAR_BID_E4: Final = 100
FAR_ASK_E4: Final = 9_900
FAR_SIZE_E6: Final = 1_000 * SIZE_ONE_E6


@dataclass(frozen=True, slots=True)
class SessionRelation:
    """A relation of the session: members by market name; unapproved and stale ones are planted as traps."""

    kind: RelationKind
    members: tuple[str, ...]
    exhaustive: bool = False
    approved: bool = True
    stale_rules: bool = False


class RoundTrip(NamedTuple):
    """What it costs to buy a leg that the others leave alone, and to sell it again; the loss has the fees."""

    loss_micros: int
    fees_micros: int


@dataclass(frozen=True, slots=True)
class Expected:
    """What must come of a scenario: an optimum that is traded, or one of ``reasons`` and no trade.

    No reasons and no optimum: nothing may even be evaluated, because no approved relation joins the markets.
    An opportunity that does not last has a round trip for each market: orders that come in time fill, those
    that come too late do not, and what filled without the others is sold again.
    """

    kinds: tuple[SignalKind, ...]
    optimum: Optimum | None = None
    reasons: tuple[Reason, ...] = ()
    payoff_micros: int = 0  # of one set, beyond what its legs pay and bring
    round_trips: tuple[RoundTrip, ...] = ()


@dataclass(slots=True)
class Scenario:
    """A window of the session.

    ``changes`` plant it, ``restore`` ends it; quiet books have no edge in them. ``lasts_ns``: how long what
    is planted stays, 0: to the end of the window.
    """

    name: str
    expected: Expected
    markets: dict[str, MarketSpec] = field(default_factory=dict)
    quotes: dict[str, Quotes] = field(default_factory=dict)
    changes: list[tuple[str, LevelSet]] = field(default_factory=list)
    restore: list[tuple[str, LevelSet]] = field(default_factory=list)
    relations: list[SessionRelation] = field(default_factory=list)
    settles_at_e4: dict[str, int] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()  # markets that get no update before the change: stale on purpose
    opens_with_gap: bool = False  # the Kalshi subscription loses a frame just before
    lasts_ns: int = 0


@dataclass(frozen=True, slots=True)
class Leg:
    """A planted leg: the market, what to do, the levels to take in the terms of its outcome, best first."""

    market: str
    direction: Direction
    outcome: Outcome
    levels: tuple[Level, ...]

    @property
    def side(self) -> Side:
        """Side of the YES book that it takes."""
        buys_yes = (self.direction is Direction.BUY) == (self.outcome is Outcome.YES)
        return Side.ASK if buys_yes else Side.BID

    def level_sets(self) -> list[LevelSet]:
        """The levels as the market's own book shows them."""
        return [LevelSet(self.side, self.yes_price(price), size) for price, size in self.levels]

    def yes_price(self, price_e4: int) -> int:
        """A price of this leg's outcome as a price of YES."""
        return price_e4 if self.outcome is Outcome.YES else PRICE_ONE_E4 - price_e4


def fee_of(venue: Venue) -> FeeSpec:
    """Fee schedule of the session's markets."""
    if venue is Venue.POLYMARKET:
        return FeeSpec(FeeKind.POLYMARKET_CURVE, POLYMARKET_RATE_PPM, unit_micros=10, source="session")
    return FeeSpec(FeeKind.KALSHI_QUADRATIC, KALSHI_RATE_PPM, precision_micros=100, source="session")


def fee_rate(venue: Venue) -> Fraction:
    """The same schedule as a fraction of p(1-p)."""
    return Fraction(POLYMARKET_RATE_PPM if venue is Venue.POLYMARKET else KALSHI_RATE_PPM, PPM)


def token_id(name: str) -> str:
    """A Polymarket token id: a 77-digit number that depends on the name alone."""
    return str(10**76 + int(hashlib.sha256(name.encode()).hexdigest(), 16) % 10**76)


def market(
    name: str,
    venue: Venue,
    close_ns: int,
    *,
    group: str = "",
    group_kind: GroupKind = GroupKind.NONE,
    group_size: int = 0,
    neg_risk: bool = False,
    single_token: bool = False,
    rules: str = "",
) -> MarketSpec:
    """A session market on the cent grid.

    ``single_token``: a Polymarket token that stands alone, not a mirror.
    """
    polymarket = venue is Venue.POLYMARKET
    two_tokens = polymarket and not single_token
    digest = hashlib.sha256(name.encode()).hexdigest()
    symbol = (token_id(name) if single_token else f"0x{digest}") if polymarket else f"KXSIM-{name.upper()}"
    return MarketSpec(
        venue=venue,
        symbol=symbol,
        price_ranges=CENT_GRID,
        lot_e6=LOT_E6,
        min_size_e6=POLYMARKET_MIN_E6 if polymarket else LOT_E6,
        min_notional_micros=POLYMARKET_MIN_NOTIONAL_MICROS if polymarket else 0,
        fee=fee_of(venue),
        yes_token=token_id(f"{name}/yes") if two_tokens else "",
        no_token=token_id(f"{name}/no") if two_tokens else "",
        title=f"{name} (synthetic)",
        group=group,
        group_kind=group_kind,
        group_size=group_size,
        neg_risk=neg_risk,
        mirror=not single_token,
        close_ns=close_ns,
        rules_text=rules or f"Synthetic market {name}: resolves as the session says.",
    )


def quiet_book(bid_e4: int, ask_e4: int, size_contracts: int = 400) -> Quotes:
    """A two-sided book: depth at the best price, one level behind it, far levels that never matter."""
    quotes = Quotes()
    size = size_contracts * SIZE_ONE_E6
    for level in (
        LevelSet(Side.BID, bid_e4, size),
        LevelSet(Side.BID, max(bid_e4 - 100, 200), size),
        LevelSet(Side.BID, FAR_BID_E4, FAR_SIZE_E6),
        LevelSet(Side.ASK, ask_e4, size),
        LevelSet(Side.ASK, min(ask_e4 + 100, 9_800), size),
        LevelSet(Side.ASK, FAR_ASK_E4, FAR_SIZE_E6),
    ):
        quotes.set(level)
    return quotes


def plant(scenario: Scenario, legs: Sequence[Leg]) -> None:
    """Let the change put the legs' levels into the books, and the restore take them out again."""
    for leg in legs:
        for level in leg.level_sets():
            before = scenario.quotes[leg.market].levels[level.side].get(level.price_e4, 0)
            scenario.changes.append((leg.market, level))
            scenario.restore.append((leg.market, level._replace(size_e6=before)))


def optimum_of(scenario: Scenario, legs: Sequence[Leg], payoff_micros: int) -> Optimum:
    """Known optimum over the planted levels followed by the quiet ones behind them."""
    planted = []
    for leg in legs:
        spec = scenario.markets[leg.market]
        behind = _quiet_levels(scenario.quotes[leg.market], leg)
        planted.append(
            PlantedLeg(leg.market, spec.venue, leg.direction, (*leg.levels, *behind), fee_rate(spec.venue))
        )
    return best_size(planted, payoff_micros, SIZE_ONE_E6)


def round_trip_of(scenario: Scenario, leg: Leg, size_e6: int) -> RoundTrip:
    """Known cost of buying ``size_e6`` from a leg's planted levels and selling them to the quiet bids."""
    venue = scenario.markets[leg.market].venue
    back = Leg(leg.market, Direction.SELL, leg.outcome, ())
    bids = _quiet_levels(scenario.quotes[leg.market], back)
    ways = (
        PlantedLeg(leg.market, venue, leg.direction, leg.levels, fee_rate(venue)),
        PlantedLeg(leg.market, venue, back.direction, bids, fee_rate(venue)),
    )
    done = [outcome_at([way], 0, size_e6) for way in ways]
    return RoundTrip(-sum(one.profit_micros for one in done), sum(one.fees_micros for one in done))


def _quiet_levels(quotes: Quotes, leg: Leg) -> tuple[Level, ...]:
    side = leg.side
    taken = {level.price_e4 for level in leg.level_sets()}
    levels = [
        (leg.yes_price(price), size) for price, size in quotes.levels[side].items() if price not in taken
    ]
    return tuple(sorted(levels, reverse=leg.direction is Direction.SELL))
