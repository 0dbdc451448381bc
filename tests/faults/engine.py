"""A whole engine (``pr3dict run``) on ``pr3dict venue-sim`` over real sockets, and an eye on its books.

The eye reads what any process beside the engine could: every change of trust that the book stage announces,
and the published rows, each of which has to be the book after one change of the recording.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from engine.reasons import Reason
from engine.records import BOOK_ROW, TOP, WIDE_BYTES, Trust, Venue
from procs.health import HealthTable, ProcessState
from procs.live_view import LiveView
from procs.places import PACKAGES_ROOT
from procs.process_numbers import ProcessNumbers, process_numbers
from procs.recording import VENUE_NAMES
from shm.ring import OverwritingRing
from shm.table import Table
from tests.faults.markets import MARKETS, A, PlainBook, Recorded, key, subscribed

PATIENCE_S = 300.0  # a host that is busy with other things starts six processes in minutes
LOOK_S = 0.01
NS_PER_MS = 1_000_000
STARTED = {ProcessState.READY, ProcessState.DEGRADED}
TOPOLOGY = """\
[[topologies.two.processes]]
name = "market"
roles = ["feed", "book"]
wait = "{wait}"
[[topologies.two.processes]]
name = "trade"
roles = ["strategy", "optimizer", "executor", "ledger"]
wait = "futex"
[[topologies.two.processes]]
name = "venues"
roles = ["venue_sim"]
wait = "futex"
"""
# Two markets a socket. What else is set here is patience: the waits of the shipped settings are minutes.
SHARDS = (
    "venues.kalshi.feed.symbols_per_subscription=2",
    "venues.kalshi.feed.subscriptions_per_socket=1",
    "venues.polymarket.feed.symbols_per_subscription=4",
)
IMPATIENT = {
    "ping_every_ns": 200 * NS_PER_MS,
    "pong_max_ns": 1_000 * NS_PER_MS,
    "message_max_ns": 500 * NS_PER_MS,
    "garbage_max": 5,
    "hold_ns": 500 * NS_PER_MS,
    "resync_retry_ns": 500 * NS_PER_MS,
}


def impatient(**also: int) -> tuple[str, ...]:
    """Settings of both venues with waits short enough for a test, and a second of silence."""
    return (
        "book.silence_max_ns=1000000000",
        *(
            f"venues.{venue}.feed.{name}={value}"
            for venue in VENUE_NAMES.values()
            for name, value in {**IMPATIENT, **also}.items()
        ),
    )


def command(*argv: str) -> list[str]:
    return [sys.executable, "-m", "procs.cli.main", *argv]


def _line(stream: IO[bytes] | None) -> dict[str, Any]:
    assert stream is not None
    said: dict[str, Any] = json.loads(stream.readline())
    return said


@dataclass(frozen=True)
class Done:
    """A fault that was done: when, by the wall clock, and the venues' counts after it."""

    at_ns: int
    venue: Venue
    counts: dict[str, Any]


class Venues:
    """``pr3dict venue-sim``, and a hand on its faults."""

    def __init__(self, recorded: Recorded, *options: str) -> None:
        argv = command("venue-sim", str(recorded.path), "--start-when-subscribed", "all", "--faults", "-")
        self.process = subprocess.Popen(
            [*argv, *options], cwd=PACKAGES_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.urls: dict[str, str] = _line(self.process.stdout)["endpoints"]

    def do(self, venue: Venue, kind: str, symbol: str = "", **fields: object) -> Done:
        """Do a fault now, to the connection that has ``symbol``."""
        tree: dict[str, object] = {"venue": VENUE_NAMES[venue], "kind": kind, **fields}
        if symbol:
            tree["symbol"] = subscribed(venue, symbol)
        answer = self._ask(tree)
        assert answer["done"] == 1, f"{kind} at {venue.name}: {answer}"
        return Done(answer["at_ns"], venue, answer["venues"])

    def counts(self, venue: Venue) -> dict[str, Any]:
        """What has happened at a venue."""
        counts: dict[str, Any] = self._ask({})["venues"][VENUE_NAMES[venue]]
        return counts

    def _ask(self, tree: dict[str, object]) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(tree).encode() + b"\n")
        self.process.stdin.flush()
        answer = _line(self.process.stdout)
        assert "error" not in answer, answer
        return answer

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@dataclass(frozen=True)
class Turn:
    """A book's trust changed; ``book_ns``: when the engine's book stage said so, by the engine's clock."""

    book_ns: int
    trust: Trust
    doubt: Reason
    epoch: int


