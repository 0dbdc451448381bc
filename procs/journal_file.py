"""The journal on disk: one file, one writer, space set aside before it is needed.

The file is written ahead with zeros, so that making an entry durable touches no metadata, and so that a full
disk is noticed while there is still room to write down what venues say: at least RESERVE_BYTES / 2 lie ahead
at any time. When more cannot be had, ``is_full`` says so (and new orders are to be halted); what is left
takes reports and cancels.

A file is locked by its writer for as long as it lives, which the kernel ends with the process. Opening reads
everything: a torn end, such as a power cut leaves, is cut off and told (``torn_bytes``); damage before the
end is JournalDamaged, and nothing is changed.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Final

from engine.errors import JournalDamaged
from engine.ledger.journal import Entry, Journal, JournalRead, read_journal
from procs.refusals import JournalInUse

RESERVE_BYTES: Final = 1 << 20

_MODE: Final = 0o600


class JournalFile:
    """An open, locked journal file. ``entries`` are those it had; ``torn_bytes`` were cut off behind them.

    A ``ByteSink`` of ``engine.ledger.journal``; ``writer()`` gives the journal that goes on behind them.
    """

    def __init__(self, path: Path, reserve_bytes: int = RESERVE_BYTES) -> None:
        """Open or create ``path``. JournalInUse, JournalDamaged, OSError; nothing is kept open then."""
        self.path = path
        self.torn_bytes = 0
        self.is_full = False
        self._reserve_bytes = reserve_bytes
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
        try:
            self._lock()
            content = os.pread(self._fd, os.fstat(self._fd).st_size, 0)
            self.entries, self._end = _parse(path, content)
            self._reserved = len(content)
            self._cut_off(content)
            self._reserve()
            self.sync()
            _sync_directory(path.parent)
        except BaseException:
            os.close(self._fd)
            raise

    def writer(self) -> Journal:
        """The journal that goes on behind ``entries``; to be made once."""
        return Journal(self, self.sync, next_sequence=len(self.entries) + 1)

    def content(self) -> bytes:
        """Bytes of all whole entries, as they are in the file."""
        return os.pread(self._fd, self._end, 0)

    def write(self, data: bytes, /) -> int:
        """Hand ``data`` to the operating system: it outlives this process. OSError when there is no room."""
        end = self._end + len(data)
        if end > self._reserved:
            self._extend()
        os.pwrite(self._fd, data, self._end)
        self._end = end
        self._reserve()
        return len(data)

    def flush(self) -> None:
        """Nothing is buffered here."""

    def sync(self) -> None:
        """Make what was written outlive the machine's power. OSError: then nobody knows what is on disk."""
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Let go of the file and its lock."""
        os.close(self._fd)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalInUse(f"{self.path}: another executor writes this journal") from None

    def _cut_off(self, content: bytes) -> None:
        """Zeros are room. Anything else behind the last whole entry was torn, and becomes room."""
        self.torn_bytes = _torn_bytes(content, self._end)
        if self.torn_bytes:
            os.pwrite(self._fd, bytes(self.torn_bytes), self._end)

    def _reserve(self) -> None:
        """Keep half of a reserve ahead, as long as there is room for more."""
        if self._reserved - self._end >= self._reserve_bytes // 2 or self.is_full:
            return
        try:
            self._extend()
        except OSError:
            self.is_full = True

    def _extend(self) -> None:
        room = bytes(self._reserve_bytes)
        written = os.pwrite(self._fd, room, self._reserved)
        self._reserved += written
        if written < len(room):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))


def read_entries(path: Path) -> tuple[list[Entry], int]:
    """Whole entries of a journal that somebody may be writing, and how many bytes behind them are none.

    Raises JournalDamaged and OSError.
    """
    content = path.read_bytes()
    entries, end = _parse(path, content)
    return entries, _torn_bytes(content, end)


def _parse(path: Path, content: bytes) -> tuple[list[Entry], int]:
    """Entries, and where the last of them ends."""
    found = JournalRead()
    try:
        entries = [*read_journal(content, found)]
    except JournalDamaged as error:
        raise JournalDamaged(f"{path}: {error}") from error
    return entries, len(content) - found.torn_bytes


def _torn_bytes(content: bytes, end: int) -> int:
    return len(content[end:].rstrip(b"\0"))


def _sync_directory(path: Path) -> None:
    """Make a new file's name durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
