"""One order of ours and all that its venue has said of it.

Reports come late, twice, out of turn, and after the end. A trade counts once, by its id; an order is
*closed* when it is over and every fill it is known to have has arrived, and *final* when besides none of
its trades can still fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

import numpy as np

from engine.execution.order import TERMINAL, OrderInput, step
from engine.facts import ReportFacts, RequestFacts, request_facts
from engine.reasons import Reason
from engine.records import Direction, OrderStatus, ReportKind
from engine.units import INT64_MAX

# Members by names of their own: to find one in its enum takes as long as to read a field of a record.
_BUY: Final = Direction.BUY
_ACK, _CANCEL, _EXPIRE, _FILL_PART = (
    OrderInput.ACK,
    OrderInput.CANCEL,
    OrderInput.EXPIRE,
    OrderInput.FILL_PART,
)
_FILL_REST, _LOSE, _REJECT = OrderInput.FILL_REST, OrderInput.LOSE, OrderInput.REJECT
_DENIED, _INTENT, _SENT, _ORDER_STATUS_UNKNOWN = (
    OrderStatus.DENIED,
    OrderStatus.INTENT,
    OrderStatus.SENT,
    OrderStatus.UNKNOWN,
)
_VENUE_DUPLICATE, _VENUE_UNKNOWN = Reason.VENUE_DUPLICATE, Reason.VENUE_UNKNOWN
_ACKED, _CANCELLED, _CONFIRMED, _CONVERTED = (
    ReportKind.ACKED,
    ReportKind.CANCELLED,
    ReportKind.CONFIRMED,
    ReportKind.CONVERTED,
)
_EXPIRED, _FAILED, _FILLED, _REJECTED = (
    ReportKind.EXPIRED,
    ReportKind.FAILED,
    ReportKind.FILLED,
    ReportKind.REJECTED,
)
_REPORT_KIND_UNKNOWN: Final = ReportKind.UNKNOWN

Token = tuple[int, int, int]  # slot, generation, outcome


class Role(IntEnum):
    """What an order is for."""

    LEG = 0
    SALE = 1  # of YES tokens that a conversion gave
    UNWIND = 2
    CONVERT = 3


class TradeState(IntEnum):
    """Settlement of one trade, on its own axis."""

    MATCHED = 0
    CONFIRMED = 1
    FAILED = 2


class Verdict(IntEnum):
    """What a report is worth."""

    NEWS = 0
    REPEATED = 1
    ILLEGAL = 2  # cannot be, as far as we know: ignored, and asked about
    OVERFILL = 3  # more than was ordered: believed, since it is our money, and counted


@dataclass(slots=True)
class Trade:
    """One trade as the venue states it; ``cash_micros`` unsigned."""

    token: Token
    buys: bool
    size_e6: int
    cash_micros: int
    fee_micros: int
    state: TradeState = TradeState.MATCHED


_MATCHED, _VOID = TradeState.MATCHED, TradeState.FAILED
_NEWS, _REPEATED, _ILLEGAL, _OVERFILL = Verdict.NEWS, Verdict.REPEATED, Verdict.ILLEGAL, Verdict.OVERFILL
_STATUS_INPUTS: Final[dict[int, OrderInput]] = {
    _ACKED: _ACK,
    _REJECTED: _REJECT,
    _CANCELLED: _CANCEL,
    _EXPIRED: _EXPIRE,
    _REPORT_KIND_UNKNOWN: _LOSE,
}
_ENDINGS = (ReportKind.REJECTED, ReportKind.CANCELLED, ReportKind.EXPIRED)
_FILLS = (ReportKind.FILLED, ReportKind.CONVERTED)
_SETTLEMENTS: Final[dict[int, TradeState]] = {
    _CONFIRMED: TradeState.CONFIRMED,
    _FAILED: _VOID,
}


@dataclass(slots=True, eq=False)
class TrackedOrder:
    """``leg``: index in its plan. ``check_ns``: when silence about it needs an answer; INT64_MAX never.

    ``asked``: the request as plain integers; ``order_id`` and ``size_e6`` are of it.
    """

    request: np.void
    role: Role
    leg: int
    confirms: bool
    status: OrderStatus = _INTENT
    filled_e6: int = 0  # matched, void trades included
    ended_e6: int = 0  # what the venue says was matched in all; of an order that is over
    lines: int = 0  # of a conversion: reports it makes in all
    trades: dict[int, Trade] = field(default_factory=dict)
    sent_ns: int = 0
    check_ns: int = INT64_MAX
    questions: int = 0  # asked since the last answer that was news
    reserved: bool = False
    asked: RequestFacts = field(init=False)
    order_id: int = field(init=False)
    size_e6: int = field(init=False)

    def __post_init__(self) -> None:
        self.asked = asked = request_facts(self.request)
        self.order_id, self.size_e6 = asked.order_id, asked.size_e6

    @property
    def is_closed(self) -> bool:
        """Over, and no fill is missing."""
        return self.status in TERMINAL and self.filled_e6 >= self.ended_e6

    @property
    def is_final(self) -> bool:
        """Closed, and no trade of it can fail any more."""
        return self.is_closed and not (self.confirms and any(self._matched()))

    @property
    def net_e6(self) -> int:
        """Size traded, void trades left out."""
        return sum(trade.size_e6 for trade in self.trades.values() if trade.state != _VOID)

    @property
    def cash_micros(self) -> int:
        """Notional of what was traded, unsigned, void trades left out."""
        return sum(trade.cash_micros for trade in self.trades.values() if trade.state != _VOID)

    def judge(self, report: ReportFacts, now_ns: int, late_ns: int) -> Verdict:
        """What the report is worth; changes nothing. Not before ``late_ns`` is "no such order" believed."""
        kind = report.kind
        if kind in _FILLS:
            return self._judge_fill(report)
        if kind in _SETTLEMENTS:
            trade = self.trades.get(report.trade_id)
            if trade is None:
                return _ILLEGAL
            return _NEWS if trade.state == _MATCHED else _REPEATED
        if kind not in _STATUS_INPUTS:
            ReportKind(kind)  # ValueError for one that there is not
            return _ILLEGAL
        if kind == _REJECTED and self.status not in TERMINAL:
            unheard = report.reason == _VENUE_UNKNOWN
            if report.reason == _VENUE_DUPLICATE or (unheard and not self._may_be_unheard(now_ns, late_ns)):
                return _ILLEGAL
        after = step(self.status, _STATUS_INPUTS[kind])
        if after is None:
            return _ILLEGAL
        return _REPEATED if after == self.status else _NEWS

    def apply(self, report: ReportFacts) -> None:
        """Take over a report that was judged NEWS or OVERFILL."""
        kind = report.kind
        if kind in _FILLS:
            self._fill(report)
            return
        if kind in _SETTLEMENTS:
            self.trades[report.trade_id].state = _SETTLEMENTS[kind]
            return
        self.move(_STATUS_INPUTS[kind])
        if kind in _ENDINGS:
            said = self.size_e6 - report.remaining_e6
            self.ended_e6 = max(said, self.filled_e6)

    def move(self, event: OrderInput) -> None:
        """Change status; an illegal step is a mistake of ours (ValueError)."""
        after = step(self.status, event)
        if after is None:
            raise ValueError(f"order {self.order_id}: {event.name} cannot follow {self.status.name}")
        self.status = after

    def _may_be_unheard(self, now_ns: int, late_ns: int) -> bool:
        return self.status == _ORDER_STATUS_UNKNOWN and not self.trades and now_ns >= self.sent_ns + late_ns

    def _judge_fill(self, report: ReportFacts) -> Verdict:
        if report.trade_id in self.trades:
            return _REPEATED
        if self.status == _DENIED or self.status < _SENT:
            return _ILLEGAL
        most = self.ended_e6 if self.status in TERMINAL else self.size_e6
        if report.kind == _FILLED and self.filled_e6 + report.fill_size_e6 > most:
            return _OVERFILL
        return _NEWS

    def _fill(self, report: ReportFacts) -> None:
        token = report.slot, report.generation, report.outcome
        buys = report.direction == _BUY
        size = report.fill_size_e6
        self.trades[report.trade_id] = Trade(token, buys, size, report.cash_micros, report.fee_micros)
        if report.kind == _CONVERTED:
            self.lines = max(self.lines, report.remaining_e6)
            self.filled_e6 = self.size_e6 if len(self.trades) >= self.lines else 0
        else:
            self.filled_e6 += size
        whole = self.filled_e6 >= self.size_e6
        was_over = self.status in TERMINAL
        self.move(_FILL_REST if whole else _FILL_PART)
        if whole or was_over:
            self.ended_e6 = max(self.ended_e6, self.filled_e6)

    def _matched(self) -> Iterator[bool]:
        return (trade.state == _MATCHED for trade in self.trades.values())
