"""Pacing: recorded time over speed, and no pause longer than a person waits."""

from __future__ import annotations

import pytest

from engine.units import NS_PER_DAY, NS_PER_S
from procs.pacer import PAUSE_S_MAX, Pacer


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.slept: list[float] = []

    def read(self) -> float:
        return self.now_s

    def sleep(self, wait_s: float) -> None:
        self.slept.append(wait_s)
        self.now_s += wait_s


def test_a_paced_run_takes_recorded_time_over_speed() -> None:
    clock = Clock()
    pace = Pacer(4.0, clock.read, clock.sleep)
    for at_s in (5, 5, 7, 27):
        pace(at_s * NS_PER_S)
    assert clock.slept == [0.5, 5.0]
    clock.now_s += 3.0  # work that took longer than the recording
    pace(35 * NS_PER_S)
    pace(47 * NS_PER_S)
    assert clock.slept == [0.5, 5.0, 2.0]  # what was lost is caught up


@pytest.mark.parametrize("speed", [100.0, 1.0, 1e-300])
def test_the_pause_between_two_recordings_is_cut_short(speed: float) -> None:
    clock = Clock()
    pace = Pacer(speed, clock.read, clock.sleep)
    pace(0)
    pace(30 * NS_PER_DAY)
    assert clock.slept == [PAUSE_S_MAX]
    pace(30 * NS_PER_DAY + int(speed * NS_PER_S))
    assert clock.now_s == pytest.approx(100.0 + PAUSE_S_MAX + (1.0 if speed >= 1 else 0.0))


def test_asking_again_does_not_move_what_is_due() -> None:
    clock = Clock()
    pace = Pacer(2.0, clock.read)
    assert pace.wait_s(0) == 0
    assert pace.wait_s(4 * NS_PER_S) == pytest.approx(2.0)
    clock.now_s += 0.5
    assert pace.wait_s(4 * NS_PER_S) == pytest.approx(1.5)
    clock.now_s += 5.0
    assert pace.wait_s(4 * NS_PER_S) == 0
