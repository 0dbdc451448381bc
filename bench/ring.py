"""One-way latency and throughput of both rings between two processes, sender and receiver compiled.

Latency: a record every INTERVAL_NS by a schedule that is never reset, stamped with the processor's counter
just before it is published; the receiver polls, stops the clock, checks number and checksum, and records. The
first percent is not counted. Throughput: unpaced; of the overwriting ring what was received, losses apart.
A run in which a hot thread was switched out against its will says so: its tail is the scheduler's.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Final, Self

import numpy as np
from numpy.typing import NDArray

from procs import kernels

kernels.set_cache_dir()  # before numba is imported

from shm.atomics import pause, read_ticks, read_tsc  # noqa: E402
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
UNPACED: Final = 20_000_000
RUNS: Final = 5
PYTHON_CALLS: Final = 50_000
WARM_SHARE: Final = 100  # one in so many is not counted
POLLS_IN_KERNEL: Final = 100_000
CALIBRATION_S: Final = 0.2
DEADLINE_S: Final = 60.0
MULTIPLIER: Final = 0x5851_F42D_4C95_7F2D
P50_NS_MAX: Final = {"overwriting": 200, "refusing": 250}  # the claims, of the best run
RECORDS_PER_S_MIN: Final = 30_000_000
TMPFS: Final = Path("/dev/shm")  # noqa: S108 - only as the parent of a private folder
NEXT, RECEIVED, BAD, TICKS = 0, 1, 2, 3  # words of the receiver's tally


@kernel
def send(ring: int, words: Words, first: int, count: int, interval_ticks: int) -> int:
    """Publish ``count`` records from number ``first``; answers the ticks it took. Retries what is refused."""
    address = words.ctypes.data
    start = read_tsc()
    for sent in range(count):
        words[0] = first + sent
        words[2] = (first + sent) * MULTIPLIER
        while interval_ticks > 0 and read_tsc() - start < sent * interval_ticks:
            pause()
        words[1] = read_tsc()
        while publish(ring, address, 1, 0) < 0:
            pause()
    return read_tsc() - start


@kernel
def receive(
    ring: int,
    reader: int,
    words: Words,
    tags: Words,
    tally: Words,
    ticks_per_us: int,
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
        now = read_tsc()
        for cell in range(n_cells):
            number = words[cell * n_words]
            if words[cell * n_words + 2] != number * MULTIPLIER or number < tally[NEXT]:
                tally[BAD] += 1
            tally[NEXT] = number + 1
            if number >= warm and histogram != 0:
                record(histogram, (now - words[cell * n_words + 1]) * 1000 // ticks_per_us)
        tally[RECEIVED] += n_cells
        tally[TICKS] = now
    return int(tally[NEXT])


def ticks_per_us() -> int:
    """Rate of the processor's counter against the monotonic clock, from one longer look."""
    ticks, began_ns = read_ticks(), time.monotonic_ns()
    time.sleep(CALIBRATION_S)
    return (read_ticks() - ticks) * 1000 // (time.monotonic_ns() - began_ns)


def pin() -> int:
    """Keep this process on the first core it may use; answers the one that is left for its peer."""
    first, *others = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {first})
    return others[0] if others else first


