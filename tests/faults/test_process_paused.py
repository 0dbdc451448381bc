"""Row P8 of the fault matrix at its length: processes that stood still for half a minute, and go on.

Whoever hangs is killed long before that by the settings as shipped (P7). Here nobody is, as in a virtual
machine that was moved: every process believes that no time has passed.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.faults.live_engine import LiveEngine, trading, until
from tests.faults.test_process_executor import assert_nothing_late_or_open
from tests.faults.test_process_rows import all_live

pytestmark = [pytest.mark.compiled_only, pytest.mark.soak]

PAUSE_S = 30.0
TRADERS = ("strategy", "optimizer", "executor")


def pause(engine: LiveEngine, *names: str) -> None:
    """These at once; all of them are the same afterwards."""
    pids = {name: engine.fit(name) for name in names}
    for pid in pids.values():
        os.kill(pid, signal.SIGSTOP)
    time.sleep(PAUSE_S)  # the pause is the fault
    for pid in pids.values():
        os.kill(pid, signal.SIGCONT)
    assert {name: engine.fit(name) for name in names} == pids


@pytest.mark.parametrize("names", [("executor",), TRADERS, ("market",)], ids=" ".join)
def test_p8_what_is_too_late_is_not_sent(names: tuple[str, ...], tmp_path: Path) -> None:
    """Plans that waited for their executor are refused for their deadline, and the books come back."""
    with trading(tmp_path, "split", rounds=60) as engine:
        before = engine.past()
        pause(engine, *names)
        until(lambda: all_live(engine), "books that are LIVE")
        engine.trades_on()
        assert len(engine.past().plans) > len(before.plans)
        engine.end()
        assert_nothing_late_or_open(engine.past())
