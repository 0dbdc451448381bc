"""What the simulated venue needs to see of the recorded market."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.void]


class PublicBook(Protocol):
    """The venue's own book as recorded. It belongs to the simulation: nobody else may move it."""

    def apply(self, updates: Rows, n: int, now_ns: int) -> int:
        """Take over ``updates[:n]``, BOOK_UPDATE records of one frame."""
        ...

    def levels(self, slot: int, side: int) -> tuple[Iterable[int], Iterable[int]]:
        """Prices (YES terms, best first) and sizes of one side (``engine.records.Side``)."""
        ...

    def is_tradable(self, slot: int) -> bool:
        """Whether the book is LIVE, not crossed, its sizes known: else it gives no liquidity."""
        ...
