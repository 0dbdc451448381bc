from __future__ import annotations

from engine.catalog.catalog import Catalog
from procs.agent import Agent, TimedAgent
from procs.catalog_agent import CatalogAgent
from procs.catalog_segment import CatalogSegment, CatalogView
from procs.inline import InlineRunner, VirtualClock
from tests.engine.catalog.specs import PLAIN, market


class Reader:
    """A stage that looks at the catalog once a pass."""

    role = "optimizer"

    def __init__(self, segment: CatalogSegment) -> None:
        self.view = CatalogView(segment, self.role)
        self.refreshes = 0

    def on_start(self, now_ns: int) -> None: ...

    def do_work(self, now_ns: int) -> int:
        self.refreshes += self.view.refresh()
        return 0

    def on_close(self) -> None: ...


def test_it_has_no_clock() -> None:
    agent: Agent = CatalogAgent(Catalog(2), CatalogSegment.create(2, ()))
    assert not isinstance(agent, TimedAgent)


def test_readers_behind_it_see_a_market_in_the_pass_in_which_it_came() -> None:
    catalog, segment = Catalog(2), CatalogSegment.create(2, ("optimizer",))
    agent, reader = CatalogAgent(catalog, segment), Reader(segment)
    old = catalog.add_market(PLAIN)
    runner = InlineRunner([agent, reader], VirtualClock())
    runner.start()
    runner.step()
    assert (int(reader.view.rows[0]["generation"]), reader.refreshes) == (1, 1)
    catalog.remove_market(old.slot)
    runner.step()
    assert (int(reader.view.rows[0]["flags"]), reader.refreshes, agent.freed) == (0, 2, 1)
    catalog.add_market(market("b"))
    catalog.add_market(market("c"))
    runner.step()
    assert sorted(reader.view.rows["generation"].tolist()) == [1, 2]
    runner.close()
