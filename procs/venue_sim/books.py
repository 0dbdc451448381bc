"""The venue's own books as of the replay position, and what it knows of them besides levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engine.catalog.market import MarketSpec
from engine.records import Trust, Venue
from engine.units import NS_PER_MS
from procs.recording_frames import FrameBatch
from procs.recording_lines import Longs
from procs.replay import Book, Levels, Replay


class BookNow(NamedTuple):
    """One whole book: levels best first (price in 1e-4, size in 1e-6, 0: unknown); venue time, 0: unknown."""

    bids: Levels
    asks: Levels
    venue_ms: int


class VenueBooks:
    """A book for each ticker and each token, in its own terms, from the frames up to the position."""

    def __init__(self, specs: Sequence[MarketSpec]) -> None:
        self.replay = Replay(specs)
        self.named: tuple[Book, ...] = tuple(self.replay.books)  # later ones were met in a frame
        self.position_ns = 0
        self._specs = {
            (spec.venue, symbol): spec
            for spec in specs
            for symbol in (spec.symbol, spec.yes_token, spec.no_token)
            if symbol
        }

    def feed(self, batch: FrameBatch, clock_ns: Longs, start: int, stop: int) -> None:
        """Move the position behind frame ``stop - 1`` of a batch."""
        if stop > start:
            self.replay.feed(batch, clock_ns, start, stop)
            self.position_ns = int(clock_ns[stop - 1])

    def spec(self, venue: Venue, symbol: str) -> MarketSpec | None:
        """Metadata of the market that has this ticker or token, if a header told any."""
        return self._specs.get((venue, symbol))

    def whole(self, venue: Venue, symbol: str) -> BookNow | None:
        """The book of a ticker or token; None while the recording does not tell it.

        That is: before its opening snapshot, after a loss that no later snapshot has mended, when the market
        is over, and for a name that no frame has brought.
        """
        found = self.replay.symbols[venue].find(symbol.encode())
        if found is None or self.replay.trust(found.slot) is not Trust.LIVE:
            return None
        bids, asks = self.replay.levels(found.slot)
        venue_ns = int(self.replay.store.books[found.slot]["venue_ns"])
        return BookNow(bids, asks, venue_ns // NS_PER_MS)
