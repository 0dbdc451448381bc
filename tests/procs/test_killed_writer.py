"""A process that writes its journal into a file is killed with SIGKILL; another one reads what it left.

The child runs the whole engine. It tells of every order that reached a venue through a pipe, so that the
parent kills it right after a random one, in the middle of whatever it does then.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from engine.execution.recovery import recover
from engine.ledger.journal import EntryKind
from engine.records import RequestKind
from engine.sim.seeded import below, draw
from engine.sim.session.build import Session
from engine.sim.venue import SimVenue
from procs.journal_file import JournalFile, read_entries
from tests.procs.planted_session import engine_for, frames_of
from tests.procs.test_recovery_of_a_run import SLOW, small_session

pytestmark = pytest.mark.compiled_only

KILLS = 8
KILLS_LONG = 60
ORDERS_MAX = 14  # of one run
ID_BYTES = 8


@pytest.fixture(scope="module")
def session() -> Session:
    return small_session()


def run_and_tell(session: Session, path: Path, out: int) -> None:
    """The child: run into ``path``, and write the id of each order that a venue takes to ``out``."""
    on_request = SimVenue.on_request

    def telling(venue: SimVenue, request: np.void, now_ns: int) -> None:
        if int(request["kind"]) in (RequestKind.NEW, RequestKind.CONVERT):
            os.write(out, int(request["order_id"]).to_bytes(ID_BYTES, "little"))
        on_request(venue, request, now_ns)

    pytest.MonkeyPatch().setattr(SimVenue, "on_request", telling)  # for good: this process ends here
    engine_for(session, latency_scale=SLOW, journal=JournalFile(path)).run(frames_of(session))


def kill_after(session: Session, path: Path, orders: int) -> tuple[list[int], int]:
    """Kill a child when it has told of so many; all it told of, and what became of it."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reads)
            run_and_tell(session, path, writes)
        finally:
            os._exit(0)
    os.close(writes)
    told = b""
    with os.fdopen(reads, "rb") as pipe:
        told = pipe.read(orders * ID_BYTES)
        os.kill(child, signal.SIGKILL)
        told += pipe.read()
    _, status = os.waitpid(child, 0)
    starts = range(0, len(told), ID_BYTES)
    return [int.from_bytes(told[at : at + ID_BYTES], "little") for at in starts], status


def assert_left_whole(session: Session, path: Path, seed: int) -> int:
    """One kill; the signal the child ended by."""
    told, status = kill_after(session, path, 1 + below(draw(seed, 1), ORDERS_MAX))
    entries, torn = read_entries(path)
    assert torn == 0, "what was written outlives the process"
    past = recover(entries)
    past.ledger.verify()
    intents = [int(e.record["order_id"]) for e in entries if e.kind is EntryKind.INTENT]
    assert set(told) <= set(intents), f"seed {seed}: a venue has an order that the journal lacks"
    assert len(told) == len(set(told))
    for order_id in told:
        assert past.orders[order_id][1].status.name not in ("INTENT", "JOURNALED", "DENIED")
    with_new_owner = JournalFile(path)
    assert len(with_new_owner.entries) == len(entries)
    with_new_owner.close()
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def test_a_killed_writer_leaves_every_order_it_sent(session: Session, tmp_path: Path) -> None:
    ends = [assert_left_whole(session, tmp_path / f"journal-{seed}", seed) for seed in range(KILLS)]
    assert ends.count(signal.SIGKILL) >= KILLS // 2, "most died in the middle of a run"


@pytest.mark.soak
def test_many_killed_writers_leave_every_order_they_sent(session: Session, tmp_path: Path) -> None:
    for seed in range(KILLS, KILLS_LONG):
        assert_left_whole(session, tmp_path / "journal", seed)
        (tmp_path / "journal").unlink()
