"""Our orders in the simulated book: who is served when the recorded market trades.

Among our own orders the better price goes first, then the earlier one. A trade at a price behind ours
would have met us first, so it fills us, but never for more than it was: one contract through our price is
one contract.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from engine.records import Side
from engine.sim.matching import reaches, worse_than
from engine.sim.orders import VenueOrder

RESTING_MAX: Final = 4096


class RestingOrders:
    """At most RESTING_MAX; ``add`` answers False beyond the bound."""

    def __init__(self) -> None:
        self._by_side: dict[tuple[int, int], list[VenueOrder]] = {}  # (slot, side it rests on), best first
        self._count = 0

    def __len__(self) -> int:
        """Orders that rest."""
        return self._count

    def add(self, order: VenueOrder) -> bool:
        """Take an order in, behind ours at the same price."""
        if self._count >= RESTING_MAX:
            return False
        orders = self._by_side.setdefault((order.slot, _side(order)), [])
        on_bids = _side(order) == Side.BID
        index = len(orders)
        while index and worse_than(order.yes_limit_e4, orders[index - 1].yes_limit_e4, on_bids):
            index -= 1
        orders.insert(index, order)
        self._count += 1
        return True

    def remove(self, order: VenueOrder) -> None:
        """Take an order out; it must be in."""
        key = order.slot, _side(order)
        self._by_side[key].remove(order)
        self._count -= 1
        if not self._by_side[key]:
            del self._by_side[key]

    def slots(self) -> Iterator[int]:
        """Markets with resting orders; a market may come twice."""
        return (slot for slot, _ in self._by_side)

    def of(self, slot: int, side: int) -> tuple[VenueOrder, ...]:
        """Orders on one side of a market, best first."""
        return tuple(self._by_side.get((slot, side), ()))

    def met_by(self, order: VenueOrder) -> int | None:
        """Best YES price of an own order that an incoming one would trade with; None when there is none."""
        against = self.of(order.slot, Side.BID if order.takes_bids else Side.ASK)
        if against and reaches(order.yes_limit_e4, against[0].yes_limit_e4, order.takes_bids):
            return against[0].yes_limit_e4
        return None

    def on_levels(self, slot: int, side: int, sizes_e6: Mapping[int, int], now_ns: int) -> None:
        """Move places up where the recorded level became smaller than what was ahead."""
        for order in self.of(slot, side):
            assert order.place is not None, "a resting order has a place"
            order.place.on_level(sizes_e6.get(order.yes_limit_e4, 0), now_ns)

    def on_trade(
        self, slot: int, side: int, price_e4: int, size_e6: int, now_ns: int
    ) -> list[tuple[VenueOrder, int]]:
        """Whom a recorded trade that took ``side`` fills, and with how much, in order of priority."""
        fills = []
        left = at_price = size_e6
        for order in self.of(slot, side):
            assert order.place is not None, "a resting order has a place"
            if worse_than(price_e4, order.yes_limit_e4, side == Side.BID):
                break
            if order.yes_limit_e4 != price_e4:
                order.place.on_trade_through()
                got = min(order.left_e6, left)
                at_price -= got
            else:
                reached = order.place.on_trade(at_price, now_ns)
                got = min(order.left_e6, max(reached - (at_price - left), 0))
            left -= got
            if got:
                fills.append((order, got))
        return fills


def _side(order: VenueOrder) -> int:
    return Side.ASK if order.takes_bids else Side.BID
