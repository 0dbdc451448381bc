"""Where the time from a frame to an order goes: each stage stamps what it publishes and counts what it took.

======================  ===================================================================  ================
rung                    from, to                                                             counted by
======================  ===================================================================  ================
``receive_book``        frame received, row of its book published                            book
``book_decision``       top published, every candidate of its market decided                 strategy
``book_signal``         top published, signal published                                      strategy
``signal_plan``         signal published, plan published                                     optimizer
``plan_order``          plan published, its first orders published                           executor
``journal_flush``       the part of it that made the orders' intents durable                 executor
``order_ack``           order published, first word of its venue taken                       executor
``receive_order``       frame received, first orders of the plan that it brought published   executor
======================  ===================================================================  ================

The stamps are those in the records; the last one of a rung is the first one of the next, so that for one
decision they add up. Only a live engine has a ladder: in a replay the clock stands still while anybody works.
What single plans took stands in a table of the last ``RECENT`` of them, written by the executor.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from engine.config import Role
from engine.facts import head_facts, packing_of
from engine.records import PLAN_HEAD, SIGNAL_HEAD, TOP, RequestKind
from shm.atomics import address_of, load_relaxed, store_relaxed
from shm.histogram import Histogram, Histograms, record_since
from shm.jit import kernel
from shm.layout import offset_of
from shm.ring import Records
from shm.table import Table

HISTOGRAMS_AFFIX: Final = "latency"
RECENT_NAME: Final = "ladder"
RECENT: Final = 256
NO_ROW: Final = -1
WAITING_MAX: Final = 1_024  # orders whose venue has not spoken yet; of more the oldest are not counted

Now = Callable[[], int]


class EngineTime(NamedTuple):
    """Engine time: ``now`` says it, and ``ahead_ns`` how far it is ahead of the monotonic clock.

    ``ahead_ns`` is None where only ``now`` knows, as under a virtual clock.
    """

    now: Now
    ahead_ns: int | None = None


class Rung(StrEnum):
    """Labels of the histograms."""

    RECEIVE_BOOK = "receive_book"
    BOOK_DECISION = "book_decision"
    BOOK_SIGNAL = "book_signal"
    SIGNAL_PLAN = "signal_plan"
    PLAN_ORDER = "plan_order"
    JOURNAL_FLUSH = "journal_flush"
    ORDER_ACK = "order_ack"
    RECEIVE_ORDER = "receive_order"


RUNGS: Final = {
    Role.BOOK: (Rung.RECEIVE_BOOK,),
    Role.STRATEGY: (Rung.BOOK_DECISION, Rung.BOOK_SIGNAL),
    Role.OPTIMIZER: (Rung.SIGNAL_PLAN,),
    Role.EXECUTOR: (Rung.PLAN_ORDER, Rung.JOURNAL_FLUSH, Rung.ORDER_ACK, Rung.RECEIVE_ORDER),
}

LADDER_ROW: Final = np.dtype(
    [
        ("plan_id", "<i8"),
        ("signal_id", "<i8"),
        ("recv_ns", "<i8"),
        ("book_ns", "<i8"),
        ("signal_ns", "<i8"),
        ("plan_ns", "<i8"),
        ("sent_ns", "<i8"),
        ("ack_ns", "<i8"),  # first word of the venue of the first of its orders; 0: none yet
        ("slot", "<i4"),
        ("n_legs", "<i4"),
        ("kind", "<i8"),  # SignalKind
    ]
)


@kernel
def stamp(
    histogram: int, first: int, stride: int, since_at: int, stamp_at: int, n_records: int, now_ns: int
) -> None:
    """Stamp records at ``first``, ``stride`` bytes apart, and count how long it is since another stamp."""
    for index in range(n_records):
        place = first + index * stride
        store_relaxed(place + stamp_at, now_ns)
        record_since(histogram, load_relaxed(place + since_at), now_ns)


class _Stamps(NamedTuple):
    """Offsets of two stamps in a record."""

    since_at: int
    stamp_at: int


_ROW: Final = packing_of(LADDER_ROW)
_NEW: Final = int(RequestKind.NEW)
_TOP: Final = _Stamps(offset_of(TOP, "recv_ns"), offset_of(TOP, "book_ns"))
_SIGNAL: Final = _Stamps(offset_of(SIGNAL_HEAD, "book_ns"), offset_of(SIGNAL_HEAD, "signal_ns"))
_PLAN: Final = _Stamps(offset_of(PLAN_HEAD, "signal_ns"), offset_of(PLAN_HEAD, "plan_ns"))


class BookRung:
    """Of one venue's books."""

    def __init__(self, histograms: Histograms, now: Now) -> None:
        self._now = now
        self.histogram = histograms[Rung.RECEIVE_BOOK]
        self._of: Records | None = None
        self._first = 0

    def published(self, tops: Records, n_tops: int) -> None:
        """Rows are published: stamp the first tops, which announce them.

        The address of an array is asked for once: that costs as much as all the rest.
        """
        if tops is not self._of:
            self._of, self._first = tops, address_of(tops)
        stamp(self.histogram.address, self._first, TOP.itemsize, *_TOP, n_tops, self._now())


