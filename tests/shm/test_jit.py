from __future__ import annotations

from shm.jit import kernel
from tests.plain_twin import kernels_are_plain


@kernel
def _sum_below(n: int) -> int:
    total = 0
    for value in range(n):
        total += value
    return total


def test_kernel_compiles_unless_told_not_to() -> None:
    assert _sum_below(10) == 45
    assert hasattr(_sum_below, "py_func") is not kernels_are_plain()


def test_kernel_releases_the_gil_and_is_cached() -> None:
    if not kernels_are_plain():
        options = _sum_below.targetoptions  # type: ignore[attr-defined]
        assert options["nogil"]
        assert _sum_below.stats.cache_path  # type: ignore[attr-defined]
