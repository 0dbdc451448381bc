"""A store with one market (slot 0) or a few, and the last TOP of each call, for the tests of single rules."""

from __future__ import annotations

import numpy as np

from engine.book.state import CROSSED_BURST_NS, Count
from engine.book.store import BookStore
from engine.reasons import Reason
from engine.records import Side, TopFlag, Trust, UpdateFlag, UpdateKind, Venue
from tests.engine.book.streams import UNIT, frame, snapshot, update

CENT = ((0, 10_000, 100),)
BOOT = 9
BIDS = {4_700: 10 * UNIT, 4_600: 20 * UNIT}
ASKS = {4_900: 10 * UNIT, 5_000: 30 * UNIT}
SIBLING = UpdateFlag.SIBLING


class OneMarket:
    """Slot 0 on the cent grid; ``mirror`` as given; UNSYNCED until ``open_live``."""

    def __init__(
        self, *, mirror: bool = False, markets: int = 1, pages: int = 64, venue: Venue = Venue.KALSHI
    ) -> None:
        self.store = BookStore(markets, BOOT, pages)
        for slot in range(markets):
            self.store.open_market(slot, 1, venue, CENT, mirror)

    def send(self, *updates: np.ndarray, recv_ns: int = 1_000, now_ns: int | None = None) -> np.void:
        """Apply one frame that touches one market; its TOP."""
        records = frame(*updates)
        records["recv_ns"] = recv_ns
        n = self.store.apply(records, len(records), recv_ns if now_ns is None else now_ns)
        assert n == 1
        top: np.void = self.store.tops[0]
        return top

    def open_live(self, recv_ns: int = 1_000) -> np.void:
        """A snapshot of BIDS and ASKS."""
        top = self.send(snapshot(BIDS, ASKS), recv_ns=recv_ns)
        assert self.trust == Trust.LIVE
        return top

    def level(self, price_e4: int, size_e6: int, side: int = 0, flags: int = 0) -> np.ndarray:
        return update(UpdateKind.LEVEL_SET, price_e4=price_e4, size_e6=size_e6, side=side, flags=flags)

    def add(self, price_e4: int, delta_e6: int, side: int = 0) -> np.ndarray:
        return update(UpdateKind.LEVEL_ADD, price_e4=price_e4, size_e6=delta_e6, side=side)

    def top(self, bid_e4: int, ask_e4: int, flags: int = 0) -> np.ndarray:
        return update(UpdateKind.DECLARED_TOP, price_e4=bid_e4, aux=ask_e4, flags=flags)

    def doubt(self, reason: Reason) -> np.ndarray:
        return update(UpdateKind.DOUBT, aux=reason)

    @property
    def trust(self) -> int:
        return Trust(int(self.store.rows[0]["trust"]))

    @property
    def reason(self) -> int:
        return Reason(int(self.store.books[0]["doubt"]))

    @property
    def epoch(self) -> int:
        return int(self.store.rows[0]["epoch"])

    @property
    def flags(self) -> TopFlag:
        return TopFlag(int(self.store.rows[0]["flags"]))

    def levels(self, side: Side) -> dict[int, int]:
        prices, sizes = self.store.levels(0, side)
        return dict(zip(prices.tolist(), sizes.tolist(), strict=True))

    def count(self, what: Count) -> int:
        return self.store.count(what)


AFTER_BURST_NS = CROSSED_BURST_NS
