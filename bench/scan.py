"""One change of a book through every candidate it concerns: 10,000 markets, 1,000 relations.

A market of a relation, and one that is in none, in turn, at random, so that what is looked at is not in the
nearest cache. Each call is timed by itself, from Python, with the clock's own cost; ``in one call`` is what
the compiled part of it takes. Beside it, how many opportunities are found in a second: every call finds one,
and writes a signal with its legs.
"""

from __future__ import annotations

import time
from typing import Final

import numpy as np

from bench._result import OURS, RATE, Result, claim
from bench._scene import OTHER_ASK, QUIET_ASK, START_NS, config_of, market_of, pair_of
from bench._timing import interleave
from engine.catalog.catalog import Catalog
from engine.catalog.relations import RelationTable, screen
from engine.jit import kernel
from engine.optimizer.levels import Ints, Rows
from engine.records import BOOK_ROW, TOP, TopFlag, Trust, Venue
from engine.strategies.evaluate import Desk
from engine.strategies.filters import State
from engine.strategies.scanner import DECISIONS, ArbitrageScanner, Output, Table, scan
from engine.units import NS_PER_S

MARKETS: Final = 10_000
RELATIONS: Final = 1_000
CALLS: Final = 20_000
SEED: Final = 3
SIZE_E6: Final = 400_000_000
CHEAP_E4: Final = 4_000
P50_NS_MAX: Final = 2_000
P99_NS_MAX: Final = 10_000
FOUND_PER_S_MIN: Final = 100_000
TAILS: Final = {"p50_ns": 0.5, "p99_ns": 0.99, "p99.9_ns": 0.999, "max_ns": 1.0}
SCAN: Final = f"one update, {MARKETS:,} markets, {RELATIONS:,} relations"
FOUND: Final = "opportunities found"


@kernel
def scan_each(
    tops: Rows, slots: Ints, now_ns: int, state: State, table: Table, desk: Desk, out: Output
) -> int:
    """Scan the tops of many slots, one after the other; how many decisions."""
    decisions = 0
    for slot in slots:
        scan(tops, slot, now_ns, state, table, desk, out)
        decisions += out.filled[DECISIONS]
    return decisions


class Market:
    """Everything the scanner sees: rows of all books, quiet, and tops that announce a change of each."""

    def __init__(self, markets: int, relations: int) -> None:
        catalog = Catalog(markets)
        for number in range(markets):
            catalog.add_market(market_of(number))
        screened = screen([pair_of(number) for number in range(relations)], catalog)
        if len(screened.accepted) != relations:
            raise RuntimeError(f"only {len(screened.accepted)} relations of {relations} were accepted")
        self.rows = np.zeros(markets, BOOK_ROW)
        self.rows["slot"], self.rows["generation"] = np.arange(markets), catalog.rows["generation"][:markets]
        self.rows["trust"], self.rows["venue"] = Trust.LIVE, Venue.POLYMARKET
        self.rows["n_bids"] = self.rows["n_asks"] = 1
        self.rows["bid_e4"][:, 0], self.rows["bid_size_e6"][:, 0] = 2_000, SIZE_E6
        self.rows["ask_e4"][:, 0], self.rows["ask_size_e6"][:, 0] = 100 * QUIET_ASK, SIZE_E6
        self.rows["ask_e4"][1::2, 0] = 100 * OTHER_ASK
        self.rows["recv_ns"] = START_NS
        self.tops = np.zeros(markets, TOP)
        for name in ("slot", "generation", "trust", "venue"):
            self.tops[name] = self.rows[name]
        self.tops["prev_trust"], self.tops["flags"] = Trust.LIVE, TopFlag.BEST_CHANGED
        relation_table = RelationTable(screened.accepted, catalog)
        self.scanner = ArbitrageScanner(catalog, relation_table, self.rows, config_of(markets).strategy)
        self.pairs = relations
        self.now_ns = START_NS

    def scan(self, calls: int) -> dict[str, float]:
        """Times of single calls that find nothing."""
        slots = np.random.default_rng(SEED).integers(0, len(self.tops), calls)
        slots[::2] %= 2 * self.pairs
        taken = np.zeros(calls, np.int64)
        decided = 0
        for index, slot in enumerate(slots.tolist()):
            top = self.tops[slot]
            began_ns = time.perf_counter_ns()
            n_decisions, n_signals = self.scanner.on_top(top, START_NS)
            taken[index] = time.perf_counter_ns() - began_ns
            decided += n_decisions
            assert n_signals == 0, "nothing is on offer"
        if decided < calls:
            raise RuntimeError(f"{decided} decisions of {calls} updates")
        taken.sort()
        return {name: float(taken[int((calls - 1) * part)]) for name, part in TAILS.items()}

    def scan_at_once(self, calls: int) -> dict[str, float]:
        """Nanoseconds of a scan when one compiled call does them all."""
        slots = np.random.default_rng(SEED).integers(0, len(self.tops), calls)
        slots[::2] %= 2 * self.pairs
        scanner = self.scanner  # its kernel alone, with what it is called with
        arguments = (scanner.state, scanner.table, scanner.desk, scanner.out)
        began_ns = time.perf_counter_ns()
        decisions = scan_each(self.tops, slots, START_NS, *arguments)
        took_ns = time.perf_counter_ns() - began_ns
        if decisions < calls:
            raise RuntimeError(f"{decisions} decisions of {calls} updates")
        return {"ns": took_ns / calls}

    def find(self, calls: int) -> dict[str, float]:
        """Calls that each find an opportunity: one market of each pair is cheap in turn."""
        firsts = 2 * np.arange(self.pairs)
        self.rows["ask_e4"][firsts, 0] = CHEAP_E4
        signals = 0
        began_ns = time.perf_counter_ns()
        for index in range(calls):
            if index % self.pairs == 0:
                self.now_ns += 10 * NS_PER_S  # past the deadlines of all signals before
                self.tops["recv_ns"] = self.now_ns
            signals += self.scanner.on_top(self.tops[2 * (index % self.pairs)], self.now_ns)[1]
        took_ns = time.perf_counter_ns() - began_ns
        self.rows["ask_e4"][firsts, 0] = 100 * QUIET_ASK
        if signals != calls:
            raise RuntimeError(f"{signals} signals of {calls} opportunities")
        return {RATE: signals * 1e9 / took_ns}


def measure(result: Result) -> None:
    """Updates that find nothing, then updates that each find something."""
    market = Market(MARKETS, RELATIONS)
    interleave(result, SCAN, {OURS: lambda: market.scan(CALLS)})
    interleave(result, f"{SCAN}, in one call", {OURS: lambda: market.scan_at_once(CALLS)})
    interleave(result, FOUND, {OURS: lambda: market.find(CALLS)})
    claim(result, SCAN, "p50_ns", P50_NS_MAX)
    claim(result, SCAN, "p99_ns", P99_NS_MAX)
    claim(result, FOUND, RATE, FOUND_PER_S_MIN)
