"""What is played: markets named once, sources merged, shifted, and kept apart."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import ConfigError
from engine.records import Venue
from engine.sim.session.build import build_session
from procs.recording_frames import Frame
from procs.venue_sim import tape as tape_module
from procs.venue_sim.tape import Tape, seeded_tape
from tests.data import recordings as made
from tests.procs.venue_sim.client import FramesSource


def _sources() -> list[FramesSource]:
    first = [made.kalshi(b"a", 0), made.kalshi(b"b", 20, conn=3)]
    second = [made.polymarket(b"c", 10), made.polymarket(b"d", 30)]
    late = made.header("both", start_ns=made.START_NS + 10_000_000)
    return [FramesSource(first, made.header("kalshi")), FramesSource(second, late)]


def _played(tape: Tape) -> list[tuple[bytes, int, int]]:
    """(text, connection, milliseconds after the start) of every frame."""
    found = []
    for run in tape.runs():
        for at in range(run.start, run.stop):
            after_ms = (int(run.clock_ns[at]) - made.START_NS) // 1_000_000
            found.append((run.batch.raw(at), int(run.batch.conns[at]), after_ms))
    return found


def test_sources_are_merged_by_time_and_their_connections_kept_apart() -> None:
    tape = Tape(_sources())
    played = _played(tape)
    assert [(raw, after) for raw, _, after in played] == [(b"a", 0), (b"c", 10), (b"b", 20), (b"d", 30)]
    conns = {raw: conn for raw, conn, _ in played}
    assert len({conns[b"a"], conns[b"b"], conns[b"c"]}) == 3
    assert conns[b"c"] == conns[b"d"]
    assert tape.venues == {Venue.KALSHI, Venue.POLYMARKET}
    assert [spec.symbol for spec in tape.specs] == [made.TICKER, "0xabc"]  # named twice, kept once


def test_sources_can_be_moved_to_a_common_start() -> None:
    played = _played(Tape(_sources(), align_start=True))
    assert [(raw, after) for raw, _, after in played] == [(b"a", 10), (b"c", 10), (b"b", 30), (b"d", 30)]


def test_a_source_of_metadata_has_no_frames_to_wait_for() -> None:
    source = FramesSource([], made.header("polymarket", kind="metadata"))
    assert Tape([source]).venues == frozenset()


def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tape_module, "CONNS_MAX", 2)
    assert len(_played(Tape(_sources()[:1]))) == 2
    with pytest.raises(ConfigError, match="more than 2 connections"):
        _played(Tape(_sources()))


def test_a_seeded_tape_is_the_session() -> None:
    session = build_session(5)
    tape = seeded_tape(5)
    found = [frame for run in tape.runs() for frame in run.batch.frames()]
    assert [(one.recv_ns, one.raw) for one in found] == [
        (one.recv_ns, one.raw.encode()) for one in session.frames
    ]
    assert list(tape.specs) == session.markets
    assert all(np.diff([one.recv_ns for one in found]) >= 0)
    assert isinstance(found[0], Frame)
