"""Whether anything waits in the rings of a process, and whose it is: one compiled look at all of them.

A pass over agents that have nothing to read costs each its way through Python; between two messages that is
most of what a message waits for. ``News`` looks at the words that a writer moves last, some nanoseconds a
ring, and says which agents have something. It reads ahead of nobody and takes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from shm.atomics import address_of, load_relaxed, pause
from shm.cells import CELL_SHIFT_AT, CELLS_AT, SUMS_AT
from shm.gating import CAPACITY_AT, FENCED, HEAD_AT, POSITION_AT, STATE_AT
from shm.jit import direct, kernel
from shm.layout import WORD_BYTES
from shm.reader import Reader, Words

GROUPS_MAX: Final = 62
_COLUMNS: Final = 4  # ring, the reader's place, the place others see, the bit of its group
_ROW_BYTES: Final = _COLUMNS * WORD_BYTES


@kernel
def is_waiting(ring: int, place: int, shared: int) -> bool:
    """Whether a poll of the reader at ``place`` would bring something, or say that it was fenced.

    A checked ring is asked for its head, because the sequence of a garbled cell may be anything. Relaxed
    loads do: what there is to read the poll acquires.
    """
    if load_relaxed(shared + STATE_AT) == FENCED:
        return True
    position = load_relaxed(place + POSITION_AT)
    if load_relaxed(ring + SUMS_AT) != 0:
        return load_relaxed(ring + HEAD_AT) > position
    mask, shift = load_relaxed(ring + CAPACITY_AT) - 1, load_relaxed(ring + CELL_SHIFT_AT)
    return load_relaxed(ring + CELLS_AT + ((position & mask) << shift)) >= 2 * position + 2


@kernel
def look(rows: int, n_rows: int) -> int:
    """Bits of the groups for which something waits."""
    found = 0
    for row in range(rows, rows + n_rows * _ROW_BYTES, _ROW_BYTES):
        bit = load_relaxed(row + 3 * WORD_BYTES)
        if found & bit == 0 and is_waiting(
            load_relaxed(row), load_relaxed(row + WORD_BYTES), load_relaxed(row + 2 * WORD_BYTES)
        ):
            found |= bit
    return found


@kernel
def look_again(rows: int, n_rows: int, looks: int) -> int:
    """The same, up to ``looks`` times, until something waits."""
    for _ in range(looks):
        found = look(rows, n_rows)
        if found != 0:
            return found
        pause()
    return 0


class News:
    """What waits for groups of readers: bit ``n`` stands for ``groups[n]``.

    ValueError for more than GROUPS_MAX groups.
    """

    def __init__(self, groups: Sequence[Sequence[Reader]]) -> None:
        if len(groups) > GROUPS_MAX:
            raise ValueError(f"{len(groups)} groups of readers, and bits for {GROUPS_MAX}")
        rows = [
            (reader.ring_address, reader.address, reader.shared_address, 1 << number)
            for number, group in enumerate(groups)
            for reader in group
        ]
        self._kept = groups  # the rows are addresses in them
        self._rows: Words = np.array(rows, np.int64).reshape(-1, _COLUMNS)
        self._address, self._n_rows = address_of(self._rows), len(rows)
        self._look, self._look_again = direct(look, 0, 0), direct(look_again, 0, 0, 0)

    def look(self) -> int:
        """Bits of the groups for which something waits now."""
        return self._look(self._address, self._n_rows)

    def wait(self, looks: int) -> int:
        """The same, after up to ``looks`` looks: bounded, because signals are heard only behind it."""
        return self._look_again(self._address, self._n_rows, looks)


def warm() -> None:
    """Compile the kernels of this module."""
    news = News([])
    news.look()
    news.wait(1)
