"""Recordings of real market data through sockets: a reader has the books of a replay, trust and all."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from engine.records import Venue
from procs.places import samples_dir
from procs.recording import SUFFIX
from procs.venue_sim.simulation import SimOptions
from procs.venue_sim.tape import recorded_tape
from tests.procs.venue_sim.client import run, served, to_kalshi, to_polymarket
from tests.procs.venue_sim.reading import assert_same_books, books_of, tickers_of, tokens_of

pytestmark = pytest.mark.compiled_only


@pytest.mark.parametrize("name", ["btc15m_bbo_20260401"])
def test_a_reader_of_a_packaged_recording_has_the_books_of_a_replay(name: str) -> None:
    run(lambda: _read_whole(samples_dir() / f"{name}{SUFFIX}"))


@pytest.mark.parametrize("name", ["demo_session_20260701.jsonl.zst"])
def test_a_reader_of_a_kalshi_recording_has_the_books_of_a_replay(shared_data: Path, name: str) -> None:
    run(lambda: _read_whole(shared_data / "kalshi_ws" / name))


async def _read_whole(path: Path) -> None:
    """Two readers, one for each venue, from the beginning: books, trust and all."""
    with ExitStack() as opened:
        tape = recorded_tape([path], opened)
        async with served(tape, SimOptions(once=True, start_when_subscribed=None)) as sim:
            specs = sim.books.replay.specs
            channels = ("orderbook_delta", "ticker", "trade", "market_lifecycle_v2")
            polymarket = await to_polymarket(sim, tokens_of(specs))
            kalshi = await to_kalshi(sim, tickers_of(specs) or ["NONE"], *channels)
            await polymarket.until_gone()
            await kalshi.until_gone()
        found = books_of(specs, (Venue.POLYMARKET, polymarket.texts), (Venue.KALSHI, kalshi.texts))
        assert_same_books(found, sim.books.replay)
        sent = sum(log.texts_sent for log in sim.logs.values())
        assert 0 <= sim.played - sent < 10  # what is not for clients: acknowledgements of the recorder
