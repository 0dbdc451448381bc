"""The strategy stage when tops were overwritten before it could read them."""

from __future__ import annotations

import numpy as np
import pytest

from engine.catalog.market import GroupKind
from engine.records import SIGNAL_HEAD, TOP, Trust, Venue
from engine.strategies.scanner import ArbitrageScanner
from procs.strategy import StrategyAgent
from procs.view import BookView
from procs.wires import TOP_CELLS, Wires
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
