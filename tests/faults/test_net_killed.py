"""Rows P1 and P2 of the fault matrix, level by level: feed and books are killed while their markets move.

Every row that an eye reads meanwhile, a hundred times a second, has to be the book after one change of the
recording, never an earlier one than before; and at the end each is that of the last change.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from engine.records import Trust
from procs.live_view import LiveView
from tests.faults.engine import NS_PER_MS, Engine, running
from tests.faults.markets import SEED, STEP_MS, record

pytestmark = [pytest.mark.compiled_only, pytest.mark.soak]

KILLS = 5
PLAYED_MS = 90_000


def live_epochs(engine: Engine) -> dict[str, int]:
    """Epoch of each book that is LIVE."""
    view = LiveView(engine.run_dir)
    rows = [(f"{one.venue.name}:{one.symbol}", view.book(one)) for one in view.markets()]
    return {name: int(row["epoch"]) for name, row in rows if row is not None and row["trust"] == Trust.LIVE}


def test_p1_p2_every_level_is_right_after_feed_and_books_were_killed(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    recorded = record(tmp_path / "markets.ndjson.zst", PLAYED_MS // STEP_MS)
    with running(tmp_path, recorded, options=("--speed", "1")) as engine:
        markets = len(engine.eye.seen)
        for number in range(KILLS):
            before = live_epochs(engine)
            assert len(before) == markets
            killed_ns = time.monotonic_ns()
            os.kill(engine.pids["market"], signal.SIGKILL)

            def is_back(before: dict[str, int] = before) -> bool:
                found = live_epochs(engine)
                return len(found) == markets and all(found[name] > before[name] for name in before)

            engine.until(is_back, "every book LIVE in a new epoch")
            print(f"kill {number}: all LIVE after {(time.monotonic_ns() - killed_ns) / NS_PER_MS:.0f} ms")
            now = engine.running_pids()
            assert {**now, "market": 0} == {**engine.pids, "market": 0}, "nobody else died"
            engine.pids = now
            engine.check()
        engine.until(engine.eye.at_the_end, "the last change of every book")
        engine.check()
        engine.end()
