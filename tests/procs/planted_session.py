"""A session of only a few scenarios, for tests that run the whole engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.sim.session import build
from engine.sim.session.build import CLOSE_AFTER_NS, START_NS, Session
from engine.sim.session.scenario import Scenario
from procs.config_files import load_config, load_fee_table
from procs.inline_engine import InlineEngine
from procs.journal_file import JournalFile
from procs.parts import Scene
from procs.recording_frames import Frame

CLOSE_NS = START_NS + CLOSE_AFTER_NS


def session_of(*scenarios: Scenario) -> Session:
    """The session that plants these and nothing else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "planted_scenarios", lambda _close_ns: list(scenarios))
        patch.setattr(build, "fleeting_scenarios", lambda _close_ns: [])
        patch.setattr(build, "near_misses", lambda _close_ns: [])
        return build.build_session(1)


def engine_for(
    session: Session, *settings: str, latency_scale: int = 1, journal: JournalFile | None = None
) -> InlineEngine:
    """An engine just large enough, with the default configuration and ``settings``."""
    config = load_config(assignments=["engine.market_slots=32", *settings])
    scene = Scene(session.markets, session.relations, load_fee_table(config), session.frames[0].recv_ns)
    return InlineEngine(config, scene, latency_scale=latency_scale, journal=journal)


def frames_of(session: Session) -> Iterator[Frame]:
    """Its frames as a recording gives them."""
    return (Frame(frame.recv_ns, frame.venue, frame.conn, frame.raw.encode()) for frame in session.frames)
