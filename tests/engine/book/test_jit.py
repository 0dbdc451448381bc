"""The compiler's promise to books: what would allocate does not compile; without it functions stay."""

from __future__ import annotations

from types import FunctionType

import numba
import numpy as np
import pytest

from engine.book.jit import inlined, kernel
from tests.plain_twin import PlainTwin


@inlined
def _twice(number: int) -> int:
    return 2 * number


@kernel
def _twice_and_one(number: int) -> int:
    return _twice(number) + 1


@kernel
def _allocates(n: int) -> float:
    return float(np.zeros(n).sum())


def test_inlined_kernels_answer_as_functions() -> None:
    assert _twice_and_one(20) == 41


@pytest.mark.compiled_only
def test_a_kernel_that_allocates_does_not_compile() -> None:
    with pytest.raises(numba.core.errors.NumbaError):
        _allocates(3)


def test_without_the_compiler_both_leave_the_function_alone(plain_twin: PlainTwin) -> None:
    plain = plain_twin("engine.book.bits")
    assert isinstance(plain.ones, FunctionType)  # a kernel
    assert isinstance(plain.has_bit, FunctionType)  # an inlined one
