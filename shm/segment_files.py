"""Files of a run directory: which of them may be mapped, who owns them, and which parts are claimed.

Two locks that know nothing of each other, both dropped by the kernel with their process, however it ends:

- the owner's: ``flock`` on the whole file, held by the one producer;
- a reader's: an open-file-description lock on the bytes of its block, held by the one process that reads as
  this reader. It is the only way to tell a reader that died from one that is slow.

An open-file-description lock belongs to the descriptor, not to the process: two readers of one process
exclude each other, closing some other descriptor of the file does not drop it, and a forked child shares it.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import struct
import weakref
from pathlib import Path
from typing import Final

from shm.errors import RingRefused, SegmentExists, SegmentRefused

OWNER_ONLY: Final = 0o600
NOT_OWNER_BITS: Final = 0o077
OPEN_FLAGS: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
FLOCK: Final = "hhqqi4x"  # struct flock: type, whence, start, length, pid (0 for these locks)

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")

Identity = tuple[int, int]  # device and inode


def segment_path(directory: Path, name: str | None) -> Path:
    """Path of a segment file.

    SegmentRefused for a name not of ``[a-z0-9][a-z0-9_.-]*``, up to 63 characters, and for a directory that
    is not this user's alone; FileNotFoundError when there is no such directory.
    """
    if name is None or not _NAME.fullmatch(name):
        raise SegmentRefused(f"a segment file needs a plain lower-case name, not {name!r}")
    check_directory(directory)
    return directory / name


def check_directory(directory: Path) -> None:
    """Raise SegmentRefused unless ``directory`` is one, of this user, closed to all others, and no link."""
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise SegmentRefused(f"{directory}: not a directory, or a link to one")
    if found.st_uid != os.geteuid() or found.st_mode & NOT_OWNER_BITS:
        raise SegmentRefused(
            f"{directory}: not a directory of this user alone (owner {found.st_uid}, "
            f"mode {stat.S_IMODE(found.st_mode):o})"
        )


def open_checked(path: Path) -> int:
    """Open a file of ours: regular, owned by this user, closed to all others, not reached through a link."""
    try:
        descriptor = os.open(path, OPEN_FLAGS | os.O_NONBLOCK)  # a FIFO must not make us wait
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SegmentRefused(f"{path}: {error.strerror}") from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & NOT_OWNER_BITS:
        os.close(descriptor)
        raise SegmentRefused(
            f"{path}: not a regular file of this user alone (mode {stat.S_IMODE(found.st_mode):o})"
        )
    return descriptor


def create_locked(path: Path, total: int) -> int:
    """Descriptor of a new file of ``total`` bytes, all of them allocated, with the owner's lock.

    Raises SegmentExists for a taken name, SegmentRefused when the file system has no room.
    """
    try:
        descriptor = os.open(path, OPEN_FLAGS | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    except FileExistsError as error:
        holder = "its owner lives" if owner_alive(path) else "its owner is gone"
        raise SegmentExists(f"{path}: already there, {holder}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # only a passing ``owner_alive`` can hold it
        os.fchmod(descriptor, OWNER_ONLY)
        os.posix_fallocate(descriptor, 0, total)
    except OSError as error:
        os.close(descriptor)
        path.unlink()
        raise SegmentRefused(f"{path}: no room for {total} bytes ({error.strerror})") from error
    if not is_at(path, identity_of(descriptor)):
        os.close(descriptor)
        raise FileNotFoundError(f"{path}: taken for a leftover and removed")
    return descriptor


def lock_as_owner(path: Path) -> int:
    """Descriptor of the file at ``path`` with the owner's lock; SegmentExists when its owner lives.

    Raises SegmentRefused and FileNotFoundError as ``open_checked``, the latter also when the file was removed
    while it was being locked: whoever holds the lock of a removed file owns nothing.
    """
    descriptor = open_checked(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not is_at(path, identity_of(descriptor)):
            raise FileNotFoundError(f"{path}: removed meanwhile")
    except BlockingIOError as error:
        os.close(descriptor)
        raise SegmentExists(f"{path}: already there, its owner lives") from error
    except FileNotFoundError:
        os.close(descriptor)
        raise
    return descriptor


def owner_alive(path: Path) -> bool:
    """Whether some process holds the owner's lock; raises SegmentRefused or FileNotFoundError."""
    descriptor = open_checked(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)  # and with it the lock, if we got it
    return False


def identity_of(descriptor: int) -> Identity:
    """Device and inode of an open file."""
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino


def is_at(path: Path, identity: Identity) -> bool:
    """Whether the file under ``path`` is still this one, and not another or none."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == identity


class Claim:
    """The exclusive right to be one reader, for as long as this object or a forked copy of it lives."""

    def __init__(self, path: Path, identity: Identity, start: int, size: int) -> None:
        """Claim ``size`` bytes from ``start``; RingRefused when a living process holds them.

        Also when the file is no longer the one that was mapped.
        """
        descriptor = open_checked(path)
        self.release = weakref.finalize(self, os.close, descriptor)
        if identity_of(descriptor) != identity:
            self.release()
            raise RingRefused(f"{path}: replaced since it was mapped")
        try:
            wanted = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, start, size, 0)
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, wanted)
        except BlockingIOError as error:
            self.release()
            raise RingRefused(f"{path}: its reader lives") from error
