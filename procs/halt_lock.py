"""The lock around what is read and written of the latch: of two halts at once both are in it.

It is the kernel's, so that it goes with whoever dies. A halt waits for it only so long: one that is stopped
while it holds it must not keep anybody from halting.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

LOCK_NAME: Final = "halt.lock"
WAIT_MAX_S: Final = 0.25  # a latch is written in milliseconds
LOOK_S: Final = 0.001
OWNER_ONLY: Final = 0o600
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def latch_lock(state_dir: Path) -> Iterator[bool]:
    """Hold the lock of the latch in ``state_dir``; False when it cannot be had in WAIT_MAX_S, or at all."""
    try:
        descriptor = os.open(state_dir / LOCK_NAME, _FLAGS, OWNER_ONLY)
    except OSError:  # a folder that is missing, full or not ours: who writes the latch there will say so
        yield False
        return
    try:
        yield _wait_for(descriptor)
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int) -> bool:
    until_s = time.monotonic() + WAIT_MAX_S
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= until_s:
            return False
        time.sleep(LOOK_S)
