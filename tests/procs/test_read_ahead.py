"""Reading ahead: the batches of the reader, its damage, and no thread left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import RecordingDamaged
from procs.read_ahead import AHEAD_MAX, ReadAhead
from procs.recording_frames import BATCH_FRAMES, FrameBatch
from procs.recording_reader import RecordingReader
from tests.data import recordings as made

BATCHES = AHEAD_MAX + 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    frames = (made.kalshi(made.ticker("0.40", "0.50"), at) for at in range(BATCH_FRAMES * (BATCHES - 1) + 1))
    return made.write(tmp_path / "r.ndjson.zst", made.header(), frames)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "read-ahead"]


def content(batches: Iterator[FrameBatch]) -> list[tuple[int, int, bytes, list[int]]]:
    return [(b.first_line, b.count, b.buffer.tobytes(), b.recv_ns.tolist()) for b in batches]


def test_batches_and_header_are_the_readers(path: Path) -> None:
    with RecordingReader(path) as plain, RecordingReader(path) as reader:
        ahead = ReadAhead(reader)
        assert (ahead.name, ahead.header) == (plain.name, plain.header)
        batches = content(ahead.batches())
        assert len(batches) >= BATCHES
        assert batches == content(plain.batches())
    assert threads() == []


def test_damage_comes_after_what_is_whole(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])
    with RecordingReader(path) as plain, pytest.raises(RecordingDamaged) as expected:
        content(plain.batches())
    counts: list[int] = []
    with RecordingReader(path) as reader, pytest.raises(RecordingDamaged) as found:
        counts.extend(batch.count for batch in ReadAhead(reader).batches())
    assert str(found.value) == str(expected.value)
    assert f"the {sum(counts)} frames before it are whole" in str(found.value)
    assert threads() == []


@pytest.mark.parametrize("taken", [1, BATCHES - 1])
def test_an_iterator_that_is_left_early_ends_its_thread(path: Path, taken: int) -> None:
    with RecordingReader(path) as reader:
        batches = ReadAhead(reader).batches()
        for _ in range(taken):
            next(batches)
        batches.close()  # type: ignore[attr-defined]
        assert threads() == []


def test_no_more_than_the_bound_waits(path: Path) -> None:
    with RecordingReader(path) as reader:
        batches = ReadAhead(reader).batches()
        next(batches)
        handed_out = 1 + AHEAD_MAX + 1  # the one taken, those that wait, the one in the thread's hands
        assert reader.lines - 1 <= handed_out * BATCH_FRAMES
        batches.close()  # type: ignore[attr-defined]
