"""What a reader of the simulated venues makes of their texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from engine.catalog.market import MarketSpec
from engine.records import Venue
from procs.recording_frames import Frame, pack
from procs.replay import Replay
from tests.data import recordings as made


def tokens_of(specs: Iterable[MarketSpec]) -> list[str]:
    """Every token there is a book of."""
    found = [spec for spec in specs if spec.venue is Venue.POLYMARKET]
    return [token for spec in found for token in (spec.yes_token or spec.symbol, spec.no_token) if token]


def tickers_of(specs: Iterable[MarketSpec]) -> list[str]:
    return [spec.symbol for spec in specs if spec.venue is Venue.KALSHI]


def books_of(specs: Sequence[MarketSpec], *streams: tuple[Venue, list[bytes]]) -> Replay:
    """Books that a reader of these streams has, each a connection of its own."""
    replay = Replay(specs)
    at = 0
    for conn, (venue, texts) in enumerate(streams):
        frames = [Frame(made.START_NS + at + n, venue, conn, text) for n, text in enumerate(texts)]
        at += len(frames)
        for batch in pack(frames):
            replay.feed(batch, np.maximum.accumulate(batch.recv_ns))
    return replay


def assert_same_books(found: Replay, expected: Replay) -> None:
    for slot, book in enumerate(expected.books):
        assert found.levels(slot) == expected.levels(slot), book.name
        assert found.trust(slot) is expected.trust(slot), book.name