class StrategyRung:
    """Of the strategies."""

    def __init__(self, histograms: Histograms, now: Now) -> None:
        self.now = now
        self.decision_histogram = histograms[Rung.BOOK_DECISION]
        self.signal_histogram = histograms[Rung.BOOK_SIGNAL]

    def decided(self, top: np.void) -> None:
        """All candidates of a top are decided."""
        self.decision_histogram.record(self.now() - int(top["book_ns"]))

    def signal(self, head: Records) -> None:
        """A signal is about to be published: stamp it."""
        stamp(self.signal_histogram.address, address_of(head), 0, *_SIGNAL, 1, self.now())


class OptimizerRung:
    """Of the optimizer."""

    def __init__(self, histograms: Histograms, now: Now) -> None:
        self.now = now
        self.histogram = histograms[Rung.SIGNAL_PLAN]

    def plan(self, head: Records) -> None:
        """A plan is about to be published: stamp it."""
        stamp(self.histogram.address, address_of(head), 0, *_PLAN, 1, self.now())


class ExecutorRung:
    """Of the executor; ``recent`` is the table of LADDER_ROW it writes."""

    def __init__(self, histograms: Histograms, now: Now, recent: Table) -> None:
        self._now = now
        self._to_order, self._to_durable, self._to_ack, self._in_all = (
            histograms[rung] for rung in RUNGS[Role.EXECUTOR]
        )
        self._recent = recent
        self._row: Records = np.zeros(1, LADDER_ROW)
        self._row_bytes = self._row.view(np.uint8).data
        self._n_plans = 0
        self._waiting: dict[int, _Sent] = {}  # by order

    def flushing(self) -> int:
        """The journal is about to be made durable: when that was."""
        return self._now()

    def flushed(self, began_ns: int) -> None:
        """It is durable."""
        self._to_durable.record(self._now() - began_ns)

    def sent(self, requests: Records, plan: np.void | None) -> None:
        """Requests are published; ``plan`` is the PLAN_HEAD they are the first of."""
        now_ns = self._now()
        row = NO_ROW
        if plan is not None:
            self._to_order.record(now_ns - int(plan["plan_ns"]))
            self._in_all.record(now_ns - int(plan["recv_ns"]))
            row = self._keep(plan, now_ns)
        named = zip(*(requests[name].tolist() for name in ("kind", "order_id", "plan_id")), strict=True)
        for kind, order_id, plan_id in named:
            if kind != _NEW:
                continue
            if len(self._waiting) >= WAITING_MAX:
                del self._waiting[next(iter(self._waiting))]
            self._waiting[order_id] = _Sent(now_ns, row, plan_id)
            row = NO_ROW  # the first of its orders stands for a plan

    def _keep(self, plan: np.void, sent_ns: int) -> int:
        head = head_facts(plan)
        stamps = head.recv_ns, head.book_ns, head.signal_ns, head.plan_ns, sent_ns, 0
        ids = head.plan_id, head.signal_id
        _ROW.pack_into(self._row_bytes, 0, *ids, *stamps, head.slot, head.n_legs, head.kind)
        row = self._n_plans % RECENT
        self._n_plans += 1
        self._recent.write(row, self._row)
        return row

    def heard(self, report: np.void) -> None:
        """A venue has spoken: of an order for the first time, or again."""
        sent = self._waiting.pop(int(report["order_id"]), None)
        if sent is None:
            return
        now_ns = self._now()
        self._to_ack.record(now_ns - sent.at_ns)
        if sent.row == NO_ROW or not self._recent.read(sent.row, self._row):
            return
        if int(self._row[0]["plan_id"]) == sent.plan_id:  # else another plan has taken the row meanwhile
            self._row[0]["ack_ns"] = now_ns
            self._recent.write(sent.row, self._row)


