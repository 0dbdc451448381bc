"""A process that waits goes through the motions: all the way, bounded, and without a trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from engine.catalog.defaults import FeeTable
from engine.config import Config, Role
from engine.records import Venue
from procs.config_files import load_config
from procs.drill import BEATS, CELLS, Drill, drilled, may_drill, permissive
from procs.drill_scene import Offer, Rows, markets, relations
from procs.fused_feed import FusedFeed
from procs.ladder import EngineTime
from procs.parts import VENUES, EngineParts, Scene
from procs.process import EngineProcess
from procs.stages import Stages
from procs.wires import RingFull, Wires
from shm.ring import RefusingRing

pytestmark = pytest.mark.compiled_only

START_NS = 1_790_000_000_000_000_000
EVERY_NS = 150_000
CONFIG = load_config(assignments=[f"engine.drill_every_ns={EVERY_NS}", "engine.market_slots=8"])
FEED, BOOK, STRATEGY, OPTIMIZER, EXECUTOR, LEDGER = (
    *(Role.FEED, Role.BOOK, Role.STRATEGY, Role.OPTIMIZER),
    *(Role.EXECUTOR, Role.LEDGER),
)
OPPORTUNITIES = sum(beat.offer is Offer.CHEAP for beat in BEATS)


class Clock:
    """Engine time that goes on by itself, a little at each look."""

    def __init__(self) -> None:
        self.ns = START_NS

    def now(self) -> int:
        self.ns += 100
        return self.ns


def drill_of(roles: tuple[Role, ...], beats: int, config: Config = CONFIG) -> Drill:
    """So many frames through the stages of ``roles``."""
    clock = Clock()
    drill = Drill(config, roles, EngineTime(clock.now))
    while drill.beats < beats and drill.failure is None:
        drill.turn()
        clock.ns += 2 * EVERY_NS
    return drill


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ((FEED, BOOK), (FEED, BOOK)),
        ((FEED, BOOK, STRATEGY, OPTIMIZER, EXECUTOR, LEDGER), (FEED, BOOK, STRATEGY, OPTIMIZER)),
        ((STRATEGY, OPTIMIZER, EXECUTOR, LEDGER), (STRATEGY, OPTIMIZER)),
        ((STRATEGY,), (STRATEGY,)),
        ((FEED,), (FEED,)),
        ((FEED, STRATEGY), (FEED,)),  # what is between them is another process's
        ((BOOK,), ()),
        ((OPTIMIZER, EXECUTOR), ()),
        ((LEDGER,), ()),
        ((), ()),
    ],
)
def test_what_is_drilled_is_a_piece_of_the_pipeline(
    roles: tuple[Role, ...], expected: tuple[Role, ...]
) -> None:
    assert drilled(roles) == expected


@pytest.mark.parametrize(
    "roles", [(FEED,), (FEED, BOOK), (FEED, BOOK, STRATEGY), (FEED, BOOK, STRATEGY, OPTIMIZER, EXECUTOR)]
)
def test_frames_go_all_the_way_and_nothing_fills_up(roles: tuple[Role, ...]) -> None:
    rounds = 40 * CELLS // len(BEATS)
    drill = drill_of(roles, rounds * len(BEATS))
    assert drill.failure is None
    ends = drill.plans if OPTIMIZER in roles else drill.signals
    assert ends == (rounds * OPPORTUNITIES if STRATEGY in roles else 0)


@pytest.mark.parametrize("roles", [(STRATEGY,), (STRATEGY, OPTIMIZER, EXECUTOR)])
def test_without_feeds_rows_stand_in_for_frames(roles: tuple[Role, ...]) -> None:
    rounds = 40 * CELLS // len(BEATS)
    drill = drill_of(roles, rounds * len(BEATS))
    assert drill.failure is None
    assert drill.plans + drill.signals == rounds * OPPORTUNITIES


NO_ROOM = replace(
    CONFIG.risk,
    order_size_max_e6=0,
    order_notional_max_micros=0,
    position_max_e6=0,
    market_exposure_max_micros=0,
    event_exposure_max_micros=0,
)
NOTHING_IS_GOOD = replace(
    CONFIG.strategy,
    min_edge_micros=replace(CONFIG.strategy.min_edge_micros, partition_buy_yes=1_000_000),
    min_size_e6=1_000_000_000,
    capital_cost_rate_ppm=10_000_000,
    book_age_max_ns=1,
    leg_skew_max_ns=1,
    deadline_ns=1,
)
STRICT = {
    "risk": replace(CONFIG, risk=NO_ROOM),
    "strategy": replace(CONFIG, strategy=NOTHING_IS_GOOD, risk=replace(CONFIG.risk, book_age_max_ns=1)),
    "optimizer": replace(CONFIG, optimizer=replace(CONFIG.optimizer, slots=1, worst_loss_max_micros=0)),
}


@pytest.mark.parametrize("part", STRICT)
def test_what_the_user_forbids_is_drilled_all_the_same(part: str) -> None:
    assert drill_of((STRATEGY, OPTIMIZER), len(BEATS), STRICT[part]).plans == OPPORTUNITIES
    assert permissive(STRICT[part]).engine.drill_every_ns == EVERY_NS


@pytest.mark.parametrize(
    ("every_ns", "roles", "has_time", "may"),
    [
        (EVERY_NS, (FEED, BOOK), True, True),
        (
            EVERY_NS,
            (FEED, BOOK),
            False,
            False,
        ),  # it parks, shares its core, its inputs are recorded, or it plays
        (0, (FEED, BOOK), True, False),
        (EVERY_NS, (EXECUTOR, LEDGER), True, False),
    ],
)
def test_who_drills(every_ns: int, roles: tuple[Role, ...], has_time: bool, may: bool) -> None:
    config = replace(CONFIG, engine=replace(CONFIG.engine, drill_every_ns=every_ns))
    assert may_drill(config, roles, has_time=has_time) is may


def test_stages_hand_over_in_a_drill_as_they_do_in_an_engine() -> None:
    drill = drill_of((FEED, BOOK, STRATEGY, OPTIMIZER), 1)
    for sink in drill._sinks.values():
        assert isinstance(sink, FusedFeed)
        assert sink._strategy is drill._stages.strategy
    assert drill._stages.strategy is not None
    assert drill._stages.strategy._optimizer is drill._stages.optimizer
    assert drill._stages.strategy._rung is not None, "they are counted as the real ones are"


def test_a_frame_is_a_plan_when_its_call_is_over() -> None:
    """Also where nobody but the feed has a turn."""
    clock = Clock()
    drill = Drill(CONFIG, (FEED, BOOK, STRATEGY, OPTIMIZER), EngineTime(clock.now))
    drill._behind.clear()
    while drill.beats < 4 * len(BEATS) and drill.failure is None:
        drill.turn()
        clock.ns += 2 * EVERY_NS
    assert drill.failure is None
    assert drill.plans == 4 * OPPORTUNITIES


@pytest.mark.parametrize(
    ("roles", "lines_min"), [((FEED, BOOK), 300), ((STRATEGY,), 50), ((OPTIMIZER,), 100), ((FEED,), 0)]
)
def test_each_turn_reads_what_the_real_stages_work_on(
    roles: tuple[Role, ...], lines_min: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    scene = Scene(markets(START_NS), relations(), FeeTable(schedule=()), START_NS)
    parts = EngineParts(CONFIG, scene, Wires.create(VENUES, 8), roles, 2, hears_sockets=False)
    scratch = Stages(parts, roles, fused=EngineTime(clock.now)).scratch()
    drill = Drill(CONFIG, (FEED, BOOK), EngineTime(clock.now), scratch)
    assert (drill._kept.lines > lines_min) is (lines_min > 0)
    reads: list[int] = []
    monkeypatch.setattr(drill._kept, "read", lambda: reads.append(1))
    for _ in range(3):
        drill.turn()
        drill.turn()
        clock.ns += 2 * EVERY_NS
    assert len(reads) == 3


def test_years_later_it_is_an_opportunity_still() -> None:
    clock = Clock()
    drill = Drill(CONFIG, (FEED, BOOK, STRATEGY, OPTIMIZER), EngineTime(clock.now))
    clock.ns += 5 * 365 * 86_400 * 1_000_000_000
    for _ in range(3 * len(BEATS)):
        drill.turn()
        clock.ns += 2 * EVERY_NS
    assert drill.plans > OPPORTUNITIES


def test_it_waits_for_its_time_which_is_no_beat() -> None:
    """From half of what is set to one and a half, by the nanoseconds of the clock; at once never again."""
    now_ns = START_NS
    drill = Drill(CONFIG, (FEED, BOOK), EngineTime(lambda: now_ns))
    waits = []
    for step_ns in (701, 1_011, 1_303) * 5:
        drilled_ns, beats = now_ns, drill.beats
        while drill.beats == beats:
            now_ns += step_ns
            drill.turn()
        drill.turn()
        assert drill.beats == beats + 1
        waits.append(now_ns - drilled_ns)
    assert EVERY_NS // 2 <= min(waits[1:]) < max(waits) <= 3 * EVERY_NS // 2 + step_ns
    assert len(set(waits)) > 5


def test_an_end_that_cannot_be_said_ends_it_and_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    drill = Drill(CONFIG, (STRATEGY, OPTIMIZER), EngineTime(clock.now))
    monkeypatch.setattr(RefusingRing, "publish", lambda *_: False)
    for _ in range(2 * len(BEATS)):
        drill.turn()
        clock.ns += 2 * EVERY_NS
    assert isinstance(drill.failure, RingFull)


def test_a_turn_is_a_frame_or_the_end_of_one_and_not_both() -> None:
    clock = Clock()
    drill = Drill(CONFIG, (FEED, BOOK, STRATEGY, OPTIMIZER), EngineTime(clock.now))
    told = []
    for _ in range(2 * len(BEATS)):
        before = drill.beats, drill.plans
        drill.turn()
        clock.ns += 2 * EVERY_NS
        told.append((drill.beats - before[0], drill.plans - before[1]))
    assert set(told) == {(1, 0), (0, 1)}


@pytest.mark.parametrize("failure", [RingFull("no room"), ValueError("no such thing"), MemoryError()])
def test_one_that_fails_is_over(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is: the process trades."""
    clock = Clock()
    drill = Drill(CONFIG, (FEED, BOOK), EngineTime(clock.now))

    def fail() -> None:
        raise failure

    monkeypatch.setattr(drill, "_bring", fail)
    drill.turn()
    assert drill.failure is failure
    monkeypatch.undo()
    clock.ns += EVERY_NS
    drill.turn()
    assert drill.beats == 0


