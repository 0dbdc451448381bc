"""Single calls as pytest-benchmark times them: ``make bench`` runs these, ``make test`` calls each once.

Between the benches of ``bench/``, which measure whole ways beside their peers, and a profile: what one call
from Python costs. Each looks at what its calls have done.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

import numpy as np
import pytest

from bench import _frames
from engine.records import BOOK_ROW, BOOK_UPDATE, Venue
from shm.ring import OverwritingRing
from shm.table import Table
from tests.bench.test_gate import MADE, Floor

pytest.importorskip("pytest_benchmark", reason="pytest-benchmark is not installed: make setup")
pytestmark = pytest.mark.compiled_only

Benchmark = Callable[[Callable[[], int]], int]


def test_publish_and_poll(benchmark: Benchmark) -> None:
    ring = OverwritingRing.create(64, BOOK_UPDATE.itemsize)
    reader, record = ring.reader(), np.zeros(1, BOOK_UPDATE)

    def act() -> int:
        ring.publish_each(record)
        return reader.poll()

    assert benchmark(act) == 1
    assert reader.lost_cells == 0


def test_read_a_row(benchmark: Benchmark) -> None:
    table, row, found = Table.create(4, BOOK_ROW), np.zeros(1, BOOK_ROW), np.zeros(1, BOOK_ROW)
    row["slot"] = 3
    table.write(3, row)
    assert benchmark(lambda: table.read(3, found)) is True
    assert found["slot"] == 3


@pytest.mark.parametrize("venue", list(Venue))
def test_parse_a_frame(benchmark: Benchmark, venue: Venue) -> None:
    feed, frames = _frames.codec_of(venue).feed, cycle(MADE[venue](64))
    assert benchmark(lambda: feed(next(frames), 1, 0)) > 0


@pytest.mark.parametrize("venue", list(Venue))
def test_take_a_frame_to_rows_and_tops(benchmark: Benchmark, venue: Venue) -> None:
    floor, frames = Floor(venue, is_fused=True), cycle(MADE[venue](64))

    def act() -> int:
        floor.fused.on_frame(next(frames), 1, 0)
        return floor.feed.frames

    frames_taken = benchmark(act)
    assert floor.feed.frames == frames_taken > 0
    assert floor.book.applied >= frames_taken
