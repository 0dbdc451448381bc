"""Tops decided in compiled calls come out as those that are looked at one by one."""

from __future__ import annotations

import random
from itertools import cycle

import numpy as np
import pytest

from engine.catalog.relations import RelationTable
from engine.config import Role
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
from engine.sim.session.build import build_session
from engine.venues.counts import Count
from procs.config_files import load_config, load_fee_table
from procs.feed_link import FeedSink
from procs.fused_feed import FusedFeed
from procs.ladder import EngineTime, Ladder, Rung, StrategyRung
from procs.parts import VENUES, EngineParts, Scene
from procs.recording_frames import Frame
from procs.wires import RingFull, Wires
from shm.histogram import Histograms
from shm.ring import Records
from shm.table import begin_row

pytestmark = pytest.mark.compiled_only

SEED = 1
SLOTS = 256
CONFIG = load_config(assignments=[f"engine.market_slots={SLOTS}"])
SESSION = build_session(SEED)
FRAMES = [Frame(frame.recv_ns, frame.venue, frame.conn, frame.raw.encode()) for frame in SESSION.frames]
SOME_FRAMES = FRAMES[:5_000]


class Floor:
    """Feeds, books and strategy, and what the strategy says.

    ``is_led``: feeds and books are one, and the strategy has its turn in their call.
    """

    def __init__(self, *, is_compiled: bool, rung: StrategyRung | None = None, is_led: bool = False) -> None:
        scene = Scene(SESSION.markets, SESSION.relations, load_fee_table(CONFIG), FRAMES[0].recv_ns)
        self.wires = Wires.create(VENUES, SLOTS)
        roles = (Role.FEED, Role.BOOK, Role.STRATEGY)
        parts = EngineParts(CONFIG, scene, self.wires, roles, 1, ladder=Ladder(strategy=rung))
        self.feeds = {venue: parts.feed(venue) for venue in VENUES}
        self.books = {venue: parts.book(venue, reads=not is_led) for venue in VENUES}
        self.strategy = parts.strategy()
        self.sinks: dict[Venue, FeedSink] = dict(self.feeds)
        self.catalog, self.screened = parts.catalog, parts.screened
        self._now_ns = 0
        self.is_ticking = False  # at each look at the clock
        for venue, book in self.books.items() if is_led else ():
            fused = parts.fused(self.feeds[venue], book, EngineTime(self._now))
            fused.lead_to(self.strategy)
            self.sinks[venue] = fused
        if not is_compiled:
            self.strategy._scan = None  # as where the wires are taped
        decisions, signals = self.wires.decisions[DecisionStage.STRATEGY], self.wires.signals
        self._decisions = decisions.reader("log", 0)
        self._signals = signals.reader("optimizer", 0)
        self._decision_rows: Records = self._decisions.records(DECISION)
        self._signal_rows: Records = self._signals.records(SIGNAL_HEAD)

    def _now(self) -> int:
        self._now_ns += self.is_ticking
        return self._now_ns

    def take(self, frames: list[Frame]) -> None:
        """Some frames in one turn of the strategy."""
        for frame in frames:
            self._now_ns = frame.recv_ns
            self.sinks[frame.venue].on_frame(frame.raw, frame.recv_ns, frame.conn)
            self.books[frame.venue].do_work(frame.recv_ns)
        self.strategy.do_work(frames[-1].recv_ns)

    def take_for_ever(self) -> None:
        """The session over and over, and nobody reads what comes of it."""
        for frame in cycle(FRAMES):
            self.take([frame])

    def fill(self, slot: int, price_e4: int, size_e6: int, signal_id: int, *, is_done: bool) -> None:
        """Something was bought, and the plan it was for is done or not."""
        event = np.zeros(1, ORDER_EVENT)
        row = self.strategy._view.rows[slot]
        event["slot"], event["generation"], event["venue"] = slot, row["generation"], row["venue"]
        event["price_e4"], event["fill_size_e6"], event["signal_id"] = price_e4, size_e6, signal_id
        event["direction"], event["outcome"], event["status"] = Direction.BUY, Outcome.YES, OrderStatus.FILLED
        event["plan_done"] = is_done
        assert self.wires.events.publish(event)

    def said(self) -> tuple[bytes, bytes]:
        """Decisions and signals, with their legs, since the last look."""
        said = []
        for reader, rows in ((self._decisions, self._decision_rows), (self._signals, self._signal_rows)):
            n_cells = max(reader.poll(), 0)
            said.append(rows[:n_cells].tobytes())
        return said[0], said[1]


