from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from engine.catalog.defaults import market_with_defaults
from engine.catalog.market import MarketRef
from engine.reasons import Reason
from engine.records import BOOK_ROW, POSITION_ROW, Trust, Venue
from procs.config_files import load_config, load_fee_table
from procs.doubt_watch import (
    LOOK_EVERY_NS,
    NAMED_MAX,
    WHOLE_EVERY_NS,
    DoubtWatch,
    Mask,
    Slots,
    Turns,
    with_stakes,
)
from procs.lost_books import WANTED_ROW
from shm.table import Table

SILENCE_NS = 1_000 * LOOK_EVERY_NS


class Asked:
    """A feed that takes wishes for ``takes``, and the books that are told."""

    def __init__(self) -> None:
        self.takes = {"A", "B", "C"}
        self.wanted: list[tuple[str, bool]] = []
        self.arrived: list[str] = []
        self.requested: list[tuple[int, int]] = []
        self.doubted: list[tuple[int, Reason, int, int]] = []
        self.shows = True  # a doubt in the row at once, as where the books are at hand
        self.rows = np.zeros(8, BOOK_ROW)  # slots that nobody registered look UNSYNCED

    def want_snapshot(self, symbol: str, *, urgent: bool = False) -> bool:
        self.wanted.append((symbol, urgent))
        return symbol in self.takes

    def snapshot_arrived(self, symbol: str) -> None:
        self.arrived.append(symbol)

    def resync_requested(self, ref: MarketRef, now_ns: int) -> None:
        assert ref.generation == 1
        self.requested.append((ref.slot, now_ns))

    def doubt(self, ref: MarketRef, reason: Reason, heard_ns: int, now_ns: int) -> None:
        assert ref.generation == 1
        self.doubted.append((ref.slot, reason, heard_ns, now_ns))
        if self.shows:
            self.rows[ref.slot]["trust"] = Trust.SUSPECT


def watch(
    asked: Asked,
    trusts: dict[int, Trust],
    urgent: int = -1,
    has_orders: Callable[[Slots], Mask] | None = None,
    wanted: Table | None = None,
) -> DoubtWatch:
    rows = None if wanted is None else wanted.rows
    has_orders = has_orders or (lambda slots: slots == urgent)
    made = DoubtWatch(asked.rows, asked, asked, SILENCE_NS, has_orders=has_orders, wanted=rows)
    fees = load_fee_table(load_config())
    for (slot, trust), symbol in zip(trusts.items(), "ABC", strict=False):
        asked.rows[slot]["trust"] = trust
        made.add(MarketRef(slot, 1), market_with_defaults(fees, Venue.KALSHI, symbol, 0))
    return made


@pytest.mark.parametrize("trust", list(Trust))
def test_which_books_are_asked_for(trust: Trust) -> None:
    asked = Asked()
    waits = trust in (Trust.UNSYNCED, Trust.SUSPECT, Trust.RESYNC)
    assert watch(asked, {3: trust}).look(7) == waits
    assert asked.wanted == ([("A", False)] if waits else [])
    assert asked.requested == ([(3, 7)] if waits else [])


def test_those_with_open_orders_are_urgent_and_only_what_is_taken_counts() -> None:
    asked = Asked()
    asked.takes = {"B"}
    watched = watch(asked, {1: Trust.SUSPECT, 2: Trust.SUSPECT, 5: Trust.LIVE}, urgent=2)
    assert watched.look(0) == 1
    assert asked.wanted == [("B", True), ("A", False)]
    assert asked.requested == [(2, 0)]
    assert watched.asked == 1


@pytest.mark.parametrize("field", ["reserved_micros", "yes_e6", "no_e6"])
def test_what_is_held_or_in_flight_makes_a_market_urgent(field: str) -> None:
    asked = Asked()
    positions = Table.create(8, POSITION_ROW)
    watched = watch(asked, {1: Trust.SUSPECT, 2: Trust.SUSPECT}, has_orders=with_stakes(positions.rows))
    held = np.zeros(1, POSITION_ROW)
    held["slot"], held[field] = 2, 1
    positions.write(2, held)
    watched.look(0)
    assert asked.wanted == [("B", True), ("A", False)]


def test_what_is_closed_is_routine_again() -> None:
    positions = Table.create(8, POSITION_ROW)
    closed = np.zeros(1, POSITION_ROW)
    closed["slot"], closed["generation"], closed["realised_micros"] = 2, 1, 5
    positions.write(2, closed)
    assert with_stakes(positions.rows)(np.array([0, 2])).tolist() == [False, False]


