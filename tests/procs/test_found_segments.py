"""What is found in a run directory, and what is left alone."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np
import pytest

from procs.found_segments import (
    Attached,
    attached_counters,
    attached_histograms,
    found_segments,
    ring_numbers,
)
from shm.counters import Counters
from shm.histogram import Histograms
from shm.layout import PAYLOAD_BYTES, SEGMENT, ReaderState, SegmentKind
from shm.ring import OverwritingRing, RefusingRing
from shm.table import Table

SMALL, WIDE = PAYLOAD_BYTES


def test_every_kind_is_found_by_its_header(tmp_path: Path) -> None:
    Counters.create(("frames",), name="feed.counters", directory=tmp_path, epoch=3)
    Histograms.create(("book",), name="latency", directory=tmp_path)
    RefusingRing.create(16, WIDE, ("log",), name="events", directory=tmp_path)
    OverwritingRing.create(16, SMALL, name="updates", directory=tmp_path)
    Table.create(1, np.dtype([("a", "<i8")]), name="rows", directory=tmp_path)
    found = found_segments(tmp_path)
    assert [(each.name, each.kind) for each in found] == [
        ("events", SegmentKind.REFUSING_RING),
        ("feed.counters", SegmentKind.COUNTERS),
        ("latency", SegmentKind.HISTOGRAMS),
        ("rows", SegmentKind.TABLE),
        ("updates", SegmentKind.OVERWRITING_RING),
    ]
    assert (found[1].epoch, found[1].size_bytes) == (3, (tmp_path / "feed.counters").stat().st_size)
    assert [ring.name for ring in ring_numbers(found)] == ["events", "updates"]


def test_what_is_no_segment_of_ours_is_passed_over(tmp_path: Path) -> None:
    Counters.create(("frames",), name="good", directory=tmp_path)
    content = (tmp_path / "good").read_bytes()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "good")
    os.mkfifo(tmp_path / "fifo", 0o600)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "s"))
    files = {
        "short": content[: SEGMENT.itemsize - 1],
        "cut": content[:-1],
        "text": b"x" * 1000,
        "open": content,
    }
    for field in ("magic", "version", "kind", "size_bytes"):
        header = np.frombuffer(content[: SEGMENT.itemsize], SEGMENT).copy()
        header[field] = 99
        files[field] = header.tobytes() + content[SEGMENT.itemsize :]
    for name, written in files.items():
        (tmp_path / name).write_bytes(written)
        (tmp_path / name).chmod(0o644 if name == "open" else 0o600)
    assert [each.name for each in found_segments(tmp_path)] == ["good"]
    assert found_segments(tmp_path / "none") == []


def test_a_ring_says_how_far_it_is_and_who_is_behind(tmp_path: Path) -> None:
    ring = RefusingRing.create(16, WIDE, ("fast", "slow"), name="plans", directory=tmp_path)
    records = np.zeros(1, np.dtype((np.void, WIDE)))
    fast = ring.reader("fast", 0)
    ring.reader("slow", 0)
    for _ in range(20):
        ring.publish(records)
        fast.poll()
    fast.beat(100)
    ring.fence_silent(100, 10)
    (numbers,) = ring_numbers(found_segments(tmp_path))
    assert (numbers.capacity_cells, numbers.cells, numbers.messages) == (16, 16, 16)
    assert (numbers.refusals, numbers.fenced) == ({"size": 0, "full": 4, "fenced": 0}, 1)
    quick, slow = numbers.readers
    assert (quick.name, quick.state, quick.lag_cells) == ("fast", ReaderState.JOINED, 0)
    assert (slow.name, slow.state, slow.lag_cells, slow.lost_messages) == ("slow", ReaderState.FENCED, 16, 0)
    assert ring.segment.attached == 0, "only the header was mapped"


def test_a_segment_is_attached_once_and_again_when_another_takes_its_name(tmp_path: Path) -> None:
    first = Counters.create(("frames",), name="counters.feed", directory=tmp_path)
    held = attached_counters()
    seen = [list(held.refresh(found_segments(tmp_path))) for _ in range(3)]
    first.add("frames")
    assert [(name, counters["frames"]) for ((name, counters),) in seen] == [("counters.feed", 1)] * 3
    assert first.segment.attached == 1
    first.segment.unlink()
    second = Counters.create(("frames", "bytes"), name="counters.feed", directory=tmp_path)
    ((_, counters),) = held.refresh(found_segments(tmp_path))
    assert counters.labels == ("frames", "bytes")
    second.segment.unlink()
    assert list(held.refresh(found_segments(tmp_path))) == []


def test_a_segment_of_another_layout_is_counted(tmp_path: Path) -> None:
    Histograms.create(("book",), name="latency", directory=tmp_path)
    held = attached_histograms()
    assert [name for name, _ in held.refresh(found_segments(tmp_path))] == ["latency"]
    wrong: Attached[Counters] = Attached(SegmentKind.HISTOGRAMS, Counters.attach)
    assert list(wrong.refresh(found_segments(tmp_path))) == []
    assert wrong.failures == 1


def test_a_ring_that_has_gone_is_left_out(tmp_path: Path) -> None:
    OverwritingRing.create(16, SMALL, name="tops", directory=tmp_path)
    found = found_segments(tmp_path)
    (tmp_path / "tops").write_bytes(b"short")
    assert list(ring_numbers(found)) == []
    (tmp_path / "tops").unlink()
    assert list(ring_numbers(found)) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_passed_over(tmp_path: Path) -> None:
    Counters.create(("frames",), name="theirs", directory=tmp_path)
    os.chown(tmp_path / "theirs", 12_345, -1)
    assert found_segments(tmp_path) == []
