"""One change of a book through every candidate it concerns: 10,000 markets, 1,000 relations.

What the strategy stage of an engine does with a top (``procs.top_scan``): its ring is read, the row fetched
from the table of books, every candidate decided, decisions and signals published, in one compiled call. A
market of a relation, and one that is in none, in turn, at random, so that what is looked at is not in the
nearest cache. Each call is timed by itself, from Python, with the clock's own cost; ``the stage's turn`` is
what the loop of a process calls, with the rings of both venues; ``in one call`` many tops are decided at
once. Beside it, how many opportunities are found in a second: every top of a turn gives a signal with its
legs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np

from bench._result import OURS, RATE, Result, claim
from bench._scene import OTHER_ASK, QUIET_ASK, START_NS, config_of, market_of, pair_of
from bench._timing import interleave
from engine.catalog.catalog import Catalog
from engine.catalog.relations import RelationTable, screen
from engine.records import BOOK_ROW, TOP, DecisionStage, TopFlag, Trust, Venue
from engine.strategies.scanner import ArbitrageScanner
from engine.units import NS_PER_S
from procs.parts import VENUES
from procs.strategy import StrategyAgent
from procs.top_scan import TopScan
from procs.view import BookView
from procs.wires import Wires
from shm.ring import Reader

MARKETS: Final = 10_000
RELATIONS: Final = 1_000
CALLS: Final = 20_000
BATCH: Final = 500  # tops of a turn, where many are decided at once
SEED: Final = 3
VENUE: Final = Venue.POLYMARKET
SIZE_E6: Final = 400_000_000
CHEAP_E4: Final = 4_000
P50_NS_MAX: Final = 2_000
P99_NS_MAX: Final = 10_000
FOUND_PER_S_MIN: Final = 100_000
TAILS: Final = {"p50_ns": 0.5, "p99_ns": 0.99, "p99.9_ns": 0.999, "max_ns": 1.0}
SCAN: Final = f"one update, {MARKETS:,} markets, {RELATIONS:,} relations"
TURN: Final = f"{SCAN}, the stage's turn"
AT_ONCE: Final = f"{SCAN}, in one call"
FOUND: Final = "opportunities found"


def _rows(markets: int, catalog: Catalog) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """Books of all markets, quiet."""
    rows = np.zeros(markets, BOOK_ROW)
    rows["slot"], rows["generation"] = np.arange(markets), catalog.rows["generation"][:markets]
    rows["trust"], rows["venue"] = Trust.LIVE, VENUE
    rows["n_bids"] = rows["n_asks"] = 1
    rows["bid_e4"][:, 0], rows["bid_size_e6"][:, 0] = 2_000, SIZE_E6
    rows["ask_e4"][:, 0], rows["ask_size_e6"][:, 0] = 100 * QUIET_ASK, SIZE_E6
    rows["ask_e4"][1::2, 0] = 100 * OTHER_ASK
    rows["recv_ns"] = START_NS
    return rows


class Market:
    """A strategy stage over the table of all books, quiet, and tops that announce a change of each."""

    def __init__(self, markets: int, relations: int) -> None:
        catalog = Catalog(markets)
        for number in range(markets):
            catalog.add_market(market_of(number))
        screened = screen([pair_of(number) for number in range(relations)], catalog)
        if len(screened.accepted) != relations:
            raise RuntimeError(f"only {len(screened.accepted)} relations of {relations} were accepted")
        self._wires = Wires.create(VENUES, markets)
        self.rows = _rows(markets, catalog)
        self.tops = np.zeros(markets, TOP)
        for name in ("slot", "generation", "trust", "venue"):
            self.tops[name] = self.rows[name]
        self.tops["prev_trust"], self.tops["flags"] = Trust.LIVE, TopFlag.BEST_CHANGED
        view = BookView(self._wires.books, markets)
        relation_table = RelationTable(screened.accepted, catalog)
        scanner = ArbitrageScanner(catalog, relation_table, view.rows, config_of(markets).strategy)
        self.strategy = StrategyAgent(scanner, view, self._wires)
        self._view = view
        self._others = [
            self._wires.decisions[DecisionStage.STRATEGY].reader("log", 0),
            self._wires.signals.reader("optimizer", 0),
        ]
        self.pairs = relations
        self.now_ns = START_NS
        self._show(np.arange(markets))

    def scan(self, calls: int) -> dict[str, float]:
        """Times of single compiled calls that find nothing."""
        calling = self._compiled()
        return self._each(calls, lambda: self._decide(calling, 1))

    def turns(self, calls: int) -> dict[str, float]:
        """Times of whole turns of the stage, each with one top."""
        self._settle()
        return self._each(calls, self.turn)

    def scan_at_once(self, calls: int) -> dict[str, float]:
        """Nanoseconds of a top when one compiled call decides many."""
        took_ns, slots, calling = 0, self._slots(calls), self._compiled()
        for first in range(0, calls, BATCH):
            n_tops = self.announce(slots[first : first + BATCH])
            took_ns += self._decide(calling, n_tops)
            self.drain(n_tops)
        return {"ns": took_ns / calls}

    def find(self, calls: int) -> dict[str, float]:
        """Tops that each bring an opportunity, in turns of many: one market of each pair is cheap."""
        self._settle()
        firsts = 2 * np.arange(self.pairs)
        self.rows["ask_e4"][firsts, 0] = CHEAP_E4
        self._show(firsts)
        before, took_ns, announced = self.strategy.signals, 0, 0
        while announced < calls:
            self.now_ns += 10 * NS_PER_S  # past the deadlines of all signals before
            self.tops["recv_ns"] = self.now_ns
            for first in range(0, min(self.pairs, calls - announced), BATCH):
                slots = firsts[first : first + min(BATCH, calls - announced)]
                announced += self.announce(slots)
                began_ns = time.perf_counter_ns()
                self.strategy.do_work(self.now_ns)
                took_ns += time.perf_counter_ns() - began_ns
                self.drain(len(slots))
        self.rows["ask_e4"][firsts, 0] = 100 * QUIET_ASK
        self._show(firsts)
        signals = self.strategy.signals - before
        if signals != calls:
            raise RuntimeError(f"{signals} signals of {calls} opportunities")
        return {RATE: signals * 1e9 / took_ns}

    def _each(self, calls: int, act: Callable[[], int]) -> dict[str, float]:
        """Announce the changes one by one, and let ``act`` say how long each took."""
        taken = np.zeros(calls, np.int64)
        for index, slot in enumerate(self._slots(calls)):
            self.announce(slot.reshape(1))
            taken[index] = act()
            self.drain(1)
        taken.sort()
        return {name: float(taken[int((calls - 1) * part)]) for name, part in TAILS.items()}

    def turn(self) -> int:
        """A turn of the stage; nanoseconds it took."""
        began_ns = time.perf_counter_ns()
        self.strategy.do_work(START_NS)
        return time.perf_counter_ns() - began_ns

    def _compiled(self) -> TopScan:
        """The calls of the stage by themselves, for tops that are announced from now on."""
        reader = self._wires.tops[VENUE].reader(from_oldest=False, batch_cells=BATCH)
        events = self._wires.events.observer()
        return TopScan(self.strategy.scanner, self._view, self._wires, {VENUE: reader}, events)

    def _decide(self, calling: TopScan, n_tops: int) -> int:
        """Nanoseconds of the compiled call."""
        began_ns = time.perf_counter_ns()
        taken = calling.take(START_NS)
        took_ns = time.perf_counter_ns() - began_ns
        if taken != n_tops or calling.signals:
            raise RuntimeError(f"{taken} tops of {n_tops}, {calling.signals} signals: nothing is on offer")
        return took_ns

    def _slots(self, calls: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Markets at random, every second one of a pair."""
        slots: np.ndarray[tuple[int], np.dtype[np.int64]]
        slots = np.random.default_rng(SEED).integers(0, len(self.tops), calls)
        slots[::2] %= 2 * self.pairs
        return slots

    def _show(self, slots: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        """Publish the rows of some books."""
        for slot in slots.tolist():
            self._wires.books[VENUE].write(slot, self.rows[slot : slot + 1])

    def announce(self, slots: np.ndarray[tuple[int], np.dtype[np.int64]]) -> int:
        """Publish tops of some books; how many."""
        return self._wires.tops[VENUE].publish_each(self.tops[slots])

    def _settle(self) -> None:
        """Let the stage take what was announced for the compiled calls alone."""
        while self.strategy.do_work(START_NS):
            self.drain(0)

    def drain(self, n_tops: int) -> None:
        """Read decisions and signals as others would; RuntimeError when a top has had no decision."""
        decided, _ = (_read(reader) for reader in self._others)
        if decided < n_tops:
            raise RuntimeError(f"{decided} decisions of {n_tops} updates")


def _read(reader: Reader) -> int:
    """Take all that waits; how many cells that was."""
    cells = 0
    while (found := reader.poll()) > 0:
        cells += found
    return cells


def measure(result: Result) -> None:
    """Updates that find nothing, then updates that each find something."""
    market = Market(MARKETS, RELATIONS)
    interleave(result, SCAN, {OURS: lambda: market.scan(CALLS)})
    interleave(result, TURN, {OURS: lambda: market.turns(CALLS)})
    interleave(result, AT_ONCE, {OURS: lambda: market.scan_at_once(CALLS)})
    interleave(result, FOUND, {OURS: lambda: market.find(CALLS)})
    claim(result, SCAN, "p50_ns", P50_NS_MAX)
    claim(result, SCAN, "p99_ns", P99_NS_MAX)
    claim(result, FOUND, RATE, FOUND_PER_S_MIN)
