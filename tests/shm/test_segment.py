"""Segments: what is created can be attached, and nothing else can."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from shm import segment as segments
from shm.barrier import Barrier
from shm.counters import Counters
from shm.doorbell import Doorbell
from shm.errors import LayoutMismatch, RingRefused, SegmentExists, SegmentRefused
from shm.histogram import Histograms
from shm.layout import LAYOUT_VERSION, SEGMENT, SEGMENT_MAGIC, SegmentKind
from shm.ring import OverwritingRing, RefusingRing
from shm.segment import Segment, owner_alive, segment_path
from shm.table import Table

KIND = SegmentKind.TABLE
HASH = 123456


def make(directory: Path | None, name: str | None = "books", size: int = 1000, epoch: int = 7) -> Segment:
    made = Segment.create(name, size, KIND, HASH, epoch, directory)
    made.seal()
    return made


def corrupt(path: Path, field: str, value: int) -> None:
    """Overwrite one header field of a segment file."""
    with path.open("r+b") as file:
        file.seek(SEGMENT.fields[field][1])  # type: ignore[index]
        file.write(value.to_bytes(8, "little"))


def test_private_memory_is_zeroed_and_described() -> None:
    made = make(None, None)
    assert made.path is None
    assert made.words().size == 125
    assert [make(None, None, size).words().size for size in (7, 8, 15, 16)] == [0, 1, 1, 2]
    assert not made.words().any()
    assert made.epoch == 7
    assert int(made.header["owner_pid"]) == os.getpid()
    assert made.address % 128 == 0
    made.unlink()


def test_another_mapping_sees_what_is_written(tmp_path: Path) -> None:
    made = make(tmp_path)
    other = Segment.attach("books", KIND, HASH, tmp_path)
    made.words()[3] = 42
    assert other.words()[3] == 42
    assert other.address != made.address
    assert (made.attached, other.epoch) == (1, 7)
    Segment.attach("books", KIND, HASH, tmp_path, epoch=7)
    assert made.attached == 2


def test_the_file_is_private_and_allocated(tmp_path: Path) -> None:
    make(tmp_path, size=1_000_000)
    found = (tmp_path / "books").stat()
    assert found.st_mode & 0o777 == 0o600
    assert found.st_size == SEGMENT.itemsize + 1_000_000
    assert found.st_blocks * 512 >= found.st_size


def test_memory_outlives_the_name(tmp_path: Path) -> None:
    made = make(tmp_path)
    other = Segment.attach("books", KIND, HASH, tmp_path)
    made.unlink()
    made.unlink()
    assert not (tmp_path / "books").exists()
    made.words()[0] = 9
    assert other.words()[0] == 9


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", LAYOUT_VERSION + 1),
        ("kind", int(SegmentKind.COUNTERS)),
        ("layout_hash", HASH + 1),
        ("size_bytes", 999),
        ("epoch", 8),
    ],
)
def test_every_header_field_is_checked(tmp_path: Path, field: str, value: int) -> None:
    make(tmp_path)
    corrupt(tmp_path / "books", field, value)
    with pytest.raises(LayoutMismatch, match=f"books: {field} is {value}, expected"):
        Segment.attach("books", KIND, HASH, tmp_path, epoch=7)


def test_any_epoch_will_do_unless_one_is_asked_for(tmp_path: Path) -> None:
    make(tmp_path, epoch=11)
    assert Segment.attach("books", KIND, HASH, tmp_path).epoch == 11
    with pytest.raises(LayoutMismatch, match="epoch is 11, expected 12"):
        Segment.attach("books", KIND, HASH, tmp_path, epoch=12)


def test_a_segment_without_its_seal_cannot_be_attached(tmp_path: Path) -> None:
    made = Segment.create("books", 1000, KIND, HASH, 7, tmp_path)
    with pytest.raises(LayoutMismatch, match="not finished"):
        Segment.attach("books", KIND, HASH, tmp_path)
    assert made.attached == 0
    made.seal()
    assert int(made.header["magic"]) == SEGMENT_MAGIC
    assert Segment.attach("books", KIND, HASH, tmp_path).epoch == 7


OBJECTS: list[tuple[str, Callable[[Path], object]]] = [
    ("overwriting ring", lambda path: OverwritingRing.create(8, 48, name="books", directory=path)),
    ("refusing ring", lambda path: RefusingRing.create(8, 48, ("a", "b"), name="books", directory=path)),
    ("table", lambda path: Table.create(3, np.dtype("i8,i8"), name="books", directory=path)),
    ("counters", lambda path: Counters.create(("frames", "gaps"), name="books", directory=path)),
    ("histograms", lambda path: Histograms.create(("feed",), name="books", directory=path)),
]


@pytest.mark.parametrize("create", [row[1] for row in OBJECTS], ids=[row[0] for row in OBJECTS])
def test_objects_are_complete_before_anybody_can_attach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, create: Callable[[Path], object]
) -> None:
    """A reader that came between the seal and the geometry would read with strides of zero."""
    at_seal: list[bytes] = []
    original = Segment.seal

    def seal(segment: Segment) -> None:
        at_seal.append((tmp_path / "books").read_bytes())
        original(segment)

    monkeypatch.setattr(Segment, "seal", seal)
    create(tmp_path)
    (before,) = at_seal
    after = (tmp_path / "books").read_bytes()
    assert before[:8] == bytes(8)
    assert after[:8] == SEGMENT_MAGIC.to_bytes(8, "little")
    assert after[8:] == before[8:], "something was written behind the seal"


def test_foreign_files(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"x" * 100)
    (tmp_path / "short").chmod(0o600)
    with pytest.raises(LayoutMismatch, match="100 bytes are too few"):
        Segment.attach("short", KIND, HASH, tmp_path)
    with pytest.raises(FileNotFoundError):
        Segment.attach("absent", KIND, HASH, tmp_path)


def test_a_truncated_file(tmp_path: Path) -> None:
    make(tmp_path)
    os.truncate(tmp_path / "books", SEGMENT.itemsize + 10)
    with pytest.raises(LayoutMismatch, match="size_bytes is 1256, expected 266"):
        Segment.attach("books", KIND, HASH, tmp_path)


def test_links_folders_and_open_modes_are_refused(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "books")
    with pytest.raises(SegmentRefused, match="link"):
        Segment.attach("link", KIND, HASH, tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(SegmentRefused, match="folder"):
        Segment.attach("folder", KIND, HASH, tmp_path)
    (tmp_path / "books").chmod(0o640)
    with pytest.raises(SegmentRefused, match="mode 640"):
        Segment.attach("books", KIND, HASH, tmp_path)


def test_a_fifo_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(SegmentRefused, match="not a regular file"):
        Segment.attach("fifo", KIND, HASH, tmp_path)


def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(SegmentRefused, match="not a directory of this user alone"):
        Segment.attach("books", KIND, HASH, tmp_path)
    with pytest.raises(SegmentRefused, match="not a regular file of this user alone"):
        owner_alive(tmp_path / "books")


@pytest.mark.parametrize("name", [None, "", "../books", "a/b", ".hidden", "Books", "x" * 64, "a\n"])
def test_names(tmp_path: Path, name: str | None) -> None:
    with pytest.raises(SegmentRefused, match="plain lower-case name"):
        make(tmp_path, name)


def test_good_names(tmp_path: Path) -> None:
    for name in ("a", "x" * 63, "book-kalshi_1.ring"):
        assert segment_path(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize("size", [0, -1, segments.SEGMENT_BYTES_MAX + 1])
def test_sizes_out_of_bounds(size: int) -> None:
    with pytest.raises(ValueError, match="a segment has 1 to"):
        make(None, None, size)


def test_smallest_segment() -> None:
    assert make(None, None, 1).bytes_at(0, 1).size == 1


def test_bytes_stay_inside() -> None:
    made = make(None, None, 100)
    assert made.bytes_at(90, 10).size == 10
    for offset, size in [(-1, 5), (90, 11), (0, -1)]:
        with pytest.raises(ValueError, match="outside the object"):
            made.bytes_at(offset, size)


def test_a_taken_name_says_whether_the_owner_lives(tmp_path: Path) -> None:
    made = make(tmp_path)
    assert owner_alive(tmp_path / "books")
    with pytest.raises(SegmentExists, match="its owner lives"):
        make(tmp_path)
    made.close()
    made.close()
    assert not owner_alive(tmp_path / "books")
    with pytest.raises(SegmentExists, match="its owner is gone"):
        make(tmp_path)


def test_the_lock_goes_with_the_process(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from shm.segment import Segment; from shm.layout import SegmentKind;"
        f"s = Segment.create('books', 64, SegmentKind.TABLE, {HASH}, 1, pathlib.Path(sys.argv[1]));"
        "print('ready', flush=True); sys.stdin.read()"
    )
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"ready\n"
        assert owner_alive(tmp_path / "books")
        owner.kill()
        owner.wait(30)
    assert not owner_alive(tmp_path / "books")


def test_no_space_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, offset: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(SegmentRefused, match=r"books: no room for 1256 bytes \(No space left on device\)"):
        make(tmp_path)
    assert not (tmp_path / "books").exists()


def adopt(directory: Path, epoch: int = 8, kind: SegmentKind = KIND, layout_hash: int = HASH) -> Segment:
    return Segment.adopt("books", kind, layout_hash, directory, epoch, lambda _: None)


def test_a_segment_is_adopted_when_its_owner_is_gone(tmp_path: Path) -> None:
    made = make(tmp_path)
    made.words()[3] = 42
    reader = Segment.attach("books", KIND, HASH, tmp_path)
    with pytest.raises(SegmentExists, match="books: already there, its owner lives"):
        adopt(tmp_path)
    made.close()
    adopted = adopt(tmp_path)
    assert (adopted.epoch, reader.epoch, adopted.words()[3]) == (8, 8, 42)
    assert owner_alive(tmp_path / "books")
    assert reader.is_current()


@pytest.mark.parametrize("epoch", [0, 6, 7])
def test_an_epoch_is_never_used_twice(tmp_path: Path, epoch: int) -> None:
    make(tmp_path).close()
    with pytest.raises(LayoutMismatch, match=f"books: epoch {epoch} is not newer than 7"):
        adopt(tmp_path, epoch)
    assert not owner_alive(tmp_path / "books"), "who was refused holds no lock"
    assert adopt(tmp_path).epoch == 8


def test_only_what_one_could_attach_to_is_adopted(tmp_path: Path) -> None:
    make(tmp_path).close()
    for other in ({"kind": SegmentKind.COUNTERS}, {"layout_hash": HASH + 1}):
        with pytest.raises(LayoutMismatch, match="expected"):
            adopt(tmp_path, **other)
    corrupt(tmp_path / "books", "version", LAYOUT_VERSION - 1)
    with pytest.raises(LayoutMismatch, match=f"books: version is {LAYOUT_VERSION - 1}, expected"):
        adopt(tmp_path)
    (tmp_path / "books").chmod(0o640)
    with pytest.raises(SegmentRefused, match="mode 640"):
        adopt(tmp_path)
    (tmp_path / "books").unlink()
    with pytest.raises(FileNotFoundError):
        adopt(tmp_path)


def test_who_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    make(tmp_path).close()

    def refuse(segment: Segment) -> None:
        raise LayoutMismatch(f"{segment.path}: not as declared")

    with pytest.raises(LayoutMismatch, match="not as declared"):
        Segment.adopt("books", KIND, HASH, tmp_path, 8, refuse)
    assert Segment.attach("books", KIND, HASH, tmp_path).epoch == 7
    assert not owner_alive(tmp_path / "books")


@pytest.mark.parametrize("size", [0, 100, 1256])
def test_what_was_never_finished_is_begun_anew(tmp_path: Path, size: int) -> None:
    path = tmp_path / "books"
    path.write_bytes(bytes(size))
    path.chmod(0o600)
    with pytest.raises(FileNotFoundError, match="its owner died before it was finished"):
        adopt(tmp_path)
    assert not path.exists()


def test_a_start_creates_or_adopts(tmp_path: Path) -> None:
    def start(epoch: int) -> Segment:
        return segments.create_or_adopt(lambda: make(tmp_path, epoch=epoch), lambda: adopt(tmp_path, epoch))

    first = start(1)
    first.words()[0] = 5
    with pytest.raises(SegmentExists, match="its owner lives"):
        start(2)
    first.close()
    second = start(2)
    assert (second.epoch, second.words()[0]) == (2, 5)
    assert int(second.header["owner_pid"]) == os.getpid()


def test_of_two_that_start_at_once_one_is_refused(tmp_path: Path) -> None:
    def create() -> Segment:
        make(tmp_path)  # the other one
        return make(tmp_path)

    with pytest.raises(SegmentExists, match="its owner lives"):
        segments.create_or_adopt(create, lambda: adopt(tmp_path))


def test_a_name_that_comes_and_goes_ends(tmp_path: Path) -> None:
    tries: list[str] = []

    def create() -> Segment:
        tries.append("create")
        raise FileNotFoundError("removed meanwhile")

    with pytest.raises(FileNotFoundError):
        segments.create_or_adopt(create, lambda: adopt(tmp_path))
    assert len(tries) == segments.START_TRIES_MAX


def test_a_removed_or_replaced_file_is_noticed(tmp_path: Path) -> None:
    made = make(tmp_path)
    reader = Segment.attach("books", KIND, HASH, tmp_path)
    assert (made.is_current(), reader.is_current(), make(None, None).is_current()) == (True, True, True)
    made.unlink()
    assert (made.is_current(), reader.is_current()) == (False, False)
    again = make(tmp_path)
    assert (made.is_current(), reader.is_current(), again.is_current()) == (False, False, True)


def test_a_claim_is_for_the_file_that_was_mapped(tmp_path: Path) -> None:
    made = make(tmp_path)
    assert make(None, None).claim(0, 128) is None
    claim = made.claim(128, 128)
    assert claim is not None
    with pytest.raises(RingRefused, match="books: its reader lives"):
        Segment.attach("books", KIND, HASH, tmp_path).claim(128, 128)
    assert made.claim(256, 128) is not None, "another reader"
    del claim
    made.unlink()
    make(tmp_path)
    with pytest.raises(RingRefused, match="books: replaced since it was mapped"):
        made.claim(128, 128)


@pytest.mark.parametrize(
    "made",
    [
        lambda: OverwritingRing.create(16, 48),
        lambda: RefusingRing.create(16, 48, ("reader",)),
        lambda: Table.create(1, np.dtype([("a", "<i8")])),
        lambda: Barrier.create(["reader"]),
        lambda: Doorbell.create(),
        lambda: Counters.create(["a"]),
        lambda: Histograms.create(["a"]),
    ],
)
def test_what_is_made_without_an_epoch_is_of_the_first(
    made: Callable[[], OverwritingRing | RefusingRing | Table | Barrier | Doorbell | Counters | Histograms],
) -> None:
    assert made().segment.epoch == 0
