"""Simulated venue stage: order requests in, venue reports out, over the market data that the feed publishes.

The venue keeps its own books from the same updates; nothing that the engine believes reaches it, but for what
of them it has missed. When the recording says that a market settled, the venue pays some time later.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.book.store import BookStore
from engine.reasons import Reason
from engine.records import (
    BOOK_UPDATE,
    NO_PRICE,
    ORDER_REQUEST,
    MarketState,
    Side,
    TopFlag,
    Trust,
    UpdateKind,
    Venue,
)
from engine.sim.venue import SimVenue
from procs.agent import NEVER_NS, VENUE, Follow, role_at
from procs.lost_books import LostBooks
from procs.wires import Wires, publish_each
from shm.ring import Reader, Records

BATCH_CELLS: Final = 4_096
_MARKET_STATE: Final = int(UpdateKind.MARKET_STATE)
_UNFIT: Final = int(TopFlag.SIZE_UNKNOWN | TopFlag.CROSSED)


class StoreBook:
    """The venue's own books: a BookStore that nobody else applies to.

    ``lost`` finds out what a lap has cost; without it a lap costs the trust of every book.
    """

    def __init__(self, store: BookStore, lost: LostBooks | None = None) -> None:
        self.store = store
        self.lost = lost

    def apply(self, updates: Records, n: int, now_ns: int) -> int:
        """Take over ``updates[:n]``."""
        return self.store.apply(updates, n, now_ns)

    def doubt_all(self, reason: Reason, at_ns: int, now_ns: int) -> None:
        """Believe no book from ``at_ns`` on, until a newer snapshot."""
        self.store.doubt_all(reason, at_ns, now_ns)

    def levels(self, slot: int, side: int) -> tuple[list[int], list[int]]:
        """Prices (YES terms, best first) and sizes of one side."""
        prices, sizes = self.store.levels(slot, Side(side))
        return prices.tolist(), sizes.tolist()

    def is_tradable(self, slot: int) -> bool:
        """Whether the book is LIVE and missed nothing, with known sizes and not crossed."""
        if self.lost is not None and self.lost.is_undecided(slot):
            return False
        row = self.store.rows[slot]
        return int(row["trust"]) == Trust.LIVE and not int(row["flags"]) & _UNFIT


class SimVenueAgent:
    """One simulated venue. ``settle_ns`` is how long it takes from settlement to payment.

    ``unpaid`` counts markets that settled without anybody saying at what value.
    """

    def __init__(
        self,
        venue: Venue,
        sim: SimVenue,
        wires: Wires,
        settle_ns: int,
        follow: Follow | None = None,
        book: StoreBook | None = None,
    ) -> None:
        self.role = role_at(VENUE, venue)
        self.sim = sim
        self._venue = venue
        self._follow = follow
        self._book = book
        self._lost = None if book is None else book.lost
        self.laps = 0
        self.unpaid = 0
        self._settle_ns = settle_ns
        self._results: dict[int, int] = {}  # slot -> value of YES, said before the market pays
        self._reader = wires.updates[venue].reader(batch_cells=BATCH_CELLS)
        self._updates = self._reader.records(BOOK_UPDATE)
        self._requests = wires.requests[venue].resume("venue", 0)
        self._wires, self._heard_as = wires, f"requests.{venue.name.lower()}"
        self._orders = self._requests.records(ORDER_REQUEST)
        self._reports = wires.reports[venue]

    @property
    def missed_books(self) -> int:
        """Books that had missed something when this reader was lapped."""
        return 0 if self._lost is None else self._lost.missed

    @property
    def lost(self) -> int:
        """Updates overwritten before they were read."""
        return self._reader.lost_messages

    @property
    def readers(self) -> list[Reader]:
        """Of market data and of order requests."""
        return [self._reader, self._requests]

    def on_start(self, now_ns: int) -> None:
        """Nothing to open."""

    def do_work(self, now_ns: int) -> int:
        """Take market data frame by frame, then requests, then whatever is due."""
        work = self._market_data(now_ns)
        if self._lost is not None:
            work += self._lost.look(now_ns)
        requests = self._wires.take(self._requests, self._heard_as)
        for index in range(requests):
            self.sim.on_request(self._orders[index], now_ns)
        work += requests
        if self.sim.next_due_ns() <= now_ns:
            reports = self.sim.advance(now_ns)
            work += 1 + publish_each(self._reports, reports, self.role)
        return work

    def on_close(self) -> None:
        """Nothing to let go of."""

    def next_due_ns(self) -> int:
        """When something happens at the venue."""
        lost_ns = NEVER_NS if self._lost is None else self._lost.next_due_ns()
        return min(self.sim.next_due_ns(), lost_ns, NEVER_NS)

    def _market_data(self, now_ns: int) -> int:
        """One message of the ring is one frame."""
        work = 0
        while (n_cells := self._reader.poll(1)) > 0:
            work += n_cells
            if self._follow is not None:
                self._follow()
            self._doubt_gaps(now_ns)
            self.sim.on_update(self._updates, n_cells, now_ns)
            kinds = self._updates["kind"][:n_cells]
            for update in self._updates[:n_cells][kinds == _MARKET_STATE]:
                self._follow_life(update, now_ns)
        return work

    def _doubt_gaps(self, now_ns: int) -> None:
        """What was overwritten before we read it, or what another feed never knew, may concern any book."""
        is_another_feed = self._reader.entered_epoch()
        is_lapped, self.laps = self._reader.laps != self.laps, self._reader.laps
        if is_lapped and self._lost is not None:
            self._lost.lapped(now_ns)
        elif is_lapped:
            self._doubt_all(Reason.RING_LAPPED, now_ns)
        if is_another_feed:
            self._doubt_all(Reason.DISCONNECTED, now_ns)

    def _doubt_all(self, reason: Reason, now_ns: int) -> None:
        """Before anything from behind a gap is applied: it was received after all that is missing."""
        if self._book is not None:
            self._book.doubt_all(reason, int(self._updates[0]["recv_ns"]), now_ns)

    def _follow_life(self, update: np.void, now_ns: int) -> None:
        """Remember a result when it is said; pay when the market settles. Unsaid, nothing is paid."""
        slot, value_e4 = int(update["slot"]), int(update["price_e4"])
        if value_e4 != NO_PRICE:
            self._results[slot] = value_e4
        if update["aux"] != MarketState.SETTLED:
            return
        if slot in self._results:
            self.sim.settle(slot, self._results.pop(slot), now_ns + self._settle_ns)
        else:
            self.unpaid += 1
