"""The stages of one process in pipeline order: those of its roles, or all of them inline."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection
from typing import Any, BinaryIO

import numpy.typing as npt

from engine.config import Role
from engine.execution.recovery import Past, recover
from engine.ledger.journal import Journal
from engine.records import Venue
from procs.agent import Agent
from procs.catalog_agent import CatalogAgent
from procs.catalog_follower import CatalogFollower
from procs.decision_agent import DecisionAgent
from procs.executor import ExecutorAgent
from procs.feed_link import FeedSink
from procs.findings import Findings, book_found, desk_found, feed_found, log_found
from procs.fused_feed import FusedFeed
from procs.halt import HaltSwitch
from procs.journal_file import JournalFile
from procs.ladder import EngineTime
from procs.optimizer import OptimizerAgent
from procs.parts import VENUES, EngineParts
from procs.session_watch import SessionWatch
from procs.strategy import StrategyAgent
from procs.taped import TapedJournal, TapedSwitch
from procs.venue_word import said_by
from shm.reader import EVERY_MESSAGE


class Stages:
    """Agents of ``roles``. An attribute is None, or empty, where the role is another process's.

    ``decisions`` receives the decision log, ``journal`` the executor's journal, which otherwise is kept in
    memory; the executor's gate follows ``halt``. ``watch`` is shown every decision, and every report that
    was journaled, as far as these stages make them. With ``fused``, which is engine time, the feeds and
    the books of one process are one; ``has_ended``: the run is over. ``leads``: behind these the strategy, if
    it is here, decides in the same call, whatever agents come before it otherwise. ``log_at_once``: decisions
    of a stage that are written in one go.
    """

    def __init__(
        self,
        parts: EngineParts,
        roles: Collection[Role],
        *,
        latency_scale: int = 1,
        decisions: BinaryIO | None = None,
        watch: SessionWatch | None = None,
        journal: JournalFile | None = None,
        halt: HaltSwitch | None = None,
        now_ns: int | None = None,
        fused: EngineTime | None = None,
        has_ended: Callable[[], bool] = lambda: False,
        log_at_once: int = EVERY_MESSAGE,
        leads: bool = False,
    ) -> None:
        wires = parts.wires
        self._watch = watch
        self._parts = parts
        self._journal_file = journal
        self._journal_bytes = io.BytesIO()
        self._keeper = CatalogAgent(parts.catalog, wires.catalog) if Role.FEED in roles else None
        self._follower = None if self._keeper else CatalogFollower(wires.catalog, parts.registry)
        news = self._keeper.publish if self._keeper else None
        follow = self._follower.follow if self._follower else None
        self.feeds = {venue: parts.feed(venue, news) for venue in VENUES if Role.FEED in roles}
        is_fused = fused is not None and bool(self.feeds)
        self.books = [parts.book(venue, follow, reads=not is_fused) for venue in VENUES if Role.BOOK in roles]
        self._fused: dict[Venue, FusedFeed] = {}
        if fused is not None and self.feeds:
            self._fused = {
                book.venue: parts.fused(self.feeds[book.venue], book, fused, has_ended) for book in self.books
            }
        self.venues = {
            venue: parts.venue(venue, latency_scale, follow) for venue in VENUES if Role.VENUE_SIM in roles
        }
        self.executor: ExecutorAgent | None = None
        self.strategy: StrategyAgent | None = None
        self.optimizer: OptimizerAgent | None = None
        self.decisions: DecisionAgent | None = None
        if Role.EXECUTOR in roles:
            self.executor = self._make_executor(halt, parts.start_ns if now_ns is None else now_ns)
            self.executor.desk.watch = watch.on_report if watch else None
        if Role.STRATEGY in roles:
            self.strategy = parts.strategy(follow)
            for feed in self._fused.values() if leads else ():
                feed.lead_to(self.strategy)
        if Role.OPTIMIZER in roles:
            self.optimizer = parts.optimizer()
            if leads and self.strategy is not None:
                self.strategy.lead_to(self.optimizer)
        if Role.LEDGER in roles:
            on_decision = watch.on_decision if watch else None
            self.decisions = DecisionAgent(parts.decision_log(decisions), wires, on_decision, log_at_once)

    def in_order(self) -> list[Agent]:
        """All of them, each before those that read what it writes."""
        catalog: tuple[Agent | None, ...] = (self._keeper, self._follower)
        single: tuple[Agent | None, ...] = (self.executor, self.strategy, self.optimizer, self.decisions)
        agents = [
            *self.feeds.values(),
            *(agent for agent in catalog if agent is not None),
            *self.books,
            *self.venues.values(),
            *(agent for agent in single if agent is not None),
        ]
        return [self._parts.tapes.agent(agent) for agent in agents]

    def sinks(self) -> dict[Venue, FeedSink]:
        """Where the frames of each venue go."""
        tapes = self._parts.tapes
        if self._fused:
            return dict(self._fused)
        return {venue: tapes.sink(feed.role, feed) for venue, feed in self.feeds.items()}

    def scratch(self) -> list[npt.NDArray[Any]]:
        """Memory that they work on at every message, as far as compiled calls do (``procs.kept_warm``)."""
        known = (*self._fused.values(), self.strategy, self.optimizer)
        return [array for stage in known if stage is not None for array in stage.scratch()]

    def close_sockets(self) -> None:
        """The sockets are about to be closed by us: that is no word on the books."""
        for fused in self._fused.values():
            fused.part()

    def stop(self, now_ns: int) -> None:
        """Begin nothing more; what was begun goes on to its end."""
        for agent in (self.strategy, self.executor):
            if agent is not None:
                self._parts.tapes.stop(agent, now_ns)

    @property
    def are_done(self) -> bool:
        """Whether what was begun here has come to its end."""
        return self.executor is None or self.executor.is_done

    def journal_content(self) -> bytes:
        """All whole entries of the executor's journal so far."""
        return self._journal_bytes.getvalue() if self._journal_file is None else self._journal_file.content()

    def _make_executor(self, halt: HaltSwitch | None, now_ns: int) -> ExecutorAgent:
        """An executor that goes on after what its journal has."""
        parts, file = self._parts, self._journal_file
        tape = parts.tapes.tape(ExecutorAgent.role)
        if tape is not None:
            taped = TapedJournal(file, self._journal_bytes, tape)
            switch = None if halt is None else TapedSwitch(halt, tape)
            return parts.executor(taped.writer(), recover(taped.entries), now_ns, taped.is_full, switch)
        if file is None:
            journal = Journal(self._journal_bytes, lambda: None)
            return parts.executor(journal, Past(), now_ns, halt=halt)
        return parts.executor(file.writer(), recover(file.entries), now_ns, lambda: file.is_full, halt)

    def findings(self) -> Findings:
        """What these stages found."""
        parts = self._parts
        lost = sum(book.lost for book in self.books)
        return Findings(
            feed=feed_found(self.feeds.values(), parts.registry) if self.feeds else None,
            book=book_found(parts.stores, parts.catalog, lost) if self.books else None,
            desk=desk_found(self.executor, self.journal_content()) if self.executor else None,
            log=log_found(self.decisions, self._watch) if self.decisions else None,
            venues=said_by(self.venues) if self.venues else None,
        )
