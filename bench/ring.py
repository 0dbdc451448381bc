"""One-way latency and throughput of both rings between two processes, sender and receiver compiled.

Latency: a record every INTERVAL_NS by a schedule that is never reset, stamped with the processor's counter
just before it is published; the receiver polls, stops the clock, checks number and checksum, and records. The
first percent is not counted. Throughput: unpaced; of the overwriting ring what was received, losses apart.
A run in which a hot thread was switched out against its will says so: its tail is the scheduler's. Peers
carry the same 48 bytes from Python to Python (``bench/_hop_peers.py``), a run of each after a run of ours.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Self

import numpy as np
from numpy.typing import NDArray

from procs import kernels

kernels.set_cache_dir()  # before numba is imported

from bench._clock import NS_PER_S, Clock, calibrated, nanoseconds, ticks  # noqa: E402
from bench._hop_peers import Hop, hops  # noqa: E402
from bench._result import OURS, RATE, Result, Row, claim, claim_ratio  # noqa: E402
from bench._timing import RUNS, interleave, switched  # noqa: E402
from shm.atomics import pause  # noqa: E402
from shm.cells import poll, publish  # noqa: E402
from shm.histogram import Histograms, record  # noqa: E402
from shm.jit import kernel  # noqa: E402
from shm.layout import CELL_BYTES, PAYLOAD_BYTES  # noqa: E402
from shm.ring import OverwritingRing, RefusingRing  # noqa: E402

Words = NDArray[np.int64]
Ring = OverwritingRing | RefusingRing

CAPACITY: Final = 4096
PACED: Final = 500_000
INTERVAL_NS: Final = 2_000
UNPACED: Final = 10_000_000
PYTHON_CALLS: Final = 50_000
WARM_SHARE: Final = 100  # one in so many is not counted
POLLS_IN_KERNEL: Final = 100_000
DEADLINE_S: Final = 60.0
MULTIPLIER: Final = 1_000_000_007  # no product of a run passes 2**63
# The claims, of the best run, for records of one line; of peers, median of the pairs.
P50_NS_MAX: Final = {"overwriting": 75, "refusing": 100}
P99_NS_MAX: Final = 200
KINDS: Final = {  # by payload; what is on the way of money is wide, and checked
    PAYLOAD_BYTES[0]: ("overwriting", "refusing"),
    PAYLOAD_BYTES[1]: ("overwriting", "refusing", "checked"),
}
RECORDS_PER_S_MIN: Final = 100_000_000
NOISY_PER_S_MIN: Final = 30_000_000  # on two cores that others use as well
TIMES_MIN: Final = {"multiprocessing.Queue": 200, "pyzmq": 200, "redis": 400, "iceoryx2": 30}
TMPFS: Final = Path("/dev/shm")  # noqa: S108 - only as the parent of a private folder
TAILS: Final = ("p50", "p99", "p99.9", "max")
NEXT, RECEIVED, BAD, TICKS = 0, 1, 2, 3  # words of the receiver's tally


@kernel
def send(
    ring: int, words: Words, first: int, count: int, interval_ns: int, counter: int, scratch: int, rate: int
) -> int:
    """Publish ``count`` records from number ``first``; nanoseconds it took. Retries what is refused."""
    address = words.ctypes.data
    start = ticks(counter, scratch)
    for sent in range(count):
        words[0] = first + sent
        words[2] = (first + sent) * MULTIPLIER
        while interval_ns > 0 and nanoseconds(ticks(counter, scratch) - start, rate) < sent * interval_ns:
            pause()
        words[1] = ticks(counter, scratch)
        while publish(ring, address, 1, 0) < 0:
            pause()
    return nanoseconds(ticks(counter, scratch) - start, rate)


@kernel
def receive(
    ring: int,
    reader: int,
    words: Words,
    tags: Words,
    tally: Words,
    counter: int,
    scratch: int,
    rate: int,
    warm: int,
    histogram: int,
) -> int:
    """Poll a bounded number of times and check what comes; latencies from number ``warm`` on are recorded."""
    n_words = words.size // tags.size
    for _ in range(POLLS_IN_KERNEL):
        n_cells = poll(ring, reader, words.ctypes.data, tags.ctypes.data, tags.size, tags.size)
        if n_cells <= 0:
            pause()
            continue
        now = ticks(counter, scratch)
        for cell in range(n_cells):
            number = words[cell * n_words]
            if words[cell * n_words + 2] != number * MULTIPLIER or number < tally[NEXT]:
                tally[BAD] += 1
            tally[NEXT] = number + 1
            if number >= warm and histogram != 0:
                record(histogram, nanoseconds(now - words[cell * n_words + 1], rate))
        tally[RECEIVED] += n_cells
        tally[TICKS] = now
    return int(tally[NEXT])


@kernel
def stamp(counter: int, scratch: int) -> int:
    """A stamp, for ordinary code."""
    return ticks(counter, scratch)


def receiver(kind: str, width: int, directory: Path, core: int) -> int:
    """Serve runs: a line ``first count label`` comes in, one line of JSON goes out."""
    os.sched_setaffinity(0, {core})
    made_as = OverwritingRing if kind == "overwriting" else RefusingRing
    ring: Ring = made_as.attach("bench", width, directory)
    reader = ring.reader("receiver", 0) if isinstance(ring, RefusingRing) else ring.reader()
    histograms = Histograms.attach("latency", directory)
    tally, clock = np.zeros(4, np.int64), calibrated()
    place = ring.address, reader.address, reader.words, reader.tags, tally, *clock[:3]
    receive(*place, 0, histograms["warm"].address)
    print("ready", flush=True)
    for line in sys.stdin:
        first, count, label = line.split()
        histogram = histograms[label].address if label in histograms.labels else 0
        tally[RECEIVED:] = 0
        lost, before, deadline_s = reader.lost_messages, switched(), time.monotonic() + DEADLINE_S
        while tally[NEXT] < int(first) + int(count) and time.monotonic() < deadline_s:
            receive(*place, int(first) + int(count) // WARM_SHARE, histogram)
        got = {
            "received": int(tally[RECEIVED]),
            "bad": int(tally[BAD]),
            "lost": reader.lost_messages - lost,
            "end": int(tally[TICKS]),
            "switched": switched() - before,
        }
        print(json.dumps(got), flush=True)
    return 0


def pin() -> int:
    """Keep this process on the first core it may use; answers the one that is left for its peer."""
    first, *others = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {first})
    return others[0] if others else first


class Peer:
    """The receiver's process; ended with the block it is used in."""

    def __init__(self, kind: str, width: int, directory: Path, core: int) -> None:
        command = [sys.executable, "-m", "bench.ring", kind, str(width), str(directory), str(core)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        if self.answer() != "ready":
            raise RuntimeError("the receiver did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def answer(self) -> str:
        """Next line the receiver says; empty when it has died."""
        out: IO[str] | None = self.process.stdout
        return out.readline().strip() if out is not None else ""

    def tell(self, line: str) -> None:
        """Announce a run."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()


class Runs:
    """A ring, its receiver, and the runs over them."""

    def __init__(self, ring: Ring, peer: Peer, histograms: Histograms, clock: Clock) -> None:
        self.ring = ring
        self.peer = peer
        self.histograms = histograms
        self.words = np.zeros(PAYLOAD_BYTES[1] // 8, np.int64)
        self.clock = clock
        self.sent = 0

    def run(self, count: int, interval_ns: int, label: str) -> dict[str, float]:
        """One run; raises RuntimeError when a record was damaged or one is missing."""
        before = switched()
        counter, scratch, rate, _ = self.clock
        began = stamp(counter, scratch)
        self.peer.tell(f"{self.sent} {count} {label}")
        send(self.ring.address, self.words, self.sent, count, interval_ns, counter, scratch, rate)
        self.sent += count
        got: dict[str, int] = json.loads(self.peer.answer())
        if got["bad"] or got["received"] + got["lost"] != count:
            raise RuntimeError(f"{label}: {count} sent, and {got}")
        switches = got["switched"] + switched() - before
        if interval_ns:
            found = self.histograms[label].summary()
            return {**{f"{name}_ns": found[name] for name in TAILS}, "switches": switches}
        took_ns = nanoseconds(got["end"] - began, rate)
        return {
            RATE: got["received"] * NS_PER_S / max(took_ns, 1),
            "lost_share": got["lost"] / count,
            "switches": switches,
        }


@contextmanager
def runs_of(kind: str, width: int, directory: Path, core: int) -> Iterator[Runs]:
    """A ring in ``directory`` with a receiver on ``core``, for RUNS paced runs."""
    ring: Ring
    if kind == "overwriting":
        ring = OverwritingRing.create(CAPACITY, width, name="bench", directory=directory)
    else:
        is_checked = kind == "checked"
        ring = RefusingRing.create(
            CAPACITY, width, ("receiver",), name="bench", directory=directory, checked=is_checked
        )
    labels = ["warm", *(f"paced{run}" for run in range(RUNS))]
    histograms = Histograms.create(labels, name="latency", directory=directory)
    clock = calibrated()
    send(ring.address, np.zeros(PAYLOAD_BYTES[1] // 8, np.int64), 0, 0, 0, *clock[:3])
    try:
        with Peer(kind, width, directory, core) as peer:
            yield Runs(ring, peer, histograms, clock)
    finally:
        ring.segment.unlink()
        histograms.segment.unlink()


def measure_ring(result: Result, kind: str, width: int, directory: Path, core: int, peers: list[Hop]) -> None:
    """Add the rows of one ring, and those of the peers that carry as much, run for run."""
    cell = CELL_BYTES[PAYLOAD_BYTES.index(width)]
    hop, flow = f"hop, {kind} ring, {cell} B", f"throughput, {kind} ring, {cell} B"
    rows = {(what, who): Row(what, who) for what in (hop, flow) for who in (OURS, *(p.name for p in peers))}
    with runs_of(kind, width, directory, core) as runs:
        for number in range(RUNS):
            for what, one in (
                (hop, runs.run(PACED, INTERVAL_NS, f"paced{number}")),
                (flow, runs.run(UNPACED, 0, f"unpaced{number}")),
            ):
                _note(rows[what, OURS], one)
            for peer in peers:
                _note(rows[hop, peer.name], peer.paced())
                _note(rows[flow, peer.name], peer.unpaced())
    result.rows += rows.values()


def _note(row: Row, run: dict[str, float]) -> None:
    row.switches.append(int(run.pop("switches")))
    row.runs.append(run)


def from_python() -> dict[str, float]:
    """What one publish and one poll cost from Python, in turn in one process, with the clock's own cost."""
    ring = OverwritingRing.create(CAPACITY, PAYLOAD_BYTES[0])
    reader, records = ring.reader(), np.zeros(1, np.dtype([("words", "<i8", (6,))]))
    taken_ns = {"publish_ns": 0, "poll_ns": 0}
    for call in range(PYTHON_CALLS + PYTHON_CALLS // WARM_SHARE):
        if call == PYTHON_CALLS // WARM_SHARE:
            taken_ns = dict.fromkeys(taken_ns, 0)
        began_ns = time.perf_counter_ns()
        ring.publish(records)
        middle_ns = time.perf_counter_ns()
        reader.poll(1)
        taken_ns["poll_ns"] += time.perf_counter_ns() - middle_ns
        taken_ns["publish_ns"] += middle_ns - began_ns
    each = {name: ns / PYTHON_CALLS for name, ns in taken_ns.items()}
    return {"ns": sum(each.values()), **each}


def measure(result: Result) -> None:
    """Both rings, both widths, and a checked one; peers beside those of one line."""
    allowed = os.sched_getaffinity(0)
    core = pin()
    parent = TMPFS if os.access(TMPFS, os.W_OK) else None
    try:
        for width in PAYLOAD_BYTES:
            for kind in KINDS[width]:
                is_first = width == PAYLOAD_BYTES[0] and kind == "overwriting"
                with (
                    tempfile.TemporaryDirectory(dir=parent) as folder,
                    hops(result, Path(folder), core, wanted=is_first) as peers,
                ):
                    measure_ring(result, kind, width, Path(folder), core, peers)
        interleave(result, "publish and poll, called from Python", {OURS: from_python})
    finally:
        os.sched_setaffinity(0, allowed)
    cell = CELL_BYTES[0]
    for kind, p50_ns in P50_NS_MAX.items():
        claim(result, f"hop, {kind} ring, {cell} B", "p50_ns", p50_ns)
        claim(result, f"hop, {kind} ring, {cell} B", "p99_ns", P99_NS_MAX)
        claim(result, f"throughput, {kind} ring, {cell} B", RATE, RECORDS_PER_S_MIN)
        claim(result, f"throughput, {kind} ring, {cell} B", RATE, NOISY_PER_S_MIN)
    for peer, times in TIMES_MIN.items():
        claim_ratio(result, f"hop, overwriting ring, {cell} B", peer, times)


if __name__ == "__main__":
    sys.exit(receiver(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])))
