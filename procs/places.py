"""Where files live: beside the code in a checkout, in the user's directories when installed elsewhere."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from engine.errors import ConfigError

CACHE_DIR_VARIABLE: Final = "PR3DICT_CACHE_DIR"
RUN_BYTES_MIN: Final = 256 << 20  # the segments of one engine, and as much again
SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of this user alone is made in it

PACKAGES_ROOT: Final = Path(__file__).resolve().parent.parent  # the folder of engine, shm, procs, bench


def checkout_root(packages_root: Path = PACKAGES_ROOT) -> Path | None:
    """Top of the source tree, or None when the packages were installed away from it."""
    return packages_root if (packages_root / "pyproject.toml").is_file() else None


def config_dir(packages_root: Path = PACKAGES_ROOT) -> Path:
    """Folder of the TOML files that ship with the code."""
    root = checkout_root(packages_root)
    return packages_root / "procs" / "config" if root is None else root / "config"


def samples_dir(packages_root: Path = PACKAGES_ROOT) -> Path:
    """Folder of the packaged recordings."""
    return packages_root / "procs" / "samples"


def runtime_root() -> Path | None:
    """Folder for what lives as long as a run, in memory where there is such a place; None: the system's own.

    In order: XDG_RUNTIME_DIR, the shared-memory file system; neither when it has little room left, as in
    containers.
    """
    for folder in (os.environ.get("XDG_RUNTIME_DIR"), str(SHARED_MEMORY)):
        if folder and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= RUN_BYTES_MIN:
            return Path(folder)
    return None


def cache_root(packages_root: Path = PACKAGES_ROOT) -> Path:
    """Folder for what can be computed again; not created here.

    In order: PR3DICT_CACHE_DIR, ``.cache/pr3dict`` of the checkout when it can be written, XDG_CACHE_HOME,
    ``.cache`` of the home directory, and a folder of this user under the system's temporary one: a service
    may run with neither a home nor a writable checkout.
    """
    named = os.environ.get(CACHE_DIR_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    root = checkout_root(packages_root)
    if root is not None and os.access(root, os.W_OK):
        return root / ".cache" / "pr3dict"
    xdg = os.environ.get("XDG_CACHE_HOME")
    if xdg:
        return Path(xdg) / "pr3dict"
    home = Path(os.environ.get("HOME") or os.devnull)
    if home.is_dir() and os.access(home, os.W_OK):
        return home / ".cache" / "pr3dict"
    return Path(tempfile.gettempdir()) / f"pr3dict-{os.getuid()}"


def run_root(shared_memory: Path = SHARED_MEMORY) -> Path:
    """Folder of a running engine's shared memory and sockets; not created here.

    In order: RUNTIME_DIRECTORY (of a service), a folder of this user in ``shared_memory``, XDG_RUNTIME_DIR.
    ConfigError when there is none of them.
    """
    given = _of_service("RUNTIME_DIRECTORY")
    if given is not None:
        return given
    if os.access(shared_memory, os.W_OK):
        return shared_memory / f"pr3dict-{os.getuid()}"
    xdg = os.environ.get("XDG_RUNTIME_DIR")
    if xdg:
        return Path(xdg) / "pr3dict"
    raise ConfigError(f"paths.run_dir: no default: {shared_memory} cannot be written; name a tmpfs folder")


def state_root() -> Path:
    """Folder for what must survive a reboot; not created here.

    In order: STATE_DIRECTORY (of a service), XDG_STATE_HOME, ``.local/state`` of the home directory.
    ConfigError when there is none of them.
    """
    given = _of_service("STATE_DIRECTORY")
    if given is not None:
        return given
    xdg = os.environ.get("XDG_STATE_HOME")
    if xdg:
        return Path(xdg) / "pr3dict"
    home = Path(os.environ.get("HOME") or os.devnull)
    if home.is_dir():
        return home / ".local" / "state" / "pr3dict"
    raise ConfigError("paths.state_dir: no default without a home directory; name a folder on a disk")


def _of_service(variable: str) -> Path | None:
    """Folder that systemd made for this service; the first when there are several."""
    named = os.environ.get(variable, "").partition(":")[0]
    return Path(named) if named else None
