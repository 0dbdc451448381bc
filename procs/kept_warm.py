"""Memory that a stage works on at every message, read now and then so that the caches keep it.

What a core has not touched for half a millisecond it may find in none of its caches, and each line of it
then takes as long as many instructions. A rehearsal (``procs.rehearsal``) keeps the code; its memory is its
own. So what the real stages work on, whatever market they are about, is read beside it: to read is all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np

from engine.venues.workspace import Words
from shm.atomics import address_of, load_relaxed
from shm.jit import direct, kernel

LINE_BYTES: Final = 64
PART_BYTES: Final = 512  # of an array, from its first byte on: of most, messages use no more
ASK_EVERY: Final = 4_096  # reads; some arrays are others once markets came
PARTS_MAX: Final = 3  # an array of so few parts has each of them begin anew
_PIECE_BYTES: Final = 16

Array = np.ndarray


@kernel
def read_through(pieces: int, n_pieces: int) -> int:
    """Read a word of each line of the pieces: rows of (address, lines) at ``pieces``. Nothing of it."""
    found = 0
    for piece in range(n_pieces):
        address = load_relaxed(pieces + piece * _PIECE_BYTES)
        lines = load_relaxed(pieces + piece * _PIECE_BYTES + 8)
        for line in range(lines):
            found ^= load_relaxed(address + line * LINE_BYTES)
    return found


class KeptWarm:
    """Reads what ``scratch`` answers: arrays, of each the first PART_BYTES. They are kept alive meanwhile."""

    def __init__(self, scratch: Callable[[], Iterable[Array]]) -> None:
        self._scratch = scratch
        self._reads = 0
        self._ask()
        self._read = direct(read_through, 0, 0)

    @property
    def lines(self) -> int:
        """That one ``read`` reads."""
        return int(self._pieces[:, 1].sum())

    def read(self) -> None:
        """Read all of it once."""
        self._reads += 1
        if self._reads % ASK_EVERY == 0:
            self._ask()
        self._read(self._at, self._n_pieces)

    def _ask(self) -> None:
        parts = [part for array in self._scratch() for part in parts_of(array)]
        self._kept = parts
        self._pieces: Words = np.array(
            [(address_of(part), -(-min(part.nbytes, PART_BYTES) // LINE_BYTES)) for part in parts], np.int64
        ).reshape(-1, 2)
        self._at, self._n_pieces = address_of(self._pieces), len(self._pieces)


def parts_of(array: Array) -> list[Array]:
    """An array of few rows, each as large as several lines, row by row; any other whole."""
    is_many = array.ndim > 1 and len(array) <= PARTS_MAX and array.nbytes > PART_BYTES
    found = list(array) if is_many else [array]
    return [part for part in found if part.nbytes >= LINE_BYTES]


def warm() -> None:
    """Compile the kernel of this module."""
    KeptWarm(lambda: [np.zeros(8, np.int64)]).read()
