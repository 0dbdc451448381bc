"""Serving until a signal comes."""

from __future__ import annotations

import os
import signal

import pytest

from procs.cli.until_told import until_told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_told_of_and_the_handlers_are_put_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with until_told() as is_told:
        assert not is_told()
        os.kill(os.getpid(), number)
        assert is_told()
        os.kill(os.getpid(), number)  # while it is closing: once is enough
    assert signal.getsignal(number) is before


def test_an_error_puts_the_handlers_back_too() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ZeroDivisionError), until_told():
        1 // 0  # noqa: B018 - raises
    assert signal.getsignal(signal.SIGTERM) is before
