from __future__ import annotations

import time

import pytest

from shm.clock import CLOCK_CALL, monotonic_ns
from shm.jit import kernel
from tests.kernel_assembly import assembly, functions


@kernel
def ask_twice(between: int) -> int:
    """What the clock says, twice; 0 if it has gone back meanwhile, ``between`` counted in vain."""
    first = monotonic_ns()
    for number in range(between):
        first += number & 0
    second = monotonic_ns()
    return second if second >= first else 0


def test_it_is_the_clock_of_everybody_else() -> None:
    for _ in range(100):
        before_ns = time.monotonic_ns()
        said_ns = ask_twice(10)
        assert before_ns <= said_ns <= time.monotonic_ns()


@pytest.mark.compiled_only
def test_a_kernel_that_asks_calls_nothing_but_the_clock() -> None:
    ask_twice(1)
    outside = {name for text in assembly(ask_twice) for one in functions(text) for name in one.outside}
    assert outside == {CLOCK_CALL}
