"""What a process counts, for whoever looks: the segment ``counters.PROCESS`` of its run directory.

Stages count in their own memory, as part of their work; once a second their process copies the counts into
the segment. So nothing of this is on the way of a frame, and what is shown is at most a second old. Labels
are as ``procs.metric_names`` reads them; a process that is begun again counts from nothing, as counters do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Final

import numpy as np

from engine.book.store import BookStore
from engine.execution.outputs import ExecutorCounts
from engine.reasons import Reason
from engine.records import Trust, Venue
from engine.venues.counts import RECORDS_OF_KIND, Count
from engine.venues.race import RaceCounts
from procs.book import BookAgent
from procs.decision_agent import DecisionAgent
from procs.decision_log import why_not
from procs.executor import ExecutorAgent
from procs.feed import FeedAgent
from procs.feed_counters import FeedCounters
from procs.metric_names import COUNTERS_AFFIX
from procs.sim_venue import SimVenueAgent
from procs.stages import Stages
from shm.counters import Counters

Values = Iterator[tuple[str, int]]  # a counter's label, and what it stands at

SOCKET_COUNTS: Final = tuple(
    field.name for field in fields(FeedCounters) if field.name not in ("live", "closes")
)
RACE_COUNTS: Final = tuple(field.name for field in fields(RaceCounts))
EXECUTOR_COUNTS: Final = tuple(field.name for field in fields(ExecutorCounts))
REASONS: Final = tuple(reason for reason in Reason if reason is not Reason.NONE)


class Telemetry:
    """The counters of one process. ``sockets`` answers the counts of its sockets, by venue.

    ``drills`` answers how many frames were drilled with, in a process that may do so.
    """

    def __init__(
        self,
        process: str,
        stages: Stages,
        stores: Mapping[Venue, BookStore],
        directory: Path,
        epoch: int,
        drills: Callable[[], int] | None = None,
    ) -> None:
        """Make the segment, or take over a dead one's. Raises as ``Counters.create_or_adopt``."""
        self.sockets: Mapping[Venue, FeedCounters] = {venue: FeedCounters() for venue in stages.feeds}
        self._stages = stages
        self._drills = drills
        self._stores = stores
        labels = [label for label, _ in self._now()]
        self._counters: Counters | None = None
        if labels:
            self._counters = Counters.create_or_adopt(
                labels, name=f"{COUNTERS_AFFIX}.{process}", epoch=epoch, directory=directory
            )
        self.tell()

    def tell(self) -> None:
        """Copy every count."""
        if self._counters is not None:
            for label, value in self._now():
                self._counters.set(label, value)

    def _now(self) -> Values:
        stages = self._stages
        for venue, feed in stages.feeds.items():
            yield from _of_venue(venue, _feed(feed))
        for venue, sockets in self.sockets.items():
            yield from _of_venue(venue, _sockets(sockets))
        for book in stages.books:
            yield from _of_venue(book.venue, _book(book, self._stores[book.venue]))
        for venue, simulated in stages.venues.items():
            yield from _of_venue(venue, _simulated(simulated))
        if stages.strategy is not None:
            yield "strategy_tops", stages.strategy.tops
            yield "strategy_lost_tops", stages.strategy.lost
            yield "strategy_signals", stages.strategy.signals
        if stages.optimizer is not None:
            yield "optimizer_signals", stages.optimizer.signals
            yield "optimizer_plans", stages.optimizer.plans
        if stages.executor is not None:
            yield from _executor(stages.executor)
        if stages.decisions is not None:
            yield from _decisions(stages.decisions)
        if self._drills is not None:
            yield "drills", self._drills()


def _of_venue(venue: Venue, values: Values) -> Values:
    for label, value in values:
        name, comma, rest = label.partition(",")
        yield f"{name},venue={venue.name.lower()}{comma}{rest}", value


def _feed(feed: FeedAgent) -> Values:
    counts = feed.codec.counts.tolist()
    for count in Count:
        yield f"feed_{count.name.lower()}", counts[count]
    yield "feed_updates", sum(counts[RECORDS_OF_KIND:])
    yield "feed_refused_messages", feed.refused
    raced = RaceCounts() if feed.race is None else feed.race.counts
    for name in RACE_COUNTS:
        yield f"feed_raced_{name}", getattr(raced, name)


def _sockets(counters: FeedCounters) -> Values:
    yield "sockets_live_now", counters.live
    yield "socket_closes", counters.closes.total()
    for name in SOCKET_COUNTS:
        yield f"socket_{name}", getattr(counters, name)


def _book(book: BookAgent, store: BookStore) -> Values:
    for name, value in store.counts().items():
        yield f"book_{name}", value
    yield "book_lost_updates", book.lost
    yield "book_laps", book.laps
    trusts = np.bincount(store.books["trust"][store.books["is_open"] != 0], minlength=len(Trust)).tolist()
    for trust in Trust:
        yield f"books_now,trust={trust.name.lower()}", trusts[trust]


def _simulated(venue: SimVenueAgent) -> Values:
    yield "venue_requests", venue.sim.requests
    yield "venue_cancels", venue.sim.cancels
    yield "venue_queries", venue.sim.queries
    yield "venue_unpaid", venue.unpaid
    yield "venue_laps", venue.laps
    yield "venue_lost_updates", venue.lost
    yield "venue_missed_books", venue.missed_books


def _executor(executor: ExecutorAgent) -> Values:
    for name in EXECUTOR_COUNTS:
        yield f"executor_{name}", getattr(executor.executor.counts, name)
    desk = executor.desk
    yield "executor_orders", executor.orders
    yield "executor_fills", desk.ledger.fills
    yield "executor_ready_now", int(executor.is_ready)
    for venue in Venue:
        account = desk.ledger.accounts.get(venue)
        yield f"cash_micros_now,venue={venue.name.lower()}", 0 if account is None else account.cash_micros


def _decisions(decisions: DecisionAgent) -> Values:
    yield "decisions", decisions.log.lines
    counted = dict(why_not(decisions.log.funnel))
    for reason in REASONS:
        yield f"refusals,reason={reason.name.lower()}", counted.get(reason.name.lower(), 0)
