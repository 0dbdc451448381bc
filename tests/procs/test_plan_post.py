"""Signals and plans that pass in compiled calls are those that pass one by one."""

from __future__ import annotations

import random
import sys
from dataclasses import replace

import numpy as np
import pytest

from engine.config import Role
from engine.records import (
    ACCOUNT_ROW,
    DECISION,
    ORDER_EVENT,
    PLAN_HEAD,
    SIGNAL_HEAD,
    SIGNAL_LEG,
    DecisionStage,
    Direction,
    OrderStatus,
    Outcome,
    Trust,
)
from engine.sim.session.build import build_session
from procs import wires as wires_module
from procs.config_files import load_config, load_fee_table
from procs.ladder import Ladder, OptimizerRung, Rung
from procs.parts import VENUES, EngineParts, Scene
from procs.plan_kernel import NO_VERSION, Place
from procs.recording_frames import Frame
from procs.wires import RingFull, Wires
from shm.histogram import Histograms
from shm.ring import Records, cell_index
from shm.table import begin_row
from tests.procs.test_garbled import spoil

pytestmark = pytest.mark.compiled_only

SEED = 2
SLOTS = 256
CONFIG = load_config(assignments=[f"engine.market_slots={SLOTS}"])
SESSION = build_session(SEED)
FRAMES = [Frame(frame.recv_ns, frame.venue, frame.conn, frame.raw.encode()) for frame in SESSION.frames]
CASH_MICROS = 10_000_000_000
STAMP_NS = 2_000_000_000 * 10**9


class Floor:
    """All stages up to the optimizer; the executor is the test. ``is_led``: the strategy leads to it."""

    def __init__(
        self,
        *,
        is_compiled: bool,
        rung: OptimizerRung | None = None,
        is_led: bool = False,
        has_cash: bool = True,
    ) -> None:
        scene = Scene(SESSION.markets, SESSION.relations, load_fee_table(CONFIG), FRAMES[0].recv_ns)
        self.wires = Wires.create(VENUES, SLOTS)
        roles = (Role.FEED, Role.BOOK, Role.STRATEGY, Role.OPTIMIZER)
        self.parts = parts = EngineParts(CONFIG, scene, self.wires, roles, 1, ladder=Ladder(optimizer=rung))
        self.feeds = {venue: parts.feed(venue) for venue in VENUES}
        self.books = {venue: parts.book(venue) for venue in VENUES}
        self.strategy, self.optimizer = parts.strategy(), parts.optimizer()
        self.wires.catalog.publish(parts.catalog, range(len(parts.catalog)))
        if not is_compiled:
            self.optimizer._post = None  # as where the wires are taped
        if is_led:
            self.strategy.lead_to(self.optimizer)
        if has_cash:
            self.pay()
        stages = self.wires.decisions
        self._decided = stages[DecisionStage.OPTIMIZER].reader("log", 0)
        self._others = [stages[DecisionStage.STRATEGY].reader("log", 0)]
        self._plans = self.wires.plans.reader("executor", 0)
        self._heads = self._plans.records(PLAN_HEAD)

    def pay(self) -> None:
        """Say what cash there is."""
        account = np.zeros(1, ACCOUNT_ROW)
        account["cash_micros"] = CASH_MICROS
        for venue in VENUES:
            self.wires.accounts.write(int(venue), account)

    def find(self, frames: list[Frame]) -> None:
        """Some frames in one turn of the strategy."""
        for frame in frames:
            self.feeds[frame.venue].on_frame(frame.raw, frame.recv_ns, frame.conn)
            self.books[frame.venue].do_work(frame.recv_ns)
        self.strategy.do_work(frames[-1].recv_ns)
        for reader in self._others:
            while reader.poll() > 0:
                pass

    def take(self, frames: list[Frame]) -> int:
        """Some frames in one turn of strategy and optimizer; what the optimizer handled."""
        self.find(frames)
        return self.optimizer.do_work(frames[-1].recv_ns)

    def find_all(self) -> None:
        """The same, and the optimizer has its turn only where it is led to."""
        for frame in FRAMES:
            self.find([frame])

    def take_all(self) -> None:
        """The whole session, and nobody reads what comes of it."""
        for frame in FRAMES:
            self.take([frame])

    def said(self) -> tuple[bytes, bytes, list[np.void]]:
        """Plans with legs, decisions, and the heads of these plans, since the last look."""
        n_cells = max(self._plans.poll(), 0)
        firsts = [cell for cell in range(n_cells) if cell_index(int(self._plans.tags[cell])) == 0]
        n_decisions = max(self._decided.poll(), 0)
        decisions: Records = self._decided.records(DECISION)[:n_decisions]
        return self._heads[:n_cells].tobytes(), decisions.tobytes(), [self._heads[at].copy() for at in firsts]

    def end(self, plan: np.void, *, is_filled: bool) -> None:
        """A plan is done; some of the market that caused it may be ours now."""
        event = np.zeros(1, ORDER_EVENT)
        for name in ("plan_id", "signal_id", "slot"):
            event[name] = plan[name]
        row = self.optimizer._view.rows[int(plan["slot"])]
        event["generation"], event["venue"] = row["generation"], row["venue"]
        event["status"], event["plan_done"], event["order_id"] = OrderStatus.FILLED, 1, 1
        if is_filled and row["n_asks"]:
            event["price_e4"] = row["ask_e4"][0]
            event["fill_size_e6"] = int(row["ask_size_e6"][0]) // 2 + 1
            event["direction"], event["outcome"] = Direction.BUY, Outcome.YES
        assert self.wires.events.publish(event)


