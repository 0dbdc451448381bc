"""Row P8 of the fault matrix at its length: processes that stood still for half a minute, and go on.

Whoever hangs is killed long before that by the settings as shipped (P7). Here nobody is.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from procs.live_view import LiveView
from tests.faults.live_engine import LiveEngine, trading, until
from tests.faults.test_process_executor import assert_nothing_late_or_open
from tests.faults.test_process_rows import all_live

pytestmark = [pytest.mark.compiled_only, pytest.mark.soak]

PAUSE_S = 30.0
TRADERS = ("strategy", "optimizer", "executor")


def heard_ns(engine: LiveEngine) -> int:
    """When the book that was heard of longest ago was."""
    view = LiveView(engine.run_dir)
    rows = [view.book(market) for market in view.markets()]
    return min(int(row["recv_ns"]) for row in rows if row is not None)


def pause(engine: LiveEngine, *names: str) -> int:
    """These at once; all of them are the same afterwards. When they went on."""
    pids = {name: engine.fit(name) for name in names}
    for pid in pids.values():
        os.kill(pid, signal.SIGSTOP)
    time.sleep(PAUSE_S)  # the pause is the fault
    went_on_ns = time.time_ns()
    for pid in pids.values():
        os.kill(pid, signal.SIGCONT)
    assert {name: engine.fit(name) for name in names} == pids
    return went_on_ns


@pytest.mark.parametrize("names", [("executor",), TRADERS, ("market",)], ids=" ".join)
def test_p8_what_is_too_late_is_not_sent(names: tuple[str, ...], tmp_path: Path) -> None:
    """Plans that waited for their executor are refused for their deadline; every book is heard of again."""
    with trading(tmp_path, "split", rounds=60) as engine:
        went_on_ns = pause(engine, *names)
        until(lambda: heard_ns(engine) > went_on_ns and all_live(engine), "books heard of, and LIVE")
        engine.trades_on()
        [result] = engine.end()["inputs"]
        late = [one["count"] for one in result["funnel"] if one["reason"] == "deadline"]
        print(f"{' '.join(names)}: {sum(late)} refused for their deadline")
        assert sum(late) > 0 or names != ("executor",), "what waited half a minute was too late"
        assert_nothing_late_or_open(engine.past())
