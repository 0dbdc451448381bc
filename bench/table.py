"""Reading a row of a table of latest values: compiled, from Python, and from shared dictionaries.

A row of 64 bytes with its sequence, nobody writing at the moment, as nearly every read finds it. The compiled
reader goes over READS rows in one call and adds up what it finds, so that no read is left out. Peers hold as
many bytes under one key.
"""

from __future__ import annotations

import multiprocessing
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench._peers import named, peer
from bench._result import OURS, Result, claim
from bench._timing import interleave, per_call
from shm.jit import kernel
from shm.table import Table, read_row

ROWS: Final = 64
READS: Final = 2_000_000
CALLS: Final = 500
PEER_CALLS: Final = 50
RECORD: Final = np.dtype([("words", "<i8", (7,))])
NS_MAX: Final = 6
COMPILED: Final = "read of a 64-byte row, compiled"
PYTHON: Final = "read of a 64-byte row, from Python"

Words = NDArray[np.int64]


@kernel
def read_many(table: int, rows: int, reads: int, out: Words) -> int:
    """Read rows in turn; the sum of their first words. -1 when one could not be read."""
    total = row = 0
    for _ in range(reads):
        if read_row(table, row, out.ctypes.data) < 0:
            return -1
        total += out[0]
        row = row + 1 if row < rows - 1 else 0  # a division would take longer than the read
    return total


def filled() -> Table:
    """A table whose rows say their number."""
    table, record = Table.create(ROWS, RECORD), np.zeros(1, RECORD)
    for row in range(ROWS):
        record["words"] = row
        table.write(row, record)
    return table


def compiled(table: Table, reads: int) -> dict[str, float]:
    """Nanoseconds of a read within compiled code; RuntimeError when a value is not what was written."""
    out = np.zeros(7, np.int64)
    began_ns = time.perf_counter_ns()
    total = read_many(table.address, ROWS, reads, out)
    took_ns = time.perf_counter_ns() - began_ns
    if total != sum(number % ROWS for number in range(ROWS)) * (reads // ROWS):
        raise RuntimeError(f"the reads add up to {total}")
    return {"ns": took_ns / reads}


@contextmanager
def dictionaries(result: Result) -> Iterator[dict[str, Callable[[], object]]]:
    """A read of each shared dictionary that is here."""
    with ExitStack() as stack:
        manager = stack.enter_context(multiprocessing.Manager())
        managed = manager.dict(row=bytes(64))
        found: dict[str, Callable[[], object]] = {"multiprocessing.Manager": lambda: managed["row"]}
        package = peer(result, "shared_memory_dict", "shared-memory-dict")
        if package is not None:
            shared = package.SharedMemoryDict(name=f"bench-{uuid.uuid4().hex}", size=4_096)
            stack.callback(shared.shm.unlink)
            stack.callback(shared.shm.close)
            shared["row"] = bytes(64)
            found[named("shared-memory-dict")] = lambda: shared["row"]
        yield found


def measure(result: Result) -> None:
    """The compiled reader, then calls from Python beside the dictionaries."""
    table, out = filled(), np.zeros(1, RECORD)
    interleave(result, COMPILED, {OURS: partial(compiled, table, READS // ROWS * ROWS)})
    with dictionaries(result) as others:
        ways = {OURS: partial(per_call, lambda: table.read(7, out), CALLS)}
        ways |= {who: partial(per_call, read, PEER_CALLS) for who, read in others.items()}
        interleave(result, PYTHON, ways)
    claim(result, COMPILED, "ns", NS_MAX)
