"""The compiled turns of an optimizer stage, around its allocator, its rows and its wires."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.code import Turn, code_of
from engine.direct import direct
from engine.optimizer.allocator import SIGNALS_MAX, Allocator
from engine.optimizer.batch import BATCH_LEGS_MAX
from engine.optimizer.warm import warm_allocator
from engine.records import DECISION, SIGNAL_HEAD, SIGNAL_LEG, DecisionStage, Venue
from engine.venues.workspace import Words
from procs.ladder import OptimizerRung
from procs.plan_kernel import NO_VERSION, Place, Sent, send_plans
from procs.plan_turn import PLACES, Begin, Stop, take_turn
from procs.tick_rate import LOOK_MASK, TickRate
from procs.view import BookView
from procs.wires import RingFull, Wires, fenced
from shm.atomics import address_of
from shm.ring import Reader, Records

_PLANS_FULL, _DECISIONS_FULL = int(Sent.NO_ROOM_FOR_PLANS), int(Sent.NO_ROOM_FOR_DECISIONS)
_FENCED, _NO_ROOM, _GARBLED_SIGNAL = int(Stop.FENCED), int(Stop.NO_ROOM_FOR_PLANS), int(Stop.GARBLED)
_N_LEFT, _N_SIGNALS = int(Place.N_LEFT), int(Place.N_SIGNALS)
_NOBODYS: Final = 0


class PlanPost:
    """Takes the turns of an optimizer: ``reader`` brings signals, ``events`` what orders did.

    ``heads`` and ``legs`` are the signals that a turn has left to the stage. ``view`` has the rows the
    allocator reads, ``markets`` are its MARKET_ROWs. With ``rung`` plans are stamped and counted.
    """

    def __init__(
        self,
        allocator: Allocator,
        view: BookView,
        wires: Wires,
        reader: Reader,
        events: Reader,
        rung: OptimizerRung | None = None,
    ) -> None:
        if reader.room_cells > BATCH_LEGS_MAX:
            raise ValueError(f"{reader.room_cells} cells at once, and room for {BATCH_LEGS_MAX} legs")
        if allocator.sheet.books is not view.rows or len(allocator.sheet.markets) != len(view.rows):
            raise ValueError("an allocator over other rows")
        self.heads: Records = np.zeros(SIGNALS_MAX, SIGNAL_HEAD)
        self.legs: Records = np.zeros(BATCH_LEGS_MAX, SIGNAL_LEG)
        self._view = view
        self._now = None if rung is None else rung.now
        self._left: Words = np.zeros(BATCH_LEGS_MAX, np.int64)
        self._made: Records = np.zeros(SIGNALS_MAX, DECISION)
        self._rate = None if rung is None else TickRate()
        self._idle_turns = 0
        self._wires, self._signals, self._events = wires, reader, events
        self._kept = (allocator, rung)  # the places are addresses in them
        self._places = places = np.zeros(PLACES, np.int64)
        self._turn, self._at = direct(take_turn, 0, 0, 0), address_of(places)
        self._send = direct(send_plans, 0, 0, 0, 0, 0, places)
        self._place_wires(wires, reader, events)
        at = Place
        places[at.HEADS], places[at.LEGS] = address_of(self.heads), address_of(self.legs)
        places[at.ROWS], places[at.BY_HAND] = address_of(view.rows), address_of(view.by_hand)
        places[at.N_MARKETS], places[at.LEFT] = len(view.rows), address_of(self._left)
        places[at.HISTOGRAM] = _NOBODYS if rung is None else rung.histogram.address
        self._place_allocator(allocator)

    def turn(self, now_ns: int, begin: int = Begin.TURN) -> int:
        """Take a turn, or the rest of the last one: the cells it had; below zero a Stop: the stage acts.

        ReaderFenced where nobody waits for this stage any more, RingFull. A garbled signal halts every order.
        """
        now = self._now
        taken = self._turn(now_ns if now is None else now(), begin, self._at)
        if taken <= _FENCED:
            return self.settle(taken, now_ns)
        if not taken and self._rate is not None:  # there is time to look how long a tick is
            if not self._idle_turns & LOOK_MASK:
                self._places[Place.NS_PER_TICK] = self._rate.look()
            self._idle_turns += 1
        return taken

    def settle(self, stop: int, now_ns: int) -> int:
        """Deal with a Stop that is not for the stage, if it is one, and have the rest of that turn done.

        What the turn has come to then; raises as ``turn``.
        """
        while stop == _GARBLED_SIGNAL:
            self._wires.alarm.sound("signals", self._signals)
            stop = self._turn(now_ns if self._now is None else self._now(), Begin.REST, self._at)
        if stop <= _FENCED:
            raise fenced("signals") if stop == _FENCED else _full(is_plans=stop == _NO_ROOM)
        return stop

    @property
    def compiled(self) -> Turn:
        """The compiled turn, for another to have it taken."""
        return Turn(self._at, code_of(take_turn))

    def follow(self, version: int) -> None:
        """The catalog is known up to ``version``, and so is cash: another may have turns taken."""
        self._places[Place.CATALOG_SEEN] = version

    def events(self) -> int:
        """How many order events were read; ReaderFenced. One that is garbled halts every order."""
        return self._wires.heard(int(self._places[Place.N_EVENTS]), self._events, "events")

    def fetch(self) -> None:
        """Fetch the rows that a turn has left to the stage."""
        for leg in self._left[: self._places[_N_LEFT]].tolist():
            self._view.refresh(int(self.legs[leg]["venue"]), int(self.legs[leg]["slot"]))

    def signals(self) -> int:
        """How many signals a turn has left to be decided together."""
        return int(self._places[_N_SIGNALS])

    def scratch(self) -> list[npt.NDArray[Any]]:
        """Memory that every turn works on, whatever markets it is about (``procs.kept_warm``)."""
        allocator, _ = self._kept
        readers = (self._signals, self._events)
        buffers = (buffer for reader in readers for buffer in (reader.words, reader.tags))
        plans = (allocator.plan_heads, allocator.plan_legs, allocator.decisions)
        states = (allocator.holds.held.venue, allocator.holds.held.state, allocator.shadows.takes[-1])
        return [
            self._places,
            self.heads,
            self.legs,
            self._made,
            *buffers,
            *plans,
            *states,
            *allocator.sheet[2:],
        ]

    @property
    def n_signals(self) -> int:
        """Signals read since the start."""
        return int(self._places[Place.ALL_SIGNALS])

    @property
    def n_plans(self) -> int:
        """Plans made since the start."""
        return int(self._places[Place.ALL_PLANS])

    def send(self, n_plans: int, n_refused: int, n_signals: int, now_ns: int) -> None:
        """Publish what the allocator has made of the signals that were taken; RingFull."""
        stamp_ns = now_ns if self._now is None else self._now()
        sent = self._send(n_plans, n_refused, n_signals, now_ns, stamp_ns, self._places)
        if sent in (_PLANS_FULL, _DECISIONS_FULL):
            raise _full(is_plans=sent == _PLANS_FULL)
        self._places[Place.ALL_PLANS] += n_plans

    def _place_wires(self, wires: Wires, reader: Reader, events: Reader) -> None:
        places, at = self._places, Place
        for first, source in ((at.SIGNALS_RING, reader), (at.EVENTS_RING, events)):
            places[first : first + 5] = (
                *(source.ring_address, source.address, address_of(source.words), address_of(source.tags)),
                source.room_cells,
            )
        for venue, table in wires.books.items():
            places[at.BOOKS_TABLE + venue] = table.address
        places[at.CATALOG], places[at.CATALOG_SEEN] = wires.catalog.barrier.address, NO_VERSION
        places[at.PLANS_RING] = wires.plans.address
        places[at.DECISIONS_RING] = wires.decisions[DecisionStage.OPTIMIZER].address

    def _place_allocator(self, allocator: Allocator) -> None:
        places, at = self._places, Place
        places[at.PLAN_HEADS] = address_of(allocator.plan_heads)
        places[at.PLAN_LEGS] = address_of(allocator.plan_legs)
        places[at.REFUSED], places[at.MADE] = address_of(allocator.decisions), address_of(self._made)
        held, takes, sheet = allocator.holds.held, allocator.shadows.takes, allocator.sheet
        places[at.MARKETS] = address_of(sheet.markets)
        places[at.N_EVENT_ROWS], places[at.N_PLAN_ROWS] = len(held.event), len(held.plan)
        places[at.N_PARTS], places[at.N_TAKES] = len(held.part), len(takes.take)
        places[at.N_TAKEN_ROWS] = len(takes.plan)
        arrays = (*sheet[2:], *held, *takes, allocator.plans.next_id)
        places[at.SHEET :] = [address_of(array) for array in arrays]


def _full(*, is_plans: bool) -> RingFull:
    if is_plans:
        return RingFull("plans: the ring has no room for a plan")
    return RingFull("decisions: the ring has no room for those of the optimizer")


def warm() -> None:
    """Compile the kernels, with nothing to bring."""
    wires = Wires.create(list(Venue), 1)
    view = BookView(wires.books, 1)
    reader, events = wires.signals.reader("optimizer", 0), wires.events.reader("optimizer", 0)
    PlanPost(warm_allocator(view.rows), view, wires, reader, events).turn(0)
