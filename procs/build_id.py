"""Which sources a process runs: eight bytes that every process of one engine must have in common."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from engine.errors import LayoutMismatch
from procs.kernels import SourceTree
from procs.places import PACKAGES_ROOT

_RUNTIME_FLOORS = ("engine", "shm", "procs")


@cache
def build_id(root: Path = PACKAGES_ROOT) -> str:
    """16 hex digits over every source that a process may load, and what compiles the kernels."""
    tree = SourceTree(root)
    return tree.hash([name for name in tree.modules if name.split(".")[0] in _RUNTIME_FLOORS])


def refuse_other_build(who: str, found: str, own: str) -> None:
    """LayoutMismatch unless ``found``, the build that ``who`` runs, is our own."""
    if found != own:
        raise LayoutMismatch(f"{who} runs build {found}, this is build {own}: stop the one, or both")
