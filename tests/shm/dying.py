"""A process that dies between two stores: kernels run plain, and the n-th store of theirs does not happen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import ModuleType

import pytest

STORES = ("store_relaxed", "store_release", "compare_exchange")


class Died(Exception):
    """Raised in place of the store that was never made."""


@contextmanager
def dying(modules: tuple[ModuleType, ...], stores: int) -> Iterator[None]:
    """Let the kernels of ``modules`` make ``stores`` stores and die at the next."""
    left = [stores]

    def hooked(original: Callable[..., int]) -> Callable[..., int]:
        def store(address: int, *values: int) -> int:
            if left[0] == 0:
                raise Died
            left[0] -= 1
            return original(address, *values)

        return store

    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            for name in STORES:
                if hasattr(module, name):
                    patch.setattr(module, name, hooked(getattr(module, name)))
        with suppress(Died):
            yield
