"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from engine.errors import ConfigError
from procs.whole_file import PARTIAL_SUFFIX, refuse_overwriting, whole_file


def _write(path: Path, *parts: bytes, error: BaseException | None = None) -> None:
    with whole_file(path) as file:
        for part in parts:
            file.write(part)
            file.flush()
        if error is not None:
            raise error


def test_a_file_is_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"before")
    _write(path, b"a", b"b" * 100_000)
    assert path.read_bytes() == b"a" + b"b" * 100_000
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(2)])
@pytest.mark.parametrize("before", [None, b"before"])
def test_what_was_there_stays_when_the_writing_ends_early(
    tmp_path: Path, error: BaseException, before: bytes | None
) -> None:
    path = tmp_path / "out"
    if before is not None:
        path.write_bytes(before)
    with pytest.raises(type(error)):
        _write(path, b"half", error=error)
    assert (path.read_bytes() if path.exists() else None) == before
    assert not path.with_name("out" + PARTIAL_SUFFIX).exists()


def test_until_the_end_it_lies_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with whole_file(path) as file:
        file.write(b"a")
        assert not path.exists()
        assert path.with_name("out" + PARTIAL_SUFFIX).exists()
    assert path.read_bytes() == b"a"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    path, link = tmp_path / "out", tmp_path / "link"
    link.symlink_to(path)
    _write(link, b"a")
    assert link.is_symlink()
    assert path.read_bytes() == b"a"


def test_a_pipe_is_written_as_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    _write(path, b"a", b"b")
    reader.join()
    assert got == [b"ab"]
    assert [*tmp_path.iterdir()] == [path]


def test_an_error_names_the_file_that_the_user_named(tmp_path: Path) -> None:
    for path, kind in ((tmp_path / "none" / "out", FileNotFoundError), (tmp_path, IsADirectoryError)):
        with pytest.raises(kind) as caught:
            _write(path, b"a")
        assert caught.value.filename == str(path)
    full = Path("/dev/full")
    with pytest.raises(OSError, match="No space left") as no_space:
        _write(full, b"a")
    assert no_space.value.filename == str(full)


def test_an_output_is_no_input_under_any_name(tmp_path: Path) -> None:
    path, link, other = tmp_path / "in", tmp_path / "link", tmp_path / "other"
    path.write_bytes(b"a")
    link.symlink_to(path)
    (tmp_path / "hard").hardlink_to(path)
    for out in (path, link, tmp_path / "hard", tmp_path / "." / "in"):
        with pytest.raises(ConfigError, match=f"{out}: the dump would overwrite"):
            refuse_overwriting(out, [other, path] if other.exists() else [path], "dump")
    refuse_overwriting(other, [path], "dump")
    other.write_bytes(b"a")
    refuse_overwriting(other, [path], "dump")
