"""Warming runs every kernel of the optimizer, and leaves nothing behind."""

from __future__ import annotations

from engine.optimizer import adversary, batch, dual, fill, levels, pricing, sizing
from engine.optimizer.warm import warm
from tests.plain_twin import kernels_are_plain


def test_every_kernel_is_compiled_by_warming() -> None:
    warm()
    if kernels_are_plain():
        return
    for module in (adversary, batch, dual, fill, levels, pricing, sizing):
        for name, thing in vars(module).items():
            if getattr(thing, "__module__", "") == module.__name__ and hasattr(thing, "signatures"):
                assert thing.signatures, f"{module.__name__}.{name}"
