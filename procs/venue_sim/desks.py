"""What is of each venue's own behind its server socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from picows import WSUpgradeRequest

from engine.records import Venue
from procs.venue_sim import kalshi, kalshi_wire, polymarket, polymarket_wire
from procs.venue_sim.books import VenueBooks
from procs.venue_sim.connection import Manners
from procs.venue_sim.kalshi_auth import PublicKey, refusal

# JSON, and of a type the venue has, but with a book change that says nothing that can be applied.
_WRONG_POLYMARKET: Final = (
    b'{"event_type":"price_change","price_changes":{"asset_id":7,"price":[]},"timestamp":null}'
)
_WRONG_KALSHI: Final = b'{"type":"orderbook_delta","sid":"one","seq":{},"msg":["price_dollars"]}'


class PolymarketDesk:
    """Polymarket's market channel; anybody may come in."""

    venue = Venue.POLYMARKET
    path = polymarket.PATH

    def __init__(self, books: VenueBooks, silent_s: float) -> None:
        self.manners = Manners(0.0, silent_s, _WRONG_POLYMARKET)
        self._snapshots = polymarket_wire.Snapshots(books)

    def read(self, raw: bytes, conn: int) -> polymarket_wire.MarketFrame | None:
        """Take a recorded frame in."""
        del conn
        frame = polymarket_wire.read_frame(raw)
        if frame is not None:
            self._snapshots.note(frame)
        return frame

    def refusal(self, request: WSUpgradeRequest) -> bytes | None:
        """Nobody is refused."""
        del request
        return None

    def session(self) -> polymarket.MarketSession:
        """The venue's side of a new connection."""
        return polymarket.MarketSession(self._snapshots)


class KalshiDesk:
    """Kalshi's WebSocket; with ``keys`` (id: public key) a handshake must be signed by one of them."""

    venue = Venue.KALSHI
    path = kalshi.PATH

    def __init__(
        self, books: VenueBooks, ping_s: float, keys: Mapping[str, PublicKey], now_ms: Callable[[], int]
    ) -> None:
        self.manners = Manners(ping_s, 0.0, _WRONG_KALSHI)
        self._snapshots = kalshi_wire.Snapshots(books)
        self._recorder = kalshi_wire.Recorder()
        self._keys = keys
        self._now_ms = now_ms

    def read(self, raw: bytes, conn: int) -> kalshi_wire.RecordedFrame | None:
        """Take a recorded frame in."""
        frame = self._recorder.read(raw, conn)
        if frame is not None:
            self._snapshots.note(frame)
        return frame

    def refusal(self, request: WSUpgradeRequest) -> bytes | None:
        """Why a handshake is not signed by one of the keys; None when it is, or none is configured."""
        if not self._keys:
            return None
        return refusal(request.headers, self.path, self._keys, self._now_ms())

    def session(self) -> kalshi.KalshiSession:
        """The venue's side of a new connection."""
        return kalshi.KalshiSession(self._snapshots)
