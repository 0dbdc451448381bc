from __future__ import annotations

from numba import config

from engine.jit import kernel as engine_kernel
from shm.jit import kernel as shm_kernel


def third(numerator: int) -> int:
    return numerator // 3


def test_both_floors_compile_alike_and_leave_plain_functions_plain() -> None:
    for kernel in (engine_kernel, shm_kernel):
        compiled = kernel(third)
        assert compiled(10) == 3
        assert (compiled is third) == bool(config.DISABLE_JIT)