def test_what_another_reader_wants_is_asked_for_once_and_our_book_stays_as_it_is() -> None:
    asked = Asked()
    wanted = Table.create(8, WANTED_ROW)
    wish = np.ones(1, WANTED_ROW)
    wanted.write(1, wish)  # of before: whoever starts gets every book anyway
    watched = watch(asked, {1: Trust.LIVE, 2: Trust.LIVE}, wanted=wanted)
    assert watched.look(0) == 0
    wanted.write(2, wish)
    asked.takes = set()
    assert watched.look(LOOK_EVERY_NS) == 0
    asked.takes = {"A", "B"}
    assert watched.look(2 * LOOK_EVERY_NS) == 1
    assert watched.look(3 * LOOK_EVERY_NS) == 0
    assert asked.wanted == [("B", False), ("B", False)]
    assert (asked.requested, asked.doubted) == ([], [])


def test_it_looks_now_and_then() -> None:
    asked = Asked()
    watched = watch(asked, {1: Trust.SUSPECT})
    late = 100 * LOOK_EVERY_NS
    times = (0, LOOK_EVERY_NS - 1, LOOK_EVERY_NS, late, late + 1, late - LOOK_EVERY_NS)
    assert [watched.look(at) for at in times] == [1, 0, 1, 1, 0, 1]  # the last after a step back


def test_a_market_that_nothing_is_heard_of_is_asked_for_and_then_in_doubt() -> None:
    asked = Asked()
    watched = watch(asked, {1: Trust.LIVE, 2: Trust.LIVE})
    asked.rows["recv_ns"][[1, 2]] = 1_000, SILENCE_NS  # the second one is heard of later
    assert watched.look(1_000 + SILENCE_NS - 1) == 0
    assert watched.look(1_000 + SILENCE_NS + LOOK_EVERY_NS) == 1
    assert (asked.wanted, asked.requested, asked.doubted) == ([("A", False)], [], [])
    at_ns = 1_000 + 2 * SILENCE_NS
    watched.look(at_ns)
    assert asked.doubted == [(1, Reason.FEED_SILENT, 1_000, at_ns)]
    assert asked.requested == [(1, at_ns)]
    assert watched.silent == 1


def test_a_live_book_that_was_asked_for_and_heard_of_has_arrived() -> None:
    """Otherwise the next need of it would have to wait twice as long, each time."""
    asked = Asked()
    watched = watch(asked, {1: Trust.LIVE})
    asked.rows["recv_ns"][1] = 1_000
    assert watched.look(1_000 + SILENCE_NS) == 1
    assert asked.arrived == []
    watched.look(1_000 + SILENCE_NS + LOOK_EVERY_NS)
    assert asked.arrived == [], "nothing was heard of it since"
    asked.rows["recv_ns"][1] = 1_001 + SILENCE_NS + LOOK_EVERY_NS
    watched.look(1_000 + SILENCE_NS + 2 * LOOK_EVERY_NS)
    assert asked.arrived == ["A"]
    watched.look(1_000 + SILENCE_NS + 3 * LOOK_EVERY_NS)
    assert asked.arrived == ["A"]


def test_a_silence_is_told_once_while_the_row_of_another_process_does_not_show_it() -> None:
    asked = Asked()
    asked.shows = False
    watched = watch(asked, {1: Trust.LIVE})
    for number in range(2, 5):
        watched.look(number * SILENCE_NS)
    assert (len(asked.doubted), watched.silent) == (1, 1)
    asked.rows["recv_ns"][1] = 5 * SILENCE_NS  # heard of again, and lost again
    watched.look(5 * SILENCE_NS)
    assert watched.look(7 * SILENCE_NS) == 1
    assert [told[2:] for told in asked.doubted] == [
        (0, 2 * SILENCE_NS),
        (5 * SILENCE_NS, 7 * SILENCE_NS),
    ]


def test_rows_are_brought_up_to_date_before_each_look_and_not_between() -> None:
    asked = Asked()
    refreshed: list[int] = []

    def refresh() -> bool:
        refreshed.append(1)
        return True

    made = DoubtWatch(asked.rows, asked, asked, SILENCE_NS, refresh)
    for at_ns in (0, 1, LOOK_EVERY_NS):
        made.look(at_ns)
    assert len(refreshed) == 2


