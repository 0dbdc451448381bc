"""A second copy of our modules whose kernels run as plain Python, beside the compiled ones in one process.

``function.py_func`` would not do: it is plain itself and still calls compiled kernels. Here the whole tree is
imported once more while numba is told not to compile, so that everything below a plain kernel is plain too.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numba

FLOORS = ("engine", "shm", "procs", "bench")
VARIABLE = "NUMBA_DISABLE_JIT"


def kernels_are_plain() -> bool:
    """Whether this whole run is one without the compiler."""
    return bool(numba.config.DISABLE_JIT)


def _ours() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.split(".")[0] in FLOORS}


@contextmanager
def _without_compiler() -> Iterator[None]:
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = "1"
    numba.config.DISABLE_JIT = 1
    try:
        yield
    finally:
        numba.config.DISABLE_JIT = 0
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


class PlainTwin:
    """Imports plain copies of modules; copies of one instance know each other, as the originals do."""

    def __init__(self) -> None:
        self._copies: dict[str, ModuleType] = {}

    def __call__(self, name: str) -> ModuleType:
        """Plain copy of module ``name``; the module itself when the whole run is plain."""
        if kernels_are_plain():
            return importlib.import_module(name)
        if name not in self._copies:
            self._import(name)
        return self._copies[name]

    def _import(self, name: str) -> None:
        originals = _ours()
        for taken in originals:
            del sys.modules[taken]
        sys.modules.update(self._copies)
        try:
            with _without_compiler():
                importlib.import_module(name)
            self._copies = _ours()
        finally:
            for copied in _ours():
                del sys.modules[copied]
            sys.modules.update(originals)
