"""Optimizer stage: signals in, plans out, and a decision for each signal: its plan, or why it became none.

All signals that are waiting are decided together: they compete for the same books and the same cash.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.code import NOBODY, Turn
from engine.execution.outputs import decision, is_restart, moves_position
from engine.optimizer.allocator import SIGNALS_MAX, Allocator
from engine.optimizer.batch import BATCH_LEGS_MAX
from engine.reasons import Reason
from engine.records import (
    ACCOUNT_ROW,
    DECISION,
    ORDER_EVENT,
    POSITION_ROW,
    SIGNAL_HEAD,
    SIGNAL_LEG,
    DecisionStage,
    Venue,
)
from procs.catalog_segment import CatalogView
from procs.ladder import OptimizerRung
from procs.plan_post import PlanPost
from procs.plan_turn import Begin, Stop
from procs.view import BookView
from procs.wires import Wires, publish, publish_each
from shm.ring import Reader, Records, cell_index

_EVENTS, _ROWS, _NOT_READY = int(Stop.EVENTS), int(Stop.ROWS), int(Stop.NOT_READY)
_REST, _FETCHED = int(Begin.REST), int(Begin.FETCHED)


class OptimizerAgent:
    """Runs ``allocator`` over the wires; ``view`` and ``markets`` are those whose rows it reads.

    ``rung`` stamps plans and counts how long they took. Where the wires are taped signals and plans pass one
    by one, and otherwise in compiled calls.
    """

    role = "optimizer"

    def __init__(
        self,
        allocator: Allocator,
        view: BookView,
        markets: CatalogView,
        wires: Wires,
        rung: OptimizerRung | None = None,
        *,
        is_taped: bool = False,
    ) -> None:
        self.allocator = allocator
        self._n_signals = self._n_plans = 0  # one by one
        self._rung = rung
        self._view = view
        self._markets = markets
        self._wires = wires
        self._signals = wires.signals.resume(self.role, 0, batch_cells=BATCH_LEGS_MAX)
        self._cells_as_heads = self._signals.records(SIGNAL_HEAD)
        self._cells_as_legs = self._signals.records(SIGNAL_LEG)
        self._events = wires.events.resume(self.role, 0)
        self._garbled = self._events.garbled  # events of which nobody knows what they said
        self._event_rows = self._events.records(ORDER_EVENT)
        self._facts = self._event_rows[["fill_size_e6", "plan_id", "plan_done"]]
        self._heads: Records = np.zeros(SIGNALS_MAX, SIGNAL_HEAD)
        self._legs: Records = np.zeros(BATCH_LEGS_MAX, SIGNAL_LEG)
        self._position: Records = np.zeros(1, POSITION_ROW)
        self._account: Records = np.zeros(1, ACCOUNT_ROW)
        self._post = None if is_taped else PlanPost(allocator, view, wires, self._signals, self._events, rung)
        self._without_account = list(wires.books)  # venues of which nobody has said what cash is there

    @property
    def readers(self) -> list[Reader]:
        """Of signals and of order events."""
        return [self._signals, self._events]

    @property
    def signals(self) -> int:
        """Signals read."""
        return self._n_signals + (0 if self._post is None else self._post.n_signals)

    @property
    def plans(self) -> int:
        """Plans made of them."""
        return self._n_plans + (0 if self._post is None else self._post.n_plans)

    def scratch(self) -> list[npt.NDArray[Any]]:
        """Memory of every compiled turn (``procs.kept_warm``)."""
        return [] if self._post is None else self._post.scratch()

    def on_start(self, now_ns: int) -> None:
        """Nothing to open: the executor, who says what cash there is, may not have started yet."""

    def do_work(self, now_ns: int) -> int:
        """Take in what markets there are and what orders did, then decide on the signals that wait."""
        is_news = self._markets.refresh()
        if self._without_account:
            is_news = self._learn_opening_cash() or is_news
        if self._post is not None:
            if is_news and not self._without_account:
                self._post.follow(self._markets.version)
            return self._work_compiled(self._post, self._post.turn(now_ns), now_ns)
        work = self._take_in(self._wires.take(self._events, "events"))
        while (n_cells := self._wires.take(self._signals, "signals", SIGNALS_MAX)) > 0:
            work += n_cells
            self._decide(self._split(n_cells), now_ns)
        return work

    def on_close(self) -> None:
        """Nothing to let go of."""

    @property
    def turn(self) -> Turn:
        """The compiled turn (``procs.plan_turn``), if any are taken."""
        return Turn(0, NOBODY) if self._post is None else self._post.compiled

    def go_on(self, stop: int, now_ns: int) -> int:
        """Do what a turn has left that another has had taken, and the rest of it; cells handled."""
        post = self._post
        assert post is not None, "nobody else takes compiled turns"
        if stop == _NOT_READY:
            return self.do_work(now_ns)
        return self._work_compiled(post, post.settle(stop, now_ns), now_ns)

    def _work_compiled(self, post: PlanPost, taken: int, now_ns: int) -> int:
        """The rest of a turn: what a compiled call leaves to us is done, and then it goes on."""
        while taken < 0:
            begin = _REST
            if taken == _EVENTS:
                self._take_in(post.events())
            elif taken == _ROWS:
                post.fetch()
                begin = _FETCHED
            else:
                n_signals = post.signals()
                made = self.allocator.allocate_together(post.heads, post.legs, n_signals, now_ns)
                post.send(*made, n_signals, now_ns)
            taken = post.turn(now_ns, begin)
        return taken

    def _take_in(self, n_events: int) -> int:
        """Take in the events that were read."""
        for index, (fill_e6, plan_id, plan_done) in enumerate(self._facts[:n_events].tolist()):
            event = self._event_rows[index]
            if fill_e6 or not plan_id:
                self._on_change(event)
            if plan_done:
                self.allocator.on_order_event(event)
        if self._events.garbled != self._garbled:
            self._garbled = self._events.garbled
            self._learn_everything()
        return n_events

    def _on_change(self, event: np.void) -> None:
        """Something was filled or paid, or the executor is back."""
        self._view.on_event(event)
        if is_restart(event):
            self._learn_everything()
        if moves_position(event) and self._wires.positions.read(int(event["slot"]), self._position):
            self.allocator.on_position(self._position[0])
            self._learn_cash(Venue(int(event["venue"])))

    def _learn_opening_cash(self) -> bool:
        """Whether it is known now of every venue."""
        for venue in list(self._without_account):
            if self._wires.accounts.version(int(venue)) and self._learn_cash(venue):
                self._without_account.remove(venue)
        return not self._without_account

    def _learn_everything(self) -> None:
        """Read every account and position: the executor was away, and events may not have been sent."""
        for venue in self._wires.books:
            self._learn_cash(venue)
        for slot in range(len(self._wires.positions)):
            if self._wires.positions.read(slot, self._position) and int(self._position[0]["generation"]):
                self.allocator.on_position(self._position[0])

    def _learn_cash(self, venue: Venue) -> bool:
        if not self._wires.accounts.read(int(venue), self._account):
            return False
        self.allocator.set_cash(venue, int(self._account[0]["cash_micros"]))
        return True

    def _split(self, n_cells: int) -> int:
        """Part heads from legs, and fetch the books the legs are about; the number of signals."""
        n_heads = n_legs = 0
        for cell in range(n_cells):
            if cell_index(int(self._signals.tags[cell])) == 0:
                self._heads[n_heads] = self._cells_as_heads[cell]
                n_heads += 1
            else:
                leg = self._cells_as_legs[cell]
                self._view.refresh(int(leg["venue"]), int(leg["slot"]))
                self._legs[n_legs] = leg
                n_legs += 1
        return n_heads

    def _decide(self, n_signals: int, now_ns: int) -> None:
        n_plans, n_decisions = self.allocator.allocate(self._heads, self._legs, n_signals, now_ns)
        self._n_signals += n_signals
        self._n_plans += n_plans
        decisions = np.zeros(n_plans + n_decisions, DECISION)
        first = 0
        for index in range(n_plans):
            head = self.allocator.plan_heads[index : index + 1]
            legs = self.allocator.plan_legs[first : first + int(head["n_legs"][0])]
            first += len(legs)
            if self._rung is not None:
                self._rung.plan(head)
            publish(self._wires.plans, head, legs, "plans")
            decisions[index] = self._planned(head[0], legs, n_signals, now_ns)
        decisions[n_plans:] = self.allocator.decisions[:n_decisions]
        publish_each(self._wires.decisions[DecisionStage.OPTIMIZER], decisions, "decisions")

    def _planned(self, plan: np.void, legs: Records, n_signals: int, now_ns: int) -> np.void:
        """DECISION that a signal became ``plan``, with the edges of the signal."""
        size_e6 = int(plan["size_e6"])
        made = decision(plan, list(legs), DecisionStage.OPTIMIZER, Reason.NONE, size_e6, now_ns)
        signals = self._heads[:n_signals]
        [signal] = signals[signals["signal_id"] == plan["signal_id"]]
        made["edge_gross_micros"] = signal["edge_gross_micros"]
        made["edge_net_micros"] = signal["edge_net_micros"]
        return made
