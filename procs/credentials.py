"""Secrets, read from one folder at the moment of use: never a setting, never in a message, never in a repr.

The folder and each file must belong to us (or to root) and be closed to group and others; nothing is read
through a symbolic link. What is wrong is one ConfigError that names the file and quotes nothing of it.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from engine.config import Config, FeedConfig
from engine.errors import ConfigError
from engine.venues.kalshi import auth
from engine.venues.kalshi.auth import PrivateKey

SECRET_BYTES_MAX: Final = 64 * 1024
KEY_ID_CHARS_MAX: Final = 128
FOLDER_VARIABLE: Final = "CREDENTIALS_DIRECTORY"  # where systemd hands credentials to a service
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_ROOT: Final = 0


@dataclass(frozen=True, slots=True)
class KalshiCredentials:
    """An API key. Its repr names neither part."""

    key_id: str = field(repr=False)
    key: PrivateKey = field(repr=False)

    def handshake(self, timestamp_ms: int) -> dict[str, str]:
        """Headers of a WebSocket's handshake at ``timestamp_ms``."""
        return auth.headers(self.key_id, self.key, timestamp_ms)


def credentials_folder(config: Config) -> Path:
    """Folder that the configuration names; by default the service manager's, else the user's own."""
    if config.paths.credentials_dir:
        return Path(config.paths.credentials_dir).expanduser()
    handed = os.environ.get(FOLDER_VARIABLE)
    if handed:
        return Path(handed)
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "pr3dict" / "credentials"


def kalshi_credentials(folder: Path, feed: FeedConfig) -> KalshiCredentials | None:
    """The key that ``feed`` names; None when it names none: the handshake goes without.

    ConfigError when it names only half of one, or what it names cannot be used.
    """
    if not feed.key_id_file and not feed.private_key_file:
        return None
    key_id = read_secret(folder, feed.key_id_file).decode(errors="replace").strip()
    if not (0 < len(key_id) <= KEY_ID_CHARS_MAX and key_id.isascii() and key_id.isprintable()):
        raise ConfigError(f"{folder / feed.key_id_file}: not the id of a key")
    pem = read_secret(folder, feed.private_key_file)
    return KalshiCredentials(key_id, auth.private_key(pem, str(folder / feed.private_key_file)))


def read_secret(folder: Path, name: str) -> bytes:
    """Content of one file of the folder. ConfigError when it is not there, or not ours alone to read."""
    if name in ("", "..") or Path(name).name != name:
        raise ConfigError(f"{folder}: {name!r} is not the name of a file in it")
    directory = _open(folder, os.O_DIRECTORY)
    try:
        _require_private(directory, folder)
        file = _open(folder / name, 0, directory)
        try:
            return _read(file, folder / name)
        finally:
            os.close(file)
    finally:
        os.close(directory)


def _open(path: Path, flags: int, within: int | None = None) -> int:
    try:
        return os.open(path if within is None else path.name, _OPEN | flags, dir_fd=within)
    except OSError as error:
        if path.is_symlink():
            raise ConfigError(f"{path}: a symbolic link; secrets are not read through one") from None
        raise ConfigError(f"{path}: {error.strerror}") from None


def _read(file: int, path: Path) -> bytes:
    status = _require_private(file, path)
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"{path}: not a regular file")
    content = os.read(file, SECRET_BYTES_MAX + 1)
    if not 0 < len(content) <= SECRET_BYTES_MAX:
        raise ConfigError(f"{path}: empty, or longer than {SECRET_BYTES_MAX} bytes")
    return content


def _require_private(file: int, path: Path) -> os.stat_result:
    status = os.fstat(file)
    if status.st_uid not in (os.geteuid(), _ROOT):
        raise ConfigError(f"{path}: belongs to user {status.st_uid}, not to us")
    open_to = stat.S_IMODE(status.st_mode) & (stat.S_IRWXG | stat.S_IRWXO)
    if open_to:
        raise ConfigError(f"{path}: mode {stat.S_IMODE(status.st_mode):04o} lets group or others in")
    return status
