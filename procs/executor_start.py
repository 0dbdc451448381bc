"""Start of an executor: the one procedure for a first start and for one after a death.

Its past is what the journal says (``engine.execution.recovery.recover``). An executor with a past stands
still until every order is resolved and every account compared (``engine.execution.restart``); with none it
trades at once, since it never sent anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from engine.catalog.catalog import Catalog
from engine.errors import JournalDamaged
from engine.execution.config import ExecutionConfig
from engine.execution.executor import Executor
from engine.execution.recovery import Past
from engine.execution.restart import Restart
from engine.ids import IdSource
from engine.ledger.journal import Journal
from engine.records import Venue
from engine.risk.gate import Gate
from procs.catalog_segment import CatalogView
from procs.desk import Desk, FreshGate
from procs.executor import ExecutorAgent
from procs.view import BookView
from procs.wires import Wires


@dataclass(frozen=True, slots=True)
class Site:
    """What an executor works in, and what its gate allows (``limits``: GATE_LIMITS)."""

    catalog: Catalog
    markets: CatalogView
    view: BookView
    wires: Wires
    limits: np.void
    config: ExecutionConfig


def start_executor(
    site: Site,
    journal: Journal,
    past: Past,
    cash_micros: Mapping[Venue, int],
    now_ns: int,
    is_full: Callable[[], bool] = lambda: False,
) -> ExecutorAgent:
    """Make the stage. ``journal`` goes on behind the entries of ``past``; ``cash_micros`` opens a first one.

    ``is_full`` says when the journal has no more room to come (``JournalFile.is_full``).
    Raises JournalDamaged when the journal is about markets that this catalog does not have.
    """
    _check_markets(past, site.catalog)
    gate = Gate(site.limits, site.markets.rows, site.view.rows)
    desk = Desk(journal, gate, site.view, site.wires, is_full)
    ids = IdSource(past.next_boot_epoch)
    desk.begin(past, ids.boot_epoch, cash_micros, now_ns)
    executor = Executor(
        site.catalog, FreshGate(gate, site.view), desk, ids, site.config, site.view.rows, site.view.refresh
    )
    if not past.entries:
        return ExecutorAgent(executor, desk, site.markets, site.wires)
    executor.restore(past, now_ns)
    desk.commit()
    restart = Restart(executor, desk.ledger, ids, list(site.wires.requests), site.config)
    # all that can have ended in the last call of the dead one, and not been told
    retold = deque(past.ends.values(), maxlen=site.config.plans_open_max + 1)
    untold = executor.out.events[: executor.out.n_events].copy()
    return ExecutorAgent(executor, desk, site.markets, site.wires, restart, [*retold, *untold])


def _check_markets(past: Past, catalog: Catalog) -> None:
    """Every market of the past is the one that has its slot now: a position is known by nothing else."""
    alive = {key for key, position in past.ledger.positions.items() if not position.flat}
    for plan in past.open_plans:
        alive |= {(int(leg.record["venue"]), leg.slot, leg.token[1]) for leg in plan.legs}
    for venue, slot, generation in sorted(alive):
        row = catalog.rows[slot] if 0 <= slot < catalog.capacity else None
        if row is None or (int(row["venue"]), int(row["generation"])) != (venue, generation):
            where = f"slot {slot} generation {generation} of {Venue(venue).name.lower()}"
            raise JournalDamaged(f"journal: it has orders or holdings in {where}, the catalog does not")
