"""Folders that belong to one user: made closed, and refused when they are open."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.errors import ConfigError
from procs.private_directory import make_private, require_private


def test_a_new_one_is_closed_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = make_private(tmp_path / "below" / "run")
    finally:
        os.umask(before)
    assert made.stat().st_mode & 0o777 == 0o700
    assert make_private(made) == made, "there already"


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o755, 0o777])
def test_one_that_others_can_enter_is_refused(tmp_path: Path, mode: int) -> None:
    open_one = tmp_path / "run"
    open_one.mkdir()
    open_one.chmod(mode)
    with pytest.raises(ConfigError, match=rf"run: open to others \(mode {mode:o}\)"):
        require_private(open_one)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    for name, why in (("file", "not a folder"), ("link", "not a folder"), ("none", "No such file")):
        with pytest.raises(ConfigError, match=rf"{name}: {why}"):
            require_private(tmp_path / name)
    with pytest.raises(ConfigError, match="file/run: cannot be made"):
        make_private(tmp_path / "file" / "run")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_one_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 12_345, -1)
    with pytest.raises(ConfigError, match="belongs to user 12345, not to user 0"):
        require_private(tmp_path)
