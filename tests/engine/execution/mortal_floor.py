"""A trading floor whose executor can die at any instruction that leaves a trace, and comes back.

Instants are before and after each write to the journal and before and after each request leaves. What dies
is the executor with its gate; what survives is the journal as far as it was written, the venues, and what is
on its way. Reports that were taken together with the one it died of are lost.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.execution.executor import Executor
from engine.execution.recovery import Past, recover
from engine.execution.restart import Restart
from engine.ids import IdSource
from engine.ledger.journal import BOOT, Entry, EntryKind
from engine.ledger.ledger import Key, Ledger, Position
from engine.records import RequestKind, Venue
from engine.units import INT64_MAX
from tests.engine.execution.floor import Floor, FoldingJournal, OpenGate


class Killed(BaseException):
    """The executor died here."""


class MortalJournal(FoldingJournal):
    """Calls ``instant`` before and after each write."""

    def __init__(self, entries: list[Entry], ledger: Ledger, instant: Callable[[], None]) -> None:
        super().__init__()
        self.entries, self.ledger = entries, ledger
        self._instant = instant

    def append(self, kind: int, record: np.void) -> None:
        self._instant()
        super().append(kind, record)
        self._instant()


class MortalFloor(Floor):
    """``deaths``: numbers of the instants, counted over all lives, at which the executor dies."""

    restart: Restart | None = None

    def mortal(self, deaths: list[int]) -> None:
        """From now on it can die."""
        self.deaths = sorted(deaths, reverse=True)
        self.instants = self.died = 0
        self.accepted: list[int] = []
        self.journal = MortalJournal(self.journal.entries, self.journal.ledger, self._instant)
        self._come_back()

    def run(self, for_ns: int = 3_600 * 10**9, until: Callable[[], bool] | None = None) -> None:
        """As ever; while a restart waits for something by the clock, it is called then."""
        end_ns = self.now_ns + for_ns
        while True:
            while self.restart is not None and self.now_ns < end_ns:
                self._call(lambda: None)
                if self.restart is not None:
                    due = min(end_ns, max(self.restart.next_due_ns(), self.now_ns), self._next_due_ns())
                    super().run(due - self.now_ns)
            super().run(end_ns - self.now_ns, until)
            if self.restart is None or self.now_ns >= end_ns:
                break  # else it died when nothing else was due

    def _next_due_ns(self) -> int:
        due = min(self._due_ns(), *(sim.next_due_ns() for sim in self.venues.values()))
        return INT64_MAX if due == INT64_MAX else max(due, self.now_ns)

    def hear(self, report: np.void) -> bool:
        if self.restart is not None and self.restart.on_report(report):
            return self._call(lambda: None)
        return super().hear(report)

    def _call(self, call: Callable[[], None]) -> bool:
        try:
            super()._call(call)
            self._advance_restart()
        except Killed:
            self.died += 1
            self._come_back()
            return False
        return True

    def _advance_restart(self) -> None:
        if self.restart is None:
            return
        self.restart.advance(self.now_ns)
        for request in self.restart.requests:
            self.venues[Venue(int(request["venue"]))].on_request(request, self.now_ns)
        if self.restart.is_over:
            assert self.restart.differences == []
            self.restart = None

    def _deliver(self) -> None:
        out = self.executor.out
        for request in np.array(out.requests[: out.n_requests]):
            self._instant()
            self.requests.append(request)
            self.venues[Venue(int(request["venue"]))].on_request(request, self.now_ns)
            if int(request["kind"]) != RequestKind.CANCEL:
                self.accepted.append(int(request["order_id"]))
            self._instant()
        out.n_requests = 0
        super()._deliver()

    def _instant(self) -> None:
        self.instants += 1
        if self.deaths and self.deaths[-1] == self.instants:
            self.deaths.pop()
            raise Killed

    def _come_back(self) -> None:
        """Everything of the executor is made anew from the journal, as often as it dies doing so."""
        while True:
            try:
                past = recover(self.journal.entries)
                self._be_born(past)
                self.executor.restore(past, self.now_ns)
                self._deliver()
            except Killed:
                self.died += 1
                continue
            break

    def _be_born(self, past: Past) -> None:
        answer = self.gate.answer
        self.gate = OpenGate()
        self.gate.answer = answer
        ids = IdSource(past.next_boot_epoch)
        boot: np.void = np.zeros(1, BOOT)[0]
        boot["boot_epoch"] = ids.boot_epoch
        self.journal.append(EntryKind.BOOT, boot)
        self.journal.ledger = past.ledger
        config = self.executor._config
        self.executor = Executor(self.catalog, self.gate, self.journal, ids, config, self.rows)
        self.restart = Restart(self.executor, self.journal.ledger, ids, list(Venue), config)

    # --- what must hold ---

    def assert_survived(self) -> None:
        """Nothing lost, nothing twice: our books are the venues', and every plan ended once."""
        assert self.restart is None, "the restart is over"
        assert self.executor.open_plans == self.executor.open_orders == 0
        assert self.gate.open == {}
        assert len(self.accepted) == len(set(self.accepted)), "an order was sent twice"
        intents = [int(r["order_id"]) for r in self.journal.of(EntryKind.INTENT)]
        assert len(intents) == len(set(intents)), "an id was used twice"
        assert set(self.accepted) <= set(intents), "a request without an intent"
        ends = [int(r["plan_id"]) for r in self.journal.of(EntryKind.EVENT) if int(r["plan_done"])]
        assert len(ends) == len(set(ends)), "a plan ended twice"
        assert {int(r["plan_id"]) for r in self.journal.of(EntryKind.PLAN)} <= set(ends)
        self.assert_books_agree()
        past = recover(self.journal.entries)
        assert past.ledger.accounts == self.journal.ledger.accounts
        assert _held(past.ledger) == _held(self.journal.ledger)
        self.results = [plan.result() for plan in past.plans.values() if plan.legs]
        if not past.settled:
            self.assert_plans_add_up()


def _held(ledger: Ledger) -> dict[Key, Position]:
    """Positions without those that were only looked at."""
    return {key: position for key, position in ledger.positions.items() if position != Position()}
