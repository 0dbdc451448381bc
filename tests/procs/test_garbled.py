"""A garbled message on the way of money, at each stage that is handed one: dropped, said once, all halted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.config import Role
from engine.reasons import Reason
from engine.records import (
    ORDER_EVENT,
    ORDER_REQUEST,
    PLAN_HEAD,
    PLAN_LEG,
    SIGNAL_HEAD,
    SIGNAL_LEG,
    VENUE_REPORT,
    RequestKind,
    Venue,
)
from engine.sim.session.build import build_session
from procs.cli.exit_codes import exit_code_of
from procs.config_files import load_config, load_fee_table
from procs.control_words import ControlWords
from procs.found_segments import found_segments, ring_numbers
from procs.garbled import MessageGarbled, ReportDropped
from procs.halt import HaltSwitch
from procs.parts import VENUES, EngineParts, Scene
from procs.stages import Stages
from procs.supervisor import REFUSALS
from procs.wires import Wires, publish, publish_each
from shm.layout import CELL_HEADER_BYTES, RING
from shm.ring import Records, RefusingRing

SLOTS = 256
ROLES = (Role.STRATEGY, Role.OPTIMIZER, Role.EXECUTOR, Role.VENUE_SIM)
CONFIG = load_config(assignments=[f"engine.market_slots={SLOTS}"])


def spoil(ring: RefusingRing, position: int) -> None:
    """Turn a few bytes in the middle of a published payload, as another process could."""
    start = RING.itemsize + (position % ring.capacity) * (CELL_HEADER_BYTES + ring.payload_bytes)
    ring.segment.bytes_at(start + CELL_HEADER_BYTES + 40, 4)[:] ^= 0x5A


class Engine:
    """The stages behind the books, over wires in a folder; a halt is heard, and can be the real one."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        session = build_session(1)
        self.now_ns = session.frames[0].recv_ns
        scene = Scene(session.markets, session.relations, load_fee_table(CONFIG), self.now_ns)
        self.wires = Wires.create(VENUES, SLOTS, folder)
        self.lines: list[str] = []
        self.wires.alarm.halt = self.lines.append
        self.stages = Stages(EngineParts(CONFIG, scene, self.wires, ROLES, 1), ROLES)
        assert self.stages.executor is not None
        for _ in range(100):  # until the venues have said that they know nothing of us
            self.turn()
            self.now_ns += 100_000_000
        assert self.stages.executor.is_ready

    def turn(self) -> None:
        """Every stage once."""
        for agent in self.stages.in_order():
            agent.do_work(self.now_ns)

    def send(self, name: str) -> RefusingRing:
        """Publish three messages that nobody can do anything with in a ring, and spoil the second."""
        ring = self.ring(name)
        first = ring.published_cells
        if name in ("plans", "signals"):
            plans = name == "plans"
            heads = np.zeros(3, PLAN_HEAD if plans else SIGNAL_HEAD)
            legs = np.zeros(2, PLAN_LEG if plans else SIGNAL_LEG)
            heads["plan_id" if plans else "signal_id"], legs["venue"] = (901, 902, 903), Venue.KALSHI
            if not plans:
                heads["n_legs"] = len(legs)
            for number in range(3):
                publish(ring, heads[number : number + 1], legs, name)
            spoil(ring, first + 4)
            return ring
        dtypes = {"events": ORDER_EVENT, "requests": ORDER_REQUEST, "reports": VENUE_REPORT}
        records: Records = np.zeros(3, dtypes[name.partition(".")[0]])
        if name.startswith("requests"):
            records["kind"] = RequestKind.CANCEL
        records["venue"], records["plan_id"] = Venue.KALSHI, 900
        publish_each(ring, records, name)
        spoil(ring, first + 1)
        return ring

    def ring(self, name: str) -> RefusingRing:
        """By the name of its file."""
        what, _, venue = name.partition(".")
        if venue:
            ring: RefusingRing = getattr(self.wires, what)[Venue[venue.upper()]]
            return ring
        found: RefusingRing = getattr(self.wires, what)
        return found

    def heard(self, name: str) -> list[int]:
        """How many of those three each of its readers has acted on."""
        executor, strategy, optimizer = self.stages.executor, self.stages.strategy, self.stages.optimizer
        assert executor is not None
        assert strategy is not None
        assert optimizer is not None
        if name == "plans":
            return [executor.executor.counts.refused_plans]
        if name == "signals":
            return [optimizer.signals]
        if name == "events":
            return [strategy._events.received_messages, optimizer._events.received_messages]
        return [self.stages.venues[Venue.KALSHI].sim.cancels]


