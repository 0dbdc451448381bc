"""The bench of the ladder: every call is measured, and both ways of a frame play the same session."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import ladder
from bench._kalshi_stream import write_session
from engine.config import Role
from procs.config_files import load_config
from procs.ladder import BookRung, Rung, rungs_of
from shm.histogram import Histograms

pytestmark = pytest.mark.compiled_only


@pytest.fixture
def histograms() -> Histograms:
    return Histograms.create(rungs_of(tuple(Role)))


def test_every_call_of_a_stage_is_measured(histograms: Histograms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "CALLS", 2)
    monkeypatch.setattr(ladder, "ROUNDS", 1)
    costs = ladder.calls(histograms)
    assert len(costs) == 5
    assert all(cost_ns > 0 for cost_ns in costs.values())
    assert all(histograms[rung].count == 2 for rung in Rung), "each call did what it is measured for"


def test_the_stage_with_the_ladder_counts_every_frame(histograms: Histograms, tmp_path: Path) -> None:
    recording = write_session(tmp_path / "kalshi.ndjson.zst", load_config(), 50)
    without = ladder.Books(recording, None)
    assert without.play() > 0
    assert histograms[Rung.RECEIVE_BOOK].count == 0
    assert ladder.Books(recording, BookRung(histograms, lambda: 0)).play() > 0
    assert histograms[Rung.RECEIVE_BOOK].count == len(without.frames)
