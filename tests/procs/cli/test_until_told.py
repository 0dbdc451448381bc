"""Serving until a signal comes."""

from __future__ import annotations

import os
import signal

import pytest

from procs.cli.until_told import until_told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_steps_until_a_signal_has_come_and_puts_the_handlers_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    steps: list[int] = []

    def step() -> None:
        steps.append(len(steps))
        if len(steps) == 3:
            os.kill(os.getpid(), number)

    until_told(lambda: steps.clear(), step)
    assert steps == [0, 1, 2]
    assert signal.getsignal(number) is before


def test_a_signal_that_comes_with_the_word_that_we_are_ready_ends_it() -> None:
    until_told(lambda: os.kill(os.getpid(), signal.SIGTERM), lambda: pytest.fail("no step was due"))


def test_an_error_puts_the_handlers_back_too() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ZeroDivisionError):
        until_told(lambda: None, lambda: 1 // 0)
    assert signal.getsignal(signal.SIGTERM) is before
