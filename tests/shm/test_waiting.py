"""Ways to wait: what each does, when parking sleeps, and who may spin where."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from shm.doorbell import Doorbell
from shm.waiting import ANY_CORE, YIELDS_BEFORE_PARK, Idler, Policy, Wish, choose, pause_some

ROOT = Path(__file__).resolve().parents[2]
BUSY = [pytest.param(way, marks=pytest.mark.soak) for way in (Policy.SPIN, Policy.YIELD)]


def idle(idler: Idler, times: int) -> None:
    for _ in range(times):
        idler.idle()


@pytest.mark.parametrize("policy", [Policy.SPIN, Policy.YIELD])
def test_spinning_and_yielding_never_sleep(policy: Policy) -> None:
    bell = Doorbell.create()
    idler = Idler(policy, bell)
    idle(idler, 5 * YIELDS_BEFORE_PARK)
    idler.worked()
    assert idler.slept == 0
    assert not bell.sleeping


def test_parking_yields_first_then_says_so_then_sleeps() -> None:
    bell = Doorbell.create()
    idler = Idler(Policy.PARK, bell, park_ns=1)
    idle(idler, YIELDS_BEFORE_PARK)
    assert not bell.sleeping
    idler.idle()
    assert bell.sleeping  # one more look at the inputs is due
    assert idler.slept == 0
    idler.idle()
    assert idler.slept == 1
    assert not bell.sleeping


def test_what_comes_before_the_sleep_keeps_it_awake() -> None:
    bell = Doorbell.create()
    idler = Idler(Policy.PARK, bell, park_ns=1)
    idle(idler, YIELDS_BEFORE_PARK + 1)
    idler.worked()
    assert not bell.sleeping
    idle(idler, YIELDS_BEFORE_PARK)
    assert (idler.slept, bell.sleeping) == (0, False)


def test_a_bell_between_the_two_passes_ends_the_sleep_at_once() -> None:
    bell = Doorbell.create()
    idler = Idler(Policy.PARK, bell, park_ns=1_000_000_000)
    idle(idler, YIELDS_BEFORE_PARK + 1)
    assert bell.ring()
    idler.idle()
    assert idler.slept == 1


def test_a_core_of_its_own_may_spin() -> None:
    wishes = {"feed": Wish(Policy.SPIN, 0), "book": Wish(Policy.SPIN, 1)}
    assert {name: choice.policy for name, choice in choose(wishes, [0, 1]).items()} == dict.fromkeys(
        wishes, Policy.SPIN
    )


def test_spinners_on_one_core_yield() -> None:
    wishes = {"feed": Wish(Policy.SPIN, 0), "book": Wish(Policy.SPIN, 0), "log": Wish(Policy.PARK, ANY_CORE)}
    chosen = choose(wishes, [0, 1])
    assert [chosen[name].policy for name in wishes] == [Policy.YIELD, Policy.YIELD, Policy.PARK]
    assert "share core 0" in chosen["feed"].why


def test_more_spinners_than_cores_park() -> None:
    wishes = {f"p{number}": Wish(Policy.SPIN, ANY_CORE) for number in range(3)}
    assert {choice.policy for choice in choose(wishes, [0, 1]).values()} == {Policy.PARK}
    assert {choice.policy for choice in choose(wishes, [0, 1, 2]).values()} == {Policy.SPIN}


def test_a_core_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="feed: core 7 is not among 0, 1"):
        choose({"feed": Wish(Policy.YIELD, 7)}, [0, 1])


def test_pausing_is_bounded() -> None:
    assert pause_some(3) == 3


@pytest.mark.compiled_only
@pytest.mark.parametrize("way", [Policy.PARK, "loop", *BUSY])
def test_a_signal_ends_every_way_to_wait(tmp_path: Path, way: str) -> None:
    """How promptly is printed; a spin or a sleep without an end would never come to its last line."""
    command = [sys.executable, "-m", "tests.shm.idler", way, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            asked_ns = time.monotonic_ns()
            process.terminate()
            ended_ns = int(process.stdout.readline())
            assert process.wait() == 0
        finally:
            process.kill()
    print(f"{way}: {(ended_ns - asked_ns) / 1e6:.2f} ms from SIGTERM to the end of the loop")


@pytest.mark.parametrize(("park_ns", "due_in_ns", "asked"), [(500, 70, 70), (500, 900, 500), (500, -3, 1)])
def test_a_sleep_ends_when_a_timer_is_due(
    monkeypatch: pytest.MonkeyPatch, park_ns: int, due_in_ns: int, asked: int
) -> None:
    bell, slept_ns = Doorbell.create(), []
    monkeypatch.setattr(bell, "sleep", lambda _, timeout_ns: slept_ns.append(timeout_ns))
    idler = Idler(Policy.PARK, bell, park_ns)
    for _ in range(YIELDS_BEFORE_PARK + 2):
        idler.idle(lambda: due_in_ns)
    assert slept_ns == [asked]
