"""The strategy stage when tops were overwritten before it could read them."""

from __future__ import annotations

import numpy as np
import pytest

from engine.catalog.market import GroupKind
from engine.records import ORDER_EVENT, SIGNAL_HEAD, TOP, Direction, Outcome, Trust, Venue
from engine.strategies.scanner import ArbitrageScanner
from procs.strategy import StrategyAgent
from procs.top_kernel import Place
from procs.view import BookView
from procs.wires import TOP_CELLS, Wires
from shm.atomics import address_of
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

    def __init__(self) -> None:
        self.stage = Stage(SLOTS)
        for name in OUTCOMES:
            self.stage.add(name, VENUE, group="g", group_kind=GroupKind.EXACTLY_ONE, group_size=2)
        self.stage.add(BUSY, VENUE)
        self.wires = Wires.create(list(Venue), SLOTS)
        view = BookView(self.wires.books, SLOTS)
        scanner = ArbitrageScanner(self.stage.catalog, self.stage.relations(), view.rows, config())
        self.agent = StrategyAgent(scanner, view, self.wires)
        self._signals = self.wires.signals.observer()
        self._heads = self._signals.records(SIGNAL_HEAD)

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
