"""The compiled turns of a strategy stage, around its scanner, its rows and its wires."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.catalog.catalog import Catalog
from engine.code import Turn, code_of
from engine.direct import direct
from engine.records import TOP, DecisionStage, Venue
from engine.strategies.scanner import ArbitrageScanner
from engine.strategies.warm import warm_scanner
from procs.ladder import StrategyRung
from procs.tick_rate import LOOK_MASK, TickRate
from procs.top_kernel import EVENTS, PLACES, Place, RingPlace, take_turn
from procs.view import BookView
from procs.wires import Wires
from shm.atomics import address_of
from shm.ring import Reader

NO_VERSION: Final = -1


class TopScan:
    """Takes the turns of a scanner: ``view`` has its rows, ``readers`` bring it tops and ``events`` the rest.

    With ``rung`` signals are stamped, and it is counted how long decisions took. Where the stage ``follows``
    the catalog, it does so before it decides on tops that may name what is new there.
    """

    def __init__(
        self,
        scanner: ArbitrageScanner,
        view: BookView,
        wires: Wires,
        readers: Mapping[Venue, Reader],
        events: Reader,
        rung: StrategyRung | None = None,
        *,
        follows: bool = False,
    ) -> None:
        if scanner.state.books is not view.rows:
            raise ValueError("a scanner over other rows")
        self._scanner = scanner
        self._now = None if rung is None else rung.now
        self._rate = None if rung is None else TickRate()
        self._idle_turns = 0
        self._venues = list(readers)
        self._tops = {venue: reader.records(TOP) for venue, reader in readers.items()}
        self._wires, self._events = wires, events
        self._kept = (readers, view, rung)  # the places are addresses in them
        self._places = places = np.zeros(PLACES, np.int64)
        self._turn, self._at = direct(take_turn, 0, 0, 0), address_of(places)
        places[Place.DECISIONS_RING] = wires.decisions[DecisionStage.STRATEGY].address
        places[Place.SIGNALS_RING] = wires.signals.address
        places[Place.CATALOG] = wires.catalog.barrier.address if follows else 0
        places[Place.CATALOG_SEEN] = NO_VERSION
        for venue, table in wires.books.items():
            places[Place.BOOKS_TABLE + venue] = table.address
        places[Place.BY_HAND], places[Place.N_MARKETS] = address_of(view.by_hand), len(view.rows)
        if rung is not None:
            places[Place.DECIDED] = rung.decision_histogram.address
            places[Place.SIGNALLED] = rung.signal_histogram.address
        places[Place.N_RINGS] = len(readers)
        for number, reader in enumerate(readers.values()):
            self._place_reader(Place.RINGS + number * len(RingPlace), reader)
        self._place_reader(EVENTS, events)
        self._place_scanner()

    @property
    def signals(self) -> int:
        """Signals given in compiled calls."""
        return int(self._places[Place.GIVEN])

    @property
    def tops(self) -> int:
        """Tops read in compiled calls."""
        return int(self._places[Place.READ])

    def stop(self) -> None:
        """Give no signal any more."""
        self._places[Place.QUIET] = 1

    def take(self, now_ns: int, is_new: int = 1) -> int:
        """Take a turn, or the rest of the last one: the tops it had; below zero a Stop, for the stage to act.

        Where there is a ladder the time is asked for, and otherwise it is ``now_ns``.
        """
        self.ready()
        now = self._now
        taken = self._turn(now_ns if now is None else now(), is_new, self._at)
        if not taken and self._rate is not None:  # there is time to look how long a tick is
            if not self._idle_turns & LOOK_MASK:
                self._places[Place.NS_PER_TICK] = self._rate.look()
            self._idle_turns += 1
        return taken

    def scratch(self) -> list[npt.NDArray[Any]]:
        """Memory that every turn works on, whatever market it is about (``procs.kept_warm``)."""
        readers, _, _ = self._kept
        scanner = self._scanner
        buffers = (
            buffer for reader in (*readers.values(), self._events) for buffer in (reader.words, reader.tags)
        )
        return [self._places, *scanner.desk[:-1], *scanner.out, *buffers]

    @property
    def turn(self) -> Turn:
        """The compiled turn, for another to have it taken."""
        return Turn(self._at, code_of(take_turn))

    def lead_to(self, turn: Turn) -> None:
        """Have an optimizer's turn taken behind each turn that gave signals."""
        self._places[Place.PLANNER_PLACES], self._places[Place.PLANNER] = turn

    @property
    def planner_stop(self) -> int:
        """What that turn has left: below zero a Stop of ``procs.plan_turn``."""
        return int(self._places[Place.PLANNER_STOP])

    def ready(self) -> None:
        """Place the scanner again, if it or somebody else has had the candidates found anew."""
        scanner = self._scanner
        if scanner.catalog.version != self._version or scanner.table is not self._placed:
            self._place_scanner()

    def events(self) -> int:
        """How many order events were read; ReaderFenced. One that is garbled halts every order."""
        return self._wires.heard(int(self._places[Place.N_EVENTS]), self._events, "events")

    def read(self) -> tuple[Venue, int]:
        """Whose tops were read last, and how many."""
        return self._venues[int(self._places[Place.RINGS_READ]) - 1], int(self._places[Place.N_TOPS])

    def pass_over(self) -> np.void:
        """The next of these tops, which is not decided on here."""
        venue, _ = self.read()
        top: np.void = self._tops[venue][int(self._places[Place.NEXT])]
        self._places[Place.NEXT] += 1
        return top

    def _place_reader(self, ring: int, reader: Reader) -> None:
        self._places[ring : ring + len(RingPlace)] = (
            reader.ring_address,
            reader.address,
            address_of(reader.words),
            address_of(reader.tags),
            reader.room_cells,
            reader.laps,
        )

    def _place_scanner(self) -> None:
        """Where the scanner's memory is, which is another whenever it has taken in the catalog."""
        scanner, places = self._scanner, self._places
        scanner.prepare()
        self._version, self._placed = scanner.catalog.version, scanner.table
        arrays = (*scanner.state, *scanner.table, *scanner.desk, *scanner.out)
        places[Place.MARKETS : Place.RINGS] = [address_of(array) for array in arrays]
        places[Place.N_CANDIDATES], places[Place.N_LEGS] = len(scanner.table.rows), len(scanner.table.legs)
        places[Place.N_TOUCHING] = len(scanner.table.touching)


def warm() -> None:
    """Compile the kernel, with no top at all."""
    catalog = Catalog(1)
    wires = Wires.create(list(Venue), 1)
    view = BookView(wires.books, 1)
    readers = {venue: ring.reader() for venue, ring in wires.tops.items()}
    events = wires.events.reader("strategy", 0)
    TopScan(warm_scanner(catalog, view.rows), view, wires, readers, events).take(0)
