"""Matching of our orders against the recorded book, as if the others had not seen us.

Takers walk what is left of the recorded levels; what they take is consumed (``engine.sim.consumed``).
What rests waits behind the recorded level (``engine.sim.queue``) and is filled by recorded trades, or
when the recorded market moves onto or through its price. A book that is not tradable gives no liquidity
and moves nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from engine.catalog.catalog import Catalog
from engine.execution.semantics import effective_expiry_ns
from engine.reasons import Reason
from engine.records import ReportKind, Side, TimeInForce, UpdateKind
from engine.sim.admission import too_small_to_take
from engine.sim.balances import Market
from engine.sim.clearing import Clearing
from engine.sim.consumed import ConsumedLiquidity
from engine.sim.faults import FaultPlan
from engine.sim.frame_scan import SAYS_STATE, TOUCHES_WATCHED, scan_frame
from engine.sim.matching import Level, total_e6, walk
from engine.sim.orders import VenueOrder, VenueState
from engine.sim.outbox import Outbox
from engine.sim.ports import PublicBook, Rows
from engine.sim.queue import QueuePlace
from engine.sim.resting import RestingOrders
from engine.sim.timeline import Timeline
from engine.units import SIDE_SIZE_MAX_E6

_TRADE: Final = int(UpdateKind.TRADE)
_SIDES: Final = (Side.BID, Side.ASK)


class Exchange:
    """The book of one venue with our orders in it."""

    def __init__(
        self,
        catalog: Catalog,
        book: PublicBook,
        clearing: Clearing,
        outbox: Outbox,
        timeline: Timeline,
        faults: FaultPlan,
    ) -> None:
        self.consumed = ConsumedLiquidity()
        self.resting = RestingOrders()
        self._catalog = catalog
        self._book = book
        self._clearing = clearing
        self._outbox = outbox
        self._timeline = timeline
        self._faults = faults
        self._watched = np.zeros(catalog.capacity, np.bool_)

    def submit(self, order: VenueOrder, now_ns: int) -> None:
        """A well-formed, funded order reaches the book: it waits out the taker delay, or is matched."""
        delay_ns = int(self._catalog.rows[order.slot]["taker_delay_ns"])
        takes = self._would_take(order)
        if takes and order.tif == TimeInForce.GTC_POST_ONLY:
            self.refuse(order, Reason.POST_ONLY_CROSSES, now_ns)
        elif takes and too_small_to_take(self._catalog.rows[order.slot], order.request):
            self.refuse(order, Reason.VENUE_BAD_SIZE, now_ns)
        elif takes and delay_ns:
            order.state = VenueState.DELAYED
            self._outbox.say(order, ReportKind.ACKED, now_ns, {"remaining_e6": order.left_e6})
            self._timeline.at(now_ns + delay_ns, lambda at_ns: self._after_delay(order, at_ns))
        else:
            self._match(order, now_ns)

    def refuse(self, order: VenueOrder, reason: Reason, now_ns: int) -> None:
        """Answer a definite no."""
        self._leave(order, ReportKind.REJECTED, reason, now_ns)

    def cancel(self, order: VenueOrder, kind: ReportKind, reason: Reason, now_ns: int) -> None:
        """End an order that rests or waits; ``kind`` CANCELLED or EXPIRED."""
        if order.state == VenueState.RESTING:
            self.resting.remove(order)
        self._leave(order, kind, reason, now_ns)

    def on_frame(self, updates: Rows, n: int, now_ns: int) -> bool:
        """One frame of the recording: move our view of the market, then our own orders in it.

        Answers whether the frame says a market's state.
        """
        found = int(scan_frame(updates, n, self._watched))
        if not found & TOUCHES_WATCHED:
            self._book.apply(updates, n, now_ns)
            return bool(found & SAYS_STATE)
        frame = updates[:n]
        slots = frame["slot"]
        watched = self._watched[slots] & (slots >= 0)
        for update in frame[watched & (frame["kind"] == _TRADE)]:
            self._on_trade(update, now_ns)
        self._book.apply(updates, n, now_ns)
        for slot in np.unique(slots[watched]).tolist():
            self._on_book(slot, now_ns)
        return bool(found & SAYS_STATE)

    def leave_market(self, market: Market, now_ns: int) -> None:
        """The market closed: nothing rests there any more, and what we took there is forgotten."""
        slot, generation = market
        if int(self._catalog.rows[slot]["generation"]) != generation:
            return  # the slot holds another market by now
        for side in _SIDES:
            for order in self.resting.of(slot, side):
                self.cancel(order, ReportKind.CANCELLED, Reason.VENUE_CLOSED, now_ns)
        self.consumed.forget(slot)
        self._watched[slot] = False

    def _after_delay(self, order: VenueOrder, now_ns: int) -> None:
        if order.state == VenueState.DELAYED:  # else the market closed meanwhile
            self._match(order, now_ns)

    def _would_take(self, order: VenueOrder) -> bool:
        if not order.rests:
            return True
        return bool(walk(self._levels(order), order.yes_limit_e4, 1, order.takes_bids))

    def _match(self, order: VenueOrder, now_ns: int) -> None:
        meets_own_e4 = self.resting.met_by(order)
        levels = self._levels(order)
        if meets_own_e4 is not None:
            levels = _before(levels, meets_own_e4, order.takes_bids)
        taken = walk(levels, order.yes_limit_e4, self._reachable_e6(order), order.takes_bids)
        if order.tif == TimeInForce.FOK and total_e6(taken) < order.left_e6:
            self.refuse(order, Reason.FOK_UNFILLED, now_ns)
            return
        side = Side.BID if order.takes_bids else Side.ASK
        for level in taken:
            self.consumed.take(order.slot, side, level.price_e4, level.size_e6)
            self._watched[order.slot] = True
            self._clearing.fill(order, level.price_e4, level.size_e6, now_ns, is_maker=False)
        if order.left_e6 == 0:
            self._end(order)
        elif not order.rests and not taken:
            self.refuse(order, Reason.FAK_NO_MATCH, now_ns)
        elif not order.rests or meets_own_e4 is not None:  # an order never trades with another of ours
            self._leave(order, ReportKind.CANCELLED, Reason.NONE, now_ns)
        else:
            self._rest(order, now_ns)

    def _reachable_e6(self, order: VenueOrder) -> int:
        if order.partial and not order.rests:
            return self._faults.partial_e6(order.number, order.left_e6)
        return order.left_e6

    def _rest(self, order: VenueOrder, now_ns: int) -> None:
        side = Side.ASK if order.takes_bids else Side.BID
        shown = self._book.is_tradable(order.slot)
        sizes = self._sizes(order.slot, side) if shown else {}
        order.place = QueuePlace(sizes.get(order.yes_limit_e4, 0) if shown else SIDE_SIZE_MAX_E6)
        if not self.resting.add(order):
            self._leave(order, ReportKind.CANCELLED, Reason.VENUE_RATE_LIMITED, now_ns)
            return
        order.state = VenueState.RESTING
        self._watched[order.slot] = True
        self._outbox.say(order, ReportKind.ACKED, now_ns, {"remaining_e6": order.left_e6})
        expire_ns = effective_expiry_ns(self._clearing.rules, int(order.request["expire_ns"]))
        if expire_ns:
            self._timeline.at(expire_ns, lambda at_ns: self._expire(order, at_ns))

    def _expire(self, order: VenueOrder, now_ns: int) -> None:
        if order.state == VenueState.RESTING:
            self.cancel(order, ReportKind.EXPIRED, Reason.EXPIRED, now_ns)

    def _on_trade(self, update: np.void, now_ns: int) -> None:
        slot, side = int(update["slot"]), int(update["side"])
        price, size = int(update["price_e4"]), int(update["size_e6"])
        for order, got in self.resting.on_trade(slot, side, price, size, now_ns):
            self._fill_resting(order, got, now_ns)

    def _on_book(self, slot: int, now_ns: int) -> None:
        if not self._book.is_tradable(slot):
            return
        sizes = {side: self._sizes(slot, side) for side in _SIDES}
        for side in _SIDES:
            self.consumed.on_book(slot, side, sizes[side])
            self.resting.on_levels(slot, side, sizes[side], now_ns)
        for side in _SIDES:
            self._cross(slot, side, now_ns)
        if slot not in self.resting.slots() and slot not in self.consumed.slots():
            self._watched[slot] = False

    def _cross(self, slot: int, side: Side, now_ns: int) -> None:
        """The recorded market came onto our price on ``side``: who came would have met us first."""
        against = Side.ASK if side == Side.BID else Side.BID
        for order in self.resting.of(slot, side):
            taken = walk(self._levels(order), order.yes_limit_e4, order.left_e6, order.takes_bids)
            if not taken:
                break
            for level in taken:
                self.consumed.take(slot, against, level.price_e4, level.size_e6)
            self._fill_resting(order, total_e6(taken), now_ns)

    def _fill_resting(self, order: VenueOrder, size_e6: int, now_ns: int) -> None:
        lot = int(self._catalog.rows[order.slot]["lot_e6"])
        if self._clearing.rules.nets_pairs:
            size_e6 -= size_e6 % lot  # trades there are whole lots
        if size_e6:
            self._clearing.fill(order, order.yes_limit_e4, size_e6, now_ns, is_maker=True)
        if order.left_e6 == 0:
            self.resting.remove(order)
            self._end(order)

    def _levels(self, order: VenueOrder) -> Iterator[Level]:
        """What is left of the side the order meets, best first."""
        side = Side.BID if order.takes_bids else Side.ASK
        if not self._book.is_tradable(order.slot):
            return
        prices, sizes = self._book.levels(order.slot, side)
        for price, size in zip(prices, sizes, strict=True):
            yield Level(int(price), self.consumed.available_e6(order.slot, side, int(price), int(size)))

    def _sizes(self, slot: int, side: Side) -> dict[int, int]:
        prices, sizes = self._book.levels(slot, side)
        return {int(price): int(size) for price, size in zip(prices, sizes, strict=True)}

    def _leave(self, order: VenueOrder, kind: ReportKind, reason: Reason, now_ns: int) -> None:
        fields = {"remaining_e6": order.left_e6, "reason": int(reason)}
        self._outbox.say(order, kind, now_ns, fields)
        self._end(order)

    def _end(self, order: VenueOrder) -> None:
        order.state = VenueState.GONE
        self._clearing.release(order)


def _before(levels: Iterator[Level], own_e4: int, takes_bids: bool) -> Iterator[Level]:
    """Levels strictly better for a taker than an own order's price: it stops before it meets itself."""
    for level in levels:
        if level.price_e4 <= own_e4 if takes_bids else level.price_e4 >= own_e4:
            return
        yield level
