"""A recording as long as a soak needs it: a packaged recording and the synthetic session, over and over.

The packaged one (the beginning of a final, 100 frames a second) is market data at Polymarket; the session
plants opportunities at both venues that the engine trades. Each round of the session opens with new books, as
after a reconnect: Kalshi's sequence begins anew, so that its books fall into doubt and come back.
Markets settle in no round, and close three days from now.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from engine.catalog.market import MarketSpec
from engine.records import Venue
from engine.sim.session.build import START_NS, Session, build_session
from engine.units import NS_PER_S
from procs.places import samples_dir
from procs.recording import Provenance, RecordingHeader, RecordingWriter
from procs.recording_reader import RecordingReader

SEED: Final = 20_260_428
STREAM: Final = "nhl_final_20260607.ndjson.zst"
BETWEEN_NS: Final = NS_PER_S  # rounds
STREAM_CONN: Final = 16  # above those of the session
ZSTD_LEVEL: Final = 1

Line = tuple[int, Venue, int, str]


def write_long_recording(path: Path, recorded_s: float) -> Path:
    """Write ``recorded_s`` seconds of frames."""
    until_ns = START_NS + int(recorded_s * NS_PER_S)
    session = build_session(SEED)
    with RecordingReader(samples_dir() / STREAM) as reader:
        stream = [(frame.recv_ns, frame.venue, STREAM_CONN, frame.raw.decode()) for frame in reader.frames()]
        markets = reader.header.markets
    planted_until_ns = session.plantings[-1].until_ns
    played = [
        (frame.recv_ns, frame.venue, frame.conn, frame.raw)
        for frame in session.frames
        if frame.recv_ns <= planted_until_ns
    ]
    header = RecordingHeader(
        venue="both",
        kind="stream",
        start_ns=START_NS,
        markets=(*_open(session), *markets),
        provenance=Provenance(f"bench, with the packaged {STREAM}", "own, MIT", "2026-11-28"),
        synthetic=True,
    )
    with path.open("wb") as file, RecordingWriter(file, header, ZSTD_LEVEL) as writer:
        for line in heapq.merge(_rounds(played, until_ns), _rounds(stream, until_ns), key=lambda at: at[0]):
            writer.write(*line)
    return path


def _open(session: Session) -> Iterator[MarketSpec]:
    """Its markets, which close as long from now as they did from its start."""
    later_ns = time.time_ns() - START_NS
    for spec in session.markets:
        yield replace(spec, close_ns=spec.close_ns + later_ns) if spec.close_ns else spec


def _rounds(lines: list[Line], until_ns: int) -> Iterator[Line]:
    """The same lines again and again until a time, times of receipt moved along."""
    shift_ns = START_NS - lines[0][0]
    at_ns = 0
    while True:
        for recv_ns, venue, conn, raw in lines:
            at_ns = max(at_ns, recv_ns + shift_ns)
            if at_ns > until_ns:
                return
            yield at_ns, venue, conn, raw
        shift_ns = at_ns + BETWEEN_NS - lines[0][0]
