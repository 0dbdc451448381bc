"""Where files live, for a checkout, an installation, and a service without home."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.errors import ConfigError
from procs import places


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source tree, in an environment that names no directories."""
    for name in (places.CACHE_DIR_VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "no-home"))
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "pyproject.toml").touch()
    return root


@pytest.fixture
def installed(checkout: Path) -> Path:
    """Packages installed away from their source tree, in the same environment."""
    root = checkout.parent / "site-packages"
    root.mkdir()
    return root


def test_checkout_is_recognised(checkout: Path, installed: Path) -> None:
    assert places.checkout_root(checkout) == checkout
    assert places.checkout_root(installed) is None


def test_config_moves_beside_the_code_when_installed(checkout: Path, installed: Path) -> None:
    assert places.config_dir(checkout) == checkout / "config"
    assert places.config_dir(installed) == installed / "procs" / "config"


def test_samples_are_always_beside_the_code(checkout: Path, installed: Path) -> None:
    assert places.samples_dir(checkout) == checkout / "procs" / "samples"
    assert places.samples_dir(installed) == installed / "procs" / "samples"


def test_cache_of_a_checkout_stays_in_it(checkout: Path) -> None:
    assert places.cache_root(checkout) == checkout / ".cache" / "pr3dict"


def test_named_cache_outranks_everything(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(places.CACHE_DIR_VARIABLE, str(checkout / "named"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(checkout / "xdg"))
    assert places.cache_root(checkout) == checkout / "named"


def test_installed_cache_is_the_users(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = installed.parent / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    assert places.cache_root(installed) == home / ".cache" / "pr3dict"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "xdg"))
    assert places.cache_root(installed) == home / "xdg" / "pr3dict"


def test_without_a_home_the_cache_is_temporary_and_ours(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert places.cache_root(installed).name == f"pr3dict-{os.getuid()}"
    monkeypatch.delenv("HOME")
    assert places.cache_root(installed).name == f"pr3dict-{os.getuid()}"


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that names no folder, and an empty one to name."""
    for name in ("RUNTIME_DIRECTORY", "STATE_DIRECTORY", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_the_run_directory_is_the_services_then_memory_then_the_sessions(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"paths\.run_dir: no default: .*none cannot be written"):
        places.run_root(bare / "none")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(bare / "xdg"))
    assert places.run_root(bare / "none") == bare / "xdg" / "pr3dict"
    assert places.run_root(bare) == bare / f"pr3dict-{os.getuid()}"
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/pr3dict:/run/more")
    assert places.run_root(bare) == Path("/run/pr3dict")


def test_the_state_directory_is_the_services_then_the_users(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"paths\.state_dir: no default without a home"):
        places.state_root()
    monkeypatch.setenv("HOME", str(bare))
    assert places.state_root() == bare / ".local" / "state" / "pr3dict"
    monkeypatch.setenv("XDG_STATE_HOME", str(bare / "xdg"))
    assert places.state_root() == bare / "xdg" / "pr3dict"
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/pr3dict")
    assert places.state_root() == Path("/var/lib/pr3dict")


def test_runs_live_in_memory_where_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert places.runtime_root() == tmp_path
    monkeypatch.setattr(places, "RUN_BYTES_MIN", 1 << 62)
    assert places.runtime_root() is None
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "gone"))
    monkeypatch.setattr(places, "RUN_BYTES_MIN", 0)
    assert places.runtime_root() == places.SHARED_MEMORY
