from __future__ import annotations

from numba import config

from shm.jit import direct, kernel


def floor_half(value: int) -> int:
    return value >> 1


def test_a_kernel_computes_what_its_function_computes() -> None:
    compiled = kernel(floor_half)
    assert [compiled(value) for value in (-3, -1, 0, 7)] == [floor_half(value) for value in (-3, -1, 0, 7)]
    assert (compiled is floor_half) == bool(config.DISABLE_JIT)


def test_a_version_that_was_looked_up_once_does_what_the_kernel_does() -> None:
    compiled = kernel(floor_half)
    version = direct(compiled, 0)
    assert [version(value) for value in (-3, -1, 0, 7)] == [floor_half(value) for value in (-3, -1, 0, 7)]
    assert (version is compiled) == bool(config.DISABLE_JIT)
    assert direct(floor_half, 0) is floor_half
