"""What the stages of a run found, each in the process where it ran; put together they are the run's result.

A process writes its part as a file of its run directory when it ends; inline, all parts come from one
process. Money in micro-dollars, sizes in 1e-6 contract.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from engine.book.store import BookStore
from engine.catalog.catalog import Catalog
from engine.errors import EngineRunning
from engine.execution.recovery import recover
from engine.ledger.journal import read_journal
from engine.records import Side, Trust, Venue
from engine.venues.counts import Count
from procs.decision_agent import DecisionAgent
from procs.executor import ExecutorAgent
from procs.feed import FeedAgent
from procs.paper_result import KindCount, VenueAccount
from procs.registry import Registry
from procs.session_watch import SessionWatch
from procs.venue_word import VenueSays


@dataclass(frozen=True, slots=True)
class FeedFound:
    """What came in."""

    frames: int
    level_writes: int
    rejected: int
    ignored: int
    seq_gaps: int
    markets: int
    defaulted: tuple[str, ...]  # metadata that a default stood in for, with its count


@dataclass(frozen=True, slots=True)
class BookFound:
    """Books at the end. ``digest`` is over every level of every market by name: equal books, equal digest."""

    by_trust: dict[str, int]
    digest: str
    lost: int  # update records that were overwritten before they were read


@dataclass(frozen=True, slots=True)
class DeskFound:
    """Accounts, and what became of orders; ``accounts`` without the venue's own word.

    ``orders`` were sent, ``plans`` taken and done; ``drawdown_ppm`` is that since the last start.
    """

    orders: int
    plans: int
    fills: int
    fees_micros: int
    realised_micros: int
    marked_micros: int
    cost_held_micros: int
    drawdown_ppm: int
    stopped_by: str
    statuses: dict[str, int]
    accounts: dict[str, VenueAccount]


@dataclass(frozen=True, slots=True)
class LogFound:
    """Decisions: rows of the funnel as (stage, kind, reason, count)."""

    kinds: dict[str, KindCount]
    funnel: tuple[tuple[str, str, str, int], ...]
    lines: int
    reasons: tuple[tuple[int, ...], ...]  # codes noted for each planting of a session


@dataclass(frozen=True, slots=True)
class SourceFound:
    """The recording: receive times of its first and last frame, and what of it was damaged ("" nothing)."""

    frames: int
    first_ns: int
    last_ns: int
    damage: str


@dataclass(frozen=True, slots=True)
class Findings:
    """Parts of one run; a part is None where its stage did not run."""

    source: SourceFound | None = None
    feed: FeedFound | None = None
    book: BookFound | None = None
    desk: DeskFound | None = None
    log: LogFound | None = None
    venues: dict[str, VenueSays] | None = None

    def with_parts(self, other: Findings) -> Findings:
        """Both together; EngineRunning when two processes ran the same stage."""
        for name in self.__slots__:
            if getattr(self, name) is not None and getattr(other, name) is not None:
                raise EngineRunning(f"two processes have run the same stage: {name}")
        return Findings(*(getattr(self, n) or getattr(other, n) for n in self.__slots__))


def feed_found(feeds: Iterable[FeedAgent], registry: Registry) -> FeedFound:
    """Counts of all feeds."""
    feeds = list(feeds)

    def total(*what: Count) -> int:
        return sum(int(feed.codec.counts[name]) for feed in feeds for name in what)

    return FeedFound(
        frames=sum(feed.frames for feed in feeds),
        level_writes=total(Count.SNAPSHOT_LEVELS, Count.LEVEL_SETS, Count.LEVEL_ADDS),
        rejected=total(Count.REJECTED),
        ignored=total(Count.IGNORED, Count.UNKNOWN_TYPE),
        seq_gaps=total(Count.SEQ_GAPS),
        markets=len(registry.catalog),
        defaulted=tuple(f"{name} x{times}" for name, times in sorted(registry.defaulted.items())),
    )


def book_found(stores: Mapping[Venue, BookStore], catalog: Catalog, lost: int) -> BookFound:
    """Trust and levels of every open book."""
    counts: Counter[str] = Counter()
    digest = hashlib.sha256()
    for (venue, symbol), slot in sorted(catalog.symbols.items()):
        book = stores[venue].books[slot]
        if not book["is_open"]:
            continue
        counts[Trust(int(book["trust"])).name.lower()] += 1
        digest.update(f"{venue.name} {symbol} {int(book['trust'])}\n".encode())
        for side in Side:
            prices, sizes = stores[venue].levels(slot, side)
            digest.update(np.stack((prices, sizes)).tobytes())
    return BookFound(dict(counts), digest.hexdigest(), lost)


def desk_found(executor: ExecutorAgent, journal: bytes) -> DeskFound:
    """Accounts at the end; AssertionError unless the journal alone gives the same.

    What is counted is of all lives of the executor, for the journal is.
    """
    desk = executor.desk
    gate, ledger = desk.gate, desk.ledger
    ledger.verify()
    past = recover(read_journal(journal))
    past.ledger.verify()
    if past.ledger.accounts != ledger.accounts or past.ledger.positions != ledger.positions:
        raise AssertionError("the journal does not give the accounts of the run")
    statuses = Counter(order.status for _, order in past.orders.values())
    return DeskFound(
        orders=len(past.sent),
        plans=len(past.plans.keys() & past.ends.keys()),
        fills=ledger.fills,
        fees_micros=ledger.fees_micros(),
        realised_micros=ledger.realised_micros(),
        marked_micros=desk.holdings_micros(),
        cost_held_micros=ledger.locked_micros(),
        drawdown_ppm=gate.drawdown_max_ppm,
        stopped_by=gate.stopped_by.name.lower() if gate.stopped_by else "",
        statuses={status.name.lower(): times for status, times in statuses.items()},
        accounts={
            Venue(venue).name.lower(): VenueAccount(
                opening_micros=account.opening_micros,
                closing_micros=account.cash_micros,
                venue_says_micros=account.cash_micros,
                fees_micros=account.fees_micros,
            )
            for venue, account in ledger.accounts.items()
        },
    )


def log_found(decisions: DecisionAgent, watch: SessionWatch | None) -> LogFound:
    """Decisions by kind and by reason."""
    return LogFound(
        kinds={kind.name.lower(): count for kind, count in sorted(decisions.kinds.items())},
        funnel=tuple(decisions.log.funnel.rows()),
        lines=decisions.log.lines,
        reasons=watch.reasons() if watch else (),
    )


def with_venues_word(
    accounts: Mapping[str, VenueAccount], says: Mapping[str, VenueSays]
) -> dict[str, VenueAccount]:
    """Accounts with the cash that the venues themselves name."""
    return {
        name: replace(account, venue_says_micros=says[name].cash_micros) for name, account in accounts.items()
    }
