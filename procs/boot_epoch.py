"""Numbers that no start of a process has had before: they keep epochs and order ids of two lives apart."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from engine.errors import JournalDamaged
from engine.ids import BOOT_EPOCH_MAX

FILE: Final = "boot-epoch"
OWNER_ONLY: Final = 0o600


def next_boot_epoch(state_dir: Path) -> int:
    """The next number of this state directory, durable before it is answered; the first is 1.

    Processes that start together each get their own. JournalDamaged when the file does not hold a number: to
    begin anew could repeat one. OSError as the file system says.
    """
    descriptor = os.open(state_dir / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        text = os.pread(descriptor, 32, 0)
        if not (text.strip().isdigit() or not text):
            raise JournalDamaged(f"{state_dir / FILE}: holds no number")
        epoch = int(text or b"0") + 1
        if epoch > BOOT_EPOCH_MAX:
            raise JournalDamaged(f"{state_dir / FILE}: {epoch} is beyond the last epoch, {BOOT_EPOCH_MAX}")
        os.pwrite(descriptor, b"%d\n" % epoch, 0)  # never shorter than before
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if not text:
        _sync_folder(state_dir)
    return epoch


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