def test_the_stages_beside_it_see_nothing_of_it(tmp_path: Path) -> None:
    """Every byte of every ring and table of an engine, and what its stages know, before and after."""
    clock, roles = Clock(), (FEED, BOOK, STRATEGY, OPTIMIZER)
    Wires.create(VENUES, 8, tmp_path).release()
    wires = Wires.join(VENUES, tmp_path, roles, 2)
    scene = Scene(markets(START_NS), relations(), FeeTable(schedule=()), START_NS)
    parts = EngineParts(CONFIG, scene, wires, roles, 2, hears_sockets=False)
    stages = Stages(parts, roles, fused=EngineTime(clock.now), leads=True)
    for agent in stages.in_order():
        agent.on_start(clock.now())

    def everything() -> list[bytes]:
        files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
        books = [array.tobytes() for store in parts.stores.values() for array in store.flat]
        return [*(path.read_bytes() for path in files), *books, *(a.tobytes() for a in stages.scratch())]

    before = everything()
    drill = Drill(CONFIG, roles, EngineTime(clock.now), stages.scratch())
    for _ in range(20 * len(BEATS)):
        drill.turn()
        clock.ns += 2 * EVERY_NS
    assert drill.plans > 0
    assert everything() == before


def test_real_work_that_comes_between_two_turns_is_what_it_would_have_been() -> None:
    """The same rows to two strategies, one of which has a drill around each of them."""
    said = []
    for drills in (False, True):
        clock = Clock()
        wires = Wires.create(VENUES, 8)
        scene = Scene(markets(START_NS), relations(), FeeTable(schedule=()), START_NS)
        parts = EngineParts(permissive(CONFIG), scene, wires, (STRATEGY,), 1)
        stages = Stages(parts, (STRATEGY,))
        assert stages.strategy is not None
        drill = Drill(CONFIG, (STRATEGY,), EngineTime(clock.now), stages.scratch())
        rows, signals = Rows(1), wires.signals.resume("optimizer", 0)
        for number, slot in enumerate((0, 1, 0, 0, 1, 0)):
            row, top = rows.next(slot, START_NS + number, Offer.CHEAP if number > 1 else Offer.GONE)
            wires.books[Venue.POLYMARKET].write(slot, row)
            wires.tops[Venue.POLYMARKET].publish(top)
            if drills:
                clock.ns += 2 * EVERY_NS
                drill.turn()
            stages.strategy.do_work(START_NS + number)
        n_cells = signals.poll()
        said.append((n_cells, signals.words[: n_cells * 16].tobytes(), stages.strategy.signals))
    assert said[0] == said[1]
    assert said[0][2] > 0


