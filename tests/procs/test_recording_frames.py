"""Packing frames into batches."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from procs import recording_frames
from procs.recording_frames import Frame, pack
from tests.data import recordings as made


def _frames(count: int, size: int = 10) -> list[Frame]:
    return [made.kalshi(bytes([65 + at % 26]) * (size + at), at, conn=at) for at in range(count)]


def test_frames_keep_their_order_and_content() -> None:
    frames = _frames(10)
    (batch,) = pack(frames)
    assert list(batch.frames()) == frames
    assert batch.raw(3) == frames[3].raw
    assert batch.first_line == 2


def test_batches_close_on_frames_and_on_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_frames, "BATCH_FRAMES", 4)
    assert [batch.count for batch in pack(_frames(10))] == [4, 4, 2]
    monkeypatch.setattr(recording_frames, "BATCH_BYTES", 30)
    batches = list(pack(_frames(6)))
    assert [batch.count for batch in batches] == [3, 3]
    assert [batch.first_line for batch in batches] == [2, 5]


def test_nothing_gives_no_batch() -> None:
    assert list(pack([])) == []


def test_a_failing_source_gives_what_it_had_first() -> None:
    def failing() -> Iterator[Frame]:
        yield from _frames(3)
        raise ValueError("broken")

    batches = pack(failing())
    assert next(batches).count == 3
    with pytest.raises(ValueError, match="broken"):
        next(batches)
