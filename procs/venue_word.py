"""What the simulated venues have of us, held against the journal: the last check of every run.

The journal is what an executor wrote down, however often it died. A venue that has other cash or holdings, an
order of ours still resting, or took an order that no journal ever sent, says that something was lost; one
that was shown an order twice says that something was doubled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from engine.execution.recovery import recover
from engine.ledger.journal import read_journal
from engine.ledger.reconcile import Statement
from engine.records import Venue
from procs.disputes import said_of
from procs.sim_venue import SimVenueAgent


@dataclass(frozen=True, slots=True)
class VenueSays:
    """One venue. ``holdings``: (slot, generation, outcome, 1e-6 contract) of each that is not zero.

    ``taken``: ids of the orders it has seen, 8 bytes each, little-endian, in hex; ``repeated`` counts orders
    that came to it again.
    """

    cash_micros: int
    resting: int
    repeated: int
    holdings: tuple[tuple[int, ...], ...]
    taken: str


def said_by(venues: Mapping[Venue, SimVenueAgent]) -> dict[str, VenueSays]:
    """What each simulated venue says now, by its name."""
    return {
        venue.name.lower(): VenueSays(
            cash_micros=agent.sim.cash_micros,
            resting=agent.sim.resting_orders(),
            repeated=agent.sim.repeated,
            holdings=tuple(agent.sim.held_e6()),
            taken=np.array(agent.sim.taken(), "<i8").tobytes().hex(),
        )
        for venue, agent in venues.items()
    }


def differences(journal: bytes, says: Mapping[str, VenueSays]) -> tuple[str, ...]:
    """One line for each thing that a venue has otherwise than the journal; but for cash, told elsewhere."""
    past = recover(read_journal(journal))
    sent = past.sent
    found = []
    if past.open_plans:
        found.append(f"{len(past.open_plans)} plans were not done when the run ended: the journal has them")
    for (of, slot, generation), dispute in past.ledger.disputes().items():
        market = past.markets.get((of, slot, generation), b"").decode(errors="replace")
        found.append(f"{Venue(of).name.lower()}: {market or slot}: {said_of(dispute)}")
    for name, said in says.items():
        venue = Venue[name.upper()]
        statement = Statement(venue, 0)
        statement.cash_micros = past.ledger.cash_micros(venue)
        statement.resting = said.resting
        statement.held_e6 = {(slot, gen, outcome): size for slot, gen, outcome, size in said.holdings}
        found += statement.differences(past.ledger)
        unknown = set(np.frombuffer(bytes.fromhex(said.taken), "<i8").tolist()) - sent
        if unknown:
            found.append(f"{name}: took {len(unknown)} orders that were never sent, first {min(unknown)}")
        if said.repeated:
            found.append(f"{name}: was sent {said.repeated} orders again")
    return tuple(found)
