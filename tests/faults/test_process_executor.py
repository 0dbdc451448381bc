"""Row P5 of the fault matrix: the executor of a real engine, killed with -9 at random moments.

The engine is ``pr3dict run`` over real sockets; the simulated venues have a process of their own, so that an
executor's death takes nothing of theirs with it. At the end journal and venues have the same cash, the same
holdings and the same orders; nothing was lost, nothing sent twice, nothing sent late.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from engine.execution.recovery import Past
from engine.execution.tracked import Role
from engine.ids import boot_epoch_of
from engine.records import OrderStatus
from tests.faults.live_engine import LiveEngine, trading, until

pytestmark = pytest.mark.compiled_only

SEED = 20_261_128
KILLS = 50
MOMENT_S = 1.5  # after it has come back, at most
EXECUTOR = {"one": "core", "two": "trade", "split": "executor"}


def kill_again_and_again(engine: LiveEngine, name: str, kills: int, draw: random.Random) -> int:
    """Kill the process at a random moment of each of its lives; how many left an order in doubt.

    Every other life has sent an order before its moment is drawn; the others may not even have come back.
    """
    in_doubt = pid = 0
    for number in range(kills):
        pid = engine.fit(name, pid)
        if number % 2 == 0:
            until(lambda: has_sent(engine), "an order of this life")
        time.sleep(draw.random() * MOMENT_S)
        os.kill(pid, signal.SIGKILL)
        in_doubt += any(not order.is_final for _, order in engine.past().orders.values())
    engine.fit(name, pid)
    return in_doubt


def has_sent(engine: LiveEngine) -> bool:
    """Whether the executor's present life has made an order."""
    past = engine.past()
    return any(boot_epoch_of(order_id) == past.boot_epoch for order_id in past.orders)


def assert_nothing_late_or_open(past: Past) -> None:
    """What is left when all is over, by the journal alone."""
    past.ledger.verify()
    assert past.open_plans == []
    assert not past.is_halted
    for plan, order in past.orders.values():
        assert order.is_final
        if order.role == Role.LEG and order.status != OrderStatus.DENIED:
            assert int(order.request["request_ns"]) <= int(plan.head["deadline_ns"])


@pytest.mark.soak
@pytest.mark.parametrize("topology", EXECUTOR)
def test_p5_a_killed_executor_ends_where_the_venues_are(topology: str, tmp_path: Path) -> None:
    """A few kills of this kind are in ``test_process_owner``, for the ordinary suite."""
    with trading(tmp_path, topology, rounds=10 + 6 * KILLS, seed=SEED) as engine:
        in_doubt = kill_again_and_again(engine, EXECUTOR[topology], KILLS, random.Random(SEED))
        until(lambda: has_sent(engine), "an order after the last kill")
        document = engine.end()
        past = engine.past()
    [outcome] = document["inputs"][0]["outcomes"]
    epochs = {boot_epoch_of(order_id) for order_id in past.orders}
    print(
        f"{KILLS} kills, {in_doubt} with orders in doubt; {len(past.orders)} orders of {len(epochs)} lives, "
        f"{past.ledger.fills} fills"
    )
    assert_nothing_late_or_open(past)
    assert outcome["fills"] > 0
    for account in outcome["accounts"].values():
        assert account["closing_micros"] == account["venue_says_micros"]
