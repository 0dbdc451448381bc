"""From a publication on another core to a callback in this event loop: turns that poll, beside an eventfd.

The sender stamps a record in compiled code just before it is published, every INTERVAL_US by a schedule that
is never reset. Here an uvloop runs: ours polls the ring at each of its turns, as a process does that has a
core of its own; the peer sleeps in the loop until the sender, who rings after each publication, has written
to an eventfd, and then reads the same ring.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import uvloop

from procs import kernels

kernels.set_cache_dir()  # before numba is imported

from bench._clock import calibrated, nanoseconds  # noqa: E402
from bench._result import OURS, Result, claim  # noqa: E402
from bench._timing import interleave, switched  # noqa: E402
from bench.ring import send, stamp  # noqa: E402
from shm.doorbell import Doorbell  # noqa: E402
from shm.layout import PAYLOAD_BYTES  # noqa: E402
from shm.loop_turns import LoopTurns  # noqa: E402
from shm.ring import OverwritingRing  # noqa: E402
from shm.waiting import Policy  # noqa: E402

CAPACITY: Final = 4096
MESSAGES: Final = 5_000
INTERVAL_US: Final = 100
WARM_SHARE: Final = 100
DEADLINE_S: Final = 30.0
P50_NS_MAX: Final = 800
WAKE: Final = "ring to callback of an event loop"
TAILS: Final = {"p50_ns": 0.5, "p99_ns": 0.99, "p99.9_ns": 0.999, "max_ns": 1.0}
TMPFS: Final = Path("/dev/shm")  # noqa: S108 - only as the parent of a private folder


def sender(folder: Path, core: int, eventfd: int) -> int:
    """Publish a run for each line of stdin: ``count rings``."""
    os.sched_setaffinity(0, {core})
    ring = OverwritingRing.adopt("bench", PAYLOAD_BYTES[0], folder, 2)
    words, clock, number = np.zeros(14, np.int64), calibrated(), 0
    arguments = (0, clock.counter, clock.scratch, clock.ns_of_tick)
    send(ring.address, words, 0, 0, *arguments)
    print("ready", flush=True)
    for line in sys.stdin:
        count, rings = map(int, line.split())
        before, start_ns = switched(), time.monotonic_ns()
        for sent in range(count):
            while time.monotonic_ns() - start_ns < sent * INTERVAL_US * 1_000:
                pass
            send(ring.address, words, number, 1, *arguments)
            number += 1
            if rings:
                os.eventfd_write(eventfd, 1)
        print(json.dumps(switched() - before), flush=True)
    return 0


class Loop:
    """This end: a ring, its reader, a descriptor, and the sender on another core."""

    def __init__(self, folder: Path, core: int) -> None:
        OverwritingRing.create(
            CAPACITY, PAYLOAD_BYTES[0], name="bench", directory=folder, epoch=1
        ).segment.close()
        self.eventfd = os.eventfd(0, os.EFD_NONBLOCK)
        command = [sys.executable, "-m", "bench.wake", str(folder), str(core), str(self.eventfd)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=(self.eventfd,),
        )
        assert self._line() == "ready"
        self._bell = Doorbell.create_or_adopt(name="bell", epoch=1, directory=folder, for_event_loop=True)
        self._reader = OverwritingRing.attach("bench", PAYLOAD_BYTES[0], folder).reader()
        self._clock = calibrated()
        self._next = 0
        self._ages: list[int] = []

    def run(self, way: Callable[[int], None], count: int, *, rings: bool) -> dict[str, float]:
        """One run; RuntimeError when a record is missing or out of order."""
        self._ages = []
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count} {int(rings)}\n")
        self._process.stdin.flush()
        way(count)
        switches = float(self._line())
        if len(self._ages) != count:
            raise RuntimeError(f"{len(self._ages)} came of {count}")
        ages = sorted(self._ages[count // WARM_SHARE :])
        return {
            **{name: float(ages[int((len(ages) - 1) * part)]) for name, part in TAILS.items()},
            "switches": switches,
        }

    def take(self) -> int:
        """Note the age of every record that waits."""
        cells = self._reader.poll()
        if cells <= 0:
            return 0
        counter, scratch, rate, _ = self._clock
        now = stamp(counter, scratch)
        n_words = self._reader.words.size // self._reader.tags.size
        for cell in range(cells):
            if int(self._reader.words[cell * n_words]) != self._next:
                raise RuntimeError(f"record {self._reader.words[cell * n_words]} came, not {self._next}")
            self._next += 1
            self._ages.append(nanoseconds(now - int(self._reader.words[cell * n_words + 1]), rate))
        return cells

    def turning(self, count: int) -> None:
        """A loop that polls at each of its turns."""
        deadline_s = time.monotonic() + DEADLINE_S

        def work() -> int:
            cells = self.take()
            if len(self._ages) >= count or time.monotonic() > deadline_s:
                turns.stop()
            return cells

        turns = LoopTurns(work, Policy.SPIN, self._bell)
        uvloop.run(turns.run())

    def sleeping(self, count: int) -> None:
        """A loop that sleeps until the descriptor can be read."""

        async def wait() -> None:
            loop, done = asyncio.get_running_loop(), asyncio.Event()

            def wake() -> None:
                os.eventfd_read(self.eventfd)
                self.take()
                if len(self._ages) >= count:
                    done.set()

            loop.add_reader(self.eventfd, wake)
            await asyncio.wait_for(done.wait(), DEADLINE_S)
            loop.remove_reader(self.eventfd)

        uvloop.run(wait())

    def close(self) -> None:
        """End the sender."""
        self._process.kill()
        self._process.communicate()
        os.close(self.eventfd)

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def measure(result: Result) -> None:
    """Both ways, run for run."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    parent = TMPFS if os.access(TMPFS, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        loop = Loop(Path(folder), max(allowed))
        try:
            ways = {
                OURS: partial(loop.run, loop.turning, MESSAGES, rings=False),
                "eventfd, add_reader": partial(loop.run, loop.sleeping, MESSAGES, rings=True),
            }
            interleave(result, WAKE, ways)
        finally:
            loop.close()
            os.sched_setaffinity(0, allowed)
    claim(result, WAKE, "p50_ns", P50_NS_MAX)


if __name__ == "__main__":
    sys.exit(sender(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