@pytest.mark.parametrize("is_led", [False, True])
def test_every_plan_and_decision_is_the_same(is_led: bool) -> None:
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    one, two = Floor(is_compiled=True, is_led=is_led), Floor(is_compiled=False)
    at = n_decisions = ours = 0
    open_plans: list[np.void] = []
    while at < len(FRAMES):
        n_frames = chance.choice((1, 1, 3, 40))
        if open_plans and chance.randrange(3) == 0:
            plan = open_plans.pop(chance.randrange(len(open_plans)))
            is_filled = chance.randrange(2) == 0
            ours += is_filled
            for floor in (one, two):
                floor.end(plan, is_filled=is_filled)
        works = [floor.take(FRAMES[at : at + n_frames]) for floor in (one, two)]
        assert is_led or works[0] == works[1], f"frames from {at}"
        (plans, decisions, heads), expected = one.said(), two.said()
        assert (plans, decisions) == expected[:2], f"frames from {at}"
        open_plans += heads
        n_decisions += len(decisions) // DECISION.itemsize
        at += n_frames
    assert one.optimizer.plans == two.optimizer.plans > 10
    assert one.optimizer.signals == two.optimizer.signals == n_decisions > one.optimizer.plans
    assert one.optimizer._view.rows.tobytes() == two.optimizer._view.rows.tobytes()
    assert ours > 5


def test_signals_on_books_of_which_something_is_ours_are_planned_in_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    floor = Floor(is_compiled=True)
    allocator = floor.optimizer.allocator
    together, answers = allocator.allocate_together, []

    def noted(heads: Records, legs: Records, n_signals: int, now_ns: int) -> tuple[int, int]:
        answers.append(together(heads, legs, n_signals, now_ns))
        return answers[-1]

    monkeypatch.setattr(allocator, "allocate_together", noted)
    plans: list[np.void] = []
    for frame in FRAMES:
        if plans:
            floor.end(plans.pop(0), is_filled=True)
        floor.take([frame])
        plans += floor.said()[2]
    assert floor.optimizer._view.by_hand.any()
    assert floor.optimizer.plans > 15
    assert sum(n_plans for n_plans, _ in answers) == 0  # what they were asked about became no plan


