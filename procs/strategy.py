"""Strategy stage: tops of all venues in, signals and decisions out.

Each top brings the row it announces; what our own orders have taken since is not on offer any more, and what
they have bought is inventory. Where tops were overwritten before they were read, the rows say what they would
have: those that differ from what is known here are fetched and looked at as if their tops had come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from engine.code import NOBODY, Turn
from engine.execution.outputs import is_restart, moves_position
from engine.records import NO_PRICE, ORDER_EVENT, POSITION_ROW, TOP, DecisionStage, TopFlag, Venue
from engine.strategies.scanner import ArbitrageScanner
from procs.agent import Follow
from procs.ladder import StrategyRung
from procs.top_kernel import Stop
from procs.top_scan import TopScan
from procs.view import BookView
from procs.wires import RingFull, Wires, publish, publish_each
from shm.ring import Reader, Records

BATCH_CELLS: Final = 1_024
_EVENTS, _BY_HAND, _LAPPED, _FULL, _PLANS = (
    int(stop) for stop in (Stop.EVENTS, Stop.BY_HAND, Stop.LAPPED, Stop.FULL, Stop.PLANS)
)


class Optimizer(Protocol):
    """What is led to of ``procs.optimizer.OptimizerAgent``."""

    @property
    def turn(self) -> Turn:
        """Its compiled turn."""
        ...

    def go_on(self, stop: int, now_ns: int) -> int:
        """Do what a compiled turn has left, and the rest of it; messages handled."""
        ...


class StrategyAgent:
    """Runs ``scanner`` over the wires; ``view`` is the one whose rows the scanner reads.

    ``rung`` counts how long decisions took, and stamps signals. Where the wires are taped every top is
    looked at by itself, and otherwise in compiled calls of many.
    """

    role = "strategy"

    def __init__(
        self,
        scanner: ArbitrageScanner,
        view: BookView,
        wires: Wires,
        follow: Follow | None = None,
        rung: StrategyRung | None = None,
        *,
        is_taped: bool = False,
    ) -> None:
        self.scanner = scanner
        self.is_quiet = False  # the engine is ending: candidates are looked at, and no signal is given
        self._tops = self._signals = 0  # one by one
        self._rung = rung
        self._view = view
        self._follow = follow
        self._wires = wires
        self._readers = {
            venue: (reader, reader.records(TOP))
            for venue, reader in (
                (venue, ring.reader(batch_cells=BATCH_CELLS)) for venue, ring in wires.tops.items()
            )
        }
        self._laps = dict.fromkeys(self._readers, 0)
        self._events = wires.events.resume(self.role, 0)
        self._event_rows = self._events.records(ORDER_EVENT)
        self._facts = self._event_rows[["fill_size_e6", "plan_id", "signal_id", "status", "plan_done"]]
        self._position: Records = np.zeros(1, POSITION_ROW)
        self._optimizer: Optimizer | None = None
        self._scan: TopScan | None = None
        if not is_taped:
            readers = {venue: reader for venue, (reader, _) in self._readers.items()}
            follows = follow is not None
            self._scan = TopScan(scanner, view, wires, readers, self._events, rung, follows=follows)
        # Before somebody else has a compiled turn taken: follows candidates that were found anew.
        self.ready: Callable[[], None] = _nothing if self._scan is None else self._scan.ready

    @property
    def readers(self) -> list[Reader]:
        """Of tops and of order events."""
        return [*(reader for reader, _ in self._readers.values()), self._events]

    @property
    def lost(self) -> int:
        """Tops overwritten before they were read."""
        return sum(reader.lost_messages for reader, _ in self._readers.values())

    @property
    def tops(self) -> int:
        """Tops read."""
        return self._tops + (0 if self._scan is None else self._scan.tops)

    @property
    def signals(self) -> int:
        """Signals given."""
        return self._signals + (0 if self._scan is None else self._scan.signals)

    def stop(self, now_ns: int) -> None:
        """Give no signal any more."""
        del now_ns
        self.is_quiet = True
        if self._scan is not None:
            self._scan.stop()

    def on_start(self, now_ns: int) -> None:
        """Nothing to open."""

    def do_work(self, now_ns: int) -> int:
        """Take in what orders did, then every top."""
        scan = self._scan
        if scan is None:
            return self._work_one_by_one(now_ns)
        taken = scan.take(now_ns)
        return taken if taken >= 0 else self.go_on(taken, now_ns)

    def on_close(self) -> None:
        """Nothing to let go of."""

    def scratch(self) -> list[npt.NDArray[Any]]:
        """Memory of every compiled turn (``procs.kept_warm``)."""
        return [] if self._scan is None else self._scan.scratch()

    @property
    def turn(self) -> Turn:
        """The compiled turn (``procs.top_kernel``), if any are taken."""
        return Turn(0, NOBODY) if self._scan is None else self._scan.turn

    def lead_to(self, optimizer: Optimizer) -> None:
        """Have the turn of ``optimizer``, which is of this process, taken behind signals that were given."""
        if self._scan is not None and optimizer.turn.code != NOBODY:
            self._optimizer = optimizer
            self._scan.lead_to(optimizer.turn)

    def go_on(self, stop: int, now_ns: int) -> int:
        """Do what a compiled turn left to us, and have the rest of it done; messages handled."""
        scan = self._scan
        assert scan is not None, "nobody else takes compiled turns"
        work, taken = 0, stop
        while taken < 0:
            if taken == _FULL:
                raise RingFull("decisions or signals: a ring has no room")
            if taken == _PLANS:
                assert self._optimizer is not None, "nobody else leaves plans"
                self._optimizer.go_on(scan.planner_stop, now_ns)
            elif taken == _EVENTS:
                work += self._take_in(scan.events())
            elif taken == _BY_HAND:
                self._look_at(scan.pass_over(), now_ns)
            else:
                work += self._follow_tops(scan, now_ns, is_lapped=taken == _LAPPED)
            taken = scan.take(now_ns, is_new=0)
        return work + taken

    def _follow_tops(self, scan: TopScan, now_ns: int, *, is_lapped: bool) -> int:
        """Before tops that were read are decided on: what is new, and what those would say that are lost.

        How many rows were looked at.
        """
        venue, n_tops = scan.read()
        if n_tops and self._follow is not None:
            self._follow()
        return self._catch_up(venue, now_ns) if is_lapped else 0

    def _work_one_by_one(self, now_ns: int) -> int:
        work = self._take_in(self._wires.take(self._events, "events"))
        for venue, (reader, tops) in self._readers.items():
            n_tops = max(reader.poll(), 0)
            if n_tops and self._follow is not None:
                self._follow()
            if reader.laps != self._laps[venue]:
                self._laps[venue] = reader.laps
                work += self._catch_up(venue, now_ns)
            for index in range(n_tops):
                self._look_at(tops[index], now_ns)
            self._tops += n_tops
            work += n_tops
        return work

    def _look_at(self, top: np.void, now_ns: int) -> None:
        self._view.refresh(int(top["venue"]), int(top["slot"]))
        self._publish(*self.scanner.on_top(top, now_ns))
        if self._rung is not None:
            self._rung.decided(top)

    def _catch_up(self, venue: Venue, now_ns: int) -> int:
        """Look at every row of a venue that is another than the one known here; how many."""
        told, known = self._wires.books[venue].rows, self._view.rows
        differs = (told["epoch"] != known["epoch"]) | (told["update_count"] != known["update_count"])
        differs |= told["trust"] != known["trust"]
        slots = np.flatnonzero(differs & (told["venue"] == venue)).tolist()
        for slot in slots:
            before = known[slot].copy()
            self._view.refresh(venue, slot)
            self._publish(*self.scanner.on_top(_top_of(known[slot], before, now_ns), now_ns))
        return len(slots)

    def _take_in(self, n_events: int) -> int:
        """Take in events that were read; most of them tell of an order's way and of nothing else."""
        for index, facts in enumerate(self._facts[:n_events].tolist()):
            fill_e6, plan_id, signal_id, status, plan_done = facts
            if fill_e6 or not plan_id:
                self._on_change(self._event_rows[index])
            self.scanner.on_order(signal_id, status, is_done=bool(plan_done))
        return n_events

    def _on_change(self, event: np.void) -> None:
        """Something was filled or paid, or the executor is back."""
        self._view.on_event(event)
        if is_restart(event):
            self._learn_positions()
        if moves_position(event) and self._wires.positions.read(int(event["slot"]), self._position):
            self.scanner.on_position(self._position[0])

    def _learn_positions(self) -> None:
        """Read every position: the executor was away, and events may not have been sent."""
        for slot in range(len(self._wires.positions)):
            if self._wires.positions.read(slot, self._position) and int(self._position[0]["generation"]):
                self.scanner.on_position(self._position[0])

    def _publish(self, n_decisions: int, n_signals: int) -> None:
        scanner = self.scanner
        if n_decisions:
            publish_each(
                self._wires.decisions[DecisionStage.STRATEGY], scanner.decisions[:n_decisions], "decisions"
            )
        first = 0
        n_signals = 0 if self.is_quiet else n_signals
        self._signals += n_signals
        for index in range(n_signals):
            head = scanner.signal_heads[index : index + 1]
            legs = scanner.signal_legs[first : first + int(head["n_legs"][0])]
            first += len(legs)
            if self._rung is not None:
                self._rung.signal(head)
            publish(self._wires.signals, head, legs, "signals")


def _nothing() -> None:
    """Nobody takes compiled turns."""


def _top_of(row: np.void, before: np.void, now_ns: int) -> np.void:
    """The TOP that would have announced ``row`` to somebody who knew ``before``; what it declared is lost."""
    top: np.void = np.zeros(1, TOP)[0]
    for name in ("recv_ns", "venue_ns", "epoch", "update_count", "slot", "generation", "trust", "venue"):
        top[name] = row[name]
    top["book_ns"], top["prev_trust"] = now_ns, before["trust"]
    for side in ("bid", "ask"):
        top[f"{side}_e4"], top[f"{side}_size_e6"] = row[f"{side}_e4"][0], row[f"{side}_size_e6"][0]
        top[f"prev_{side}_e4"] = before[f"{side}_e4"][0]
        top[f"declared_{side}_e4"] = NO_PRICE
    moved = any(row[f"{side}_e4"][0] != before[f"{side}_e4"][0] for side in ("bid", "ask"))
    top["flags"] = int(row["flags"]) & int(TopFlag.CROSSED | TopFlag.SIZE_UNKNOWN)
    top["flags"] |= TopFlag.BEST_CHANGED if moved else 0
    return top
