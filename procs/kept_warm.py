"""Memory that a stage works on at every message, read now and then so that the caches keep it.

What a core has not touched for half a millisecond it may find in none of its caches, and each line of it
then takes as long as many instructions. A drill (``procs.drill``) keeps the code; its memory is its
own. So what the real stages work on, whatever market they are about, is read beside it: to read is all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from engine.venues.workspace import Words
from shm.atomics import address_of, load_relaxed
from shm.jit import direct, kernel
from shm.layout import WORD_BYTES

LINE_BYTES: Final = 64
PART_BYTES: Final = 512  # of an array, from its first byte on: of most, messages use no more
PARTS_MAX: Final = 3  # an array of so few parts has each of them begin anew
_COLUMNS: Final = 2  # of a piece: address, lines
_PIECE_BYTES: Final = _COLUMNS * WORD_BYTES

Array = np.ndarray


@kernel
def read_through(pieces: int, n_pieces: int) -> int:
    """Read a word of each line of the pieces: rows of (address, lines) at ``pieces``.

    What it answers is of no use but this: loads that nobody needs would be left out.
    """
    found = 0
    for piece in range(n_pieces):
        address = load_relaxed(pieces + piece * _PIECE_BYTES)
        lines = load_relaxed(pieces + piece * _PIECE_BYTES + WORD_BYTES)
        for line in range(lines):
            found ^= load_relaxed(address + line * LINE_BYTES)
    return found


class KeptWarm:
    """Reads ``arrays``, of each the first PART_BYTES; ``lines`` in all. They are kept alive."""

    def __init__(self, arrays: Iterable[Array]) -> None:
        self._kept = [part for array in arrays for part in parts_of(array)]
        rows = [(address_of(part), -(-min(part.nbytes, PART_BYTES) // LINE_BYTES)) for part in self._kept]
        self._pieces: Words = np.array(rows, np.int64).reshape(-1, _COLUMNS)
        self._at, self._n_pieces = address_of(self._pieces), len(rows)
        self._read = direct(read_through, 0, 0)
        self.lines = sum(lines for _, lines in rows)

    def read(self) -> None:
        """Read all of it once."""
        self._read(self._at, self._n_pieces)


def parts_of(array: Array) -> list[Array]:
    """An array of few rows, each as large as several lines, row by row; any other whole."""
    is_many = array.ndim > 1 and len(array) <= PARTS_MAX and array.nbytes > PART_BYTES
    found = list(array) if is_many else [array]
    return [part for part in found if part.nbytes >= LINE_BYTES]


def warm() -> None:
    """Compile the kernel of this module."""
    KeptWarm([np.zeros(8, np.int64)]).read()
