"""An order as the venue knows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from engine.execution.semantics import takes_bids, yes_price_e4
from engine.records import Direction, TimeInForce
from engine.sim.balances import Market, Reservation
from engine.sim.queue import QueuePlace


class VenueState(IntEnum):
    """Where an order is at the venue."""

    ARRIVED = 0
    DELAYED = 1  # inside the taker delay: cannot be cancelled
    RESTING = 2
    GONE = 3  # filled, cancelled, expired or refused


@dataclass(slots=True, eq=False)
class VenueOrder:
    """One request at the venue, the n-th by ``number``; ``accumulator_micros``: Kalshi's rounding account."""

    request: np.void
    number: int
    venue_order_id: int
    arrived_ns: int
    left_e6: int
    state: VenueState = VenueState.ARRIVED
    accumulator_micros: int = 0
    held: Reservation | None = None
    place: QueuePlace | None = None
    deaf: bool = False  # what is said at arrival is lost on its way
    partial: bool = False  # others are faster: see Fault.PARTIAL
    said: list[np.void] = field(default_factory=list)

    @property
    def slot(self) -> int:
        """Market."""
        return int(self.request["slot"])

    @property
    def market(self) -> Market:
        """Slot and generation."""
        return self.slot, int(self.request["generation"])

    @property
    def outcome(self) -> int:
        """Outcome bought or sold."""
        return int(self.request["outcome"])

    @property
    def buys(self) -> bool:
        """Whether it is a purchase."""
        return int(self.request["direction"]) == Direction.BUY

    @property
    def tif(self) -> int:
        """TimeInForce."""
        return int(self.request["tif"])

    @property
    def rests(self) -> bool:
        """Whether what cannot be matched waits in the book."""
        return self.tif in (TimeInForce.GTC, TimeInForce.GTC_POST_ONLY)

    @property
    def yes_limit_e4(self) -> int:
        """Limit in YES terms."""
        return yes_price_e4(int(self.request["price_e4"]), self.outcome)

    @property
    def takes_bids(self) -> bool:
        """Whether it meets the bids of the YES book; it rests on the other side."""
        return takes_bids(int(self.request["direction"]), self.outcome)
