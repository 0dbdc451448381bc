"""A trading floor for tests: the executor, a permissive gate, a folding journal, simulated venues."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from engine.catalog.market import MarketSpec
from engine.execution.config import ExecutionConfig
from engine.execution.executor import Executor
from engine.execution.plan import PlanResult
from engine.ids import IdSource
from engine.ledger.journal import OPENING, Entry, EntryKind, JournalRead, read_journal
from engine.ledger.ledger import Ledger
from engine.reasons import Reason
from engine.records import (
    BOOK_ROW,
    PLAN_HEAD,
    PLAN_LEG,
    TOP_LEVELS,
    Direction,
    Outcome,
    RequestKind,
    Side,
    SignalKind,
    TimeInForce,
    Trust,
    Venue,
)
from engine.sim.clearing import SettlementTimes
from engine.sim.faults import NO_FAULTS, Fault, FaultPlan, FaultRates
from engine.sim.latency import LatencyModel
from engine.sim.venue import SimVenue
from engine.units import INT64_MAX
from tests.engine.sim.world import (
    DOLLAR,
    KALSHI,
    MS,
    ONE,
    POLY,
    Levels,
    ListBook,
    S,
    catalog_of,
    constant,
    snapshot,
)

Rows = npt.NDArray[np.void]
Ints = npt.NDArray[np.int64]
LegSpec = tuple[int, Direction, Outcome, int]  # slot, direction, outcome, limit
OPENING_CASH = 100_000 * DOLLAR
BUY, SELL, YES, NO = Direction.BUY, Direction.SELL, Outcome.YES, Outcome.NO


class OpenGate:
    """Says yes unless told otherwise, and remembers what it reserved."""

    def __init__(self) -> None:
        self.halted = False
        self.answer: Callable[[np.void], Reason] = lambda request: Reason.NONE
        self.open: dict[int, int] = {}  # order id -> size still reserved
        self.asked: list[tuple[int, int, int]] = []  # (order id, epoch, worst cash)

    def check(self, request: np.void, epoch: int, worst_cash_micros: int, now_ns: int) -> Reason:
        self.asked.append((int(request["order_id"]), epoch, int(worst_cash_micros)))
        reason = self.answer(request)
        if reason == Reason.NONE:
            assert int(request["order_id"]) not in self.open
            self.open[int(request["order_id"])] = int(request["size_e6"])
        return reason

    def orders_at_once(self, venue: int) -> int:
        return 1_000

    def rate_ready_ns(self, venue: int, orders: int, now_ns: int) -> int:
        return now_ns

    def check_together(
        self, requests: Rows, n_orders: int, epochs: Ints, worst_cash_micros: Ints, now_ns: int
    ) -> bool:
        asked = [np.array([request])[0] for request in requests[:n_orders]]
        if any(self.answer(request) != Reason.NONE for request in asked):
            return False
        return all(
            self.check(request, int(epoch), int(worst), now_ns) == Reason.NONE
            for request, epoch, worst in zip(asked, epochs, worst_cash_micros, strict=False)
        )

    def restore(self, request: np.void, worst_cash_micros: int) -> None:
        assert worst_cash_micros > 0 or int(request["direction"]) == SELL
        self.open[int(request["order_id"])] = int(request["size_e6"])

    def on_fill(self, order_id: int, size_e6: int) -> None:
        self.open[order_id] -= size_e6

    def release(self, order_id: int) -> None:
        del self.open[order_id]  # twice would be a mistake


class FoldingJournal:
    """Keeps entries, and folds them into a ledger as they come."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.ledger = Ledger()

    def append(self, kind: int, record: np.void) -> None:
        entry = Entry(len(self.entries) + 1, EntryKind(kind), np.array([record], record.dtype)[0])
        self.entries.append(entry)
        self.ledger.apply(entry)

    @property
    def place(self) -> tuple[int, bool]:
        return len(self.entries) + 1, True

    def append_laid(self, content: bytes, n_entries: int) -> None:
        laid = [*read_journal(content, JournalRead(len(self.entries)))]
        assert len(laid) == n_entries
        for entry in laid:
            self.append(entry.kind, entry.record)

    def of(self, kind: EntryKind) -> list[np.void]:
        return [entry.record for entry in self.entries if entry.kind == kind]

    def opened(self, venue: Venue, cash_micros: int) -> None:
        record: np.void = np.zeros(1, OPENING)[0]
        record["venue"], record["cash_micros"] = venue, cash_micros
        self.append(EntryKind.OPENING, record)


