"""Arbitrage scanner: a change of one book in, a decision for each candidate it concerns, a signal for some.

Driven by what changed. A top whose best prices changed on a LIVE book, or that made the book LIVE, gives
exactly one DECISION for every candidate its market belongs to. A top that changed sizes only is looked at,
too, because depth can turn a refusal into an opportunity; it is told of only when it has just done so.

A candidate has one signal in flight: until its deadline, or for as long as the plan that came of it is not
done.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from engine.catalog.catalog import Catalog
from engine.catalog.relations import RelationTable
from engine.config import StrategyConfig
from engine.jit import inlined, kernel
from engine.optimizer.levels import Ints, Rows
from engine.reasons import Reason
from engine.records import (
    DECISION,
    SIGNAL_HEAD,
    SIGNAL_LEG,
    TOP,
    DecisionStage,
    OrderStatus,
    Outcome,
    TopFlag,
    Trust,
)
from engine.strategies.candidates import PER_MARKET_MAX, CandidateTable
from engine.strategies.evaluate import (
    CLOSE_NS,
    GROSS,
    N_LEGS,
    NET,
    PROFIT,
    SIZE_E6,
    Desk,
    evaluate,
    new_desk,
)
from engine.strategies.filters import State, terms_of
from engine.units import INT64_MAX

DECISIONS_MAX: Final = PER_MARKET_MAX
SIGNALS_MAX: Final = 64  # of one top; beyond it a decision says RING_FULL
SIGNAL_LEGS_MAX: Final = 4_096
OWNERS: Final = 4_096  # a power of two: of so many signals it is kept whose they are

_LEG_COUNT_MAX: Final = 255  # what DECISION.n_legs can say
_LIVE: Final = int(Trust.LIVE)
_BEST_CHANGED: Final = int(TopFlag.BEST_CHANGED)
_STRATEGY: Final = int(DecisionStage.STRATEGY)
_AGAIN: Final = int(Reason.ALREADY_SIGNALLED)
_FULL: Final = int(Reason.RING_FULL)
_OWNER_MASK: Final = OWNERS - 1
_NOBODY: Final = -1
_DENIED: Final = int(OrderStatus.DENIED)


class Table(NamedTuple):
    """A CandidateTable for kernels."""

    rows: Rows
    legs: Rows
    touching: Ints
    touching_from: Ints
    busy_until_ns: Ints  # [candidate]: no second signal until then
    signal_id: Ints  # [candidate]: its latest; 0 when there is none, or its plan is done
    last_reason: Ints  # [candidate]: of its latest evaluation


class Output(NamedTuple):
    """What a scan writes."""

    decisions: Rows
    heads: Rows
    legs: Rows
    filled: Ints  # [3]: decisions, heads, legs
    owners: Ints  # [OWNERS]: candidate of the latest signal whose id ends in the number of the place
    next_signal_id: Ints  # [1]


DECISIONS: Final = 0  # of ``Output.filled``
HEADS: Final = 1
LEGS: Final = 2


@inlined
def _decide(
    candidate: np.void, reason: int, signal_id: int, top: np.void, desk: Desk, out: Output, now_ns: int
) -> None:
    """Write one DECISION."""
    record = out.decisions[out.filled[DECISIONS]]
    out.filled[DECISIONS] += 1
    record["recv_ns"] = top["recv_ns"]
    record["decided_ns"] = now_ns
    record["signal_id"] = signal_id
    record["plan_id"] = 0
    record["epoch"] = top["epoch"]
    record["edge_gross_micros"] = desk.numbers[GROSS]
    record["edge_net_micros"] = desk.numbers[NET]
    record["size_e6"] = desk.numbers[SIZE_E6]
    record["profit_micros"] = desk.numbers[PROFIT]
    record["slot"] = top["slot"]
    record["generation"] = top["generation"]
    record["relation"] = candidate["relation"]
    record["order_id_low"] = 0
    record["reason"] = reason
    record["kind"] = candidate["kind"]
    record["stage"] = _STRATEGY
    record["venue"] = top["venue"]
    record["n_legs"] = min(desk.numbers[N_LEGS], _LEG_COUNT_MAX)


@inlined
def _signal(
    number: int,
    payoff_micros: int,
    capital_ppm: int,
    top: np.void,
    state: State,
    table: Table,
    desk: Desk,
    out: Output,
    now_ns: int,
) -> int:
    """Write one signal and its legs; its id."""
    candidate = table.rows[number]
    signal_id = int(out.next_signal_id[0])
    out.next_signal_id[0] += 1
    place = out.filled[HEADS]
    head = out.heads[place]
    out.owners[signal_id & _OWNER_MASK] = number
    out.filled[HEADS] += 1
    head["recv_ns"] = top["recv_ns"]
    head["book_ns"] = top["book_ns"]
    head["signal_ns"] = now_ns
    # from now at the latest: a time of receipt that is garbage must not hold the candidate for years
    head["deadline_ns"] = min(int(top["recv_ns"]), now_ns) + int(state.terms[0]["deadline_ns"])
    head["signal_id"] = signal_id
    head["payoff_micros"] = payoff_micros
    head["edge_gross_micros"] = desk.numbers[GROSS]
    head["edge_net_micros"] = desk.numbers[NET]
    head["max_size_e6"] = desk.numbers[SIZE_E6]
    head["capital_cost_ppm"] = capital_ppm
    head["close_ns"] = desk.numbers[CLOSE_NS]
    head["slot"] = top["slot"]
    head["relation"] = candidate["relation"]
    head["n_legs"] = desk.numbers[N_LEGS]
    head["kind"] = candidate["kind"]
    for leg in range(desk.numbers[N_LEGS]):
        out.legs[out.filled[LEGS] + leg] = desk.legs[leg]
    out.filled[LEGS] += desk.numbers[N_LEGS]
    table.busy_until_ns[number] = head["deadline_ns"]
    table.signal_id[number] = signal_id
    return signal_id


@kernel
def scan(tops: Rows, index: int, now_ns: int, state: State, table: Table, desk: Desk, out: Output) -> None:
    """Evaluate every candidate of the market of ``tops[index]``; decisions and signals go to ``out``."""
    top = tops[index]
    out.filled[DECISIONS] = 0
    out.filled[HEADS] = 0
    out.filled[LEGS] = 0
    if top["trust"] != _LIVE:
        return
    tell = top["prev_trust"] != _LIVE or top["flags"] & _BEST_CHANGED != 0
    slot = top["slot"]
    for place in range(table.touching_from[slot], table.touching_from[slot + 1]):
        number = table.touching[place]
        reason, payoff, capital = evaluate(table.rows[number], table.legs, state, desk, now_ns)
        signal_id = 0
        if reason == 0 and table.busy_until_ns[number] >= now_ns:
            reason = _AGAIN
        news = tell or (reason == 0 and table.last_reason[number] != 0)
        table.last_reason[number] = reason
        if not news:
            continue
        if reason == 0:
            room = out.filled[LEGS] + desk.numbers[N_LEGS] <= out.legs.shape[0]
            if out.filled[HEADS] < out.heads.shape[0] and room:
                signal_id = _signal(number, payoff, capital, top, state, table, desk, out, now_ns)
            else:
                reason = table.last_reason[number] = _FULL  # to be tried again at the next change
        _decide(table.rows[number], reason, signal_id, top, desk, out, now_ns)


class ArbitrageScanner:
    """Results of the last call: ``decisions[:n]``, ``signal_heads[:m]``, their legs in ``signal_legs``.

    ``state``, ``table``, ``desk`` and ``out`` are what ``scan`` takes, for whoever calls it from a kernel of
    his own, after ``prepare``. ``table`` is another one whenever the candidates were found anew.

    ``book_rows``: BOOK_ROW by slot, read only. One thread at a time. Candidates are found anew when the
    catalog changes; ``refused`` counts those beyond the bounds.
    """

    def __init__(
        self,
        catalog: Catalog,
        relations: RelationTable,
        book_rows: Rows,
        config: StrategyConfig,
        first_signal_id: int = 1,
    ) -> None:
        self.decisions: Rows = np.zeros(DECISIONS_MAX, DECISION)
        self.signal_heads: Rows = np.zeros(SIGNALS_MAX, SIGNAL_HEAD)
        self.signal_legs: Rows = np.zeros(SIGNAL_LEGS_MAX, SIGNAL_LEG)
        self.catalog = catalog
        self._relations = relations
        self.state = State(catalog.rows, book_rows, terms_of(config))
        self.desk = new_desk(catalog.capacity)
        self.out = Output(
            decisions=self.decisions,
            heads=self.signal_heads,
            legs=self.signal_legs,
            filled=np.zeros(3, np.int64),
            owners=np.zeros(OWNERS, np.int64),
            next_signal_id=np.full(1, first_signal_id, np.int64),
        )
        self._top: Rows = np.zeros(1, TOP)
        self._candidates = CandidateTable(catalog, relations)
        self.table = _table_of(self._candidates)

    @property
    def refused(self) -> int:
        """Candidates left out because there are too many."""
        return self._candidates.refused

    def set_relations(self, relations: RelationTable) -> None:
        """Take relations that were screened again."""
        self._relations = relations
        self._build()

    def on_position(self, position: np.void) -> None:
        """Take in a POSITION_ROW: what can be sold from inventory."""
        slot = int(position["slot"])
        self.desk.held[slot, Outcome.YES] = position["yes_e6"]
        self.desk.held[slot, Outcome.NO] = position["no_e6"]

    def on_order(self, signal_id: int, status: int, *, is_done: bool) -> None:
        """Take in an ORDER_EVENT: a candidate is busy for as long as the plan that came of it is not done."""
        number = self._owner(signal_id)
        if number == _NOBODY:
            return
        if is_done:
            self.table.busy_until_ns[number] = 0
            self.table.signal_id[number] = 0  # what is said of it from now on is of no consequence
        elif status != _DENIED:
            self.table.busy_until_ns[number] = INT64_MAX

    def on_top(self, top: np.void, now_ns: int) -> tuple[int, int]:
        """Evaluate what a TOP concerns: (decisions, signals). ``book_rows`` must hold its row already."""
        self.prepare()
        self._top[0] = top
        scan(self._top, 0, now_ns, self.state, self.table, self.desk, self.out)
        return int(self.out.filled[DECISIONS]), int(self.out.filled[HEADS])

    def prepare(self) -> None:
        """Find the candidates anew if the catalog has changed."""
        if self.catalog.version != self._candidates.version:
            self._build()

    def _owner(self, signal_id: int) -> int:
        """Candidate whose latest signal this is; _NOBODY when it has another by now, or its plan is done."""
        latest = self.table.signal_id
        if signal_id == 0:  # of no signal
            return _NOBODY
        if 0 < int(self.out.next_signal_id[0]) - signal_id <= OWNERS:
            number = int(self.out.owners[signal_id & _OWNER_MASK])
            return number if number < len(latest) and latest[number] == signal_id else _NOBODY
        found = np.flatnonzero(latest == signal_id)
        return int(found[0]) if found.size else _NOBODY

    def _build(self) -> None:
        """Find the candidates anew; those that are still there stay as busy as they were."""
        before = dict(zip(self._candidates.identities, range(len(self._candidates)), strict=True))
        old = self.table
        self._candidates = CandidateTable(self.catalog, self._relations)
        self.table = _table_of(self._candidates)
        for number, identity in enumerate(self._candidates.identities):
            known = before.get(identity)
            if known is not None and old.signal_id[known]:
                self.table.busy_until_ns[number] = old.busy_until_ns[known]
                self.table.signal_id[number] = old.signal_id[known]
        latest = self.table.signal_id
        numbers = np.argsort(latest, kind="stable")  # of ids that end alike the last one stays
        self.out.owners[latest[numbers] & _OWNER_MASK] = numbers


def _table_of(candidates: CandidateTable) -> Table:
    return Table(
        rows=candidates.rows,
        legs=candidates.legs,
        touching=candidates.touching,
        touching_from=candidates.touching_from,
        busy_until_ns=np.zeros(len(candidates), np.int64),
        signal_id=np.zeros(len(candidates), np.int64),
        last_reason=np.zeros(len(candidates), np.int64),
    )