@pytest.mark.parametrize("is_led", [False, True])
def test_every_decision_and_signal_is_the_same(is_led: bool) -> None:
    """Compiled turns, of its own or in the call of a frame, and one by one."""
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    one, two = Floor(is_compiled=True, is_led=is_led), Floor(is_compiled=False)
    at = n_decisions = n_signals = 0
    signals: list[tuple[int, int]] = []
    while at < len(FRAMES):
        n_frames = 1 if is_led else chance.choice((1, 1, 2, 7, 40))
        fills = []
        if signals and chance.randrange(6) == 0:  # what is ours is no longer on offer
            slot, signal_id = signals.pop(chance.randrange(len(signals)))
            row = one.strategy._view.rows[slot]
            if row["n_asks"]:
                fills.append((slot, int(row["ask_e4"][0]), int(row["ask_size_e6"][0]) // 2 + 1, signal_id))
        for floor in (one, two):
            for fill in fills:
                floor.fill(*fill, is_done=fill[3] % 2 == 0)
            floor.take(FRAMES[at : at + n_frames])
        found, expected = one.said(), two.said()
        assert found == expected, f"frames from {at}"
        n_decisions += len(found[0]) // DECISION.itemsize
        heads = np.frombuffer(found[1], SIGNAL_HEAD)
        if heads.size:
            n_signals += 1
            signals.append((int(heads[0]["slot"]), int(heads[0]["signal_id"])))
        at += n_frames
    assert one.strategy.signals == two.strategy.signals > 40
    assert one.strategy.tops == two.strategy.tops
    assert one.strategy._view.rows.tobytes() == two.strategy._view.rows.tobytes()
    assert len(one.strategy._view.takes) > 0
    assert n_decisions > 900
    assert n_signals > 30


def test_a_quiet_strategy_gives_no_signal_and_still_decides() -> None:
    floor = Floor(is_compiled=True)
    floor.strategy.stop(0)
    decided = b""
    for frame in SOME_FRAMES:
        floor.take([frame])
        decisions, signals = floor.said()
        decided += decisions
        assert signals == b""
    assert floor.strategy.signals == 0
    assert len(decided) > 900 * DECISION.itemsize


def test_a_strategy_that_is_led_to_has_said_all_when_the_frame_is_through() -> None:
    """What orders did is taken in before; what the general parser reads waits for a turn of its own."""
    floor, told, is_told = Floor(is_compiled=True, is_led=True), 0, False
    for frame in FRAMES:
        if is_told and told % 3 == 0:
            floor.fill(0, 5_000, 0, 1, is_done=False)
        counts = floor.feeds[frame.venue].codec.counts
        before = int(counts[Count.FALLBACK])
        floor._now_ns = frame.recv_ns
        floor.sinks[frame.venue].on_frame(frame.raw, frame.recv_ns, frame.conn)
        is_told = floor.said()[0] != b"" and int(counts[Count.FALLBACK]) == before
        left = floor.strategy.do_work(frame.recv_ns)
        assert not (is_told and left), "all was done in the call"
        told += is_told
        floor.said()
    assert told > 300
    assert floor.strategy.signals > 30


def test_a_led_strategy_decides_behind_frames_that_are_held() -> None:
    led, plain = Floor(is_compiled=True, is_led=True), Floor(is_compiled=True)
    chance, at, n_decisions = random.Random(SEED), 0, 0
    while at < len(FRAMES):
        batch = [frame._replace(conn=0) for frame in FRAMES[at : at + chance.choice((1, 2, 20))]]
        at += len(batch)
        batch = [frame for frame in batch if frame.venue is batch[0].venue]
        sink, now_ns = led.sinks[batch[0].venue], batch[-1].recv_ns
        assert isinstance(sink, FusedFeed)
        led._now_ns = now_ns
        for frame in batch:
            sink.hold(frame.raw, now_ns, frame.conn)
        sink.release()
        for frame in batch:
            plain.feeds[frame.venue].on_frame(frame.raw, now_ns, frame.conn)
            plain.books[frame.venue].do_work(now_ns)
        plain.strategy.do_work(now_ns)
        for floor in (led, plain):
            floor.books[batch[0].venue].do_work(now_ns)
            floor.strategy.do_work(now_ns)
        said = led.said()
        assert said == plain.said(), f"frames to {at}"
        n_decisions += len(said[0]) // DECISION.itemsize
    assert n_decisions > 500


def test_relations_that_change_between_two_frames_are_those_decided_on() -> None:
    """The table of candidates is another then, and the call of a frame has addresses in it."""
    led, plain = Floor(is_compiled=True, is_led=True), Floor(is_compiled=True)
    decided = {False: 0, True: 0}
    for number, frame in enumerate(FRAMES):
        round_number, rest = divmod(number, 40)
        for floor in (led, plain):
            if rest == 0:
                accepted = floor.screened.accepted if round_number % 2 else ()
                floor.strategy.scanner.set_relations(RelationTable(accepted, floor.catalog))
            floor.take([frame])
        said = led.said()
        assert said == plain.said(), f"frame {number}"
        decided[round_number % 2 == 1] += len(said[0]) // DECISION.itemsize
    assert decided[True] > decided[False] > 50


def test_what_is_decided_by_hand_is_decided_after_the_call_that_left_it() -> None:
    floor = Floor(is_compiled=True, is_led=True)
    floor.strategy._view.by_hand[:] = 1
    floor.is_ticking = True
    n_decisions = 0
    for frame in SOME_FRAMES:
        floor._now_ns = began_ns = frame.recv_ns
        floor.sinks[frame.venue].on_frame(frame.raw, frame.recv_ns, frame.conn)
        for decision in np.frombuffer(floor.said()[0], DECISION):
            assert decision["decided_ns"] == began_ns + 2, "the second look at the clock"
            n_decisions += 1
        floor.strategy.do_work(floor._now_ns)
        floor.said()
    assert n_decisions > 300


def test_a_full_ring_ends_the_call_of_a_frame() -> None:
    with pytest.raises(RingFull, match="no room"):
        Floor(is_compiled=True, is_led=True).take_for_ever()


def test_a_full_ring_of_decisions_ends_the_stage() -> None:
    floor = Floor(is_compiled=True)
    with pytest.raises(RingFull, match="no room"):
        floor.take_for_ever()


def test_a_row_its_writer_is_at_is_not_acted_on() -> None:
    floor = Floor(is_compiled=True)
    frame = next(frame for frame in FRAMES if b"orderbook_snapshot" in frame.raw)
    floor.take([frame])
    rows = floor.wires.books[frame.venue].rows
    slot = int(np.flatnonzero(rows["trust"] == Trust.LIVE)[0])
    assert floor.strategy._view.rows[slot]["trust"] == Trust.LIVE
    top = np.zeros(1, TOP)
    top["slot"], top["venue"], top["trust"] = slot, frame.venue, Trust.LIVE
    assert begin_row(floor.wires.books[frame.venue].address, slot) == 0
    floor.wires.tops[frame.venue].publish_each(top)
    floor.strategy.do_work(frame.recv_ns)
    assert floor.strategy._view.stale_reads == 1
    assert floor.strategy._view.rows[slot]["trust"] == Trust.SUSPECT


@pytest.mark.parametrize(("venue", "slot"), [(1, SLOTS), (1, -1), (2, 1 << 30), (0, 0), (3, 0), (255, 0)])
def test_a_top_about_no_row_ends_the_stage_and_touches_nothing(venue: int, slot: int) -> None:
    floor = Floor(is_compiled=True)
    top = np.zeros(1, TOP)
    top["slot"], top["venue"], top["trust"] = slot, venue, Trust.LIVE
    floor.wires.tops[VENUES[0]].publish_each(top)
    before = floor.strategy._view.rows.tobytes()
    with pytest.raises(ValueError, match=f"not there: venue {venue}, slot {slot}"):
        floor.strategy.do_work(1)
    assert floor.strategy._view.rows.tobytes() == before


def test_a_ladder_counts_every_top_and_stamps_every_signal() -> None:
    histograms = Histograms.create([Rung.BOOK_DECISION, Rung.BOOK_SIGNAL])
    now_ns = 0
    floor = Floor(is_compiled=True, rung=StrategyRung(histograms, lambda: now_ns))
    stamped = 0
    for frame in SOME_FRAMES:
        now_ns = frame.recv_ns + 700
        floor.take([frame])
        heads = np.frombuffer(floor.said()[1], SIGNAL_HEAD)
        if heads.size:
            assert heads[0]["signal_ns"] >= now_ns
            stamped += 1
    assert histograms[Rung.BOOK_DECISION].count == floor.strategy.tops
    assert histograms[Rung.BOOK_SIGNAL].count == floor.strategy.signals
    assert stamped > 30
