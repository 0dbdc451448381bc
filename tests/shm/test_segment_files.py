"""Files of a run directory: what is refused in one line each, what a full file system does, who claims."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shm.errors import RingRefused, SegmentExists, SegmentRefused
from shm.segment_files import (
    Claim,
    check_directory,
    create_locked,
    identity_of,
    is_at,
    lock_as_owner,
    open_checked,
    owner_alive,
    segment_path,
)

ROOT = Path(__file__).resolve().parents[2]
SIZE = 1 << 20
WRITE_ON_A_FULL_TMPFS = """
import os, pathlib, sys
from shm.errors import SegmentRefused
from shm.ring import OverwritingRing
directory = pathlib.Path(sys.argv[1])
kept = OverwritingRing.create(256, 48, name="kept", directory=directory)
try:
    OverwritingRing.create(1 << 16, 48, name="large", directory=directory)
except SegmentRefused as error:
    print(error)
kept.segment.words()[:] = 7  # every page of what was created is there: no SIGBUS
print(sorted(path.name for path in directory.iterdir()))
"""


def refused(call: object, *arguments: object) -> str:
    """The one line that a call is refused with."""
    with pytest.raises(SegmentRefused) as error:
        call(*arguments)  # type: ignore[operator]
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_directory_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    assert "not a directory of this user alone (owner" in refused(segment_path, tmp_path, "books")
    assert "mode 750" in refused(check_directory, tmp_path)
    tmp_path.chmod(0o700)
    assert segment_path(tmp_path, "books") == tmp_path / "books"


def test_a_link_to_a_directory_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        assert f"{name}: not a directory" in refused(check_directory, tmp_path / name)
    with pytest.raises(FileNotFoundError):
        check_directory(tmp_path / "absent")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_belongs_to_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "books"
    path.touch(0o600)
    os.chown(path, 12345, -1)
    assert "not a regular file of this user alone" in refused(open_checked, path)
    os.chown(tmp_path, 12345, -1)
    assert "owner 12345" in refused(segment_path, tmp_path, "books")


def test_links_fifos_and_open_modes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "books"
    path.touch(0o600)
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert "link: Too many levels of symbolic links" in refused(open_checked, tmp_path / "link")
    assert "fifo: not a regular file" in refused(lock_as_owner, tmp_path / "fifo")
    path.chmod(0o604)
    assert "mode 604" in refused(owner_alive, path)


def test_the_owner_is_the_one_with_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "books"
    descriptor = create_locked(path, 4096)
    assert path.stat().st_size == 4096
    with pytest.raises(SegmentExists, match="its owner lives"):
        lock_as_owner(path)
    with pytest.raises(SegmentExists, match="its owner lives"):
        create_locked(path, 4096)
    os.close(descriptor)
    assert not owner_alive(path)
    with pytest.raises(SegmentExists, match="its owner is gone"):
        create_locked(path, 4096)
    descriptor = lock_as_owner(path)
    assert owner_alive(path)
    os.close(descriptor)


def test_the_lock_of_a_file_removed_meanwhile_is_worth_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "books"
    os.close(create_locked(path, 4096))
    original = os.fstat

    def removed(descriptor: int) -> os.stat_result:
        path.unlink(missing_ok=True)
        return original(descriptor)

    monkeypatch.setattr(os, "fstat", removed)
    with pytest.raises(FileNotFoundError, match="removed meanwhile"):
        lock_as_owner(path)
    with pytest.raises(FileNotFoundError, match="taken for a leftover"):
        create_locked(path, 4096)


def test_a_path_is_still_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "books"
    descriptor = create_locked(path, 4096)
    assert is_at(path, identity_of(descriptor))
    path.rename(tmp_path / "other")
    assert not is_at(path, identity_of(descriptor))
    path.touch()
    assert not is_at(path, identity_of(descriptor))
    os.close(descriptor)


def test_a_claim_ends_with_its_object_and_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "books"
    descriptor = create_locked(path, 4096)
    identity = identity_of(descriptor)
    claim = Claim(path, identity, 128, 128)
    for start in (128, 255):
        with pytest.raises(RingRefused, match="books: its reader lives"):
            Claim(path, identity, start, 1)
    other = Claim(path, identity, 256, 128)
    assert owner_alive(path), "claims and the owner's lock know nothing of each other"
    child = os.fork()
    if child == 0:
        os._exit(0)  # closes its copy of every descriptor
    os.waitpid(child, 0)
    with pytest.raises(RingRefused, match="its reader lives"):
        Claim(path, identity, 128, 1)
    del claim
    gc.collect()
    Claim(path, identity, 128, 128).release()
    other.release()
    with pytest.raises(RingRefused, match="books: replaced since"):
        Claim(path, (0, 0), 128, 128)
    os.close(descriptor)


def test_a_killed_process_claims_nothing(tmp_path: Path) -> None:
    path = tmp_path / "books"
    descriptor = create_locked(path, 4096)
    identity = identity_of(descriptor)
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        claim = Claim(path, identity, 0, 128)
        os.write(tell, b"!")
        os.read(os.pipe()[0], 1)  # for ever
        claim.release()
        os._exit(1)
    assert os.read(ready, 1) == b"!"
    with pytest.raises(RingRefused, match="its reader lives"):
        Claim(path, identity, 0, 128)
    os.kill(child, 9)
    os.waitpid(child, 0)
    Claim(path, identity, 0, 128)
    os.close(descriptor)


def test_a_file_system_without_room_says_so_at_once(tmp_path: Path) -> None:
    """By the limit on the size of files, which every system has: the same call refuses."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE // 2, before[1]))
    try:
        said = refused(create_locked, tmp_path / "books", SIZE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert said == f"{tmp_path / 'books'}: no room for {SIZE} bytes (File too large)"
    assert not (tmp_path / "books").exists()


def test_a_full_tmpfs_is_refused_when_a_ring_is_made_and_never_later(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=256k,mode=0700 none {tmp_path}"
    unshare = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
    allowed = os.geteuid() == 0 and shutil.which("unshare") is not None
    if not allowed or subprocess.run([*unshare, mount], check=False, capture_output=True).returncode:
        pytest.skip("no private mount is allowed here: the limit on file sizes stands in for the full tmpfs")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_DISABLE_JIT": "1"}
    command = f'{mount} && exec "$0" -c "$1" {tmp_path}'
    done = subprocess.run(
        [*unshare, command, sys.executable, WRITE_ON_A_FULL_TMPFS],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    said, left = done.stdout.splitlines()
    assert said.endswith("(No space left on device)")
    assert f"{tmp_path}/large: no room for" in said
    assert left == "['kept']"
    assert ctypes.sizeof(ctypes.c_long) == 8, "what the layout of struct flock takes for granted"
