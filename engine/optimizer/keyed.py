"""Rows found by a number, in one array: what kernels have in place of a dictionary.

Open addressing: a row stands at the place its key hashes to, or at the next free one. Where a row is removed
those behind it move up, so that no mark of it stays, and looking up what is not there stays short however
many keys have come and gone. Column KEY is the key plus one; 0 is a free row. Keys are not negative.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from engine.jit import kernel

Ints = npt.NDArray[np.int64]

KEY: Final = 0
COLUMNS: Final = 3
NO_ROW: Final = -1

_SPREAD: Final = 0x9E3779B1  # odd: neighbours come to lie apart
_KEY_MASK: Final = (1 << 31) - 1  # of a key, so that the product fits


def keyed_rows(rows_max: int) -> Ints:
    """An array for up to ``rows_max`` rows: half of it stays free."""
    return np.zeros((1 << (2 * rows_max).bit_length(), COLUMNS), np.int64)


@kernel
def _home(key: int, mask: int) -> int:
    return (((key & _KEY_MASK) * _SPREAD) >> 15) & mask


@kernel
def row_of(key: int, rows: Ints) -> int:
    """Where the row of a key is; NO_ROW when there is none."""
    mask = len(rows) - 1
    at = _home(key, mask)
    while rows[at, KEY] != 0:
        if rows[at, KEY] == key + 1:
            return at
        at = (at + 1) & mask
    return NO_ROW


@kernel
def row_for(key: int, rows: Ints) -> int:
    """Where the row of a key is, made where there is none. The array must not be full."""
    mask = len(rows) - 1
    at = _home(key, mask)
    while rows[at, KEY] != 0 and rows[at, KEY] != key + 1:
        at = (at + 1) & mask
    rows[at, KEY] = key + 1
    return at


@kernel
def remove_row(at: int, rows: Ints) -> None:
    """Remove a row; those that stood behind it for want of their own place move up."""
    mask = len(rows) - 1
    probe = (at + 1) & mask
    while rows[probe, KEY] != 0:
        home = _home(int(rows[probe, KEY]) - 1, mask)
        if (probe - home) & mask >= (probe - at) & mask:
            rows[at, 0], rows[at, 1], rows[at, 2] = rows[probe, 0], rows[probe, 1], rows[probe, 2]
            at = probe
        probe = (probe + 1) & mask
    rows[at, 0] = rows[at, 1] = rows[at, 2] = 0
