"""``pr3dict run`` with feed and books in processes of their own: doubt crosses from one to the other.

The venues are simulated on real sockets in this process, and play a frame when a test says so.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from engine.records import BOOK_ROW, Trust, Venue
from engine.sim.session.build import Session
from engine.sim.session.planted import partition_buy_yes
from procs.venue_sim.faults import Fault, Gap
from procs.venue_sim.simulation import SimOptions, VenueSim
from procs.venue_sim.tape import recorded_tape
from shm.table import Table
from tests.procs.cli.test_run import Engine, until
from tests.procs.planted_session import CLOSE_NS, frames_of, session_of
from tests.procs.test_paper_processes import recorded

pytestmark = [pytest.mark.compiled_only, pytest.mark.soak]

LOST: Final = 30  # Kalshi's frame that nobody gets
VENUES: Final = (Venue.POLYMARKET, Venue.KALSHI)


@pytest.fixture(scope="module")
def session() -> Session:
    return session_of(partition_buy_yes(("medium", (110,)), CLOSE_NS, Venue.KALSHI))


class PlayedByHand:
    """Both venues, served from a thread, and moved frame by frame."""

    def __init__(self, session: Session, recording: Path) -> None:
        self._frames = frames_of(session)
        self._opened = ExitStack()
        fault = Fault(venue=Venue.KALSHI, kind=Gap(), at_frame=LOST)
        options = SimOptions(start_when_subscribed=None, faults=(fault,))
        self.sim = VenueSim(recorded_tape([recording], self._opened, align_start=False), options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.call(self.sim.open)

    def call(self, what: Callable[[], object]) -> None:
        """Do it in the venues' thread, and wait."""

        async def do() -> None:
            done = what()
            if asyncio.iscoroutine(done):
                await done

        asyncio.run_coroutine_threadsafe(do(), self._loop).result(60)

    def play(self, n_kalshi: int) -> None:
        """Deliver frames until ``n_kalshi`` of Kalshi's have been."""

        def deliver() -> None:
            while self.sim.logs["kalshi"].frames < n_kalshi:
                self.sim.deliver(next(self._frames))

        self.call(deliver)

    def close(self) -> None:
        self.call(self.sim.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._opened.close()


class Books:
    """Rows of a running engine's books, read from outside."""

    def __init__(self, run_dir: Path, n_markets: int) -> None:
        self._tables = {
            venue: Table.attach(f"books.{venue.name.lower()}", BOOK_ROW, run_dir) for venue in VENUES
        }
        self._n_markets = n_markets

    def rows(self, venue: Venue) -> list[np.void]:
        """Those of the venue's open markets."""
        found = []
        for slot in range(self._n_markets):
            row = np.zeros(1, BOOK_ROW)
            if self._tables[venue].read(slot, row) and row[0]["epoch"] and row[0]["venue"] == venue:
                found.append(row[0])
        return found

    def epochs(self) -> dict[int, int]:
        """Of every LIVE book by slot."""
        rows = [row for venue in VENUES for row in self.rows(venue)]
        return {int(row["slot"]): int(row["epoch"]) for row in rows if row["trust"] == Trust.LIVE}

    def all_live(self) -> bool:
        return len(self.epochs()) == self._n_markets


@pytest.fixture
def venues(session: Session, tmp_path: Path) -> Iterator[PlayedByHand]:
    played = PlayedByHand(session, recorded(session, tmp_path / "session.ndjson.zst"))
    try:
        yield played
    finally:
        played.close()


def test_p1_p2_and_a_gap_where_feed_and_books_are_processes_of_their_own(
    session: Session, venues: PlayedByHand, tmp_path: Path
) -> None:
    """One engine for all of it: a start takes seconds."""
    n_markets = len(session.markets)
    engine = Engine(tmp_path / "session.ndjson.zst", venues.sim.endpoints, tmp_path, "--topology", "roles")
    try:
        venues.call(venues.sim.subscribed)
        venues.play(LOST - 1)
        until(engine.is_fit, "an engine that is fit")
        books = Books(tmp_path / "run", n_markets)
        until(books.all_live, "every book LIVE")
        _a_gap_is_mended(venues, books)
        _killed("feed", engine, venues, books)
        _killed("book", engine, venues, books)
        result = engine.end()
        assert result["books_by_trust"] == {"live": n_markets}
    finally:
        engine.process.terminate()
        engine.process.communicate()


def _a_gap_is_mended(venues: PlayedByHand, books: Books) -> None:
    """F-row of a lost frame: in doubt, a snapshot asked for by the feed, LIVE in a new epoch."""
    before, log = books.epochs(), venues.sim.logs["kalshi"]
    snapshots, commands = log.snapshots, log.commands
    venues.play(LOST + 1)
    assert log.faults_done == 1
    until(lambda: log.snapshots > snapshots and books.all_live(), "LIVE again after the gap")
    after = books.epochs()
    assert log.commands > commands, "it was asked for"
    kalshi = {int(row["slot"]) for row in books.rows(Venue.KALSHI)}
    assert {slot for slot in after if after[slot] != before[slot]} <= kalshi
    assert after != before


def _killed(name: str, engine: Engine, venues: PlayedByHand, books: Books) -> None:
    """Row P1 (feed) or P2 (book): another process, books by snapshots, LIVE in epochs never used."""
    before, pid = books.epochs(), engine.pids()[name]
    snapshots = {venue: log.snapshots for venue, log in venues.sim.logs.items()}
    os.kill(pid, signal.SIGKILL)
    until(lambda: engine.pids()[name] != pid, f"another {name}")
    until(lambda: books.all_live() and not books.epochs().items() & before.items(), f"LIVE after {name}")
    until(engine.is_fit, "an engine that is fit")
    assert all(venues.sim.logs[venue].snapshots > number for venue, number in snapshots.items())
    assert all(books.epochs()[slot] > epoch for slot, epoch in before.items())
