"""A kernel calls another whose address it is told."""

from __future__ import annotations

import numpy as np
import pytest

from engine.code import NOBODY, call, code_of
from engine.jit import kernel


@kernel
def _join(first: int, second: int, third: int) -> int:
    return first * 10_000 + second * 100 + third


@kernel
def _differ(first: int, second: int, third: int) -> int:
    return first - second - third


@kernel
def _by_address(code: int, first: int, second: int) -> int:
    return call(code, first, second, 7) + call(code, second, 1, first)


@pytest.mark.compiled_only
def test_the_kernel_at_an_address_is_called_with_what_it_is_given() -> None:
    assert _by_address(code_of(_join), 3, 5) == 30_507 + 50_103
    assert _by_address(code_of(_differ), 3, 5) == (3 - 5 - 7) + (5 - 1 - 3)
    assert _by_address(code_of(_join), -1, 1 << 40) == (-10_000 + (100 << 40) + 7) + (
        (10_000 << 40) + 100 - 1
    )


@pytest.mark.compiled_only
def test_smaller_integers_arrive_as_what_they_are() -> None:
    @kernel
    def of_small(code: int, words: np.ndarray) -> int:
        return call(code, words[0], words[1], words[2])

    assert of_small(code_of(_join), np.array([-3, 2, 1], np.int8)) == -30_000 + 201
    assert of_small(code_of(_join), np.array([200, 2, 1], np.uint8)) == 2_000_201


@pytest.mark.compiled_only
def test_an_address_stays_what_it_was() -> None:
    assert code_of(_join) == code_of(_join) != code_of(_differ)
    assert code_of(_join) != NOBODY


def test_plain_python_has_nobody_to_call() -> None:
    import numba

    if numba.config.DISABLE_JIT:
        assert code_of(_join) == NOBODY
        with pytest.raises(AssertionError, match="no code at 5"):
            call(5, 1, 2, 3)
    assert NOBODY == 0
