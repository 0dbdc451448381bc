"""Folders that belong to this user alone: whoever can enter the run directory can steer the engine."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from engine.errors import ConfigError

OWNER_ONLY: Final = 0o700
NOT_OWNER_BITS: Final = 0o077


def make_private(directory: Path) -> Path:
    """Make ``directory`` with mode 0700 unless it is there, and check it; ConfigError says what is wrong."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=OWNER_ONLY, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{directory}: cannot be made: {error.strerror}") from error
    return require_private(directory)


def require_private(directory: Path) -> Path:
    """Answer ``directory`` when it is a folder of this user alone; ConfigError says what it is instead."""
    try:
        found = directory.lstat()
    except OSError as error:
        raise ConfigError(f"{directory}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"{directory}: not a folder")
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != os.geteuid():
        raise ConfigError(f"{directory}: belongs to user {found.st_uid}, not to user {os.geteuid()}")
    if mode & NOT_OWNER_BITS:
        raise ConfigError(f"{directory}: open to others (mode {mode:o}); chmod 700 it")
    return directory
