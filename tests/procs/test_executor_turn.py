"""What the executor's turn leaves behind it when a plan has left the short way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import _scene
from bench._orders import Desk
from bench._trade_side import engine_ns
from bench.path import Market
from engine.ledger.journal import HEAD_BYTES, EntryKind
from engine.records import ORDER_REQUEST, Venue
from engine.units import INT64_MAX
from procs.journal_file import read_entries
from procs.wires import RingFull, publish
from shm.ring import RefusingRing

pytestmark = pytest.mark.compiled_only


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """An executor with its books, and a plan in its ring that it has not taken."""
    folder, state = tmp_path / "run", tmp_path / "state"
    folder.mkdir(mode=0o700)
    state.mkdir(mode=0o700)
    market = Market(folder)
    made = Desk(folder, state, 50)
    market.open()
    market.on_frame(_scene.change(0, is_cheap=True))
    made._make(0)
    made._head["plan_ns"], made._head["plan_id"] = engine_ns(), 1
    publish(made._others.plans, made._head, made._legs, "plans")
    yield made
    made.journal.close()


def test_a_plan_that_has_left_is_known_when_its_turn_ends(desk: Desk) -> None:
    """Nothing follows it: no report and no other plan."""
    assert desk.executor.is_done
    desk.turn()
    assert desk._requests.poll() == 2
    assert not desk.executor.is_done
    assert engine_ns() < desk.executor.next_due_ns() < INT64_MAX
    assert desk.executor.executor.open_orders == 2


def test_what_could_not_be_published_is_journaled_and_nothing_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(ring: RefusingRing, start: int, end: int) -> int:
        raise RingFull(f"{ring} {start} {end}")

    monkeypatch.setattr(desk.executor._requests, "publish", full)
    desk.journal.flushes.clear()
    with pytest.raises(RingFull):
        desk.turn()
    assert desk._requests.poll() == 0
    assert desk.executor._wires.requests[Venue.POLYMARKET].published_messages == 0
    kinds = [entry.kind for entry in read_entries(desk.journal.path)[0]]
    assert kinds[-4:] == [EntryKind.INTENT, EntryKind.INTENT, EntryKind.SENT, EntryKind.SENT]
    [(_, flushed_bytes)] = desk.journal.flushes
    assert flushed_bytes > 4 * (HEAD_BYTES + ORDER_REQUEST.itemsize), "all of it is durable"
