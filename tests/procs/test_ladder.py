"""The ladder: what each rung stamps and counts, and the plans that are kept one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.config import Role
from engine.records import ORDER_REQUEST, PLAN_HEAD, SIGNAL_HEAD, TOP, VENUE_REPORT, RequestKind
from procs.ladder import (
    RECENT,
    WAITING_MAX,
    ExecutorRung,
    Ladder,
    Rung,
    make_ladder,
    recent_plans,
    stamp,
)
from shm.atomics import address_of
from shm.histogram import Histogram, Histograms
from shm.layout import offset_of
from shm.ring import Records
from tests.plain_twin import PlainTwin

ALL = tuple(Role)


class Clock:
    """Engine time, moved by hand."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def ladder(folder: Path, clock: Clock) -> Ladder:
    return make_ladder("trade", ALL, folder, 1, clock)


def taken(folder: Path) -> dict[str, list[int]]:
    """Count and maximum of every rung that counted anything."""
    histograms = Histograms.attach("latency.trade", folder)
    found = {label: histograms[label] for label in histograms.labels}
    return {label: [one.count, one.max] for label, one in found.items() if one.count}


def executor_of(ladder: Ladder) -> ExecutorRung:
    assert ladder.executor is not None
    return ladder.executor


def plan_of(number: int, plan_ns: int) -> np.void:
    head = np.zeros(1, PLAN_HEAD)
    head["plan_id"], head["signal_id"], head["kind"], head["slot"] = number, 7, 3, 5
    head["recv_ns"], head["book_ns"], head["signal_ns"], head["plan_ns"] = 100, 200, 400, plan_ns
    found: np.void = head[0]
    return found


def requests_of(plan_id: int, *orders: int) -> Records:
    requests = np.zeros(len(orders), ORDER_REQUEST)
    requests["order_id"], requests["plan_id"], requests["kind"] = orders, plan_id, RequestKind.NEW
    return requests


def report_of(order: int) -> np.void:
    report = np.zeros(1, VENUE_REPORT)
    report["order_id"] = order
    found: np.void = report[0]
    return found


def test_each_stage_stamps_what_it_publishes(ladder: Ladder, folder: Path, clock: Clock) -> None:
    assert ladder.book is not None
    assert ladder.strategy is not None
    assert ladder.optimizer is not None
    tops = np.zeros(3, TOP)
    tops["recv_ns"] = clock.now_ns - np.array([10, 30, 20])
    ladder.book.published(tops, 2)
    assert tops["book_ns"].tolist() == [clock.now_ns, clock.now_ns, 0]
    clock.now_ns += 50
    ladder.strategy.decided(tops[0])
    signal = np.zeros(1, SIGNAL_HEAD)
    signal["book_ns"] = tops["book_ns"][0]
    ladder.strategy.signal(signal)
    plan = np.zeros(1, PLAN_HEAD)
    plan["signal_ns"] = signal["signal_ns"]
    clock.now_ns += 7
    ladder.optimizer.plan(plan)
    assert [int(signal["signal_ns"][0]), int(plan["plan_ns"][0])] == [clock.now_ns - 7, clock.now_ns]
    assert taken(folder) == {
        Rung.RECEIVE_BOOK: [2, 30],
        Rung.BOOK_DECISION: [1, 50],
        Rung.BOOK_SIGNAL: [1, 50],
        Rung.SIGNAL_PLAN: [1, 7],
    }


