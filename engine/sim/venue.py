"""A venue: requests in, reports out, market data as it happens, time handed in; no sockets, no clock.

    on_request(ORDER_REQUEST, now)   it arrives after the request latency
    on_update(BOOK_UPDATE frame)     the recorded market moves; what was due before that happens before it
    advance(now)                     VENUE_REPORT records that have reached us by now
    next_due_ns()                    when to call again

A cancel is also a question: it ends the order if it still can, and all that was ever said of the order is
said again. A cancel of an order that the venue never saw is answered REJECTED with VENUE_UNKNOWN. A QUERY
asks for the account: every payment of a market is said again, then cash, the number of resting orders, and
holdings follow as BALANCE lines.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.catalog.catalog import Catalog, MarketFlag
from engine.reasons import Reason
from engine.records import ORDER_REQUEST, MarketState, ReportKind, RequestKind, UpdateKind, Venue
from engine.sim.admission import shape_fault
from engine.sim.balances import Market
from engine.sim.clearing import RETRY_RESOLUTION_NS, Clearing, SettlementTimes
from engine.sim.exchange import Exchange
from engine.sim.faults import NO_FAULTS, Fault, FaultPlan
from engine.sim.latency import LatencyModel
from engine.sim.orders import VenueOrder, VenueState
from engine.sim.outbox import Outbox, blank_report
from engine.sim.ports import PublicBook, Rows
from engine.sim.timeline import Timeline
from engine.units import PRICE_ONE_E4

ORDERS_MAX: Final = 1 << 20  # of one run; a venue never forgets an identity
_TRADABLE: Final = int(MarketFlag.IN_USE | MarketFlag.OPEN)
_QUERY_NUMBERS: Final = 1 << 32  # latencies of queries are drawn apart from those of cancels
_CONVERSIONS: Final = (RequestKind.CONVERT, RequestKind.MERGE, RequestKind.SPLIT)


class SimVenue:
    """One simulated venue with one account.

    ``requests``, ``cancels``, ``queries``, ``repeated`` and ``late_updates`` count.
    """

    def __init__(
        self,
        venue: Venue,
        catalog: Catalog,
        book: PublicBook,
        latency: LatencyModel,
        seed: int,
        *,
        cash_micros: int = 0,
        faults: FaultPlan = NO_FAULTS,
        times: SettlementTimes | None = None,
    ) -> None:
        self.venue = venue
        self.requests = 0
        self.cancels = 0
        self.queries = 0
        self.repeated = 0  # orders that came a second time, and were refused
        self.late_updates = 0  # frames older than what already happened
        self._catalog = catalog
        self._latency = latency
        self._faults = faults
        self._outbox = Outbox(latency, faults)
        self._timeline = Timeline()
        self._clearing = Clearing(
            venue,
            catalog,
            self._outbox,
            self._timeline,
            seed,
            cash_micros,
            faults,
            times or SettlementTimes(),
        )
        self._exchange = Exchange(catalog, book, self._clearing, self._outbox, self._timeline, faults)
        self._orders: dict[int, VenueOrder] = {}
        self._identities: set[bytes] = set()
        self._states: dict[Market, int] = {}  # MarketState, where the recording said one
        self._now_ns = 0

    @property
    def cash_micros(self) -> int:
        """Our whole balance: promised and unsettled parts included."""
        return self._clearing.balances.cash_micros

    @property
    def free_cash_micros(self) -> int:
        """What a new order can use."""
        return self._clearing.balances.free_cash_micros

    def position_e6(self, slot: int) -> tuple[int, int]:
        """YES and NO held in a market, provisional ones included."""
        yes, no = self._clearing.balances.holding(self._market(slot)).size_e6
        return yes, no

    def free_e6(self, slot: int, outcome: int) -> int:
        """Tokens of an outcome that could be sold now."""
        return self._clearing.balances.holding(self._market(slot)).free_e6(outcome)

    def resting_orders(self) -> int:
        """Our orders in the book."""
        return len(self._exchange.resting)

    def taken(self) -> list[int]:
        """Ids of all orders that ever arrived, refused ones too, in that order."""
        return list(self._orders)

    def held_e6(self) -> list[tuple[int, int, int, int]]:
        """(slot, generation, outcome, 1e-6 contract) of everything held, provisional ones included."""
        return [
            (slot, generation, outcome, size)
            for (slot, generation), holding in self._clearing.balances.all_holdings()
            for outcome, size in enumerate(holding.size_e6)
            if size
        ]

    def on_request(self, request: np.void, now_ns: int) -> None:
        """Take an ORDER_REQUEST that left us at ``now_ns``."""
        copy: np.void = np.array([request], ORDER_REQUEST)[0]
        slot = int(copy["slot"])
        if int(copy["kind"]) == RequestKind.CANCEL:
            self.cancels += 1
            wait_ns = self._latency.request_ns(slot, -self.cancels)
            self._timeline.at(now_ns + wait_ns, lambda at_ns: self._cancel(copy, at_ns))
            return
        if int(copy["kind"]) == RequestKind.QUERY:
            self.queries += 1
            wait_ns = self._latency.request_ns(slot, -_QUERY_NUMBERS - self.queries)
            self._timeline.at(now_ns + wait_ns, lambda at_ns: self._tell_account(copy, at_ns))
            return
        self.requests += 1
        number = self.requests
        faults = self._faults.of_request(number)
        if faults & (Fault.LOSE_REQUEST | Fault.LOSE_REPORT):
            self._outbox.post_unknown(blank_report(copy, ReportKind.UNKNOWN, {}), number, now_ns)
        if Fault.LOSE_REQUEST not in faults:
            wait_ns = self._latency.request_ns(slot, number)
            self._timeline.at(now_ns + wait_ns, lambda at_ns: self._arrive(copy, number, at_ns))

    def on_update(self, updates: Rows, n: int, now_ns: int) -> None:
        """Take one frame of the recording, BOOK_UPDATE records received at ``now_ns``."""
        self.late_updates += now_ns < self._now_ns
        self._run_until(now_ns - 1)
        self._now_ns = max(self._now_ns, now_ns)
        if not self._exchange.on_frame(updates, n, self._now_ns):
            return
        frame = updates[:n]
        for update in frame[frame["kind"] == int(UpdateKind.MARKET_STATE)]:
            self._on_market_state((int(update["slot"]), int(update["generation"])), int(update["aux"]))

    def advance(self, now_ns: int) -> Rows:
        """Work until ``now_ns``; VENUE_REPORT records that reached us, valid until the next call."""
        self._run_until(now_ns)
        return self._outbox.due(now_ns)

    def next_due_ns(self) -> int:
        """When something happens at the venue or arrives from it; INT64_MAX when nothing is pending."""
        return min(self._timeline.next_ns(), self._outbox.next_due_ns())

    def settle(self, slot: int, yes_value_e4: int, at_ns: int) -> None:
        """Resolve a market at ``at_ns`` with a YES value of 0..10,000 (a void pays 5,000 at many).

        Open orders are cancelled; the payment waits until every trade and conversion there is final.
        """
        if not 0 <= yes_value_e4 <= PRICE_ONE_E4:
            raise ValueError(f"settlement value {yes_value_e4} is not within 0..{PRICE_ONE_E4}")
        market = self._market(slot)
        self._timeline.at(at_ns, lambda then: self._settle(market, yes_value_e4, then))

    def _market(self, slot: int) -> Market:
        return slot, int(self._catalog.rows[slot]["generation"])

    def _run_until(self, now_ns: int) -> None:
        self._timeline.run_until(now_ns)
        self._now_ns = max(self._now_ns, now_ns)

    def _arrive(self, request: np.void, number: int, now_ns: int) -> None:
        size = int(request["size_e6"])
        order = VenueOrder(request, number, number, now_ns, size)
        faults = self._faults.of_request(number)
        order.deaf = Fault.LOSE_REPORT in faults
        order.partial = Fault.PARTIAL in faults
        identity = request["identity"].tobytes()
        is_conversion = int(request["kind"]) in _CONVERSIONS
        reason = self._refusal(order, identity, is_conversion, now_ns)
        if reason == Reason.VENUE_DUPLICATE:
            self.repeated += 1
        else:
            self._orders[int(request["order_id"])] = order
            if not is_conversion:
                self._identities.add(identity)
        if reason == Reason.NONE and Fault.REJECT in faults:
            reason = Reason.VENUE_REJECTED
        if reason != Reason.NONE:
            self._exchange.refuse(order, reason, now_ns)
        elif is_conversion:
            self._convert(order, now_ns)
        elif self._clearing.fund(order):
            self._exchange.submit(order, now_ns)
        else:
            self._exchange.refuse(order, Reason.VENUE_INSUFFICIENT_CASH, now_ns)
        order.deaf = False
        if order.state == VenueState.GONE:
            self._outbox.forget(number)

    def _refusal(self, order: VenueOrder, identity: bytes, is_conversion: bool, now_ns: int) -> Reason:
        """Why the order does not get as far as the book; NONE when it does."""
        request, slot = order.request, order.slot
        if int(request["order_id"]) in self._orders or (not is_conversion and identity in self._identities):
            return Reason.VENUE_DUPLICATE
        if len(self._orders) >= ORDERS_MAX:
            return Reason.VENUE_RATE_LIMITED
        if not 0 <= slot < self._catalog.capacity:
            return Reason.VENUE_UNKNOWN
        row = self._catalog.rows[slot]
        if (int(row["generation"]), int(row["venue"])) != (int(request["generation"]), int(self.venue)):
            return Reason.VENUE_UNKNOWN
        settled = order.market in self._clearing.resolved
        if is_conversion:
            return Reason.VENUE_CLOSED if settled else Reason.NONE
        state = self._states.get(order.market, MarketState.OPEN)
        if settled or int(row["flags"]) & _TRADABLE != _TRADABLE or state != MarketState.OPEN:
            return Reason.VENUE_CLOSED
        if int(request["kind"]) != RequestKind.NEW or not self._clearing.has_fee(slot):
            return Reason.VENUE_REJECTED
        return shape_fault(row, request, now_ns)

    def _convert(self, order: VenueOrder, now_ns: int) -> None:
        reason = self._clearing.convert(order, now_ns)
        if reason != Reason.NONE:
            self._exchange.refuse(order, reason, now_ns)
        else:
            self._outbox.say(order, ReportKind.ACKED, now_ns, {"remaining_e6": order.left_e6})

    def _tell_account(self, query: np.void, now_ns: int) -> None:
        self._clearing.tell_account(query, self.resting_orders(), now_ns)

    def _cancel(self, request: np.void, now_ns: int) -> None:
        order = self._orders.get(int(request["order_id"]))
        if order is None:
            unknown = {"reason": int(Reason.VENUE_UNKNOWN), "remaining_e6": int(request["size_e6"])}
            self._outbox.post(blank_report(request, ReportKind.REJECTED, unknown), 0, now_ns)
            return
        self._outbox.repeat(order, now_ns)
        if order.state == VenueState.RESTING:
            self._exchange.cancel(order, ReportKind.CANCELLED, Reason.NONE, now_ns)
        elif order.state != VenueState.GONE:  # in its taker delay, or converting: it stands
            refused = {"remaining_e6": order.left_e6, "reason": int(Reason.VENUE_REJECTED)}
            self._outbox.post(blank_report(order.request, ReportKind.ACKED, refused), order.number, now_ns)

    def _on_market_state(self, market: Market, state: int) -> None:
        self._states[market] = state
        if state in (MarketState.CLOSED, MarketState.SETTLED):
            self._leave_market(market, self._now_ns)

    def _leave_market(self, market: Market, now_ns: int) -> None:
        self._exchange.leave_market(market, now_ns)
        for order in self._orders.values():
            if order.market == market and order.state == VenueState.DELAYED:
                self._exchange.cancel(order, ReportKind.CANCELLED, Reason.VENUE_CLOSED, now_ns)

    def _settle(self, market: Market, yes_value_e4: int, now_ns: int) -> None:
        if market in self._clearing.resolved:
            return
        self._states[market] = MarketState.SETTLED
        self._leave_market(market, now_ns)
        if self._clearing.is_pending(market):
            again_ns = now_ns + RETRY_RESOLUTION_NS
            self._timeline.at(again_ns, lambda then: self._settle(market, yes_value_e4, then))
            return
        self._clearing.resolve(market, yes_value_e4, now_ns)
