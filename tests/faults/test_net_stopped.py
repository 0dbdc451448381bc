"""A process that reads is stopped while the venues go on at their own speed: who does not read is cut off.

The market process (it reads the sockets) loses what the venue does not keep for it; the trade process (it
reads what the books announce) loses announcements, that of the simulated exchanges (it reads what the feed
says) changes of books. Each is found out and made good, and nobody else notices: the other socket and the
other venue, whose little waits until it is read.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engine.reasons import Reason
from engine.records import SMALL_BYTES, Venue
from engine.units import NS_PER_S
from procs.found_segments import attached_counters, found_segments
from procs.lost_books import AGAIN_NS, WANTED_ROW
from procs.recording import VENUE_NAMES
from procs.wires import TOP_CELLS, UPDATE_CELLS
from shm.ring import OverwritingRing
from shm.table import Table
from tests.faults.engine import Done, Engine, on_socket, running
from tests.faults.markets import SEED, record
from tests.faults.recovery import Name, marks, recoveries, told

pytestmark = [pytest.mark.compiled_only, pytest.mark.soak]

BUSY = Venue.POLYMARKET
SILENT = (BUSY, "0xb2")
STEPS = 40_000  # of each busy market: some 65 MB of texts
STEP_MS = 2
SPEED = 3
PATIENT = "supervisor.silent_max_ns=120000000000"  # whoever stands still here is not to be replaced
LULL_MS = 60_000  # recorded; in which the engine starts


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    print(f"seed {SEED}")
    folder = tmp_path_factory.mktemp("stopped")
    path = folder / "markets.ndjson.zst"
    recorded = record(path, STEPS, STEP_MS, lull_ms=LULL_MS, busy=on_socket(BUSY), silent=[SILENT])
    with running(folder, recorded, PATIENT, options=("--speed", str(SPEED))) as engine:
        yield engine


@contextmanager
def stopped(engine: Engine, name: str) -> Iterator[None]:
    """One of the engine's processes does nothing in here."""
    os.kill(engine.pids[name], signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(engine.pids[name], signal.SIGCONT)


def test_a_stopped_market_process_is_cut_off_and_only_what_was_lost_is_asked_for(engine: Engine) -> None:
    """What the venue did not keep is lost; what waits in the kernel is not."""
    before = marks(engine)
    counts = {venue: engine.venues.counts(venue) for venue in Venue}
    with stopped(engine, "market"):
        engine.until(lambda: engine.venues.counts(BUSY)["cut_off"] == 1, "the venue to lose its patience")
    goes_on = Done(time.time_ns(), BUSY, {})
    found = recoveries(engine, goes_on, before, on_socket(BUSY))
    print(*told(found), sep="\n")
    assert {one.why for one in found} == {Reason.DISCONNECTED}
    after = {venue: engine.venues.counts(venue) for venue in Venue}
    replaced = {venue: after[venue]["accepted"] - counts[venue]["accepted"] for venue in Venue}
    assert replaced == {venue: int(venue is BUSY) for venue in Venue}
    assert [after[venue]["cut_off"] for venue in Venue] == [int(venue is BUSY) for venue in Venue]
    engine.check()


class Wishes:
    """What the simulated exchanges have asked the feed for, by market."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tables = {
            v: Table.attach(f"wanted.{name}", WANTED_ROW, engine.run_dir) for v, name in VENUE_NAMES.items()
        }
        self._last: dict[Name, int] = {}
        self._since_s = time.monotonic()

    def now(self) -> dict[Name, int]:
        """When a book was wanted last; of those that were."""
        seen = self._engine.eye.seen
        asked = {name: int(self._tables[name[0]].rows[one.slot]["wanted_ns"]) for name, one in seen.items()}
        return {name: at_ns for name, at_ns in asked.items() if at_ns}

    def have_ended(self) -> bool:
        """Whether nothing was wanted again for longer than what does not come is waited for."""
        if self.now() != self._last:
            self._last, self._since_s = self.now(), time.monotonic()
        return bool(self._last) and time.monotonic() - self._since_s > 2 * AGAIN_NS / NS_PER_S


def lost(engine: Engine) -> dict[str, int]:
    """What was overwritten before it was read: news by the strategy, changes by the exchanges."""
    counted = attached_counters().refresh(found_segments(engine.run_dir))
    found = dict.fromkeys(("strategy_lost_tops", "venue_lost_updates"), 0)
    for _, counters in counted:
        for label, value in counters.snapshot().items():
            for what in found:
                found[what] += value if what in label else 0
    return found


def test_stopped_traders_and_exchanges_cost_no_book_of_ours_its_trust(engine: Engine) -> None:
    """The strategy looks at the rows; the simulated exchanges ask for the books that they have lost."""
    before, wishes, lost_before = marks(engine), Wishes(engine), lost(engine)
    snapshots = {venue: engine.venues.counts(venue)["snapshots"] for venue in Venue}
    updates = OverwritingRing.attach(f"updates.{VENUE_NAMES[BUSY]}", SMALL_BYTES, engine.run_dir)
    with stopped(engine, "trade"), stopped(engine, "venues"):
        # Counted from here on: what they read before they stood still is not what they have lost.
        news, changes = engine.eye.announced(BUSY) + TOP_CELLS, updates.published_cells + UPDATE_CELLS
        engine.until(lambda: engine.eye.announced(BUSY) > news, "a ring full of news")
        engine.until(lambda: updates.published_cells > changes, "a ring full of changes")
    engine.until(wishes.have_ended, "the exchanges to know their books again")
    assert marks(engine) == before
    lost_after = lost(engine)
    print(f"lost: {lost_after}")
    assert all(lost_after[what] > lost_before[what] for what in lost_after), "whoever lost counts it"
    touched = {name for name in before if name[0] is BUSY and name != SILENT}
    print(f"wanted: {wishes.now()}")
    assert set(wishes.now()) == touched
    sent = {venue: engine.venues.counts(venue)["snapshots"] - snapshots[venue] for venue in Venue}
    assert sent[BUSY] >= 2, "over each of the two sockets"
    assert sum(sent.values()) == sent[BUSY]
    engine.check()


def test_at_the_end_every_book_is_that_of_the_last_change(engine: Engine) -> None:
    engine.until(engine.eye.at_the_end, "the last change of every book")
    engine.check()
    sent = sum(engine.venues.counts(venue)["texts_sent"] for venue in Venue)
    result = engine.end()
    taken = result["data"]["frames"]
    print(f"{sent} texts sent, {taken} frames taken")
    assert taken < sent, "what the venue did not keep was lost"
    assert result["books_by_trust"] == {"live": len(engine.eye.seen)}
