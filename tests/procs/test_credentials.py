from __future__ import annotations

import base64
import os
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.config import Config
from engine.errors import ConfigError
from procs import credentials
from procs.config_files import load_config
from procs.credentials import credentials_folder, kalshi_credentials, read_secret
from tests.engine.venues.kalshi.test_auth import pem

KEY = Ed25519PrivateKey.generate()
ID = "6a8f0000-0000-4000-8000-00000000abcd"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a key, closed to others."""
    made = tmp_path / "credentials"
    made.mkdir(mode=0o700)
    for name, content in (("kalshi_key_id", f"{ID}\n".encode()), ("kalshi_private_key.pem", pem(KEY))):
        (made / name).write_bytes(content)
        (made / name).chmod(0o600)
    return made


@pytest.fixture
def config() -> Config:
    return load_config()


def test_a_key_signs_the_handshake(folder: Path, config: Config) -> None:
    found = kalshi_credentials(folder, config.venues.kalshi.feed)
    assert found is not None
    sent = found.handshake(1_703_123_456_789)
    assert sent["KALSHI-ACCESS-KEY"] == ID
    signature = base64.b64decode(sent["KALSHI-ACCESS-SIGNATURE"])
    KEY.public_key().verify(signature, b"1703123456789GET/trade-api/ws/v2")


def test_nothing_of_a_key_is_shown(folder: Path, config: Config) -> None:
    found = kalshi_credentials(folder, config.venues.kalshi.feed)
    assert repr(found) == str(found) == "KalshiCredentials()"


def test_a_venue_without_a_key_has_none(folder: Path, config: Config) -> None:
    assert kalshi_credentials(folder, config.venues.polymarket.feed) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602, 0o610])
def test_a_file_that_lets_others_in_is_refused(folder: Path, mode: int) -> None:
    (folder / "kalshi_key_id").chmod(mode)
    with pytest.raises(
        ConfigError, match=f"kalshi_key_id: mode {mode:04o} lets group or others in"
    ) as caught:
        read_secret(folder, "kalshi_key_id")
    assert ID not in str(caught.value)


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o701])
def test_a_folder_that_lets_others_in_is_refused(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    with pytest.raises(ConfigError, match=f"credentials: mode {mode:04o} lets group or others in"):
        read_secret(folder, "kalshi_key_id")


def test_a_file_of_somebody_else_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_ROOT", -1)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ConfigError, match=f"belongs to user {os.getuid()}, not to us"):
        read_secret(folder, "kalshi_key_id")


def test_nothing_is_read_through_a_link(folder: Path, tmp_path: Path) -> None:
    (folder / "link").symlink_to(folder / "kalshi_key_id")
    with pytest.raises(ConfigError, match="link: a symbolic link"):
        read_secret(folder, "link")
    (tmp_path / "other").symlink_to(folder)
    with pytest.raises(ConfigError, match="other: a symbolic link"):
        read_secret(tmp_path / "other", "kalshi_key_id")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "/etc/passwd", ".."])
def test_only_files_of_the_folder_are_read(folder: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="is not the name of a file in it"):
        read_secret(folder, name)


def test_what_is_not_there_is_one_line(folder: Path) -> None:
    with pytest.raises(ConfigError, match="absent: No such file or directory"):
        read_secret(folder, "absent")
    with pytest.raises(ConfigError, match="nowhere: No such file or directory"):
        read_secret(folder / "nowhere", "absent")


def test_a_pipe_an_empty_file_and_a_huge_one_are_refused_at_once(folder: Path) -> None:
    os.mkfifo(folder / "pipe", 0o600)
    with pytest.raises(ConfigError, match="pipe: not a regular file"):
        read_secret(folder, "pipe")
    for name, content in (("empty", b""), ("huge", b"x" * 70_000)):
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
        with pytest.raises(ConfigError, match=f"{name}: empty, or longer"):
            read_secret(folder, name)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"two\nlines", b"x" * 200, b"\n"])
def test_what_is_no_key_id_is_refused(folder: Path, config: Config, content: bytes) -> None:
    (folder / "kalshi_key_id").write_bytes(content)
    with pytest.raises(ConfigError, match="kalshi_key_id: not the id of a key"):
        kalshi_credentials(folder, config.venues.kalshi.feed)


def test_the_folder_is_the_configured_one_then_the_services_then_the_users(
    config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert credentials_folder(config) == tmp_path / "pr3dict" / "credentials"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x")
    assert credentials_folder(config) == Path("/run/credentials/x")
    named = replace(config, paths=replace(config.paths, credentials_dir="/etc/pr3dict/keys"))
    assert credentials_folder(named) == Path("/etc/pr3dict/keys")