class Floor:
    """Time moves only in ``run``; everything sent is delivered at once to its venue."""

    def __init__(
        self,
        *specs: MarketSpec,
        config: ExecutionConfig | None = None,
        latency: LatencyModel | None = None,
        faults: dict[Venue, FaultPlan] | None = None,
        times: SettlementTimes | None = None,
        seed: int = 7,
    ) -> None:
        self.specs = specs
        self.catalog = catalog_of(*specs)
        self.rows: Rows = np.zeros(self.catalog.capacity, BOOK_ROW)
        self.gate, self.journal = OpenGate(), FoldingJournal()
        self.executor = Executor(
            self.catalog, self.gate, self.journal, IdSource(3), config or ExecutionConfig(), self.rows
        )
        self.books = {venue: ListBook() for venue in Venue}
        self.venues = {
            venue: SimVenue(
                venue,
                self.catalog,
                self.books[venue],
                latency or constant(10 * MS, 10 * MS),
                seed,
                cash_micros=OPENING_CASH,
                faults=(faults or {}).get(venue, NO_FAULTS),
                times=times,
            )
            for venue in Venue
        }
        for venue in Venue:
            self.journal.opened(venue, OPENING_CASH)
        self.now_ns = S
        self.requests: list[np.void] = []
        self.events: list[np.void] = []
        self.decisions: list[np.void] = []
        self.results: list[PlanResult] = []
        self._next_plan = 0

    # --- the market ---

    def show(self, slot: int, bids: Levels = (), asks: Levels = ()) -> None:
        """Replace a book, at the venue and in our rows."""
        venue = self.specs[slot].venue
        frame = snapshot(slot, bids, asks)
        self.venues[venue].on_update(frame, len(frame), self.now_ns)
        row = self.rows[slot]
        row["slot"], row["generation"], row["venue"], row["trust"], row["epoch"] = (
            slot,
            1,
            venue,
            Trust.LIVE,
            1,
        )
        for side, name in ((Side.BID, "bid"), (Side.ASK, "ask")):
            prices, sizes = self.books[venue].levels(slot, side)
            n = min(len(prices), TOP_LEVELS)
            row[f"n_{name}s"] = n
            row[f"{name}_e4"][:n], row[f"{name}_size_e6"][:n] = prices[:n], sizes[:n]

    # --- the plan ---

    def plan(
        self,
        legs: Sequence[LegSpec],
        size_e6: int,
        *,
        tif: TimeInForce = TimeInForce.FAK,
        sales: Sequence[tuple[int, int]] = (),
        converts: bool = False,
        deadline_ns: int | None = None,
    ) -> int:
        """Hand a plan to the executor; ``sales`` are (slot, limit) of YES from the conversion. Its id."""
        self._next_plan += 1
        head: np.void = np.zeros(1, PLAN_HEAD)[0]
        head["plan_id"], head["signal_id"], head["size_e6"] = (
            self._next_plan,
            1_000 + self._next_plan,
            size_e6,
        )
        head["deadline_ns"] = self.now_ns + 10 * S if deadline_ns is None else deadline_ns
        head["recv_ns"], head["slot"], head["relation"] = self.now_ns, legs[0][0], 4
        head["profit_micros"], head["kind"] = 1_000_000, SignalKind.NEG_RISK_CONVERT
        use = 1 if converts else 0
        rows = [(*leg, use) for leg in legs] + [(slot, SELL, YES, limit, 2) for slot, limit in sales]
        records: Rows = np.zeros(len(rows), PLAN_LEG)
        head["n_legs"] = len(rows)
        for record, (slot, direction, outcome, limit, convert) in zip(records, rows, strict=True):
            record["slot"], record["generation"], record["venue"] = slot, 1, self.specs[slot].venue
            record["direction"], record["outcome"], record["limit_e4"] = direction, outcome, limit
            record["size_e6"], record["tif"], record["convert"], record["epoch"] = size_e6, tif, convert, 1
        self._call(lambda: self.executor.on_plan(head, records, self.now_ns))
        return self._next_plan

    # --- time ---

    def run(self, for_ns: int = 3_600 * S, until: Callable[[], bool] | None = None) -> None:
        """Let time pass until nothing is due, ``for_ns`` is over, or ``until`` holds."""
        end_ns = self.now_ns + for_ns
        while not (until is not None and until()):
            due = min(self._due_ns(), *(sim.next_due_ns() for sim in self.venues.values()))
            if due > end_ns or due == INT64_MAX:
                self.now_ns = end_ns if for_ns < 3_600 * S else self.now_ns
                return
            self.now_ns = max(self.now_ns, due)
            for sim in self.venues.values():
                for report in np.array(sim.advance(self.now_ns)):
                    if not self.hear(report):
                        break
            if self._due_ns() <= self.now_ns:
                self._call(lambda: self.executor.on_time(self.now_ns))

    def _due_ns(self) -> int:
        """When the executor wants the clock, which it looks for only once after each change."""
        plans = self.executor._plans.values()
        waits = [order.check_ns for plan in plans for order in plan.orders]
        due_ns = self.executor.next_due_ns()
        assert due_ns == min([INT64_MAX, *waits, *(plan.wake_ns for plan in plans)])
        return due_ns

    def hear(self, report: np.void) -> bool:
        """Hand the executor a report; False when it died of it, and with it what it had taken at once."""
        return self._call(lambda: self.executor.on_report(report, self.now_ns))

    def _call(self, call: Callable[[], None]) -> bool:
        """Let the executor work, and deliver what it says; whether it lives."""
        call()
        self._deliver()
        return True

    def _deliver(self) -> None:
        out = self.executor.out
        for request in np.array(out.requests[: out.n_requests]):
            self.requests.append(request)
            self.venues[Venue(int(request["venue"]))].on_request(request, self.now_ns)
        self.events += list(np.array(out.events[: out.n_events]))
        self.decisions += list(np.array(out.decisions[: out.n_decisions]))
        self.results += self.executor.finished

    # --- what must hold ---

    def orders(self, kind: RequestKind = RequestKind.NEW) -> list[np.void]:
        return [request for request in self.requests if int(request["kind"]) == kind]

    def position(self, slot: int) -> tuple[int, int]:
        """YES and NO that our ledger holds."""
        held = self.journal.ledger.position(int(self.specs[slot].venue), slot, 1)
        return held.size_e6[0], held.size_e6[1]

    def assert_books_agree(self) -> None:
        """What we think we have is what the venues say we have, to the last unit."""
        ledger = self.journal.ledger
        ledger.verify()
        for venue, sim in self.venues.items():
            assert ledger.cash_micros(venue) == sim.cash_micros, venue.name
            assert sim.cash_micros == sim.free_cash_micros, "something is still set aside at the venue"
        for slot, spec in enumerate(self.specs):
            assert self.position(slot) == self.venues[spec.venue].position_e6(slot), slot

    def assert_done(self) -> None:
        """Every plan ended, nothing is reserved, every request was journaled first and sent once."""
        assert self.executor.open_plans == 0
        assert self.executor.open_orders == 0
        assert self.gate.open == {}
        made = [int(r["order_id"]) for r in self.requests if int(r["kind"]) != RequestKind.CANCEL]
        assert len(made) == len(set(made)), "an order id was sent twice"
        intents = [int(r["order_id"]) for r in self.journal.of(EntryKind.INTENT)]
        assert len(intents) == len(set(intents))
        assert set(made) <= set(intents)
        done = [int(e["plan_id"]) for e in self.events if int(e["plan_done"])]
        assert sorted(done) == sorted(set(done)), "a plan ended twice"
        self.assert_books_agree()
        self.assert_plans_add_up()

    def assert_plans_add_up(self) -> None:
        """The plans' own accounts add up to the ledger's (pairs netted across plans are one dollar each)."""
        ledger = self.journal.ledger
        held: dict[tuple[int, int], int] = {}
        for result in self.results:
            for (slot, _, outcome), size in result.positions:
                held[slot, outcome] = held.get((slot, outcome), 0) + size
        cash = sum(result.cash_micros for result in self.results)
        for slot, spec in enumerate(self.specs):
            yes, no = held.get((slot, 0), 0), held.get((slot, 1), 0)
            if spec.venue == Venue.KALSHI:
                pairs = yes - max(yes - no, 0)
                yes, no, cash = yes - pairs, no - pairs, cash + pairs
            assert (yes, no) == self.position(slot), slot
        assert cash == sum(ledger.cash_micros(venue) - OPENING_CASH for venue in Venue)

    def result(self) -> PlanResult:
        """The only plan's end."""
        [result] = self.results
        return result


CROSS = [(0, BUY, YES, 5000), (1, BUY, NO, 4800)]  # YES at Polymarket, NO at Kalshi


def cross(**more: object) -> Floor:
    """A Polymarket and a Kalshi market, a hundred sets on offer."""
    floor = Floor(POLY, KALSHI, **more)  # type: ignore[arg-type]
    floor.show(0, bids=[(4900, 500 * ONE)], asks=[(5000, 100 * ONE)])
    floor.show(1, bids=[(5200, 100 * ONE)], asks=[(5300, 500 * ONE)])
    return floor


def script(number: int, fault: Fault, venue: Venue = Venue.KALSHI) -> dict[Venue, FaultPlan]:
    return {venue: FaultPlan(1, FaultRates(silence_ns=S), {number: fault})}


def last_decision(floor: Floor) -> tuple[int, int, int]:
    made = floor.decisions[-1]
    return int(made["stage"]), int(made["reason"]), int(made["size_e6"])
