from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from engine.errors import ConfigError, RecordingDamaged, RecordingFormat
from procs import input_log
from procs.input_log import (
    FLUSH_EVERY_NS,
    VERSION,
    EntryKind,
    InputLog,
    LogEntry,
    LogHeader,
    read_log,
    split_call,
    unused_folder,
)

HEADER = LogHeader(VERSION, "strategy", "trade", 3, 1_000, "build")


def entries_of(content: bytes) -> list[LogEntry]:
    header, entries = read_log(io.BytesIO(content), "x")
    assert header == HEADER
    return list(entries)


def test_entries_come_back_in_order(tmp_path: Path) -> None:
    log = InputLog(tmp_path / "x", HEADER)
    log.append_call(EntryKind.WORK, 5, b"handed")
    log.append(EntryKind.INPUT, b"abc", 7, 2)
    log.append(EntryKind.DONE, b"")
    log.close()
    call, answer, done = entries_of(log.path.read_bytes())
    assert (call.kind, *split_call(call.payload)) == (EntryKind.WORK, 5, b"handed")
    assert answer == (EntryKind.INPUT, 7, 2, b"abc")
    assert done == (EntryKind.DONE, 0, 0, b"")
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_what_was_flushed_outlives_the_process(tmp_path: Path) -> None:
    log = InputLog(tmp_path / "x", HEADER)
    log.append(EntryKind.INPUT, b"first")
    log.on_clock(FLUSH_EVERY_NS)
    log.append(EntryKind.INPUT, b"second")
    log.on_clock(2 * FLUSH_EVERY_NS - 1)
    assert [entry.payload for entry in entries_of(log.path.read_bytes())] == [b"first"]
    log.on_clock(2 * FLUSH_EVERY_NS)
    assert [entry.payload for entry in entries_of(log.path.read_bytes())] == [b"first", b"second"]


def test_a_torn_end_is_left_out_and_damage_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_log, "BLOCK_BYTES", 64)
    log = InputLog(tmp_path / "x", HEADER)
    ends = []
    for number in range(3):
        log.append(EntryKind.INPUT, bytes([number]) * 80)
        ends.append(log.path.stat().st_size)
    log.close()
    content = log.path.read_bytes()
    every = entries_of(content)
    for size in range(ends[0], len(content)):
        found = entries_of(content[:size])
        assert found == every[: len(found)]
        assert len(found) >= sum(end <= size for end in ends)  # more: of the last only the checksum is torn
    broken = bytearray(content)
    broken[ends[1] - 3] ^= 1
    with pytest.raises(RecordingDamaged, match="corrupt"):
        entries_of(bytes(broken))


def test_a_full_file_says_so_and_takes_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_log, "BLOCK_BYTES", 64)
    log = InputLog(tmp_path / "x", HEADER, bytes_max=300)
    sizes = []
    for number in range(50):
        log.append(EntryKind.INPUT, bytes(range(number, number + 70)))
        sizes.append(log.path.stat().st_size)
    log.close()
    found = entries_of(log.path.read_bytes())
    assert log.ended == "x is full"
    assert found[-1].kind is EntryKind.FULL
    assert 300 <= sizes[-1] < 500
    assert len(found) - 1 == sizes.index(sizes[-1]) + 1


def test_a_disk_without_room_ends_the_log_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = InputLog(tmp_path / "x", HEADER)
    log.append(EntryKind.INPUT, b"first")
    log.flush()
    log.append(EntryKind.INPUT, b"second")
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:5]))
    log.flush()
    assert log.ended == f"{log.path}: No space left on device"
    monkeypatch.undo()
    log.append(EntryKind.INPUT, b"third")
    log.close()
    assert [entry.payload for entry in entries_of(log.path.read_bytes())] == [b"first"]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    log = InputLog(tmp_path / "x", HEADER)
    log.close()
    with pytest.raises(ConfigError, match="x: exists already"):
        InputLog(tmp_path / "x", HEADER)
    with pytest.raises(ConfigError, match="not an empty folder"):
        unused_folder(tmp_path)
    with pytest.raises(ConfigError, match="not an empty folder"):
        unused_folder(tmp_path / "x")
    (tmp_path / "empty").mkdir()
    assert unused_folder(tmp_path / "empty") == (tmp_path / "empty").absolute()
    assert unused_folder(tmp_path / "new") == (tmp_path / "new").absolute()


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    other = InputLog(tmp_path / "x", HEADER._replace(version=VERSION + 1))
    other.close()
    with pytest.raises(RecordingFormat, match=f"version {VERSION + 1}"):
        entries_of(other.path.read_bytes())
    with pytest.raises(RecordingFormat, match="not a zstd file"):
        entries_of(b"something else")
