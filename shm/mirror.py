"""A reader's own copy of a whole table, brought up to date row by row: what kernels index by slot.

Only rows whose sequence has moved are fetched. A row is taken over once it was read whole; one whose writer
was at it at every try keeps what it had, and is fetched at the next refresh.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shm.atomics import address_of, load_relaxed, store_relaxed
from shm.cells import copy_words
from shm.jit import kernel
from shm.layout import WORD_BYTES, WORD_SHIFT
from shm.table import ROW_WORDS_AT, Records, Table, fetch_row, row_address

Words = NDArray[np.int64]
N_CHANGED, N_BUSY = 0, 1  # of the answer of ``refresh``
_ANSWER_WORDS: Final = 2


@kernel
def refresh(table: int, count: int, rows: int, seen: int, scratch: int, changed: int, answer: int) -> None:
    """Fetch every row whose sequence is not the one in ``seen``; numbers of those fetched go to ``changed``.

    Of the first ``count`` rows. All others are addresses: ``rows`` has a record for each row, ``scratch``
    one, ``answer`` two words.
    """
    n_words = load_relaxed(table + ROW_WORDS_AT)
    n_changed = 0
    n_busy = 0
    for row in range(count):
        address = row_address(table, row)
        if load_relaxed(address) == load_relaxed(seen + row * WORD_BYTES):
            continue  # what is fetched is acquired below
        sequence = fetch_row(address, n_words, scratch)[0]
        if sequence < 0:
            n_busy += 1
            continue
        copy_words(rows + row * n_words * WORD_BYTES, scratch, n_words)
        store_relaxed(seen + row * WORD_BYTES, sequence)
        store_relaxed(changed + n_changed * WORD_BYTES, row)
        n_changed += 1
    store_relaxed(answer + N_CHANGED * WORD_BYTES, n_changed)
    store_relaxed(answer + N_BUSY * WORD_BYTES, n_busy)


class Mirror:
    """``rows``: a contiguous copy of ``table``. ``busy`` counts rows that a refresh could not read whole."""

    def __init__(self, table: Table) -> None:
        self.rows: Records = np.zeros(len(table), table.dtype)
        self.busy = 0
        self._table = table
        self._seen: Words = np.zeros(len(table), np.int64)
        self._changed: Words = np.zeros(len(table), np.int64)
        self._scratch: Words = np.zeros(table.dtype.itemsize >> WORD_SHIFT, np.int64)
        self._answer: Words = np.zeros(_ANSWER_WORDS, np.int64)
        arrays = (self.rows, self._seen, self._scratch, self._changed, self._answer)
        self._addresses = tuple(address_of(array) for array in arrays)

    def refresh(self, count: int | None = None) -> bool:
        """Take over what was written since; False when some row could not be read whole.

        Of the first ``count`` rows, where no others are in use: to look at one costs a cache line.
        """
        n_rows = len(self.rows) if count is None else min(count, len(self.rows))
        refresh(self._table.address, n_rows, *self._addresses)
        self.busy += int(self._answer[N_BUSY])
        return not self._answer[N_BUSY]

    @property
    def changed(self) -> Words:
        """Numbers of the rows that the last refresh brought, rising."""
        return self._changed[: int(self._answer[N_CHANGED])]


def warm() -> None:
    """Compile the kernels of this module."""
    Mirror(Table.create(1, np.dtype([("word", "<i8")]))).refresh()
