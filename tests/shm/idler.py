"""A process with nothing to do, until SIGTERM: ``python -m tests.shm.idler WAY DIRECTORY``.

It says ``ready`` when it waits, and how long it took from the signal to its end of the loop.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path

from procs import kernels

kernels.set_cache_dir()  # before numba is imported

from shm.doorbell import Doorbell  # noqa: E402
from shm.loop_turns import LoopTurns  # noqa: E402
from shm.waiting import YIELDS_BEFORE_PARK, Idler, Policy  # noqa: E402

READY_AFTER = YIELDS_BEFORE_PARK + 3  # idle passes: whoever parks has slept by then


def idle(policy: Policy) -> None:
    """Wait in a loop of our own."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
    idler, passes = Idler(policy, Doorbell.create()), 0
    while not stopped:
        idler.idle()
        passes += 1
        if passes == READY_AFTER:
            print("ready", flush=True)


async def idle_in_loop(directory: Path) -> None:
    """Wait in an event loop."""
    bell, passes = Doorbell.create(name="bell", directory=directory, for_event_loop=True), 0

    def work() -> int:
        nonlocal passes
        passes += 1
        if passes == READY_AFTER:
            print("ready", flush=True)
        return 0

    turns = LoopTurns(work, Policy.PARK, bell)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, turns.stop)
    await turns.run()


def main() -> int:
    """Wait for SIGTERM, in the way that was asked for."""
    way, directory = sys.argv[1:]
    if way == "loop":
        asyncio.run(idle_in_loop(Path(directory)))
    else:
        idle(Policy(way))
    print(time.monotonic_ns(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