def switched() -> int:
    """Times this process was taken off its core against its will."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def receiver(kind: str, width: int, directory: Path, core: int) -> int:
    """Serve runs: a line ``first count label`` comes in, one line of JSON goes out."""
    os.sched_setaffinity(0, {core})
    ring: Ring = (RefusingRing if kind == "refusing" else OverwritingRing).attach("bench", width, directory)
    reader = ring.reader("receiver", 0) if isinstance(ring, RefusingRing) else ring.reader()
    histograms = Histograms.attach("latency", directory)
    tally, rate = np.zeros(4, np.int64), ticks_per_us()
    place = ring.address, reader.address, reader.words, reader.tags, tally, rate
    receive(*place, 0, histograms["warm"].address)
    print("ready", flush=True)
    for line in sys.stdin:
        first, count, label = line.split()
        histogram = histograms[label].address if label in histograms.labels else 0
        tally[RECEIVED:] = 0
        lost, before, deadline_s = reader.lost_messages, switched(), time.monotonic() + DEADLINE_S
        while tally[NEXT] < int(first) + int(count) and time.monotonic() < deadline_s:
            receive(*place, int(first) + int(count) // WARM_SHARE, histogram)
        lost = reader.lost_messages - lost
        got = {
            "received": int(tally[RECEIVED]),
            "bad": int(tally[BAD]),
            "lost": lost,
            "end": int(tally[TICKS]),
        }
        print(json.dumps(got | {"switched": switched() - before}), flush=True)
    return 0


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

    def __init__(self, ring: Ring, peer: Peer, histograms: Histograms) -> None:
        self.ring = ring
        self.peer = peer
        self.histograms = histograms
        self.words = np.zeros(PAYLOAD_BYTES[1] // 8, np.int64)
        self.rate = ticks_per_us()
        self.sent = 0

    def run(self, count: int, interval_ns: int, label: str) -> dict[str, int]:
        """One run; raises RuntimeError when a record was damaged or one is missing."""
        before = switched()
        began = read_ticks()
        self.peer.tell(f"{self.sent} {count} {label}")
        send(self.ring.address, self.words, self.sent, count, interval_ns * self.rate // 1000)
        self.sent += count
        got: dict[str, int] = json.loads(self.peer.answer())
        if got["bad"] or got["received"] + got["lost"] != count:
            raise RuntimeError(f"{label}: {count} sent, and {got}")
        took_us = (got["end"] - began) // self.rate
        got["per_s"] = got["received"] * 1_000_000 // max(took_us, 1)
        got["switched"] += switched() - before
        return got


def _run_line(label: str, got: dict[str, int], figures: str) -> str:
    disturbed = f"   disturbed: {got['switched']} switches" if got["switched"] else ""
    lost = f"   lost {got['lost']:,}" if got["lost"] else ""
    return f"  {label:<12}{figures}{lost}{disturbed}"


def measure(kind: str, width: int, directory: Path, core: int) -> tuple[int, int]:
    """Print all runs of one ring; best p50 in ns and best records per second."""
    ring: Ring
    if kind == "refusing":
        ring = RefusingRing.create(CAPACITY, width, ("receiver",), name="bench", directory=directory)
    else:
        ring = OverwritingRing.create(CAPACITY, width, name="bench", directory=directory)
    labels = ["warm", *(f"paced{run}" for run in range(RUNS))]
    histograms = Histograms.create(labels, name="latency", directory=directory)
    send(ring.address, np.zeros(PAYLOAD_BYTES[1] // 8, np.int64), 0, 0, 0)
    p50s, rates = [], []
    with Peer(kind, width, directory, core) as peer:
        runs = Runs(ring, peer, histograms)
        for label in labels[1:]:
            got = runs.run(PACED, INTERVAL_NS, label)
            found = histograms[label].summary()
            p50s.append(found["p50"])
            figures = "  ".join(f"{name} {found[name]:>9,}" for name in ("p50", "p99", "p99.9", "max"))
            print(_run_line(label, got, f"{figures} ns"))
        for run in range(RUNS):
            got = runs.run(UNPACED, 0, f"unpaced{run}")
            rates.append(got["per_s"])
            print(_run_line(f"unpaced{run}", got, f"{got['per_s'] / 1e6:>9.1f} M received/s"))
    ring.segment.unlink()
    histograms.segment.unlink()
    return min(p50s), max(rates)


def from_python() -> None:
    """Print what one call costs from Python, publishing and polling in turn in one process."""
    ring = OverwritingRing.create(CAPACITY, PAYLOAD_BYTES[0])
    reader, records = ring.reader(), np.zeros(1, np.dtype([("words", "<i8", (6,))]))
    taken_ns = {"publish": 0, "poll": 0}
    for call in range(PYTHON_CALLS + PYTHON_CALLS // WARM_SHARE):
        if call == PYTHON_CALLS // WARM_SHARE:
            taken_ns = dict.fromkeys(taken_ns, 0)
        began_ns = time.perf_counter_ns()
        ring.publish(records)
        middle_ns = time.perf_counter_ns()
        reader.poll(1)
        taken_ns["poll"] += time.perf_counter_ns() - middle_ns
        taken_ns["publish"] += middle_ns - began_ns
    costs = ", ".join(f"{name} {ns // PYTHON_CALLS} ns" for name, ns in taken_ns.items())
    print(f"called from Python, mean with the clock's own cost: {costs}")


def main() -> int:
    """Print every measurement; 1 when a claim does not hold."""
    core = pin()
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, {ticks_per_us()} ticks/us")
    holds = True
    parent = TMPFS if os.access(TMPFS, os.W_OK) else None
    for kind, p50_ns_max in P50_NS_MAX.items():
        for width, cell_bytes in zip(PAYLOAD_BYTES, CELL_BYTES, strict=True):
            print(f"{kind}, cells of {cell_bytes} bytes, {CAPACITY} of them")
            with tempfile.TemporaryDirectory(dir=parent) as folder:
                p50_ns, per_s = measure(kind, width, Path(folder), core)
            claimed = width == PAYLOAD_BYTES[0]
            held = p50_ns <= p50_ns_max and per_s >= RECORDS_PER_S_MIN
            holds = holds and (held or not claimed)
            if claimed:
                verdict = "holds" if held else "DOES NOT HOLD"
                print(
                    f"  {verdict}: best p50 <= {p50_ns_max} ns, best >= {RECORDS_PER_S_MIN // 1_000_000} M/s"
                )
    from_python()
    return 0 if holds else 1


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(receiver(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])))
    sys.exit(main())