@dataclass
class Seen:
    """One market as the eye has seen it. ``number``: of the change its book showed last."""

    venue: Venue
    symbol: str
    slot: int
    plain: PlainBook
    turns: list[Turn]
    number: int = -1
    looked: int = 0


@dataclass(frozen=True)
class Wrong:
    """A LIVE book that was none of the recording, or went back."""

    market: str
    recv_ns: int
    what: str


class Eye:
    """Reads the engine's tables; ``look`` often enough, or what is announced overwrites itself."""

    def __init__(self, run_dir: Path, recorded: Recorded) -> None:
        slots = {(market.venue, market.symbol): market.slot for market in LiveView(run_dir).markets()}
        self.seen = {name: Seen(*name, slots[name], plain, []) for name, plain in recorded.books.items()}
        self.wrong: list[Wrong] = []
        self._by_slot = {seen.slot: seen for seen in self.seen.values()}
        self._row = np.zeros(1, BOOK_ROW)
        self._tables = {
            v: Table.attach(f"books.{name}", BOOK_ROW, run_dir) for v, name in VENUE_NAMES.items()
        }
        self._rings = {
            venue: OverwritingRing.attach(f"tops.{name}", WIDE_BYTES, run_dir)
            for venue, name in VENUE_NAMES.items()
        }
        readers = [ring.reader() for ring in self._rings.values()]
        self._tops = [(reader, reader.records(TOP)) for reader in readers]

    def look(self) -> None:
        """Take in what was announced since, and every row as it is."""
        for reader, tops in self._tops:
            while (n_tops := reader.poll()) > 0:
                new = tops[:n_tops]
                for top in new[new["trust"] != new["prev_trust"]]:
                    self._note(top)
            assert reader.lost_messages == 0, "the eye was closed for too long"
        for seen in self._by_slot.values():
            if self._tables[seen.venue].read(seen.slot, self._row):
                self._compare(seen, self._row[0])

    def _note(self, top: np.void) -> None:
        """A change of trust."""
        trust, doubt = Trust(int(top["trust"])), Reason(int(top["doubt"]))
        turn = Turn(int(top["book_ns"]), trust, doubt, int(top["epoch"]))
        self._by_slot[int(top["slot"])].turns.append(turn)

    def announced(self, venue: Venue) -> int:
        """How many TOP records the book stage of a venue has published."""
        return self._rings[venue].published_messages

    def at_the_end(self) -> bool:
        """Whether every book is LIVE and shows the last change of the recording."""
        return self.are_live() and all(seen.number == seen.plain.changes - 1 for seen in self.seen.values())

    def _compare(self, seen: Seen, row: np.void) -> None:
        if row["trust"] != Trust.LIVE:
            return
        sides = [
            list(zip(row[f"{side}_e4"][:n].tolist(), row[f"{side}_size_e6"][:n].tolist(), strict=True))
            for side, n in (("bid", int(row["n_bids"])), ("ask", int(row["n_asks"])))
        ]
        number = seen.plain.numbers.get(key(*sides))
        seen.looked += 1
        if number is None or number < seen.number:
            what = "no book of the recording" if number is None else f"back from {seen.number} to {number}"
            self.wrong.append(Wrong(f"{seen.venue.name}:{seen.symbol}", int(row["recv_ns"]), what))
        else:
            seen.number = number

    def are_live(self, names: Sequence[tuple[Venue, str]] = ()) -> bool:
        """Whether these markets (or all) are LIVE now."""
        self.look()
        return all(self._is_live(self.seen[name]) for name in names or self.seen)

    def _is_live(self, seen: Seen) -> bool:
        whole = self._tables[seen.venue].read(seen.slot, self._row)
        return bool(whole and self._row[0]["trust"] == Trust.LIVE)


