"""A whole session: scenarios in seeded order, each in its window, with seeded noise between and around them.

The seed chooses the order of the scenarios, the noise and nothing else: which opportunities there are, and
what they are worth, does not depend on it. Every window begins with a sign of life of each of its markets
and ends with the planted levels gone. After the last window every market settles. What does not last is gone
within its window; the rest of that is for orders that came too late, and for what is sold again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from engine.catalog.market import MarketSpec
from engine.catalog.relations import Member, Relation
from engine.catalog.rules import fingerprint
from engine.records import Side, Venue
from engine.sim.session.fleeting import fleeting_scenarios
from engine.sim.session.near_miss import near_misses
from engine.sim.session.planted import planted_scenarios
from engine.sim.session.scenario import (
    FAR_BID_E4,
    FAR_SIZE_E6,
    Expected,
    Scenario,
    SessionRelation,
    market,
    quiet_book,
)
from engine.sim.session.wire import Frame, KalshiWire, LevelSet, PolymarketWire, Quotes
from engine.units import NS_PER_DAY, NS_PER_MS, NS_PER_S, PRICE_ONE_E4, SIZE_ONE_E6

START_NS: Final = 1_793_534_400 * NS_PER_S  # 2026-11-01 12:00 UTC
APPROVED_ON: Final = "2026-11-01"
CLOSE_AFTER_NS: Final = 3 * NS_PER_DAY
BEFORE_NS: Final = 10 * NS_PER_S
ALIVE_BEFORE_NS: Final = 300 * NS_PER_MS
PLANTED_FOR_NS: Final = 45 * NS_PER_S  # a conversion takes up to 30 s after trades that are final after 5
AFTER_FLEETING_NS: Final = 20 * NS_PER_S  # orders, trades that are final after 4 s, sales, theirs: at 5x
NOISE_STEP_NS: Final = 400 * NS_PER_MS
FRAME_STEP_NS: Final = NS_PER_MS
NOISE_MARKETS: Final = 2  # per venue

_MULTIPLIER: Final = 6_364_136_223_846_793_005
_INCREMENT: Final = 1_442_695_040_888_963_407
_MASK64: Final = 2**64 - 1


class Dice:
    """Seeded integers (64-bit linear congruential, upper half): the same on every machine and version."""

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK64
        self.below(2)

    def below(self, bound: int) -> int:
        """An integer in 0..bound-1."""
        self._state = (self._state * _MULTIPLIER + _INCREMENT) & _MASK64
        return (self._state >> 33) % bound

    def shuffled(self, items: Sequence[Scenario]) -> list[Scenario]:
        """The items in another order (Fisher-Yates)."""
        mixed = list(items)
        for index in range(len(mixed) - 1, 0, -1):
            other = self.below(index + 1)
            mixed[index], mixed[other] = mixed[other], mixed[index]
        return mixed


@dataclass(frozen=True, slots=True)
class Planting:
    """What is planted when, and what must come of it; ``markets`` are (venue, symbol).

    ``gone_ns``: when it left each market; empty when it stays to the end.
    """

    name: str
    at_ns: int
    until_ns: int
    markets: tuple[tuple[Venue, str], ...]
    expected: Expected
    gone_ns: tuple[int, ...] = ()


@dataclass(slots=True)
class Session:
    """A synthetic session: wire frames in time order, metadata, relations by symbol, and the expectations."""

    seed: int
    markets: list[MarketSpec] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    plantings: list[Planting] = field(default_factory=list)


def build_session(seed: int) -> Session:
    """The session of ``seed``: the same arguments give the same bytes."""
    return _Builder(seed).build()


class _Builder:
    def __init__(self, seed: int) -> None:
        self._dice = Dice(seed)
        self._session = Session(seed)
        self._kalshi = KalshiWire()
        self._polymarket = PolymarketWire()
        self._quotes: dict[str, Quotes] = {}
        self._specs: dict[str, MarketSpec] = {}
        self._noise: list[str] = []
        self._now = START_NS

    def build(self) -> Session:
        close_ns = START_NS + CLOSE_AFTER_NS
        scenarios = self._ordered(close_ns)
        self._open(scenarios, close_ns)
        for scenario in scenarios:
            self._window(scenario)
        self._settle(scenarios)
        return self._session

    def _ordered(self, close_ns: int) -> list[Scenario]:
        """Seeded order; a sale from inventory stays behind its purchase, a lost frame comes last."""
        misses = near_misses(close_ns)
        last = [scenario for scenario in misses if scenario.opens_with_gap]
        chains: list[list[Scenario]] = []
        opportunities = planted_scenarios(close_ns) + fleeting_scenarios(close_ns)
        for scenario in opportunities + [m for m in misses if not m.opens_with_gap]:
            if chains and chains[-1][0].markets is scenario.markets:
                chains[-1].append(scenario)
            else:
                chains.append([scenario])
        heads = {id(chain[0]): chain for chain in chains}
        mixed = self._dice.shuffled([chain[0] for chain in chains])
        return [scenario for head in mixed for scenario in heads[id(head)]] + last

    def _open(self, scenarios: Sequence[Scenario], close_ns: int) -> None:
        self._session.frames.append(self._kalshi.subscribed(self._tick()))
        for scenario in scenarios:
            for name, spec in scenario.markets.items():
                if name not in self._specs:
                    self._add(name, spec, scenario.quotes[name])
            for relation in scenario.relations:
                self._session.relations.append(self._relation(scenario.name, relation))
        for index in range(NOISE_MARKETS):
            for venue in (Venue.POLYMARKET, Venue.KALSHI):
                name = f"noise-{venue.name.lower()}-{index}"
                self._add(name, market(name, venue, close_ns), quiet_book(4_500, 4_800))
                self._noise.append(name)

    def _relation(self, name: str, planted: SessionRelation) -> Relation:
        """Write the relation down as a person would; a trap lacks the approval or has read other rules."""
        members = [
            Member(
                venue=spec.venue,
                symbol=spec.symbol,
                rules_sha256=fingerprint(
                    f"{spec.rules_text} Older." if planted.stale_rules else spec.rules_text
                ),
            )
            for spec in (self._specs[member] for member in planted.members)
        ]
        return Relation(
            name=name,
            kind=planted.kind,
            member=tuple(members),
            exhaustive=planted.exhaustive,
            approved_by="session" if planted.approved else "",
            approved_on=APPROVED_ON if planted.approved else "",
        )

    def _add(self, name: str, spec: MarketSpec, quotes: Quotes) -> None:
        self._specs[name], self._quotes[name] = spec, quotes
        self._session.markets.append(spec)
        if spec.venue is Venue.KALSHI:
            self._session.frames.append(self._kalshi.snapshot(self._tick(), spec, quotes))
        else:
            self._session.frames.append(self._polymarket.books(self._tick(), spec, quotes))

    def _window(self, scenario: Scenario) -> None:
        start = self._now + BEFORE_NS
        alive = [name for name in scenario.markets if name not in scenario.silent]
        self._make_noise(start - ALIVE_BEFORE_NS, [])
        if scenario.opens_with_gap:
            self._kalshi.skip()
        for name in alive:
            self._sign_of_life(name)
        self._now = start
        self._apply(scenario.changes)
        planted_at = self._now
        gone_ns: tuple[int, ...] = ()
        if scenario.lasts_ns:
            self._now = planted_at + scenario.lasts_ns
            gone = self._apply(scenario.restore)
            gone_ns = tuple(gone[name] for name in scenario.markets)
            self._make_noise(start + AFTER_FLEETING_NS, alive)
        else:
            self._make_noise(start + PLANTED_FOR_NS, alive)
            self._apply(scenario.restore)
        markets = tuple((spec.venue, spec.symbol) for spec in scenario.markets.values())
        self._session.plantings.append(
            Planting(scenario.name, planted_at, self._now, markets, scenario.expected, gone_ns)
        )

    def _apply(self, changes: Sequence[tuple[str, LevelSet]]) -> dict[str, int]:
        """Say changes, run by run; when the first one of each market was said."""
        first_ns: dict[str, int] = {}
        for name, levels in _by_market(changes):
            first_ns.setdefault(name, self._now + FRAME_STEP_NS)
            self._say(name, levels)
        return first_ns

    def _say(self, name: str, levels: Sequence[LevelSet]) -> None:
        spec, quotes = self._specs[name], self._quotes[name]
        if spec.venue is Venue.POLYMARKET:
            self._session.frames.append(self._polymarket.changes(self._tick(), spec, quotes, levels))
            return
        for level in levels:
            self._session.frames.append(self._kalshi.delta(self._tick(), spec, quotes, level))

    def _sign_of_life(self, name: str) -> None:
        """Change a level so far away that nothing depends on it."""
        size = self._quotes[name].levels[Side.BID].get(FAR_BID_E4, 0)
        step = SIZE_ONE_E6 if size <= FAR_SIZE_E6 else -SIZE_ONE_E6
        self._say(name, [LevelSet(Side.BID, FAR_BID_E4, size + step)])

    def _make_noise(self, until_ns: int, alive: Sequence[str]) -> None:
        """Seeded updates of the noise markets until ``until_ns``, with signs of life of ``alive``."""
        while self._now + NOISE_STEP_NS < until_ns:
            self._now += NOISE_STEP_NS
            for other in alive:
                self._sign_of_life(other)
            name = self._noise[self._dice.below(len(self._noise))]
            depth = self._dice.below(8)
            bid = self._dice.below(2) == 0
            price = 4_500 - 100 * depth if bid else 4_800 + 100 * depth
            size = (1 + self._dice.below(500)) * SIZE_ONE_E6
            self._say(name, [LevelSet(Side.BID if bid else Side.ASK, price, size)])
        self._now = until_ns

    def _settle(self, scenarios: Sequence[Scenario]) -> None:
        done: set[str] = set()
        for scenario in scenarios:
            for name, value_e4 in scenario.settles_at_e4.items():
                if name in done:
                    continue
                done.add(name)
                spec = self._specs[name]
                if spec.venue is Venue.KALSHI:
                    self._session.frames.append(self._kalshi.determined(self._tick(), spec, value_e4))
                    self._session.frames.append(self._kalshi.settled(self._tick(), spec))
                else:
                    yes_wins = value_e4 == PRICE_ONE_E4
                    self._session.frames.append(
                        self._polymarket.resolved(self._tick(), spec, yes_wins=yes_wins)
                    )

    def _tick(self) -> int:
        self._now += FRAME_STEP_NS
        return self._now


def _by_market(changes: Sequence[tuple[str, LevelSet]]) -> Iterator[tuple[str, list[LevelSet]]]:
    """Runs of changes of one market, in order."""
    run: list[LevelSet] = []
    for index, (name, level) in enumerate(changes):
        run.append(level)
        if index + 1 == len(changes) or changes[index + 1][0] != name:
            yield name, run
            run = []
