"""``pr3dict run`` on simulated venues over real sockets, and what its agents read played back to each alone.

Where feed and books are processes of their own, doubt crosses from one to the other.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from engine.records import Venue
from engine.sim.session.build import Session
from engine.sim.session.planted import partition_buy_yes
from procs.replay_inputs import Played, logs_of, play_log
from procs.venue_sim.faults import Fault, Gap
from tests.procs.cli.test_run import Engine, until
from tests.procs.planted_session import CLOSE_NS, session_of
from tests.procs.played_by_hand import PlayedByHand, Rows, of_today

pytestmark = pytest.mark.compiled_only

LOST: Final = 120  # Kalshi's frame that nobody gets, after the planted one
AFTER_NS: Final = 1_000_000_000
LEGS: Final = 3
WITH_BOOKS: Final = ("market", "feed", "book")

# Feed apart from the books, and few processes.
APART = """
[[topologies.apart.processes]]
name = "feed"
roles = ["feed"]
core = -1
wait = "futex"

[[topologies.apart.processes]]
name = "rest"
roles = ["book", "strategy", "optimizer", "executor", "ledger"]
core = -1
wait = "futex"

[[topologies.apart.processes]]
name = "venues"
roles = ["venue_sim"]
core = -1
wait = "futex"
"""


@pytest.fixture(scope="module")
def session() -> Session:
    """One opportunity at Kalshi."""
    return of_today(session_of(partition_buy_yes(("medium", (110,)), CLOSE_NS, Venue.KALSHI)))


class Live:
    """A running engine that holds what was planted, all its books LIVE."""

    def __init__(self, session: Session, folder: Path, *options: str) -> None:
        fault = Fault(venue=Venue.KALSHI, kind=Gap(), at_frame=LOST)
        self.inputs = folder / "inputs"
        self.venues = PlayedByHand(session, folder, fault)
        more = ("--record-inputs", str(self.inputs), *options)
        self.engine = Engine(self.venues.recording, self.venues.sim.endpoints, folder, *more)
        try:
            self._trade(session, folder / "run")
        except BaseException:
            self.close()
            raise

    def _trade(self, session: Session, run_dir: Path) -> None:
        [planting] = session.plantings
        self.venues.subscribed()
        self.venues.play(lambda at_ns, _: at_ns < planting.at_ns - AFTER_NS)
        until(self.engine.is_fit, "an engine that is fit")
        self.rows = Rows(run_dir, len(session.markets))
        until(self.rows.all_live, "every book LIVE")
        self.venues.play(lambda at_ns, _: at_ns < planting.at_ns + AFTER_NS)
        until(lambda: self.rows.held() == LEGS, "fills")

    def mend_a_gap(self) -> None:
        """A frame is lost: in doubt, a snapshot asked for, LIVE in a new epoch."""
        before, log = self.rows.epochs(), self.venues.sim.logs["kalshi"]
        snapshots, commands = log.snapshots, log.commands
        assert log.frames < LOST
        self.venues.play(lambda _, n_kalshi: n_kalshi <= LOST)
        assert log.faults_done == 1
        until(lambda: log.snapshots > snapshots and self.rows.all_live(), "LIVE again after the gap")
        until(lambda: self.rows.epochs() != before, "a new epoch")
        assert log.commands > commands, "it was asked for"
        after = self.rows.epochs()
        changed = {slot for slot in before if after.get(slot) != before[slot]}
        assert changed <= self.rows.slots(Venue.KALSHI).keys()

    def kill(self, name: str) -> None:
        """Another process, and a fit engine."""
        pid = self.engine.pids()[name]
        os.kill(pid, signal.SIGKILL)
        until(lambda: self.engine.pids()[name] != pid, f"another {name}")
        until(self.engine.is_fit, f"a {name} that is fit")

    def kill_books(self, name: str) -> None:
        """Another process, books by snapshots, LIVE in epochs that were never used."""
        before = self.rows.epochs()
        snapshots = {venue: log.snapshots for venue, log in self.venues.sim.logs.items()}
        self.kill(name)
        until(
            lambda: self.rows.all_live() and not self.rows.epochs().items() & before.items(),
            f"LIVE again after {name}",
        )
        logs = self.venues.sim.logs
        assert all(logs[venue].snapshots > number for venue, number in snapshots.items())
        assert all(self.rows.epochs()[slot] > epoch for slot, epoch in before.items())

    def end(self) -> dict[str, Any]:
        """Shut down; the result."""
        try:
            return self.engine.end()
        finally:
            self.close()

    def close(self) -> None:
        self.engine.process.terminate()
        print(self.engine.process.communicate()[1])
        self.venues.close()


def played(folder: Path) -> Iterator[Played]:
    """Every log of a run, each agent alone; none may differ."""
    for path in logs_of(folder):
        one = play_log(path)
        assert one.difference == "", one
        yield one


def what_read_and_wrote(logs: list[Played]) -> set[str]:
    return {one.agent for one in logs if one.outputs and (one.inputs or one.agent.startswith("feed"))}


DECIDING = {
    *("feed-kalshi", "feed-polymarket", "book-kalshi", "book-polymarket"),
    *("strategy", "optimizer", "executor", "venue-kalshi"),
}


@pytest.mark.soak  # its halves each time: tests/faults/test_net_f1.py, tests/procs/test_replay_inputs.py
def test_a_gap_is_mended_from_another_process_and_every_agent_plays_back(
    session: Session, tmp_path: Path
) -> None:
    """One engine for all of it: a start takes seconds."""
    settings = tmp_path / "apart.toml"
    settings.write_text(APART)
    live = Live(session, tmp_path, "--topology", "apart", "--config", str(settings))
    try:
        live.mend_a_gap()
    finally:
        result = live.end()
    assert result["books_by_trust"] == {"live": len(session.markets)}
    logs = list(played(live.inputs))
    assert what_read_and_wrote(logs) == DECIDING
    assert all(one.end == "" for one in logs)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("topology", "killed"), [("two", ("market", "trade")), ("roles", ("feed", "book", "strategy"))]
)
def test_p1_p2_p3_killed_processes_come_back_and_every_agent_plays_back(
    topology: str, killed: tuple[str, ...], session: Session, tmp_path: Path
) -> None:
    """Rows P1 (feed), P2 (book), P3 (strategy); what the dead had read plays back, too."""
    live = Live(session, tmp_path, "--topology", topology)
    try:
        live.mend_a_gap()
        for name in killed:
            (live.kill_books if name in WITH_BOOKS else live.kill)(name)
    finally:
        result = live.end()
    assert result["books_by_trust"] == {"live": len(session.markets)}
    logs = list(played(live.inputs))
    assert what_read_and_wrote(logs) >= DECIDING
    starts = {one.agent: len([other for other in logs if other.agent == one.agent]) for one in logs}
    assert starts["book-kalshi"] == 2
    assert starts["strategy"] == 2
