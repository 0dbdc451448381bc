"""The whole engine in one process under a virtual clock: topology ``inline``.

Every stage is the agent that a process of its own would run, and they meet in the same rings and tables;
only the memory is private and one loop calls them all.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np

from engine.book.store import BookStore
from engine.catalog.catalog import Catalog
from engine.catalog.defaults import FeeTable
from engine.catalog.market import MarketSpec
from engine.catalog.relations import Relation, RelationTable, Screened, screen
from engine.config import Config, VenueConfig
from engine.execution.config import ExecutionConfig
from engine.execution.recovery import Past
from engine.ledger.journal import Journal
from engine.optimizer.allocator import Allocator, AllocatorLimits
from engine.records import Venue
from engine.risk.limits import gate_limits
from engine.sim.clearing import SettlementTimes
from engine.sim.latency import LatencyModel, Lognormal, Route
from engine.sim.venue import SimVenue
from engine.strategies.scanner import ArbitrageScanner
from engine.venues.kalshi.codec import KalshiCodec
from engine.venues.polymarket.codec import PolymarketCodec
from engine.venues.symbols import SymbolTable
from procs.agent import Agent
from procs.book import BookAgent
from procs.catalog_agent import CatalogAgent
from procs.catalog_segment import CatalogView, MarketNames
from procs.decision_agent import DecisionAgent
from procs.decision_log import DecisionLog
from procs.desk import Desk
from procs.executor import ExecutorAgent
from procs.executor_start import Site, start_executor
from procs.feed import FeedAgent
from procs.inline import InlineRunner, VirtualClock
from procs.journal_file import JournalFile
from procs.optimizer import OptimizerAgent
from procs.recording_frames import Frame
from procs.registry import Registry
from procs.sim_venue import SimVenueAgent, StoreBook
from procs.source import SourceAgent
from procs.strategy import StrategyAgent
from procs.view import BookView
from procs.wires import Wires

VENUES: Final = (Venue.POLYMARKET, Venue.KALSHI)
BOOT_EPOCH: Final = 1  # of a run that leaves nothing behind
PAGES_PER_SLOT: Final = 4
SYMBOLS_PER_SLOT: Final = 2

Watch = Callable[[np.void], None]


@dataclass(frozen=True, slots=True)
class Scene:
    """What an engine is built for: markets known beforehand, relations, fees, and the date of the data."""

    markets: Sequence[MarketSpec]
    relations: Sequence[Relation]
    fees: FeeTable
    start_ns: int


class InlineEngine:
    """All stages around one catalog. ``run`` replays frames through them and lets what is pending happen.

    ``latency_scale`` stretches every simulated way; ``decisions`` receives the decision log; ``journal`` the
    journal, which otherwise is kept in ``journal_bytes``; ``watch_decision`` and ``watch_report`` are shown
    what passes.
    """

    def __init__(
        self,
        config: Config,
        scene: Scene,
        *,
        latency_scale: int = 1,
        decisions: BinaryIO | None = None,
        pace: Callable[[int], None] | None = None,
        journal: JournalFile | None = None,
    ) -> None:
        self.config = config
        self.catalog = Catalog(config.engine.market_slots)
        slots = config.engine.market_slots
        self.symbols = {venue: SymbolTable(SYMBOLS_PER_SLOT * slots) for venue in VENUES}
        self.stores = {venue: self._store() for venue in VENUES}
        self._venue_stores = {venue: self._store() for venue in VENUES}
        self.registry = Registry(
            self.catalog,
            self.symbols,
            {venue: (self.stores[venue], self._venue_stores[venue]) for venue in VENUES},
            scene.fees,
            scene.start_ns,
            {venue: config.venues.of(venue).direct_member for venue in VENUES},
        )
        self.registry.add_all(scene.markets)
        self.screened: Screened = screen(scene.relations, self.catalog)
        self.wires = Wires.private(VENUES, slots)
        self.journal_bytes = io.BytesIO()
        self._journal_file = journal
        self._pace = pace
        self._start_ns = scene.start_ns
        self.feeds = self._make_feeds()
        self.books = [
            BookAgent(
                venue,
                self.stores[venue],
                self.wires.updates[venue],
                self.wires.tops[venue],
                self.wires.books[venue],
            )
            for venue in VENUES
        ]
        self.strategy = self._make_strategy()
        self.optimizer = self._make_optimizer()
        self._executor_markets = CatalogView(self.wires.catalog, ExecutorAgent.role)
        self.executor = self._first_executor()
        self.venues = {venue: self._make_venue(venue, latency_scale) for venue in VENUES}
        relations = [entry.relation.name for entry in self.screened.accepted]
        self.log = DecisionLog(decisions, MarketNames(self.wires.catalog).name, relations)

    @property
    def desk(self) -> Desk:
        """Accounts, journal and gate."""
        return self.executor.desk

    def run(
        self,
        frames: Iterator[Frame],
        *,
        watch_decision: Watch | None = None,
        watch_report: Watch | None = None,
        on_step: Callable[[SourceAgent, int], None] | None = None,
    ) -> SourceAgent:
        """Replay ``frames`` to their end and let everything pending happen.

        Answers the source with its counts.
        """
        source = SourceAgent(frames, self.feeds, self._pace)
        self.decisions = DecisionAgent(self.log, self.wires, watch_decision)
        self.desk.watch = watch_report
        clock = VirtualClock(self._start_ns)
        runner = InlineRunner(self._in_order(source), clock)
        runner.start()
        try:
            while runner.step():
                if on_step is not None:
                    on_step(source, clock.now_ns)
        finally:
            runner.close()
        return source

    def _in_order(self, source: SourceAgent) -> list[Agent]:
        return [
            source,
            *self.feeds.values(),
            CatalogAgent(self.catalog, self.wires.catalog),
            *self.books,
            *self.venues.values(),
            self.executor,
            self.strategy,
            self.optimizer,
            self.decisions,
        ]

    def _store(self) -> BookStore:
        slots = self.config.engine.market_slots
        return BookStore(slots, BOOT_EPOCH, PAGES_PER_SLOT * slots, self.config.book.crossed_max_ns)

    def _make_feeds(self) -> Mapping[Venue, FeedAgent]:
        polymarket = PolymarketCodec(self.symbols[Venue.POLYMARKET])
        kalshi = KalshiCodec(self.symbols[Venue.KALSHI])
        polymarket.on_unknown = lambda symbol: self.registry.on_unknown(Venue.POLYMARKET, symbol)
        kalshi.on_unknown = lambda symbol: self.registry.on_unknown(Venue.KALSHI, symbol)
        return {
            Venue.POLYMARKET: FeedAgent(Venue.POLYMARKET, polymarket, self.wires.updates[Venue.POLYMARKET]),
            Venue.KALSHI: FeedAgent(Venue.KALSHI, kalshi, self.wires.updates[Venue.KALSHI]),
        }

    def _view(self) -> BookView:
        return BookView(self.wires.books, self.config.engine.market_slots)

    def _make_strategy(self) -> StrategyAgent:
        view = self._view()
        relations = RelationTable(self.screened.accepted, self.catalog)
        scanner = ArbitrageScanner(self.catalog, relations, view.rows, self.config.strategy)
        return StrategyAgent(scanner, view, self.wires)

    def _make_optimizer(self) -> OptimizerAgent:
        view, markets = self._view(), CatalogView(self.wires.catalog, OptimizerAgent.role)
        allocator = Allocator(markets.rows, view.rows, AllocatorLimits.from_config(self.config))
        return OptimizerAgent(allocator, view, markets, self.wires)

    def journal_content(self) -> bytes:
        """All whole entries written so far."""
        return self.journal_bytes.getvalue() if self._journal_file is None else self._journal_file.content()

    def _first_executor(self) -> ExecutorAgent:
        """An executor with nothing before it: its venues are new, so there is nothing to ask them."""
        file = self._journal_file
        if file is None:
            return self.make_executor(Journal(self.journal_bytes, lambda: None), Past(), self._start_ns)
        return self.make_executor(file.writer(), Past(), self._start_ns, lambda: file.is_full)

    def make_executor(
        self, journal: Journal, past: Past, now_ns: int, is_full: Callable[[], bool] = lambda: False
    ) -> ExecutorAgent:
        """An executor over these wires that goes on after ``past``."""
        cash = {venue: settings.paper_cash_micros for venue, settings in self._venue_configs().items()}
        limits = gate_limits(self.config.risk, self._venue_configs())
        site = Site(self.catalog, self._executor_markets, self._view(), self.wires, limits, ExecutionConfig())
        return start_executor(site, journal, past, cash, now_ns, is_full, new_venues=True)

    def _make_venue(self, venue: Venue, latency_scale: int) -> SimVenueAgent:
        settings = self._venue_configs()[venue]
        latency = settings.latency
        route = Route(
            Lognormal(latency.order_median_ns, latency.order_p99_ns),
            Lognormal(latency.report_median_ns, latency.report_p99_ns),
        )
        seed = self.config.engine.seed + int(venue)
        sim = SimVenue(
            venue,
            self.catalog,
            StoreBook(self._venue_stores[venue]),
            LatencyModel(seed, route, scale=latency_scale),
            seed,
            cash_micros=settings.paper_cash_micros,
            times=SettlementTimes(
                latency.confirm_ns, latency.confirm_ns, latency.convert_ns, latency.convert_ns
            ),
        )
        return SimVenueAgent(venue, sim, self.wires, latency.settle_ns)

    def _venue_configs(self) -> dict[Venue, VenueConfig]:
        return {venue: self.config.venues.of(venue) for venue in VENUES}
