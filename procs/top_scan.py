"""The compiled decisions of a strategy stage, around its scanner, its rows and its wires."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engine.catalog.catalog import Catalog
from engine.records import DecisionStage, Venue
from engine.strategies.scanner import ArbitrageScanner
from engine.strategies.warm import warm_scanner
from procs.ladder import StrategyRung
from procs.tick_rate import LOOK_MASK, TickRate
from procs.top_kernel import PLACES, Place, Stop, decide_tops
from procs.view import BookView
from procs.wires import Wires
from shm.atomics import address_of
from shm.ring import Reader


class TopScan:
    """Decides on the tops in the buffers of ``readers`` for a scanner; ``view`` has its rows.

    With ``rung`` signals are stamped, and it is counted how long decisions took.
    """

    def __init__(
        self,
        scanner: ArbitrageScanner,
        view: BookView,
        wires: Wires,
        readers: Mapping[Venue, Reader],
        rung: StrategyRung | None = None,
    ) -> None:
        if scanner.state.books is not view.rows:
            raise ValueError("a scanner over other rows")
        self._scanner = scanner
        self._rung = rung
        self._rate = None if rung is None else TickRate()
        self._calls = 0
        self._kept = (wires, readers, view)  # the places are addresses in them
        self._places = np.zeros(PLACES, np.int64)
        self._tops = {venue: (address_of(one.words), one.room_cells) for venue, one in readers.items()}
        self._places[Place.DECISIONS_RING] = wires.decisions[DecisionStage.STRATEGY].address
        self._places[Place.SIGNALS_RING] = wires.signals.address
        for venue, table in wires.books.items():
            self._places[Place.BOOKS_TABLE + venue] = table.address
        self._places[Place.BY_HAND], self._places[Place.N_MARKETS] = address_of(view.by_hand), len(view.rows)
        if rung is not None:
            self._places[Place.DECIDED], self._places[Place.SIGNALLED] = (
                rung.decision_histogram.address,
                rung.signal_histogram.address,
            )
        self._place_scanner()

    def prepare(self, venue: Venue, *, is_quiet: bool) -> None:
        """Before the first top of a batch of ``venue``."""
        self._scanner.prepare()
        if self._scanner.table is not self._placed:  # somebody else may have made it
            self._place_scanner()
        self._places[Place.TOPS : Place.N_TOPS + 1] = self._tops[venue]
        self._places[Place.QUIET] = is_quiet

    def decide(self, first: int, n_tops: int, now_ns: int) -> tuple[int, Stop]:
        """Decide on tops from ``first`` on: the first that is left, and why."""
        if self._rung is not None and self._rate is not None:
            if not self._calls & LOOK_MASK:
                self._places[Place.NS_PER_TICK] = self._rate.look()
            self._calls += 1
            now_ns = self._rung.now()
        left = decide_tops(first, n_tops, now_ns, self._places)
        return left, Stop(int(self._places[Place.STOPPED]))

    def _place_scanner(self) -> None:
        scanner, places = self._scanner, self._places
        self._placed = scanner.table
        arrays = (*scanner.state, *scanner.table, *scanner.desk, *scanner.out)
        places[Place.MARKETS :] = [address_of(array) for array in arrays]
        places[Place.N_CANDIDATES], places[Place.N_LEGS] = len(scanner.table.rows), len(scanner.table.legs)
        places[Place.N_TOUCHING] = len(scanner.table.touching)


def warm() -> None:
    """Compile the kernel, with no top at all."""
    catalog = Catalog(1)
    wires = Wires.create(list(Venue), 1)
    view = BookView(wires.books, 1)
    readers = {venue: ring.reader() for venue, ring in wires.tops.items()}
    scan = TopScan(warm_scanner(catalog, view.rows), view, wires, readers)
    scan.prepare(Venue.KALSHI, is_quiet=True)
    scan.decide(0, 0, 0)
