"""The gate: the last check before an order leaves, independent of whoever made it. It fails closed.

One kernel reads the order, the limits, the market, the book and what is already in flight, and answers with
a reason. Checks run in the order below and the first that fails is the answer; an order that passes is
reserved at once, so two orders can never use the same cash or the same limit.

    halt -> market known, not seen before, in time -> book live, open, same epoch, fresh -> grid, lot, minimum
    -> order limits -> nothing sold that is not held -> pause, stop -> position, market, event, heat -> losses
    -> count, rate -> cash

A loss limit that equity has touched once stops the engine: nothing opens exposure any more, also when equity
is back above it, until somebody resumes. An order that only reduces a holding skips pause, stop, the exposure
limits and the loss limits: being unable to get out is not safety. Nothing skips a halt. A sale beyond the
holding is always refused: where a venue would make it a purchase of the other outcome, the order has to say
so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.catalog.catalog import NO_GROUP, MarketRows
from engine.direct import direct
from engine.facts import RequestFacts, request_facts
from engine.reasons import Reason
from engine.records import ORDER_REQUEST, Direction, Outcome
from engine.risk.checks import (
    ALONE,
    admit,
    admit_together,
    drawdown_ppm,
    loss_reason,
    rate_ready_ns,
)
from engine.risk.limits import GATE_MARKET, GATE_STATE, TOKEN_ONE, VENUES, RiskWords
from engine.risk.reservations import Reservation, move, one_row, reserve

Rows = npt.NDArray[np.void]
Ints = npt.NDArray[np.int64]

_BUY: Final = int(Direction.BUY)
GROUPS: Final = 1 << 10  # the first so many have their sums at once
GROUPS_MAX: Final = 1 << 20  # beyond it is garbage: nothing is bought there


_Unkept = tuple[bytes, list[int], list[int]]  # requests that left together, their groups, their worst cash


class Gate:
    """Limits, reservations and the halt word of one engine. The only writer of its state.

    ``market_rows`` and ``book_rows`` are read, by slot. ``latch`` is called once with the reason when a
    halt or a stop is set, to make it survive the process; a failing latch leaves the gate halted or stopped.
    ``drawdown_max_ppm``: the deepest fall of equity from its highest value so far.
    """

    def __init__(
        self,
        limits: np.void,
        market_rows: MarketRows,
        book_rows: Rows,
        latch: Callable[[Reason], None] | None = None,
    ) -> None:
        self.limits = limits
        self.state: np.void = np.zeros(1, GATE_STATE)[0]
        self.markets: Rows = np.zeros(len(market_rows), GATE_MARKET)
        self.denials: dict[Reason, int] = {}
        self.drawdown_max_ppm = 0
        self._market_rows = market_rows
        self._book_rows = book_rows
        self._latches = [latch] if latch is not None else []
        self._open: dict[int, Reservation] = {}
        self._group_micros: Ints = np.zeros(GROUPS, np.int64)  # by group
        self._unkept: list[_Unkept] = []
        self._asked: Rows = np.zeros(1, ORDER_REQUEST)
        self._asked_bytes = self._asked.view(np.uint8).data
        ones = one_row(limits), one_row(self.state)
        self._arrays = (*ones, market_rows, self.markets, book_rows, self._asked)
        self._state = self._arrays[1]
        self._groups, self._bursts = market_rows["group"], limits["orders_burst"]
        self._admit = direct(admit, *self._arrays, 0, 0, 0, 0)
        self._rows = self._arrays[:-1]
        sums = [self._group_micros] * 3
        self._admit_together = direct(admit_together, *self._arrays, 0, *sums, 0)
        self._set_aside = direct(move, self._state, self.markets, 0, 0, 0, False, 0, 0)
        for venue in range(VENUES):
            self.state["tokens"][venue] = int(limits["orders_burst"][venue]) * TOKEN_ONE

    def check(self, request: np.void, epoch: int, worst_cash_micros: int, now_ns: int) -> Reason:
        """Answer for one ORDER_REQUEST; on ``Reason.NONE`` its worst case is reserved under its order id."""
        asked = request_facts(request)
        slot = asked.slot
        if not self._is_there(asked):
            return self._denied(Reason.HALTED if self.halted else Reason.UNKNOWN_MARKET)
        group = int(self._groups[slot])
        micros = ALONE if group == NO_GROUP else self._exposure_micros(group)
        self._asked_bytes[:] = request.tobytes()
        code = self._admit(*self._arrays, epoch, worst_cash_micros, micros, now_ns)
        if code:
            return self._denied(Reason(code))
        self._open_order(asked, group, max(worst_cash_micros, 0))
        self._add_to_group(group, max(worst_cash_micros, 0))
        return Reason.NONE

    def check_together(
        self, requests: Rows, n_orders: int, epochs: Ints, worst_cash_micros: Ints, now_ns: int
    ) -> bool:
        """Whether the first ``n_orders`` may all leave; then each is reserved under its id, otherwise none.

        No denial is counted: ``check`` says which order may not leave, and why.
        """
        sums, worst = self._group_micros, worst_cash_micros
        if not self._admit_together(*self._rows, requests, n_orders, epochs, worst, sums, now_ns):
            return False
        left = requests[:n_orders]
        groups = self._groups[left["slot"]]  # as they are now, and were when it was reserved
        self._unkept.append((left.tobytes(), groups.tolist(), worst[:n_orders].tolist()))
        return True

    def _keep(self) -> None:
        """Remember each of the orders that left together, before one of them is asked for."""
        for content, groups, worst in self._unkept:
            requests = np.frombuffer(content, ORDER_REQUEST)
            for request, group, micros in zip(requests, groups, worst, strict=True):
                self._open_order(request_facts(request), group, max(micros, 0))
        self._unkept.clear()

    def _is_there(self, asked: RequestFacts) -> bool:
        """Whether there are rows of what an order names: kernels do not look."""
        is_market = 0 <= asked.slot < len(self._market_rows) and 0 < asked.venue < VENUES
        return is_market and 0 <= asked.outcome < len(Outcome)

    def orders_at_once(self, venue: int) -> int:
        """Most orders that a venue's rate ever lets leave together."""
        return int(self._bursts[venue])

    def rate_ready_ns(self, venue: int, orders: int, now_ns: int) -> int:
        """When a venue's rate has let ``orders`` more leave, each as soon as it may; INT64_MAX: never."""
        return int(rate_ready_ns(self.limits, self.state, venue, orders, now_ns))

    def restore(self, request: np.void, worst_cash_micros: int) -> None:
        """Reserve for an order of an earlier run, which has left; ValueError for one of nothing."""
        asked, cash = request_facts(request), max(worst_cash_micros, 0)
        if not self._is_there(asked):
            named = f"venue {asked.venue}, slot {asked.slot}, outcome {asked.outcome}"
            raise ValueError(f"order {asked.order_id}: nothing is at {named}")
        buys = asked.direction == _BUY
        where = asked.order_id, asked.venue, asked.slot, asked.outcome
        reserve(self._state, self.markets, *where, buys, asked.size_e6, cash)
        group = int(self._groups[asked.slot])
        self._open_order(asked, group, cash)
        self._add_to_group(group, cash)

    def release(self, order_id: int) -> None:
        """Forget what is still reserved for an order that can no longer fill; unknown ids are ignored."""
        self._keep()
        held = self._open.pop(order_id, None)
        if held is None:
            return
        self._move(held, -held.size_e6, -held.cash_micros)
        self.state["open_orders"] -= 1

    def on_fill(self, order_id: int, size_e6: int) -> None:
        """Shrink a reservation by a fill; the ledger's position follows through ``set_position``."""
        self._keep()
        held = self._open.get(order_id)
        if held is None or held.size_e6 <= 0:
            return
        filled = min(size_e6, held.size_e6)
        cash = (
            held.cash_micros * filled // held.size_e6
        )  # rounded down: what stays reserved is never too little
        self._move(held, -filled, -cash)
        held.size_e6 -= filled
        held.cash_micros -= cash

    def set_position(self, slot: int, yes_e6: int, no_e6: int, cost_micros: int) -> None:
        """Take over a market's holding and its cost from the ledger."""
        row = self.markets[slot]
        change = cost_micros - int(row["cost_micros"])
        row["held_e6"][0], row["held_e6"][1] = yes_e6, no_e6
        row["cost_micros"] = cost_micros
        self._add_exposure(int(self._market_rows[slot]["group"]), change)

    def set_cash(self, venue: int, cash_micros: int) -> None:
        """Take over a venue's cash from the ledger."""
        self.state["cash_micros"][venue] = cash_micros

    def set_equity(self, equity_micros: int, *, sure: bool = True) -> None:
        """Take over cash plus marked positions and keep the highest value; stop when that is a loss too many.

        ``sure``: every holding was marked on a book that is believed. Otherwise a loss only refuses, for as
        long as it lasts: a book in doubt marks at nothing, and most come back.
        """
        self.state["equity_micros"] = equity_micros
        self.state["equity_peak_micros"] = max(int(self.state["equity_peak_micros"]), equity_micros)
        if not sure:
            return
        self.drawdown_max_ppm = max(self.drawdown_max_ppm, int(drawdown_ppm(self.state)))
        reached = int(loss_reason(self.limits, self.state))
        if reached:
            self.stop(Reason(reached))

    def start_day(self, equity_micros: int) -> None:
        """Start the daily loss count at this equity."""
        self.state["day_start_micros"] = equity_micros
        self.set_equity(equity_micros)

    @property
    def halted(self) -> bool:
        """Whether the halt word is set. Only an operator clears it (``resume``)."""
        return int(self.state["halted"]) != 0

    @property
    def stopped_by(self) -> Reason:
        """The limit that stopped everything that opens exposure; NONE while none has. Nothing clears it."""
        return Reason(int(self.state["stopped"]))

    def stop(self, reason: Reason) -> None:
        """Refuse from now on, with ``reason``, every order that opens exposure; then make that durable."""
        first = self.stopped_by is Reason.NONE
        if first:
            self.state["stopped"] = int(reason)
            self._make_durable(reason)

    def halt(self, reason: Reason) -> None:
        """Set the halt word, then make it durable through the latch."""
        first = not self.halted
        if first:
            self.state["halted"] = int(reason) + 1
            self._make_durable(reason)

    def also_latch(self, latch: Callable[[Reason], None]) -> None:
        """Call one more when a halt or a stop is set."""
        self._latches.append(latch)

    def risk_words(self) -> RiskWords:
        """What must outlive this process."""
        return RiskWords(*(int(self.state[name]) for name in RiskWords._fields))

    def restore_words(self, words: RiskWords) -> None:
        """Take over what an earlier run had: its halt, its stop, its loss limits as they were counted."""
        for name, value in words._asdict().items():
            self.state[name] = value

    def resume(self) -> None:
        """Clear the halt word, after an operator has lifted the halt where it is kept; a stop stays."""
        self.state["halted"] = 0

    def pause(self, paused: bool) -> None:
        """Stop or allow orders that open exposure; orders that reduce go on."""
        self.state["paused"] = int(paused)

    def reserved_micros(self, venue: int) -> int:
        """Cash promised to orders in flight at a venue."""
        return int(self.state["reserved_micros"][venue])

    def _make_durable(self, reason: Reason) -> None:
        for latch in self._latches:
            latch(reason)

    def _denied(self, reason: Reason) -> Reason:
        self.denials[reason] = self.denials.get(reason, 0) + 1
        return reason

    def _open_order(self, asked: RequestFacts, group: int, cash_micros: int) -> None:
        """Remember what was reserved for an order."""
        buys = asked.direction == _BUY
        held = Reservation(asked.venue, asked.slot, group, asked.outcome, buys, asked.size_e6, cash_micros)
        self._open[asked.order_id] = held

    def _move(self, held: Reservation, size_e6: int, cash_micros: int) -> None:
        where = held.venue, held.slot, held.outcome, held.buys
        self._set_aside(self._state, self.markets, *where, size_e6, cash_micros)
        self._add_to_group(held.group, cash_micros)

    def _add_exposure(self, group: int, change_micros: int) -> None:
        self.state["exposure_micros"] += change_micros
        self._add_to_group(group, change_micros)

    def _exposure_micros(self, group: int) -> int:
        """Of a group; below zero where it cannot be known."""
        if not 0 <= group < GROUPS_MAX:
            return -1
        return int(self._group_micros[group]) if group < len(self._group_micros) else 0

    def _add_to_group(self, group: int, change_micros: int) -> None:
        if not 0 <= group < GROUPS_MAX:
            return
        while group >= len(self._group_micros):
            self._group_micros = np.concatenate((self._group_micros, np.zeros_like(self._group_micros)))
        self._group_micros[group] += change_micros
