"""One order of ours and all that its venue has said of it.

Reports come late, twice, out of turn, and after the end. A trade counts once, by its id; an order is
*closed* when it is over and every fill it is known to have has arrived, and *final* when besides none of
its trades can still fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from engine.execution.order import TERMINAL, OrderInput, step
from engine.reasons import Reason
from engine.records import Direction, OrderStatus, ReportKind
from engine.units import INT64_MAX

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


_STATUS_INPUTS = {
    ReportKind.ACKED: OrderInput.ACK,
    ReportKind.REJECTED: OrderInput.REJECT,
    ReportKind.CANCELLED: OrderInput.CANCEL,
    ReportKind.EXPIRED: OrderInput.EXPIRE,
    ReportKind.UNKNOWN: OrderInput.LOSE,
}
_ENDINGS = (ReportKind.REJECTED, ReportKind.CANCELLED, ReportKind.EXPIRED)
_FILLS = (ReportKind.FILLED, ReportKind.CONVERTED)
_SETTLEMENTS = {ReportKind.CONFIRMED: TradeState.CONFIRMED, ReportKind.FAILED: TradeState.FAILED}


@dataclass(slots=True, eq=False)
class TrackedOrder:
    """``leg``: index in its plan. ``check_ns``: when silence about it needs an answer; INT64_MAX never."""

    request: np.void
    role: Role
    leg: int
    confirms: bool
    status: OrderStatus = OrderStatus.INTENT
    filled_e6: int = 0  # matched, void trades included
    ended_e6: int = 0  # what the venue says was matched in all; of an order that is over
    lines: int = 0  # of a conversion: reports it makes in all
    trades: dict[int, Trade] = field(default_factory=dict)
    sent_ns: int = 0
    check_ns: int = INT64_MAX
    questions: int = 0  # asked since the last answer that was news
    reserved: bool = False

    @property
    def order_id(self) -> int:
        """Our id."""
        return int(self.request["order_id"])

    @property
    def size_e6(self) -> int:
        """Size ordered."""
        return int(self.request["size_e6"])

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
        return sum(trade.size_e6 for trade in self.trades.values() if trade.state != TradeState.FAILED)

    @property
    def cash_micros(self) -> int:
        """Notional of what was traded, unsigned, void trades left out."""
        return sum(trade.cash_micros for trade in self.trades.values() if trade.state != TradeState.FAILED)

    def judge(self, report: np.void, now_ns: int, late_ns: int) -> Verdict:
        """What the report is worth; changes nothing. Not before ``late_ns`` is "no such order" believed."""
        kind = ReportKind(int(report["kind"]))
        if kind in _FILLS:
            return self._judge_fill(report, kind)
        if kind in _SETTLEMENTS:
            trade = self.trades.get(int(report["trade_id"]))
            if trade is None:
                return Verdict.ILLEGAL
            return Verdict.NEWS if trade.state == TradeState.MATCHED else Verdict.REPEATED
        if kind not in _STATUS_INPUTS:
            return Verdict.ILLEGAL
        reason = int(report["reason"])
        if kind == ReportKind.REJECTED and self.status not in TERMINAL:
            unheard = reason == Reason.VENUE_UNKNOWN
            if reason == Reason.VENUE_DUPLICATE or (unheard and not self._may_be_unheard(now_ns, late_ns)):
                return Verdict.ILLEGAL
        after = step(self.status, _STATUS_INPUTS[kind])
        if after is None:
            return Verdict.ILLEGAL
        return Verdict.REPEATED if after == self.status else Verdict.NEWS

    def apply(self, report: np.void) -> None:
        """Take over a report that was judged NEWS or OVERFILL."""
        kind = ReportKind(int(report["kind"]))
        if kind in _FILLS:
            self._fill(report, kind)
            return
        if kind in _SETTLEMENTS:
            self.trades[int(report["trade_id"])].state = _SETTLEMENTS[kind]
            return
        self.move(_STATUS_INPUTS[kind])
        if kind in _ENDINGS:
            said = self.size_e6 - int(report["remaining_e6"])
            self.ended_e6 = max(said, self.filled_e6)

    def move(self, event: OrderInput) -> None:
        """Change status; an illegal step is a mistake of ours (ValueError)."""
        after = step(self.status, event)
        if after is None:
            raise ValueError(f"order {self.order_id}: {event.name} cannot follow {self.status.name}")
        self.status = after

    def _may_be_unheard(self, now_ns: int, late_ns: int) -> bool:
        return self.status == OrderStatus.UNKNOWN and not self.trades and now_ns >= self.sent_ns + late_ns

    def _judge_fill(self, report: np.void, kind: ReportKind) -> Verdict:
        if int(report["trade_id"]) in self.trades:
            return Verdict.REPEATED
        if self.status == OrderStatus.DENIED or self.status < OrderStatus.SENT:
            return Verdict.ILLEGAL
        most = self.ended_e6 if self.status in TERMINAL else self.size_e6
        if kind == ReportKind.FILLED and self.filled_e6 + int(report["fill_size_e6"]) > most:
            return Verdict.OVERFILL
        return Verdict.NEWS

    def _fill(self, report: np.void, kind: ReportKind) -> None:
        token = int(report["slot"]), int(report["generation"]), int(report["outcome"])
        buys = int(report["direction"]) == Direction.BUY
        size = int(report["fill_size_e6"])
        self.trades[int(report["trade_id"])] = Trade(
            token, buys, size, int(report["cash_micros"]), int(report["fee_micros"])
        )
        if kind == ReportKind.CONVERTED:
            self.lines = max(self.lines, int(report["remaining_e6"]))
            self.filled_e6 = self.size_e6 if len(self.trades) >= self.lines else 0
        else:
            self.filled_e6 += size
        whole = self.filled_e6 >= self.size_e6
        was_over = self.status in TERMINAL
        self.move(OrderInput.FILL_REST if whole else OrderInput.FILL_PART)
        if whole or was_over:
            self.ended_e6 = max(self.ended_e6, self.filled_e6)

    def _matched(self) -> Iterator[bool]:
        return (trade.state == TradeState.MATCHED for trade in self.trades.values())
