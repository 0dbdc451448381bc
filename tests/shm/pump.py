"""One end of a ring in a process of its own: sends or receives numbered, checksummed records, all in kernels.

Records travel in messages of 1 to 3, by the number of the first: a receiver knows which belong together.

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
RECORDS_MAX = 3
DEADLINE_S = 1800.0  # far beyond any run that goes on: it ends one that hangs
MULTIPLIER = 0x5851_F42D_4C95_7F2D

EXPECTED, RECEIVED, BAD, BACKWARDS = 0, 1, 2, 3  # words of the receiver's tally


@kernel
def scramble(number: int) -> int:
    """Checksum word of a record, the same in every process."""
    mixed = (number ^ (number >> 15)) * MULTIPLIER
    return mixed ^ (mixed >> 29)


@kernel
def message_size(first: int, end: int) -> int:
    """Records of the message that begins with record ``first`` of ``end``."""
    return min(1 + first % RECORDS_MAX, end - first)


@kernel
def send_some(ring: int, records: Words, first: int, end: int) -> int:
    """Publish records ``first`` to ``end``, waiting for room; the next to send after a bounded time."""
    address = records.ctypes.data
    number = first
    for _ in range(ATTEMPTS_IN_KERNEL):
        if number == end:
            break
        size = message_size(number, end)
        for record in range(size):
            at = record * WORDS
            records[at] = number + record
            records[at + 1] = scramble(number + record)
            for word in range(2, WORDS):
                records[at + word] = number + record + word
        if publish(ring, address, size, number & 0xFF) > 0:
            number += size
        pause()  # also after a success: a receiver can then keep up, so that both laps and long runs are seen
    return number


@kernel
def is_intact(out: Words, at: int, tag: int, end: int) -> bool:
    """Whether the record at word ``at`` is what was sent, in the message it was sent in."""
    number = out[at]
    first = number - ((tag >> 16) & 0xFFFF)
    good = out[at + 1] == scramble(number)
    good = good and ((tag >> 32) & 0xFF) == (first & 0xFF) and (tag & 0xFFFF) == message_size(first, end)
    for word in range(2, WORDS):
        good = good and out[at + word] == number + word
    return bool(good)


@kernel
def receive_some(ring: int, reader: int, out: Words, tags: Words, tally: Words, end: int) -> int:
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
            starts = ((tags[cell] >> 16) & 0xFFFF) == 0
            if not is_intact(out, at, tags[cell], end) or (not starts and number != tally[EXPECTED]):
                tally[BAD] += 1
            if number < tally[EXPECTED]:
                tally[BACKWARDS] += 1
            tally[EXPECTED] = number + 1
        if n_cells > 0 and ((tags[n_cells - 1] >> 16) & 0xFFFF) + 1 != (tags[n_cells - 1] & 0xFFFF):
            tally[BAD] += 1  # the last message is not whole
        tally[RECEIVED] += max(n_cells, 0)
    return int(tally[EXPECTED])


def open_ring(kind: str, directory: Path) -> OverwritingRing | RefusingRing:
    """Attach to the ring the test created."""
    ring = RefusingRing if kind == "refusing" else OverwritingRing
    return ring.attach(NAME, PAYLOAD_BYTES[0], directory)


def send(ring: OverwritingRing | RefusingRing, count: int) -> None:
    """Publish ``count`` records, as fast as the ring takes them."""
    records = np.zeros(RECORDS_MAX * WORDS, np.int64)
    deadline_s = time.monotonic() + DEADLINE_S
    number = 0
    while number < count and time.monotonic() < deadline_s:
        number = send_some(ring.address, records, number, count)
        os.sched_yield()
    print(json.dumps({"sent": number, "refused": ring.refusals["full"]}))


def receive(ring: OverwritingRing | RefusingRing, count: int) -> None:
    """Receive until the last record has been seen."""
    reader: Reader = ring.reader(READER, 0) if isinstance(ring, RefusingRing) else ring.reader()
    tally = np.zeros(4, np.int64)
    out, tags = np.zeros(BATCH_CELLS * WORDS, np.int64), np.zeros(BATCH_CELLS, np.int64)
    receive_some(ring.address, reader.address, out, tags, tally, count)  # compiled: the sender may start
    print("ready", flush=True)
    began_s = time.monotonic()
    while tally[EXPECTED] < count and time.monotonic() < began_s + DEADLINE_S:
        receive_some(ring.address, reader.address, out, tags, tally, count)
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
