"""Reading recordings: every frame back, in bounded pieces, and damage after all that is whole."""

from __future__ import annotations

import itertools
from pathlib import Path

import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import RecordingDamaged, RecordingFormat
from engine.records import Venue
from procs import recording, recording_reader
from procs.recording_frames import Frame, FrameBatch
from procs.recording_reader import RecordingReader, parse_line
from tests.data import recordings as made

HEAD = made.header().to_line().rstrip(b"\n")


def _read(path: Path) -> tuple[list[Frame], str]:
    """What is whole, and what is said of the rest."""
    frames: list[Frame] = []
    with RecordingReader(path) as reader:
        try:
            for batch in reader.batches():
                frames.extend([] if batch.lost else batch.frames())
        except RecordingDamaged as error:
            return frames, str(error)
        assert reader.lines == len(frames) + 1
    return frames, ""


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def _some(count: int) -> list[Frame]:
    return [made.kalshi({"n": at, "text": 'a"b\\c'}, at, conn=at % 3) for at in range(count)]


def test_frames_come_back(tmp_path: Path) -> None:
    frames = [*_some(10), made.polymarket([{"event_type": "book"}], 3)]
    assert _read(made.write(tmp_path / "r", made.header("both"), frames)) == (frames, "")


def test_batches_are_bounded_and_lines_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_reader, "BATCH_FRAMES", 7)
    monkeypatch.setattr(recording, "BLOCK_BYTES", 3000)
    frames = _some(100)
    path = made.write(tmp_path / "r", made.header(), frames)
    with RecordingReader(path) as reader:
        assert reader.header == made.header()
        batches = list(reader.batches())
    assert max(batch.count for batch in batches) == 7
    assert [frame for batch in batches for frame in batch.frames()] == frames
    assert batches[0].first_line == 2
    for batch, following in itertools.pairwise(batches):
        assert following.first_line == batch.first_line + batch.count


def test_other_spellings_go_through_the_general_parser(tmp_path: Path) -> None:
    odd = b'{"conn": 1, "raw": "\\u0041\\u00e9", "venue": "polymarket", "recv_ns": 12}'
    plain = b'{"recv_ns":13,"venue":"kalshi","conn":0,"raw":"x"}'
    path = made.write_lines(tmp_path / "r", [HEAD, plain, odd, plain])
    with RecordingReader(path) as reader:
        frames = list(reader.frames())
        assert reader.fallbacks == 1
    kalshi = Frame(13, Venue.KALSHI, 0, b"x")
    assert frames == [kalshi, Frame(12, Venue.POLYMARKET, 1, "Aé".encode()), kalshi]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"7",
        b'{"recv_ns":1,"venue":"kalshi","conn":0}',
        b'{"recv_ns":1,"venue":"kalshi","conn":0,"raw":"x","more":1}',
        b'{"recv_ns":1.0,"venue":"kalshi","conn":0,"raw":"x"}',
        b'{"recv_ns":true,"venue":"kalshi","conn":0,"raw":"x"}',
        b'{"recv_ns":1,"venue":"nyse","conn":0,"raw":"x"}',
        b'{"recv_ns":1,"venue":["kalshi"],"conn":0,"raw":"x"}',
        b'{"recv_ns":1,"venue":"kalshi","conn":"0","raw":"x"}',
        b'{"recv_ns":1,"venue":"kalshi","conn":0,"raw":{}}',
        b'{"recv_ns":-1,"venue":"kalshi","conn":0,"raw":"x"}',
        b'{"recv_ns":9223372036854775808,"venue":"kalshi","conn":0,"raw":"x"}',
        b'{"recv_ns":1,"venue":"kalshi","conn":1024,"raw":"x"}',
    ],
)
def test_a_line_that_is_no_frame_is_said_and_passed_over(tmp_path: Path, line: bytes) -> None:
    good = b'{"recv_ns":1,"venue":"kalshi","conn":0,"raw":"x"}'
    assert parse_line(line) is None
    frames, said = _read(made.write_lines(tmp_path / "r", [HEAD, good, good, line]))
    assert len(frames) == 2
    assert said.endswith("r line 4: not a frame; the 2 frames before it are whole")
    frames, said = _read(made.write_lines(tmp_path / "r", [HEAD, good, good, line, good, line, line]))
    assert len(frames) == 3
    whole = "the 2 frames before it are whole, and so are 1 behind it"
    assert said.endswith(f"r line 4: not a frame (and more of it in 2 other places); {whole}")


def test_where_frames_are_lost_a_batch_of_none_says_so_once(tmp_path: Path) -> None:
    frames = [made.polymarket([], 3, conn=2), made.kalshi({}, 5, conn=7), made.kalshi({}, 4, conn=0)]
    lines = [made.line(frame) for frame in frames]
    path = made.write_lines(tmp_path / "r", [HEAD, b"?", b"?", *lines, b"?", b"", b"?", *lines, b"?"])
    batches: list[FrameBatch] = []
    with RecordingReader(path) as reader:
        with pytest.raises(RecordingDamaged, match=r"line 2: not a frame \(and .* 5 other places\);"):
            batches.extend(reader.batches())
        assert reader.lines == 13
    assert [batch.lost for batch in batches] == [
        *("line 2: not a frame", "", "line 7: not a frame", ""),
        "line 13: not a frame",
    ]
    assert [list(batch.frames()) for batch in batches] == [[], frames, [], frames, []]
    assert [batch.line(0) for batch in batches if batch.count] == [4, 10]


