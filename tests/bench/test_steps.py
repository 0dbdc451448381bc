"""Counting instructions: exact, of the work alone, and nothing is left behind."""

from __future__ import annotations

import os
import signal

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


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Those that were forked."""
    found: list[int] = []
    fork = os.fork

    def noted() -> int:
        found.append(fork())
        return found[-1]

    monkeypatch.setattr(os, "fork", noted)
    return found


def assert_gone(children: list[int]) -> None:
    assert children
    for pid in children:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_work_that_fails_is_told_and_no_child_is_left(
    children: list[int], capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ValueError("as an example")

    allowed = os.sched_getaffinity(0)
    with pytest.raises(RuntimeError, match="ended early"):
        per_round(fail)
    assert "as an example" in capfd.readouterr().err
    assert_gone(children)
    assert os.sched_getaffinity(0) == allowed


@pytest.mark.parametrize("how", [signal.SIGSEGV, signal.SIGALRM])
def test_work_that_crashes_or_stands_still_is_told(children: list[int], how: signal.Signals) -> None:
    with pytest.raises(RuntimeError, match=f"by signal {how}"):
        per_round(lambda: os.kill(os.getpid(), how))
    assert_gone(children)


def test_where_a_child_may_not_be_traced_nothing_is_counted(
    children: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that allows no ``ptrace``: here the child does not ask for it."""
    monkeypatch.setattr(_steps, "TRACE_ME", 0x7FFF)
    with pytest.raises(OSError, match="nobody may trace"):
        per_round(lambda: None)
    _steps._may_trace.cache_clear()
    assert not can_count()
    _steps._may_trace.cache_clear()
    assert_gone(children)


def test_only_machines_whose_registers_are_known_are_counted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_steps, "MACHINE", ("linux", "another"))
    assert not can_count()
