"""The recorded market kept in a book store of its own, fed by the simulation alone."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from engine.book.store import BookStore
from engine.records import Side, TopFlag, Trust
from engine.sim.ports import Rows

_UNFIT: Final = int(TopFlag.CROSSED | TopFlag.SIZE_UNKNOWN)


class StoreBook:
    """``engine.sim.ports.PublicBook`` over a BookStore. Markets are opened and closed on ``store`` itself."""

    def __init__(self, store: BookStore) -> None:
        self.store = store

    def apply(self, updates: Rows, n: int, now_ns: int) -> int:
        """Take over ``updates[:n]``."""
        return self.store.apply(updates, n, now_ns)

    def levels(self, slot: int, side: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Prices (YES terms, best first) and sizes of one side; ValueError when no book is open there."""
        return self.store.levels(slot, Side(side))

    def is_tradable(self, slot: int) -> bool:
        """LIVE, not crossed, sizes known."""
        row = self.store.rows[slot]
        return int(row["trust"]) == Trust.LIVE and not int(row["flags"]) & _UNFIT
