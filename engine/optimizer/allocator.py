"""The optimizer's seat: signals in, plans out, and a reason for every signal that did not become one.

A batch of signals is one problem over shared books and scarce cash (``engine.optimizer.solve``). Then every
plan is priced again exactly, on what the plans before it left, its worst partial fill is computed, and an
independent check has to agree. A plan holds its worst case until an order event says that it is done.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from engine.config import Config
from engine.optimizer.admission import has_moved, objection
from engine.optimizer.adversary import FROM_CONVERSION
from engine.optimizer.batch import BATCH_LEGS_MAX, OrderLimits, Problem
from engine.optimizer.fill import JOBS_MAX
from engine.optimizer.holds import Holds
from engine.optimizer.levels import SIZE, Rows
from engine.optimizer.pricing import CASH, FEE, LIMIT
from engine.optimizer.quoting import Quote, Quoter
from engine.optimizer.shadow import Shadows
from engine.optimizer.solve import Solution, solve
from engine.optimizer.verify import PlanCheck
from engine.reasons import Reason
from engine.records import DECISION, PLAN_HEAD, PLAN_LEG, DecisionStage, Side, TimeInForce, Venue

SIGNALS_MAX: Final = JOBS_MAX  # of one call

# A leg that misses must miss whole: what is left of a partial fill has to be unwound. Sales after a
# conversion take what there is, because what stays unsold can still be held.
TIF_OF_VENUE: Final = {int(Venue.POLYMARKET): TimeInForce.FOK, int(Venue.KALSHI): TimeInForce.FOK}
TIF_AFTER_CONVERSION: Final = TimeInForce.FAK

# Rows are written whole, in this order; each field by itself would take several times as long.
_HEAD_FIELDS: Final = (
    *("recv_ns", "book_ns", "signal_ns", "deadline_ns", "signal_id", "slot", "relation", "kind", "n_legs"),
    *("plan_ns", "plan_id", "size_e6", "profit_micros", "bound_micros", "worst_loss_micros", "cash_micros"),
)
_LEG_FIELDS: Final = (
    *("slot", "generation", "venue", "direction", "outcome", "convert", "epoch", "update_count"),
    *("size_e6", "cash_micros", "fee_micros", "limit_e4", "tif"),
)
_ASK: Final = int(Side.ASK)
_VENUES: Final = tuple(int(venue) for venue in Venue)
_LEG_COUNT_MAX: Final = 255  # what DECISION.n_legs can say


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocatorLimits:
    """What plans may use.

    ``hold_at_limit``: hold what orders can cost at their limits, as the gate reserves it; otherwise what the
    walk expects them to cost.
    """

    order: OrderLimits
    slots: int
    worst_loss_max_micros: int
    hold_at_limit: bool = True

    @classmethod
    def from_config(cls, config: Config) -> AllocatorLimits:
        """Limits of the optimizer, and of the gate: its refusal would leave a plan half done."""
        risk = config.risk
        order = OrderLimits(
            order_size_max_e6=risk.order_size_max_e6,
            order_notional_max_micros=risk.order_notional_max_micros,
            position_max_e6=risk.position_max_e6,
            market_exposure_max_micros=risk.market_exposure_max_micros,
            event_exposure_max_micros=risk.event_exposure_max_micros,
        )
        return cls(
            order=order,
            slots=config.optimizer.slots,
            worst_loss_max_micros=config.optimizer.worst_loss_max_micros,
        )


class _Signal(NamedTuple):
    """What is read of a SIGNAL_HEAD."""

    recv_ns: int
    book_ns: int
    signal_ns: int
    deadline_ns: int
    signal_id: int
    payoff_micros: int
    edge_gross_micros: int
    edge_net_micros: int
    capital_cost_ppm: int
    slot: int
    relation: int
    n_legs: int
    kind: int


_FROM_SIGNAL: Final = list(_Signal._fields)


class _Entry(NamedTuple):
    """A signal that takes part, and its legs."""

    head: _Signal
    legs: Rows


class Allocator:
    """Plans of one optimizer. Results: ``plan_heads[:n]``, ``plan_legs`` (contiguous), ``decisions[:m]``.

    ``markets``: MARKET_ROW by slot, ``books``: BOOK_ROW by slot; both are only read. One thread at a time.
    ``refused`` counts reasons; ``faults`` says what the check found in the plans of the last call.
    """

    def __init__(self, markets: Rows, books: Rows, limits: AllocatorLimits, first_plan_id: int = 1) -> None:
        self.plan_heads: Rows = np.zeros(SIGNALS_MAX, PLAN_HEAD)
        self.plan_legs: Rows = np.zeros(BATCH_LEGS_MAX, PLAN_LEG)
        self._head_rows = self.plan_heads[list(_HEAD_FIELDS)]
        self._leg_rows = self.plan_legs[list(_LEG_FIELDS)]
        self.decisions: Rows = np.zeros(SIGNALS_MAX, DECISION)
        self.refused: Counter[Reason] = Counter()
        self.faults: list[str] = []
        self.holds = Holds()
        self.shadows = Shadows()
        self._markets = markets
        self._books = books
        self._limits = limits
        self._next_plan_id = first_plan_id
        self._problem = Problem(books, markets, limits.order, limits.hold_at_limit)
        self._quoter = Quoter(self._problem, self.holds, limits.order, limits.worst_loss_max_micros)
        self._check = PlanCheck(books, markets, limits.worst_loss_max_micros)
        self._n_plans = self._n_plan_legs = self._n_decisions = 0

    def set_cash(self, venue: Venue, cash_micros: int) -> None:
        """Balance at a venue as the ledger has it; to be set before the event that ends a plan."""
        self.holds.set_cash(venue, cash_micros)

    def on_position(self, position: np.void) -> None:
        """Take in a POSITION_ROW."""
        slot = int(position["slot"])
        self.holds.set_position(
            slot,
            int(self._markets[slot]["group"]),
            int(position["yes_e6"]),
            int(position["no_e6"]),
            int(position["cost_yes_micros"]) + int(position["cost_no_micros"]),
        )

    def on_order_event(self, event: np.void) -> bool:
        """Take in an ORDER_EVENT; True when it ends a plan of ours, whose hold is released."""
        if not event["plan_done"] or not self.holds.release(int(event["plan_id"])):
            return False
        self.shadows.release(int(event["plan_id"]))
        return True

    def allocate(self, heads: Rows, legs: Rows, n_signals: int, now_ns: int) -> tuple[int, int]:
        """Decide on ``heads[:n_signals]``, whose legs lie one after the other: (plans, decisions).

        Each signal gives one plan or one decision. At most SIGNALS_MAX signals; ValueError beyond.
        """
        if n_signals > SIGNALS_MAX:
            raise ValueError(f"{n_signals} signals in one call, at most {SIGNALS_MAX}")
        self._n_plans = self._n_plan_legs = self._n_decisions = 0
        self.faults.clear()
        self._problem.clear()
        entries: list[_Entry] = []
        first = 0
        for row in heads[:n_signals][_FROM_SIGNAL].tolist():
            head = _Signal._make(row)
            own = legs[first : first + head.n_legs]
            first += len(own)
            reason = objection(head.deadline_ns, own, self._books, self._markets, now_ns)
            if reason is Reason.NONE and not self._problem.has_room(len(own)):
                reason = Reason.CROWDED_OUT
            if reason is Reason.NONE:
                self._problem.add(head.payoff_micros, head.capital_cost_ppm, own)
                entries.append(_Entry(head, own))
            else:
                self._refuse(head, own, Quote(reason), now_ns)
        if entries:
            self._settle(entries, now_ns)
        return self._n_plans, self._n_decisions

    def _settle(self, entries: list[_Entry], now_ns: int) -> None:
        """Solve the batch, then make a plan or a decision of each signal, in their order."""
        self._problem.load(self.shadows, self.holds)
        solution = solve(self._problem, self._limits.slots - self.holds.total.orders)
        for index, entry in enumerate(entries):
            quote = Quote(solution.reasons[index])
            if quote.reason is Reason.NONE:
                quote = self._plan(index, entry, solution, now_ns)
            if quote.reason is Reason.CROWDED_OUT and has_moved(entry.legs, self._books):
                quote = quote._replace(reason=Reason.BOOK_MOVED)
            if quote.reason is not Reason.NONE:
                self._refuse(entry.head, entry.legs, quote, now_ns)
        self._certify(solution)

    def _plan(self, index: int, entry: _Entry, solution: Solution, now_ns: int) -> Quote:
        """Write a plan for one signal, unless its price, its worst case or the check speaks against it."""
        quote = self._quoter.quote(index, solution.sizes[index])
        if quote.reason is not Reason.NONE:
            return quote
        heads = self._write_head(entry.head, quote, max(solution.bounds[index], quote.profit_micros), now_ns)
        legs = self._write_legs(index, quote.size_e6)
        free = {venue: self.holds.free_cash_micros(venue) for venue in _VENUES}
        fault = self._check.fault(heads, legs, entry.head.capital_cost_ppm, free, self.shadows)
        if fault:
            self.faults.append(f"plan {self._next_plan_id}: {fault}")
            return quote._replace(reason=Reason.VERIFY_FAILED)
        self._accept(index, quote, self._next_plan_id)
        return quote

    def _write_head(self, signal: _Signal, quote: Quote, bound_micros: int, now_ns: int) -> Rows:
        """The head of a plan, as an array of one."""
        self._head_rows[self._n_plans] = (
            *(signal.recv_ns, signal.book_ns, signal.signal_ns, signal.deadline_ns, signal.signal_id),
            *(signal.slot, signal.relation, signal.kind, signal.n_legs, now_ns, self._next_plan_id),
            *(quote.size_e6, quote.profit_micros, bound_micros, quote.worst_loss_micros),
            quote.hold.cash_micros.total(),
        )
        return self.plan_heads[self._n_plans : self._n_plans + 1]

    def _write_legs(self, index: int, size_e6: int) -> Rows:
        first, legs = self._n_plan_legs, self._problem.legs_of(index)
        priced = self._quoter.priced[legs.start : legs.stop].tolist()
        for number, leg in enumerate(legs):
            facts, prices = self._problem.legs[leg], priced[number]
            converted = facts.convert == FROM_CONVERSION
            self._leg_rows[first + number] = (
                *(facts.slot, facts.generation, facts.venue, facts.direction, facts.outcome, facts.convert),
                *(facts.epoch, facts.update_count, size_e6, prices[CASH], prices[FEE], prices[LIMIT]),
                TIF_AFTER_CONVERSION if converted else TIF_OF_VENUE[facts.venue],
            )
        return self.plan_legs[first : first + len(legs)]

    def _accept(self, index: int, quote: Quote, plan_id: int) -> None:
        """Hold what the plan may cost, hide what it takes, and show later jobs only what is left."""
        levels, count = self._problem.batch.levels, self._problem.batch.depth
        for leg in self._problem.legs_of(index):
            facts, side = self._problem.legs[leg], self._problem.side_of(leg)
            book = self._books[facts.slot]
            depth = int(count[leg])
            shown = book["ask_size_e6" if facts.side == _ASK else "bid_size_e6"][:depth].tolist()
            prices = book["ask_e4" if facts.side == _ASK else "bid_e4"][:depth].tolist()
            left = quote.size_e6
            for level, offered in enumerate(levels[SIZE, leg, :depth].tolist()):
                taken = min(left, offered)
                if taken > 0:
                    self.shadows.take(plan_id, side, prices[level], shown[level], taken)
                    left -= taken
                if left == 0:
                    break
        self._quoter.consume(index, quote.size_e6)
        self.holds.add(plan_id, quote.hold)
        self._next_plan_id += 1
        self._n_plans += 1
        self._n_plan_legs += len(self._problem.legs_of(index))

    def _certify(self, solution: Solution) -> None:
        """Lower each plan's bound to what the bound of the whole batch leaves for it."""
        plans = self.plan_heads[: self._n_plans]
        gap = max(solution.bound_micros - int(plans["profit_micros"].sum()), 0)
        plans["bound_micros"] = np.minimum(plans["bound_micros"], plans["profit_micros"] + gap)

    def _refuse(self, head: _Signal, legs: Rows, quote: Quote, now_ns: int) -> None:
        """Write the decision that a signal becomes no plan."""
        self.decisions[self._n_decisions] = np.zeros((), DECISION)
        record = self.decisions[self._n_decisions]
        self._n_decisions += 1
        self.refused[quote.reason] += 1
        for name in (
            "recv_ns",
            "signal_id",
            "edge_gross_micros",
            "edge_net_micros",
            "slot",
            "relation",
            "kind",
        ):
            record[name] = getattr(head, name)
        trigger = legs[legs["slot"] == head.slot]
        source = trigger[0] if len(trigger) else legs[0]
        record["epoch"], record["generation"], record["venue"] = (
            source[name] for name in ("epoch", "generation", "venue")
        )
        record["decided_ns"] = now_ns
        record["size_e6"] = quote.size_e6
        record["profit_micros"] = quote.profit_micros
        record["reason"] = quote.reason
        record["stage"] = DecisionStage.OPTIMIZER
        record["n_legs"] = min(head.n_legs, _LEG_COUNT_MAX)
