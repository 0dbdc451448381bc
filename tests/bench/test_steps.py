"""Counting instructions: exact, of the work alone, and nothing is left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench import _steps
from bench._steps import can_count, per_item, per_round
from bench.floor import spin

pytestmark = [
    pytest.mark.compiled_only,
    pytest.mark.skipif(not can_count(), reason="the registers of another machine are not known"),
]


def test_one_more_round_of_a_loop_takes_as_many_as_the_one_before() -> None:
    few, many = per_item(spin, 800, 1_600), per_item(spin, 1_600, 3_200)
    assert few.compiled == many.compiled > 0
    assert few.instructions == pytest.approx(few.compiled, abs=1)


def test_what_python_does_is_not_compiled_and_a_kernel_is() -> None:
    plain, called = per_round(lambda: sum((1, 2, 3))), per_round(lambda: spin(10))
    assert plain.instructions > 50
    assert (plain.compiled, plain.compiled_lines) == (0, 0)
    assert 0 < called.compiled < called.instructions
    assert 0 < called.compiled_lines < called.lines < called.instructions


def test_what_comes_before_a_round_is_not_counted_and_is_done() -> None:
    given: list[int] = []

    def take() -> None:
        given.append(sum(range(1_000)))

    def hand_on() -> None:
        if given.pop() != 499_500 or given:
            raise ValueError("a round without what comes before it")

    assert per_round(hand_on, take).instructions < per_round(take, given.clear).instructions / 2


def test_a_round_is_as_long_as_another() -> None:
    one, three = per_round(lambda: spin(10), rounds=1), per_round(lambda: spin(10), rounds=3)
    assert one.compiled == three.compiled


def test_work_that_fails_is_told_and_no_child_is_left(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ValueError("as an example")

    allowed, before = os.sched_getaffinity(0), _children()
    with pytest.raises(RuntimeError, match="ended early"):
        per_round(fail)
    assert "as an example" in capfd.readouterr().err
    assert _children() == before
    assert os.sched_getaffinity(0) == allowed


def _children() -> str:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="utf-8")


def test_only_machines_whose_registers_are_known_are_counted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_steps, "MACHINE", ("linux", "another"))
    assert not can_count()
