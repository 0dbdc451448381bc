"""Warming compiles every kernel of the optimizer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.optimizer.warm import warm
from procs import kernels
from tests.compiled import signatures
from tests.plain_twin import kernels_are_plain


@pytest.mark.compiled_only
def test_every_kernel_is_compiled_by_warming() -> None:
    warm()  # a kernel taken out of the cache brings its callees along: only the cache knows of all
    cold = kernels.cold_kernels(Path(os.environ["NUMBA_CACHE_DIR"]))
    assert [name for name in cold if name.startswith("engine.optimizer.")] == []


def test_warming_again_changes_nothing() -> None:
    warm()
    compiled = signatures("engine.optimizer")
    assert any(compiled.values()) != kernels_are_plain()
    warm()
    assert signatures("engine.optimizer") == compiled
