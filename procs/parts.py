"""The stages of an engine, made for the process that runs them: all of them inline, or those of its roles.

Every process makes the same catalog from the same scene, so that a slot means the same market everywhere; the
memory of books, codecs and symbol tables is taken only where a stage needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from engine.book.store import BookStore
from engine.catalog.catalog import Catalog
from engine.catalog.defaults import FeeTable
from engine.catalog.market import MarketSpec
from engine.catalog.relations import Relation, RelationTable, Screened, screen
from engine.config import Config, Role, VenueConfig
from engine.execution.recovery import Past
from engine.ids import IdSource
from engine.ledger.journal import Journal
from engine.optimizer.allocator import Allocator, AllocatorLimits
from engine.records import Venue
from engine.risk.limits import gate_limits
from engine.sim.clearing import SettlementTimes
from engine.sim.latency import LatencyModel, Lognormal, Route
from engine.sim.venue import SimVenue
from engine.strategies.scanner import ArbitrageScanner
from engine.venues.codec import MarketDataCodec
from engine.venues.kalshi.codec import KalshiCodec
from engine.venues.polymarket.codec import PolymarketCodec
from engine.venues.symbols import SymbolTable
from procs.agent import BOOK, FEED, VENUE, Follow, role_at
from procs.book import BookAgent
from procs.catalog_segment import CatalogView, MarketNames
from procs.decision_log import DecisionLog
from procs.executor import ExecutorAgent
from procs.executor_start import Site, start_executor
from procs.feed import FeedAgent, race_of
from procs.fused_feed import FusedFeed
from procs.halt import HaltSwitch
from procs.ladder import EngineTime, Ladder
from procs.lost_books import LostBooks
from procs.optimizer import OptimizerAgent
from procs.registry import Registry
from procs.sim_venue import SimVenueAgent, StoreBook
from procs.strategy import StrategyAgent
from procs.tapes import Tapes
from procs.view import BookView
from procs.wires import Wires

VENUES: Final = (Venue.POLYMARKET, Venue.KALSHI)
PAGES_PER_SLOT: Final = 4
SYMBOLS_PER_SLOT: Final = 2
_CODECS: Final[Mapping[Venue, Callable[[SymbolTable], MarketDataCodec]]] = {
    Venue.POLYMARKET: PolymarketCodec,
    Venue.KALSHI: KalshiCodec,
}


@dataclass(frozen=True, slots=True)
class Scene:
    """What an engine is built for: markets known beforehand, relations, fees, and the date of the data."""

    markets: Sequence[MarketSpec]
    relations: Sequence[Relation]
    fees: FeeTable
    start_ns: int


class EngineParts:
    """Makes the stages of ``roles`` around one catalog.

    ``stores`` are the engine's books, ``venue_stores`` those of the simulated venues; each is there only for
    its role. ``boot_epoch`` was never used by an earlier start. ``tapes`` may stand between an agent and the
    wires. ``ladder``: how long the stages took. ``hears_sockets``: frames come over connections, which may be
    raced, and not from a recording.
    """

    def __init__(
        self,
        config: Config,
        scene: Scene,
        wires: Wires,
        roles: Collection[Role],
        boot_epoch: int,
        tapes: Tapes | None = None,
        ladder: Ladder | None = None,
        *,
        hears_sockets: bool = True,
    ) -> None:
        self._hears_sockets = hears_sockets
        self._ladder = ladder or Ladder()
        self.config = config
        self.tapes = tapes or Tapes(wires)
        self.catalog = Catalog(config.engine.market_slots)
        self.boot_epoch = boot_epoch
        self.wires = wires
        self.start_ns = scene.start_ns
        slots = config.engine.market_slots
        self.symbols = {venue: SymbolTable(SYMBOLS_PER_SLOT * slots) for venue in VENUES}
        self.stores = {venue: self._store() for venue in VENUES if Role.BOOK in roles}
        self.venue_stores = {venue: self._store() for venue in VENUES if Role.VENUE_SIM in roles}
        kept = (self.stores, self.venue_stores)
        self.registry = Registry(
            self.catalog,
            self.symbols,
            {venue: [stores[venue] for stores in kept if stores] for venue in VENUES},
            scene.fees,
            scene.start_ns,
            {venue: config.venues.of(venue).direct_member for venue in VENUES},
        )
        self.registry.add_all(scene.markets)
        self.screened: Screened = screen(scene.relations, self.catalog)
        self._executor_markets: CatalogView | None = None  # joined once, whoever executes

    def feed(self, venue: Venue, on_added: Callable[[], object] | None = None) -> FeedAgent:
        """Feed of a venue; a market that nothing described is added as its first frame comes.

        ``on_added`` is called before anything is published of such a market.
        """
        codec = _CODECS[venue](self.symbols[venue])

        def add(symbol: bytes) -> bool:
            added = self.registry.on_unknown(venue, symbol)
            if on_added is not None:
                on_added()
            return added

        codec.on_unknown = add
        role = role_at(FEED, venue)
        wires = self.tapes.wires(role)
        self.tapes.follow(role, self.registry)
        race = race_of(self.venue_configs()[venue].feed) if self._hears_sockets else None
        return FeedAgent(venue, codec, wires.updates[venue], race)

    def book(self, venue: Venue, follow: Follow | None = None, *, reads: bool = True) -> BookAgent:
        """Books of a venue. ``follow`` learns of new markets before what names them is applied.

        One that does not read is handed over what the feed says.
        """
        role = role_at(BOOK, venue)
        wires = self.tapes.wires(role)
        follow = self.tapes.follow(role, self.registry, follow)
        updates = wires.updates[venue] if reads else None
        notes, tops = wires.notes[venue], wires.tops[venue]
        store, rung = self.stores[venue], self._ladder.book
        return BookAgent(venue, store, updates, notes, tops, wires.books[venue], follow, rung)

    def fused(
        self,
        feed: FeedAgent,
        book: BookAgent,
        time: EngineTime,
        has_ended: Callable[[], bool] = lambda: False,
    ) -> FusedFeed:
        """Feed and books of one venue as one; both were made here, and the books do not read."""
        wires, venue = self.wires, book.venue
        assert isinstance(feed.codec, MarketDataCodec)
        return FusedFeed(
            feed,
            feed.codec,
            book,
            self.stores[venue],
            wires.updates[venue],
            wires.tops[venue],
            wires.books[venue],
            time,
            self._ladder.book,
            has_ended,
        )

    def strategy(self, follow: Follow | None = None) -> StrategyAgent:
        """Arbitrage over all venues."""
        role = StrategyAgent.role
        wires = self.tapes.wires(role)
        follow = self.tapes.follow(role, self.registry, follow)
        view = self._view(wires)
        relations = RelationTable(self.screened.accepted, self.catalog)
        scanner = ArbitrageScanner(
            self.catalog, relations, view.rows, self.config.strategy, first_signal_id=self._first_id()
        )
        is_taped = self.tapes.tape(role) is not None
        return StrategyAgent(scanner, view, wires, follow, self._ladder.strategy, is_taped=is_taped)

    def optimizer(self) -> OptimizerAgent:
        """Allocation of cash and slots."""
        role = OptimizerAgent.role
        wires = self.tapes.wires(role)
        self.tapes.follow(role, self.registry)
        view, markets = self._view(wires), wires.catalog.view(role)
        limits = AllocatorLimits.from_config(self.config)
        allocator = Allocator(markets.rows, view.rows, limits, first_plan_id=self._first_id())
        is_taped = self.tapes.tape(role) is not None
        return OptimizerAgent(allocator, view, markets, wires, self._ladder.optimizer, is_taped=is_taped)

    def executor(
        self,
        journal: Journal,
        past: Past,
        now_ns: int,
        is_full: Callable[[], bool] = lambda: False,
        halt: HaltSwitch | None = None,
    ) -> ExecutorAgent:
        """Executor with its desk that goes on after ``past``; with none, on the paper cash as configured."""
        role = ExecutorAgent.role
        wires = self.tapes.wires(role)
        self.tapes.follow(role, self.registry)
        if self._executor_markets is None:
            self._executor_markets = wires.catalog.view(role)
        cash = {venue: settings.paper_cash_micros for venue, settings in self.venue_configs().items()}
        limits = gate_limits(self.config.risk, self.venue_configs())
        site = Site(
            self.catalog,
            self._executor_markets,
            self._view(wires),
            wires,
            limits,
            self.config.execution,
            halt,
            self.boot_epoch,
            self._ladder.executor,
        )
        return start_executor(site, journal, past, cash, now_ns, is_full, new_venues=True)

    def venue(self, venue: Venue, latency_scale: int, follow: Follow | None = None) -> SimVenueAgent:
        """Simulated venue, every way to and from it ``latency_scale`` times as long as configured."""
        role = role_at(VENUE, venue)
        wires = self.tapes.wires(role)
        follow = self.tapes.follow(role, self.registry, follow)
        settings = self.venue_configs()[venue]
        latency = settings.latency
        route = Route(
            Lognormal(latency.order_median_ns, latency.order_p99_ns),
            Lognormal(latency.report_median_ns, latency.report_p99_ns),
        )
        seed = self.config.engine.seed + int(venue)
        store = self.venue_stores[venue]
        book = StoreBook(store, LostBooks(store, wires.books[venue], wires.wanted[venue]))
        sim = SimVenue(
            venue,
            self.catalog,
            book,
            LatencyModel(seed, route, scale=latency_scale),
            seed,
            cash_micros=settings.paper_cash_micros,
            times=SettlementTimes(
                latency.confirm_ns, latency.confirm_ns, latency.convert_ns, latency.convert_ns
            ),
        )
        return SimVenueAgent(venue, sim, wires, latency.settle_ns, follow, book)

    def decision_log(self, file: BinaryIO | None) -> DecisionLog:
        """Log of every stage's decisions into ``file``, behind what is there."""
        relations = [entry.relation.name for entry in self.screened.accepted]
        begins = file is None or not file.seekable() or file.tell() == 0
        return DecisionLog(file, MarketNames(self.wires.catalog).name, relations, begins=begins)

    def venue_configs(self) -> dict[Venue, VenueConfig]:
        """Settings by venue."""
        return {venue: self.config.venues.of(venue) for venue in VENUES}

    def _store(self) -> BookStore:
        slots = self.config.engine.market_slots
        return BookStore(slots, self.boot_epoch, PAGES_PER_SLOT * slots, self.config.book.crossed_max_ns)

    def _first_id(self) -> int:
        """The first id of this start, above those of all earlier ones; the very first counts from 1."""
        return 1 if self.boot_epoch == 1 else IdSource(self.boot_epoch).next_id()

    def _view(self, wires: Wires) -> BookView:
        return BookView(wires.books, self.config.engine.market_slots)
