"""A process that reads is stopped while the venues go on at their own speed: who does not read is cut off.

The market process (it reads the sockets) loses what the venue does not keep for it; the trade process (it
reads what the books announce) loses announcements. Either is found out and made good, and nobody else
notices: the other socket and the other venue, whose little waits in the kernel until it is read.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engine.reasons import Reason
from engine.records import Venue
from procs.wires import TOP_CELLS
from tests.faults.engine import Done, Engine, on_socket, running
from tests.faults.markets import SEED, record
from tests.faults.recovery import marks, recoveries, told

pytestmark = [pytest.mark.compiled_only, pytest.mark.soak]

BUSY = Venue.POLYMARKET
STEPS = 24_000  # of each busy market: some 40 MB of texts
STEP_MS = 2
SPEED = 5
LULL_MS = 60_000  # recorded; in which the engine starts


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    print(f"seed {SEED}")
    folder = tmp_path_factory.mktemp("stopped")
    path = folder / "markets.ndjson.zst"
    recorded = record(path, STEPS, STEP_MS, lull_ms=LULL_MS, busy=on_socket(BUSY))
    with running(folder, recorded, options=("--speed", str(SPEED))) as engine:
        yield engine


@contextmanager
def stopped(engine: Engine, name: str) -> Iterator[None]:
    """One of the engine's processes does nothing in here."""
    os.kill(engine.pids[name], signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(engine.pids[name], signal.SIGCONT)


def test_a_stopped_trade_process_costs_no_book_its_trust(engine: Engine) -> None:
    before, announced = marks(engine), engine.eye.announced(BUSY)
    with stopped(engine, "trade"):
        engine.until(lambda: engine.eye.announced(BUSY) > announced + 2 * TOP_CELLS, "a ring full of news")
    engine.watch_for(1.0)
    assert marks(engine) == before
    engine.check()


def test_a_stopped_market_process_is_cut_off_and_only_what_was_lost_is_asked_for(engine: Engine) -> None:
    """S1 and N8 from the venue's side; the engine's books are the recording's again, to its last change."""
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
    engine.until(engine.eye.at_the_end, "the last change of every book")
    engine.check()
    seen = {name: len(one.turns) for name, one in engine.eye.seen.items() if name not in on_socket(BUSY)}
    assert seen == {name: before[name] for name in seen}
    result = engine.end()
    assert result["books_by_trust"] == {"live": len(engine.eye.seen)}
    sent = sum(after[venue]["texts_sent"] for venue in Venue)
    taken = result["data"]["frames"]
    print(f"{sent} texts sent, {taken} frames taken")
    assert taken < sent, "what the venue did not keep was lost"
