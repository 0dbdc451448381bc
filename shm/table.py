"""Latest values in seqlocked rows: one writer, any number of readers, neither waits for the other.

A row's sequence is odd while its writer is at it. A reader copies and looks at the sequence again; if the
writer was there it tries again, a bounded number of times, and says so when it gives up. Kernels take the
table's address; in the writer's own process ``Table.rows`` shows the records themselves, to be changed
between ``begin_row`` and ``end_row``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from shm.atomics import (
    address_of,
    fence_acquire,
    fence_release,
    load_acquire,
    load_relaxed,
    pause,
    store_relaxed,
    store_release,
)
from shm.cells import copy_words
from shm.errors import LayoutMismatch, RingRefused
from shm.jit import direct, kernel
from shm.layout import (
    LINE_BYTES,
    ROW_BYTES_MAX,
    TABLE,
    TABLE_ROWS_MAX,
    WORD_BYTES,
    WORD_SHIFT,
    SegmentKind,
    Status,
    layout_hash,
    offset_of,
    round_up,
)
from shm.segment import Segment, create_or_adopt

Records = NDArray[np.void]

READ_TRIES_MAX: Final = 64
LOST_ROWS_AT: Final = offset_of(TABLE, "lost_rows")
N_ROWS_AT: Final = offset_of(TABLE, "n_rows")
ROW_WORDS_AT: Final = offset_of(TABLE, "row_words")
STRIDE_AT: Final = offset_of(TABLE, "stride_bytes")
ROWS_AT: Final = TABLE.itemsize
NO_SUCH_ROW: Final = int(Status.NO_SUCH_ROW)
ROW_BUSY: Final = int(Status.ROW_BUSY)


@kernel
def row_address(table: int, row: int) -> int:
    """Address of a row's sequence word, its record one word behind; NO_SUCH_ROW past the table's ends."""
    if row < 0 or row >= load_relaxed(table + N_ROWS_AT):
        return NO_SUCH_ROW
    return table + ROWS_AT + row * load_relaxed(table + STRIDE_AT)


@kernel
def begin_row(table: int, row: int) -> int:
    """Mark a row as being written; 0, or NO_SUCH_ROW. A mark left by a writer that died is taken over."""
    address = row_address(table, row)
    if address < 0:
        return address
    store_relaxed(address, (load_relaxed(address) + 1) | 1)
    fence_release()
    return 0


@kernel
def end_row(table: int, row: int) -> int:
    """Publish what was written since ``begin_row``; 0, or NO_SUCH_ROW."""
    address = row_address(table, row)
    if address < 0:
        return address
    store_release(address, load_relaxed(address) + 1)
    return 0


@kernel
def write_row(table: int, row: int, source: int) -> int:
    """Replace a row by the record at address ``source``; 0, or NO_SUCH_ROW."""
    status = begin_row(table, row)
    if status == 0:
        copy_words(row_address(table, row) + WORD_BYTES, source, load_relaxed(table + ROW_WORDS_AT))
        status = end_row(table, row)
    return status


@kernel
def fetch_row(address: int, n_words: int, out: int) -> tuple[int, int]:
    """Copy the row at ``address`` to address ``out``: its sequence and how often it tried again.

    (ROW_BUSY, 0) when the writer was there at every try: ``out`` is torn.
    """
    for retries in range(READ_TRIES_MAX):
        before = load_acquire(address)
        if before & 1 == 0:
            copy_words(out, address + WORD_BYTES, n_words)
            fence_acquire()
            if load_relaxed(address) == before:
                return before, retries
        pause()
    return ROW_BUSY, 0


@kernel
def read_row(table: int, row: int, out: int) -> int:
    """Copy a row to address ``out``: how often it tried again, NO_SUCH_ROW, or ROW_BUSY (``out`` is torn)."""
    address = row_address(table, row)
    if address < 0:
        return address
    sequence, retries = fetch_row(address, load_relaxed(table + ROW_WORDS_AT), out)
    return retries if sequence >= 0 else ROW_BUSY


@kernel
def repair(table: int) -> int:
    """Make the rows that a dead writer was at readable again, zeroed; answers how many, and counts them.

    What such a row held is lost: part of it may be new and part old. Left alone, its readers would try again
    for ever.
    """
    lost = 0
    for row in range(load_relaxed(table + N_ROWS_AT)):
        address = row_address(table, row)
        sequence = load_relaxed(address)
        if sequence & 1 == 0:
            continue
        for word in range(1, load_relaxed(table + ROW_WORDS_AT) + 1):
            store_relaxed(address + word * WORD_BYTES, 0)
        store_release(address, sequence + 1)
        lost += 1
    store_relaxed(table + LOST_ROWS_AT, load_relaxed(table + LOST_ROWS_AT) + lost)
    return lost


def table_layout_hash(dtype: np.dtype[np.void]) -> int:
    """Hash that both sides of a table must agree on."""
    return layout_hash(TABLE, dtype)


class Table:
    """Rows of ``dtype``: written by one thread of one process, read by anyone.

    ``read_retries``, ``read_failures`` and ``refused_rows`` count what this object met, not what others did.
    """

    def __init__(self, segment: Segment, dtype: np.dtype[np.void]) -> None:
        self.segment = segment
        self.dtype = dtype
        self.address = segment.address
        self.header = segment.bytes_at(0, TABLE.itemsize).view(TABLE)[0]
        self._out = np.zeros(1, dtype)  # what was read into last, with its address
        self._out_address = address_of(self._out)
        self._record, self._record_address = self._out, self._out_address  # and what was written last
        self._read, self._write = direct(read_row, 0, 0, 0), direct(write_row, 0, 0, 0)
        self.read_retries = 0
        self.read_failures = 0
        self.refused_rows = 0

    @classmethod
    def create(
        cls,
        n_rows: int,
        dtype: np.dtype[np.void],
        *,
        name: str | None = None,
        epoch: int = 0,
        directory: Path | None = None,
    ) -> Self:
        """Make a zeroed table; raises RingRefused when ``dtype`` is not whole words or a bound is passed."""
        if dtype.itemsize % WORD_BYTES or not 0 < dtype.itemsize <= ROW_BYTES_MAX:
            raise RingRefused(f"rows are whole words up to {ROW_BYTES_MAX} bytes, not {dtype.itemsize} bytes")
        if not 1 <= n_rows <= TABLE_ROWS_MAX:
            raise RingRefused(f"a table has 1 to {TABLE_ROWS_MAX} rows, not {n_rows}")
        stride = round_up(WORD_BYTES + dtype.itemsize, LINE_BYTES)
        size = TABLE.itemsize + n_rows * stride
        segment = Segment.create(name, size, SegmentKind.TABLE, table_layout_hash(dtype), epoch, directory)
        table = cls(segment, dtype)
        table.header["row_words"] = dtype.itemsize >> WORD_SHIFT
        table.header["stride_bytes"] = stride
        table.header["n_rows"] = n_rows
        segment.seal()
        return table

    @classmethod
    def attach(cls, name: str, dtype: np.dtype[np.void], directory: Path, epoch: int | None = None) -> Self:
        """Map a table another process created; raises LayoutMismatch, SegmentRefused or FileNotFoundError."""
        segment = Segment.attach(name, SegmentKind.TABLE, table_layout_hash(dtype), directory, epoch)
        return cls(segment, dtype)

    @classmethod
    def adopt(
        cls, name: str, dtype: np.dtype[np.void], directory: Path, epoch: int, n_rows: int | None = None
    ) -> Self:
        """Become the writer of a table whose writer is gone: whole rows stay, torn ones are zeroed.

        ``lost_rows`` counts those. Readers see another ``epoch``. Raises SegmentExists for a living writer,
        LayoutMismatch also for another number of rows and for an ``epoch`` that is not newer, SegmentRefused,
        FileNotFoundError.
        """

        def fits(segment: Segment) -> None:
            found = len(cls(segment, dtype))
            if n_rows not in (None, found):
                raise LayoutMismatch(f"{segment.path}: n_rows is {found}, expected {n_rows}")

        expected = table_layout_hash(dtype)
        table = cls(Segment.adopt(name, SegmentKind.TABLE, expected, directory, epoch, fits), dtype)
        repair(table.address)
        return table

    @classmethod
    def create_or_adopt(
        cls, n_rows: int, dtype: np.dtype[np.void], *, name: str, epoch: int, directory: Path
    ) -> Self:
        """Make the table, or become its writer where one has died; raises as ``create`` and ``adopt``."""
        return create_or_adopt(
            lambda: cls.create(n_rows, dtype, name=name, epoch=epoch, directory=directory),
            lambda: cls.adopt(name, dtype, directory, epoch, n_rows),
        )

    @property
    def epoch(self) -> int:
        """Epoch of the present writer; another number than before: another process writes the rows now."""
        return self.segment.epoch

    @property
    def lost_rows(self) -> int:
        """Times a row was zeroed because its writer died at it."""
        return int(self.header["lost_rows"])

    def __len__(self) -> int:
        return int(self.header["n_rows"])

    @property
    def rows(self) -> Records:
        """The records themselves, strided: the writer's own process needs no copy to read them."""
        stride = int(self.header["stride_bytes"])
        rows: Records = np.ndarray(
            len(self), self.dtype, self.segment.bytes_at(ROWS_AT, len(self) * stride), WORD_BYTES, (stride,)
        )
        return rows

    def write(self, row: int, record: Records) -> bool:
        """Replace a row by the first record of ``record``; False (counted) when there is no such row."""
        if record is not self._record:
            self._check(record)
            self._record, self._record_address = record, address_of(record)
        if self._write(self.address, row, self._record_address) == 0:
            return True
        self.refused_rows += 1
        return False

    def read(self, row: int, out: Records) -> bool:
        """Copy a row into the first record of ``out``; False (counted) when it is busy or does not exist."""
        if out is not self._out:  # whoever reads again and again has one place for it
            self._check(out)
            self._out, self._out_address = out, address_of(out)
        retries = self._read(self.address, row, self._out_address)
        if retries >= 0:
            self.read_retries += retries
            return True
        self.read_failures += retries == ROW_BUSY
        self.refused_rows += retries == NO_SUCH_ROW
        return False

    def version(self, row: int) -> int:
        """Times a row was written; raises IndexError when there is no such row."""
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        start = ROWS_AT + row * int(self.header["stride_bytes"])
        return int(self.segment.bytes_at(start, WORD_BYTES).view(np.int64)[0]) >> 1

    def _check(self, records: Records) -> None:
        if records.dtype.itemsize != self.dtype.itemsize or records.size < 1:
            raise ValueError(
                f"rows are {self.dtype.itemsize} bytes, got {records.size} of {records.dtype.itemsize}"
            )


def warm() -> None:
    """Compile the kernels of this module."""
    record = np.zeros(1, np.dtype([("word", "<i8")]))
    table = Table.create(1, record.dtype)
    table.write(0, record)
    table.read(0, record)
    begin_row(table.address, 0)
    end_row(table.address, 0)
    repair(table.address)
