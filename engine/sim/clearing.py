"""Money and tokens behind the matching: fills, their finality, conversions, resolution of markets.

Everything that takes time is late here as it is at the venue: a Polymarket trade is final seconds after
it was matched (or void), a conversion takes its transaction, a market pays when it is told to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.catalog.catalog import NO_GROUP, Catalog, MarketFlag
from engine.catalog.market import FeeKind, GroupKind
from engine.execution.semantics import RULES, yes_price_e4
from engine.fees import estimate_split_fee_micros, realised_fee_micros
from engine.ids import index_set_members
from engine.reasons import Reason
from engine.records import VENUE_REPORT, Direction, Outcome, ReportKind, RequestKind, Venue
from engine.sim.balances import Balances, Market, notional_micros
from engine.sim.faults import Fault, FaultPlan
from engine.sim.orders import VenueOrder, VenueState
from engine.sim.outbox import Outbox, blank_report
from engine.sim.seeded import between, draw
from engine.sim.timeline import Timeline
from engine.typed_tree import bounded
from engine.units import NS_PER_S

FILLS_RESERVED: Final = 64  # trades of one order whose fee roundings are set aside
RETRY_RESOLUTION_NS: Final = NS_PER_S
_FINALITY_WORD: Final = 21
_CONVERSION_WORD: Final = 22
_DAY_NS: Final = 86_400 * NS_PER_S


@dataclass(frozen=True, slots=True)
class SettlementTimes:
    """How late finality and conversions are, ns, evenly spread between the bounds."""

    final_min_ns: int = bounded(2 * NS_PER_S, 0, _DAY_NS)
    final_max_ns: int = bounded(5 * NS_PER_S, 0, _DAY_NS)
    convert_min_ns: int = bounded(5 * NS_PER_S, 0, _DAY_NS)
    convert_max_ns: int = bounded(30 * NS_PER_S, 0, _DAY_NS)

    def __post_init__(self) -> None:
        if self.final_min_ns > self.final_max_ns or self.convert_min_ns > self.convert_max_ns:
            raise ValueError("settlement times: a minimum is above its maximum")


@dataclass(frozen=True, slots=True)
class _Transfer:
    """One line of a conversion: tokens of a market in or out, and the cash that goes with it."""

    market: Market
    direction: Direction
    outcome: Outcome
    cash_micros: int


class Clearing:
    """Account and trades at one venue. ``trades`` counts matches, ``failed`` those that ended void."""

    def __init__(
        self,
        venue: Venue,
        catalog: Catalog,
        outbox: Outbox,
        timeline: Timeline,
        seed: int,
        cash_micros: int,
        faults: FaultPlan,
        times: SettlementTimes,
    ) -> None:
        self.rules = RULES[venue]
        self.balances = Balances(self.rules.nets_pairs, cash_micros)
        self.trades = 0
        self.failed = 0
        self._venue = venue
        self._catalog = catalog
        self._outbox = outbox
        self._timeline = timeline
        self._seed = seed
        self._faults = faults
        self._times = times
        self._pending: dict[Market, int] = {}  # trades and conversions that are not final
        self._payments: list[np.void] = []  # SETTLED reports
        self.resolved: set[Market] = set()  # paid out: what came there later would never be paid

    def fund(self, order: VenueOrder) -> bool:
        """Set aside what the order can need; False when it is not there."""
        request = order.request
        price, size = int(request["price_e4"]), int(request["size_e6"])
        row = self._catalog.rows[order.slot]
        fee = 0
        if order.buys or self.rules.nets_pairs:
            fee = int(estimate_split_fee_micros(row, price, size, FILLS_RESERVED))
        direction = int(request["direction"])
        order.held = self.balances.reserve(order.market, direction, order.outcome, size, price, fee)
        return order.held is not None

    def release(self, order: VenueOrder) -> None:
        """Give back what an order that is over still holds."""
        if order.held is not None:
            self.balances.shrink(order.market, order.held, 0, 0)
            order.held = None

    def fill(self, order: VenueOrder, yes_e4: int, size_e6: int, now_ns: int, *, is_maker: bool) -> None:
        """Trade ``size_e6`` of an order at a YES price: fee, cash, tokens, report, finality."""
        row = self._catalog.rows[order.slot]
        direction = int(order.request["direction"])
        price = yes_price_e4(yes_e4, order.outcome)
        cash = notional_micros(direction, size_e6, price)
        fee, account = realised_fee_micros(row, direction, is_maker, price, size_e6, order.accumulator_micros)
        fee, order.accumulator_micros = int(fee), int(account)
        order.left_e6 -= size_e6
        assert order.held is not None, "an order that trades is funded"
        self.balances.shrink(order.market, order.held, size_e6, order.left_e6)
        self.balances.trade(order.market, direction, order.outcome, size_e6, cash, fee)
        self.trades += 1
        trade = {
            "trade_id": self.trades,
            "fill_size_e6": size_e6,
            "cash_micros": cash,
            "fee_micros": fee,
            "remaining_e6": order.left_e6,
            "price_e4": price,
            "maker": int(is_maker),
        }
        self._outbox.say(order, ReportKind.FILLED, now_ns, trade)
        if self.rules.confirms:
            self._await_finality(order, trade, now_ns)

    def _await_finality(self, order: VenueOrder, trade: dict[str, int], now_ns: int) -> None:
        direction, size = int(order.request["direction"]), trade["fill_size_e6"]
        proceeds = trade["cash_micros"] - trade["fee_micros"]
        self.balances.hold_provisional(order.market, direction, order.outcome, size, proceeds)
        self._pend(order.market, 1)
        bits = draw(self._seed, _FINALITY_WORD, trade["trade_id"])
        wait_ns = between(bits, self._times.final_min_ns, self._times.final_max_ns)
        fails = self._faults.fails_trade(order.number, trade["trade_id"])

        def finish(at_ns: int) -> None:
            self.balances.drop_provisional(order.market, direction, order.outcome, size, proceeds)
            self._pend(order.market, -1)
            if fails:
                self._reverse(order, trade)
            kind = ReportKind.FAILED if fails else ReportKind.CONFIRMED
            reason = Reason.SETTLEMENT_FAILED if fails else Reason.NONE
            self._outbox.say(order, kind, at_ns, trade | {"reason": int(reason)})

        self._timeline.at(now_ns + wait_ns, finish)

    def _reverse(self, order: VenueOrder, trade: dict[str, int]) -> None:
        self.failed += 1
        back = Direction.SELL if order.buys else Direction.BUY
        size, cash, fee = trade["fill_size_e6"], trade["cash_micros"], trade["fee_micros"]
        self.balances.trade(order.market, back, order.outcome, size, cash, -fee)

    def convert(self, order: VenueOrder, now_ns: int) -> Reason:
        """Start a conversion, merge or split; NONE when it is under way, else why it is refused."""
        kind = int(order.request["kind"])
        size = int(order.request["size_e6"])
        if not self.rules.converts or size <= 0:
            return Reason.VENUE_REJECTED
        lines = self._conversion(order) if kind == RequestKind.CONVERT else self._pair(order, kind, size)
        if not lines or Fault.FAIL_CONVERT in self._faults.of_request(order.number):
            return Reason.VENUE_REJECTED
        if any(line.market in self.resolved for line in lines):
            return Reason.VENUE_CLOSED
        paid = sum(line.cash_micros for line in lines if line.direction == Direction.BUY)
        given = [line for line in lines if line.direction == Direction.SELL]
        holding = self.balances.holding
        if paid > self.balances.free_cash_micros:
            return Reason.VENUE_INSUFFICIENT_CASH
        if any(holding(line.market).free_e6(line.outcome) < size for line in given):
            return Reason.VENUE_INSUFFICIENT_CASH  # the venue's one word for cash and tokens
        self.balances.reserved_micros += paid
        for line in given:
            holding(line.market).locked_e6[line.outcome] += size
        for line in lines:
            self._pend(line.market, 1)
        bits = draw(self._seed, _CONVERSION_WORD, order.number)
        wait_ns = between(bits, self._times.convert_min_ns, self._times.convert_max_ns)

        def finish(at_ns: int) -> None:
            self.balances.reserved_micros -= paid
            for line in given:
                holding(line.market).locked_e6[line.outcome] -= size
            self._transfer(order, lines, size, at_ns)

        self._timeline.at(now_ns + wait_ns, finish)
        return Reason.NONE

    def _conversion(self, order: VenueOrder) -> list[_Transfer]:
        """Lines of a neg-risk conversion: k NO tokens for k - 1 dollars and YES of every other outcome."""
        rows = self._catalog.rows
        group = int(rows[order.slot]["group"])
        members = self._catalog.group_members(group) if group != NO_GROUP else ()
        named = index_set_members(order.request["identity"].tobytes())
        is_neg_risk = int(rows[order.slot]["flags"]) & MarketFlag.NEG_RISK
        if not named or named[-1] >= len(members) or not is_neg_risk:
            return []
        if self._catalog.group_kind(group) is not GroupKind.EXACTLY_ONE:
            return []
        cash = (len(named) - 1) * int(order.request["size_e6"])
        share, extra = divmod(cash, len(named))
        given = [
            _Transfer(
                self._market(members[member]),
                Direction.SELL,
                Outcome.NO,
                share + (extra if index == 0 else 0),
            )
            for index, member in enumerate(named)
        ]
        others = [slot for member, slot in enumerate(members) if member not in named]
        return given + [_Transfer(self._market(slot), Direction.BUY, Outcome.YES, 0) for slot in others]

    def _pair(self, order: VenueOrder, kind: int, size_e6: int) -> list[_Transfer]:
        direction = Direction.SELL if kind == RequestKind.MERGE else Direction.BUY
        half = size_e6 // 2  # YES and NO make one dollar; how it is divided between them is book-keeping
        return [
            _Transfer(order.market, direction, Outcome.YES, half),
            _Transfer(order.market, direction, Outcome.NO, size_e6 - half),
        ]

    def _transfer(self, order: VenueOrder, lines: list[_Transfer], size_e6: int, at_ns: int) -> None:
        for line in lines:
            self._pend(line.market, -1)
            self.balances.trade(line.market, line.direction, line.outcome, size_e6, line.cash_micros, 0)
            self.trades += 1
            fields = {
                "trade_id": self.trades,
                "fill_size_e6": size_e6,
                "cash_micros": line.cash_micros,
                "remaining_e6": len(lines),  # of a conversion: how many reports it makes in all
                "slot": line.market[0],
                "generation": line.market[1],
                "direction": int(line.direction),
                "outcome": int(line.outcome),
            }
            self._outbox.say(order, ReportKind.CONVERTED, at_ns, fields)
        order.left_e6 = 0
        order.state = VenueState.GONE

    def is_pending(self, market: Market) -> bool:
        """Whether trades or conversions of a market are not final yet."""
        return market in self._pending

    def resolve(self, market: Market, yes_value_e4: int, now_ns: int) -> None:
        """Pay out a market at a YES value of 0..10,000 and say so."""
        self.resolved.add(market)
        report = np.zeros(1, VENUE_REPORT)[0]
        report["kind"], report["venue"] = ReportKind.SETTLED, self._venue
        report["slot"], report["generation"] = market
        report["price_e4"] = yes_value_e4
        report["cash_micros"] = self.balances.settle(market, yes_value_e4)
        self._outbox.post(report, 0, now_ns)
        self._payments.append(report)

    def tell_account(self, query: np.void, resting: int, now_ns: int) -> None:
        """Answer a QUERY: every payment again, then one BALANCE line of cash and one of each holding.

        The line of cash (slot -1) says with its size how many orders rest.
        """
        for payment in self._payments:
            self._outbox.post(payment, 0, now_ns)
        cash = self.balances.cash_micros
        lines: list[dict[str, int]] = [{"slot": -1, "cash_micros": cash, "fill_size_e6": resting}]
        for (slot, generation), holding in self.balances.all_holdings():
            lines += [
                {"slot": slot, "generation": generation, "outcome": int(outcome), "fill_size_e6": size}
                for outcome in Outcome
                if (size := holding.size_e6[outcome])
            ]
        for number, line in enumerate(lines, start=1):
            counted = line | {"trade_id": number, "remaining_e6": len(lines)}
            self._outbox.post(blank_report(query, ReportKind.BALANCE, counted), 0, now_ns)

    def has_fee(self, slot: int) -> bool:
        """Whether a fee schedule is known: without one nothing can be charged, so nothing is traded."""
        return int(self._catalog.rows[slot]["fee_kind"]) != FeeKind.UNKNOWN

    def _market(self, slot: int) -> Market:
        return slot, int(self._catalog.rows[slot]["generation"])

    def _pend(self, market: Market, change: int) -> None:
        count = self._pending.get(market, 0) + change
        if count:
            self._pending[market] = count
        else:
            del self._pending[market]