@pytest.mark.parametrize("name", ["signals", "plans", "requests.kalshi", "events"])
def test_it_is_dropped_said_and_what_comes_behind_it_is_taken(name: str, tmp_path: Path) -> None:
    engine = Engine(tmp_path / "run")
    before = engine.heard("events") if name == "events" else [0]
    ring = engine.send(name)
    engine.turn()
    engine.turn()
    now = engine.heard(name)
    new = [after - were for after, were in zip(now, before, strict=True)] if name == "events" else now
    assert set(new) == {2}
    readers = 2 if name == "events" else 1
    assert len(engine.lines) == readers
    for line in engine.lines:
        assert line.startswith(f"{name}: the message before cell ")
        assert line.endswith(" is not what was published: dropped (1 so far)")
    numbers = {found.name: found for found in ring_numbers(found_segments(tmp_path / "run"))}
    assert [reader.garbled for reader in numbers[name].readers] == [1] * readers
    assert sum(reader.garbled for found in numbers.values() for reader in found.readers) == readers
    assert ring.refusals == {"size": 0, "full": 0, "fenced": 0}


def test_an_executor_that_a_report_is_missing_to_halts_takes_what_came_with_it_and_ends(
    tmp_path: Path,
) -> None:
    """Whatever it was about: a payment, or a trade that failed, nobody would ask for."""
    engine = Engine(tmp_path / "run")
    executor = engine.stages.executor
    assert executor is not None
    engine.send("reports.polymarket")
    executor.do_work(engine.now_ns)
    assert (executor.executor.counts.unknown_orders, engine.lines) == (1, []), "what came before it"
    engine.send("plans")
    line = "reports.polymarket: the message before cell [0-9]+ is not what was published"
    with pytest.raises(ReportDropped, match=f"^{line}: dropped .1 so far.: this executor ends, .*compared$"):
        executor.do_work(engine.now_ns)
    [said] = engine.lines
    assert said.startswith("reports.polymarket: the message before cell ")
    assert executor.executor.counts.unknown_orders == 2
    assert engine.heard("plans") == [0], "no plan was taken any more"
    assert exit_code_of(ReportDropped(said)) not in REFUSALS, "its owner begins it again"


@pytest.mark.parametrize("name", ["plans", "reports.polymarket"])
def test_where_nobody_can_be_halted_it_is_an_error(name: str, tmp_path: Path) -> None:
    engine = Engine(tmp_path / "run")
    engine.wires.alarm.halt = None
    engine.send(name)
    line = f"{name}: the message before cell [0-9]+ is not what was published: dropped .1 so far.$"
    if name != "plans":
        engine.turn()  # all that came before it is taken first
    with pytest.raises(MessageGarbled, match=line):
        engine.turn()


def test_only_rings_on_the_way_of_money_are_checked(tmp_path: Path) -> None:
    wires = Engine(tmp_path / "run").wires
    checked = {
        ring.segment.path.name
        for ring in (
            *(*wires.updates.values(), *wires.notes.values(), *wires.tops.values()),
            *(wires.signals, wires.plans, wires.events),
            *(*wires.requests.values(), *wires.reports.values(), *wires.decisions.values()),
        )
        if ring.header["sums_at"] and ring.segment.path
    }
    assert checked == {
        *("signals", "plans", "events", "requests.kalshi", "requests.polymarket"),
        *("reports.kalshi", "reports.polymarket"),
    }


def test_a_halt_for_it_is_latched_once_with_its_line(tmp_path: Path) -> None:
    switch = HaltSwitch(tmp_path, ControlWords.create(None))
    for count in (1, 2):
        switch.latch(Reason.MESSAGE_GARBLED, "venues", f"plans: dropped ({count} so far)")
    [halt] = switch.state().halts
    assert (halt.reason, halt.who, halt.text) == ("message_garbled", "venues", "plans: dropped (1 so far)")
    assert switch.in_force