def test_an_event_that_only_ends_a_plan_needs_no_python(monkeypatch: pytest.MonkeyPatch) -> None:
    floor = Floor(is_compiled=True)
    allocator, plans = floor.optimizer.allocator, []
    for frame in FRAMES:
        floor.take([frame])
        plans = floor.said()[2]
        if plans:
            break
    [plan] = plans
    assert (len(allocator.holds), len(allocator.shadows) > 0) == (1, True)
    monkeypatch.setattr(allocator, "on_order_event", None)
    floor.end(plan, is_filled=False)
    assert floor.optimizer.do_work(0) == 1
    assert (len(allocator.holds), allocator.holds.orders, len(allocator.shadows)) == (0, 0, 0)
    floor.end(plan, is_filled=False)  # told twice
    assert floor.optimizer.do_work(0) == 1
    assert len(allocator.holds) == 0


def test_a_row_its_writer_is_at_makes_no_plan() -> None:
    floor = Floor(is_compiled=True)
    for frame in FRAMES:
        floor.find([frame])
        if floor.strategy.signals:
            break
        floor.optimizer.do_work(frame.recv_ns)
    for venue in VENUES:
        for slot in range(SLOTS):
            begin_row(floor.wires.books[venue].address, slot)
    assert floor.optimizer.do_work(frame.recv_ns) > 0
    assert (floor.optimizer.signals > 0, floor.optimizer.plans) == (True, 0)
    assert floor.optimizer._view.stale_reads > 0
    assert Trust.SUSPECT in floor.optimizer._view.rows["trust"]


@pytest.mark.parametrize(("venue", "slot"), [(1, SLOTS), (2, -1), (0, 0), (3, 0)])
def test_a_leg_about_no_row_ends_the_stage_and_touches_nothing(venue: int, slot: int) -> None:
    floor = Floor(is_compiled=True)
    head, legs = np.zeros(1, SIGNAL_HEAD), np.zeros(1, SIGNAL_LEG)
    head["n_legs"], legs["slot"], legs["venue"] = 1, slot, venue
    assert floor.wires.signals.publish(head, legs)
    before = floor.optimizer._view.rows.tobytes()
    with pytest.raises(ValueError, match=f"not there: venue {venue}, slot {slot}"):
        floor.optimizer.do_work(1)
    assert floor.optimizer._view.rows.tobytes() == before


def test_plans_are_stamped_and_counted() -> None:
    histograms = Histograms.create([Rung.SIGNAL_PLAN])
    floor = Floor(is_compiled=True, rung=OptimizerRung(histograms, lambda: STAMP_NS))
    stamps = set()
    for frame in FRAMES:
        floor.take([frame])
        _, _, heads = floor.said()
        stamps |= {int(head["plan_ns"]) for head in heads}
    assert min(stamps) >= STAMP_NS  # and what passed by the processor's counter
    assert histograms[Rung.SIGNAL_PLAN].count == floor.optimizer.plans > 15


@pytest.mark.parametrize(("ring", "what"), [("ORDER_CELLS", "plans"), ("DECISION_CELLS", "decisions")])
def test_a_ring_without_room_ends_the_stage(ring: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wires_module, ring, 64)
    floor = Floor(is_compiled=True)
    with pytest.raises(RingFull, match=f"{what}: the ring has no room"):
        floor.take_all()


def test_a_led_optimizer_has_planned_when_the_strategys_turn_is_over() -> None:
    floor = Floor(is_compiled=True, is_led=True)
    floor.optimizer.do_work(0)
    n_plans = 0
    for frame in FRAMES:
        floor.find([frame])
        heads = floor.said()[2]
        n_plans += len(heads)
        for head in heads:
            floor.end(head, is_filled=n_plans % 2 == 0)
        assert len(heads) == 0 or floor.optimizer.signals > 0
        assert floor.wires.signals.observer(from_oldest=False).poll() == 0
    assert floor.optimizer.plans == n_plans > 15
    before = floor.optimizer.signals
    floor.optimizer.do_work(FRAMES[-1].recv_ns)
    assert floor.optimizer.signals == before == floor.strategy.signals, "none was left to its own turn"


