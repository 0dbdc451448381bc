"""Rows P6 and P11 of the fault matrix: an engine without its owner, and one that is told to end.

The first test is the short of this file and of P5, on one engine: a start takes seconds.
"""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from procs.found_segments import attached_counters, found_segments
from procs.health import ProcessState
from procs.run_directory import living, owner_lives
from tests.faults.live_engine import LiveEngine, trading, until
from tests.faults.test_process_executor import (
    SEED,
    assert_nothing_late_or_open,
    has_sent,
    kill_again_and_again,
)

pytestmark = pytest.mark.compiled_only


def kill_owner(engine: LiveEngine) -> None:
    engine.owner.kill()
    engine.owner.communicate()
    until(lambda: not owner_lives(engine.run_dir), "the owner's end")


def refused(engine: LiveEngine, *more: str) -> str:
    """Line of a ``run`` that is refused by the state."""
    process = engine.start(*more)
    out, err = process.communicate()
    [line] = err.splitlines()
    assert process.returncode == 5, "refused by the state"
    assert (out, line.startswith("pr3dict: ")) == ("", True), err
    return line


@pytest.mark.soak
def test_p5_p6_executor_and_owner_are_killed_and_everything_adds_up(tmp_path: Path) -> None:
    with trading(tmp_path, "two", seed=SEED) as engine:
        kill_again_and_again(engine, "trade", 2, random.Random(SEED))
        pids = engine.all_fit()
        kill_owner(engine)
        engine.trades_on()
        os.kill(pids["trade"], signal.SIGKILL)
        until(lambda: "trade" not in living(engine.run_dir), "a trade that is dead, and stays so")
        engine.owner = engine.start()
        trade = engine.fit("trade", pids["trade"])
        assert engine.all_fit() == {**pids, "trade": trade}, "the living are kept"
        until(lambda: has_sent(engine), "an order of the last executor")
        engine.end()
        assert_nothing_late_or_open(engine.past())


@pytest.mark.soak
def test_p6_trading_goes_on_without_the_owner_and_another_takes_over(tmp_path: Path) -> None:
    with trading(tmp_path, "two") as engine:
        pids = engine.all_fit()
        assert "is running already" in refused(engine), "an owner lives"
        kill_owner(engine)
        engine.trades_on()
        assert {name: row.pid for name, row in engine.rows().items()} == pids
        code, _, err = engine.ask("pause")
        assert (code, err.count("\n")) == (3, 1), err
        other = refused(engine, "--set", "risk.open_orders_max=17")
        assert f"pr3dict shutdown --confirm --run-dir {engine.run_dir}" in other
        assert set(living(engine.run_dir)) == set(pids), "nothing was touched"
        engine.owner = engine.start()
        until(lambda: owner_lives(engine.run_dir), "another owner")
        assert engine.all_fit() == pids
        engine.trades_on()
        os.kill(pids["market"], signal.SIGKILL)
        engine.fit("market", pids["market"])
        engine.trades_on()
        engine.end()
        assert_nothing_late_or_open(engine.past())


def refused_for_the_halt(engine: LiveEngine) -> int:
    """How many plans and candidates were, as its processes count them."""
    counted = attached_counters().refresh(found_segments(engine.run_dir))
    labels = (label_value for _, counters in counted for label_value in counters.snapshot().items())
    return sum(value for label, value in labels if label.endswith("reason=halted"))


@pytest.mark.soak
def test_a_halt_outlives_executor_and_owner_and_no_order_leaves_until_it_is_lifted(tmp_path: Path) -> None:
    with trading(tmp_path, "two", rounds=90) as engine:
        assert engine.ask("halt")[0] == 0
        until(lambda: not engine.past().open_plans, "plans that are over")
        orders = len(engine.past().sent)
        trade = engine.fit("trade")
        kill_owner(engine)
        os.kill(trade, signal.SIGKILL)
        until(lambda: "trade" not in living(engine.run_dir), "a trade that is dead")
        engine.owner = engine.start()
        engine.fit("trade", trade)
        refused_before = refused_for_the_halt(engine)
        until(lambda: refused_for_the_halt(engine) > refused_before, "something refused for the halt")
        assert len(engine.past().sent) == orders, "none left"
        assert engine.ask("resume", "--reason", "operator")[0] == 0
        until(lambda: len(engine.past().sent) > orders, "an order after it was lifted")
        engine.end()
        assert_nothing_late_or_open(engine.past())


@pytest.mark.soak
@pytest.mark.parametrize("topology", ["two", "split"])
def test_p6_shutdown_ends_an_engine_without_an_owner(topology: str, tmp_path: Path) -> None:
    with trading(tmp_path, topology) as engine:
        kill_owner(engine)
        code, _, err = engine.ask("shutdown")
        assert (code, "--confirm" in err) == (4, True), err
        assert engine.ask("shutdown", "--confirm")[0] == 0
        until(lambda: not living(engine.run_dir), "the end of every process")
        assert_nothing_late_or_open(engine.past())
        assert {row.state.name for row in engine.rows().values()} == {"STOPPED"}
        assert engine.ask("shutdown", "--confirm")[0] == 3, "nobody is left to ask"
        engine.owner = engine.start()
        until(lambda: set(engine.rows()) and engine.all_fit(), "a new engine in the same folder")
        engine.end()


@pytest.mark.soak
def test_p6_an_engine_whose_owner_does_not_come_back_stops_by_itself(tmp_path: Path) -> None:
    with trading(tmp_path, "split", "supervisor.orphan_max_ns=3000000000") as engine:
        kill_owner(engine)
        engine.trades_on(1)
        until(lambda: not living(engine.run_dir), "the end of every process")
        assert_nothing_late_or_open(engine.past())
        assert {row.state.name for row in engine.rows().values()} == {"STOPPED"}


@pytest.mark.soak
@pytest.mark.parametrize(("topology", "name"), [("two", "trade"), ("split", "executor")])
def test_p5_p11_an_executor_that_dies_in_a_stop_comes_back_and_resolves_its_orders(
    topology: str, name: str, tmp_path: Path
) -> None:
    """Its venues stand still, so that it cannot have been done before it is killed."""
    with trading(tmp_path, topology) as engine:
        pids = engine.all_fit()
        until(lambda: engine.past().open_plans, "a plan that is not done")
        os.kill(pids["venues"], signal.SIGSTOP)
        engine.trades_on(1)
        engine.owner.send_signal(signal.SIGTERM)
        until(lambda: engine.rows()[name].state is ProcessState.STOPPING, "an executor that drains")
        before = engine.past()
        assert before.open_plans
        os.kill(pids[name], signal.SIGKILL)
        os.kill(pids["venues"], signal.SIGCONT)
        [said] = engine.end()["inputs"][0]["outcomes"]
        past = engine.past()
        assert past.boot_epoch > before.boot_epoch, "another life of the executor"
        assert_nothing_late_or_open(past)
        assert said["orders"] == len(past.sent) > len(past.sent - before.sent), "of both lives"


@pytest.mark.parametrize(
    "topology", ["one", *(pytest.param(name, marks=pytest.mark.soak) for name in ("two", "split"))]
)
def test_p11_a_stop_waits_for_what_is_in_flight(topology: str, tmp_path: Path) -> None:
    """SIGTERM while an order is on its way: the run ends with 0, and every plan has come to its end."""
    with trading(tmp_path, topology) as engine:
        until(lambda: engine.past().open_plans, "a plan that is not done")
        document = engine.end()
        past = engine.past()
    assert_nothing_late_or_open(past)
    assert document["inputs"][0]["outcomes"][0]["fills"] == past.ledger.fills
