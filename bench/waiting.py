"""What a hop between two processes costs by the way the receiver waits, and what its idling costs the host.

Two processes, two rings, a record that goes there and back: a hop is half of it. Both wait in the same way,
on a core each where there are two; and once by yielding on one core. ``loop`` is an answering end parked in
an event loop, woken through the FIFO of its doorbell. The last figure of a line is the processor time of an
end that waits in vain.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np

from procs import kernels

kernels.set_cache_dir()  # before numba is imported

from bench._result import OURS, Result, Row  # noqa: E402
from bench._timing import interleave, switched  # noqa: E402
from procs.process_numbers import process_numbers  # noqa: E402
from shm.cleaning import clean  # noqa: E402
from shm.doorbell import Doorbell  # noqa: E402
from shm.layout import PAYLOAD_BYTES  # noqa: E402
from shm.loop_turns import LoopTurns  # noqa: E402
from shm.ring import OverwritingRing  # noqa: E402
from shm.waiting import ANY_CORE, Idler, Policy, Wish, choose  # noqa: E402

WAYS: Final = ("spin", "yield", "park", "loop")
SHARED: Final = "yield"  # what two that share a core do: who spins waits for the end of its slice
ON_ONE_CORE: Final = "yield, both on one core"
CAPACITY: Final = 64
WARM: Final = 200
TRIPS: Final = 2_000
TAILS: Final = {"p50_ns": 0.5, "p99_ns": 0.99, "max_ns": 1.0}
IDLE_S: Final = 1.0
DEADLINE_S: Final = 60.0
STOP: Final = -1
TMPFS: Final = Path("/dev/shm")  # noqa: S108 - only as the parent of a private folder
RECORD: Final = np.dtype([("number", "<i8"), ("cpu_ns", "<i8"), ("rest", "V32")])


class End:
    """One end: a ring out, a ring in, its own bell and the other's."""

    def __init__(self, directory: Path, here: str, there: str, way: str) -> None:
        width = PAYLOAD_BYTES[0]
        self.bell = Doorbell.create_or_adopt(
            name=f"bell-{here}", epoch=1, directory=directory, for_event_loop=way == "loop"
        )
        self.out = OverwritingRing.create_or_adopt(
            CAPACITY, width, name=f"from-{here}", epoch=1, directory=directory
        )
        self.record = np.zeros(1, RECORD)
        self._places = directory, there
        self.idler = Idler(Policy.PARK if way == "loop" else Policy(way), self.bell)

    def meet(self) -> None:
        """Find the other end, which may not be there yet."""
        directory, there = self._places
        deadline_s = time.monotonic() + DEADLINE_S
        while not (directory / f"ready-{there}").exists() and time.monotonic() < deadline_s:
            os.sched_yield()
        self.other = Doorbell.attach(f"bell-{there}", directory)
        self.reader = OverwritingRing.attach(f"from-{there}", PAYLOAD_BYTES[0], directory).reader()
        self.got = self.reader.records(RECORD)

    def send(self, number: int) -> None:
        """Publish one record and ring for it."""
        self.record["number"] = number
        self.out.publish(self.record)
        self.other.ring()

    def receive(self) -> int:
        """Wait for one record, in this end's way; its number."""
        while self.reader.poll(1) == 0:
            self.idler.idle()
        self.idler.worked()
        return int(self.got["number"][0])


def cpu_ns() -> int:
    """Processor time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return int((used.ru_utime + used.ru_stime) * 1e9)


def lost_cores(pid: int) -> int:
    """How often a process was taken off its core so far."""
    numbers = process_numbers(pid)
    assert numbers is not None, "it waits to be told to stop"
    return numbers.involuntary_switches


def answer(end: End, number: int) -> bool:
    """Send the number back, with the processor time used so far; False for the last."""
    end.record["cpu_ns"] = cpu_ns()
    end.send(number)
    return number != STOP


async def echo_in_loop(end: End) -> None:
    """Answer every record from within an event loop."""

    def work() -> int:
        n_cells = end.reader.poll(1)
        if n_cells > 0 and not answer(end, int(end.got["number"][0])):
            turns.stop()
        return n_cells

    turns = LoopTurns(work, Policy.PARK, end.bell)
    await turns.run()


def echo(way: str, directory: Path, core: int) -> int:
    """Be the other end until told to stop."""
    os.sched_setaffinity(0, {core})
    end = End(directory, "echo", "bench", way)
    (directory / "ready-echo").touch()
    end.meet()
    if way == "loop":
        asyncio.run(echo_in_loop(end))
    else:
        while answer(end, end.receive()):
            pass
    return 0


def trips(end: End) -> dict[str, float]:
    """One run: a hop is half of the way there and back."""
    taken = []
    before = switched()
    for trip in range(WARM + TRIPS):
        began_ns = time.perf_counter_ns()
        end.send(trip)
        if end.receive() != trip:
            raise RuntimeError("another number came back")
        taken.append(time.perf_counter_ns() - began_ns)
    taken = sorted(taken[WARM:])
    run = {name: taken[int((len(taken) - 1) * part)] / 2 for name, part in TAILS.items()}
    return {**run, "switches": switched() - before}


def measure_way(result: Result, way: str, directory: Path, core: int, called: str = "") -> None:
    """Add the hops of one way of waiting, and what its idling costs; ``core``: of the other end."""
    called = called or way
    end = End(directory, "bench", "echo", "park" if way == "loop" else way)
    (directory / "ready-bench").touch()
    command = [sys.executable, "-m", "bench.waiting", way, str(directory), str(core)]
    with subprocess.Popen(command) as other:
        try:
            end.meet()
            interleave(result, f"hop, {called}", {OURS: lambda: trips(end)})
            before_ns, lost_before = int(end.got["cpu_ns"][0]), lost_cores(other.pid)
            time.sleep(IDLE_S)
            lost = lost_cores(other.pid) - lost_before
            end.send(STOP)
            end.receive()
            idle = (int(end.got["cpu_ns"][0]) - before_ns) / IDLE_S / 1e9
            other.wait(DEADLINE_S)
        finally:
            other.kill()
    result.rows.append(Row(f"a core for idling, {called}", OURS, [{"share": idle}], [lost]))


def measure(result: Result) -> None:
    """Every way of waiting that these cores allow, called from Python, with the clock's own cost."""
    allowed = os.sched_getaffinity(0)
    here, there = min(allowed), max(allowed)
    os.sched_setaffinity(0, {here})
    wishes = {
        "bench": Wish(Policy.SPIN, here),
        "echo": Wish(Policy.SPIN, there),
        "rest": Wish(Policy.PARK, ANY_CORE),
    }
    granted = choose(wishes, sorted(allowed))["bench"]
    result.notes.append(f"a wish to spin gets: {granted.policy} ({granted.why})")
    try:
        for way, core, called in (*((way, there, way) for way in WAYS), (SHARED, here, ON_ONE_CORE)):
            if way == "spin" and granted.policy is not Policy.SPIN:
                result.notes.append("spin is not measured: the ends would take turns on one core")
                continue
            with tempfile.TemporaryDirectory(dir=TMPFS if os.access(TMPFS, os.W_OK) else None) as folder:
                measure_way(result, way, Path(folder), core, called)
                left = clean(Path(folder))
                assert left.alive == ("bell-bench", "from-bench"), left
    finally:
        os.sched_setaffinity(0, allowed)


if __name__ == "__main__":
    sys.exit(echo(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
