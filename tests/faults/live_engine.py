"""A whole engine (``pr3dict run``) that trades on a made session over real sockets, to be broken.

The session repeats opportunities at both venues, one about every second, some of which do not last: so there
are orders, fills, settlements and unwinding at any moment. Everything is looked at from outside: rows of
health, the journal's file, what the command says at its end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from engine.execution.recovery import Past, recover
from engine.records import Venue
from engine.sim.session import build
from engine.sim.session.build import Session
from engine.sim.session.fleeting import partition
from engine.sim.session.planted import partition_buy_yes
from engine.sim.session.scenario import Scenario
from engine.units import NS_PER_DAY, NS_PER_MS
from procs.health import HealthTable, ProcessHealth, ProcessState
from procs.journal_file import read_entries
from procs.run_directory import living
from shm.errors import ShmError
from tests.procs.planted_session import session_of
from tests.procs.test_paper_processes import recorded

PATIENCE_S: Final = 180.0
LOOK_S: Final = 0.1
SMALL: Final = ("small", (20,))
# Of a session in real time: a window each 0.7 s, a sign of life of its markets every 50 ms.
QUICK: Final = {
    "BEFORE_NS": 100 * NS_PER_MS,
    "ALIVE_BEFORE_NS": 60 * NS_PER_MS,
    "PLANTED_FOR_NS": 600 * NS_PER_MS,
    "AFTER_FLEETING_NS": 600 * NS_PER_MS,
    "NOISE_STEP_NS": 50 * NS_PER_MS,
}
LASTS_NS: Final = 150 * NS_PER_MS  # some orders come in time, others do not
# Nothing but the executor's death is to stop it: limits are wide, and who dies is begun again at once.
SETTINGS: Final = (
    "engine.market_slots=64",
    "risk.daily_loss_max_micros=1000000000000",
    "risk.drawdown_warn_ppm=1000000",
    "risk.drawdown_stop_ppm=1000000",
    "risk.heat_max_ppm=1000000",
    "risk.event_exposure_max_micros=1000000000000",
    "risk.market_exposure_max_micros=1000000000000",
    "venues.kalshi.paper_cash_micros=1000000000000",
    "venues.polymarket.paper_cash_micros=1000000000000",
    "venues.polymarket.latency.confirm_ns=1000000000",
    "supervisor.settled_ns=1000000",
    "supervisor.silent_max_ns=120000000000",
    "supervisor.restart_min_ns=1000000",
)
# Parking, for others need the cores too; and a topology as ``roles``, but with the feeds beside their books.
TOPOLOGIES: Final = """
[topologies.one]
processes = [
  { name = "core", roles = ["feed", "book", "strategy", "optimizer", "executor", "ledger"], wait = "futex" },
  { name = "venues", roles = ["venue_sim"], wait = "futex" },
]
[topologies.two]
processes = [
  { name = "market", roles = ["feed", "book"], wait = "futex" },
  { name = "trade", roles = ["strategy", "optimizer", "executor", "ledger"], wait = "futex" },
  { name = "venues", roles = ["venue_sim"], wait = "futex" },
]
[topologies.split]
processes = [
  { name = "market", roles = ["feed", "book"], wait = "futex" },
  { name = "strategy", roles = ["strategy"], wait = "futex" },
  { name = "optimizer", roles = ["optimizer"], wait = "futex" },
  { name = "executor", roles = ["executor"], wait = "futex" },
  { name = "ledger", roles = ["ledger"], wait = "futex" },
  { name = "venues", roles = ["venue_sim"], wait = "futex" },
]
"""


def trading_session(rounds: int) -> Session:
    """Opportunities in ``rounds`` of four windows.

    Each is one cent cheaper in every other round: who looks now and then only cannot know that a level it has
    taken was gone in between, and believes that there is nothing more of it.
    """
    close_ns = time.time_ns() + 3 * NS_PER_DAY
    once = [
        partition_buy_yes(SMALL, close_ns, Venue.POLYMARKET),
        partition_buy_yes(SMALL, close_ns, Venue.KALSHI),
        partition_buy_yes(("medium", (40, 70)), close_ns, Venue.POLYMARKET),
        replace(partition(SMALL, close_ns), lasts_ns=LASTS_NS),
    ]
    again = [_cheaper(one, 100 * (number % 2)) for number in range(rounds) for one in once]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUICK.items():
            patch.setattr(build, name, value)
        patch.setattr(build.Dice, "shuffled", lambda _dice, items: list(items))
        return session_of(*again)


def _cheaper(scenario: Scenario, by_e4: int) -> Scenario:
    """The same once more, its planted levels ``by_e4`` lower."""
    changes, restore = (
        [(name, level._replace(price_e4=level.price_e4 - by_e4)) for name, level in levels]
        for levels in (scenario.changes, scenario.restore)
    )
    return replace(scenario, markets=dict(scenario.markets), changes=changes, restore=restore)


def command(*argv: str) -> list[str]:
    """Of our own interpreter."""
    return [sys.executable, "-m", "procs.cli.main", *argv]


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that another process does."""
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, f"waited for {what}"
        time.sleep(LOOK_S)


