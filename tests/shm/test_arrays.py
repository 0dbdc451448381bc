from __future__ import annotations

import numpy as np
import numpy.typing as npt

from shm.arrays import BYTES_AT, array_at
from shm.atomics import address_of
from shm.jit import kernel

RECORD = np.dtype([("count", "<i8"), ("side", "<i4"), ("flags", "<i4")], align=True)


@kernel
def touch(address: int, n: int, grid: int, rows: int) -> int:
    """Add to the last record and to one place of a table of ``rows`` by three; what the table's place was."""
    records = array_at(address, (n,), RECORD)
    records[n - 1]["count"] += 7
    records[n - 1]["side"] -= 1
    table = array_at(grid, (rows, 3), np.int64)
    before = int(table[rows - 1, 1])
    table[rows - 1, 1] = before + records[0]["flags"]
    return before


@kernel
def add_up(address: int, length: int) -> int:
    """Of so many bytes at ``address``."""
    total = 0
    for byte in array_at(address, (length,), np.uint8):
        total += int(byte)
    return total


def test_the_text_of_bytes_is_where_we_say() -> None:
    for text in (b"", b"a", bytes(range(256)) * 40):
        assert add_up(id(text) + BYTES_AT, len(text)) == sum(text)


def test_a_kernel_reads_and_writes_the_memory_itself() -> None:
    records: npt.NDArray[np.void] = np.zeros(3, RECORD)
    table = np.arange(12).reshape(4, 3)
    records["flags"] = (5, 6, 7)
    assert touch(address_of(records), 3, address_of(table), 4) == 10
    assert records.tolist() == [(0, 0, 5), (0, 0, 6), (7, -1, 7)]
    assert table.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 15, 11]]
