"""The warm parent: it begets victims, kills them at random moments, survives, and says what it saw as JSON.

``python -m tests.crash.kills ROLE KIND DIRECTORY ROUNDS SEED HOW``. A victim is a forked child (``fork``), or
a process of its own (``spawn``). It has done something of its own before the moment is chosen.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, ParamSpec

import numpy as np
from numpy.typing import NDArray

from procs import kernels

kernels.set_cache_dir()  # before numba is imported

from shm.atomics import read_word  # noqa: E402
from shm.counters import Counters  # noqa: E402
from shm.layout import CELL_HEADER_BYTES, ReaderState  # noqa: E402
from shm.layout import RING as RING_LAYOUT  # noqa: E402
from shm.layout import TABLE as TABLE_LAYOUT  # noqa: E402
from shm.ring import OverwritingRing, Reader, RefusingRing  # noqa: E402
from shm.table import Table  # noqa: E402
from tests.crash import victims  # noqa: E402
from tests.crash.victims import CAPACITY, N_ROWS, READERS, RING, ROW, TABLE, TALLY, WIDTH, WORDS  # noqa: E402

Report = dict[str, int]
Words = NDArray[np.int64]
P = ParamSpec("P")
Ring = victims.Ring

START_S: Final = 120.0  # far beyond any start: it ends a run that hangs
LIVES_NS_MAX: Final = 5_000_000  # after its first sign of life


class Victim:
    """A process in ``role``, until it is killed."""

    def __init__(self, role: str, kind: str, directory: Path, epoch: int, *, spawn: bool) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        if spawn:
            command = [sys.executable, "-m", "tests.crash.victims", role, kind, str(directory), str(epoch)]
            self._process = subprocess.Popen(command)
            self.pid = self._process.pid
            return
        self.pid = os.fork()
        if self.pid == 0:
            try:
                victims.ROLES[role](kind, directory, epoch)
            finally:
                os._exit(1)  # a victim does not end by itself

    def kill(self) -> None:
        """End it where it is; raises RuntimeError when it had ended by itself."""
        os.kill(self.pid, signal.SIGKILL)
        if self._process is not None:
            code = self._process.wait()
        else:
            code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        if code != -signal.SIGKILL:
            raise RuntimeError(f"the victim ended by itself: {code}")


def until(what: str, condition: Callable[P, bool], *args: P.args, **named: P.kwargs) -> None:
    """Wait, giving way; raises RuntimeError when it takes far too long."""
    deadline_s = time.monotonic() + START_S
    while not condition(*args, **named):
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"in vain: {what}")
        os.sched_yield()


def moment(chance: random.Random) -> Iterator[int]:
    """Count from 0 until a random moment has come."""
    end_ns = time.perf_counter_ns() + chance.randrange(LIVES_NS_MAX)
    count = 0
    while time.perf_counter_ns() < end_ns:
        yield count
        count += 1


def is_finished(path: Path) -> bool:
    """Whether a segment is there and sealed."""
    return path.exists() and any(path.read_bytes()[:8])


class Survivor:
    """A reader of the ring that outlives its producers."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.reader: Reader = (
            ring.resume(READERS[0], 0, batch_cells=CAPACITY)
            if isinstance(ring, RefusingRing)
            else ring.reader(batch_cells=CAPACITY)
        )
        self.bad = 0
        self.epochs = 0

    def poll(self) -> int:
        """Take one batch and check every cell of it."""
        n_cells = self.reader.poll()
        self.epochs += self.reader.entered_epoch()
        if n_cells == 0:
            os.sched_yield()
        else:
            start = int(self.reader.block["position"]) - n_cells
            self.bad += victims.bad_cells(self.reader.words, self.reader.tags, n_cells, start)
        return n_cells

    def drain(self) -> None:
        while self.poll() > 0:
            pass

    def hears(self, epoch: int) -> bool:
        """Whether a message of this epoch's producer came."""
        return self.poll() > 0 and self.ring.segment.epoch == epoch


def sequence_at_head(ring: Ring) -> int:
    """1 when the message at the head is being written, 2 when it is whole, else another number."""
    head = ring.published_cells
    cell = RING_LAYOUT.itemsize + head % CAPACITY * (WIDTH + CELL_HEADER_BYTES)
    return read_word(ring.address + cell) - 2 * head


def survivor_of(kind: str, directory: Path) -> Survivor:
    """A reader of the first producer's ring, once that is there; its second gating reader is fenced."""
    until("the first producer's ring", is_finished, directory / RING)
    if kind == "overwriting":
        return Survivor(OverwritingRing.attach(RING, WIDTH, directory))
    ring = RefusingRing.attach(RING, WIDTH, directory)
    ring.reader(READERS[1], 0)
    ring.fence_silent(2, 1)
    return Survivor(ring)


def kill_producers(kind: str, directory: Path, rounds: int, chance: random.Random, *, spawn: bool) -> Report:
    """A producer after the other dies; one reader survives them all."""
    victim = Victim("producer", kind, directory, 1, spawn=spawn)
    survivor = survivor_of(kind, directory)
    ring, reader = survivor.ring, survivor.reader
    mid_write = uncounted = 0
    for epoch in range(1, rounds + 1):
        until("a message of this producer", survivor.hears, epoch)
        for _ in moment(chance):
            survivor.poll()
        victim.kill()
        mid_write += sequence_at_head(ring) == 1
        uncounted += sequence_at_head(ring) == 2
        survivor.drain()
        if epoch < rounds:
            victim = Victim("producer", kind, directory, epoch + 1, spawn=spawn)
    last = victims.begin_ring(kind, directory, rounds + 1)  # the last heir is this process
    victims.produce(last.address, np.zeros(victims.LARGEST * WORDS, np.int64), 1)
    survivor.drain()
    return {
        "rounds": rounds,
        "mid_write": mid_write,
        "published_and_not_counted": uncounted,
        "bad": survivor.bad,
        "epochs_entered": survivor.epochs,
        "received": reader.received_cells,
        "lost": reader.lost_cells,
        "before_it_joined": int(reader.block["joined_position"]),
        "published": ring.published_cells,
        "received_messages": reader.received_messages,
        "messages_before_it_joined": int(reader.block["joined_ordinal"]),
        "lost_messages": reader.lost_messages,
        "published_messages": ring.published_messages,
        "laps": reader.laps,
        "garbled": reader.garbled,
    }