def test_one_that_answers_stays_live() -> None:
    asked = Asked()
    watched = watch(asked, {1: Trust.LIVE})
    for number in range(1, 10):
        asked.rows["recv_ns"][1] = (number - 1) * SILENCE_NS
        assert watched.look(number * SILENCE_NS) == 1
    assert asked.doubted == []


def test_a_clock_behind_the_receipt_of_a_book_makes_nothing_old() -> None:
    asked = Asked()
    watched = watch(asked, {1: Trust.LIVE})
    asked.rows["recv_ns"][1] = 10 * SILENCE_NS
    assert watched.look(0) == 0


def test_a_book_that_came_back_is_said_once() -> None:
    asked = Asked()
    watched = watch(asked, {1: Trust.SUSPECT, 2: Trust.LIVE, 5: Trust.RESYNC})
    for number, trusts in enumerate(((2, 1, 3), (1, 1, 3), (1, 1, 4), (2, 1, 4), (1, 1, 4))):
        for slot, trust in zip((1, 2, 5), trusts, strict=True):
            asked.rows[slot]["trust"] = trust
        watched.look(number * LOOK_EVERY_NS)
    assert asked.arrived == ["A", "A"]


def test_while_no_row_changes_only_a_look_now_and_then_is_at_every_book() -> None:
    asked, wanted = Asked(), Table.create(8, WANTED_ROW)
    news = [True]
    made = DoubtWatch(asked.rows, asked, asked, SILENCE_NS, lambda: news[-1], wanted=wanted.rows)
    made.add(MarketRef(3, 1), market_with_defaults(load_fee_table(load_config()), Venue.KALSHI, "A", 0))
    looks = WHOLE_EVERY_NS // LOOK_EVERY_NS

    def look(number: int) -> int:
        made.look(7 + number * LOOK_EVERY_NS)
        return len(asked.wanted)

    assert look(0) == 1
    news.append(False)
    assert [look(number) for number in range(1, looks + 2)] == [1] * (looks - 1) + [2, 2]
    news.append(True)
    assert look(looks + 2) == 3
    news.append(False)
    assert look(looks + 3) == 3
    wanted.rows[3]["wanted_ns"] = 5  # by another reader
    assert look(looks + 4) > 3


@pytest.mark.parametrize("trust", [Trust.SUSPECT, Trust.LIVE], ids=["in doubt", "silent"])
def test_of_thousands_that_wait_a_look_names_some_and_the_next_goes_on(trust: Trust) -> None:
    """Whoever has stakes is named in the first; the others each as often as the others."""
    n_books, urgent = 10 * NAMED_MAX + 7, 9 * NAMED_MAX + 3
    asked = Asked()
    asked.rows = np.zeros(n_books, BOOK_ROW)
    asked.rows["trust"], asked.takes = trust, set()
    made = DoubtWatch(
        asked.rows, asked, asked, SILENCE_NS, has_orders=lambda slots: np.asarray(slots == urgent)
    )
    spec = market_with_defaults(load_fee_table(load_config()), Venue.KALSHI, "A", 0)
    for slot in range(n_books):
        made.add(MarketRef(slot, 1), replace(spec, symbol=str(slot)))
    looks = 11
    for number in range(looks):
        before = len(asked.wanted)
        made.look(SILENCE_NS + number * LOOK_EVERY_NS)
        assert len(asked.wanted) - before == NAMED_MAX
        assert asked.wanted[before] == (str(urgent), True)
    named = Counter(symbol for symbol, _ in asked.wanted)
    assert named.pop(str(urgent)) == looks
    assert set(named) == {str(slot) for slot in range(n_books)} - {str(urgent)}
    assert set(named.values()) <= {1, 2}


def test_turns_go_round_whatever_leaves_or_comes() -> None:
    turns = Turns()
    slots = np.arange(NAMED_MAX + 2)
    none = np.zeros(len(slots), np.bool_)
    assert [slot for slot, _ in turns.next(slots, none)] == list(range(NAMED_MAX))
    assert [slot for slot, _ in turns.next(slots, none)][:3] == [NAMED_MAX, NAMED_MAX + 1, 0]
    assert turns.next(slots[:2], none[:2]) == [(0, False), (1, False)]
    assert turns.next(slots[:0], none[:0]) == []
    assert [slot for slot, _ in turns.next(slots[:4], none[:4])] == [2, 3, 0, 1]
    every = ~none
    assert {urgent for _, urgent in turns.next(slots, every)} == {True}
    assert len(turns.next(slots, every)) == NAMED_MAX
