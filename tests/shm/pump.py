"""One end of a ring in a process of its own: sends or receives numbered, checksummed records, all in kernels.

``python -m tests.shm.pump send|receive KIND DIRECTORY COUNT``: KIND is ``overwriting`` or ``refusing``, COUNT
the number of records. Each end prints one line of JSON: what it sent or got, what it lost, what was wrong.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from procs import kernels

kernels.set_cache_dir()  # before numba is imported

from shm.atomics import pause  # noqa: E402
from shm.cells import poll, publish  # noqa: E402
from shm.jit import kernel  # noqa: E402
from shm.layout import PAYLOAD_BYTES  # noqa: E402
from shm.ring import OverwritingRing, Reader, RefusingRing  # noqa: E402

Words = NDArray[np.int64]

NAME = "pump"
READER = "receiver"
WORDS = PAYLOAD_BYTES[0] // 8
BATCH_CELLS = 256
ATTEMPTS_IN_KERNEL = 20_000  # then Python looks at the deadline, and lets others have the core
DEADLINE_S = 300.0
MULTIPLIER = 0x5851_F42D_4C95_7F2D

EXPECTED, RECEIVED, BAD, BACKWARDS = 0, 1, 2, 3  # words of the receiver's tally


@kernel
def scramble(number: int) -> int:
    """Checksum word of a record, the same in every process."""
    mixed = (number ^ (number >> 15)) * MULTIPLIER
    return mixed ^ (mixed >> 29)


@kernel
def send_some(ring: int, record: Words, first: int, end: int) -> int:
    """Publish records ``first`` to ``end``, waiting for room; the next to send after a bounded time."""
    address = record.ctypes.data
    number = first
    for _ in range(ATTEMPTS_IN_KERNEL):
        if number == end:
            break
        record[0] = number
        record[1] = scramble(number)
        for word in range(2, WORDS):
            record[word] = number + word
        if publish(ring, address, 1, number & 0xFF) > 0:
            number += 1
        pause()  # also after a success: a receiver can then keep up, so that both laps and long runs are seen
    return number


@kernel
def receive_some(ring: int, reader: int, out: Words, tags: Words, tally: Words) -> int:
    """Poll for a bounded time and check every record; answers the number expected next."""
    into = out.ctypes.data
    into_tags = tags.ctypes.data
    for _ in range(ATTEMPTS_IN_KERNEL // BATCH_CELLS):
        n_cells = poll(ring, reader, into, into_tags, BATCH_CELLS, BATCH_CELLS)
        if n_cells < 0:
            tally[BAD] += 1
        if n_cells <= 0:
            pause()
        for cell in range(n_cells):
            at = cell * WORDS
            number = out[at]
            good = out[at + 1] == scramble(number) and ((tags[cell] >> 32) & 0xFF) == (number & 0xFF)
            for word in range(2, WORDS):
                good = good and out[at + word] == number + word
            if not good:
                tally[BAD] += 1
            if number < tally[EXPECTED]:
                tally[BACKWARDS] += 1
            tally[EXPECTED] = number + 1
        tally[RECEIVED] += max(n_cells, 0)
    return int(tally[EXPECTED])


def open_ring(kind: str, directory: Path) -> OverwritingRing | RefusingRing:
    """Attach to the ring the test created."""
    ring = RefusingRing if kind == "refusing" else OverwritingRing
    return ring.attach(NAME, PAYLOAD_BYTES[0], directory)


def send(ring: OverwritingRing | RefusingRing, count: int) -> None:
    """Publish ``count`` records, as fast as the ring takes them."""
    record = np.zeros(WORDS, np.int64)
    deadline_s = time.monotonic() + DEADLINE_S
    number = 0
    while number < count and time.monotonic() < deadline_s:
        number = send_some(ring.address, record, number, count)
        os.sched_yield()
    print(json.dumps({"sent": number, "refused": ring.refusals["full"]}))


def receive(ring: OverwritingRing | RefusingRing, count: int) -> None:
    """Receive until the last record has been seen."""
    reader: Reader = ring.reader(READER, 0) if isinstance(ring, RefusingRing) else ring.reader()
    tally = np.zeros(4, np.int64)
    out, tags = np.zeros(BATCH_CELLS * WORDS, np.int64), np.zeros(BATCH_CELLS, np.int64)
    receive_some(ring.address, reader.address, out, tags, tally)  # compiled: the sender may start
    print("ready", flush=True)
    began_s = time.monotonic()
    while tally[EXPECTED] < count and time.monotonic() < began_s + DEADLINE_S:
        receive_some(ring.address, reader.address, out, tags, tally)
        os.sched_yield()
    report = {
        "received": int(tally[RECEIVED]),
        "bad": int(tally[BAD]),
        "backwards": int(tally[BACKWARDS]),
        "lost": reader.lost_messages,
        "lost_cells": reader.lost_cells,
        "laps": reader.laps,
        "counted": reader.received_messages,
        "seconds": time.monotonic() - began_s,
    }
    print(json.dumps(report))


def main() -> int:
    """Run one end."""
    role, kind, directory, count = sys.argv[1:]
    ring = open_ring(kind, Path(directory))
    if role == "send":
        send(ring, int(count))
    else:
        receive(ring, int(count))
    return 0


if __name__ == "__main__":
    sys.exit(main())