def test_a_led_optimizer_that_knows_no_cash_looks_for_it_first() -> None:
    """And is asked by way of Python until there is some: what it says is the same throughout."""
    one = Floor(is_compiled=True, is_led=True, has_cash=False)
    two = Floor(is_compiled=False, has_cash=False)
    seen = one.optimizer._post
    assert seen is not None
    for number, frame in enumerate(FRAMES):
        if number == len(FRAMES) // 2:
            assert one.optimizer.signals > 0
            assert seen._places[Place.CATALOG_SEEN] == NO_VERSION
            one.pay()
            two.pay()
        one.take([frame])
        two.take([frame])
        assert one.said()[:2] == two.said()[:2]
    assert seen._places[Place.CATALOG_SEEN] == one.optimizer._markets.version > 0
    assert one.optimizer.plans > 0


def test_markets_that_came_are_known_before_a_led_optimizer_plans() -> None:
    floor = Floor(is_compiled=True, is_led=True)
    floor.optimizer.do_work(0)
    catalog, spec = floor.parts.catalog, SESSION.markets[0]
    n_frames = 0
    while floor.optimizer.signals == 0 and n_frames < len(FRAMES):
        if n_frames % 50 == 0:
            catalog.add_market(replace(spec, symbol=f"0x{n_frames:064x}", yes_token="", no_token=""))
            floor.wires.catalog.publish(catalog, range(len(catalog)))
        floor.find([FRAMES[n_frames]])
        n_frames += 1
    assert floor.optimizer.signals > 0
    assert floor.optimizer._markets.version == catalog.version


def test_a_garbled_signal_before_it_is_passed_over_by_a_led_turn() -> None:
    floor, said = Floor(is_compiled=True, is_led=True), list[str]()
    floor.wires.alarm.halt = said.append
    head, legs = np.zeros(1, SIGNAL_HEAD), np.zeros(1, SIGNAL_LEG)
    head["n_legs"] = 1
    for frame in FRAMES:
        floor.find([frame])
        if floor.optimizer.signals:
            break
    before = floor.optimizer.signals
    ring = floor.wires.signals
    position = int(ring.header["head"])
    assert ring.publish(head, legs)
    spoil(ring, position)
    for later in FRAMES[FRAMES.index(frame) + 1 :]:
        floor.find([later])
        if floor.optimizer.signals > before:
            break
    assert len(said) == 1
    assert "signals" in said[0]
    assert floor.optimizer.signals == floor.strategy.signals > before


def test_a_ring_full_of_garbled_signals_is_passed_over_one_by_one() -> None:
    floor, said = Floor(is_compiled=True), list[str]()
    floor.wires.alarm.halt = said.append
    ring, head, legs = floor.wires.signals, np.zeros(1, SIGNAL_HEAD), np.zeros(1, SIGNAL_LEG)
    head["n_legs"] = 1
    positions = []
    while True:
        position = int(ring.header["head"])
        if not ring.publish(head, legs):
            break
        positions.append(position)
    for position in positions:
        spoil(ring, position)
    assert len(positions) > sys.getrecursionlimit()
    assert floor.optimizer.do_work(1) == 0
    assert len(said) == len(positions)


@pytest.mark.parametrize(("ring", "what"), [("ORDER_CELLS", "plans"), ("DECISION_CELLS", "decisions")])
def test_a_ring_without_room_ends_who_leads_to_it(
    ring: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wires_module, ring, 64)
    floor = Floor(is_compiled=True, is_led=True)
    with pytest.raises(RingFull, match=f"{what}: the ring has no room"):
        floor.find_all()


def test_idle_turns_keep_nothing() -> None:
    floor = Floor(is_compiled=True)
    for frame in FRAMES[:50]:
        floor.take([frame])
    floor.optimizer.do_work(0)
    before = sys.getallocatedblocks()
    for _ in range(1_000):
        assert floor.optimizer.do_work(0) == 0
    assert sys.getallocatedblocks() - before < 20
