"""From a plan in its ring to the order requests in the venues' rings: a real executor stage, on one core.

The executor stage of a live engine, over rings and tables in shared memory, with its gate, its halt words,
its ladder, and its journal in a file whose flush is the real one. Plans of two legs come as the optimizer
publishes them, over the books of a real feed; where the venue would be, a reader takes the requests and
answers each with an acknowledgement, a fill of all of it and a confirmation, so that the plan ends and the
next can begin.

A plan's time is its own stamp, taken just before it is published, and the executor's, taken when its requests
are published. What it does afterwards, events, decisions and marks, is in the time of the whole turn.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import numpy as np

from bench._scene import CHEAP_ASK, OTHER_ASK
from bench._trade_side import ENGINE_TIME, EPOCH, engine_ns, parts_of
from engine.config import Role
from engine.records import (
    BOOK_ROW,
    ORDER_REQUEST,
    PLAN_HEAD,
    PLAN_LEG,
    VENUE_REPORT,
    DecisionStage,
    Direction,
    Outcome,
    ReportKind,
    SignalKind,
    TimeInForce,
    Venue,
)
from engine.units import NS_PER_S, PRICE_ONE_E4, SIZE_ONE_E6
from procs.halt import HaltSwitch
from procs.journal_file import JournalFile
from procs.ladder import LADDER_ROW, RECENT, RECENT_NAME
from procs.parts import VENUES
from procs.places import state_root
from procs.stages import Stages
from procs.wires import Wires, publish, publish_each
from shm.ring import Records
from shm.table import Table

SIZE_E6: Final = 10 * SIZE_ONE_E6
LEGS: Final = 2
TURNS_MAX: Final = 100  # to the end of a plan
LIMITS_E4: Final = (CHEAP_ASK * PRICE_ONE_E4 // 100, OTHER_ASK * PRICE_ONE_E4 // 100)
ANSWERS: Final = (ReportKind.ACKED, ReportKind.FILLED, ReportKind.CONFIRMED)


class Took(NamedTuple):
    """Nanoseconds of one plan."""

    to_orders_ns: int  # from its stamp until its requests were published
    flush_ns: int  # of these: the journal's flush
    turn_ns: int  # the executor's turn in which that was
    answers_ns: int  # its turns with what the venue said, to the end of the plan


class TimedJournal(JournalFile):
    """A journal's file that knows how long each flush took, and of how many bytes it was: ``flushes``."""

    def __init__(self, path: Path) -> None:
        self.flushes: list[tuple[int, int]] = []
        self._waiting_bytes = 0
        super().__init__(path)

    def write(self, data: bytes, /) -> int:
        """As every journal's."""
        self._waiting_bytes += len(data)
        return super().write(data)

    def sync(self) -> None:
        """As every journal's."""
        began_ns = time.monotonic_ns()
        super().sync()
        self.flushes.append((time.monotonic_ns() - began_ns, self._waiting_bytes))
        self._waiting_bytes = 0