class Engine:
    """A running engine whose books are all LIVE."""

    def __init__(self, folder: Path, recorded: Recorded, venues: Venues, *settings: str, wait: str) -> None:
        self.venues = venues
        self.run_dir = folder / "run"
        self._folders = ["--run-dir", str(self.run_dir), "--state-dir", str(folder / "state")]
        topology = folder / "topology.toml"
        topology.write_text(TOPOLOGY.format(wait=wait))
        urls = [f"--{name}-url={url}" for name, url in venues.urls.items()]
        sets = [argument for setting in settings for argument in ("--set", setting)]
        argv = command("run", "--markets", str(recorded.path), "--config", str(topology), *urls, *sets)
        self.process = subprocess.Popen(
            [*argv, *self._folders, "--port", "0", "--json"],
            cwd=PACKAGES_ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.eye = self._open_eye(recorded)
        self.until(self.eye.are_live, "every book LIVE")
        self.pids = self.running_pids()

    def _open_eye(self, recorded: Recorded) -> Eye:
        end_s = time.monotonic() + PATIENCE_S
        while True:
            assert self.process.poll() is None, self.process.communicate()[1].decode()
            assert time.monotonic() < end_s, "no engine"
            if self._shows(len(recorded.books)):
                return Eye(self.run_dir, recorded)
            time.sleep(LOOK_S)

    def _shows(self, n_markets: int) -> bool:
        """Whether all processes run, and have said which markets there are."""
        if not (self.run_dir / "engine.json").exists():
            return False
        states = {health.state for health in HealthTable.attach(self.run_dir).read()}
        return states <= STARTED and len(LiveView(self.run_dir).markets()) == n_markets

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Look until something holds."""
        end_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end_s, f"waited for {what}"
            assert self.process.poll() is None, self.process.communicate()[1].decode()
            self.eye.look()
            time.sleep(LOOK_S)

    def watch_for(self, seconds: float) -> None:
        """Look for so long: what must not happen has time to."""
        end_s = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end_s, "time to pass")

    def running_pids(self) -> dict[str, int]:
        """Pid of each of its processes, as it says itself."""
        return {health.name: health.pid for health in HealthTable.attach(self.run_dir).read()}

    def work(self, name: str) -> int:
        """Messages and timers that one of its processes has handled."""
        return next(row.work for row in HealthTable.attach(self.run_dir).read() if row.name == name)

    def numbers(self, name: str) -> ProcessNumbers:
        """What the kernel says of one of its processes."""
        numbers = process_numbers(self.pids[name])
        assert numbers is not None, f"{name} is gone"
        return numbers

    def check(self) -> None:
        """Nobody died, and no LIVE book was ever wrong."""
        assert self.running_pids() == self.pids, "a process was begun again"
        assert self.process.poll() is None
        assert self.eye.wrong == []
        assert all(seen.looked for seen in self.eye.seen.values())

    def end(self) -> dict[str, Any]:
        """Stop it; its result."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 0, err.decode()
        [result] = json.loads(out)["inputs"]
        assert isinstance(result, dict)
        return result

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=PATIENCE_S)


@contextmanager
def running(
    folder: Path, recorded: Recorded, *settings: str, options: Sequence[str] = (), wait: str = "futex"
) -> Iterator[Engine]:
    """Venues that play ``recorded``, and an engine on them."""
    with ExitStack() as stack:
        venues = Venues(recorded, *options)
        stack.callback(venues.end)
        engine = Engine(folder, recorded, venues, *SHARDS, *settings, wait=wait)
        stack.callback(engine.kill)
        yield engine


def on_socket(venue: Venue, socket: str = A) -> list[tuple[Venue, str]]:
    """Markets of a venue that come over one socket."""
    return [(venue, symbol) for symbol in MARKETS[venue][socket]]