def test_it_is_small() -> None:
    """Rings of CELLS cells: the caches see little of it, and memory does not grow."""
    drill = drill_of((FEED, BOOK, STRATEGY, OPTIMIZER), 4)
    wires = drill._wires
    refusing = [wires.signals, wires.plans, wires.events, *wires.decisions.values()]
    overwriting = [*wires.updates.values(), *wires.tops.values()]
    headers = [ring.header for ring in refusing] + [ring.header for ring in overwriting]
    assert {int(header["capacity"]) for header in headers} == {CELLS}


class Told:
    """What ``EngineProcess`` tells of, as far as drills are concerned."""

    def __init__(self, drill: Drill, *, was_degraded: bool) -> None:
        self._drill: Drill | None = drill
        self._was_degraded = was_degraded
        self._health = self
        self.said: list[str] = []

    def _state(self) -> None:
        """Whatever it was."""

    def set_state(self, _: None, error: str) -> None:
        self.said.append(error)


def test_a_process_says_once_that_its_drills_have_ended_and_not_over_worse() -> None:
    drill = Drill(CONFIG, (FEED, BOOK), EngineTime(Clock().now))
    healthy, degraded = Told(drill, was_degraded=False), Told(drill, was_degraded=True)
    tell = cast("Callable[[Told], None]", EngineProcess._tell_drill)
    for told in (healthy, degraded):
        tell(told)
    assert healthy.said == degraded.said == []
    drill.failure = ValueError("no such thing")
    for told in (healthy, degraded, healthy):
        tell(told)
    assert healthy.said == ["drills have ended: ValueError('no such thing')"]
    assert healthy._drill is None
    assert degraded.said == []
    degraded._was_degraded = False
    tell(degraded)
    assert len(degraded.said) == 1
