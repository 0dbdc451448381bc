"""Start of an executor: the one procedure for a first start and for one after a death.

Its past is what the journal says (``engine.execution.recovery.recover``). An executor stands still until
every order is resolved and every account compared (``engine.execution.restart``), also with an empty journal:
a venue may know of us what we do not. Only venues that are as new as the journal are not asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from engine.catalog.catalog import Catalog
from engine.catalog.market import MarketRef
from engine.errors import JournalDamaged
from engine.execution.config import ExecutionConfig
from engine.execution.executor import Executor
from engine.execution.outputs import market_name
from engine.execution.recovery import Past
from engine.execution.restart import Restart
from engine.ids import IdSource
from engine.ledger.journal import Journal
from engine.ledger.ledger import Key
from engine.records import Venue
from engine.risk.gate import Gate
from procs.catalog_segment import CatalogView
from procs.desk import Desk, FreshGate
from procs.executor import ExecutorAgent
from procs.halt import HaltFollower, HaltSwitch
from procs.ladder import ExecutorRung
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
    halt: HaltSwitch | None = None  # of an engine of several processes: its gate follows it, and sets it
    boot_epoch: int = 1  # of this start: ids are of it, or of the journal's next one if that is later
    rung: ExecutorRung | None = None


def start_executor(
    site: Site,
    journal: Journal,
    past: Past,
    cash_micros: Mapping[Venue, int],
    now_ns: int,
    is_full: Callable[[], bool] = lambda: False,
    *,
    new_venues: bool = False,
) -> ExecutorAgent:
    """Make the stage. ``journal`` goes on behind the entries of ``past``; ``cash_micros`` opens a first one.

    ``is_full`` says when the journal has no more room to come (``JournalFile.is_full``). ``new_venues``: the
    venues begin with this journal, which must be empty, and are not asked.
    Raises JournalDamaged when the journal is about markets that this catalog does not have.
    """
    _show_markets(past, site)
    gate = Gate(site.limits, site.markets.rows, site.view.rows)
    desk = Desk(journal, gate, site.view, site.wires, is_full)
    if site.halt is not None:
        switch = site.halt
        desk.on_halt = lambda reason, line: switch.latch(reason, ExecutorAgent.role, line)
    ids = IdSource(max(past.next_boot_epoch, site.boot_epoch))
    desk.begin(past, ids.boot_epoch, cash_micros, now_ns)
    follower = None if site.halt is None else _follow(site.halt, gate)
    executor = Executor(
        site.catalog,
        FreshGate(gate, site.view, follower),
        desk,
        ids,
        site.config,
        site.view.rows,
        site.view.refresh,
    )
    if new_venues and not past.entries:
        return ExecutorAgent(executor, desk, site.markets, site.wires, rung=site.rung)
    executor.restore(past, now_ns)
    desk.commit()
    restart = Restart(executor, desk.ledger, ids, list(site.wires.requests), site.config)
    # all that can have ended in the last call of the dead one, and not been told
    retold = deque(past.ends.values(), maxlen=site.config.plans_open_max + 1)
    untold = executor.out.events[: executor.out.n_events].copy()
    again = [*retold, *untold]
    return ExecutorAgent(executor, desk, site.markets, site.wires, restart, again, site.rung)


def _follow(switch: HaltSwitch, gate: Gate) -> HaltFollower | None:
    """Make halts of the gate durable for everybody, and those of others the gate's; a stop is its own."""
    gate.also_latch(lambda reason: switch.latch(reason) if gate.halted else None)
    return None if switch.words is None else HaltFollower(switch.words, gate)


def _show_markets(past: Past, site: Site) -> None:
    """Check that every market that matters is the one that has its slot now, and show it to the gate.

    The gate reads the segment of the catalog, in which a market may be later than in the catalog.
    """
    site.markets.refresh()
    alive = {key for key, position in past.ledger.positions.items() if not position.flat}
    for plan in past.open_plans:
        alive |= {(int(leg.record["venue"]), leg.slot, leg.token[1]) for leg in plan.legs}
    for key in sorted(alive):
        was, now = past.markets.get(key, b"").decode(errors="replace"), _name_now(site.catalog, key)
        if was != now:
            what = f"slot {key[1]} generation {key[2]} of {Venue(key[0]).name.lower()}"
            raise JournalDamaged(f"journal: orders or holdings in {what}, which was {was!r} and is {now!r}")
        site.markets.rows[key[1]] = site.catalog.rows[key[1]]


def _name_now(catalog: Catalog, key: Key) -> str:
    """Name of the market that has the place now, as a journal would have it; empty when none has."""
    venue, slot, generation = key
    if not catalog.is_current(MarketRef(slot, generation)) or int(catalog.rows[slot]["venue"]) != venue:
        return ""
    return market_name(catalog.spec(slot).symbol).decode(errors="replace")
