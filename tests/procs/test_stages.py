"""Which stages of a process are one."""

from __future__ import annotations

import pytest

from engine.code import NOBODY, Turn
from engine.config import Role
from engine.sim.session.build import build_session
from procs.config_files import load_config, load_fee_table
from procs.frame_kernels import Place
from procs.fused_feed import FusedFeed
from procs.ladder import EngineTime
from procs.parts import VENUES, EngineParts, Scene
from procs.stages import Stages
from procs.top_kernel import Place as Strategy
from procs.wires import Wires

pytestmark = pytest.mark.compiled_only

SLOTS = 256
CONFIG = load_config(assignments=[f"engine.market_slots={SLOTS}"])
SESSION = build_session(1)
MARKET = (Role.FEED, Role.BOOK)


@pytest.mark.parametrize(
    ("roles", "leads", "is_led"),
    [
        ((*MARKET, Role.STRATEGY), True, True),
        ((*MARKET, Role.STRATEGY), False, False),
        (MARKET, True, False),
    ],
)
def test_a_strategy_is_led_to_where_it_is_wished_for_and_here(
    roles: tuple[Role, ...], leads: bool, is_led: bool
) -> None:
    scene = Scene(SESSION.markets, SESSION.relations, load_fee_table(CONFIG), SESSION.frames[0].recv_ns)
    parts = EngineParts(CONFIG, scene, Wires.create(VENUES, SLOTS), roles, 1)
    stages = Stages(parts, roles, fused=EngineTime(lambda: 0), leads=leads)
    sinks = stages.sinks()
    assert set(sinks) == set(VENUES)
    for sink in sinks.values():
        assert isinstance(sink, FusedFeed)
        turn = Turn(0, NOBODY) if stages.strategy is None else stages.strategy.turn
        led = sink._places[[Place.STRATEGY, Place.STRATEGY_CODE]].tolist()
        assert led == (list(turn) if is_led else [0, NOBODY])
        assert not is_led or turn.code != NOBODY


@pytest.mark.parametrize("leads", [True, False])
def test_an_optimizer_is_led_to_where_it_is_wished_for(leads: bool) -> None:
    roles = (Role.STRATEGY, Role.OPTIMIZER)
    scene = Scene(SESSION.markets, SESSION.relations, load_fee_table(CONFIG), SESSION.frames[0].recv_ns)
    stages = Stages(EngineParts(CONFIG, scene, Wires.create(VENUES, SLOTS), roles, 1), roles, leads=leads)
    assert stages.strategy is not None
    assert stages.optimizer is not None
    assert stages.strategy._scan is not None
    led = stages.strategy._scan._places[[Strategy.PLANNER_PLACES, Strategy.PLANNER]].tolist()
    assert led == (list(stages.optimizer.turn) if leads else [0, NOBODY])
    assert stages.optimizer.turn.code != NOBODY
