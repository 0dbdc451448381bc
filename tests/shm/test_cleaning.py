"""Stale segments go, everything else stays and is named."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np
import pytest

from shm.cleaning import clean
from shm.doorbell import Doorbell
from shm.errors import SegmentRefused
from shm.layout import SEGMENT, SegmentKind, offset_of
from shm.ring import OverwritingRing
from shm.segment import Segment
from shm.table import Table

ROW = np.dtype([("word", "<i8")])


def leave(directory: Path, name: str) -> Path:
    """A table whose owner is gone."""
    Table.create(2, ROW, name=name, directory=directory).segment.close()
    return directory / name


def test_only_what_nobody_owns_is_removed(tmp_path: Path) -> None:
    alive = OverwritingRing.create(8, 48, name="alive", directory=tmp_path)
    leave(tmp_path, "stale")
    reader = Table.attach("stale", ROW, tmp_path)
    assert clean(tmp_path) == (("stale",), ("alive",), ())
    assert not reader.segment.is_current(), "who still maps it can find out"
    assert alive.segment.is_current()
    assert clean(tmp_path) == ((), ("alive",), ())


def test_another_version_is_stale_too(tmp_path: Path) -> None:
    path = leave(tmp_path, "old")
    with path.open("r+b") as file:
        file.seek(offset_of(SEGMENT, "version"))
        file.write((1).to_bytes(8, "little"))
    assert clean(tmp_path).removed == ("old",)


def test_what_died_half_made_goes(tmp_path: Path) -> None:
    Segment.create("half", 1000, SegmentKind.TABLE, 1, 1, tmp_path).close()
    assert clean(tmp_path).removed == ("half",)


def test_a_bell_goes_with_its_fifo(tmp_path: Path) -> None:
    bell = Doorbell.create(name="bell", directory=tmp_path, for_event_loop=True)
    assert clean(tmp_path) == ((), ("bell",), ())
    assert (tmp_path / "bell.fifo").exists()
    bell.segment.close()
    assert clean(tmp_path).removed == ("bell",)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_ours_stays_and_is_named(tmp_path: Path) -> None:
    for name, content in (("latch", b"halted\n"), ("empty", b""), ("zeros", bytes(4096))):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    leave(tmp_path, "open").chmod(0o644)
    target = leave(tmp_path, "target")
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as control:
        control.bind(str(tmp_path / "control"))
    found = clean(tmp_path)
    assert found.removed == ("target",)
    assert [line.split(": ")[0].rsplit("/", 1)[1] for line in found.refused] == [
        "empty", "latch", "link", "open", "zeros",
    ]  # fmt: skip
    assert all("\n" not in line for line in found.refused)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["control", "empty", "folder", "latch", "link", "open", "pipe", "zeros"]


def test_a_directory_that_is_not_ours_alone_is_not_touched(tmp_path: Path) -> None:
    path = leave(tmp_path, "stale")
    tmp_path.chmod(0o755)
    with pytest.raises(SegmentRefused, match="not a directory of this user alone"):
        clean(tmp_path)
    assert path.exists()
