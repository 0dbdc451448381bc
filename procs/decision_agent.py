"""Decision log stage: the decisions of all stages into one log, those of each in the order it made them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from engine.reasons import Reason
from engine.records import DECISION, DecisionStage, SignalKind
from procs.decision_log import DecisionLog
from procs.paper_result import KindCount, size_class
from procs.wires import DECISION_CELLS, LOG_READER, Wires
from shm.ring import EVERY_MESSAGE, Reader, Records

BACKLOG_CELLS: Final = DECISION_CELLS // 4
DRAINS_MAX: Final = 64  # of a batch each: as much as the ring holds, or its writers are as fast as we are


class DecisionAgent:
    """Writes ``log`` and keeps ``kinds``: how far the opportunities of each kind came.

    ``watch`` is shown every decision after it was written. ``at_once`` bounds how many of a stage are written
    in one go, where others wait for this process meanwhile; beyond BACKLOG_CELLS they wait, or there would
    soon be no room for what they decide.
    """

    role = "decisions"

    def __init__(
        self,
        log: DecisionLog,
        wires: Wires,
        watch: Callable[[np.void], None] | None = None,
        at_once: int = EVERY_MESSAGE,
    ) -> None:
        self._at_once = at_once
        self.log = log
        self.kinds: dict[SignalKind, KindCount] = {}
        self.watch = watch
        self._wires = wires
        self._readers: list[tuple[Reader, Records]] = []
        for stage in DecisionStage:
            if stage in wires.decisions:
                reader = wires.decisions[stage].resume(LOG_READER, 0)
                self._readers.append((reader, reader.records(DECISION)))

    @property
    def readers(self) -> list[Reader]:
        """Of what each stage decides."""
        return [reader for reader, _ in self._readers]

    def on_start(self, now_ns: int) -> None:
        """Nothing to open."""

    def do_work(self, now_ns: int) -> int:
        """Write what was decided since."""
        del now_ns
        work = 0
        for reader, decisions in self._readers:
            work += self._write(reader, decisions, self._at_once)
            for _ in range(DRAINS_MAX):
                if reader.lag_cells < BACKLOG_CELLS:
                    break
                work += self._write(reader, decisions, EVERY_MESSAGE)
        return work

    def _write(self, reader: Reader, decisions: Records, messages_max: int) -> int:
        n_cells = self._wires.take(reader, "decisions", messages_max)
        for index in range(n_cells):
            self._take(decisions[index])
        return n_cells

    def on_close(self) -> None:
        """Nothing to let go of: the file belongs to whoever opened it."""

    def _take(self, decision: np.void) -> None:
        self.log.write(decision)
        count_decision(self.kinds, decision)
        if self.watch is not None:
            self.watch(decision)


def count_decision(kinds: dict[SignalKind, KindCount], decision: np.void) -> None:
    """Count one DECISION under its kind."""
    count = kinds.setdefault(SignalKind(int(decision["kind"])), KindCount())
    passed = int(decision["reason"]) == Reason.NONE
    stage = int(decision["stage"])
    if stage == DecisionStage.STRATEGY:
        count.candidates += 1
        count.edge_gross += int(decision["edge_gross_micros"]) > 0
        count.edge_net += int(decision["edge_net_micros"]) > 0
        if passed:
            count.signals += 1
            count.signals_by_size[size_class(int(decision["size_e6"]))] += 1
    elif stage == DecisionStage.OPTIMIZER:
        count.plans += passed
    elif stage == DecisionStage.EXECUTION:
        count.complete += passed
        count.unwound += int(decision["reason"]) == Reason.UNWOUND
        if passed:
            count.size_e6 += int(decision["size_e6"])
            count.profit_micros += int(decision["profit_micros"])
