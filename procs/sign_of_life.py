"""That a process beside the engine is still at work: control, monitor.

It has no row among those of the engine (``procs.health``), which are counted and waited for. A word in a file
of its own beside the segments says when it last came round its loop, in ns of CLOCK_MONOTONIC. Only one that
an owner began gives it (``--watched``): others may run the same command beside it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

OWNER_ONLY: Final = 0o600
SIGN_SUFFIX: Final = ".alive"
WORD_BYTES: Final = 8


class SignOfLife:
    """The file of the process ``name`` in an engine's run directory; a context that closes it.

    One that is not ``watched`` says nothing.
    """

    def __init__(self, directory: Path, name: str, *, watched: bool) -> None:
        self._file: int | None = None
        if watched:
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.open(directory / f"{name}{SIGN_SUFFIX}", flags, OWNER_ONLY)
            os.posix_fallocate(self._file, 0, WORD_BYTES)  # a full file system says so now or never

    def give(self) -> None:
        """Say that we are at work."""
        if self._file is not None:
            os.pwrite(self._file, time.monotonic_ns().to_bytes(WORD_BYTES, "little"), 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def last_sign_ns(directory: Path, name: str) -> int:
    """When the process of that name last said so; 0 when it never has."""
    try:
        word = (directory / f"{name}{SIGN_SUFFIX}").read_bytes()
    except FileNotFoundError:
        return 0
    return int.from_bytes(word[:WORD_BYTES], "little") if len(word) >= WORD_BYTES else 0
