"""That a process beside the engine is still at work: control, monitor.

It has no row among those of the engine (``procs.health``), which are counted and waited for. A word in a file
of its own beside the segments says when it last came round its loop, in ns of CLOCK_MONOTONIC.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

OWNER_ONLY: Final = 0o600
SIGN_SUFFIX: Final = ".alive"
WORD_BYTES: Final = 8


class SignOfLife:
    """The file of the process ``name`` in a run directory, while there is one; a context that closes it."""

    def __init__(self, directory: Path, name: str) -> None:
        self._path = directory / f"{name}{SIGN_SUFFIX}"
        self._file: int | None = None

    def give(self) -> None:
        """Say that we are at work."""
        if self._file is None:
            with suppress(FileNotFoundError):  # there is no engine yet
                flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                self._file = os.open(self._path, flags, OWNER_ONLY)
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
