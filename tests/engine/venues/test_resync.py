from __future__ import annotations

from itertools import pairwise

from engine.units import NS_PER_S
from engine.venues.resync import ResyncQueue

MS = 1_000_000
RETRY_NS = 2 * NS_PER_S


def queue(per_second: int = 10, batch: int = 3, capacity: int = 100) -> ResyncQueue:
    return ResyncQueue(per_second, batch, capacity, RETRY_NS)


def test_requests_are_in_the_order_of_asking_and_name_markets_of_one_connection() -> None:
    resyncs = queue()
    for symbol, conn in (("A", 1), ("B", 2), ("C", 1), ("D", 1), ("E", 1)):
        assert resyncs.want(symbol, conn, 0)
    assert resyncs.take(0) == (1, ["A", "C", "D"])
    assert resyncs.take(100 * MS) == (2, ["B"])
    assert resyncs.take(200 * MS) == (1, ["E"])
    assert resyncs.take(300 * MS) is None
    assert (resyncs.wanted, len(resyncs)) == (5, 0)


def test_markets_with_open_orders_come_first() -> None:
    resyncs = queue(batch=1)
    resyncs.want("A", 1, 0)
    resyncs.want("B", 1, 0)
    resyncs.want("C", 2, 0, urgent=True)
    assert resyncs.want("B", 1, 0, urgent=True)  # one that waits already is moved
    taken = [resyncs.take(at * 100 * MS) for at in range(4)]
    assert taken == [(2, ["C"]), (1, ["B"]), (1, ["A"]), None]


def test_a_request_that_has_room_takes_urgent_ones_first() -> None:
    resyncs = queue(batch=2)
    resyncs.want("A", 1, 0)
    resyncs.want("B", 1, 0)
    resyncs.want("C", 1, 0, urgent=True)
    assert resyncs.take(0) == (1, ["C", "A"])


def test_the_budget_holds() -> None:
    resyncs = queue(per_second=5, batch=1)
    for number in range(50):
        resyncs.want(f"S{number}", 0, 0)
    taken = [at for at in range(0, 3 * NS_PER_S, 10 * MS) if resyncs.take(at) is not None]
    assert len(taken) == 15
    assert all(b - a >= NS_PER_S // 5 for a, b in pairwise(taken))


def test_what_was_asked_for_is_not_asked_for_again_before_it_had_time_to_come() -> None:
    resyncs = queue()
    assert resyncs.want("A", 1, 0)
    assert not resyncs.want("A", 1, 0)
    resyncs.take(0)
    assert not resyncs.want("A", 1, RETRY_NS - 1, urgent=True)
    assert resyncs.want("A", 1, RETRY_NS)
    resyncs.expect(["B"], 0)
    assert not resyncs.want("B", 1, 1)


def test_what_never_comes_is_asked_for_less_and_less_often() -> None:
    resyncs = queue()
    asked_s = []
    for now_ns in range(0, 400 * NS_PER_S, NS_PER_S // 2):  # as a watch would: whenever it is allowed to
        resyncs.want("A", 1, now_ns)
        if resyncs.take(now_ns) is not None:
            asked_s.append(now_ns // NS_PER_S)
    assert asked_s == [0, 2, 6, 14, 30, 62, 126, 190, 254, 318, 382]


def test_one_whose_book_came_begins_anew() -> None:
    resyncs = queue()
    for now_ns in (0, RETRY_NS, 3 * RETRY_NS):
        assert resyncs.want("A", 1, now_ns)
        assert resyncs.take(now_ns) is not None
    assert not resyncs.want("A", 1, 3 * RETRY_NS + 1)
    resyncs.arrived("A")
    resyncs.arrived("never asked for")
    assert resyncs.want("A", 1, 3 * RETRY_NS + 2)  # a new doubt, at once
    assert resyncs.take(4 * RETRY_NS) is not None
    assert not resyncs.want("A", 1, 5 * RETRY_NS - 1)
    assert resyncs.want("A", 1, 5 * RETRY_NS)


def test_connections_that_begin_again_and_again_do_not_wear_out_patience() -> None:
    resyncs = queue()
    for number in range(10):
        resyncs.expect(["A"], number)
    assert not resyncs.want("A", 1, RETRY_NS)
    assert resyncs.want("A", 1, RETRY_NS + 9)


def test_a_connection_that_is_gone_is_asked_for_nothing() -> None:
    resyncs = queue()
    resyncs.want("A", 1, 0)
    resyncs.want("B", 2, 0, urgent=True)
    resyncs.forget(2)
    assert resyncs.take(0) == (1, ["A"])
    assert resyncs.take(NS_PER_S) is None


def test_beyond_its_capacity_it_refuses_and_counts() -> None:
    resyncs = queue(capacity=2, batch=1)
    assert [resyncs.want(symbol, 0, 0) for symbol in "ABC"] == [True, True, False]
    assert resyncs.refused == 1
    assert resyncs.take(0) is not None
    assert resyncs.want("C", 0, 1)


def test_the_time_between_requests_is_rounded_against_us() -> None:
    resyncs = queue(per_second=3, batch=1)
    for symbol in "AB":
        resyncs.want(symbol, 0, 0)
    assert resyncs.take(-1) is None  # a clock begins at nought
    assert resyncs.take(0) is not None
    assert resyncs.take(333_333_333) is None
    assert resyncs.take(333_333_334) is not None