def test_many_bad_lines_cost_no_more_than_good_ones(tmp_path: Path) -> None:
    """By what is done for them, not by time: one batch for all, and no array for each."""
    good = made.line(made.kalshi({}, 1))
    path = made.write_lines(tmp_path / "r", [HEAD, good, *[b"?"] * 20_000, good])
    with RecordingReader(path) as reader:
        batches = reader.batches()
        assert [batch.count for batch in itertools.islice(batches, 3)] == [1, 0, 1]
        with pytest.raises(RecordingDamaged, match="in 19999 other places"):
            next(batches)


def test_truncated_file_gives_its_whole_lines(tmp_path: Path) -> None:
    frames = [made.kalshi({"n": at, "noise": str(hash((at, "x")))}, at) for at in range(20_000)]
    path = made.write(tmp_path / "r", made.header(), frames)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    got, said = _read(path)
    assert 0 < len(got) < len(frames)
    assert got == frames[: len(got)]
    assert f"line {len(got) + 2}: truncated" in said


def test_flipped_bit_never_gives_an_altered_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "BLOCK_BYTES", 4000)
    frames = _some(400)
    path = made.write(tmp_path / "r", made.header(), frames)
    data = path.read_bytes()
    second = data.index(b"\x28\xb5\x2f\xfd", 4)  # behind the header's own block
    for at in range(second, len(data), 97):
        path.write_bytes(_flipped(data, at))
        with RecordingReader(path) as reader:
            assert reader.header == made.header(), "damage among the first frames leaves the header"
        got, said = _read(path)
        assert said or got == frames
        assert len(got) > 300, "a block has some forty"
        before = next((at for at, frame in enumerate(got) if frame != frames[at]), len(got))
        behind = len(got) - before
        assert got[before:] == frames[len(frames) - behind :]
        if said:
            assert f" line {before + 2}: " in said
            assert f"the {before} frames before it are whole" in said
            assert (f"and so are {behind} behind it" in said) == (behind > 0)


def test_a_block_that_begins_inside_a_line_is_read_from_its_next_line_on(tmp_path: Path) -> None:
    """As other writers may cut it: what the lost block had of that line is no second damage."""
    lines = [made.line(made.kalshi({"n": at}, at)) for at in range(6)]
    compress = zstandard.ZstdCompressor(write_checksum=True).compress
    text = b"\n".join([HEAD, *lines, b""])
    cuts = [0, text.index(lines[1]) + 9, text.index(lines[3]) + 9, len(text)]
    blocks = [compress(text[start:stop]) for start, stop in itertools.pairwise(cuts)]
    path = tmp_path / "r"
    path.write_bytes(blocks[0] + _flipped(blocks[1], len(blocks[1]) // 2) + blocks[2])
    got, said = _read(path)
    assert got == [made.kalshi({"n": at}, at) for at in (0, 4, 5)]
    assert "r line 3: corrupt compressed data" in said
    assert said.endswith("; the 1 frames before it are whole, and so are 2 behind it")


def test_a_header_in_the_block_of_the_first_frames_is_read_as_well(tmp_path: Path) -> None:
    """As earlier builds wrote it."""
    line = b'{"recv_ns":1,"venue":"kalshi","conn":0,"raw":"x"}'
    path = tmp_path / "r"
    block = zstandard.ZstdCompressor(write_checksum=True).compress
    path.write_bytes(block(HEAD + b"\n" + line + b"\n") + block(line + b"\n"))
    assert _read(path) == ([Frame(1, Venue.KALSHI, 0, b"x")] * 2, "")
    with RecordingReader(path) as reader:
        assert reader.header == made.header()


def test_last_line_without_its_end_is_a_frame_if_it_is_whole(tmp_path: Path) -> None:
    good = b'{"recv_ns":1,"venue":"kalshi","conn":0,"raw":"x"}'
    path = tmp_path / "r"
    path.write_bytes(zstandard.ZstdCompressor().compress(HEAD + b"\n" + good))
    assert _read(path) == ([Frame(1, Venue.KALSHI, 0, b"x")], "")
    path.write_bytes(zstandard.ZstdCompressor().compress(HEAD + b"\n" + good + b"\n" + good[:-1]))
    frames, said = _read(path)
    assert len(frames) == 1
    assert "line 3: not a frame" in said


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_reader, "LINE_BYTES_MAX", 1000)
    path = made.write_lines(
        tmp_path / "r", [HEAD, b'{"recv_ns":1,"venue":"kalshi","conn":0,"raw":"' + b"x" * 5000]
    )
    frames, said = _read(path)
    assert frames == []
    assert said


def test_empty_or_headless_files(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_bytes(b"")
    with pytest.raises(RecordingDamaged, match="empty"):
        RecordingReader(path)
    path.write_bytes(zstandard.ZstdCompressor().compress(b"no line end"))
    with pytest.raises(RecordingDamaged, match="no header line"):
        RecordingReader(path)
    with pytest.raises(RecordingFormat, match="version 9"):
        RecordingReader(made.write_lines(path, [b'{"pr3dict_recording":9}']))


@given(st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 1023), st.text(max_size=40)), max_size=20))
def test_whatever_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, str]]
) -> None:
    frames = [Frame(time, Venue.KALSHI, conn, text.encode()) for time, conn, text in rows]
    path = made.write(tmp_path_factory.mktemp("any") / "r", made.header(), frames)
    assert _read(path) == (frames, "")
    assert orjson.loads(HEAD)["venue"] == "kalshi"
