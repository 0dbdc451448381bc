"""The compiled calls of an optimizer stage, around its allocator, its rows and its wires."""

from __future__ import annotations

from typing import Final

import numpy as np

from engine.direct import direct
from engine.optimizer.allocator import SIGNALS_MAX, Allocator
from engine.optimizer.batch import BATCH_LEGS_MAX
from engine.records import DECISION, SIGNAL_HEAD, SIGNAL_LEG, DecisionStage, Venue
from engine.venues.workspace import Words
from procs.ladder import OptimizerRung
from procs.plan_kernel import PLACES, Place, Sent, send_plans, take_signals
from procs.view import BookView
from procs.wires import RingFull, Wires, fenced
from shm.atomics import address_of
from shm.ring import Reader, Records

_PLANS_FULL, _DECISIONS_FULL = int(Sent.NO_ROOM_FOR_PLANS), int(Sent.NO_ROOM_FOR_DECISIONS)
_N_LEFT, _N_CELLS = int(Place.N_LEFT), int(Place.N_CELLS)
_NOBODYS: Final = 0


class PlanPost:
    """Brings signals from ``reader`` to an allocator, and its plans and decisions to the wires.

    ``heads`` and ``legs`` are what ``take`` brought. ``view`` has the rows the allocator reads.
    """

    def __init__(
        self,
        allocator: Allocator,
        view: BookView,
        wires: Wires,
        reader: Reader,
        rung: OptimizerRung | None = None,
    ) -> None:
        if reader.room_cells > BATCH_LEGS_MAX:
            raise ValueError(f"{reader.room_cells} cells at once, and room for {BATCH_LEGS_MAX} legs")
        self.heads: Records = np.zeros(SIGNALS_MAX, SIGNAL_HEAD)
        self.legs: Records = np.zeros(BATCH_LEGS_MAX, SIGNAL_LEG)
        self._view = view
        self._now = None if rung is None else rung.now
        self._left: Words = np.zeros(BATCH_LEGS_MAX, np.int64)
        self._made: Records = np.zeros(SIGNALS_MAX, DECISION)
        self._kept = (allocator, wires, reader, rung)  # the places are addresses in them
        self._places = places = np.zeros(PLACES, np.int64)
        self._take = direct(take_signals, places)
        self._send = direct(send_plans, 0, 0, 0, 0, 0, places)
        at = Place
        places[at.SIGNALS_RING], places[at.READER] = reader.ring_address, reader.address
        places[at.CELLS], places[at.TAGS] = address_of(reader.words), address_of(reader.tags)
        places[at.ROOM] = reader.room_cells
        places[at.HEADS], places[at.LEGS] = address_of(self.heads), address_of(self.legs)
        for venue, table in wires.books.items():
            places[at.BOOKS_TABLE + venue] = table.address
        places[at.ROWS], places[at.BY_HAND] = address_of(view.rows), address_of(view.by_hand)
        places[at.N_MARKETS], places[at.LEFT] = len(view.rows), address_of(self._left)
        places[at.PLANS_RING] = wires.plans.address
        places[at.DECISIONS_RING] = wires.decisions[DecisionStage.OPTIMIZER].address
        places[at.HISTOGRAM] = _NOBODYS if rung is None else rung.histogram.address
        places[at.PLAN_HEADS] = address_of(allocator.plan_heads)
        places[at.PLAN_LEGS] = address_of(allocator.plan_legs)
        places[at.REFUSED], places[at.MADE] = address_of(allocator.decisions), address_of(self._made)

    def take(self) -> int:
        """Bring what waits, at most SIGNALS_MAX signals, and fetch the rows of their legs: how many.

        ReaderFenced where nobody waits for this stage any more.
        """
        n_signals = self._take(self._places)
        if n_signals < 0:
            raise fenced("signals")
        if n_signals and self._places[_N_LEFT]:
            for leg in self._left[: self._places[_N_LEFT]].tolist():
                self._view.refresh(int(self.legs[leg]["venue"]), int(self.legs[leg]["slot"]))
        return n_signals

    @property
    def cells(self) -> int:
        """Cells of the signals that ``take`` brought."""
        return int(self._places[_N_CELLS])

    def send(self, n_plans: int, n_refused: int, n_signals: int, now_ns: int) -> None:
        """Publish what the allocator has made of the signals that were taken; RingFull."""
        stamp_ns = now_ns if self._now is None else self._now()
        sent = self._send(n_plans, n_refused, n_signals, now_ns, stamp_ns, self._places)
        if sent == _PLANS_FULL:
            raise RingFull("plans: the ring has no room for a plan")
        if sent == _DECISIONS_FULL:
            raise RingFull("decisions: the ring has no room for those of the optimizer")


def warm() -> None:
    """Compile both kernels, with nothing to bring."""
    wires = Wires.create(list(Venue), 1)
    places = np.zeros(PLACES, np.int64)
    reader = wires.signals.reader("optimizer", 0)
    places[Place.SIGNALS_RING], places[Place.READER] = reader.ring_address, reader.address
    places[Place.CELLS], places[Place.TAGS] = address_of(reader.words), address_of(reader.tags)
    places[Place.DECISIONS_RING] = wires.decisions[DecisionStage.OPTIMIZER].address
    take_signals(places)
    send_plans(0, 0, 0, 0, 0, places)