class _Sent(NamedTuple):
    """An order that left: when, its plan, and the row that waits for what is heard of it or NO_ROW."""

    at_ns: int
    row: int
    plan_id: int


@dataclass(frozen=True, slots=True)
class Ladder:
    """The rungs of one process; None where the role is another's, or nothing is counted."""

    book: BookRung | None = None
    strategy: StrategyRung | None = None
    optimizer: OptimizerRung | None = None
    executor: ExecutorRung | None = None


def rungs_of(roles: Collection[Role]) -> list[Rung]:
    """Rungs that the stages of these roles count."""
    return [rung for role, rungs in RUNGS.items() if role in roles for rung in rungs]


def ladder_over(
    histograms: Histograms, roles: Collection[Role], now: Now, executor: ExecutorRung | None = None
) -> Ladder:
    """The rungs of ``roles`` over histograms that have their labels (``rungs_of``)."""
    return Ladder(
        book=BookRung(histograms, now) if Role.BOOK in roles else None,
        strategy=StrategyRung(histograms, now) if Role.STRATEGY in roles else None,
        optimizer=OptimizerRung(histograms, now) if Role.OPTIMIZER in roles else None,
        executor=executor,
    )


def make_ladder(process: str, roles: Collection[Role], directory: Path, epoch: int, now: Now) -> Ladder:
    """Histograms, and the table of plans, of a process in ``directory``; those of one that died go on.

    ``now`` is engine time. Raises as ``Histograms.create_or_adopt``.
    """
    labels = rungs_of(roles)
    if not labels:
        return Ladder()
    histograms = Histograms.create_or_adopt(
        labels, name=f"{HISTOGRAMS_AFFIX}.{process}", epoch=epoch, directory=directory
    )
    executor = None
    if Role.EXECUTOR in roles:
        recent = Table.create_or_adopt(RECENT, LADDER_ROW, name=RECENT_NAME, epoch=epoch, directory=directory)
        executor = ExecutorRung(histograms, now, recent)
    return ladder_over(histograms, roles, now, executor)


def recent_plans(directory: Path) -> list[np.void]:
    """LADDER_ROW of the last plans that became orders, oldest first; raises as ``Table.attach``."""
    recent = Table.attach(RECENT_NAME, LADDER_ROW, directory)
    row: Records = np.zeros(1, LADDER_ROW)
    rows = [row[0].copy() for at in range(len(recent)) if recent.version(at) and recent.read(at, row)]
    found = [row for row in rows if row["plan_id"]]  # a row that its writer died at is zeroed
    return sorted(found, key=lambda plan: int(plan["sent_ns"]))


def warm() -> None:
    """Compile the kernels of this module."""
    tops: Records = np.zeros(1, TOP)
    histogram = Histogram()  # kept while the kernel has its address
    stamp(histogram.address, address_of(tops), TOP.itemsize, *_TOP, 1, 0)
