"""The strategy stage when tops were overwritten before it could read them."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from engine.catalog.market import GroupKind
from engine.records import (
    DECISION,
    ORDER_EVENT,
    SIGNAL_HEAD,
    TOP,
    DecisionStage,
    Direction,
    OrderStatus,
    Outcome,
    Trust,
    Venue,
)
from engine.strategies.scanner import ArbitrageScanner
from procs.agent import Follow
from procs.strategy import StrategyAgent
from procs.top_kernel import Place
from procs.view import BookView
from procs.wires import TOP_CELLS, ReaderFenced, Wires
from shm.atomics import address_of
from shm.barrier import announced
from shm.table import begin_row, end_row
from tests.engine.strategies.stage import NOW, Stage, config

pytestmark = pytest.mark.compiled_only

SLOTS = 16
VENUE = Venue.POLYMARKET
CHEAP, DEAR = [(4_000, 100)], [(6_500, 100)]
OUTCOMES = ("yes", "no")  # of one event; both bought below a dollar are an opportunity
BUSY = "busy"  # a market that belongs to no candidate


class Floor:
    """A book stage that this test is, and the strategy behind its rings."""

    def __init__(self, follow: Follow | None = None) -> None:
        self.stage = Stage(SLOTS)
        for name in OUTCOMES:
            self.stage.add(name, VENUE, group="g", group_kind=GroupKind.EXACTLY_ONE, group_size=2)
        self.stage.add(BUSY, VENUE)
        self.wires = Wires.create(list(Venue), SLOTS)
        view = BookView(self.wires.books, SLOTS)
        scanner = ArbitrageScanner(self.stage.catalog, self.stage.relations(), view.rows, config())
        self.agent = StrategyAgent(scanner, view, self.wires, follow)
        self._signals = self.wires.signals.observer()
        self._heads = self._signals.records(SIGNAL_HEAD)
        self._optimizer = self.wires.signals.reader("optimizer", 0)
        self._decisions = self.wires.decisions[DecisionStage.STRATEGY].reader("log", 0)
        self._decision_rows = self._decisions.records(DECISION)

    def quote(self, name: str, asks: list[tuple[int, int]], trust: Trust = Trust.LIVE) -> None:
        """Publish a row and the top that announces it."""
        slot = self.stage.slots[name]
        self.stage.books[slot]["trust"] = trust
        self.stage.quote(name, asks=asks)
        self.wires.books[VENUE].write(slot, self.stage.books[slot : slot + 1])
        self._publish(name, 1)

    def flood(self) -> None:
        """More tops of one market than the ring has room for."""
        self._publish(BUSY, TOP_CELLS + 1)

    def _publish(self, name: str, times: int) -> None:
        tops = np.zeros(times, TOP)
        tops[:] = self.stage.top(name)
        self.wires.tops[VENUE].publish_each(tops)

    def signals(self) -> int:
        """Let the stage work; how many signals came of it."""
        while self.agent.do_work(NOW):
            pass
        found = 0
        while self._signals.poll(1) > 0:
            found += 1
        return found

    def said(self, signal_id: int, status: OrderStatus, *, is_done: bool) -> None:
        """Publish an event of the plan that came of a signal; nothing was filled."""
        event = np.zeros(1, ORDER_EVENT)
        event["slot"], event["venue"] = self.stage.slots["yes"], VENUE
        event["order_id"], event["signal_id"] = 1, signal_id
        event["status"], event["plan_done"] = status, is_done
        assert self.wires.events.publish(event)

    def decided(self) -> list[int]:
        """Slots of the markets whose changes were decided on since the last look."""
        found: list[int] = []
        while (n_decisions := self._decisions.poll()) > 0:
            found += self._decision_rows["slot"][:n_decisions].tolist()
        return found


@pytest.fixture
def floor() -> Floor:
    """One outcome is cheap, the other dear: nothing to do."""
    floor = Floor()
    floor.quote("yes", CHEAP)
    floor.quote("no", DEAR)
    floor.quote(BUSY, CHEAP)
    assert floor.signals() == 0
    return floor


def test_an_opportunity_whose_top_was_lost_is_found(floor: Floor) -> None:
    floor.quote("no", CHEAP)
    floor.flood()
    assert floor.signals() == 1
    assert floor.agent.lost > 0
    assert floor.signals() == 0, "looked at once"


def test_a_book_whose_doubt_was_lost_is_not_acted_on(floor: Floor) -> None:
    """The other outcome becomes cheap when this one cannot be believed any more."""
    floor.quote("yes", CHEAP, Trust.SUSPECT)
    floor.flood()
    assert floor.signals() == 0
    floor.quote("no", CHEAP)
    assert floor.signals() == 0
    floor.quote("yes", CHEAP)
    assert floor.signals() == 1


def test_without_a_loss_every_top_is_looked_at_as_it_comes(floor: Floor) -> None:
    floor.quote("no", CHEAP)
    assert floor.signals() == 1
    assert floor.agent.lost == 0


def test_markets_that_are_new_when_tops_were_lost_are_decided_on_in_their_own_table(
    floor: Floor,
) -> None:
    """The candidates are found anew while the lost tops are made up for, outside the compiled call."""
    names = tuple(f"late {number}" for number in range(6))
    for name in names:
        floor.stage.add(name, VENUE, group="h", group_kind=GroupKind.EXACTLY_ONE, group_size=len(names))
        floor.quote(name, [(1_000, 100)])
    floor.flood()
    assert floor.signals() == 1
    for name in names:
        floor.quote(name, [(3_000, 100)])
    assert floor.signals() == 0
    scan = floor.agent._scan
    assert scan is not None
    assert scan._places[Place.ROWS] == address_of(floor.agent.scanner.table.rows)


def test_what_we_took_is_not_on_offer_though_its_row_was_busy_when_we_heard_of_it(floor: Floor) -> None:
    slot = floor.stage.slots["yes"]
    event = np.zeros(1, ORDER_EVENT)
    event["slot"], event["generation"], event["venue"] = slot, floor.stage.books[slot]["generation"], VENUE
    event["price_e4"], event["fill_size_e6"] = CHEAP[0][0], CHEAP[0][1] * 1_000_000
    event["direction"], event["outcome"] = Direction.BUY, Outcome.YES
    table = floor.wires.books[VENUE].address
    assert begin_row(table, slot) == 0
    assert floor.wires.events.publish(event)
    floor.agent.do_work(NOW)
    assert end_row(table, slot) == 0
    floor.quote("no", CHEAP)
    floor.quote("yes", CHEAP)
    assert floor.signals() == 0, "all of it is ours"


def test_what_orders_did_is_known_before_the_tops_of_the_same_turn_are_decided_on(floor: Floor) -> None:
    floor.quote("no", CHEAP)
    assert floor.signals() == 1
    floor.said(1, OrderStatus.SENT, is_done=False)
    floor.quote("no", CHEAP)
    assert floor.agent.do_work(NOW) == 2
    floor.said(1, OrderStatus.CANCELLED, is_done=True)
    floor.quote("no", CHEAP)
    assert floor.agent.do_work(NOW) == 2, "an event and a top"
    assert floor.agent.signals == 2, "not while the plan was not done, and at once when it was"
    assert floor.agent.do_work(NOW) == 0


def test_tops_of_both_venues_are_decided_on_in_one_turn_one_ring_after_the_other() -> None:
    floor = Floor()
    floor.stage.add("other", Venue.KALSHI)
    floor.agent.scanner.prepare()
    slots = [floor.stage.slots[name] for name in ("yes", "other", "no")]
    for name, venue in (("yes", VENUE), ("other", Venue.KALSHI), ("no", VENUE)):
        slot = floor.stage.slots[name]
        floor.stage.quote(name, [(2_000, 100)], DEAR)
        floor.wires.books[venue].write(slot, floor.stage.books[slot : slot + 1])
        floor.wires.tops[venue].publish(np.array([floor.stage.top(name)], TOP))
    assert floor.agent.do_work(NOW) == 3
    assert list(dict.fromkeys(floor.decided())) == [slots[0], slots[2], slots[1]]
    assert (floor.agent.tops, floor.agent.lost) == (3, 0)


def test_the_catalog_is_followed_before_tops_that_name_what_is_new_and_not_without_news() -> None:
    followed: list[int] = []

    def follow() -> None:
        followed.append(announced(made.wires.catalog.barrier.address))
        made.stage.add("late", VENUE, group="g", group_kind=GroupKind.EXACTLY_ONE, group_size=2)

    made = Floor(follow)
    barrier = made.wires.catalog.barrier
    assert made.agent.do_work(NOW) == 0
    assert followed == [], "no top has come"
    ahead = Stage(SLOTS)  # as in the process that met it
    for name in (*OUTCOMES, BUSY, "late"):
        ahead.add(name, VENUE)
    barrier.announce(4)
    made.wires.books[VENUE].write(3, ahead.books[3:4])
    made.wires.tops[VENUE].publish(np.array([ahead.top("late")], TOP))
    assert made.agent.do_work(NOW) == 1
    assert followed == [4]
    assert made.decided().count(3) > 0
    made.quote("yes", DEAR)
    assert made.agent.do_work(NOW) == 1
    assert followed == [4]


def test_a_stage_that_nobody_waits_for_any_more_says_so() -> None:
    floor = Floor()
    assert floor.agent.do_work(NOW) == 0
    assert floor.wires.events.fence_silent(NOW, 1) == 1
    with pytest.raises(ReaderFenced, match="events"):
        floor.agent.do_work(NOW)


def test_turns_keep_nothing(floor: Floor) -> None:
    """Turns that find nothing, that decide, and that give a signal."""

    def play(times: int) -> None:
        for _ in range(times):
            floor.agent.do_work(NOW)
            for price in (DEAR, CHEAP):
                floor.quote("no", price)
                floor.agent.do_work(NOW)
            floor.agent.scanner.table.busy_until_ns[:] = 0
            floor.decided()
            while floor._optimizer.poll() > 0:
                pass

    play(20)
    before, signals = sys.getallocatedblocks(), floor.agent.signals
    play(400)
    assert floor.agent.signals - signals == 400
    assert sys.getallocatedblocks() - before < 100, "blocks more after 1,200 turns"