class LiveEngine:
    """A running engine. ``owner`` is ``pr3dict run``; it can be killed, and started again."""

    def __init__(
        self, folder: Path, recording: Path, urls: dict[str, str], topology: str, *settings: str
    ) -> None:
        self.run_dir, self.state_dir = folder / "run", folder / "state"
        self.folders = ["--run-dir", str(self.run_dir), "--state-dir", str(self.state_dir)]
        topologies = folder / "topologies.toml"
        topologies.write_text(TOPOLOGIES)
        assignments = [text for one in (*SETTINGS, *settings) for text in ("--set", one)]
        self.argv = command(
            *("run", "--markets", str(recording), "--topology", topology, "--port", "0", "--json"),
            *("--polymarket-url", urls["polymarket"], "--kalshi-url", urls["kalshi"]),
            *(*self.folders, "--config", str(topologies), *assignments),
        )
        self.owner = self.start()

    def start(self, *more: str) -> subprocess.Popen[str]:
        """The command."""
        return subprocess.Popen(
            [*self.argv, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def ask(self, *argv: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of an operator's command."""
        done = subprocess.run(
            command(*argv, *self.folders), capture_output=True, check=False, text=True, timeout=PATIENCE_S
        )
        return done.returncode, done.stdout, done.stderr

    def rows(self) -> dict[str, ProcessHealth]:
        """Health of each process; empty while there is no engine."""
        try:
            return {row.name: row for row in HealthTable.attach(self.run_dir).read()}
        except (ShmError, OSError):
            return {}

    def fit(self, name: str, not_pid: int = 0) -> int:
        """Wait for a process of that name that is ready, and another than ``not_pid``; its pid."""

        def is_fit() -> bool:
            row = self.rows().get(name)
            return row is not None and row.state is ProcessState.READY and row.pid != not_pid

        until(lambda: is_fit() or self.owner.poll() is not None, f"a {name} that is ready")
        assert self.owner.poll() is None, self.owner.communicate()
        return self.rows()[name].pid

    def all_fit(self) -> dict[str, int]:
        """Wait until every process is ready; their pids."""
        until(self.rows, "an engine")
        return {name: self.fit(name) for name in self.rows()}

    @property
    def journal(self) -> Path:
        """File of the executor's journal."""
        [path] = self.state_dir.glob("journal-[0-9]*")
        return path

    def past(self) -> Past:
        """What the journal says."""
        return recover(read_entries(self.journal)[0])

    def orders(self) -> int:
        """Orders in the journal so far."""
        return len(self.past().orders) if list(self.state_dir.glob("journal-[0-9]*")) else 0

    def trades_on(self, more: int = 4) -> None:
        """Wait until it has made some more orders."""
        before = self.orders()
        until(lambda: self.orders() >= before + more, "more orders")

    def end(self) -> dict[str, Any]:
        """SIGTERM to the owner; what it says, which has to be that nothing is wrong."""
        self.owner.send_signal(signal.SIGTERM)
        out, err = self.owner.communicate(timeout=PATIENCE_S)
        assert self.owner.returncode == 0, err
        document: dict[str, Any] = json.loads(out)
        assert document["faults"] == []
        assert living(self.run_dir) == ()
        return document


@contextmanager
def trading(
    folder: Path, topology: str, *settings: str, rounds: int = 60, seed: int = 0
) -> Iterator[LiveEngine]:
    """An engine that has begun to trade; whatever of it lives at the end is killed."""
    print(f"seed {seed}, topology {topology}")
    recording = recorded(trading_session(rounds), folder / "session.ndjson.zst")
    sim = subprocess.Popen(
        command("venue-sim", str(recording), "--speed", "1", "--start-when-subscribed", "all"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    engine = None
    try:
        assert sim.stdout is not None
        urls = json.loads(sim.stdout.readline())["endpoints"]
        engine = LiveEngine(folder, recording, urls, topology, *settings)
        engine.all_fit()
        until(engine.orders, "the first order")
        yield engine
    finally:
        sim.kill()
        sim.communicate()
        if engine is not None:
            _kill(engine)


def _kill(engine: LiveEngine) -> None:
    if engine.owner.poll() is None:
        engine.owner.kill()
    engine.owner.communicate()
    for name, row in engine.rows().items():
        if name in living(engine.run_dir) and row.pid:
            os.kill(row.pid, signal.SIGKILL)
