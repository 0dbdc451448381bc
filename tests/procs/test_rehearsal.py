"""A process that waits goes through the motions: all the way, bounded, and without a trace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.catalog.defaults import FeeTable
from engine.config import Config, Role
from engine.errors import Pr3dictError
from engine.records import Venue
from procs.config_files import load_config
from procs.parts import VENUES, EngineParts, Scene
from procs.rehearsal import BEATS, CELLS, Rehearsal, permissive, rehearsed
from procs.rehearsal_scene import Offer, Rows, markets, relations
from procs.stages import Stages
from procs.wires import RingFull, Wires

pytestmark = pytest.mark.compiled_only

START_NS = 1_790_000_000_000_000_000
EVERY_NS = 150_000
CONFIG = load_config(assignments=[f"engine.rehearse_every_ns={EVERY_NS}", "engine.market_slots=8"])
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


def rehearse(roles: tuple[Role, ...], beats: int, config: Config = CONFIG) -> Rehearsal:
    """So many frames through the stages of ``roles``."""
    clock = Clock()
    rehearsal = Rehearsal(config, roles, clock.now)
    while rehearsal.beats < beats and rehearsal.failure is None:
        rehearsal.turn()
        clock.ns += EVERY_NS
    return rehearsal


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
def test_what_is_rehearsed_is_a_piece_of_the_pipeline(
    roles: tuple[Role, ...], expected: tuple[Role, ...]
) -> None:
    assert rehearsed(roles) == expected


@pytest.mark.parametrize(
    "roles", [(FEED,), (FEED, BOOK), (FEED, BOOK, STRATEGY), (FEED, BOOK, STRATEGY, OPTIMIZER, EXECUTOR)]
)
def test_frames_go_all_the_way_and_nothing_fills_up(roles: tuple[Role, ...]) -> None:
    rounds = 40 * CELLS // len(BEATS)
    rehearsal = rehearse(roles, rounds * len(BEATS))
    assert rehearsal.failure is None
    ends = rehearsal.plans if OPTIMIZER in roles else rehearsal.signals
    assert ends == (rounds * OPPORTUNITIES if STRATEGY in roles else 0)


@pytest.mark.parametrize("roles", [(STRATEGY,), (STRATEGY, OPTIMIZER, EXECUTOR)])
def test_without_feeds_rows_stand_in_for_frames(roles: tuple[Role, ...]) -> None:
    rounds = 40 * CELLS // len(BEATS)
    rehearsal = rehearse(roles, rounds * len(BEATS))
    assert rehearsal.failure is None
    assert rehearsal.plans + rehearsal.signals == rounds * OPPORTUNITIES


def test_what_the_user_forbids_is_rehearsed_all_the_same() -> None:
    nothing = replace(CONFIG.risk, order_size_max_e6=0, market_exposure_max_micros=0)
    edges = replace(CONFIG.strategy.min_edge_micros, partition_buy_yes=1_000_000)
    strict = replace(
        CONFIG,
        risk=nothing,
        strategy=replace(CONFIG.strategy, min_edge_micros=edges),
        optimizer=replace(CONFIG.optimizer, worst_loss_max_micros=0),
    )
    assert rehearse((STRATEGY, OPTIMIZER), len(BEATS), strict).plans == OPPORTUNITIES
    assert permissive(strict).engine.rehearse_every_ns == EVERY_NS


def test_years_later_it_is_an_opportunity_still() -> None:
    clock = Clock()
    rehearsal = Rehearsal(CONFIG, (FEED, BOOK, STRATEGY, OPTIMIZER), clock.now)
    clock.ns += 5 * 365 * 86_400 * 1_000_000_000
    for _ in range(3 * len(BEATS)):
        rehearsal.turn()
        clock.ns += EVERY_NS
    assert rehearsal.plans > OPPORTUNITIES


def test_it_waits_for_its_time() -> None:
    now_ns = START_NS
    rehearsal = Rehearsal(CONFIG, (FEED, BOOK), lambda: now_ns)
    rehearsal.turn()
    rehearsal.turn()
    assert rehearsal.beats == 1
    now_ns += EVERY_NS - 1
    rehearsal.turn()
    assert rehearsal.beats == 1
    now_ns += 1
    rehearsal.turn()
    assert rehearsal.beats == 2


def test_a_turn_is_a_frame_or_the_end_of_one_and_not_both() -> None:
    clock = Clock()
    rehearsal = Rehearsal(CONFIG, (FEED, BOOK, STRATEGY, OPTIMIZER), clock.now)
    told = []
    for _ in range(2 * len(BEATS)):
        before = rehearsal.beats, rehearsal.plans
        rehearsal.turn()
        clock.ns += EVERY_NS
        told.append((rehearsal.beats - before[0], rehearsal.plans - before[1]))
    assert set(told) == {(1, 0), (0, 1)}


def test_one_that_fails_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    rehearsal = Rehearsal(CONFIG, (FEED, BOOK), clock.now)
    failure: Pr3dictError = RingFull("decisions: no room")

    def fail() -> None:
        raise failure

    monkeypatch.setattr(rehearsal, "_bring", fail)
    rehearsal.turn()
    assert rehearsal.failure is failure
    monkeypatch.undo()
    clock.ns += EVERY_NS
    rehearsal.turn()
    assert rehearsal.beats == 0


def test_the_stages_beside_it_see_nothing_of_it(tmp_path: Path) -> None:
    """Every byte of every ring and table of an engine, and what its stages know, before and after."""
    clock, roles = Clock(), (FEED, BOOK, STRATEGY, OPTIMIZER)
    Wires.create(VENUES, 8, tmp_path).release()
    wires = Wires.join(VENUES, tmp_path, roles, 2)
    scene = Scene(markets(START_NS), relations(), FeeTable(schedule=()), START_NS)
    parts = EngineParts(CONFIG, scene, wires, roles, 2, hears_sockets=False)
    stages = Stages(parts, roles, fused=clock.now, leads=True)
    for agent in stages.in_order():
        agent.on_start(clock.now())

    def everything() -> list[bytes]:
        files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
        books = [array.tobytes() for store in parts.stores.values() for array in store.flat]
        return [*(path.read_bytes() for path in files), *books, *(a.tobytes() for a in stages.scratch())]

    before = everything()
    rehearsal = Rehearsal(CONFIG, roles, clock.now, stages.scratch)
    for _ in range(20 * len(BEATS)):
        rehearsal.turn()
        clock.ns += EVERY_NS
    assert rehearsal.plans > 0
    assert everything() == before


def test_real_work_that_comes_between_two_turns_is_what_it_would_have_been() -> None:
    """The same rows to two strategies, one of which has a rehearsal around each of them."""
    said = []
    for rehearses in (False, True):
        clock = Clock()
        wires = Wires.create(VENUES, 8)
        scene = Scene(markets(START_NS), relations(), FeeTable(schedule=()), START_NS)
        parts = EngineParts(permissive(CONFIG), scene, wires, (STRATEGY,), 1)
        stages = Stages(parts, (STRATEGY,))
        assert stages.strategy is not None
        rehearsal = Rehearsal(CONFIG, (STRATEGY,), clock.now, stages.scratch)
        rows, signals = Rows(1), wires.signals.resume("optimizer", 0)
        for number, slot in enumerate((0, 1, 0, 0, 1, 0)):
            row, top = rows.next(slot, START_NS + number, Offer.CHEAP if number > 1 else Offer.GONE)
            wires.books[Venue.POLYMARKET].write(slot, row)
            wires.tops[Venue.POLYMARKET].publish(top)
            if rehearses:
                clock.ns += EVERY_NS
                rehearsal.turn()
            stages.strategy.do_work(START_NS + number)
        n_cells = signals.poll()
        said.append((n_cells, signals.words[: n_cells * 16].tobytes(), stages.strategy.signals))
    assert said[0] == said[1]
    assert said[0][2] > 0


def test_it_is_small() -> None:
    """Rings of CELLS cells: the caches see little of it, and memory does not grow."""
    rehearsal = rehearse((FEED, BOOK, STRATEGY, OPTIMIZER), 4)
    wires = rehearsal._wires
    refusing = [wires.signals, wires.plans, wires.events, *wires.decisions.values()]
    overwriting = [*wires.updates.values(), *wires.tops.values()]
    headers = [ring.header for ring in refusing] + [ring.header for ring in overwriting]
    assert {int(header["capacity"]) for header in headers} == {CELLS}
