"""The parse and session benches, small: live-like frames, parsers that find the same, whole books."""

from __future__ import annotations

from functools import partial

import orjson
import pytest

from bench import _frames, parse, sessions
from bench._parsers import extracting, parsers
from bench._result import Result
from bench._session_peers import players
from engine.records import Venue
from procs.recording_frames import Frame, pack

pytestmark = pytest.mark.compiled_only


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "FRAMES", 80)
    monkeypatch.setattr(parse, "CHUNK", 20)


def test_frames_are_distinct_and_as_long_as_live_ones() -> None:
    made = _frames.price_changes(50, 2)
    assert len(set(made)) == 50
    assert 560 < sum(map(len, made)) / 50 < 640
    assert all(len(orjson.loads(frame)["bids"]) == 20 for frame in _frames.books(5, 40))


@pytest.mark.parametrize("what", parse.TIMES_MIN)
def test_every_parser_finds_the_same_levels_and_ours_is_compiled(what: str) -> None:
    venue, kind, frames = parse.cases()[what]
    for found in parsers(Result("parse", {}), kind).values():
        parse.check(venue, kind, frames, found)
    assert parse.ours(venue, kind, frames)["ns"] > 0
    assert parse.at_once(venue, kind, frames)["ns"] > 0


def test_a_parser_that_loses_a_level_is_found_out() -> None:
    whole = extracting(orjson.loads)
    with pytest.raises(RuntimeError, match="different levels"):
        parse.check(Venue.POLYMARKET, "book", _frames.books(3, 40), lambda frame: whole(frame)[1:])


@pytest.mark.parametrize(
    ("venue", "frames"),
    [(Venue.KALSHI, _frames.kalshi_deltas(100)), (Venue.POLYMARKET, _frames.price_changes(100, 2))],
)
def test_both_ways_of_ours_end_with_the_same_books(venue: Venue, frames: list[bytes]) -> None:
    batches = list(pack(Frame(number, venue, 0, raw) for number, raw in enumerate(frames)))
    ways = [sessions.Books(venue) for _ in range(2)]
    ways[0].at_once(batches)
    ways[1].one_by_one(frames)
    for books in ways:
        books.verify(len(frames))
    assert (ways[0].store.rows == ways[1].store.rows).all()
    assert ways[0].store.rows["bid_e4"].max() > 0
    for play in players(Result("sessions", {}), deltas=venue is Venue.KALSHI).values():
        assert sessions.theirs(play, frames)["per_s"] > 0


def test_a_session_with_a_gap_is_no_measurement() -> None:
    frames = _frames.kalshi_deltas(20)
    del frames[12]
    with pytest.raises(RuntimeError, match="some refused"):
        sessions.ours(Venue.KALSHI, frames, partial(sessions.Books.one_by_one, frames=frames))
