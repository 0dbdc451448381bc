"""Both venues on real sockets, played frame by frame by a test, and rows of an engine seen from outside."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.records import BOOK_ROW, POSITION_ROW, Trust, Venue
from engine.sim.session.build import Session
from engine.units import NS_PER_DAY
from procs.venue_sim.faults import Fault
from procs.venue_sim.simulation import SimOptions, VenueSim
from procs.venue_sim.tape import recorded_tape
from shm.table import Table
from tests.procs.planted_session import frames_of
from tests.procs.test_paper_processes import recorded

VENUES: Final = (Venue.POLYMARKET, Venue.KALSHI)
PATIENCE_S: Final = 120


def of_today(session: Session) -> Session:
    """The session with markets that close three days from now: on live data those of its own day are over."""
    close_ns = time.time_ns() + 3 * NS_PER_DAY
    return replace(session, markets=[replace(spec, close_ns=close_ns) for spec in session.markets])


class PlayedByHand:
    """Both venues, served from a thread; nothing moves by itself."""

    def __init__(self, session: Session, folder: Path, *faults: Fault) -> None:
        self.recording = recorded(session, folder / "session.ndjson.zst")
        self._frames = list(frames_of(session))
        self._opened = ExitStack()
        options = SimOptions(start_when_subscribed=None, faults=faults)
        self.sim = VenueSim(recorded_tape([self.recording], self._opened, align_start=False), options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._wait(self.sim.open())

    def subscribed(self) -> None:
        """Wait until every book has a subscriber."""
        self._wait(self.sim.subscribed())

    def play(self, while_: Callable[[int, int], bool]) -> None:
        """Deliver frames as long as ``while_`` says so of the next one's time and Kalshi's frames so far."""

        async def deliver() -> None:
            while self._frames and while_(self._frames[0].recv_ns, self.sim.logs["kalshi"].frames):
                self.sim.deliver(self._frames.pop(0))

        self._wait(deliver())

    def close(self) -> None:
        """End every connection, and the thread."""
        self._loop.call_soon_threadsafe(self.sim.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._opened.close()

    def _wait(self, doing: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(doing, self._loop).result(PATIENCE_S)


class Rows:
    """Books and positions of the engine in ``run_dir``."""

    def __init__(self, run_dir: Path, n_markets: int) -> None:
        self._tables = {
            venue: Table.attach(f"books.{venue.name.lower()}", BOOK_ROW, run_dir) for venue in VENUES
        }
        self._positions = Table.attach("positions", POSITION_ROW, run_dir)
        self._n_markets = n_markets

    def slots(self, venue: Venue) -> dict[int, np.void]:
        """BOOK_ROW of the venue's open markets by slot."""
        found = {}
        for slot in range(self._n_markets):
            row = np.zeros(1, BOOK_ROW)
            if self._tables[venue].read(slot, row) and row[0]["epoch"] and row[0]["venue"] == venue:
                found[slot] = row[0]
        return found

    def epochs(self) -> dict[int, int]:
        """Of every LIVE book, by slot."""
        rows = {slot: row for venue in VENUES for slot, row in self.slots(venue).items()}
        return {slot: int(row["epoch"]) for slot, row in rows.items() if row["trust"] == Trust.LIVE}

    def all_live(self) -> bool:
        """Whether every book is."""
        return len(self.epochs()) == self._n_markets

    def held(self) -> int:
        """Markets in which something is held."""
        rows = self._positions.rows[: self._n_markets]
        return int(np.count_nonzero(rows["yes_e6"] + rows["no_e6"]))
