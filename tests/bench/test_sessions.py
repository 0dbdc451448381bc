"""Recordings in memory: both ways play all of it, and what is rejected is no figure."""

from __future__ import annotations

import pytest

from bench._plain import PlainBooks
from bench.sessions import RECORDED, Recorded
from engine.records import Venue
from procs.places import samples_dir
from procs.recording_frames import Frame, pack

pytestmark = pytest.mark.compiled_only


def test_a_packaged_recording_is_played_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded(samples_dir() / RECORDED[0])
    assert recorded.frames > 10_000
    assert recorded.is_plain()
    applied = []
    monkeypatch.setattr(PlainBooks, "apply", lambda _, message: applied.append(message))
    ours, theirs = recorded.ours(), recorded.theirs()
    assert ours["per_s"] > 0 < theirs["per_s"]
    assert len(applied) == recorded.frames


def test_a_recording_with_frames_that_nobody_reads_is_no_figure() -> None:
    recorded = Recorded(samples_dir() / RECORDED[0])
    (garbage,) = pack([Frame(1, Venue.KALSHI, 0, b"{no json")])
    recorded._runs.append(
        recorded._runs[-1]._replace(batch=garbage, clock_ns=garbage.recv_ns, start=0, stop=1)
    )
    assert not recorded.is_plain()
    with pytest.raises(RuntimeError, match="1 frames rejected"):
        recorded.ours()
