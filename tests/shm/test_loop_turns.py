"""Turns in a real event loop: work is done, sleep is real, the bell ends it, an error ends it all."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from shm.doorbell import Doorbell
from shm.loop_turns import LoopTurns
from shm.waiting import Policy

LONG_NS = 60_000_000_000  # beyond any test: who sleeps that long was not woken
BOUND_S = 30.0


def run(
    directory: Path,
    policy: Policy,
    park_ns: int,
    work: Callable[[LoopTurns, Doorbell, int], int],
    due_in_ns: int = LONG_NS,
) -> LoopTurns:
    """Turns until ``work`` stops them; it is given the turns, another process's bell, and its own count."""
    bell = Doorbell.create(name="bell", directory=directory, for_event_loop=True)
    other = Doorbell.attach("bell", directory)
    calls = 0

    def once() -> int:
        nonlocal calls
        calls += 1
        return work(turns, other, calls)

    turns = LoopTurns(once, policy, bell, park_ns, due_in_ns=lambda: due_in_ns)
    asyncio.run(asyncio.wait_for(turns.run(), BOUND_S))
    assert not bell.sleeping
    return turns


@pytest.mark.parametrize("policy", [Policy.SPIN, Policy.YIELD])
def test_a_busy_loop_turns_without_sleeping(tmp_path: Path, policy: Policy) -> None:
    def work(turns: LoopTurns, other: Doorbell, call: int) -> int:
        assert not other.sleeping
        if call == 100:
            turns.stop()
        return 0

    assert run(tmp_path, policy, LONG_NS, work).slept == 0


def test_callbacks_of_the_loop_have_their_turn(tmp_path: Path) -> None:
    came: list[int] = []

    def work(turns: LoopTurns, other: Doorbell, call: int) -> int:
        if call == 1:
            asyncio.get_running_loop().call_soon(came.append, call)
        if came:
            turns.stop()
        return 1

    run(tmp_path, Policy.SPIN, LONG_NS, work)
    assert came == [1]


def test_the_bell_ends_a_sleep(tmp_path: Path) -> None:
    """Rung from a callback while the turns sleep, through the FIFO, as another process does."""
    rung: list[bool] = []

    def ring(turns: LoopTurns, other: Doorbell) -> None:
        if not other.sleeping:  # not yet asleep, or the last look at the inputs is due
            asyncio.get_running_loop().call_soon(ring, turns, other)
            return
        rung.append(other.ring())

    def work(turns: LoopTurns, other: Doorbell, call: int) -> int:
        if call == 1:
            asyncio.get_running_loop().call_soon(ring, turns, other)
        if rung:
            turns.stop()
        return 0

    run(tmp_path, Policy.PARK, LONG_NS, work)
    assert rung == [True]


def test_sleep_is_bounded(tmp_path: Path) -> None:
    def work(turns: LoopTurns, other: Doorbell, call: int) -> int:
        if turns.slept == 3:
            turns.stop()
        return 0

    assert run(tmp_path, Policy.PARK, 1000, work).slept == 3


def test_a_sleep_ends_when_work_is_due(tmp_path: Path) -> None:
    def work(turns: LoopTurns, other: Doorbell, call: int) -> int:
        if turns.slept == 3:
            turns.stop()
        return 0

    assert run(tmp_path, Policy.PARK, LONG_NS, work, due_in_ns=1_000).slept == 3


def test_a_sleep_does_not_end_before_work_is_due(tmp_path: Path) -> None:
    """A loop counts whole milliseconds: who wakes before the time sleeps once more for nothing."""
    began_ns: list[int] = []

    def work(turns: LoopTurns, other: Doorbell, call: int) -> int:
        if turns.slept == len(began_ns):
            began_ns.append(time.monotonic_ns())
        if turns.slept == 20:
            turns.stop()
        return 0

    bell = Doorbell.create(name="bell", directory=tmp_path, for_event_loop=True)
    turns = LoopTurns(
        lambda: work(turns, bell, 0), Policy.PARK, bell, LONG_NS, yields=0, due_in_ns=lambda: 3_400_000
    )
    uvloop.run(turns.run())
    assert min(after - before for before, after in itertools.pairwise(began_ns)) >= 3_400_000


def test_work_found_at_the_last_look_keeps_it_awake(tmp_path: Path) -> None:
    seen: list[bool] = []

    def work(turns: LoopTurns, other: Doorbell, call: int) -> int:
        if other.sleeping and not seen:  # the flag is up, and here is something after all
            seen.append(turns.slept == 0)
            return 1
        if seen:
            seen.append(other.sleeping)
            turns.stop()
        return 0

    assert run(tmp_path, Policy.PARK, LONG_NS, work).slept == 0
    assert seen == [True, False]


def test_a_callback_that_brought_work_ends_the_sleep(tmp_path: Path) -> None:
    def bring(turns: LoopTurns) -> None:  # again and again: the first may come before it sleeps
        turns.nudge()
        asyncio.get_running_loop().call_later(0.001, bring, turns)

    def work(turns: LoopTurns, other: Doorbell, call: int) -> int:
        if call == 1:
            bring(turns)
        if turns.slept > 0:
            turns.stop()
        return 0

    assert run(tmp_path, Policy.PARK, LONG_NS, work).slept >= 1


@pytest.mark.parametrize("policy", Policy)
def test_what_work_raises_ends_the_turns(tmp_path: Path, policy: Policy) -> None:
    def work(turns: LoopTurns, other: Doorbell, call: int) -> int:
        if call == 3:
            raise RuntimeError("no room")
        return 0

    with pytest.raises(RuntimeError, match="no room"):
        run(tmp_path, policy, LONG_NS, work)


@pytest.mark.parametrize("policy", Policy)
def test_turns_that_are_cancelled_end(tmp_path: Path, policy: Policy) -> None:
    bell, calls = Doorbell.create(name="bell", directory=tmp_path, for_event_loop=True), [0]

    async def cancel() -> int:
        running = asyncio.Event()

        def work() -> int:
            calls[0] += 1
            if calls[0] == 5:
                running.set()
            return 0

        task = asyncio.ensure_future(LoopTurns(work, policy, bell).run())
        await running.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        worked = calls[0]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return calls[0] - worked

    assert asyncio.run(cancel()) == 0
    assert not bell.sleeping


def test_a_bell_without_a_fifo_is_refused() -> None:
    with pytest.raises(ValueError, match="for_event_loop"):
        LoopTurns(lambda: 0, Policy.PARK, Doorbell.create())
