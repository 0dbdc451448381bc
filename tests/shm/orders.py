"""What plain kernels acquire, release and fence, in order: what x86 keeps anyway, and others do not."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

ACQUIRES = ("load_acquire",)
RELEASES = ("store_release", "store_seq_cst")
FENCES = ("fence_acquire", "fence_release", "fence_seq_cst")


class Orders:
    """Watches the ordering atomics of plain ``modules``; a relaxed access leaves no trace."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> None:
        self._seen: list[tuple[str, int]] = []
        for module in modules:
            for name in (*ACQUIRES, *RELEASES, *FENCES):
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, self._spy(name, getattr(module, name)))

    def _spy(self, name: str, original: Callable[..., int]) -> Callable[..., int]:
        def spy(*place: int) -> int:
            self._seen.append((name, int(place[0]) if place else 0))
            return original(*place)

        return spy

    def take_all(self) -> list[tuple[str, int]]:
        """Name and address (0 of a fence) of each since the last time."""
        taken = list(self._seen)
        self._seen.clear()
        return taken

    def take(self) -> tuple[list[int], list[int]]:
        """Addresses acquired and released since the last time."""
        taken = self.take_all()
        return (
            [address for name, address in taken if name in ACQUIRES],
            [address for name, address in taken if name in RELEASES],
        )
