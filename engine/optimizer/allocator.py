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
from engine.execution.terms import VENUES
from engine.optimizer.admission import has_moved, objection
from engine.optimizer.adversary import FROM_CONVERSION
from engine.optimizer.alone import (
    BOUND_ALONE,
    NOT_ALONE,
    SIZE_ALONE,
    TIF_AFTER_CONVERSION,
    TIF_OF_VENUE,
    Plans,
    Sheet,
    plan_alone,
    plan_job,
)
from engine.optimizer.batch import BATCH_LEGS_MAX, OrderLimits, Problem
from engine.optimizer.booking import take_plan
from engine.optimizer.fill import JOBS_MAX
from engine.optimizer.holds import Holds
from engine.optimizer.levels import Ints, Rows
from engine.optimizer.pricing import CASH, FEE, LIMIT
from engine.optimizer.proof import WALK
from engine.optimizer.quoting import Quote, Quoter
from engine.optimizer.shadow import Shadows
from engine.optimizer.solve import Solution, solve
from engine.optimizer.verify import PlanCheck
from engine.reasons import Reason
from engine.records import DECISION, LEGS_MAX, PLAN_HEAD, PLAN_LEG, TOP_LEVELS, DecisionStage, Venue

SIGNALS_MAX: Final = JOBS_MAX  # of one call

