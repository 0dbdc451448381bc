"""Processes that are killed in the middle of what they do: a producer, a writer of rows, a gating reader.

Every other one runs its kernel as ordinary Python: the same code, some hundred times slower, so that it dies
in the middle of a message nearly always, on however busy a machine. The others run it compiled.

Every record says at which position of its ring it was published, so that whoever reads knows what it must
find: nothing torn, nothing twice, nothing missing. A message is as long as its first position says.

``python -m tests.crash.victims ROLE KIND DIRECTORY EPOCH`` is one of them as a process of its own.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from procs import kernels

kernels.set_cache_dir()  # before numba is imported

from shm import atomics, cells, counters  # noqa: E402
from shm import ring as rings  # noqa: E402
from shm import table as tables  # noqa: E402
from shm.atomics import address_of, load_relaxed  # noqa: E402
from shm.cells import publish  # noqa: E402
from shm.counters import Counters  # noqa: E402
from shm.gating import HEAD_AT  # noqa: E402
from shm.jit import kernel  # noqa: E402
from shm.layout import COUNT_MASK, INDEX_SHIFT, PAYLOAD_BYTES, WORD_BYTES  # noqa: E402
from shm.ring import OverwritingRing, Reader, RefusingRing  # noqa: E402
from shm.table import Table, write_row  # noqa: E402
from tests.plain_twin import PlainTwin  # noqa: E402

Words = NDArray[np.int64]
Ring = OverwritingRing | RefusingRing

RING: Final = "ring"
TABLE: Final = "rows"
TALLY: Final = "tally"
READERS: Final = ("survivor", "victim")
WIDTH: Final = PAYLOAD_BYTES[1]
WORDS: Final = WIDTH // WORD_BYTES
CAPACITY: Final = 1024
LARGEST: Final = CAPACITY // 4
ROW_WORDS: Final = 512
N_ROWS: Final = 8
ROW: Final = np.dtype([("words", "<i8", (ROW_WORDS,))])
SLOW: Final = PlainTwin()
STEPS: Final = 10_000  # in one compiled call; nothing depends on it
MULTIPLIER: Final = 0x5851_F42D_4C95_7F2D
LABELS: Final = ("bad", "in_poll", "handled", "started_at", "lost")


@kernel
def scramble(number: int) -> int:
    """Something that follows from a number and looks like nothing, not below zero."""
    mixed = (number ^ (number >> 15)) * MULTIPLIER
    return (mixed ^ (mixed >> 29)) & 0x7FFF_FFFF_FFFF_FFFF


@kernel
def message_size(first: int) -> int:
    """Cells of the message at position ``first``."""
    return 1 + scramble(first) % LARGEST


@kernel
def fill(ring: int, records: Words) -> int:
    """Write the message that comes next in ``ring`` into ``records``; its cells."""
    first = load_relaxed(ring + HEAD_AT)
    size = message_size(first)
    for cell in range(size):
        at = cell * WORDS
        records[at] = first + cell
        for word in range(1, WORDS):
            records[at + word] = (first + cell + word) * MULTIPLIER
    return size


@kernel
def produce(ring: int, records: Words, attempts: int) -> int:
    """Publish up to ``attempts`` messages in a row, until one is refused; how many were taken."""
    for taken in range(attempts):
        size = fill(ring, records)
        if publish(ring, records.ctypes.data, size, 0) < 0:
            return taken
    return attempts


@kernel
def bad_cells(out: Words, tags: Words, n_cells: int, start: int) -> int:
    """Cells of a batch from position ``start`` that are not what was published there, in whole messages."""
    bad = 0
    for cell in range(n_cells):
        number = start + cell
        good = out[cell * WORDS] == number
        for word in range(1, WORDS):
            good = good and out[cell * WORDS + word] == (number + word) * MULTIPLIER
        index = (tags[cell] >> INDEX_SHIFT) & COUNT_MASK
        size = tags[cell] & COUNT_MASK
        good = good and size == message_size(number - index) and index < size
        good = good and (index == 0 if cell == 0 else True) and (index == size - 1 or cell < n_cells - 1)
        bad += 0 if good else 1
    return bad


@kernel
def fill_row(record: Words, number: int) -> int:
    """Write row ``number`` into ``record``, every word of which follows from its first; the row it is for."""
    record[0] = number
    for word in range(1, ROW_WORDS):
        record[word] = (number + word) * MULTIPLIER
    return number % N_ROWS


@kernel
def write_rows(table: int, record: Words, first: int, attempts: int) -> int:
    """Write ``attempts`` rows in turn; the next number."""
    for number in range(first, first + attempts):
        write_row(table, fill_row(record, number), record.ctypes.data)
    return first + attempts


@kernel
def is_whole_row(record: Words) -> bool:
    """Whether all words of a row are of one write; one that was never written, or lost, is all zeros."""
    number = record[0]
    whole = True
    for word in range(1, ROW_WORDS):
        whole = whole and record[word] == ((number + word) * MULTIPLIER if number > 0 else 0)
    return bool(whole)


def begin_ring(kind: str, directory: Path, epoch: int) -> Ring:
    """Make the ring, or take it over."""
    if kind != "overwriting":
        is_checked = kind == "checked"
        return RefusingRing.create_or_adopt(
            CAPACITY, WIDTH, READERS, name=RING, epoch=epoch, directory=directory, checked=is_checked
        )
    return OverwritingRing.create_or_adopt(CAPACITY, WIDTH, name=RING, epoch=epoch, directory=directory)


def begin_table(directory: Path, epoch: int) -> Table:
    """Make the table, or take it over."""
    return Table.create_or_adopt(N_ROWS, ROW, name=TABLE, epoch=epoch, directory=directory)


def be_producer(kind: str, directory: Path, epoch: int) -> None:
    """Publish until killed; the core goes to others after a refusal."""
    ring, records = begin_ring(kind, directory, epoch), np.zeros(LARGEST * WORDS, np.int64)
    slow_publish = SLOW("shm.cells").publish
    while True:
        if epoch % 2 == 1:
            taken = slow_publish(ring.address, address_of(records), fill(ring.address, records), 0) > 0
        else:
            taken = produce(ring.address, records, STEPS) == STEPS
        if not taken:
            os.sched_yield()


def be_writer(kind: str, directory: Path, epoch: int) -> None:
    """Write rows until killed."""
    table, record, number = begin_table(directory, epoch), np.zeros(ROW_WORDS, np.int64), 1
    slow_write = SLOW("shm.table").write_row
    while True:
        if epoch % 2 == 1:
            slow_write(table.address, fill_row(record, number), address_of(record))
            number += 1
        else:
            number = write_rows(table.address, record, number, STEPS)


def be_reader(kind: str, directory: Path, epoch: int) -> None:
    """Read as the victim until killed, and say how far it has used what it was handed; perhaps ``keeps``."""
    ring, tally = RefusingRing.attach(RING, WIDTH, directory), Counters.attach(TALLY, directory)
    keeps = kind == "keeps"
    reader = ring.resume(READERS[1], time.monotonic_ns(), batch_cells=CAPACITY, keeps=keeps)
    start = int(reader.block["position"])
    for label in ("started_at", "handled"):
        tally.set(label, start)
    tally.add("bad", bad_cells(reader.words, reader.tags, 0, 0))  # loaded before its first sign of life
    poll = SLOW("shm.cells").poll if epoch % 2 == 1 else cells.poll
    place = ring.address, reader.address, address_of(reader.words), address_of(reader.tags), reader.room_cells
    while True:
        tally.set("in_poll", 1)
        n_cells = poll(*place, 2)
        tally.set("in_poll", 0)
        tally.add("bad", int(n_cells < 0) + bad_cells(reader.words, reader.tags, n_cells, start))
        start += max(n_cells, 0)
        tally.set("handled", start)
        reader.done()
        reader.beat(time.monotonic_ns())
        if n_cells == 0:
            os.sched_yield()


def be_observer(kind: str, directory: Path, epoch: int) -> None:
    """Read as somebody nobody waits for, and say what was received and lost."""
    attach = RefusingRing.attach if kind == "refusing" else OverwritingRing.attach
    tally = Counters.attach(TALLY, directory)
    reader = attach(RING, WIDTH, directory).observer(batch_cells=CAPACITY)
    while True:
        n_cells = reader.poll()
        start = int(reader.block["position"]) - n_cells
        tally.add("bad", int(n_cells < 0) + bad_cells(reader.words, reader.tags, n_cells, start))
        tally.set("lost", reader.lost_cells)
        tally.set("handled", reader.received_cells)
        if n_cells == 0:
            os.sched_yield()


ROLES: Final = {
    "producer": be_producer,
    "writer": be_writer,
    "reader": be_reader,
    "observer": be_observer,
}


def warm(directory: Path) -> None:
    """Compile every kernel here, so that a forked child has nothing left to compile."""
    for module in (atomics, counters, rings, tables):
        module.warm()
    ring, table = begin_ring("refusing", directory, 1), begin_table(directory, 1)
    tally = Counters.create(LABELS, name=TALLY, directory=directory)
    records = np.zeros(LARGEST * WORDS, np.int64)
    reader: Reader = ring.reader(READERS[1], 0) if isinstance(ring, RefusingRing) else ring.reader()
    produce(ring.address, records, 1)
    assert reader.poll() == message_size(0)
    bad_cells(reader.words, reader.tags, 0, 0)
    SLOW("shm.cells")
    SLOW("shm.table")
    write_rows(table.address, np.zeros(ROW_WORDS, np.int64), 1, 1)
    is_whole_row(np.zeros(ROW_WORDS, np.int64))
    for segment in (ring.segment, table.segment, tally.segment):
        segment.unlink()


def main() -> int:
    """Be one of them until killed."""
    role, kind, directory, epoch = sys.argv[1:]
    ROLES[role](kind, Path(directory), int(epoch))
    return 0


if __name__ == "__main__":
    sys.exit(main())