def versions(table: Table) -> list[int]:
    """How often each row was written."""
    return [table.version(row) for row in range(N_ROWS)]


def all_written(table: Table, epoch: int, before: list[int]) -> bool:
    """Whether this epoch's writer has written every row."""
    return table.epoch == epoch and all(now > then for now, then in zip(versions(table), before, strict=True))


def rows_being_written(table: Table) -> int:
    """Rows whose sequence is odd."""
    stride, rows = int(table.header["stride_bytes"]), table.address + TABLE_LAYOUT.itemsize
    return sum(read_word(rows + row * stride) & 1 for row in range(N_ROWS))


def kill_writers(kind: str, directory: Path, rounds: int, chance: random.Random, *, spawn: bool) -> Report:
    """A writer of rows after the other dies; no row is ever half one write and half another."""
    victim = Victim("writer", kind, directory, 1, spawn=spawn)
    until("the first writer's table", is_finished, directory / TABLE)
    table, record = Table.attach(TABLE, ROW, directory), np.zeros(1, ROW)
    words, before = record.view(np.int64), [0] * N_ROWS
    torn = odd = read = 0
    for epoch in range(1, rounds + 1):
        until("every row written by this writer", all_written, table, epoch, before)
        for spin in moment(chance):
            if table.read(spin % N_ROWS, record):
                torn += not victims.is_whole_row(words)
                read += 1
        victim.kill()
        odd += rows_being_written(table)
        before = versions(table)
        if epoch < rounds:
            victim = Victim("writer", kind, directory, epoch + 1, spawn=spawn)
    heir = victims.begin_table(directory, rounds + 1)
    unreadable = sum(not table.read(row, record) or not victims.is_whole_row(words) for row in range(N_ROWS))
    return {
        "rounds": rounds,
        "mid_write": odd,
        "lost_rows": heir.lost_rows,
        "torn": torn,
        "read": read,
        "unreadable": unreadable,
    }


class Feeder:
    """The producer that survives its gating readers."""

    def __init__(self, directory: Path) -> None:
        ring = victims.begin_ring("refusing", directory, 1)
        assert isinstance(ring, RefusingRing)
        self.ring = ring
        self.survivor = Survivor(ring)
        self.block: np.void = ring.header["readers"][READERS.index("victim")]
        self._records: Words = np.zeros(victims.LARGEST * WORDS, np.int64)

    @property
    def position(self) -> int:
        """Where the victim is."""
        return int(self.block["position"])

    def feed(self) -> None:
        """Publish one message, or be refused, and keep the other reader up."""
        victims.produce(self.ring.address, self._records, 1)
        self.survivor.drain()

    def goes_on(self, left_at: int) -> bool:
        """Whether the victim has taken something since."""
        self.feed()
        return int(self.block["state"]) == ReaderState.JOINED and self.position > left_at


def kill_readers(kind: str, directory: Path, rounds: int, chance: random.Random, *, spawn: bool) -> Report:
    """A gating reader after the other dies; each goes on exactly where the one before was, or was done."""
    feeder = Feeder(directory)
    tally = Counters.create(victims.LABELS, name=TALLY, directory=directory)
    in_poll = unused = misplaced = 0
    for epoch in range(1, rounds + 1):
        left_at = feeder.position
        victim = Victim("reader", kind, directory, epoch, spawn=spawn)
        until("this reader's first batch", feeder.goes_on, left_at)
        for _ in moment(chance):
            feeder.feed()
        victim.kill()
        in_poll += tally["in_poll"]
        unused += feeder.position - tally["handled"]
        misplaced += tally["started_at"] != left_at
    reader = feeder.ring.resume(READERS[1], time.monotonic_ns(), batch_cells=CAPACITY)
    heir_bad = 0
    while (n_cells := reader.poll()) > 0:
        start = feeder.position - n_cells
        heir_bad += victims.bad_cells(reader.words, reader.tags, n_cells, start)
    feeder.survivor.drain()
    return {
        "rounds": rounds,
        "in_poll": in_poll,
        "handed_out_and_unused": unused,  # below zero: used, and handed out again
        "misplaced": misplaced,
        "bad": tally["bad"] + heir_bad + feeder.survivor.bad,
        "position": feeder.position,
        "published": feeder.ring.published_cells,
        "received_messages": reader.received_messages,
        "published_messages": feeder.ring.published_messages,
        "lost": reader.lost_messages + feeder.survivor.reader.lost_messages,
        "refused_full": feeder.ring.refusals["full"],
        "fenced": feeder.ring.fenced,
    }


RUNS: Final = {"producer": kill_producers, "writer": kill_writers, "reader": kill_readers}


def main() -> int:
    """Run the rounds and print the report."""
    role, kind, directory, rounds, seed, how = sys.argv[1:]
    victims.warm(Path(directory))
    report = RUNS[role](kind, Path(directory), int(rounds), random.Random(int(seed)), spawn=how == "spawn")
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
