"""From a recovered journal to an executor that may trade: resolve every order, compare accounts, go on.

    RESOLVING -> COMPARING -> OVER

RESOLVING: the executor stands still and asks about every order in doubt, until none is open and no trade can
fail. COMPARING: each venue is asked what we have there, and its answer held against the ledger; payments that
nobody heard are said again with it. An answer that differs is asked for again, STATEMENTS_MAX times in all: a
payment may have been on its way. OVER: the executor goes on, and ``differences`` says what differed still;
then nobody knows what we have, and the gate has to be halted.

A start with nothing before it is the same, with no orders to ask about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType
from typing import Final

import numpy as np

from engine.execution.config import ExecutionConfig
from engine.execution.executor import Executor
from engine.execution.ports import Ids
from engine.execution.silence import question_wait_ns
from engine.ledger.ledger import Ledger
from engine.ledger.reconcile import NO_SLOT, Statement
from engine.records import ORDER_REQUEST, ReportKind, RequestKind, Venue
from engine.units import INT64_MAX

STATEMENTS_MAX: Final = 3


class RestartState(IntEnum):
    """Where a restart is."""

    RESOLVING = 0
    COMPARING = 1
    OVER = 2


class RestartInput(IntEnum):
    """What moves it on."""

    RESOLVED = 0  # no order is open any more
    COMPARED = 1  # every venue's statement was held against the ledger for the last time


RESTART_TRANSITIONS: Final[Mapping[tuple[RestartState, RestartInput], RestartState]] = MappingProxyType(
    {
        (RestartState.RESOLVING, RestartInput.RESOLVED): RestartState.COMPARING,
        (RestartState.COMPARING, RestartInput.COMPARED): RestartState.OVER,
    }
)


class _Comparison:
    """The questions to one venue. ``is_over``: nothing differs, or for the last time."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.statement: Statement | None = None
        self.statements = 0  # complete ones
        self.questions = 0  # since the last complete one
        self.check_ns = 0
        self.differences: list[str] = []
        self.is_over = False

    def compare(self, statement: Statement, ledger: Ledger, now_ns: int, wait_ns: int) -> None:
        """Hold a complete statement against the ledger."""
        self.statement = None
        self.statements += 1
        self.questions = 0
        self.differences = statement.differences(ledger)
        self.is_over = not self.differences or self.statements >= STATEMENTS_MAX
        self.check_ns = INT64_MAX if self.is_over else now_ns + wait_ns


class Restart:
    """Drives one executor that has been given its past. ``requests`` are those of the last ``advance``."""

    def __init__(
        self, executor: Executor, ledger: Ledger, ids: Ids, venues: Sequence[Venue], config: ExecutionConfig
    ) -> None:
        self.state = RestartState.RESOLVING
        self.requests: list[np.void] = []
        self._executor = executor
        self._ledger = ledger
        self._ids = ids
        self._config = config
        self._comparisons = [_Comparison(venue) for venue in venues]

    @property
    def is_over(self) -> bool:
        """Whether the executor goes on."""
        return self.state == RestartState.OVER

    @property
    def differences(self) -> list[str]:
        """What venues say otherwise, one line each."""
        return [line for one in self._comparisons for line in one.differences]

    def on_report(self, report: np.void) -> bool:
        """Take a line of a statement; False when the report is something else, for the executor."""
        if int(report["kind"]) != ReportKind.BALANCE:
            return False
        for one in self._comparisons:
            if one.statement is not None and one.venue == int(report["venue"]):
                one.statement.take(report)
        return True

    def advance(self, now_ns: int) -> None:
        """Do what can be done now; ``requests`` are to be sent.

        Wanted after reports and after the executor's ``on_time``, and at ``next_due_ns``.
        """
        self.requests.clear()
        if self.state == RestartState.RESOLVING and self._executor.is_resolved:
            self._move(RestartInput.RESOLVED)
        if self.state != RestartState.COMPARING:
            return
        for one in self._comparisons:
            self._compare(one, now_ns)
        if all(one.is_over for one in self._comparisons):
            self._move(RestartInput.COMPARED)
            self._executor.go_on(now_ns)

    def next_due_ns(self) -> int:
        """When ``advance`` is wanted although nothing was heard; INT64_MAX when nothing waits."""
        if self.state != RestartState.COMPARING:
            return INT64_MAX
        return min(one.check_ns for one in self._comparisons)

    def _compare(self, one: _Comparison, now_ns: int) -> None:
        if one.statement is not None and one.statement.is_complete:
            one.compare(one.statement, self._ledger, now_ns, self._config.ack_timeout_ns)
        if one.check_ns <= now_ns:
            one.statement = Statement(one.venue, self._ids.next_id())
            one.check_ns = now_ns + question_wait_ns(self._config, one.questions)
            one.questions += 1
            self.requests.append(_query(one.venue, one.statement.query_id, now_ns))

    def _move(self, event: RestartInput) -> None:
        self.state = RESTART_TRANSITIONS[self.state, event]


def _query(venue: Venue, query_id: int, now_ns: int) -> np.void:
    request: np.void = np.zeros(1, ORDER_REQUEST)[0]
    request["kind"], request["venue"], request["order_id"] = RequestKind.QUERY, venue, query_id
    request["slot"] = request["relation"] = NO_SLOT
    request["request_ns"] = now_ns
    return request