def test_the_rungs_of_a_plan_add_up(ladder: Ladder, folder: Path, clock: Clock) -> None:
    rung = executor_of(ladder)
    clock.now_ns = 1_000
    began_ns = rung.flushing()
    clock.now_ns = 1_030
    rung.flushed(began_ns)
    rung.sent(requests_of(1, 11, 12), plan_of(1, plan_ns=900))
    [plan] = recent_plans(folder)
    assert (plan["plan_id"], plan["sent_ns"], plan["ack_ns"]) == (1, 1_030, 0)
    clock.now_ns = 1_500
    rung.heard(report_of(12))  # not the first of its orders
    assert recent_plans(folder)[0]["ack_ns"] == 0
    clock.now_ns = 1_600
    rung.heard(report_of(11))
    rung.heard(report_of(11))
    assert recent_plans(folder)[0]["ack_ns"] == 1_600
    assert taken(folder) == {
        Rung.PLAN_ORDER: [1, 130],
        Rung.JOURNAL_FLUSH: [1, 30],
        Rung.ORDER_ACK: [2, 570],
        Rung.RECEIVE_ORDER: [1, 930],
    }


def test_a_later_leg_is_no_first_order(ladder: Ladder, folder: Path, clock: Clock) -> None:
    rung = executor_of(ladder)
    rung.sent(requests_of(1, 11), None)
    cancel = requests_of(1, 12)
    cancel["kind"] = RequestKind.CANCEL
    rung.sent(cancel, None)
    clock.now_ns += 5
    rung.heard(report_of(11))
    rung.heard(report_of(12))
    assert taken(folder) == {Rung.ORDER_ACK: [1, 5]}
    assert recent_plans(folder) == []


def test_only_the_last_plans_are_kept(ladder: Ladder, folder: Path, clock: Clock) -> None:
    rung = executor_of(ladder)
    for number in range(RECENT + 3):
        clock.now_ns += 1
        rung.sent(requests_of(number, number), plan_of(number, clock.now_ns))
    assert [int(plan["plan_id"]) for plan in recent_plans(folder)] == list(range(3, RECENT + 3))
    rung.heard(report_of(0))  # its row is another plan's by now
    assert all(int(plan["ack_ns"]) == 0 for plan in recent_plans(folder))


def test_orders_of_which_nothing_is_heard_are_forgotten(ladder: Ladder, folder: Path) -> None:
    rung = executor_of(ladder)
    for number in range(WAITING_MAX + 1):
        rung.sent(requests_of(number, number), None)
    for number in (0, 1, WAITING_MAX):
        rung.heard(report_of(number))
    assert taken(folder)[Rung.ORDER_ACK][0] == 2, "the oldest is not counted"


def test_a_process_has_the_rungs_of_its_roles(folder: Path, clock: Clock) -> None:
    market = make_ladder("market", (Role.FEED, Role.BOOK), folder, 1, clock)
    assert market.book is not None
    assert (market.strategy, market.optimizer, market.executor) == (None, None, None)
    assert Histograms.attach("latency.market", folder).labels == (Rung.RECEIVE_BOOK,)
    assert make_ladder("venues", (Role.VENUE_SIM,), folder, 1, clock) == Ladder()
    assert not (folder / "latency.venues").exists()
    with pytest.raises(FileNotFoundError):
        recent_plans(folder)


@pytest.mark.compiled_only
def test_compiled_equals_plain(plain_twin: PlainTwin) -> None:
    plain, plain_histogram = plain_twin("procs.ladder"), plain_twin("shm.histogram").Histogram()
    histogram = Histogram()
    tops = np.zeros(5, TOP)
    tops["recv_ns"] = (1, 100, 1_000, 10**12, 2_000)
    twins = tops.copy()
    since_at, stamp_at = offset_of(TOP, "recv_ns"), offset_of(TOP, "book_ns")
    stamp(histogram.address, address_of(tops), TOP.itemsize, since_at, stamp_at, 4, 1_500)
    plain.stamp(plain_histogram.address, address_of(twins), TOP.itemsize, since_at, stamp_at, 4, 1_500)
    assert np.array_equal(tops, twins)
    assert tops["book_ns"].tolist() == [1_500] * 4 + [0]
    assert np.array_equal(histogram.counts, plain_histogram.counts)
    assert histogram.below_zero == plain_histogram.below_zero == 1
