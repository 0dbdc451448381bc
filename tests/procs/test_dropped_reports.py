"""Reports of every kind garbled on their way: the executor ends, and the next one is where its venues are.

The halt that comes with it is only heard here, so that trading goes on and more can be dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

import pytest

from engine.records import VENUE_REPORT, ReportKind
from engine.sim.session.build import Session
from procs.garbled import ReportDropped
from procs.inline_engine import InlineEngine
from shm.layout import CELL_HEADER_BYTES, RING
from shm.ring import RefusingRing
from tests.procs.test_garbled import spoil
from tests.procs.test_recovery_of_a_run import MortalStage, Run, small_session

pytestmark = pytest.mark.compiled_only

SEEDS: Final = 6
SEEDS_LONG: Final = 100
ONE_IN: Final = 3
OF_A_KIND: Final = 3  # in one run


class Unheard(MortalStage):
    """Some of what waits for it is written over before it reads it."""

    def __init__(self, engine: InlineEngine, deaths: list[int], luck: Callable[[int], int]) -> None:
        super().__init__(engine, deaths, luck)
        self.dropped: Counter[ReportKind] = Counter()
        self.lines: list[str] = []
        self.ended = 0  # for what was dropped
        self._spoilt: set[tuple[int, int]] = set()  # ring and position
        engine.wires.alarm.halt = self.lines.append

    def do_work(self, now_ns: int) -> int:
        for ring in self.engine.wires.reports.values():
            self._spoil_one(ring)
        try:
            return super().do_work(now_ns)
        except ReportDropped:
            self.ended += 1
            self.engine.wires.alarm.dropped.clear()  # the next one has wires of its own
            self._come_back(now_ns)
            return 1

    def _spoil_one(self, ring: RefusingRing) -> None:
        first, head = int(ring.header["readers"][0]["position"]), ring.published_cells
        if first == head or self.luck(ONE_IN):
            return
        position = first + self.luck(head - first)
        if (id(ring), position) in self._spoilt:
            return  # a second time would make it what it was
        cell = RING.itemsize + (position % ring.capacity) * (CELL_HEADER_BYTES + ring.payload_bytes)
        payload = ring.segment.bytes_at(cell + CELL_HEADER_BYTES, VENUE_REPORT.itemsize)
        kind = ReportKind(int(payload.view(VENUE_REPORT)[0]["kind"]))
        if self.dropped[kind] < OF_A_KIND:
            self.dropped[kind] += 1
            self._spoilt.add((id(ring), position))
            spoil(ring, position)


def drop(session: Session, seed: int) -> Counter[ReportKind]:
    """One run; how many of which kind were dropped."""
    run = Run(session, seed, 0, stage=Unheard)
    stage = run.stage
    assert isinstance(stage, Unheard)
    print(f"seed {seed}: {dict(stage.dropped)}, {stage.died} executors ended")
    assert stage.died == stage.ended > 0
    # one line for each, but for those that a reader that was fenced meanwhile never came to
    assert stage.ended <= len(stage.lines) <= stage.dropped.total()
    run.assert_survived()
    return stage.dropped


@pytest.fixture(scope="module")
def session() -> Session:
    return small_session()


def test_whatever_is_dropped_the_next_executor_has_what_its_venues_have(session: Session) -> None:
    dropped: Counter[ReportKind] = Counter()
    for seed in range(SEEDS):
        dropped += drop(session, seed)
    assert dropped[ReportKind.SETTLED] > 0, dropped
    assert dropped[ReportKind.FILLED] > 0, dropped


@pytest.mark.soak
def test_whatever_is_dropped_in_many_runs(session: Session) -> None:
    for seed in range(SEEDS, SEEDS_LONG):
        drop(session, seed)
