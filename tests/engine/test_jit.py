"""The compiler's promises to kernels: what would allocate does not compile; without it functions stay."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numba
import numpy as np
import pytest
from numba import config

from engine.jit import brief, inlined
from engine.jit import kernel as engine_kernel
from shm.jit import kernel as shm_kernel
from tests.plain_twin import PlainTwin


def third(numerator: int) -> int:
    return numerator // 3


def allocating(n: int) -> float:
    return float(np.zeros(n).sum())


@inlined
def _twice(number: int) -> int:
    return 2 * number


@engine_kernel
def _twice_and_one(number: int) -> int:
    return _twice(number) + 1


def test_both_floors_compile_alike_and_leave_plain_functions_plain() -> None:
    for kernel in (engine_kernel, shm_kernel, brief):
        compiled = kernel(third)
        assert compiled(10) == 3
        assert (compiled is third) == bool(config.DISABLE_JIT)


@pytest.mark.compiled_only
def test_only_what_is_brief_keeps_the_gil() -> None:
    made: list[Any] = [kernel(third) for kernel in (engine_kernel, shm_kernel, brief)]
    options = [one.targetoptions for one in made]
    assert [one["nogil"] for one in options] == [True, True, False]


@engine_kernel
def _sum(one: int, other: int) -> int:
    return one + other


@engine_kernel
def _sums_of_constants(number: int) -> int:
    return _sum(number, 2) + _sum(3, number) + _sum(number, other=number)


@pytest.mark.compiled_only
def test_a_constant_argument_makes_no_version_of_its_own() -> None:
    assert _sums_of_constants(10) == 45
    assert _sum(1, 2) == 3  # where the other came from the cache, nothing has asked for this one yet
    assert len(_sum.signatures) == 1  # type: ignore[attr-defined]


def test_inlined_kernels_answer_as_functions() -> None:
    assert _twice_and_one(20) == 41


@pytest.mark.compiled_only
def test_llvm_is_told_what_to_inline_and_nothing_else() -> None:
    assert _twice.targetoptions["forceinline"]  # type: ignore[attr-defined]
    assert not _twice_and_one.targetoptions["forceinline"]  # type: ignore[attr-defined]


@pytest.mark.compiled_only
def test_a_kernel_that_allocates_does_not_compile_on_either_floor() -> None:
    for kernel in (engine_kernel, shm_kernel):
        with pytest.raises(numba.core.errors.NumbaError):
            kernel(allocating)(3)


def test_without_the_compiler_both_leave_the_function_alone(plain_twin: PlainTwin) -> None:
    plain = plain_twin("engine.book.bits")
    assert isinstance(plain.ones, FunctionType)  # a kernel
    assert isinstance(plain.has_bit, FunctionType)  # an inlined one
