"""A Kalshi session of the shape that is recorded on a busy market, made from a seed, as a recording.

Sizes of changes, the share of removals and the reach around the middle are round numbers of the kind seen on
fifteen-minute markets; the point is the wire text, some 260 bytes a delta, on a few markets in turn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from engine.catalog.defaults import market_with_defaults
from engine.config import Config
from engine.records import Venue
from engine.units import NS_PER_S
from procs.config_files import load_fee_table
from procs.recording import Provenance, RecordingHeader, RecordingWriter

MARKETS: Final = 2
START_NS: Final = 1_790_000_000 * NS_PER_S
GAP_NS: Final = 1_000_000
REACH: Final = 40
SIZE_MAX: Final = 500
SEED: Final = 7


def write_session(path: Path, config: Config, deltas: int) -> Path:
    """Write a snapshot of each market and ``deltas`` changes; sizes never fall below zero."""
    names = [f"KXBENCH15M-{number}" for number in range(MARKETS)]
    fees = load_fee_table(config)
    header = RecordingHeader(
        venue="kalshi",
        kind="stream",
        start_ns=START_NS,
        markets=tuple(
            market_with_defaults(fees, Venue.KALSHI, name, START_NS, direct_member=True) for name in names
        ),
        provenance=Provenance("bench", "own", "2026-11-28"),
        synthetic=True,
    )
    chance = np.random.default_rng(SEED)
    draws = chance.integers(0, 1 << 30, (deltas, 4)).tolist()
    with path.open("wb") as file, RecordingWriter(file, header) as writer:
        sizes: dict[tuple[int, int, int], int] = {}
        for number, name in enumerate(names):
            writer.write(START_NS, Venue.KALSHI, 0, _snapshot(name, number + 1))
        for index, (market, side, price, size) in enumerate(draws):
            place = market % MARKETS, side % 2, 45 - int(REACH * ((price % 1000) / 1000) ** 2)
            held = sizes.get(place, 0)
            change = -held if held and size % 3 == 0 else size % SIZE_MAX + 1
            sizes[place] = held + change
            text = _delta(names[place[0]], MARKETS + index + 1, place[1], place[2], change)
            writer.write(START_NS + index * GAP_NS, Venue.KALSHI, 0, text)
    return path


def _snapshot(name: str, seq: int) -> str:
    return (
        f'{{"type":"orderbook_snapshot","sid":1,"seq":{seq},"msg":{{"market_ticker":"{name}",'
        '"market_id":"00000000-0000-0000-0000-000000000000","yes_dollars_fp":[],"no_dollars_fp":[]}}'
    )


def _delta(name: str, seq: int, side: int, cents: int, change: int) -> str:
    return (
        f'{{"type":"orderbook_delta","sid":1,"seq":{seq},"msg":{{"market_ticker":"{name}",'
        f'"market_id":"00000000-0000-0000-0000-000000000000","price_dollars":"0.{cents:02d}00",'
        f'"delta_fp":"{change}.00","side":"{("yes", "no")[side]}","ts":"2026-09-21T12:00:00.000000Z"}}}}'
    )