# Rows are written whole, in this order; each field by itself would take several times as long.
_HEAD_FIELDS: Final = (
    *("recv_ns", "book_ns", "signal_ns", "deadline_ns", "signal_id", "slot", "relation", "kind", "n_legs"),
    *("plan_ns", "plan_id", "size_e6", "profit_micros", "bound_micros", "worst_loss_micros", "cash_micros"),
)
_LEG_FIELDS: Final = (
    *("slot", "generation", "venue", "direction", "outcome", "convert", "epoch", "update_count"),
    *("size_e6", "cash_micros", "fee_micros", "limit_e4", "tif"),
)
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

    def as_array(self) -> Ints:
        """All of them, as ``engine.optimizer.booking.LIMITS`` numbers them."""
        order = self.order
        bounds = (order.order_size_max_e6, order.order_notional_max_micros, order.position_max_e6)
        exposures = (order.market_exposure_max_micros, order.event_exposure_max_micros)
        own = (self.worst_loss_max_micros, self.slots, int(self.hold_at_limit))
        return np.array([*bounds, *exposures, *own], np.int64)


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

    signal: np.void  # SIGNAL_HEAD
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
        self.holds = Holds(len(markets), limits.slots)
        self.shadows = Shadows(len(markets), limits.slots)
        self._markets = markets
        self._books = books
        self._limits = limits
        self._next_plan_id: Ints = np.array([first_plan_id], np.int64)
        self._problem = Problem(books, markets, limits.order, limits.hold_at_limit)
        limit_array = limits.as_array()
        self._quoter = Quoter(self._problem, self.holds, limit_array)
        self._check = PlanCheck(books, markets, limits.worst_loss_max_micros)
        self._n_plans = self._n_plan_legs = self._n_decisions = 0
        self.sheet = self._make_sheet(limit_array)
        self.plans = Plans(self.plan_heads, self.plan_legs, self._next_plan_id)

    def _make_sheet(self, limits: Ints) -> Sheet:
        """What ``plan_alone`` works on: its scratch is that of the long way, which begins anew each time."""
        batch, quoter = self._problem.batch, self._quoter
        return Sheet(
            *(self._books, self._markets, limits, batch.jobs, batch.levels, batch.depth),
            *(self._problem.prices.work, self._problem.segments, self._problem.alone),
            most=np.zeros(BATCH_LEGS_MAX, np.int64),
            priced=quoter.priced,
            back_levels=quoter.levels,
            back_depth=quoter.count,
            ours_e6=np.zeros((LEGS_MAX, TOP_LEVELS), np.int64),
            free_micros=np.zeros(VENUES, np.int64),
            walked=np.zeros(WALK, np.int64),
        )

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
        self.faults.clear()
        held, takes = self.holds.held, self.shadows.takes
        n_plans = plan_alone(n_signals, now_ns, heads, legs, self.sheet, held, takes, self.plans)
        if n_plans == NOT_ALONE:
            return self.allocate_together(heads, legs, n_signals, now_ns)
        return n_plans, 0

    def allocate_together(self, heads: Rows, legs: Rows, n_signals: int, now_ns: int) -> tuple[int, int]:
        """The same for signals of any kind, which may compete with each other."""
        self._n_plans = self._n_plan_legs = self._n_decisions = 0
        self.faults.clear()
        self._problem.clear()
        entries: list[_Entry] = []
        first = 0
        for number, row in enumerate(heads[:n_signals][_FROM_SIGNAL].tolist()):
            head = _Signal._make(row)
            own = legs[first : first + head.n_legs]
            first += len(own)
            reason = objection(head.deadline_ns, own, self._books, self._markets, now_ns)
            if reason is Reason.NONE and not self._problem.has_room(len(own)):
                reason = Reason.CROWDED_OUT
            if reason is Reason.NONE:
                self._problem.add(head.payoff_micros, head.capital_cost_ppm, own)
                entries.append(_Entry(heads[number], head, own))
            else:
                self._refuse(head, own, Quote(reason), now_ns)
        if entries:
            self._settle(entries, now_ns)
        return self._n_plans, self._n_decisions

    def _settle(self, entries: list[_Entry], now_ns: int) -> None:
        """Solve the batch, then make a plan or a decision of each signal, in their order."""
        self._problem.load(self.shadows, self.holds)
        solution = solve(self._problem, self._limits.slots - self.holds.orders)
        for index, entry in enumerate(entries):
            quote = Quote(solution.reasons[index])
            if quote.reason is Reason.NONE:
                if self._plan_at_once(index, entry, solution, now_ns):
                    continue
                quote = self._plan(index, entry, solution, now_ns)
            if quote.reason is Reason.CROWDED_OUT and has_moved(entry.legs, self._books):
                quote = quote._replace(reason=Reason.BOOK_MOVED)
            if quote.reason is not Reason.NONE:
                self._refuse(entry.head, entry.legs, quote, now_ns)
        self._certify(solution)

    def _plan_at_once(self, index: int, entry: _Entry, solution: Solution, now_ns: int) -> bool:
        """Make a plan in one compiled call; False where it has to be trimmed, refused or checked exactly."""
        sheet, legs = self.sheet, self._problem.batch.legs
        best = sheet.best[index]
        best[SIZE_ALONE], best[BOUND_ALONE] = solution.sizes[index], solution.bounds[index]
        at, held, takes = self._n_plan_legs, self.holds.held, self.shadows.takes
        is_made = bool(
            plan_job(index, self._n_plans, at, now_ns, entry.signal, legs, sheet, held, takes, self.plans)
        )
        if is_made:
            self._close(index, int(self.plan_heads[self._n_plans]["size_e6"]))
        return is_made

    def _plan(self, index: int, entry: _Entry, solution: Solution, now_ns: int) -> Quote:
        """Write a plan for one signal, unless its price, its worst case or the check speaks against it."""
        plan_id = int(self._next_plan_id[0])
        free = {venue: self.holds.free_cash_micros(venue) for venue in _VENUES}
        quote = self._quoter.quote(index, solution.sizes[index], plan_id)
        if quote.reason is not Reason.NONE:
            return quote
        heads = self._write_head(entry.head, quote, max(solution.bounds[index], quote.profit_micros), now_ns)
        legs = self._write_legs(index, quote.size_e6)
        fault = self._check.fault(heads, legs, entry.head.capital_cost_ppm, free, self.shadows)
        if fault:
            self.faults.append(f"plan {plan_id}: {fault}")
            self.holds.release(plan_id)
            return quote._replace(reason=Reason.VERIFY_FAILED)
        self._accept(index, quote, plan_id)
        return quote

    def _write_head(self, signal: _Signal, quote: Quote, bound_micros: int, now_ns: int) -> Rows:
        """The head of a plan, as an array of one."""
        self._head_rows[self._n_plans] = (
            *(signal.recv_ns, signal.book_ns, signal.signal_ns, signal.deadline_ns, signal.signal_id),
            *(signal.slot, signal.relation, signal.kind, signal.n_legs, now_ns, self._next_plan_id[0]),
            *(quote.size_e6, quote.profit_micros, bound_micros, quote.worst_loss_micros),
            quote.cash_micros,
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
        """Hide what the plan takes."""
        batch, size_e6, takes = self._problem.batch, quote.size_e6, self.shadows.takes
        books, levels, depth = self._books, batch.levels, batch.depth
        take_plan(plan_id, batch.jobs, index, size_e6, batch.legs, books, levels, depth, takes)
        self._next_plan_id += 1
        self._close(index, size_e6)

    def _close(self, index: int, size_e6: int) -> None:
        """A plan is made and held: later jobs see what it leaves, and the next one is written behind it."""
        self._quoter.consume(index, size_e6)
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