class Desk:
    """The executor of the engine in ``folder``, whose feeds and books are here as well, and its neighbours.

    ``state`` is where its journal lies.
    """

    def __init__(self, folder: Path, state: Path, pairs: int) -> None:
        halt = HaltSwitch.create(folder, state / "state")
        self.journal = TimedJournal(state / "journal")
        wires, parts = parts_of(folder, pairs, (Role.EXECUTOR,))
        stages = Stages(
            parts, (Role.EXECUTOR,), journal=self.journal, halt=halt, now_ns=engine_ns(), fused=ENGINE_TIME
        )
        assert stages.executor is not None
        self.executor = stages.executor
        self._agents = stages.in_order()
        self._wires = wires
        self._others = Wires.join(VENUES, folder, (Role.OPTIMIZER, Role.VENUE_SIM), EPOCH)
        self._requests = wires.requests[Venue.POLYMARKET].resume("venue", 0)
        self._request_rows = self._requests.records(ORDER_REQUEST)
        self._log = [
            wires.events.resume("strategy", 0),
            wires.events.resume("optimizer", 0),
            wires.decisions[DecisionStage.EXECUTION].resume("log", 0),
        ]
        self._recent = Table.attach(RECENT_NAME, LADDER_ROW, folder)
        self._row: Records = np.zeros(1, LADDER_ROW)
        self._book: Records = np.zeros(1, BOOK_ROW)
        self._head: Records = np.zeros(1, PLAN_HEAD)
        self._legs: Records = np.zeros(LEGS, PLAN_LEG)
        self.plan_bytes = 0  # journaled before the requests of the last plan
        self._plans = 0
        self._trades = 0
        for agent in self._agents:
            agent.on_start(engine_ns())

    def turn(self) -> int:
        """A turn of the process; how long it took."""
        began_ns = time.monotonic_ns()
        now_ns = engine_ns()
        for agent in self._agents:
            agent.do_work(now_ns)
        return time.monotonic_ns() - began_ns

    def one(self, pair: int) -> Took:
        """A plan over both markets of a pair, to its end; RuntimeError when it does not become one."""
        self._plans += 1
        self._make(pair)
        self.journal.flushes.clear()
        self._head["plan_ns"] = engine_ns()
        publish(self._others.plans, self._head, self._legs, "plans")
        turn_ns = self.turn()
        flush_ns, self.plan_bytes = self.journal.flushes[0]
        n_requests = self._requests.poll()
        self._recent.read((self._plans - 1) % RECENT, self._row)
        row = self._row[0]
        if n_requests != LEGS or row["plan_id"] != self._plans:
            raise RuntimeError(f"{n_requests} requests of {LEGS}")
        self._answer(self._request_rows[:n_requests])
        return Took(int(row["sent_ns"] - row["plan_ns"]), flush_ns, turn_ns, self._end())

    def _make(self, pair: int) -> None:
        """The plan, over the books as they are."""
        now_ns = engine_ns()
        head = self._head[0]
        for name in ("recv_ns", "book_ns", "signal_ns"):
            head[name] = now_ns
        head["plan_id"] = head["signal_id"] = self._plans
        head["deadline_ns"], head["size_e6"] = now_ns + NS_PER_S, SIZE_E6
        head["slot"], head["relation"], head["n_legs"] = LEGS * pair, pair, LEGS
        head["kind"] = SignalKind.PARTITION_BUY_YES
        for index, leg in enumerate(self._legs):
            slot = LEGS * pair + index
            self._wires.books[Venue.POLYMARKET].read(slot, self._book)
            leg["slot"], leg["generation"] = slot, self._book[0]["generation"]
            leg["epoch"], leg["venue"] = self._book[0]["epoch"], Venue.POLYMARKET
            leg["direction"], leg["outcome"] = Direction.BUY, Outcome.YES
            leg["tif"], leg["limit_e4"], leg["size_e6"] = TimeInForce.FOK, LIMITS_E4[index], SIZE_E6

    def _answer(self, requests: Records) -> None:
        """What a venue says that fills each at its limit, and settles it."""
        reports: Records = np.zeros(len(ANSWERS) * len(requests), VENUE_REPORT)
        for index, request in enumerate(requests):
            self._trades += 1
            said = reports[index :: len(requests)]
            for name in ("order_id", "plan_id", "slot", "generation", "venue", "direction", "outcome", "leg"):
                said[name] = request[name]
            said["kind"], said["venue_ns"], said["recv_ns"] = ANSWERS, engine_ns(), engine_ns()
            said["venue_order_id"], said["price_e4"] = request["order_id"], request["price_e4"]
            said["remaining_e6"][0] = request["size_e6"]
            said["trade_id"][1:], said["fill_size_e6"][1:] = self._trades, request["size_e6"]
            said["cash_micros"][1:] = int(request["size_e6"]) * int(request["price_e4"]) // PRICE_ONE_E4
        publish_each(self._others.reports[Venue.POLYMARKET], reports, "reports")

    def _end(self) -> int:
        """The executor's turns until the plan has ended; then, off the way, what others would have read."""
        answers_ns = 0
        for _ in range(TURNS_MAX):
            answers_ns += self.turn()
            if self.executor.is_done:
                for reader in self._log:
                    reader.poll()
                return answers_ns
        raise RuntimeError(f"a plan did not end in {TURNS_MAX} turns")


class Flush:
    """The journal's flush alone: as many bytes in one write, into a file like it."""

    def __init__(self, state: Path) -> None:
        self._file = JournalFile(state / "alone")

    def one(self, n_bytes: int) -> int:
        """Write and flush once; nanoseconds."""
        content = b"\1" * n_bytes
        began_ns = time.monotonic_ns()
        self._file.write(content)
        self._file.sync()
        return time.monotonic_ns() - began_ns


@contextmanager
def state_folder() -> Iterator[Path]:
    """A folder on the file system where a live engine keeps its journal."""
    root = state_root()
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f"bench-{os.getpid()}-", dir=root) as folder:
        yield Path(folder)
